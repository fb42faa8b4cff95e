// Random tables in SQLite, through source and core into Parquet, read by DuckDB: every value is what was put in, or nothing was written.

import assert from "node:assert/strict";
import type { SQLInputValue } from "node:sqlite";
import fc from "fast-check";
import { RivetError } from "../../src/errors.ts";
import { type Query, quoteName } from "../../src/source/mod.ts";
import { encodeQuery } from "../support/encode.ts";
import { readWithDuckdb } from "../support/exact_parquet.ts";
import { openSqliteFile } from "../support/sqlite.ts";
import { chooseSeed } from "../support/random.ts";

const SEED = chooseSeed();
console.log(`sqlite round trip: RIVET_TEST_SEED=${SEED}`);

const T: Query = { kind: "table", schema: null, name: "t" };

/** A value to bind, and the text that the independent reader must find. */
interface Value {
  readonly bind: SQLInputValue;
  readonly text: string | null;
}

interface Kind {
  readonly declared: readonly string[];
  /** Wraps the `?`. Text goes in as bytes, so that a NUL is no end. */
  readonly bound?: string;
  readonly value: fc.Arbitrary<Value>;
}

const same = (text: string): Value => ({ bind: text, text });
const pad = (value: number, width: number) => String(value).padStart(width, "0");

const integer = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n), 0n, -1n),
).map((n): Value => ({ bind: n, text: String(n) }));

/** SQLite has no NaN, and keeps −0 as 0. */
const real = fc.double({ noNaN: true }).map((n) => n === 0 ? 0 : n).map((n): Value => ({ bind: n, text: String(n) }));

const unicode = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 300 }),
  fc.constantFrom("", "\0", "\ufffd", "a\0b", "x".repeat(250), "x".repeat(251), "ü".repeat(33_000)),
).map((text): Value => ({ bind: new TextEncoder().encode(text), text }));

const date = fc.tuple(
  fc.integer({ min: 1000, max: 9999 }),
  fc.integer({ min: 1, max: 12 }),
  fc.integer({ min: 1, max: 28 }),
)
  .map(([y, m, d]) => `${pad(y, 4)}-${pad(m, 2)}-${pad(d, 2)}`);
const clock = fc.tuple(
  fc.integer({ min: 0, max: 23 }),
  fc.integer({ min: 0, max: 59 }),
  fc.integer({ min: 0, max: 59 }),
  fc.integer({ min: 0, max: 999_999 }),
).map(([h, m, s, us]) => `${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(us, 6)}`);

const json = fc.json({ maxDepth: 3 }).map((text): Value => ({ bind: new TextEncoder().encode(text), text }));

/** Up to 15 digits are what a double keeps. */
const decimal = fc.integer({ min: -999_999_999_999, max: 999_999_999_999 }).map((unscaled): Value => ({
  bind: unscaled / 100,
  text: `${unscaled < 0 ? "-" : ""}${Math.floor(Math.abs(unscaled) / 100)}.${pad(Math.abs(unscaled) % 100, 2)}`,
}));

const blob = fc.uint8Array({ maxLength: 400 }).map((bytes): Value => ({ bind: bytes, text: bytes.toHex() }));

const uuid = fc.tuple(fc.uuid(), fc.integer({ min: 0, max: 2 })).map(([text, form]): Value => ({
  bind: [text, text.toUpperCase(), Uint8Array.fromHex(text.replaceAll("-", ""))][form]!,
  text,
}));

const KINDS: Readonly<Record<string, Kind>> = {
  integer: { declared: ["INTEGER", "BIGINT", "TINYINT", "UNSIGNED BIG INT"], value: integer },
  real: { declared: ["REAL", "DOUBLE", "FLOAT"], value: real },
  text: { declared: ["TEXT", "VARCHAR(10)", "CLOB", "NCHAR(5)"], bound: "CAST(? AS TEXT)", value: unicode },
  blob: { declared: ["BLOB", "BINARY(4)"], value: blob },
  bool: {
    declared: ["BOOLEAN", "BOOL"],
    value: fc.boolean().map((b) => ({ bind: b ? 1 : 0, text: String(b) })),
  },
  decimal: { declared: ["DECIMAL(14,2)", "NUMERIC(12, 2)"], value: decimal },
  date: { declared: ["DATE"], value: date.map(same) },
  time: { declared: ["TIME", "TIME(6)"], value: clock.map(same) },
  timestamp: {
    declared: ["DATETIME", "TIMESTAMP"],
    value: fc.tuple(date, clock, fc.constantFrom(" ", "T")).map(([d, c, by]) => ({
      bind: d + by + c,
      text: `${d} ${c}`,
    })),
  },
  json: { declared: ["JSON"], bound: "CAST(? AS TEXT)", value: json.filter(({ text }) => !isNumber(text!)) },
  uuid: { declared: ["UUID", "GUID"], value: uuid },
  none: { declared: ["", "ANY"], bound: "CAST(? AS TEXT)", value: unicode },
};

/** The affinity of a JSON column makes numbers of such texts before rivet sees them. */
function isNumber(text: string): boolean {
  return text.trim() !== "" && !Number.isNaN(Number(text));
}

interface Table {
  readonly names: readonly string[];
  readonly declared: readonly string[];
  readonly kinds: readonly Kind[];
  readonly rows: readonly (readonly Value[])[];
}

const NULL: Value = { bind: null, text: null };

