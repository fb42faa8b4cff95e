// The engine on real MySQL servers with writers at work: one picture where it can be had, said where not; no row lost, none twice.

import assert from "node:assert/strict";
import type { ServerConnection } from "../../src/source/mod.ts";
import { runEngine } from "../support/engine.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { openMysqlServers, runSql, testMysql } from "../support/mariadb.ts";
import { slowSource } from "../support/slow_source.ts";
import { readManifestFile, readThroughAllManifests, readThroughManifest } from "../support/reader.ts";

const servers = await openMysqlServers();

async function writeConfig(folder: string, connection: ServerConnection, exports: readonly object[]): Promise<string> {
  const path = join(folder, "rivet.yaml");
  const { host, port, user, database } = connection;
  const source = {
    type: "mysql",
    host,
    port,
    user,
    password_env: "TEST_PASSWORD",
    database,
    tuning: { profile: "fast" },
  };
  // JSON is YAML.
  await Deno.writeTextFile(path, JSON.stringify({ source, exports }));
  return path;
}

async function runOnce(configPath: string, connection: ServerConnection) {
  const result = await runEngine({ configPath, env: { TEST_PASSWORD: connection.password ?? "" } });
  assert.equal(result.failed_count, 0, JSON.stringify(result.per_export.map((e) => e.error)));
  return result;
}

const toFolder = (path: string) => ({ format: "parquet", destination: { type: "local", path } });

/** Moves money between random accounts in transactions until told to stop. */
async function moveMoney(connection: ServerConnection, accounts: number, stop: { now: boolean }): Promise<void> {
  const statements = (i: number) => {
    const [from, to] = [1 + (i * 7919) % accounts, 1 + (i * 104729) % accounts];
    return `START TRANSACTION; UPDATE account SET amount = amount - 7 WHERE id = ${from};
      UPDATE account SET amount = amount + 7 WHERE id = ${to}; COMMIT`;
  };
  for (let i = 0; !stop.now; i += 20) {
    await runSql(connection, Array.from({ length: 20 }, (_, k) => statements(i + k)).join(";"));
  }
}

const CUTS: Record<string, object> = {
  range: { mode: "chunked", chunk_column: "id", chunk_size: 250 },
  key: { mode: "chunked", chunk_by_key: "id", chunk_size: 250 },
  full: { mode: "full" },
};

for (const [name, cut] of Object.entries(CUTS)) {
  testMysql(servers, `the sum over accounts never changes while money moves between chunks (${name})`, async (db) => {
    await using folder = await temporaryFolder();
    await db.run(`CREATE TABLE account (id int PRIMARY KEY, amount bigint NOT NULL, pad text);
      INSERT INTO account WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 900)
        SELECT g, 1000, REPEAT('x', 2000) FROM s;
      INSERT INTO account SELECT id + 900, 1000, pad FROM account; ANALYZE TABLE account`);
    const entry = { name: "account", table: "account", parallel: 3, ...cut, ...toFolder("out") };
    const configPath = await writeConfig(folder.path, db.connection, [entry]);
    const stop = { now: false };
    const moving = moveMoney(db.connection, 1800, stop);
    const levels = new Set<string | undefined>();
    try {
      for (let round = 0; round < 4; round++) {
        await runOnce(configPath, db.connection);
        const out = join(folder.path, "out");
        const rows = await readThroughManifest(out);
        assert.equal(rows.length, 1800);
        const sum = rows.reduce((total, row) => total + Number(row["amount"]), 0);
        const level = (await readManifestFile(out))?.source.extraction.consistency;
        levels.add(level);
        // A busy machine may open a lane too late; then the level must say so.
        if (level === "snapshot") assert.equal(sum, 1_800_000);
        else assert.equal(level, "slice");
        if (name === "full") assert.equal(level, "snapshot");
      }
      assert.ok(levels.has("snapshot"), "no round had one picture");
    } finally {
      stop.now = true;
      await moving;
    }
  });
}

