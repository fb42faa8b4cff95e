// Every type of real servers through the core into Parquet, read by two other programs and compared with the database's own text.

import assert from "node:assert/strict";
import { DuckDBInstance } from "@duckdb/node-api";
import { RivetError } from "../../src/errors.ts";
import { openPostgres, type PostgresSource } from "../../src/source/postgres/mod.ts";
import { formatType, type LogicalType } from "../../src/types/mod.ts";
import { encodeQuery } from "../support/encode.ts";
import { type Cell, readWithDuckdb, readWithHyparquet } from "../support/exact_parquet.ts";
import { openPostgresServer, type TestDatabase, withDatabase } from "../support/postgres.ts";
import { chooseSeed } from "../support/random.ts";

const servers = [await openPostgresServer(18), await openPostgresServer(12)];
const limits = { statementTimeoutS: 60, lockTimeoutS: 10, connectTimeoutMs: 30_000 };
const RANDOM_ROWS = 200;
const SEED = chooseSeed() % 1_000_000;

interface Kind {
  /** The column's type; also names the kind. */
  readonly type: string;
  /** What the column must become. */
  readonly becomes: string;
  /** Literals without quotes. */
  readonly special: readonly string[];
  /** An expression that gives another value for each row `g`. */
  readonly random?: string;
  /** The canonical text of a value `c`, as the server says it. @default c::text */
  readonly text?: string;
  /** What both readers give for that text. @default the text itself */
  readonly expect?: (text: string) => string;
  readonly since?: number;
}

const float = (text: string) => {
  const value = text === "Infinity" ? Infinity : text === "-Infinity" ? -Infinity : Number(text);
  return Object.is(value, -0) ? "-0" : String(value);
};
const real = (text: string) => {
  const value = Number(text);
  return Number.isFinite(value)
    ? float(String(Math.fround(value))).replace(/^0$/, text.startsWith("-") ? "-0" : "0")
    : float(text);
};

function plainText(type: string, special: readonly string[], random?: string, since?: number): Kind {
  return {
    type,
    becomes: "string",
    special,
    ...(random === undefined ? {} : { random }),
    ...(since === undefined ? {} : { since }),
  };
}

