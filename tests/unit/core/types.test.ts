import assert from "node:assert/strict";
import { encode, queryWithDuckdb, readWithHyparquet, specOf } from "../../support/core_run.ts";
import { encodeArray, encodeNumeric, PgRows } from "../../support/pg_rows.ts";

const utf8 = new TextEncoder();

function int(bytes: number, value: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigInt64(0, value);
  return new Uint8Array(view.buffer).subarray(8 - bytes);
}

function float(bytes: 4 | 8, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 4) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  return new Uint8Array(view.buffer);
}

function interval(months: number, days: number, us: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigInt64(0, us);
  view.setInt32(8, days);
  view.setInt32(12, months);
  return new Uint8Array(view.buffer);
}

const US_2000 = 946_684_800_000_000n;
const uuid = Uint8Array.from({ length: 16 }, (_, i) => i * 17);

interface Case {
  readonly type: string;
  readonly wire: string;
  /** Value on the wire → what DuckDB casts it to as text. */
  readonly values: readonly (readonly [Uint8Array, string])[];
  /** DuckDB's type of the column. */
  readonly duckdb: string;
  /** How the value is asked for, when a cast to VARCHAR is not it. */
  readonly ask?: string;
}

const CASES: readonly Case[] = [
  { type: "bool", wire: "bool", duckdb: "BOOLEAN", values: [[int(1, 0n), "false"], [int(1, 1n), "true"]] },
  { type: "int16", wire: "int2", duckdb: "SMALLINT", values: [[int(2, -32768n), "-32768"], [int(2, 32767n), "32767"]] },
  { type: "int32", wire: "int4", duckdb: "INTEGER", values: [[int(4, -2147483648n), "-2147483648"]] },
  { type: "int64", wire: "int4", duckdb: "BIGINT", values: [[int(4, -2147483648n), "-2147483648"]] },
  {
    type: "int64",
    wire: "int8",
    duckdb: "BIGINT",
    values: [[int(8, -(2n ** 63n)), "-9223372036854775808"], [int(8, 2n ** 63n - 1n), "9223372036854775807"]],
  },
  { type: "int64", wire: "oid", duckdb: "BIGINT", values: [[int(4, 4294967295n), "4294967295"]] },
  {
    type: "uint64",
    wire: "text",
    duckdb: "UBIGINT",
    values: [[utf8.encode("18446744073709551615"), "18446744073709551615"]],
  },
  {
    type: "float32",
    wire: "float4",
    duckdb: "FLOAT",
    values: [[float(4, 1.5), "1.5"], [float(4, NaN), "nan"], [float(4, -Infinity), "-inf"], [float(4, -0), "-0.0"]],
  },
  {
    type: "float64",
    wire: "float8",
    duckdb: "DOUBLE",
    values: [[float(8, 0.1), "0.1"], [float(8, 1.7976931348623157e308), "1.7976931348623157e+308"], [
      float(8, 5e-324),
      "5e-324",
    ], [float(8, Infinity), "inf"]],
  },
  {
    type: "decimal(5,2)",
    wire: "numeric",
    duckdb: "DECIMAL(5,2)",
    values: [[encodeNumeric("-999.99"), "-999.99"], [encodeNumeric("0"), "0.00"], [encodeNumeric("0.01"), "0.01"]],
  },
  {
    type: "decimal(18,4)",
    wire: "numeric",
    duckdb: "DECIMAL(18,4)",
    values: [[encodeNumeric("99999999999999.9999"), "99999999999999.9999"]],
  },
  {
    type: "decimal(38,10)",
    wire: "numeric",
    duckdb: "DECIMAL(38,10)",
    values: [[encodeNumeric("-" + "9".repeat(28) + ".9999999999"), "-" + "9".repeat(28) + ".9999999999"]],
  },
  {
    type: "date",
    wire: "date",
    duckdb: "DATE",
    values: [[int(4, 0n), "2000-01-01"], [int(4, -10957n), "1970-01-01"], [int(4, 2921939n), "9999-12-31"], [
      int(4, -730119n),
      "0001-01-01",
    ]],
  },
  {
    type: "time_us",
    wire: "time",
    duckdb: "TIME",
    values: [[int(8, 0n), "00:00:00"], [int(8, 86_399_999_999n), "23:59:59.999999"]],
  },
  {
    type: "time_ns",
    wire: "text",
    // DuckDB reads it as microseconds; the digits below are looked at with the other reader.
    duckdb: "TIME",
    values: [[utf8.encode("12:34:56.123456000"), "12:34:56.123456"]],
  },
  {
    type: "timestamp_us",
    wire: "timestamp",
    duckdb: "TIMESTAMP",
    values: [[int(8, -1n), "1999-12-31 23:59:59.999999"], [int(8, -US_2000), "1970-01-01 00:00:00"]],
  },
  {
    type: "timestamp_us_utc",
    wire: "timestamptz",
    duckdb: "TIMESTAMP WITH TIME ZONE",
    ask: "(v AT TIME ZONE 'UTC')::VARCHAR",
    values: [[int(8, 1n), "2000-01-01 00:00:00.000001"]],
  },
  {
    type: "timestamp_ns",
    wire: "text",
    duckdb: "TIMESTAMP_NS",
    values: [[utf8.encode("2026-01-02 03:04:05.123456789"), "2026-01-02 03:04:05.123456789"]],
  },
  {
    type: "string",
    wire: "text",
    duckdb: "VARCHAR",
    values: [[utf8.encode(""), ""], [utf8.encode("zażółć 😀 \u0000"), "zażółć 😀 \u0000"]],
  },
  { type: "enum", wire: "text", duckdb: "VARCHAR", values: [[utf8.encode("open"), "open"]] },
  {
    type: "binary",
    wire: "bytea",
    duckdb: "BLOB",
    ask: "hex(v)",
    values: [[new Uint8Array(), ""], [Uint8Array.of(0, 255, 127), "00FF7F"]],
  },
  { type: "json", wire: "json", duckdb: "JSON", values: [[utf8.encode(`{"a" : 1}`), `{"a" : 1}`]] },
  { type: "json", wire: "jsonb", duckdb: "JSON", values: [[utf8.encode(`\x01{"a": [1]}`), `{"a": [1]}`]] },
  { type: "uuid", wire: "uuid", duckdb: "UUID", values: [[uuid, "00112233-4455-6677-8899-aabbccddeeff"]] },
  {
    type: "uuid",
    wire: "text",
    duckdb: "UUID",
    values: [[utf8.encode("00112233-4455-6677-8899-AABBCCDDEEFF"), "00112233-4455-6677-8899-aabbccddeeff"]],
  },
  {
    type: "uuid",
    wire: "bytes",
    duckdb: "UUID",
    values: [[uuid, "00112233-4455-6677-8899-aabbccddeeff"]],
  },
  {
    type: "int64",
    wire: "text",
    duckdb: "BIGINT",
    values: [[utf8.encode("-5.00"), "-5"], [utf8.encode("9223372036854775807.0"), "9223372036854775807"]],
  },
  { type: "string", wire: "time", duckdb: "VARCHAR", values: [[int(8, 86_400_000_000n), "24:00:00.000000"]] },
  {
    type: "interval",
    wire: "interval",
    duckdb: "VARCHAR",
    values: [[interval(0, 0, 0n), "PT0S"], [interval(14, -3, 90_061_000_000n), "P1Y2M-3DT25H1M1S"], [
      interval(0, 0, -1_500_000n),
      "PT-1.5S",
    ]],
  },
  {
    type: "string",
    wire: "numeric",
    duckdb: "VARCHAR",
    values: [[encodeNumeric("NaN"), "NaN"], [encodeNumeric("-Infinity"), "-Infinity"], [
      encodeNumeric("12345678901234567890.0100"),
      "12345678901234567890.0100",
    ]],
  },
  {
    type: "string",
    wire: "timestamptz",
    duckdb: "VARCHAR",
    values: [[int(8, 2n ** 63n - 1n), "infinity"], [int(8, -(2n ** 63n)), "-infinity"]],
  },
  {
    type: "list<string>",
    wire: "array<text>",
    duckdb: "VARCHAR[]",
    values: [
      [encodeArray(25, []), "[]"],
      [encodeArray(25, [utf8.encode("a"), null, utf8.encode("é")]), "[a, NULL, é]"],
    ],
  },
  {
    type: "list<decimal(10,2)>",
    wire: "array<numeric>",
    duckdb: "DECIMAL(10,2)[]",
    values: [[encodeArray(1700, [encodeNumeric("1.5"), null]), "[1.50, NULL]"]],
  },
  {
    type: "list<uuid>",
    wire: "array<uuid>",
    duckdb: "UUID[]",
    values: [[encodeArray(2950, [uuid]), "[00112233-4455-6677-8899-aabbccddeeff]"]],
  },
  {
    type: "list<timestamp_us_utc>",
    wire: "array<timestamptz>",
    duckdb: "TIMESTAMP WITH TIME ZONE[]",
    ask: "(v[1] AT TIME ZONE 'UTC')::VARCHAR",
    values: [[encodeArray(1184, [int(8, 0n)]), "2000-01-01 00:00:00"]],
  },
  {
    type: "list<bool>",
    wire: "array<bool>",
    duckdb: "BOOLEAN[]",
    values: [[encodeArray(16, [int(1, 1n), null, int(1, 0n)]), "[true, NULL, false]"]],
  },
  {
    type: "list<json>",
    wire: "array<jsonb>",
    duckdb: "JSON[]",
    values: [[encodeArray(3802, [utf8.encode("\x01[1]")]), "[[1]]"]],
  },
  {
    type: "list<binary>",
    wire: "array<bytea>",
    duckdb: "BLOB[]",
    ask: "hex(v[1])",
    values: [[encodeArray(17, [Uint8Array.of(1, 2)]), "0102"]],
  },
];

