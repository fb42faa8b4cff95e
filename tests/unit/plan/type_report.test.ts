import assert from "node:assert/strict";
import { buildTypeReport } from "../../../src/plan/mod.ts";
import type { SourceColumn } from "../../../src/source/mod.ts";
import { formatArrow, formatLabel, type LogicalType, TARGETS } from "../../../src/types/mod.ts";

function column(name: string, type: LogicalType | null, more: Partial<SourceColumn> = {}): SourceColumn {
  return {
    name,
    nativeType: "native",
    type,
    wire: "text",
    select: name,
    fidelity: type === null ? "unsupported" : "exact",
    warnings: [],
    notNull: null,
    ...more,
  };
}

const TYPES: [LogicalType | null, string, string][] = [
  [{ kind: "bool" }, "bool", "Boolean"],
  [{ kind: "int16" }, "int2", "Int16"],
  [{ kind: "int32" }, "int4", "Int32"],
  [{ kind: "int64" }, "int8", "Int64"],
  [{ kind: "uint64" }, "uint8", "UInt64"],
  [{ kind: "float32" }, "float4", "Float32"],
  [{ kind: "float64" }, "float8", "Float64"],
  [{ kind: "decimal", precision: 38, scale: 2 }, "decimal(38,2)", "Decimal128(38, 2)"],
  [{ kind: "decimal", precision: 39, scale: 2 }, "decimal(39,2)", "Decimal256(39, 2)"],
  [{ kind: "date" }, "date", "Date32"],
  [{ kind: "time", unit: "us" }, "time", "Time64(Microsecond)"],
  [{ kind: "timestamp", unit: "us", utc: false }, "timestamp", "Timestamp(Microsecond, None)"],
  [{ kind: "timestamp", unit: "ns", utc: true }, "timestamp_tz_ns", 'Timestamp(Nanosecond, Some("UTC"))'],
  [{ kind: "string" }, "text", "Utf8"],
  [{ kind: "binary" }, "binary", "Binary"],
  [{ kind: "json" }, "json", "Utf8"],
  [{ kind: "uuid" }, "uuid", "FixedSizeBinary(16)"],
  [{ kind: "enum" }, "enum", "Utf8"],
  [{ kind: "interval" }, "interval", "Utf8"],
  [{ kind: "list", item: { kind: "int32" } }, "list<int4>", "List(Int32)"],
  [null, "unsupported(native)", "none"],
];

for (const [type, label, arrow] of TYPES) {
  Deno.test(`the report calls it ${label} and ${arrow}`, () => {
    assert.equal(formatLabel(type, "native"), label);
    assert.equal(formatArrow(type), arrow);
  });
}

Deno.test("a loss stops only a strict check, a column without a type always", () => {
  const columns = [
    column("ok", { kind: "int64" }),
    column("narrow", { kind: "float32" }, { fidelity: "lossy" }),
    column("odd", null),
  ];
  const fatal = (isStrict: boolean) =>
    buildTypeReport("t", columns, null, isStrict).violations.map((v) => [v.column, v.fidelity, v.isFatal]);
  assert.deepEqual(fatal(false), [["narrow", "lossy", false], ["odd", "unsupported", true]]);
  assert.deepEqual(fatal(true), [["narrow", "lossy", true], ["odd", "unsupported", true]]);
});

Deno.test("a lossy column is a warning for a target that could hold it, and an unknown one a failure", () => {
  const columns = [column("a", { kind: "int64" }, { fidelity: "lossy" }), column("b", null)];
  const report = buildTypeReport("t", columns, "duckdb", false);
  assert.deepEqual(report.columns.map(({ status }) => status), ["warn", "fail"]);
  assert.deepEqual(report.targetFailures, ["b"]);
});

Deno.test("recovery SQL casts what loads as another type, quotes for its warehouse, and is left out where nothing is to be done", () => {
  const columns = [column('a`"', { kind: "uuid" }), column("b", { kind: "int64" })];
  const sql = TARGETS.map((target) => [target, buildTypeReport("t", columns, target, false).recoverySql] as const);
  const of = Object.fromEntries(sql);
  assert.equal(of["duckdb"], null);
  assert.match(
    of["bigquery"]!,
    /^CREATE TABLE `t` AS SELECT\n {2}TO_HEX\(`a\\`"`\) AS `a\\`"`,\n {2}`b`\nFROM `t__staging`;$/,
  );
  assert.match(of["snowflake"]!, /HEX_ENCODE\("a`"""\)/);
  assert.match(of["clickhouse"]!, /ENGINE = MergeTree ORDER BY tuple\(\) AS SELECT/);
  assert.equal(buildTypeReport("t", [column("b", { kind: "int64" })], "bigquery", false).recoverySql, null);
});
