// Bounds that compare as the column does: keys of every kind, cut at every row, in a session whose own settings are strange, hold each row
// once on every engine. And overrides: any type declared for any column gives the value or a refusal, never NULL.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import { findColumn, type KeyContext, readBounds, sampleCuts } from "../../src/plan/key.ts";
import { keySlices, withNullSlice } from "../../src/plan/slices.ts";
import { buildSelect, type Engine, type Predicate, type Query, type Source } from "../../src/source/mod.ts";
import { applyOverrides, formatType, type LogicalType } from "../../src/types/mod.ts";
import { readThroughCore } from "../support/core_rows.ts";
import { type ContractDatabase, listSourceFixtures, type SourceFixture } from "../support/source_fixtures.ts";

const fixtures = await listSourceFixtures();

function contract(name: string, body: (fixture: SourceFixture, db: ContractDatabase) => Promise<void>): void {
  for (const fixture of fixtures) {
    const run = fixture.withDatabase;
    Deno.test({ name: `${fixture.name}: ${name}`, ignore: run === null, fn: () => run!((db) => body(fixture, db)) });
  }
}

const TABLE: Query = { kind: "table", schema: null, name: "t" };

/** What the login brings along, where an engine lets it: another zone, another order of day and month, fewer digits. */
const STRANGE: Partial<Record<Engine, string>> = {
  postgres: `DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Tokyo''', current_database());
    EXECUTE format('ALTER DATABASE %I SET DateStyle = ''German, DMY''', current_database());
    EXECUTE format('ALTER DATABASE %I SET extra_float_digits = -5', current_database());
    EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database());
  END $$`,
};

const quoted = (values: readonly string[], wrap: (text: string) => string = (text) => text) =>
  values.map((value) => wrap(`'${value.replaceAll("'", "''")}'`));

const WORDS = [
  "a-b",
  "ab",
  "A-B",
  "co-op",
  "coop",
  "CO-OP",
  "it''s",
  "its",
  "x_1",
  "x1",
  "X 1",
  "zz",
  "",
  " ",
  "ž",
  "Ž",
];
const PLAIN = WORDS.filter((word) => !word.includes("'"));
const FLOATS = ["-0.1", "0.1", "0.30000000000000004", "1e-300", "1e300", "3.3333333333333335", "1234567.8901234567"];
const SINGLES = ["0.1", "0.2", "16777217", "3.3333333", "-1.17549e-38", "123456.789"];
const STAMPS = [
  "2026-02-01 00:00:00",
  "2026-01-02 00:00:00.000001",
  "2026-01-02 00:00:00.000002",
  "2026-03-29 02:30:00",
  "1999-12-31 23:59:59.999999",
];
const DAYS = ["2026-02-01", "2026-01-02", "0001-01-01", "9999-12-31"];

/** Declared type → literals. */
const KEYS: Readonly<Record<Engine, Readonly<Record<string, readonly string[]>>>> = {
  postgres: {
    smallint: ["-32768", "0", "32767"],
    bigint: ["-9", "9007199254740993", "9007199254740994"],
    "numeric(30,10)": ["-1.5", "0.0000000001", "99999999999999999999.9999999999"],
    real: quoted(SINGLES),
    "double precision": quoted(FLOATS),
    date: quoted(DAYS),
    timestamp: quoted(STAMPS),
    timestamptz: quoted(STAMPS.map((stamp) => `${stamp}+03`)),
    "time": quoted(["00:00:00", "23:59:59.999999", "12:30:00.000001"]),
    text: quoted(PLAIN),
    "varchar(20)": quoted(PLAIN),
    'text COLLATE "C"': quoted(PLAIN),
    uuid: quoted(["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000000"]),
    bytea: quoted(["\\x", "\\x00", "\\x00ff", "\\xfb"], (text) => `E${text.replaceAll("\\", "\\\\")}`),
  },
  mysql: {
    tinyint: ["-128", "0", "127"],
    "bigint unsigned": ["0", "9007199254740993", "18446744073709551615"],
    "decimal(30,10)": ["-1.5", "0.0000000001", "99999999999999999999.9999999999"],
    float: SINGLES,
    double: FLOATS,
    date: quoted(DAYS),
    "datetime(6)": quoted(STAMPS),
    "timestamp(6) NULL": quoted(STAMPS),
    "time(6)": quoted(["00:00:00", "-838:59:59", "12:30:00.000001"]),
    "varchar(20) COLLATE utf8mb4_general_ci": quoted(PLAIN),
    "varchar(20) COLLATE utf8mb4_bin": quoted([...PLAIN, "back\\\\slash"]),
    "varchar(20) CHARACTER SET latin1": quoted(PLAIN.filter((word) => /^[\x20-\x7e]*$/.test(word))),
    "varbinary(8)": ["x''", "x'00'", "x'00ff'", "x'fb'"],
  },
  mssql: {
    smallint: ["-32768", "0", "32767"],
    "decimal(14,10)": ["-1.5", "0.0000000001", "9999.9999999999"],
    real: SINGLES,
    float: FLOATS,
    date: quoted(DAYS, (text) => `CAST(${text} AS date)`),
    datetime: quoted(["2026-02-01T00:00:00.003", "2026-01-02T00:00:00.007"], (text) => `CAST(${text} AS datetime)`),
    "datetime2(7)": quoted(STAMPS, (text) => `CAST(${text} AS datetime2(7))`),
    "varchar(20) COLLATE SQL_Latin1_General_CP1_CI_AS": quoted(["a-b", "ab", "A-B", "co-op", "coop", "x_1", "X 1"]),
    "nvarchar(20)": quoted(["a-b", "ab", "A-B", "ž", "日本"], (text) => `N${text}`),
    uniqueidentifier: quoted(
      ["0f8fad5b-d9cb-469f-a165-70867728950e", "f0000000-0000-0000-0000-000000000001"],
      (text) => `CAST(${text} AS uniqueidentifier)`,
    ),
  },
  sqlite: {
    INTEGER: ["-9", "9007199254740993", "9223372036854775807"],
    REAL: FLOATS,
    "DECIMAL(12,3)": ["-1.5", "0.001", "123456789.999"],
    DATE: quoted(DAYS),
    TIMESTAMP: quoted(STAMPS),
    TEXT: quoted(PLAIN),
    "TEXT COLLATE NOCASE": quoted(PLAIN),
    BLOB: ["x''", "x'00'", "x'00ff'", "x'fb'"],
  },
};

