import assert from "node:assert/strict";
import { RivetError } from "../../../src/errors.ts";
import { openState, parsePlace } from "../../../src/state/open.ts";
import { openPostgres } from "../../../src/state/postgres.ts";
import { join, temporaryFolder } from "../../support/files.ts";
import { codeOf, completeRun, cursorOf, mustTake, sqlitePlace } from "../../support/state.ts";

Deno.test("parsePlace anchors relative paths at the config's folder", () => {
  const path = (url: string | undefined) => {
    const place = parsePlace(url, "/etc/rivet");
    return place.kind === "sqlite" ? place.path : place.url.href;
  };
  assert.equal(path(undefined), "/etc/rivet/.rivet_state.db");
  assert.equal(path("sqlite:state.db"), "/etc/rivet/state.db");
  assert.equal(path("sqlite:sub/../state.db"), "/etc/rivet/state.db");
  assert.equal(path("sqlite:/var/state.db"), "/var/state.db");
  assert.equal(path("sqlite:///var/state.db"), "/var/state.db");
  assert.equal(path("SQLite://state.db"), "/etc/rivet/state.db");
  assert.equal(path("sqlite::memory:"), ":memory:");
  assert.equal(path("postgresql://u@h/d"), "postgresql://u@h/d");
});

Deno.test("parsePlace refuses every other scheme, and an empty variable", () => {
  for (
    const url of [
      "",
      " ",
      "postgre://h/d",
      "mysql://h/d",
      "file:/x.db",
      "state.db",
      "/abs/state.db",
      "sqlite:",
      "sqlite://",
      "postgres://h:port/d",
    ]
  ) {
    assert.throws(
      () => parsePlace(url, "/etc/rivet"),
      (e) => e instanceof RivetError && e.code === "RIVET_STATE_URL_SCHEME_UNSUPPORTED",
      url,
    );
  }
});

Deno.test("a refused URL makes no file", async () => {
  await using folder = await temporaryFolder();
  const error = await openState({ url: "postgre://u:s3cret@h/d", directory: folder.path }).then(() => null, (e) => e);
  assert.equal(error.code, "RIVET_STATE_URL_SCHEME_UNSUPPORTED");
  assert.ok(!`${error.message} ${error.where} ${error.cure}`.includes("s3cret"));
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});

Deno.test("a remote PostgreSQL state must say how its connection is protected", async () => {
  for (const query of ["", "?sslmode=prefer", "?sslmode=allow", "?sslmode=", "?host=db.example.com"]) {
    const url = new URL(`postgres://u:s3cret@${query.startsWith("?host") ? "localhost" : "db.example.com"}/d${query}`);
    const error = await openPostgres({ url }).then(() => null, (e) => e);
    assert.equal(error?.code, "RIVET_STATE_URL_TLS_REQUIRED", query);
    assert.ok(!`${error.message} ${error.where} ${error.cure}`.includes("s3cret"));
  }
});

Deno.test("a server that is not there is an error that may pass, never another place", async () => {
  await using folder = await temporaryFolder();
  const error = await openState({ url: "postgres://u:s3cret@127.0.0.1:1/d", directory: folder.path }).then(
    () => null,
    (e) => e,
  );
  assert.deepEqual([error.code, error.retry, error.where], [
    "RIVET_STATE_BACKEND_FAILED",
    "reconnect",
    "postgres://127.0.0.1:1/d",
  ]);
  assert.ok(!`${error.message} ${error.where} ${error.cure}`.includes("s3cret"));
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});

Deno.test("a new sqlite: place is refused while the usual file holds cursors", async () => {
  await using folder = await temporaryFolder();
  const directory = folder.path;
  const other = { url: "sqlite:other.db", directory };
  await (await openState({ url: undefined, directory }))[Symbol.asyncDispose]();
  await (await openState(other))[Symbol.asyncDispose]();
  await Deno.remove(join(directory, "other.db"));
  {
    await using state = await sqlitePlace(directory).open();
    const lease = await mustTake(state);
    await completeRun(state, "r1", lease, { cursor: cursorOf("41") });
  }
  assert.equal(await codeOf(openState(other)), "RIVET_STATE_URL_LEAVES_STATE_BEHIND");
  assert.ok(![...Deno.readDirSync(directory)].some((entry) => entry.name.startsWith("other")));
  await Deno.copyFile(join(directory, ".rivet_state.db"), join(directory, "other.db"));
  await using state = await openState(other);
  assert.equal(state.location, join(directory, "other.db"));
});

Deno.test("looking only makes no file, and shows an empty state where there is none", async () => {
  await using folder = await temporaryFolder();
  await using state = await openState({ url: undefined, directory: folder.path, readOnly: true });
  assert.deepEqual(await state.cursors(), []);
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});

Deno.test("looking only shows what is there and refuses to write", async () => {
  await using folder = await temporaryFolder();
  const directory = folder.path;
  await using writer = await sqlitePlace(directory).open();
  await completeRun(writer, "r1", await mustTake(writer), { cursor: cursorOf("41") });
  await using state = await openState({ url: undefined, directory, readOnly: true });
  assert.deepEqual((await state.cursors()).map((c) => c.value), ["41"]);
  assert.equal(await codeOf(state.record("r1", "orders", [])), "RIVET_STATE_NOT_WRITABLE");
});
