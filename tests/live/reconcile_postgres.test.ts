// reconcile and repair on a real PostgreSQL: later writes are told apart from wrong exports, pages may move, lanes share one picture.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { queryParts } from "../support/duckdb_parts.ts";
import { reconcileEngine, repairEngine, runEngine } from "../support/engine.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { openPostgresServer, type TestDatabase, withDatabase } from "../support/postgres.ts";
import type { PartitionCheck, ReconcileReport } from "../../src/verify/mod.ts";

const server = await openPostgresServer(18);
const oldest = await openPostgresServer(12);

interface Place {
  readonly db: TestDatabase;
  readonly folder: string;
  readonly configPath: string;
  readonly env: Record<string, string>;
}

const CUTS: Record<string, string> = {
  "one statement": "mode: full",
  pages: "mode: chunked\n    chunk_size: 500\n    parallel: 3",
  range: "mode: chunked\n    chunk_column: id\n    chunk_size: 500\n    parallel: 3",
  key: "mode: chunked\n    chunk_by_key: [name, id]\n    chunk_size: 500",
};

const TABLE =
  `CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12,2), at timestamptz, doc jsonb,
    tags text[], raw bytea, u uuid);
  INSERT INTO t SELECT g, 'n' || g % 40, g / 7.0, '2026-01-01Z'::timestamptz + g * interval '1 hour',
    jsonb_build_object('g', g), ARRAY['a', NULL, 'b' || g], decode(lpad(to_hex(g), 8, '0'), 'hex'),
    ('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid FROM generate_series(1, 2000) g;
  CREATE INDEX ON t (name, id); ANALYZE t`;

async function withTable(cut: string, body: (place: Place) => Promise<void>, on = server): Promise<void> {
  await using folder = await temporaryFolder();
  await withDatabase(on!, async (db) => {
    await db.run(TABLE);
    // Without a key there is nothing else to cut by.
    if (cut === CUTS["pages"]) await db.run("ALTER TABLE t DROP CONSTRAINT t_pkey");
    const { host, port, user, database, password } = db.connection;
    const configPath = join(folder.path, "rivet.yaml");
    await Deno.writeTextFile(
      configPath,
      `source:
  type: postgres
  host: ${host}
  port: ${port}
  user: ${user}
  password_env: TEST_PASSWORD
  database: ${database}
  tuning: {profile: fast}
exports:
  - name: t
    table: t
    ${cut}
    format: parquet
    destination: {type: local, path: out}
`,
    );
    const place = { db, folder: folder.path, configPath, env: { TEST_PASSWORD: password ?? "" } };
    const first = await runEngine(place);
    assert.equal(first.failed_count, 0, JSON.stringify(first.per_export[0]?.error));
    await body(place);
  });
}

function differing(report: ReconcileReport): PartitionCheck[] {
  return report.partitions.filter(({ status }) => status !== "match");
}

/** DuckDB over the manifest's parts against the server, value by value. */
async function assertSame({ db, folder }: Place): Promise<void> {
  const columns = ["id", "name", "amount", "doc", "u"];
  const found = await queryParts([join(folder, "out")], columns);
  const rows = await db.run(`SELECT ${columns.map((name) => `${name}::text`).join(", ")} FROM t`);
  const sort = (list: (string | null)[][]) => list.map((row) => row.map((value) => value ?? "∅").join("|")).sort();
  assert.deepEqual(sort(found), sort(rows));
}

for (const [name, cut] of Object.entries(CUTS)) {
  Deno.test({
    name: `an export cut by ${name} is verified, damaged in the source, repaired and verified again`,
    ignore: server === null,
  }, async () => {
    await withTable(cut, async (place) => {
      const clean = await reconcileEngine(place);
      assert.deepEqual([clean.summary.mismatches, clean.verified, clean.summary.total_source_rows], [0, true, 2000]);
      await place.db.run(
        "UPDATE t SET amount = amount + 1 WHERE id = 777; DELETE FROM t WHERE id = 1501; INSERT INTO t (id, name) VALUES (5000, 'new')",
      );
      const report = await reconcileEngine(place, { keysMax: 10 });
      assert.ok(report.summary.mismatches > 0 && !report.verified);
      const keys = differing(report).flatMap((check) => check.keys === null ? [] : [check.keys]);
      const told = (what: "missing" | "extra" | "changed") => keys.flatMap((found) => found[what]);
      if (name !== "pages") {
        assert.deepEqual([told("missing"), told("extra"), told("changed")], [["5000"], ["1501"], ["777"]]);
      }
      const done = await repairEngine(place, { report });
      assert.equal(done.report.summary.remaining, 0, JSON.stringify(done.summaries[0]?.error));
      const again = await reconcileEngine(place);
      assert.deepEqual([again.summary.mismatches, again.verified, again.summary.total_exported_rows], [0, true, 2000]);
      await assertSame(place);
    });
  });
}