testMysql(
  servers,
  "lanes of an account that may not hold writers back are consistent within a chunk, and say so",
  async (db) => {
    await using folder = await temporaryFolder();
    const user = `e_${db.name.slice(2, 12)}`;
    await db.run(`CREATE USER ${user}@'%' IDENTIFIED BY 'p'; GRANT SELECT ON ${db.name}.* TO ${user}@'%';
    CREATE TABLE account (id int PRIMARY KEY, amount bigint); INSERT INTO account VALUES (1, 1), (2, 2), (3, 3), (4, 4)`);
    try {
      const connection = { ...db.connection, user, password: "p" };
      const cut = { mode: "chunked", chunk_column: "id", chunk_count: 2, parallel: 2 };
      const entry = { name: "account", table: "account", ...cut, ...toFolder("out") };
      await runOnce(await writeConfig(folder.path, connection, [entry]), connection);
      const manifest = await readManifestFile(join(folder.path, "out"));
      assert.equal(manifest?.source.extraction.consistency, "slice");
      assert.equal((await readThroughManifest(join(folder.path, "out"))).length, 4);
    } finally {
      await db.run(`DROP USER ${user}@'%'`);
    }
  },
);

testMysql(servers, "rows that tie on the last value arrive with a later run, each once", async (db) => {
  await using folder = await temporaryFolder();
  await db.run(`CREATE TABLE t (id int, at datetime(3));
    INSERT INTO t VALUES (1, '2026-01-01'), (2, '2026-01-02'), (3, '2026-01-02')`);
  const entry = { name: "t", table: "t", mode: "incremental", cursor_column: "at", ...toFolder("out") };
  const configPath = await writeConfig(folder.path, db.connection, [entry]);
  await runOnce(configPath, db.connection);
  await db.run("INSERT INTO t VALUES (4, '2026-01-02'), (2, '2026-01-02')");
  await runOnce(configPath, db.connection);
  await runOnce(configPath, db.connection);
  await db.run("INSERT INTO t VALUES (5, '2026-01-02')");
  await runOnce(configPath, db.connection);
  const ids = (await readThroughAllManifests(join(folder.path, "out"))).map((row) => Number(row["id"])).sort();
  assert.deepEqual(ids, [1, 2, 2, 3, 4, 5]);
});

testMysql(servers, "cursors of every orderable type add up to the table over several runs", async (db) => {
  await using folder = await temporaryFolder();
  const columns: Record<string, [string, (i: number) => string]> = {
    c_int: ["int", (i) => String(i)],
    c_ubig: ["bigint unsigned", (i) => String(18446744073709551000n + BigInt(i))],
    c_float: ["float", (i) => String(i / 7)],
    c_double: ["double", (i) => String(i / 7)],
    c_decimal: ["decimal(38,12)", (i) => `${i}.000000000${100 + i}`],
    c_date: ["date", (i) => `'2024-01-${10 + i}'`],
    c_at: ["datetime(6)", (i) => `'2024-01-01 00:00:00.0000${10 + i}'`],
    c_ts: ["timestamp(6) NULL", (i) => `'2024-03-31 01:${10 + i}:00.000001'`],
    c_text: ["varchar(20) COLLATE utf8mb4_general_ci", (i) => `'${i % 2 ? "k" : "K"}${10 + i}'`],
    c_bytes: ["varbinary(20)", (i) => `X'FF${10 + i}'`],
  };
  const names = Object.keys(columns);
  await db.run(`CREATE TABLE t (id int PRIMARY KEY, ${names.map((n) => `${n} ${columns[n]![0]}`).join(", ")})`);
  const insert = (i: number) =>
    db.run(`INSERT INTO t VALUES (${i}, ${names.map((n) => columns[n]![1](i)).join(", ")})`);
  const exports = names.map((name) => ({
    name,
    table: "t",
    mode: "incremental",
    cursor_column: name,
    ...toFolder(`out/${name}`),
  }));
  const configPath = await writeConfig(folder.path, db.connection, exports);
  for (const batch of [[1, 2, 3], [4], [], [5, 6, 7]]) {
    for (const i of batch) await insert(i);
    await runOnce(configPath, db.connection);
  }
  for (const name of names) {
    const rows = await readThroughAllManifests(join(folder.path, "out", name));
    assert.deepEqual(rows.map((row) => Number(row["id"])).sort(), [1, 2, 3, 4, 5, 6, 7], name);
  }
});