const KINDS: readonly Kind[] = [
  {
    type: "bool",
    becomes: "bool",
    special: ["t", "f"],
    text: "CASE c WHEN true THEN 'true' WHEN false THEN 'false' END",
  },
  { type: "int2", becomes: "int16", special: ["-32768", "32767", "0"], random: "(random() * 60000 - 30000)::int2" },
  {
    type: "int4",
    becomes: "int32",
    special: ["-2147483648", "2147483647", "0"],
    random: "(random() * 4e9 - 2e9)::int4",
  },
  {
    type: "int8",
    becomes: "int64",
    special: ["-9223372036854775808", "9223372036854775807", "0", "9007199254740993"],
    random: "(random() * 1.8e19 - 9e18)::int8",
  },
  { type: "oid", becomes: "int64", special: ["0", "4294967295", "2147483648"] },
  {
    type: "float4",
    becomes: "float32",
    special: ["0", "-0", "1.5", "NaN", "Infinity", "-Infinity", "1e-45", "-3.4028235e38", "1.1754944e-38", "16777217"],
    random: "(random() * 1000 - 500)::float4",
    expect: real,
  },
  {
    type: "float8",
    becomes: "float64",
    special: ["0", "-0", "0.1", "NaN", "Infinity", "-Infinity", "5e-324", "1.7976931348623157e308", "9007199254740993"],
    random: "random() * 1e6 - 5e5",
    expect: float,
  },
  {
    type: "numeric(10,2)",
    becomes: "decimal(10,2)",
    special: ["0", "99999999.99", "-99999999.99", "0.01", "-0.01", "10000", "00000000.00"],
    random: "(random() * 2e7 - 1e7)::numeric(10,2)",
  },
  {
    type: "numeric(38,9)",
    becomes: "decimal(38,9)",
    special: ["99999999999999999999999999999.999999999", "-99999999999999999999999999999.999999999", "0.000000001"],
    random: "(random()::numeric * 1e28 - 5e27)::numeric(38,9)",
  },
  {
    type: "numeric(76,38)",
    becomes: "decimal(76,38)",
    special: [
      `${"9".repeat(38)}.${"9".repeat(38)}`,
      `-${"9".repeat(38)}.${"9".repeat(38)}`,
      "1",
      `0.${"0".repeat(37)}1`,
    ],
    random: "(random()::numeric * 1e37)::numeric(76,38)",
  },
  { type: "numeric(4,0)", becomes: "decimal(4,0)", special: ["9999", "-9999", "0", "1000"] },
  { type: "numeric(20,20)", becomes: "decimal(20,20)", special: [`0.${"9".repeat(20)}`, `-0.${"0".repeat(19)}1`] },
  { type: "numeric(3,-2)", becomes: "decimal(5,0)", special: ["99900", "-12300", "0"], since: 15 },
  { type: "numeric(2,4)", becomes: "decimal(4,4)", special: ["0.0099", "-0.0012", "0"], since: 15 },
  {
    type: "numeric",
    becomes: "string",
    special: ["NaN", "0", "-0.10", "1e100", `1.${"3".repeat(200)}`, "12345678901234567890.123456789"],
    random: "(random()::numeric * 1e15)",
  },
  { type: "numeric(100,50)", becomes: "string", special: ["1", "-0.5", "NaN"] },
  {
    type: "date",
    becomes: "date",
    special: ["1970-01-01", "1969-12-31", "2000-02-29", "0001-01-01", "9999-12-31", "1582-10-10"],
    random: "date '1900-01-01' + (random() * 80000)::int",
  },
  {
    type: "time",
    becomes: "time_us",
    special: ["00:00", "23:59:59.999999", "12:00:00.000001"],
    random: "time '00:00' + random() * interval '23 hours'",
    text: "to_char(c, 'HH24:MI:SS.US')",
  },
  {
    type: "timestamp",
    becomes: "timestamp_us",
    special: [
      "1970-01-01",
      "1969-12-31 23:59:59.999999",
      "0001-01-01",
      "9999-12-31 23:59:59.999999",
      "2000-01-01 00:00:00.5",
    ],
    random: "timestamp '1950-01-01' + random() * interval '100 years'",
    text: "to_char(c, 'YYYY-MM-DD HH24:MI:SS.US')",
  },
  {
    type: "timestamp(0)",
    becomes: "timestamp_us",
    special: ["1970-01-01 00:00:00.4", "2024-02-29 12:34:56.5"],
    text: "to_char(c, 'YYYY-MM-DD HH24:MI:SS.US')",
  },
  {
    type: "timestamptz",
    becomes: "timestamp_us_utc",
    special: [
      "1970-01-01 00:00+05:30",
      "1900-01-01 00:00 Europe/Amsterdam",
      "2024-03-31 02:30:00-08",
    ],
    random: "timestamptz '1950-01-01Z' + random() * interval '100 years'",
    text: "to_char(c AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
  },
  {
    type: "interval",
    becomes: "interval",
    special: [
      "0",
      "1 year 2 months 3 days 04:05:06.789",
      "-1 year -2 months",
      "1 day -00:00:00.000001",
      "25:01:01",
      "-178000000 years",
      "-00:00:01.5",
      "1 month -1 day",
      "1 year -2 months 3 days -04:00:00",
    ],
    random: "(random() * 1e6 - 5e5) * interval '1 second' + (random() * 100)::int * interval '1 month'",
  },
  {
    type: "text",
    becomes: "string",
    special: ["", " ", "NULL", "a\\b", 'quo"te', "it''s", "tab\tnew\nline\r", "Ünïcödé 表 🚀", "x".repeat(100_000)],
    random: "md5(random()::text)",
  },
  { type: "varchar(10)", becomes: "string", special: ["", "  pad  ", "Ünïcödé"] },
  { type: "char(5)", becomes: "string", special: ["", "ab", "  a"], text: "rpad(c::text, 5)" },
  { type: "name", becomes: "string", special: ["pg_class", ""] },
  {
    type: "bytea",
    becomes: "binary",
    special: ["\\x", "\\x00", "\\xff00ff", `\\x${"ab".repeat(5000)}`],
    random: "decode(md5(random()::text), 'hex')",
    text: "encode(c, 'hex')",
  },
  {
    type: "json",
    becomes: "json",
    special: ["null", '{"b": 1,  "a": [1, 2, null], "b": 2}', '"\\u00e9\\n"', "[]", "1e400", '  {"spaces":  true}  '],
  },
  {
    type: "jsonb",
    becomes: "json",
    special: ["null", '{"b": 1,  "a": [1, 2, null], "b": 2}', '"\\u00e9\\n"', "[]", "1e400"],
    random: "jsonb_build_object('g', g, 'r', random())",
  },
  {
    type: "uuid",
    becomes: "uuid",
    special: ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    random: "md5(random()::text)::uuid",
  },
  { type: "mood", becomes: "enum", special: ["sad", "so so", "it''s \"ok\"", "Ünï"] },
  { type: "price", becomes: "decimal(9,3)", special: ["0.001", "999999.999"] },
  { type: "label", becomes: "string", special: ["", "x"] },
  plainText("money", ["$1,234.56", "-5.5", "0"], "(random() * 1000)::numeric::money"),
  plainText("inet", ["192.168.0.1", "10.0.0.0/8", "::1", "2001:db8::/32", "::ffff:1.2.3.4"]),
  plainText("cidr", ["10.0.0.0/8", "2001:db8::/32"]),
  plainText("macaddr", ["08:00:2b:01:02:03"]),
  plainText("macaddr8", ["08:00:2b:01:02:03:04:05"]),
  plainText("bit(3)", ["101", "000"]),
  plainText("varbit", ["", "1", "10101010101"]),
  plainText("xml", ["<a>x</a>", "text", '<a b="c"/>']),
  plainText("timetz", ["00:00+00", "23:59:59.999999-12", "24:00:00+02"]),
  plainText("int4range", ["empty", "[1,5)", "(,3)", "(,)"], "int4range(g::int, g::int + 5)"),
  plainText("int8range", ["[1,9223372036854775807)"]),
  plainText("numrange", ["[1.5,2.50]", "(,)"]),
  plainText("tsrange", ["[2024-01-01 00:00,2024-02-01 00:00)", "[-infinity,infinity]"]),
  plainText("tstzrange", ["[2024-01-01 00:00+02,2024-02-01 00:00-03)"]),
  plainText("daterange", ["[2024-01-01,2024-02-01)"]),
  plainText("int4multirange", ["{}", "{[1,3),[5,9)}"], undefined, 14),
  plainText("tsvector", ["a:1 fat:2 cat:3", ""]),
  plainText("tsquery", ["fat & (rat | !cat)"]),
  plainText("point", ["(1.5,-2)", "(NaN,Infinity)"], "point(random(), random())"),
  plainText("line", ["{1,2,3}"]),
  plainText("lseg", ["[(0,0),(1,1)]"]),
  plainText("box", ["(1,1),(0,0)"]),
  plainText("path", ["((0,0),(1,1),(2,0))", "[(0,0),(1,1)]"]),
  plainText("polygon", ["((0,0),(1,1),(2,0))"]),
  plainText("circle", ["<(0,0),1.5>"]),
  plainText("pg_lsn", ["0/0", "FFFFFFFF/FFFFFFFF"]),
  plainText("pair", ["(1,x)", "(,)", '(2,"with, comma")']),
  plainText('"char"', ["a", ""]),
  plainText("xid", ["0", "4294967295"]),
  plainText("tid", ["(0,1)", "(4294967295,65535)"]),
  plainText("regclass", ["pg_class"]),
  plainText("regtype", ["integer", "text[]"]),
  plainText("jsonpath", ['$."a"[*]?(@ > 1)']),
  plainText("txid_snapshot", ["10:20:10,14,15"]),
];

