// `state copy`: from the file beside the config to every backend, and back; all rows or none.

import assert from "node:assert/strict";
import { copyState } from "../../src/state/mod.ts";
import { TABLES } from "../../src/state/migrations.ts";
import { join, temporaryFolder } from "../support/files.ts";
import {
  backends,
  beginAndClaim,
  codeOf,
  completeRun,
  cursorOf,
  dump,
  KEY,
  mustTake,
  noted,
  sqlitePlace,
  type StatePlace,
} from "../support/state.ts";

const each = await backends([18]);

/** What the state holds, without what each database counts or spells in its own way. */
async function contentOf(place: StatePlace): Promise<Record<string, unknown>> {
  const tables = JSON.parse(await dump(place)) as Record<string, string[]>;
  const plain = (row: string) => {
    const { id: _, ...rest } = JSON.parse(row) as Record<string, unknown>;
    for (const [name, value] of Object.entries(rest)) if (typeof value === "boolean") rest[name] = value ? 1 : 0;
    return JSON.stringify(Object.fromEntries(Object.entries(rest).sort()));
  };
  return Object.fromEntries(TABLES.map((table) => [table, tables[table]!.map(plain).sort()]));
}

async function withProgress(place: StatePlace): Promise<void> {
  await using state = await place.open();
  const lease = await mustTake(state);
  await completeRun(state, "r1", lease, { cursor: cursorOf("41") });
  await state.record("r1", KEY.exportName, noted({ Note: { text: 'it\'s {"a"} test ✓' } }));
  await state.releaseLease(lease);
}

const urlOf = (place: StatePlace) => place.url ?? `sqlite:${join(place.directory, ".rivet_state.db")}`;

each("every row of a state arrives, in its order, and the source stays as it was", async (target) => {
  await using folder = await temporaryFolder();
  const source = sqlitePlace(folder.path);
  await withProgress(source);
  const before = await dump(source);
  const report = await copyState({ url: undefined, directory: folder.path, to: urlOf(target) });
  assert.equal(await dump(source), before);
  assert.deepEqual(await contentOf(target), await contentOf(source));
  assert.equal(report.rows["export_state"], 1);
  assert.ok(!report.to.includes("@"), report.to);
  await using state = await target.open();
  assert.equal((await state.cursor(KEY))?.value, "41");
  // New rows are counted on from the copied ones.
  const lease = await mustTake(state);
  await completeRun(state, "r2", lease, { cursor: cursorOf("42") });
  assert.deepEqual((await state.metrics({ limit: 9 })).map((row) => row.run_id), ["r2", "r1"]);
});

each("a state can be copied back to a file", async (origin) => {
  await withProgress(origin);
  await using folder = await temporaryFolder();
  const file = sqlitePlace(folder.path);
  await copyState({ url: urlOf(origin), directory: folder.path, to: urlOf(file) });
  assert.deepEqual(await contentOf(file), await contentOf(origin));
});

each("a target that holds anything is refused and keeps it", async (target) => {
  await using folder = await temporaryFolder();
  await withProgress(sqlitePlace(folder.path));
  await withProgress(target);
  const before = await dump(target);
  const copying = copyState({ url: undefined, directory: folder.path, to: urlOf(target) });
  assert.equal(await codeOf(copying), "RIVET_STATE_COPY_TARGET_NOT_EMPTY");
  assert.equal(await dump(target), before);
});

each("a state that a process works on is not copied", async (origin) => {
  await using state = await origin.open();
  await beginAndClaim(state, await mustTake(state));
  await using folder = await temporaryFolder();
  const to = `sqlite:${join(folder.path, "copy.db")}`;
  assert.equal(
    await codeOf(copyState({ url: urlOf(origin), directory: folder.path, to })),
    "RIVET_STATE_RUN_IN_PROGRESS",
  );
});

Deno.test("where there is no state, no target, or only one place, the copy is refused", async () => {
  await using folder = await temporaryFolder();
  const copy = (url: string | undefined, to: string | undefined) =>
    codeOf(copyState({ url, directory: folder.path, to }));
  assert.equal(await copy(undefined, undefined), "RIVET_STATE_COPY_TARGET_MISSING");
  assert.equal(await copy(undefined, "sqlite:.rivet_state.db"), "RIVET_STATE_COPY_TARGET_MISSING");
  assert.equal(await copy(undefined, "sqlite:copy.db"), "RIVET_STATE_COPY_SOURCE_EMPTY");
  assert.equal(await copy(undefined, "postgre://x"), "RIVET_STATE_URL_SCHEME_UNSUPPORTED");
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});
