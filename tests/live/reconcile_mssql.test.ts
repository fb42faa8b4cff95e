// reconcile and repair on SQL Server, real when there is one and the fake always.

import assert from "node:assert/strict";
import { reconcileEngine, repairEngine, runEngine } from "../support/engine.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { listMssqlServers } from "../support/mssql.ts";
import { readThroughManifest } from "../support/reader.ts";

const CUTS: Readonly<Record<string, object>> = {
  full: { mode: "full" },
  range: { mode: "chunked", chunk_column: "id", chunk_size: 50 },
  key: { mode: "chunked", chunk_by_key: ["grp", "id"], chunk_size: 50 },
  incremental: { mode: "incremental", cursor_column: "id" },
};

for (const server of listMssqlServers()) {
  for (const [name, cut] of Object.entries(CUTS)) {
    Deno.test(`${server.name}: an export (${name}) is verified, damaged in the source, repaired and verified again`, async () => {
      await using folder = await temporaryFolder();
      await using db = await server.openDatabase();
      await db.run(
        "CREATE TABLE items ([id] bigint NOT NULL PRIMARY KEY, [grp] nvarchar(10) NOT NULL, [amount] decimal(12,2) NULL, [body] nvarchar(max))",
      );
      await db.run("CREATE UNIQUE INDEX items_grp ON items (grp, id)");
      const lines = Array.from({ length: 200 }, (_, id) => `(${id}, N'g${id % 5}', ${id}.25, N'řádek ${id}')`);
      await db.run(`INSERT INTO items VALUES ${lines.join(", ")}`);
      const { host, port, user, database, tls, password } = db.connection;
      const source = {
        type: "mssql",
        host,
        port,
        user,
        password_env: "TEST_PASSWORD",
        database,
        ...(tls === null ? {} : { tls: { mode: "require" } }),
        tuning: { profile: "fast", max_retries: 0 },
      };
      const entry = {
        name: "items",
        table: "items",
        ...cut,
        format: "parquet",
        destination: { type: "local", path: "out" },
      };
      const place = { configPath: join(folder.path, "rivet.yaml"), env: { TEST_PASSWORD: password ?? "" } };
      await Deno.writeTextFile(place.configPath, JSON.stringify({ source, exports: [entry] }));
      const first = await runEngine(place);
      assert.equal(first.failed_count, 0, JSON.stringify(first.per_export[0]?.error));
      for (const depth of ["count", "content"] as const) {
        const clean = await reconcileEngine(place, { depth });
        assert.deepEqual([clean.summary.mismatches, clean.verified, clean.summary.total_source_rows], [0, true, 200]);
      }
      await db.run("UPDATE items SET amount = 7 WHERE id = 42");
      await db.run("DELETE FROM items WHERE id = 150");
      const report = await reconcileEngine(place, { keysMax: 5 });
      const keys = report.partitions.flatMap((check) => check.keys === null ? [] : [check.keys]);
      assert.deepEqual([keys.flatMap((k) => k.changed), keys.flatMap((k) => k.extra)], [["42"], ["150"]]);
      const done = await repairEngine(place, { report });
      assert.equal(done.report.summary.remaining, 0, JSON.stringify(done.summaries[0]?.error));
      assert.equal((await reconcileEngine(place)).verified, true);
      const rows = await readThroughManifest(join(folder.path, "out"));
      const found = rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
      assert.deepEqual(found, Array.from({ length: 200 }, (_, id) => id).filter((id) => id !== 150));
      assert.equal(Number(rows.find((row) => Number(row["id"]) === 42)?.["amount"]), 7);
    });
  }
}
