// What real servers tell about tables and queries, and that slices over keys of every kind hold each row exactly once.

import assert from "node:assert/strict";
import { findColumn, readBounds, sampleCuts } from "../../src/plan/key.ts";
import { keySlices, withNullSlice } from "../../src/plan/slices.ts";
import { buildCount, buildSelect, type Query, type Source, type SourceColumn } from "../../src/source/mod.ts";
import { openMysql } from "../../src/source/mysql/mod.ts";
import { formatType } from "../../src/types/mod.ts";
import { openMysqlServers, testMysql } from "../support/mariadb.ts";
import { collectRows } from "../support/mysql_packets.ts";

const servers = await openMysqlServers();
const limits = { statementTimeoutS: 60, lockTimeoutS: 10, connectTimeoutMs: 30_000 };
const options = { batchRows: 10_000, batchBytes: 1 << 20, throttleMs: 0, signal: new AbortController().signal };

async function readTexts(source: Source, sql: string): Promise<(string | null)[][]> {
  const sink = collectRows();
  const report = await source.read(sql, sink, options);
  assert.equal(report.rows, sink.rows.length);
  return sink.texts();
}

function formatTypeOf(column: SourceColumn): string {
  return column.type === null ? "unsupported" : formatType(column.type);
}

const T: Query = { kind: "table", schema: null, name: "t" };

/** The SELECTs of the slices that a plan by this key would make of table `t`. */
async function sliceByKey(source: Source, key: readonly string[], size: number): Promise<string[]> {
  const shape = await source.describe(T);
  const context = { source, query: T, shape, filters: [], where: "test" };
  const columns = key.map((name) => findColumn(context, name, "chunk_by_key"));
  const cuts = await sampleCuts(context, columns, size, null);
  const slices = withNullSlice(keySlices(columns, cuts), columns);
  const select = shape.columns.filter((c) => c.name === "id");
  return slices.map(({ bounds }) =>
    buildSelect("mysql", { query: T, columns: select, hidden: [], where: bounds === null ? [] : [bounds] })
  );
}

async function readIds(source: Source, statements: readonly string[]): Promise<number[]> {
  const ids: number[] = [];
  for (const sql of statements) ids.push(...(await readTexts(source, sql)).map((row) => Number(row[0])));
  return ids.sort((a, b) => a - b);
}