const TYPES = `CREATE TYPE mood AS ENUM ('sad', 'so so', 'it''s "ok"', 'Ünï'); CREATE DOMAIN price AS numeric(9,3);
  CREATE DOMAIN label AS text; CREATE TYPE pair AS (a int, b text); CREATE DOMAIN small AS int2 CHECK (value < 100);`;

function kindsOf(db: TestDatabase): readonly Kind[] {
  return KINDS.filter((kind) => (kind.since ?? 0) <= db.server.major);
}

/** One row a special value and random ones, with NULLs among them; the column `n` keeps the order. */
async function fill(db: TestDatabase, kinds: readonly Kind[]): Promise<void> {
  const columns = kinds.map((kind, i) => `c${i} ${kind.type}`);
  const rows = Math.max(...kinds.map((kind) => kind.special.length));
  await db.run(`${TYPES} CREATE TABLE v (n int PRIMARY KEY, ${columns.join(", ")})`);
  const values: string[] = [];
  for (let row = 0; row < rows; row++) {
    const cells = kinds.map((kind) => {
      const literal = kind.special[row];
      return literal === undefined
        ? "NULL"
        : `'${literal.includes("''") ? literal : literal.replaceAll("'", "''")}'::${kind.type}`;
    });
    values.push(`(${row}, ${cells.join(", ")})`);
  }
  await db.run(
    `SET standard_conforming_strings = on; SET lc_monetary = 'C'; INSERT INTO v VALUES ${values.join(", ")}`,
  );
  const random = kinds.map((kind) =>
    kind.random === undefined ? "NULL" : `CASE WHEN random() < 0.9 THEN ${kind.random} END`
  );
  await db.run(
    `SELECT setseed(${SEED / 1_000_000}); INSERT INTO v SELECT ${rows} + g, ${
      random.join(", ")
    } FROM generate_series(0, ${RANDOM_ROWS - 1}) g`,
  );
}

