// The n-th effect fails, or the process dies there, with a real MySQL server as the source; then the same command again, until nothing
// is left to break. The rows that the manifest names are the table's rows, each once.

import assert from "node:assert/strict";
import { runEngine } from "../support/engine.ts";
import { type FaultKind, Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { type MysqlDatabase, openMysqlServers, testMysql } from "../support/mariadb.ts";
import type { Source } from "../../src/source/mod.ts";
import { slowSource } from "../support/slow_source.ts";
import { findUntracked, readThroughAllManifests, readThroughManifest, type Row } from "../support/reader.ts";

const servers = await openMysqlServers();
const ROWS = 40;

interface Mode {
  readonly settings: object;
  /** Rows of several runs add up; otherwise the last run is the whole picture. */
  readonly adds?: boolean;
  /** Statements seem to take long, so that chunks are read in several. */
  readonly slow?: boolean;
  /** Rows without a time do not belong to the export. */
  readonly timedOnly?: boolean;
  /** Folders below the destination that each hold a picture of their own. */
  readonly folders?: readonly string[];
}

const MODES: Record<string, Mode> = {
  full: { settings: { mode: "full" } },
  "chunked by range in two lanes": { settings: { mode: "chunked", chunk_column: "id", chunk_size: 15, parallel: 2 } },
  "chunked by range with slow statements": {
    settings: {
      mode: "chunked",
      chunk_column: "id",
      chunk_size: 15,
      tuning: { chunk_max_statement_s: 0.005, chunk_min_rows: 2 },
    },
    slow: true,
  },
  "chunked by key": { settings: { mode: "chunked", chunk_by_key: ["grp", "id"], chunk_size: 15 } },
  "chunked by days": { settings: { mode: "chunked", chunk_column: "at", chunk_by_days: 4 } },
  "chunked densely": { settings: { mode: "chunked", chunk_column: "id", chunk_dense: true, chunk_size: 15 } },
  "chunked by range to CSV": { settings: { mode: "chunked", chunk_column: "id", chunk_size: 15, format: "csv" } },
  "time window": {
    settings: { mode: "time_window", time_column: "at", days_window: 36500 },
    timedOnly: true,
  },
  partitioned: {
    settings: { mode: "full", partition_by: "at", partition_granularity: "year" },
    folders: ["2026", "__HIVE_DEFAULT_PARTITION__"],
  },
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
    format: "parquet",
    destination: { type: "local", path: mode.folders === undefined ? "out" : "out/{partition}" },
    ...mode.settings,
  };
  await Deno.writeTextFile(configPath, JSON.stringify({ source, exports: [entry] }));
  const env = { TEST_PASSWORD: password ?? "" };
  const faults = new Faults(at, kind);
  const wrapSource = mode.slow ? slowSource().wrap : (source: Source) => source;
  const first = await runEngine({ configPath, env, faults, wrapSource }).catch((error) => error);
  if (faults.fired === null) assert.equal(first.failed_count, 0, JSON.stringify(first.per_export?.[0]?.error));
  const second = await runEngine({ configPath, env, wrapSource });
  const where = `${kind} at ${at} (${faults.fired})`;
  assert.equal(second.failed_count, 0, `${where}: ${JSON.stringify(second.per_export[0]?.error)}`);
  const rows: Row[] = [];
  for (const part of mode.folders ?? ["."]) {
    const out = join(folder.path, "out", part);
    rows.push(...mode.adds ? await readThroughAllManifests(out) : await readThroughManifest(out));
    assert.deepEqual(await findUntracked(out), [], where);
  }
  const ids = rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
  const every = Array.from({ length: ROWS }, (_, i) => i + 1);
  assert.deepEqual(ids, mode.timedOnly ? every.filter((id) => id % 10 !== 0) : every, where);
  return faults.fired !== null;
}

for (const [name, mode] of Object.entries(MODES)) {
  for (const kind of ["fail", "kill"] as const) {
    testMysql(servers, `${name} survives a ${kind} at every effect`, async (db) => {
      await db.run(`CREATE TABLE t (id int PRIMARY KEY, grp varchar(5), at datetime, body text, KEY (grp, id));
        INSERT INTO t WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < ${ROWS})
          SELECT g, CONCAT('g', g % 4), IF(g % 10 = 0, NULL, '2026-01-25 12:00:00' + INTERVAL FLOOR(g / 3) DAY), CONCAT('row ', g) FROM s;
        ANALYZE TABLE t`);
      let points = 0;
      while (await breakAt(db, mode, kind, points + 1)) points++;
      assert.ok(points >= 20, `only ${points} points were reached`);
    });
  }
}
