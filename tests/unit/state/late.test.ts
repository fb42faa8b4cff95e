import assert from "node:assert/strict";
import { openState, openStateLater } from "../../../src/state/mod.ts";
import { RivetError } from "../../../src/errors.ts";
import { temporaryFolder } from "../../support/files.ts";
import { listNames } from "../../support/reader.ts";

Deno.test("openStateLater makes no file until something is asked of the state", async () => {
  await using folder = await temporaryFolder();
  {
    await using late = await openStateLater({ url: undefined, directory: folder.path });
    assert.equal(await late.exists(), false);
    assert.match(late.state.location, /\.rivet_state\.db$/);
  }
  assert.deepEqual(await listNames(folder.path), []);
});

Deno.test("the first call of a late state makes it, and the next ones use it", async () => {
  await using folder = await temporaryFolder();
  await using late = await openStateLater({ url: undefined, directory: folder.path });
  const rows = await Promise.all([late.state.metrics({ limit: 1 }), late.state.files({ limit: 1 })]);
  assert.deepEqual(rows, [[], []]);
  assert.equal(await late.exists(), true);
  assert.ok((await listNames(folder.path)).includes(".rivet_state.db"));
});

Deno.test("openStateLater opens what exists at once, and so refuses what is no state", async () => {
  await using folder = await temporaryFolder();
  await (await openState({ url: undefined, directory: folder.path }))[Symbol.asyncDispose]();
  {
    await using late = await openStateLater({ url: undefined, directory: folder.path });
    assert.equal(await late.exists(), true);
  }
  await Deno.writeTextFile(`${folder.path}/.rivet_state.db`, "not a database, but long enough to be one".repeat(20));
  assert.equal(await codeOf(openStateLater({ url: undefined, directory: folder.path })), "RIVET_STATE_FILE_CORRUPT");
});

Deno.test("openStateLater refuses a folder that does not exist before the state is asked for anything", async () => {
  const given = { url: undefined, directory: "/nonexistent/rivet" };
  assert.equal(await codeOf(openStateLater(given)), "RIVET_STATE_NOT_WRITABLE");
  assert.equal(
    await codeOf(openStateLater({ url: "redis://h", directory: "/" })),
    "RIVET_STATE_URL_SCHEME_UNSUPPORTED",
  );
});

async function codeOf(action: Promise<unknown>): Promise<string> {
  const error = await action.then(() => null, (e) => e);
  return error instanceof RivetError ? error.code : String(error);
}