function compare(reader: string, kinds: readonly Kind[], found: readonly Cell[][], expected: readonly Cell[][]): void {
  assert.equal(found.length, expected.length, reader);
  for (const [row, cells] of expected.entries()) {
    for (const [i, kind] of kinds.entries()) {
      const text = cells[i + 1] ?? null;
      const wanted = text === null ? null : (kind.expect ?? ((t: string) => t))(text);
      let seen = found[row]![i + 1] ?? null;
      // Both readers show a UUID in their own way, and DuckDB cannot hold the widest decimals.
      if (kind.becomes === "uuid" && seen !== null) seen = dashed(seen);
      if (seen === "?") continue;
      assert.equal(seen, wanted, `${reader}: ${kind.type}, row ${row}, seed ${SEED}`);
    }
  }
}

function dashed(uuid: string): string {
  return uuid.replaceAll("-", "").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function testEach(name: string, body: (db: TestDatabase, source: PostgresSource) => Promise<void>): void {
  for (const server of servers) {
    const label = `${name} (PostgreSQL ${server?.major ?? "absent"})`;
    Deno.test({ name: label, ignore: server === null }, () =>
      withDatabase(server!, async (db) => {
        await using source = await openPostgres(db.connection, limits);
        await body(db, source);
      }));
  }
}

async function withFile(bytes: Uint8Array, body: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    await Deno.writeFile(path, bytes);
    await body(path);
  } finally {
    await Deno.remove(path);
  }
}

testEach("every value of every type arrives as it was", async (db, source) => {
  console.log(`RIVET_TEST_SEED=${SEED}`);
  const kinds = kindsOf(db);
  await fill(db, kinds);
  const { columns } = await source.describe({ kind: "table", schema: null, name: "v" });
  for (const [i, kind] of kinds.entries()) {
    const type = columns[i + 1]!.type;
    assert.equal(type === null ? "none" : formatType(type), kind.becomes, kind.type);
  }
  const texts = kinds.map((kind, i) => (kind.text ?? "c::text").replaceAll(/\bc\b/g, `c${i}`));
  const expected = await source.rows(`SELECT n, ${texts.join(", ")} FROM v ORDER BY n`);
  const { file, report } = await encodeQuery(source, { kind: "query", sql: "SELECT * FROM v ORDER BY n" });
  assert.equal(report.rows, expected.length);
  compare("hyparquet", kinds, await readWithHyparquet(file), expected);
  await withFile(file, async (path) => compare("DuckDB", kinds, await readWithDuckdb(path), expected));
});

interface ListKind {
  readonly type: string;
  readonly becomes: string;
  readonly special: readonly string[];
  /** One element `e` as text: how the server and how DuckDB say it. */
  readonly server?: string;
  readonly duckdb?: string;
}

const TIMESTAMP_SERVER = "to_char(e, 'YYYY-MM-DD HH24:MI:SS.US')";
const TIMESTAMP_DUCKDB = "strftime(e, '%Y-%m-%d %H:%M:%S.%f')";

