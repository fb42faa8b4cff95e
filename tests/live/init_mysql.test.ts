// `rivet init` on MariaDB and MySQL: what it writes runs unchanged, whatever tables are called and however they are keyed.

import assert from "node:assert/strict";
import type { Discovery } from "../../src/scaffold/mod.ts";
import { runEngine } from "../support/engine.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { type MysqlDatabase, openMysqlServers, testMysql } from "../support/mariadb.ts";
import { runProgram } from "../support/program.ts";
import { readThroughAllManifests } from "../support/reader.ts";

const servers = await openMysqlServers();

function toUrl({ connection: c }: MysqlDatabase, user = c.user, password = c.password ?? ""): string {
  return `mysql://${user}:${encodeURIComponent(password)}@${c.host}:${c.port}/${c.database}`;
}

async function discover(env: Record<string, string>): Promise<Discovery> {
  const { code, stdout, stderr } = await runProgram(["init", "--source-env", "DATABASE_URL", "--json"], env);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** The same config with one export, in the same place: it goes on where the other one was. */
async function initOrders(env: Record<string, string>, folder: string): Promise<string> {
  const path = join(folder, "pilot.yaml");
  const { code, stderr } = await runProgram(
    ["init", "--source-env", "DATABASE_URL", "--table", "orders", "-o", path, "--force"],
    env,
  );
  assert.equal(code, 0, stderr);
  return path;
}

const digits = (n: number) =>
  `(SELECT 0 AS d${n} UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
  UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) AS t${n}`;

const STRANGE = `
  CREATE TABLE numbers (n int PRIMARY KEY);
  INSERT INTO numbers SELECT d1 + d2 * 10 + d3 * 100 + d4 * 1000 + d5 * 10000 + d6 * 100000 AS n
    FROM ${[1, 2, 3, 4, 5, 6].map(digits).join(", ")} HAVING n < 150000;
  CREATE TABLE orders (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, price decimal(10,2), flag tinyint(1), body json,
    updated_at datetime(6), created_at datetime(6) NOT NULL);
  INSERT INTO orders (price, flag, body, updated_at, created_at)
    SELECT n / 7, n % 2, '{}', IF(n % 2 = 0, NOW(6), NULL), NOW(6) FROM numbers WHERE n < 50;
  CREATE TABLE sparse (id bigint PRIMARY KEY, v text);
  INSERT INTO sparse SELECT n * 1000, 'x' FROM numbers;
  CREATE TABLE pair (a int, b varchar(20), v int, PRIMARY KEY (a, b));
  INSERT INTO pair SELECT n DIV 3, n, n FROM numbers;
  CREATE TABLE by_text (id char(36) PRIMARY KEY, updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP);
  INSERT INTO by_text (id) SELECT MD5(n) FROM numbers;
  CREATE TABLE keyless (v int, w text);
  INSERT INTO keyless SELECT n, 'x' FROM numbers;
  CREATE TABLE \`select\` (id int PRIMARY KEY, \`from\` text);
  INSERT INTO \`select\` VALUES (1, 'x');
  CREATE TABLE \`we\`\`ird name\` (id int PRIMARY KEY, \`a"b\` text);
  INSERT INTO \`we\`\`ird name\` VALUES (1, 'x');
  CREATE TABLE заказы (id int PRIMARY KEY);
  INSERT INTO заказы VALUES (1);
  CREATE VIEW latest AS SELECT id, price FROM orders;
  CREATE TABLE gone (a int); CREATE VIEW broken AS SELECT * FROM gone; DROP TABLE gone;
  CREATE TABLE parts (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY HASH (id) PARTITIONS 3;
  INSERT INTO parts SELECT n, '2024-01-01' FROM numbers WHERE n < 40;
  CREATE TABLE in_memory (id int PRIMARY KEY) ENGINE = MyISAM;
  INSERT INTO in_memory VALUES (1);
  CREATE TABLE unseen (id int INVISIBLE AUTO_INCREMENT PRIMARY KEY, v int);
  INSERT INTO unseen (v) SELECT n FROM numbers;
  CREATE TABLE tmp_load (a int); CREATE TABLE orders_bak (a int);
  ANALYZE TABLE numbers, orders, sparse, pair, by_text, keyless, unseen`;

testMysql(servers, "a database full of strange tables becomes a config that runs unchanged", async (db) => {
  await using folder = await temporaryFolder();
  await db.run(STRANGE);
  const env = { DATABASE_URL: toUrl(db) };
  const path = join(folder.path, "pilot.yaml");
  const { code, stderr } = await runProgram(
    ["init", "--source-env", "DATABASE_URL", "--schema", db.name, "-o", path],
    env,
  );
  assert.equal(code, 0, stderr);
  const yaml = await Deno.readTextFile(path);
  assert.ok(!yaml.includes("test`"));
  assert.match(yaml, /^# - broken: the view cannot be read$/m);
  assert.match(yaml, /^# - orders_bak: its name looks like a backup table$/m);
  assert.match(yaml, /query: "SELECT \* FROM `we``ird name`"/);
  assert.match(yaml, /its engine MyISAM keeps no snapshot/);
  assert.match(yaml, /'flag': tinyint\(1\) is read as bool/);
  const found = await discover(env);
  assert.deepEqual(
    found.tables.map((t) => `${t.table} ${t.suggested_mode} ${t.chunk_key ?? t.cursor_candidates[0]?.column ?? "-"}`),
    [
      "by_text chunked id",
      "in_memory full id",
      "keyless full -",
      "latest full -",
      "numbers chunked n",
      "orders incremental updated_at",
      "pair chunked a,b",
      "parts full -",
      "select full id",
      "sparse chunked id",
      "unseen full -",
      "we`ird name full id",
      "заказы full id",
    ],
  );
  const result = await runEngine({ configPath: path, env });
  assert.deepEqual(result.per_export.filter((entry) => entry.status !== "success"), []);
  assert.deepEqual(Object.fromEntries(result.per_export.map((entry) => [entry.export_name, entry.rows])), {
    by_text: 150_000,
    in_memory: 1,
    keyless: 150_000,
    latest: 50,
    numbers: 150_000,
    orders: 50,
    pair: 150_000,
    parts: 40,
    select: 1,
    sparse: 150_000,
    unseen: 150_000,
    we_ird_name: 1,
    заказы: 1,
  });
  // Looking back for late commits exports nothing twice.
  const again = await runEngine({ configPath: await initOrders(env, folder.path), env });
  assert.deepEqual(again.per_export.map((entry) => `${entry.export_name} ${entry.status} ${entry.rows}`), [
    "orders success 0",
  ]);
  for (const [name, rows] of [["orders", 50], ["we_ird_name", 1], ["заказы", 1]] as const) {
    assert.equal((await readThroughAllManifests(join(folder.path, "output", name))).length, rows, name);
  }
});

testMysql(servers, "a table of another database is named with it", async (db) => {
  await db.run("CREATE TABLE t (id int PRIMARY KEY)");
  const env = { DATABASE_URL: toUrl({ ...db, connection: { ...db.connection, database: "mysql" } }) };
  const { stdout } = await runProgram(["init", "--source-env", "DATABASE_URL", "--table", `${db.name}.t`], env);
  assert.match(stdout, new RegExp(`^ {4}table: ${db.name}\\.t$`, "m"));
});

testMysql(servers, "types of the listing are those of a described result", async (db) => {
  const types = [
    "tinyint",
    "tinyint(1)",
    "tinyint unsigned",
    "smallint unsigned",
    "mediumint",
    "int unsigned",
    "bigint",
  ];
  types.push("bigint unsigned", "decimal(10,2)", "decimal(5)", "decimal(65,30) unsigned", "float", "double", "bit(1)");
  types.push("bit(7)", "bit(64)", "year", "date", "time(3)", "datetime(6)", "timestamp NULL", "char(3)", "varchar(20)");
  types.push("text", "longtext", "binary(16)", "varbinary(5)", "blob", "enum('a(1)','b')", "set('a')", "point");
  await db.run(`CREATE TABLE t (${types.map((type, i) => `c${i} ${type}`).join(", ")})`);
  const { listTables, openSource } = await import("../../src/source/mod.ts");
  await using source = await openSource({ engine: "mysql", ...db.connection }, {
    statementTimeoutS: 30,
    lockTimeoutS: 5,
    connectTimeoutMs: 30_000,
  });
  const { columns } = await source.describe({ kind: "table", schema: null, name: "t" });
  const [table] = (await listTables(source, null)).tables;
  assert.deepEqual(
    table!.columns.map(({ name, nativeType, type }) => ({ name, nativeType, type })),
    columns.map(({ name, nativeType, type }) => ({ name, nativeType, type })),
  );
});

testMysql(servers, "a user without rights on a table, another database and an empty one are told apart", async (db) => {
  const user = `r_${db.name.slice(0, 20)}`;
  await db.run(`CREATE TABLE open (id int PRIMARY KEY); CREATE TABLE closed (id int PRIMARY KEY);
    CREATE USER ${user}@'%' IDENTIFIED BY 'reader'; GRANT SELECT ON ${db.name}.open TO ${user}@'%';
    GRANT INSERT ON ${db.name}.closed TO ${user}@'%'`);
  try {
    const env = { DATABASE_URL: toUrl(db, user, "reader") };
    const found = await discover(env);
    assert.deepEqual(found.tables.map((t) => t.table), ["open"]);
    assert.deepEqual(found.left_out, [{ table: "closed", reason: "no right to SELECT all of its columns" }]);
    const other = await runProgram(["init", "--source-env", "DATABASE_URL", "--schema", "mysql"], env);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /'--schema mysql' is not the database of the URL/);
  } finally {
    await db.run(`DROP USER ${user}@'%'`);
  }
  await db.run("DROP TABLE open, closed");
  const none = await runProgram(["init", "--source-env", "DATABASE_URL"], { DATABASE_URL: toUrl(db) });
  assert.match(none.stderr, /RIVET_INIT_NO_TABLES.*has no tables that this user can see/s);
});