testMysql(servers, "a table without an integer key is cut by its own key when nothing is said", async (db) => {
  await using folder = await temporaryFolder();
  await db.run(`CREATE TABLE t (a varchar(40) COLLATE utf8mb4_general_ci, b date, body text, PRIMARY KEY (a, b));
    INSERT INTO t WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 900)
      SELECT CONCAT('k', g % 30), '2024-01-01' + INTERVAL g DAY, MD5(g) FROM s;
    ANALYZE TABLE t`);
  const entry = { name: "t", table: "t", mode: "chunked", chunk_size: 100, parallel: 2, ...toFolder("out") };
  const result = await runOnce(await writeConfig(folder.path, db.connection, [entry]), db.connection);
  assert.ok(result.per_export[0]!.slices >= 8, `${result.per_export[0]!.slices} slices`);
  const rows = await readThroughManifest(join(folder.path, "out"));
  assert.equal(new Set(rows.map((row) => row["body"])).size, 900);
  assert.equal(rows.length, 900);
});

testMysql(servers, "keys of every kind and NULL keys cover a table exactly", async (db) => {
  await using folder = await temporaryFolder();
  await db.run(
    `CREATE TABLE wide (id int, code varchar(20) COLLATE utf8mb4_general_ci, u binary(16), f float, e enum('z','b','a'), pad text,
      KEY (id), KEY (code, u), KEY (u), KEY (f), KEY (e));
    INSERT INTO wide WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 1000)
      SELECT NULLIF(g % 97, 5), CONCAT('K', g * 7919 % 500), UNHEX(MD5(g)), g / 7, ELT(1 + g % 3, 'z', 'b', 'a'), 'p' FROM s;
    ANALYZE TABLE wide`,
  );
  const chunked = (more: object) => ({ mode: "chunked", parallel: 2, ...more });
  const cuts: Record<string, object> = {
    range: chunked({ chunk_column: "id", chunk_size: 10 }),
    text: chunked({ chunk_by_key: ["code", "u"], chunk_size: 150 }),
    bytes: chunked({ chunk_by_key: "u", chunk_size: 100 }),
    float: chunked({ chunk_by_key: "f", chunk_size: 90 }),
    enum: chunked({ chunk_by_key: "e", chunk_size: 100 }),
    count: chunked({ chunk_column: "id", chunk_count: 7 }),
  };
  const exports = Object.entries(cuts).map(([name, cut]) => ({
    name,
    table: "wide",
    ...cut,
    ...toFolder(`out/${name}`),
  }));
  const result = await runOnce(await writeConfig(folder.path, db.connection, exports), db.connection);
  for (const summary of result.per_export) {
    assert.ok(summary.slices > 1, `${summary.export_name} has ${summary.slices} slices`);
    const rows = await readThroughManifest(join(folder.path, "out", summary.export_name));
    assert.equal(rows.length, 1000, summary.export_name);
    assert.equal(new Set(rows.map((row) => String(row["f"]))).size, 1000, summary.export_name);
  }
});

const SLOW_CUTS: Record<string, object> = {
  range: { chunk_column: "id", chunk_size: 400 },
  "text key": { chunk_by_key: "code", chunk_size: 400 },
  "composite key": { chunk_by_key: ["grp", "id"], chunk_size: 400 },
  days: { chunk_column: "at", chunk_by_days: 10 },
};

