// Uniqueness over a whole export, however it is cut and however often it was interrupted.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { RunEvent, RunSummary } from "../../../src/report/mod.ts";
import { runEngine } from "../../support/engine.ts";
import { Faults } from "../../support/faults.ts";
import { join, temporaryFolder } from "../../support/files.ts";
import { listNames } from "../../support/reader.ts";

const RANGE = "mode: chunked\n    chunk_column: id\n    chunk_size: 10";

interface Case {
  /** The value of the column `code` in the row with this id. */
  readonly code: (id: number) => string | null;
  readonly cut?: string;
  readonly rule?: string;
  /** Further statements. */
  readonly sql?: string;
  readonly killed?: boolean;
}

async function judge(given: Case): Promise<RunSummary & { names: readonly string[] }> {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, code TEXT)");
    for (let id = 1; id <= 40; id++) db.prepare("INSERT INTO t VALUES (?, ?)").run(id, given.code(id));
    if (given.sql !== undefined) db.exec(given.sql);
  }
  const configPath = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(
    configPath,
    `source: {type: sqlite, path: shop.db, tuning: {profile: fast, max_retries: 0}}
exports:
  - name: t
    table: t
    ${given.cut ?? RANGE}
    quality: ${given.rule ?? "{unique_columns: [code]}"}
    format: parquet
    destination: {type: local, path: out}
`,
  );
  if (given.killed) {
    const faults = new Faults(0, "kill");
    const onEvent = (event: RunEvent) => faults.dead ||= event.kind === "slice_completed" && event.index === 1;
    await runEngine({ configPath, faults, onEvent }).catch(() => {});
  }
  const summary = (await runEngine({ configPath })).per_export[0]!;
  assert.equal(summary.resumed, given.killed ?? false);
  return { ...summary, names: await listNames(join(folder.path, "out")) };
}

const own = (id: number) => `code ${id}`;
/** The rows 3 and 33 have one value, and lie in different chunks. */
const shared = (id: number) => `code ${id === 33 ? 3 : id}`;

for (const killed of [false, true]) {
  Deno.test(`a value that repeats in another chunk fails the run, ${killed ? "also after a kill" : "and nothing is published"}`, async () => {
    const { status, error, names } = await judge({ code: shared, killed });
    assert.deepEqual([status, error?.code, error?.exit_code], ["failed", "RIVET_QUALITY_FAILED", 3]);
    assert.match(error?.error ?? "", /'code' repeats 1 values across chunks/);
    assert.deepEqual(names, []);
  });
}

Deno.test("values that are unique over all chunks pass, and NULL is no value", async () => {
  const { status, quality_passed } = await judge({ code: (id) => id % 3 === 0 ? null : own(id) });
  assert.deepEqual([status, quality_passed], ["success", true]);
});

Deno.test("the column that the chunks follow needs no second reading", async () => {
  const { status, warnings } = await judge({ code: shared, rule: "{unique_columns: [id]}" });
  assert.deepEqual([status, warnings], ["success", []]);
});

Deno.test("what a unique index of the table holds needs no second reading", async () => {
  const { status, warnings } = await judge({ code: own, sql: "CREATE UNIQUE INDEX t_code ON t (code)" });
  assert.deepEqual([status, warnings], ["success", []]);
});

Deno.test("more values than may be held are told, not taken for unique; a repetition that was seen still fails", async () => {
  const rule = "{unique_columns: [code], unique_max_entries: 12}";
  const told = await judge({ code: own, rule });
  assert.equal(told.status, "success");
  assert.match(told.warnings.join(), /unique as far as `unique_max_entries` allows to see/);
  const refused = await judge({ code: (id) => `code ${id === 33 ? 1 : id}`, rule });
  assert.equal(refused.error?.code, "RIVET_QUALITY_FAILED");
});