const LISTS: readonly ListKind[] = [
  { type: "bool[]", becomes: "list<bool>", special: ["{t,f,NULL}"] },
  { type: "int2[]", becomes: "list<int16>", special: ["{-32768,NULL,32767}"] },
  { type: "int4[]", becomes: "list<int32>", special: ["{1,NULL,-3}", "[5:7]={1,2,3}", "{NULL}", "{NULL,NULL}"] },
  { type: "int8[]", becomes: "list<int64>", special: ["{-9223372036854775808,9223372036854775807}"] },
  { type: "oid[]", becomes: "list<int64>", special: ["{0,4294967295}"] },
  { type: "float4[]", becomes: "list<float32>", special: ["{1.5,NULL,-0.25}"] },
  { type: "float8[]", becomes: "list<float64>", special: ["{0.1,NULL,-2.5}"] },
  { type: "numeric(10,2)[]", becomes: "list<decimal(10,2)>", special: ["{0.01,NULL,-99999999.99}"] },
  { type: "numeric[]", becomes: "list<string>", special: ["{1.5,NULL,NaN,1e30}"] },
  { type: "date[]", becomes: "list<date>", special: ["{1969-12-31,NULL,2024-02-29}"] },
  {
    type: "timestamp[]",
    becomes: "list<timestamp_us>",
    special: ["{1969-12-31 23:59:59.999999,NULL}"],
    server: TIMESTAMP_SERVER,
    duckdb: TIMESTAMP_DUCKDB,
  },
  {
    type: "timestamptz[]",
    becomes: "list<timestamp_us_utc>",
    special: ["{2024-01-01 00:00+02,NULL}"],
    server: TIMESTAMP_SERVER,
    duckdb: TIMESTAMP_DUCKDB,
  },
  { type: "time[]", becomes: "list<time_us>", special: ["{00:00,23:59:59.999999}"] },
  { type: "interval[]", becomes: "list<interval>", special: ["{1 year 2 days,NULL,-00:00:01.5}"] },
  { type: "text[]", becomes: "list<string>", special: ['{a,NULL,"NULL","with, comma","",Ünï}'] },
  { type: "varchar(5)[]", becomes: "list<string>", special: ["{a,b}"] },
  { type: "char(3)[]", becomes: "list<string>", special: ["{a,bcd}"], server: "rpad(e::text, 3)" },
  {
    type: "bytea[]",
    becomes: "list<binary>",
    special: ['{"\\\\x00ff",NULL,"\\\\x"}'],
    server: "encode(e, 'hex')",
    duckdb: "lower(hex(e))",
  },
  { type: "json[]", becomes: "list<json>", special: ['{"{\\"a\\": 1}",NULL,"[]"}'] },
  { type: "jsonb[]", becomes: "list<json>", special: ['{"{\\"a\\": 1}",NULL,"[]"}'] },
  { type: "uuid[]", becomes: "list<uuid>", special: ["{00000000-0000-0000-0000-000000000001,NULL}"] },
  { type: "mood[]", becomes: "list<enum>", special: ['{sad,NULL,"so so"}'] },
  { type: "price[]", becomes: "list<decimal(9,3)>", special: ["{0.001,NULL}"] },
  { type: "small[]", becomes: "list<int16>", special: ["{1,NULL,-5}"] },
  { type: "inet[]", becomes: "list<string>", special: ["{10.0.0.0/8,NULL,::1}"] },
  { type: "pair[]", becomes: "list<string>", special: ['{"(1,x)",NULL}'] },
  { type: "box[]", becomes: "list<string>", special: ["{(1,1),(0,0);(2,2),(1,1)}"] },
  { type: "money[]", becomes: "list<string>", special: ["{$1.00,NULL}"] },
  { type: "int4range[]", becomes: "list<string>", special: ['{"[1,2)",empty}'] },
  { type: "int2vector", becomes: "list<int16>", special: ["1 2 3", ""] },
  { type: "oidvector", becomes: "list<int64>", special: ["1 4294967295"] },
];