for (const [name, cut] of Object.entries(SLOW_CUTS)) {
  for (const parallel of [1, 2]) {
    testMysql(servers, `after a slow statement the next ones are shorter (${name}, ${parallel} lanes)`, async (db) => {
      await using folder = await temporaryFolder();
      await db.run(`CREATE TABLE t (id int PRIMARY KEY, grp int NOT NULL, at datetime, code varchar(20) NOT NULL,
          KEY (code), KEY (grp, id));
        INSERT INTO t WITH RECURSIVE s(g) AS (SELECT 0 UNION ALL SELECT g + 2 FROM s WHERE g < 1998)
          SELECT g, g % 7, IF(g % 50 = 8, NULL, '2026-01-01' + INTERVAL FLOOR(g * 36) MINUTE), CONCAT('k', g * 7919 % 2000)
          FROM s;
        INSERT INTO t SELECT id + 1, grp, at, CONCAT('K', code) FROM t;
        ANALYZE TABLE t`);
      // A millisecond a row: 400 rows are four times too slow, 80 fit.
      const tuning = { profile: "fast", chunk_max_statement_s: 0.1, chunk_min_rows: 50 };
      const entry = { name: "t", table: "t", mode: "chunked", parallel, tuning, ...cut, ...toFolder("out") };
      const configPath = await writeConfig(folder.path, db.connection, [entry]);
      const slow = slowSource();
      const env = { TEST_PASSWORD: db.connection.password ?? "" };
      const result = await runEngine({ configPath, env, wrapSource: slow.wrap });
      const summary = result.per_export[0]!;
      assert.equal(result.failed_count, 0, JSON.stringify(summary.error));
      const rows = await readThroughManifest(join(folder.path, "out"));
      assert.deepEqual(
        rows.map((row) => Number(row["id"])).sort((a, b) => a - b),
        Array.from({ length: 2000 }, (_, id) => id),
      );
      assert.equal(summary.files, summary.slices, "a chunk is one file, however many statements it took");
      // Lanes that began before anything was known read one long statement each; the slice of NULL keys cannot be cut.
      const long = slow.statements.filter((size) => size > 100).length;
      assert.ok(long <= parallel, `${slow.statements}`);
      assert.ok(slow.statements.length > 2 * summary.slices, `${slow.statements}`);
      // What is left at the end of a chunk may be less.
      const short = slow.statements.filter((size) => size < 50).length;
      assert.ok(short <= summary.slices + 1, `${slow.statements}`);
      assert.equal(summary.warnings.filter((w) => w.includes("chunk_max_statement_s")).length, 1);
      const level = (await readManifestFile(join(folder.path, "out")))?.source.extraction.consistency;
      assert.ok(parallel > 1 || level === "snapshot");
    });
  }
}

testMysql(servers, "without a snapshot a chunk stays one statement, and the slow one is told", async (db) => {
  await using folder = await temporaryFolder();
  await db.run(`CREATE TABLE t (id int PRIMARY KEY) ENGINE=MyISAM;
    INSERT INTO t WITH RECURSIVE s(g) AS (SELECT 0 UNION ALL SELECT g + 1 FROM s WHERE g < 899) SELECT g FROM s`);
  const tuning = { profile: "fast", chunk_max_statement_s: 0.1, chunk_min_rows: 50 };
  const cut = { mode: "chunked", chunk_column: "id", chunk_size: 300, tuning };
  const configPath = await writeConfig(folder.path, db.connection, [{
    name: "t",
    table: "t",
    ...cut,
    ...toFolder("out"),
  }]);
  const slow = slowSource();
  const env = { TEST_PASSWORD: db.connection.password ?? "" };
  const result = await runEngine({ configPath, env, wrapSource: slow.wrap });
  assert.deepEqual(slow.statements, [300, 300, 300]);
  assert.match(result.per_export[0]!.warnings.join("; "), /without a snapshot .* smaller chunk_size/);
  assert.equal((await readManifestFile(join(folder.path, "out")))?.source.extraction.consistency, "slice");
});

testMysql(servers, "zero dates that became NULL are counted over all chunks and told", async (db) => {
  await using folder = await temporaryFolder();
  await db.run(`CREATE TABLE t (id int PRIMARY KEY, d date NOT NULL, at datetime NULL); SET sql_mode = '';
    INSERT INTO t VALUES (1, '0000-00-00', NULL), (2, '2024-01-01', '2024-00-01'), (3, '2024-01-00', NULL), (4, '2024-01-02', NULL)`);
  const entry = { name: "t", table: "t", mode: "chunked", chunk_column: "id", chunk_count: 2, ...toFolder("out") };
  const configPath = await writeConfig(folder.path, db.connection, [entry]);
  const config = JSON.parse(await Deno.readTextFile(configPath));
  config.source.zero_dates = "null";
  await Deno.writeTextFile(configPath, JSON.stringify(config));
  const result = await runOnce(configPath, db.connection);
  const told = result.per_export[0]!.warnings.filter((warning) => warning.includes("zero dates"));
  assert.deepEqual(told.map((warning) => warning.slice(0, 26)), [
    "column 'd': 2 zero dates b",
    "column 'at': 1 zero dates ",
  ]);
  const rows = await readThroughManifest(join(folder.path, "out"));
  assert.deepEqual(rows.map((row) => row["d"] === null), [true, false, true, false]);
});