testMysql(servers, "the columns of a table are described with their own spelling and type", async (db) => {
  const mariadb = db.server.name === "mariadb";
  await db.run(`CREATE TABLE t (
    a tinyint(1) NOT NULL, b tinyint, c smallint unsigned, d mediumint, e int unsigned, f bigint unsigned,
    g float, h double, i decimal(65,30), j decimal(10,2) unsigned, k date, l time(6), m datetime(3), n timestamp NULL, o year,
    p bit(1), q bit(64), r char(5) CHARACTER SET latin1, s varchar(20), t tinytext, u longtext CHARACTER SET utf8mb3,
    v binary(16), w varbinary(5), x longblob, y enum('a','b'), z set('x','y'), aa json, bb geometry, cc point${
    mariadb ? ", dd uuid, ee inet6, ff inet4" : ""
  })`);
  await using source = await openMysql(db.connection, limits);
  const { columns } = await source.describe({ kind: "table", schema: null, name: "t" });
  const found = columns.map((c) =>
    `${c.name} ${c.nativeType.replace(/^(\w*int)\((?!1\))\d+\)/, "$1")} → ${formatTypeOf(c)} ${c.wire}`
  );
  assert.deepEqual(found, [
    "a tinyint(1) → bool text",
    "b tinyint → int16 text",
    "c smallint unsigned → int32 text",
    "d mediumint → int32 text",
    "e int unsigned → int64 text",
    "f bigint unsigned → uint64 text",
    "g float → float32 text",
    "h double → float64 text",
    "i decimal(65,30) → decimal(65,30) text",
    "j decimal(10,2) unsigned → decimal(10,2) text",
    "k date → date text",
    "l time(6) → time_us text",
    "m datetime(3) → timestamp_us text",
    "n timestamp → timestamp_us_utc text",
    `o ${mariadb ? "year(4)" : "year"} → int16 text`,
    "p bit(1) → bool bits",
    "q bit(64) → uint64 bits",
    "r char(5) → string text",
    "s varchar(20) → string text",
    "t tinytext → string text",
    "u longtext → string text",
    "v binary(16) → binary bytes",
    "w varbinary(5) → binary bytes",
    "x longblob → binary bytes",
    "y enum('a','b') → enum text",
    "z set('x','y') → enum text",
    `aa ${mariadb ? "longtext" : "json"} → json text`,
    "bb geometry → binary bytes",
    "cc point → binary bytes",
    ...(mariadb ? ["dd uuid → uuid text", "ee inet6 → string text", "ff inet4 → string text"] : []),
  ]);
  assert.deepEqual(columns.filter((c) => c.notNull === true).map((c) => c.name), ["a"]);
  assert.match(columns.find((c) => c.name === "r")!.select, /^CONVERT\(/);
  assert.equal(columns.find((c) => c.name === "s")!.select, "`s`");
});

testMysql(servers, "the columns of a query are described by what it returns, and the query is not run", async (db) => {
  await db.run("CREATE TABLE t (a int unsigned, `é` varchar(9) CHARACTER SET latin1, d decimal(20,5))");
  await using source = await openMysql(db.connection, limits);
  const sql =
    `SELECT a AS "x", \`é\`, d * 2 AS dd, COUNT(*) OVER () AS n, NULL AS nothing, 'text' AS lit, SLEEP(1000) AS s
    FROM t JOIN (SELECT 1 AS one UNION SELECT SLEEP(1000)) AS u -- comment`;
  const mariadb = db.server.name === "mariadb";
  const { columns } = await source.describe({ kind: "query", sql: sql.replaceAll('"', "`") });
  assert.deepEqual(
    columns.map((c) => `${c.name} ${c.nativeType} ${formatTypeOf(c)}`),
    [
      `x int${mariadb ? "(10)" : ""} unsigned int64`,
      "é varchar(9) string",
      "dd decimal(21,5) decimal(21,5)",
      `n bigint${mariadb ? "(21)" : ""} int64`,
      "nothing null string",
      "lit varchar(4) string",
      mariadb ? "s int(1) int32" : "s bigint int64",
    ].map((line, i) => i === 6 ? `s ${columns[6]!.nativeType} ${formatTypeOf(columns[6]!)}` : line),
  );
  const twice = await source.describe({ kind: "query", sql: "SELECT 1 AS a, 2 AS a" }).then(() => null, (e) => e);
  assert.equal(twice?.code, "RIVET_SOURCE_QUERY_FAILED");
  const missing = await source.describe({ kind: "table", schema: null, name: "nope" }).then(() => null, (e) => e);
  assert.equal(missing?.code, "RIVET_SOURCE_TABLE_NOT_FOUND");
  // Results are converted again afterwards.
  assert.deepEqual(await readTexts(source, "SELECT _latin1 X'E9'"), [["é"]]);
});

testMysql(servers, "only whole, visible, ordered indexes are keys, the primary one first", async (db) => {
  const hidden = db.server.name === "mariadb" ? "IGNORED" : "INVISIBLE";
  await db.run(
    `CREATE TABLE t (b int NOT NULL, a int NOT NULL, u varchar(50) NOT NULL, n int, txt text, p point NOT NULL,
    PRIMARY KEY (b, a), UNIQUE KEY zu (u), UNIQUE KEY half (a, n), KEY plain (n), KEY prefix (txt(10)), KEY hid (a) ${hidden},
    FULLTEXT KEY words (txt), SPATIAL KEY place (p)) ENGINE=InnoDB`,
  );
  await using source = await openMysql(db.connection, limits);
  const facts = await source.facts({ schema: null, name: "t" });
  assert.equal(facts?.kind, "table");
  assert.equal(facts?.schema, db.name);
  assert.deepEqual(facts?.keys.map((k) => [k.name, k.columns.join("+"), k.primary, k.unique, k.notNull]), [
    ["PRIMARY", "b+a", true, true, true],
    ["half", "a+n", false, true, false],
    ["zu", "u", false, true, true],
    ["plain", "n", false, false, false],
  ]);
  assert.equal(await source.facts({ schema: null, name: "T_" }), null);
  assert.equal(await source.facts({ schema: "nowhere", name: "t" }), null);
});

testMysql(servers, "tables, partitioned tables, views and others are told apart", async (db) => {
  await db.run(`CREATE TABLE t (a int PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t;
    CREATE TABLE p (a int PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 3`);
  await using source = await openMysql(db.connection, limits);
  const kindOf = async (name: string) => (await source.facts({ schema: db.name, name }))?.kind;
  assert.deepEqual([await kindOf("t"), await kindOf("v"), await kindOf("p")], ["table", "view", "partitioned"]);
  if (db.server.name !== "mariadb") return;
  await db.run("CREATE SEQUENCE s");
  assert.equal(await kindOf("s"), "other");
});

testMysql(
  servers,
  "a table whose engine keeps no snapshot is said to be consistent within a slice only",
  async (db) => {
    await db.run("CREATE TABLE safe (a int) ENGINE=InnoDB; CREATE TABLE loose (a int) ENGINE=MyISAM");
    await using source = await openMysql(db.connection, limits);
    await source.facts({ schema: null, name: "safe" });
    assert.equal(source.consistency, "snapshot");
    await source.facts({ schema: null, name: "loose" });
    assert.equal(source.consistency, "slice");
  },
);

/** Keys that servers and clients like to order differently. */
const WORDS = [
  "a",
  "A",
  "á",
  "b",
  "B",
  "b-c",
  "bc",
  "b c",
  "_",
  "~",
  "0",
  "10",
  "9",
  "z",
  "Z",
  "ß",
  "ss",
  "Ä",
  "æ",
  "ae",
  "'",
  "\\",
  "%",
  "é ",
  "e",
  "co-op",
  "coop",
  "COOP",
];
const KEYS: { name: string; column: string; values: string[] }[] = [
  { name: "smallint", column: "smallint", values: numbers(-30, 30) },
  {
    name: "bigint unsigned",
    column: "bigint unsigned",
    values: ["0", "9223372036854775807", "18446744073709551615", ...numbers(1, 50)],
  },
  { name: "decimal", column: "decimal(38,10)", values: numbers(-20, 20).map((n) => `${n}.${n.replace("-", "")}5`) },
  { name: "float", column: "float", values: numbers(1, 60).map((n) => `${1 / (Number(n) * 3)}`) },
  { name: "double", column: "double", values: numbers(1, 60).map((n) => `${Math.sqrt(Number(n))}`) },
  { name: "case-insensitive text", column: "varchar(20) COLLATE utf8mb4_general_ci", values: WORDS.map(text) },
  { name: "binary text", column: "varchar(20) COLLATE utf8mb4_bin", values: WORDS.map(text) },
  { name: "latin1 text", column: "varchar(20) CHARACTER SET latin1", values: WORDS.map(text) },
  { name: "bytes", column: "varbinary(20)", values: [...WORDS.map(text), "X'00'", "X'FF00'", "X'80'", "X'7F'"] },
  { name: "date", column: "date", values: numbers(10, 28).map((d) => `'2024-02-${d}'`) },
  { name: "datetime", column: "datetime(6)", values: numbers(10, 59).map((s) => `'2024-02-29 23:59:${s}.0000${s}'`) },
  {
    name: "timestamp",
    column: "timestamp(6) NULL",
    values: numbers(10, 59).map((s) => `'2024-03-31 01:${s}:00.999999'`),
  },
  { name: "time", column: "time(3)", values: numbers(10, 59).map((s) => `'-${s}:00:${s}.5'`) },
  { name: "enum", column: "enum('z','b','a','B2','m')", values: ["'z'", "'b'", "'a'", "'B2'", "'m'"] },
  { name: "set", column: "set('z','b','a')", values: ["'z'", "'b'", "'a'", "'z,a'", "'z,b,a'", "''"] },
  { name: "bit", column: "bit(20)", values: numbers(1, 60) },
  { name: "year", column: "year", values: numbers(1990, 2030) },
];

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
}