const column = fc.record({
  name: fc.string({ unit: "grapheme", maxLength: 8 }).map((name) => name.replaceAll("\0", "")),
  kind: fc.constantFrom(...Object.values(KINDS)),
  choice: fc.nat(),
});

const anyTable: fc.Arbitrary<Table> = fc.array(column, { minLength: 1, maxLength: 8 }).chain((columns) =>
  fc.array(fc.tuple(...columns.map(({ kind }) => fc.oneof({ weight: 5, arbitrary: kind.value }, fc.constant(NULL)))), {
    maxLength: 30,
  }).map((rows) => ({
    // Neither SQLite nor DuckDB tells names apart that differ in case alone.
    names: columns.map(({ name }, i) => `${i}${name}`),
    declared: columns.map(({ kind, choice }) => kind.declared[choice % kind.declared.length]!),
    kinds: columns.map(({ kind }) => kind),
    rows,
  }))
);

function fill(db: import("node:sqlite").DatabaseSync, table: Table): void {
  const columns = table.names.map((name, i) => `${quoteName("sqlite", name)} ${table.declared[i]}`);
  db.exec(`DROP TABLE IF EXISTS t; CREATE TABLE t (${columns.join(", ")}); BEGIN`);
  const insert = db.prepare(`INSERT INTO t VALUES (${table.kinds.map((kind) => kind.bound ?? "?").join(", ")})`);
  for (const row of table.rows) insert.run(...row.map((value) => value.bind));
  db.exec("COMMIT");
}

Deno.test("a random table is read back by DuckDB as it was put into SQLite", async () => {
  await using file = await openSqliteFile("PRAGMA journal_mode = wal; PRAGMA synchronous = off");
  const path = `${file.folder}/t.parquet`;
  await fc.assert(
    fc.asyncProperty(anyTable, async (table) => {
      fill(file.db, table);
      await using source = await file.open();
      const { file: bytes, observations } = await encodeQuery(source, T);
      assert.equal(observations.rows, table.rows.length);
      await Deno.writeFile(path, bytes);
      const found = await readWithDuckdb(path);
      assert.deepEqual(found, table.rows.map((row) => row.map((value) => value.text)));
    }),
    { seed: SEED, numRuns: 60 },
  );
});

/** What no type but text, real or binary can hold as it is. */
const STRANGERS: Readonly<Record<string, fc.Arbitrary<SQLInputValue>>> = {
  integer: fc.constantFrom<SQLInputValue>("twelve", 1.5, new Uint8Array([49]), ""),
  real: fc.constantFrom<SQLInputValue>("1,5", new Uint8Array([49])),
  text: fc.constant<SQLInputValue>(new Uint8Array([97])),
  blob: fc.constantFrom<SQLInputValue>("text", 5, 1.5),
  bool: fc.constantFrom<SQLInputValue>(2, -1, 0.5, "true", new Uint8Array([1])),
  decimal: fc.constantFrom<SQLInputValue>(0.001, 1e15, "n/a", new Uint8Array([49])),
  date: fc.constantFrom<SQLInputValue>(1_700_000_000, 2_460_000.5, "2024-02-30", "yesterday", "2024-01-01 10:00:00"),
  time: fc.constantFrom<SQLInputValue>(5, "25:00:00", "12:00:00.0000001"),
  timestamp: fc.constantFrom<SQLInputValue>(1_700_000_000, "2024-02-29 12:00:00Z", "2023-02-29 12:00:00", "now"),
  json: fc.constantFrom<SQLInputValue>("{a:1}", "", new Uint8Array([255])),
  uuid: fc.constantFrom<SQLInputValue>(
    "sixteen letters!",
    5,
    new Uint8Array([1]),
    "123e4567-e89b-12d3-a456-42661417400g",
  ),
};

Deno.test("a value that does not fit its declared type is refused, wherever it stands", async () => {
  await using file = await openSqliteFile("PRAGMA journal_mode = wal; PRAGMA synchronous = off");
  const anyStranger = fc.constantFrom(...Object.keys(STRANGERS)).chain((name) =>
    fc.record({
      kind: fc.constant(KINDS[name]!),
      stranger: STRANGERS[name]!,
      before: fc.array(KINDS[name]!.value, { maxLength: 20 }),
      after: fc.array(KINDS[name]!.value, { maxLength: 20 }),
    })
  );
  await fc.assert(
    fc.asyncProperty(anyStranger, async ({ kind, stranger, before, after }) => {
      const table = {
        names: ["x"],
        declared: [kind.declared[0]!],
        kinds: [kind],
        rows: before.map((value) => [value]),
      };
      fill(file.db, table);
      file.db.prepare("INSERT INTO t VALUES (?)").run(stranger);
      const insert = file.db.prepare(`INSERT INTO t VALUES (${kind.bound ?? "?"})`);
      for (const value of after) insert.run(value.bind);
      await using source = await file.open();
      const error = await encodeQuery(source, T).then(() => null, (error) => error);
      assert.ok(error instanceof RivetError, `${kind.declared[0]} took ${stranger}: ${error}`);
      assert.ok(
        error.code === "RIVET_SOURCE_VALUE_UNREPRESENTABLE" || error.code === "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH",
        error.code,
      );
      assert.match(`${error.where} ${error.message}`, /'x'/);
    }),
    { seed: SEED, numRuns: 100 },
  );
});