for (const { type, wire, values, duckdb, ask } of CASES) {
  Deno.test(`${wire} becomes ${type} exactly, NULL included`, async () => {
    const rows = new PgRows();
    for (const [value] of values) rows.begin(1).raw(value).end();
    rows.begin(1).null().end();
    const spec = specOf([{ name: "v", type, wire }]);
    const { files, slice } = await encode(spec, rows.bytes());
    assert.equal(slice.rows, values.length + 1);
    assert.equal(slice.columns[0]?.nulls, 1);
    const text = ask ?? "v::VARCHAR";
    const read = await queryWithDuckdb(files[0]!, `SELECT v IS NULL, ${text} FROM $file`);
    assert.deepEqual(read, [...values.map(([, expected]) => [false, expected]), [true, null]]);
    const types = await queryWithDuckdb(files[0]!, "SELECT column_type FROM (DESCRIBE SELECT * FROM $file)");
    assert.deepEqual(types, [[duckdb]]);
    // A second reader, of another family.
    assert.equal((await readWithHyparquet(files[0]!)).length, values.length + 1);
  });
}

Deno.test("nanoseconds of a time of day are kept", async () => {
  const rows = new PgRows().begin(1).text("12:34:56.123456789").end();
  const { files } = await encode(specOf([{ name: "v", type: "time_ns", wire: "text" }]), rows.bytes());
  assert.deepEqual(await readWithHyparquet(files[0]!), [{ v: 45_296_123_456_789n }]);
});