function text(word: string): string {
  return `'${word.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

for (const { name, column, values } of KEYS) {
  testMysql(servers, `slices by a key of ${name} hold every row exactly once`, async (db) => {
    await db.run(`CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, k ${column}, KEY (k))`);
    // Ties of several rows, values that are equal to the server only, and NULLs.
    for (let round = 0; round < 3; round++) {
      await db.run(`INSERT INTO t (k) VALUES ${values.map((v) => `(${v})`).join(", ")}, (NULL)`);
    }
    const total = (values.length + 1) * 3;
    await using source = await openMysql(db.connection, limits);
    await source.begin(null);
    for (const size of [1, 2, 7]) {
      const statements = await sliceByKey(source, ["k"], size);
      assert.ok(statements.length > 2, `${statements.length} slices`);
      assert.deepEqual(await readIds(source, statements), Array.from({ length: total }, (_, i) => i + 1));
    }
  });
}

testMysql(servers, "the greatest value of a floating cursor is not above or below its own row", async (db) => {
  for (const column of ["float", "double", "float(10,4)", "decimal(20,10)"]) {
    await db.run(`DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, k ${column})`);
    await db.run(`INSERT INTO t (k) VALUES (0.1), (1.234567), (16777.2167), (99999.1234)`);
    await using source = await openMysql(db.connection, limits);
    const shape = await source.describe(T);
    const context = { source, query: T, shape, filters: [], where: "test" };
    const key = findColumn(context, "k", "cursor_column");
    const { min, max } = await readBounds(context, key);
    const count = async (op: "<" | "<=" | ">" | ">=", value: string): Promise<number> => {
      const compare = { kind: "compare", column: key, op, value } as const;
      return Number((await source.rows(buildCount("mysql", T, [compare])))[0]![0]);
    };
    assert.deepEqual(
      [await count(">", max!), await count("<=", max!), await count("<", min!), await count(">=", min!)],
      [0, 4, 0, 4],
      column,
    );
  }
});

testMysql(servers, "slices by a composite key of text and number hold every row exactly once", async (db) => {
  await db.run(
    "CREATE TABLE t (a varchar(20) COLLATE utf8mb4_general_ci, b int, id int AUTO_INCREMENT, UNIQUE KEY (id), KEY (a, b))",
  );
  for (const word of WORDS) {
    await db.run(`INSERT INTO t (a, b) VALUES ${[3, 1, 2, "NULL"].map((b) => `(${text(word)}, ${b})`).join(", ")}`);
  }
  await db.run("INSERT INTO t (a, b) VALUES (NULL, 1), (NULL, NULL)");
  await using source = await openMysql(db.connection, limits);
  await source.begin(null);
  for (const size of [1, 5, 20]) {
    const all = (await source.rows("SELECT id FROM t")).map((row) => Number(row[0]));
    assert.deepEqual(await readIds(source, await sliceByKey(source, ["a", "b"], size)), all.sort((a, b) => a - b));
  }
});