async function readIds(source: Source, context: KeyContext, bounds: Predicate | null): Promise<number[]> {
  const columns = context.shape.columns.filter((column) => column.name === "id");
  const sql = buildSelect(source.engine, { query: TABLE, columns, hidden: [], where: bounds === null ? [] : [bounds] });
  return (await readThroughCore(source, sql, columns)).rows.map(([id]) => Number(id));
}

contract("slices cut at any key hold each row once, and nothing is above the greatest key", async (fixture, db) => {
  const strange = STRANGE[fixture.engine];
  if (strange !== undefined) await db.run(strange);
  for (const [type, literals] of Object.entries(KEYS[fixture.engine])) {
    await db.run("DROP TABLE IF EXISTS t");
    await db.run(`CREATE TABLE t (id ${fixture.integer} NOT NULL PRIMARY KEY, k ${type})`);
    // Each value twice, and two rows without one.
    const values = [...literals, ...literals, "NULL", "NULL"];
    await db.run(`INSERT INTO t VALUES ${values.map((literal, id) => `(${id}, ${literal})`).join(", ")}`);
    await using source = await db.open();
    await source.begin(null);
    const context: KeyContext = {
      source,
      query: TABLE,
      shape: await source.describe(TABLE),
      filters: [],
      where: "here",
    };
    const key = findColumn(context, "k", "chunk_by_key");
    const cuts = await sampleCuts(context, [key], 1, null);
    const slices = withNullSlice(keySlices([key], cuts), [key]);
    const ids: number[] = [];
    for (const slice of slices) ids.push(...await readIds(source, context, slice.bounds));
    const seen = `${type}: ${JSON.stringify(cuts)}`;
    assert.deepEqual(ids.sort((a, b) => a - b), values.map((_, id) => id), seen);
    assert.ok(slices.length > 2, seen);
    const { max } = await readBounds(context, key);
    const above = await readIds(source, context, { kind: "compare", column: key, op: ">", value: max! });
    assert.deepEqual(above, [], `${type}: above ${max}`);
    const atOrAbove = await readIds(source, context, { kind: "compare", column: key, op: ">=", value: max! });
    assert.ok(atOrAbove.length >= 2, `${type}: at ${max}`);
  }
});

/** Every type the config can declare. */
const DECLARABLE: readonly LogicalType[] = [
  { kind: "bool" },
  { kind: "int16" },
  { kind: "int32" },
  { kind: "int64" },
  { kind: "uint64" },
  { kind: "float32" },
  { kind: "float64" },
  { kind: "decimal", precision: 38, scale: 10 },
  { kind: "date" },
  { kind: "time", unit: "us" },
  { kind: "timestamp", unit: "us", utc: false },
  { kind: "timestamp", unit: "us", utc: true },
  { kind: "timestamp", unit: "ns", utc: false },
  { kind: "string" },
  { kind: "binary" },
  { kind: "json" },
  { kind: "uuid" },
  { kind: "enum" },
  { kind: "list", item: { kind: "int64" } },
];

contract("no declared type turns a value into NULL, whatever the column", async (fixture, db) => {
  const columns = fixture.values.map(({ name, declared }) => `${name} ${declared}`);
  await db.run(`CREATE TABLE t (${columns.join(", ")})`);
  await db.run(`INSERT INTO t VALUES (${fixture.values.map(({ literal }) => literal).join(", ")})`);
  let source = await db.open();
  let read = 0;
  let refused = 0;
  try {
    const shape = await source.describe(TABLE);
    for (const { name } of fixture.values) {
      for (const type of DECLARABLE) {
        const what = `${name} as ${formatType(type)}`;
        let isSent = false;
        try {
          const { columns } = applyOverrides(shape, { [name]: type }, fixture.engine);
          const changed = columns.filter((column) => column.name === name);
          isSent = true;
          const sql = buildSelect(fixture.engine, { query: TABLE, columns: changed, hidden: [], where: [] });
          const { rows } = await readThroughCore(source, sql, changed);
          assert.equal(rows.length, 1, what);
          assert.notEqual(rows[0]![0], null, what);
          read++;
        } catch (error) {
          if (!(error instanceof RivetError)) throw error;
          assert.notEqual(error.kind, "internal", `${what}: ${error.code} ${error.message}`);
          assert.equal(error.retry, "never", what);
          refused++;
          if (!isSent) continue;
          // Some engines end the connection with a read that was refused.
          await source[Symbol.asyncDispose]();
          source = await db.open();
        }
      }
    }
  } finally {
    await source[Symbol.asyncDispose]();
  }
  assert.ok(read > 30 && refused > 30, `${read} read, ${refused} refused`);
});