testEach("lists keep their elements, their NULLs and their emptiness", async (db, source) => {
  const columns = LISTS.map((kind, i) => `c${i} ${kind.type}`);
  await db.run(`${TYPES} CREATE TABLE v (n int PRIMARY KEY, ${columns.join(", ")})`);
  const rows = Math.max(...LISTS.map((kind) => kind.special.length));
  const isArray = (kind: ListKind) => kind.type.endsWith("[]");
  for (let row = 0; row < rows + 2; row++) {
    const cells = LISTS.map((kind) => {
      const literal = kind.special[row] ?? (row === rows && isArray(kind) ? "{}" : undefined);
      return literal === undefined ? "NULL" : `'${literal.replaceAll("'", "''")}'`;
    });
    await db.run(`INSERT INTO v VALUES (${row}, ${cells.join(", ")})`);
  }
  const shape = await source.describe({ kind: "table", schema: null, name: "v" });
  for (const [i, kind] of LISTS.entries()) {
    assert.equal(formatType(shape.columns[i + 1]!.type!), kind.becomes, kind.type);
  }
  const elements = LISTS.map((kind, i) =>
    `CASE WHEN c${i} IS NOT NULL THEN (SELECT coalesce(json_agg(${
      (kind.server ?? "e::text").replaceAll(/\be\b/g, `c${i}[o]`)
    }
      ORDER BY o), '[]')::text FROM generate_subscripts(c${i}, 1) AS o) END`
  );
  const expected = await source.rows(`SELECT ${elements.join(", ")} FROM v ORDER BY n`);
  const { file } = await encodeQuery(source, { kind: "query", sql: "SELECT * FROM v ORDER BY n" });
  await withFile(file, async (path) => {
    const seen = await duckdbLists(path);
    for (const [row, cells] of expected.entries()) {
      for (const [i, kind] of LISTS.entries()) {
        const [server, duckdb] = [cells[i] ?? null, seen[row]![i] ?? null];
        const parsed = (text: string | null) => text === null ? null : JSON.parse(text);
        assert.deepEqual(parsed(duckdb), parsed(server), `${kind.type}, row ${row}`);
      }
    }
  });
});

async function duckdbLists(path: string): Promise<Cell[][]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    const columns = LISTS.map((kind, i) =>
      `CASE WHEN c${i} IS NOT NULL THEN to_json(list_transform(c${i}, lambda e: ${
        kind.duckdb ?? "CAST(e AS VARCHAR)"
      }))::VARCHAR END`
    );
    const result = await connection.runAndReadAll(
      `SELECT ${columns.join(", ")} FROM read_parquet('${path}') ORDER BY n`,
    );
    return result.getRows().map((row) => row.map((value) => value === null ? null : String(value)));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const REFUSED: [type: string, literal: string][] = [
  ["date", "infinity"],
  ["date", "-infinity"],
  ["timestamp", "infinity"],
  ["timestamptz", "-infinity"],
  ["time", "24:00:00"],
  ["timestamptz[]", "{infinity}"],
  ["numeric(10,2)", "NaN"],
  ["int4[]", "{{1,2},{3,4}}"],
  ["text[]", "{{a},{b}}"],
];

testEach("a value that a file cannot hold is refused by the column's name, and passes as text", async (db, source) => {
  for (const [type, literal] of REFUSED) {
    await db.run(
      `DROP TABLE IF EXISTS r; CREATE TABLE r (id int, bad ${type}); INSERT INTO r VALUES (1, NULL), (2, '${literal}')`,
    );
    await using own = await openPostgres(db.connection, limits);
    const table = { kind: "table", schema: null, name: "r" } as const;
    const error = await encodeQuery(own, table).then(() => null, (e) => e);
    assert.ok(error instanceof RivetError, `${type} ${literal}: ${error}`);
    assert.equal(error.code, "RIVET_SOURCE_VALUE_UNREPRESENTABLE", `${type} ${literal}: ${error.message}`);
    assert.match(`${error.message} ${error.where}`, /bad/);
    const { file } = await encodeQuery(source, table, { overrides: { bad: { kind: "string" } } });
    const [, second] = await readWithHyparquet(file);
    assert.deepEqual(second, ["2", (await source.rows("SELECT bad::text FROM r WHERE id = 2"))[0]![0]]);
  }
});

