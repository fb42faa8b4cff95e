// The n-th effect fails, or the process dies there, with a real MySQL server as the source; then the same command again, until nothing
// is left to break. The rows that the manifest names are the table's rows, each once.

import assert from "node:assert/strict";
import { runEngine } from "../support/engine.ts";
import { type FaultKind, Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { type MysqlDatabase, openMysqlServers, testMysql } from "../support/mariadb.ts";
import { findUntracked, readThroughAllManifests, readThroughManifest } from "../support/reader.ts";

const servers = await openMysqlServers();
const ROWS = 40;

interface Mode {
  readonly settings: object;
  /** Rows of several runs add up; otherwise the last run is the whole picture. */
  readonly adds?: boolean;
}

const MODES: Record<string, Mode> = {
  full: { settings: { mode: "full" } },
  "chunked by range in two lanes": { settings: { mode: "chunked", chunk_column: "id", chunk_size: 15, parallel: 2 } },
  "chunked by key": { settings: { mode: "chunked", chunk_by_key: ["grp", "id"], chunk_size: 15 } },
  incremental: { settings: { mode: "incremental", cursor_column: "at" }, adds: true },
};

async function breakAt(db: MysqlDatabase, mode: Mode, kind: FaultKind, at: number): Promise<boolean> {
  await using folder = await temporaryFolder(inMemory());
  const configPath = join(folder.path, "rivet.yaml");
  const { host, port, user, password, database } = db.connection;
  const tuning = { profile: "fast", max_retries: 0 };
  const source = { type: "mysql", host, port, user, password_env: "TEST_PASSWORD", database, tuning };
  const entry = {
    name: "t",
    table: "t",
    ...mode.settings,
    format: "parquet",
    destination: { type: "local", path: "out" },
  };
  await Deno.writeTextFile(configPath, JSON.stringify({ source, exports: [entry] }));
  const env = { TEST_PASSWORD: password ?? "" };
  const faults = new Faults(at, kind);
  const first = await runEngine({ configPath, env, faults }).catch((error) => error);
  if (faults.fired === null) assert.equal(first.failed_count, 0, JSON.stringify(first.per_export?.[0]?.error));
  const second = await runEngine({ configPath, env });
  const where = `${kind} at ${at} (${faults.fired})`;
  assert.equal(second.failed_count, 0, `${where}: ${JSON.stringify(second.per_export[0]?.error)}`);
  const out = join(folder.path, "out");
  const rows = mode.adds ? await readThroughAllManifests(out) : await readThroughManifest(out);
  assert.deepEqual(await findUntracked(out), [], where);
  const ids = rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
  assert.deepEqual(ids, Array.from({ length: ROWS }, (_, i) => i + 1), where);
  return faults.fired !== null;
}

for (const [name, mode] of Object.entries(MODES)) {
  for (const kind of ["fail", "kill"] as const) {
    testMysql(servers, `${name} survives a ${kind} at every effect`, async (db) => {
      await db.run(`CREATE TABLE t (id int PRIMARY KEY, grp varchar(5), at datetime, body text, KEY (grp, id));
        INSERT INTO t WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < ${ROWS})
          SELECT g, CONCAT('g', g % 4), '2026-01-01 12:00:00' + INTERVAL FLOOR(g / 3) DAY, CONCAT('row ', g) FROM s;
        ANALYZE TABLE t`);
      let points = 0;
      while (await breakAt(db, mode, kind, points + 1)) points++;
      assert.ok(points >= 20, `only ${points} points were reached`);
    });
  }
}
