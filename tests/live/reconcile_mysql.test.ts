// reconcile and repair on real MySQL servers: every mode found, named and mended.

import assert from "node:assert/strict";
import { queryParts } from "../support/duckdb_parts.ts";
import { reconcileEngine, repairEngine, runEngine } from "../support/engine.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { openMysqlServers, testMysql } from "../support/mariadb.ts";
import { readManifestFile } from "../support/reader.ts";

const servers = await openMysqlServers();

const CUTS: Record<string, object> = {
  full: { mode: "full" },
  range: { mode: "chunked", chunk_column: "id", chunk_size: 100, parallel: 3 },
  key: { mode: "chunked", chunk_by_key: ["name", "id"], chunk_size: 100 },
  incremental: { mode: "incremental", cursor_column: "at" },
  "time window": { mode: "time_window", time_column: "at", days_window: 36500 },
};

for (const [name, cut] of Object.entries(CUTS)) {
  testMysql(
    servers,
    `an export (${name}) is verified, damaged in the source, repaired and verified again`,
    async (db) => {
      await using folder = await temporaryFolder();
      await db.run(
        `CREATE TABLE t (id int PRIMARY KEY, name varchar(20) NOT NULL, amount decimal(12,2), at datetime(3) NOT NULL,
        doc json, small tinyint unsigned, raw varbinary(20), KEY (name, id));
      INSERT INTO t WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 400)
        SELECT g, CONCAT('n', g % 20), g / 7, '2026-01-01' + INTERVAL g HOUR, JSON_OBJECT('g', g), g % 200, CHAR(g % 128) FROM s`,
      );
      const { host, port, user, database, password } = db.connection;
      const place = { configPath: join(folder.path, "rivet.yaml"), env: { TEST_PASSWORD: password ?? "" } };
      const source = {
        type: "mysql",
        host,
        port,
        user,
        password_env: "TEST_PASSWORD",
        database,
        tuning: { profile: "fast" },
      };
      const entry = { name: "t", table: "t", ...cut, format: "parquet", destination: { type: "local", path: "out" } };
      await Deno.writeTextFile(place.configPath, JSON.stringify({ source, exports: [entry] }));
      const first = await runEngine(place);
      assert.equal(first.failed_count, 0, JSON.stringify(first.per_export[0]?.error));
      for (const depth of ["count", "content"] as const) {
        const clean = await reconcileEngine(place, { depth });
        assert.deepEqual([clean.summary.mismatches, clean.verified, clean.summary.total_source_rows], [0, true, 400]);
      }
      await db.run(`UPDATE t SET amount = 1.25 WHERE id = 42; DELETE FROM t WHERE id = 250;
      INSERT INTO t SELECT 1000, 'new', NULL, at, NULL, NULL, NULL FROM t WHERE id = 310`);
      const report = await reconcileEngine(place, { keysMax: 10 });
      const keys = report.partitions.flatMap((check) => check.keys === null ? [] : [check.keys]);
      const told = (what: "missing" | "extra" | "changed") => keys.flatMap((found) => found[what]);
      assert.deepEqual([told("missing"), told("extra"), told("changed")], [["1000"], ["250"], ["42"]]);
      const out = join(folder.path, "out");
      const manifest = (await readManifestFile(out))!;
      await Deno.remove(join(out, manifest.parts[0]!.path));
      const done = await repairEngine(place);
      assert.equal(done.report.summary.remaining, 0, JSON.stringify(done.summaries[0]?.error));
      const again = await reconcileEngine(place);
      assert.deepEqual([again.summary.mismatches, again.verified, again.summary.total_exported_rows], [0, true, 400]);
      const found = (await queryParts([out], ["id", "name", "amount", "small"])).map((row) => row.join("|")).sort();
      const rows = await db.run("SELECT id, name, amount, small FROM t");
      assert.deepEqual(found, rows.map((row) => row.map((value) => value ?? "").join("|")).sort());
    },
  );
}
