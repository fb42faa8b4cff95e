// What an incremental export remembers between its runs: the bound, the rows at its edge, and nothing that grows.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { RunSummary } from "../../src/report/mod.ts";
import { type CursorState, openState } from "../../src/state/mod.ts";
import { runEngine } from "../support/engine.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { readThroughAllManifests } from "../support/reader.ts";

interface Place {
  sql(text: string): void;
  run(): Promise<RunSummary>;
  ids(): Promise<number[]>;
  cursor(): Promise<CursorState | undefined>;
}

async function withExport(settings: string, body: (place: Place) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder(inMemory());
  const sql = (text: string) => {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec(text);
  };
  sql("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, at TIMESTAMP, code TEXT COLLATE NOCASE)");
  const configPath = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(
    configPath,
    `source: {type: sqlite, path: shop.db, tuning: {profile: fast}}
exports:
  - name: t
    table: t
    mode: incremental
    ${settings}
    format: parquet
    destination: {type: local, path: out}
`,
  );
  await body({
    sql,
    run: async () => (await runEngine({ configPath })).per_export[0]!,
    ids: async () =>
      (await readThroughAllManifests(join(folder.path, "out"))).map((row) => Number(row["id"])).sort((a, b) => a - b),
    async cursor() {
      await using state = await openState({ url: undefined, directory: folder.path });
      return (await state.cursors("t"))[0];
    },
  });
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** Twenty rows of one day. */
function day(n: number): string {
  return `WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 20)
    INSERT INTO t SELECT ${n} * 20 + i, '2026-01-${String(n + 1).padStart(2, "0")} 00:00:00', 'c' || i FROM s`;
}

function remembered(cursor: CursorState | undefined): number {
  return Object.values(cursor?.edge ?? {}).reduce((sum, count) => sum + count, 0);
}

Deno.test("a coarse cursor remembers the rows of its last value, and no more with every run", async () => {
  await withExport("cursor_column: at", async ({ sql, run, ids, cursor }) => {
    for (let n = 0; n < 12; n++) {
      sql(day(n));
      assert.equal((await run()).rows, 20);
      assert.equal(remembered(await cursor()), 20);
      assert.equal((await run()).rows, 0);
      assert.equal(remembered(await cursor()), 20);
    }
    assert.deepEqual(await ids(), upTo(240));
  });
});

Deno.test("a cursor so coarse that remembering its last value takes room is told, and still loses nothing", async () => {
  await withExport("cursor_column: at", async ({ sql, run }) => {
    const rows = (from: number, to: number) =>
      sql(`WITH RECURSIVE s(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM s WHERE i < ${to})
        INSERT INTO t SELECT i, '2026-01-01 00:00:00', NULL FROM s`);
    rows(1, 100_001);
    const first = await run();
    assert.equal(first.rows, 100_001);
    assert.match(first.warnings.join(), /100001 rows lie on the last value of 'at'.*finer cursor column/);
    rows(100_002, 100_010);
    assert.equal((await run()).rows, 9);
  });
});

Deno.test("a look-back moves no cursor back, and forgets what lies before it", async () => {
  await withExport("cursor_column: at\n    cursor_lag: 3d", async ({ sql, run, ids, cursor }) => {
    for (let n = 0; n < 10; n++) {
      sql(day(n));
      await run();
    }
    const bound = "2026-01-10 00:00:00";
    assert.equal((await cursor())?.value, bound);
    // The bound's own day and three before it.
    assert.equal(remembered(await cursor()), 80);
    sql("INSERT INTO t VALUES (1000, '2026-01-08 00:00:00', 'late'), (1001, '2026-01-02 00:00:00', 'too late')");
    assert.equal((await run()).rows, 1);
    for (let i = 0; i < 3; i++) {
      assert.equal((await run()).rows, 0);
      assert.equal((await cursor())?.value, bound);
    }
    assert.deepEqual(await ids(), [...upTo(200), 1000]);
  });
});

Deno.test("a look-back whose rows have all gone moves no cursor either", async () => {
  await withExport("cursor_column: at\n    cursor_lag: 1d", async ({ sql, run, cursor }) => {
    sql(day(0) + ";" + day(5));
    await run();
    sql("DELETE FROM t WHERE at > '2026-01-03'");
    assert.equal((await run()).rows, 0);
    assert.equal((await cursor())?.value, "2026-01-06 00:00:00");
    sql("INSERT INTO t VALUES (500, '2026-01-04 00:00:00', 'below the look-back')");
    assert.equal((await run()).rows, 0);
  });
});

Deno.test("text that the collation holds equal to the last value is followed by the collation, each row once", async () => {
  await withExport("cursor_column: code", async ({ sql, run, ids }) => {
    sql("INSERT INTO t VALUES (1, NULL, 'alpha'), (2, NULL, 'BETA'), (3, NULL, 'beta')");
    assert.equal((await run()).rows, 3);
    sql("INSERT INTO t VALUES (4, NULL, 'Beta'), (5, NULL, 'Gamma'), (6, NULL, 'Alpha')");
    assert.equal((await run()).rows, 2);
    assert.deepEqual(await ids(), upTo(5));
  });
});

const NULLS =
  "INSERT INTO t VALUES (1, '2026-01-01 00:00:00', ''), (2, NULL, ''), (3, '2026-01-02 00:00:00', ''), (4, NULL, '')";

Deno.test("rows without a cursor come with the first run, and only then", async () => {
  await withExport("cursor_column: at", async ({ sql, run, ids }) => {
    sql(NULLS);
    assert.equal((await run()).rows, 4);
    sql("INSERT INTO t VALUES (5, NULL, ''), (6, '2026-01-03 00:00:00', '')");
    assert.equal((await run()).rows, 1);
    assert.deepEqual(await ids(), [1, 2, 3, 4, 6]);
  });
});

Deno.test("rows without a cursor that are ignored are counted in a warning", async () => {
  await withExport("cursor_column: at\n    on_cursor_null: ignore", async ({ sql, run, ids }) => {
    sql(NULLS);
    assert.match((await run()).warnings.join(), /2 rows have no value in the cursor 'at' and are not exported/);
    assert.deepEqual(await ids(), [1, 3]);
  });
});

Deno.test("rows without a cursor that are refused stop the run before it writes, until they have one", async () => {
  await withExport("cursor_column: at\n    on_cursor_null: fail", async ({ sql, run, ids, cursor }) => {
    sql(NULLS);
    for (let i = 0; i < 2; i++) {
      const { error } = await run();
      assert.equal(error?.code, "RIVET_PLAN_CHUNK_KEY_NULL");
      assert.match(error?.cure ?? "", /coalesce.*include_once/);
    }
    assert.deepEqual([await ids(), await cursor()], [[], undefined]);
    sql("UPDATE t SET at = '2026-01-05 00:00:00' WHERE at IS NULL");
    assert.equal((await run()).rows, 4);
  });
});
