// A sealed plan under a fault at every effect of its application: applying it again finishes it, to the row, and a third time adds nothing.
// Rows arrive between planning and applying, so that what was sealed differs from what would be planned.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type PlanArtifact, toUnits } from "../../src/plan/mod.ts";
import { runEngine } from "../support/engine.ts";
import { type FaultKind, Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { sealConfig } from "../support/plans.ts";
import { findUntracked, readThroughAllManifests, readThroughManifest } from "../support/reader.ts";

interface Mode {
  readonly yaml: string;
  /** Rows of several runs add up. */
  readonly adds?: boolean;
  /** An undisturbed run comes before the plan. */
  readonly follows?: boolean;
}

const MODES: Record<string, Mode> = {
  full: { yaml: "table: t" },
  "chunked by range": { yaml: "table: t, mode: chunked, chunk_column: id, chunk_size: 15" },
  "chunked by key": { yaml: "table: t, mode: chunked, chunk_by_key: [grp, id], chunk_size: 15" },
  "first incremental": { yaml: "table: t, mode: incremental, cursor_column: at", adds: true },
  "later incremental": { yaml: "table: t, mode: incremental, cursor_column: at", adds: true, follows: true },
};

const insert = (from: number, to: number) =>
  `WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to})
    INSERT INTO t SELECT i, 'g' || (i % 4), datetime('2026-01-01', '+' || (i / 3) || ' hours') FROM n`;

async function prepare(folder: string, mode: Mode): Promise<{ configPath: string; sql: (text: string) => void }> {
  const configPath = join(folder, "rivet.yaml");
  await Deno.writeTextFile(
    configPath,
    `source: {type: sqlite, path: shop.db, tuning: {profile: fast, max_retries: 0}}
exports:
  - {name: t, ${mode.yaml}, format: csv, destination: {type: local, path: out}}
`,
  );
  const sql = (text: string) => {
    using db = new DatabaseSync(join(folder, "shop.db"));
    db.exec(text);
  };
  sql(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, grp TEXT NOT NULL, at TIMESTAMP NOT NULL); CREATE INDEX g ON t (grp, id)",
  );
  sql(insert(1, 20));
  return { configPath, sql };
}

async function apply(configPath: string, plan: PlanArtifact, faults = new Faults(0, "fail")) {
  const options = { path: "plan.json", forced: false };
  return await runEngine({ configPath, faults, applied: (config) => toUnits(plan, config, options) });
}

/** Whether the fault was reached. */
async function breakAt(name: string, kind: FaultKind, at: number): Promise<boolean> {
  const mode = MODES[name]!;
  await using folder = await temporaryFolder(inMemory());
  const { configPath, sql } = await prepare(folder.path, mode);
  if (mode.follows) assert.equal((await runEngine({ configPath })).failed_count, 0);
  sql(insert(21, 40));
  const plan = await sealConfig(configPath);
  sql(insert(41, 50));
  const faults = new Faults(at, kind);
  await apply(configPath, plan, faults).catch((error) => error);
  const where = `${name}, ${kind} at ${at} (${faults.fired})`;
  for (const round of ["second", "third"]) {
    const { failed_count: failed, per_export: [summary] } = await apply(configPath, plan);
    assert.equal(failed, 0, `${where}, ${round}: ${JSON.stringify(summary?.error)}`);
    if (round === "third") {
      const expected = mode.adds ? "success" : "already_applied";
      assert.equal(summary?.status, expected, where);
    }
  }
  const out = join(folder.path, "out");
  const rows = mode.adds ? await readThroughAllManifests(out) : await readThroughManifest(out);
  const ids = rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
  assert.deepEqual(ids, Array.from({ length: 50 }, (_, i) => i + 1), where);
  assert.deepEqual(await findUntracked(out), [], where);
  return faults.fired !== null;
}

for (const name of Object.keys(MODES)) {
  for (const kind of ["fail", "kill"] as const) {
    Deno.test(`the plan of a ${name} export survives a ${kind} at every effect`, async () => {
      let points = 0;
      while (await breakAt(name, kind, points + 1)) points++;
      assert.ok(points >= 20, `only ${points} points were reached`);
    });
  }
}