for (const [version, on] of [["18", server], ["12", oldest]] as const) {
  Deno.test({
    name:
      `PostgreSQL ${version}: rows inserted after the export are told as later writes, the export held what was there`,
    ignore: on === null,
  }, async () => {
    for (const cut of [CUTS["one statement"]!, CUTS["range"]!]) {
      await withTable(cut, async (place) => {
        await place.db.run("INSERT INTO t (id, name) SELECT g, 'late' FROM generate_series(3000, 3009) g");
        for (const depth of ["count", "content"] as const) {
          const report = await reconcileEngine(place, { depth });
          const [bad] = differing(report);
          assert.deepEqual([bad?.cause, bad?.since_export?.written, report.summary.later_writes], [
            "later_writes",
            10,
            1,
          ]);
          assert.equal(report.verified, false);
        }
      }, on);
    }
  });
}

Deno.test({
  name: "rows changed or deleted after the export cannot be told, and are not called its fault",
  ignore: server === null,
}, async () => {
  await withTable(CUTS["range"]!, async (place) => {
    await place.db.run("UPDATE t SET name = 'other' WHERE id = 3; DELETE FROM t WHERE id = 600");
    const bad = differing(await reconcileEngine(place));
    assert.deepEqual(bad.map(({ cause }) => cause), ["undecided", "undecided"]);
    assert.deepEqual(bad.map(({ since_export }) => since_export?.written), [1, 0]);
  });
});

Deno.test(
  { name: "an export that never held a row that was there is told as its own fault", ignore: server === null },
  async () => {
    await withTable(CUTS["range"]!, async (place) => {
      {
        // What an export that lost a row would have recorded.
        using state = new DatabaseSync(join(place.folder, ".rivet_state.db"));
        const row = state.prepare("SELECT observations_json AS o FROM chunk_task WHERE chunk_index = 1").get() as {
          o: string;
        };
        const seen = JSON.parse(row.o);
        seen.rows--;
        state.prepare("UPDATE chunk_task SET observations_json = ? WHERE chunk_index = 1").run(JSON.stringify(seen));
      }
      const report = await reconcileEngine(place);
      assert.deepEqual(differing(report).map(({ chunk_index, cause }) => [chunk_index, cause]), [[1, "export"]]);
      assert.equal(report.summary.later_writes, 0);
    });
  },
);

Deno.test({ name: "rows that moved between pages are the same rows", ignore: server === null }, async () => {
  await withTable(CUTS["pages"]!, async (place) => {
    const before = await reconcileEngine(place);
    assert.ok(before.summary.total_partitions > 1, "the table was not cut by pages");
    await place.db.run(
      "DELETE FROM t WHERE id < 400; INSERT INTO t (id, name) SELECT g, 'x' FROM generate_series(1, 2) g",
    );
    await runEngine(place);
    // Free room at the beginning, then everything is written again in another order.
    await place.db.run("CREATE INDEX t_order ON t (u DESC, id DESC); CLUSTER t USING t_order");
    const report = await reconcileEngine(place);
    assert.deepEqual([report.summary.mismatches, report.verified], [0, true], JSON.stringify(differing(report)));
  });
});

Deno.test({ name: "repaired chunks of pages are read together", ignore: server === null }, async () => {
  await withTable(CUTS["pages"]!, async (place) => {
    await place.db.run("DELETE FROM t WHERE id = 5");
    const report = await reconcileEngine(place);
    const done = await repairEngine(place, { report });
    assert.equal(done.plan.actions.length, report.summary.total_partitions);
    assert.equal(done.report.summary.remaining, 0);
    assert.equal((await reconcileEngine(place)).verified, true);
  });
});

Deno.test({
  name: "a repaired chunk has the moment of its repair: what is written later is told",
  ignore: server === null,
}, async () => {
  await withTable(CUTS["range"]!, async (place) => {
    await place.db.run("UPDATE t SET name = 'other' WHERE id = 3");
    assert.equal((await repairEngine(place)).report.summary.executed, 1);
    assert.equal((await reconcileEngine(place)).verified, true);
    await place.db.run("INSERT INTO t (id, name) VALUES (0, 'late')");
    const [bad, ...others] = differing(await reconcileEngine(place));
    assert.deepEqual([bad?.chunk_index, bad?.cause, others.length], [0, "later_writes", 0]);
  });
});
