// Two configs with one export name, two sources and one state, started together and killed in turn: neither sees the other's cursor, chunks,
// columns or files.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openState } from "../../src/state/mod.ts";
import { runEngine } from "../support/engine.ts";
import { Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { findUntracked, readThroughAllManifests, readThroughManifest } from "../support/reader.ts";

const MODES: Record<string, { yaml: string; adds?: boolean }> = {
  "chunked by range": { yaml: "mode: chunked\n    chunk_column: id\n    chunk_size: 8" },
  incremental: { yaml: "mode: incremental\n    cursor_column: id", adds: true },
};

interface Config {
  readonly name: string;
  readonly path: string;
  readonly ids: readonly number[];
}

/** The same names everywhere but for the file, whose keys and columns are of their own. */
async function prepare(folder: string, name: string, first: number, yaml: string): Promise<Config> {
  const ids = Array.from({ length: 20 }, (_, i) => first + i);
  using db = new DatabaseSync(join(folder, `${name}.db`));
  db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, ${name} TEXT)`);
  for (const id of ids) db.prepare("INSERT INTO t VALUES (?, ?)").run(id, `row ${id}`);
  const path = join(folder, `${name}.yaml`);
  await Deno.writeTextFile(
    path,
    `source: {type: sqlite, path: ${name}.db, tuning: {profile: fast, max_retries: 0}}
exports:
  - name: t
    table: t
    ${yaml}
    on_schema_drift: fail
    format: csv
    compression: none
    destination: {type: local, path: out_${name}}
`,
  );
  return { name, path, ids };
}

async function killBoth(mode: { yaml: string; adds?: boolean }, at: number): Promise<boolean> {
  await using folder = await temporaryFolder(inMemory());
  // One source's keys lie far above the other's: a cursor that is shared would leave rows out.
  const low = await prepare(folder.path, "low", 1, mode.yaml);
  const high = await prepare(folder.path, "high", 1000, mode.yaml);
  const faults = [new Faults(at, "kill"), new Faults(at + 5, "kill")];
  await Promise.allSettled(
    [low, high].map((config, i) => runEngine({ configPath: config.path, faults: faults[i]! })),
  );
  const again = await Promise.all([high, low].map((config) => runEngine({ configPath: config.path })));
  const where = `killed at ${faults.map((f) => f.fired).join(" and ")}`;
  for (const { per_export: [summary] } of again) {
    assert.equal(summary?.status, "success", `${where}: ${JSON.stringify(summary?.error)}`);
  }
  for (const { name, ids } of [low, high]) {
    const out = join(folder.path, `out_${name}`);
    const rows = mode.adds ? await readThroughAllManifests(out) : await readThroughManifest(out);
    assert.deepEqual(rows.map((row) => Number(row["id"])).sort((a, b) => a - b), ids, `${where}: ${name}`);
    assert.ok(rows.every((row) => Object.hasOwn(row, name)), where);
    assert.deepEqual(await findUntracked(out), [], where);
  }
  await using state = await openState({ url: undefined, directory: folder.path });
  const cursors = (await state.cursors("t")).map((cursor) => cursor.value).sort();
  assert.deepEqual(cursors, mode.adds ? ["1019", "20"] : [], where);
  return faults[0]!.fired !== null;
}

for (const [name, mode] of Object.entries(MODES)) {
  Deno.test(`${name}: two configs with one export name on one state do not touch each other`, async () => {
    let points = 0;
    while (await killBoth(mode, points + 1)) points++;
    assert.ok(points >= 20, `only ${points} points were reached`);
  });
}