const OVERRIDES: [type: string, literal: string, to: LogicalType, expected: string][] = [
  ["numeric", "123.45", { kind: "decimal", precision: 20, scale: 4 }, "123.4500"],
  ["numeric(10,4)", "123.4000", { kind: "decimal", precision: 10, scale: 2 }, "123.40"],
  ["int8", "42", { kind: "int16" }, "42"],
  ["int4", "42", { kind: "decimal", precision: 5, scale: 1 }, "42.0"],
  ["int4", "1", { kind: "bool" }, "true"],
  ["numeric(20,0)", "9223372036854775807", { kind: "int64" }, "9223372036854775807"],
  ["text", "2024-02-29", { kind: "date" }, "2024-02-29"],
  ["text", "12.50", { kind: "decimal", precision: 10, scale: 2 }, "12.50"],
  ["varchar(40)", '{"a": 1}', { kind: "json" }, '{"a": 1}'],
  ["text", "é", { kind: "binary" }, "c3a9"],
  ["timestamp", "2024-01-01 12:00", { kind: "timestamp", unit: "us", utc: true }, "2024-01-01 12:00:00.000000"],
  ["timestamptz", "2024-01-01 12:00+02", { kind: "timestamp", unit: "us", utc: false }, "2024-01-01 10:00:00.000000"],
  ["date", "2024-01-01", { kind: "timestamp", unit: "us", utc: false }, "2024-01-01 00:00:00.000000"],
  ["money", "$12.34", { kind: "decimal", precision: 19, scale: 2 }, "12.34"],
  ["point", "(1,2)", { kind: "json" }, '"(1,2)"'],
  ["pair", "(1,x)", { kind: "json" }, '{"a":1,"b":"x"}'],
  ["bool", "t", { kind: "int32" }, "1"],
];

testEach("an override gives the declared type and the same value", async (db, source) => {
  await db.run(TYPES);
  for (const [type, literal, to, expected] of OVERRIDES) {
    const sql = `SELECT '${literal}'::${type} AS c`;
    const { file, columns } = await encodeQuery(source, { kind: "query", sql }, { overrides: { c: to } });
    assert.deepEqual(columns[0]!.type, to);
    assert.deepEqual(await readWithHyparquet(file), [[expected]], `${type} ${literal}`);
  }
});

const MISFITS: [type: string, literal: string, to: LogicalType][] = [
  ["int8", "40000", { kind: "int16" }],
  ["int4", "2", { kind: "bool" }],
  ["numeric", "123.456", { kind: "decimal", precision: 10, scale: 2 }],
  ["numeric", "12345", { kind: "decimal", precision: 4, scale: 0 }],
  ["text", "no uuid", { kind: "uuid" }],
  ["text", "{", { kind: "json" }],
  ["text", "2024-02-30", { kind: "date" }],
];

testEach("a value that does not fit its override ends the read, unchanged", async (db) => {
  for (const [type, literal, to] of MISFITS) {
    await using source = await openPostgres(db.connection, limits);
    const sql = `SELECT '${literal}'::${type} AS c`;
    const error = await encodeQuery(source, { kind: "query", sql }, { overrides: { c: to } }).then(
      () => null,
      (e) => e,
    );
    assert.ok(error instanceof RivetError, `${type} ${literal}: ${error}`);
    assert.ok(!error.code.startsWith("RIVET_INTERNAL"), `${type} ${literal}: ${error.code} ${error.message}`);
  }
});

testEach("dates far from today keep their day", async (_db, source) => {
  const days = ["4713-01-01 BC", "0001-12-31 BC", "5874897-12-31", "10000-01-01"];
  const sql = `SELECT * FROM unnest(ARRAY[${
    days.map((day) => `'${day}'`).join(", ")
  }]::date[]) WITH ORDINALITY AS u (c, n)`;
  const expected = await source.rows(`SELECT c - date '1970-01-01' FROM (${sql}) t ORDER BY n`);
  const { file } = await encodeQuery(source, { kind: "query", sql });
  await withFile(file, async (path) => {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const result = await connection.runAndReadAll(
      `SELECT c - DATE '1970-01-01' FROM read_parquet('${path}') ORDER BY n`,
    );
    assert.deepEqual(result.getRows().map(([days]) => [String(days)]), expected);
    connection.closeSync();
    instance.closeSync();
  });
});

testEach("two columns of one name and quoted names reach the file's schema as they are", async (_db, source) => {
  const { columns } = await source.describe({ kind: "query", sql: 'SELECT 1 AS a, 2 AS a, 3 AS "A b"' });
  assert.deepEqual(columns.map((c) => c.name), ["a", "a", "A b"]);
});