Deno.test("a decimal of 76 digits arrives whole", async () => {
  const digits = "1234567890".repeat(7) + "123456";
  const texts = [`-${digits.slice(0, 56)}.${digits.slice(56)}`, "0.00000000000000000001", "0"];
  const rows = new PgRows();
  for (const text of texts) rows.begin(1).numeric(text).end();
  const { files } = await encode(specOf([{ name: "v", type: "decimal(76,20)", wire: "numeric" }]), rows.bytes());
  const schema = await queryWithDuckdb(
    files[0]!,
    "SELECT type, type_length, precision, scale FROM parquet_schema($file) WHERE name = 'v'",
  );
  assert.deepEqual(schema, [["FIXED_LEN_BYTE_ARRAY", "32", "76", "20"]]);
  const { files: csv } = await encode(
    specOf([{ name: "v", type: "decimal(76,20)", wire: "numeric" }], { format: { kind: "csv", codec: "none" } }),
    rows.bytes(),
  );
  assert.equal(
    new TextDecoder().decode(csv[0]),
    `v\n${texts[0]}\n${texts[1]}\n0.00000000000000000000\n`,
  );
});

Deno.test("UUID and JSON are native Parquet types, metadata and created_by are kept", async () => {
  const rows = new PgRows().begin(2).raw(uuid).text("{}").end();
  const metadata = { "rivet.native_type": "uuid", "rivet.fidelity": "exact" };
  const { files } = await encode(
    specOf([{ name: "u", type: "uuid", wire: "uuid", metadata }, { name: "j", type: "json", wire: "json" }]),
    rows.bytes(),
  );
  assert.deepEqual(
    await queryWithDuckdb(files[0]!, "SELECT name, logical_type FROM parquet_schema($file) WHERE name IN ('u', 'j')"),
    [["u", "UUIDType()"], ["j", "JsonType()"]],
  );
  assert.deepEqual(await queryWithDuckdb(files[0]!, "SELECT created_by FROM parquet_file_metadata($file)"), [[
    "rivet test",
  ]]);
  const stored = await queryWithDuckdb(files[0]!, "SELECT decode(value) FROM parquet_kv_metadata($file)");
  const schema = atob(String(stored[0]![0]));
  assert.ok(schema.includes("rivet.native_type") && schema.includes("rivet.fidelity"), schema);
});

Deno.test("exported_at and row hash are columns that are never NULL", async () => {
  const rows = new PgRows().begin(2).int4(7).null().end().begin(2).int4(7).null().end().begin(2).int4(8).null().end();
  const columns = [{ name: "a", type: "int32", wire: "int4" }, { name: "b", type: "string", wire: "text" }];
  const { files } = await encode(
    specOf(columns, { exportedAtUs: 1_767_225_600_000_001, rowHash: ["a", "b"] }),
    rows.bytes(),
  );
  const read = await queryWithDuckdb(
    files[0]!,
    "SELECT a, (_rivet_exported_at AT TIME ZONE 'UTC')::VARCHAR, typeof(_rivet_row_hash), _rivet_row_hash::VARCHAR FROM $file",
  );
  assert.deepEqual(
    read.map((row) => row.slice(0, 3)),
    [7, 7, 8].map((a) => [a, "2026-01-01 00:00:00.000001", "BIGINT"]),
  );
  assert.equal(read[0]![3], read[1]![3]);
  assert.notEqual(read[0]![3], read[2]![3]);
  const schema = "SELECT repetition_type FROM parquet_schema($file) WHERE name LIKE '_rivet%'";
  assert.deepEqual(await queryWithDuckdb(files[0]!, schema), [["REQUIRED"], ["REQUIRED"]]);
});
