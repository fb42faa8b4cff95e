import { deepEqual, equal, throws } from "node:assert/strict";
import { formatType, type LogicalType, mapSqlite, overrideSqlite } from "../../../src/types/mod.ts";

const MAPPED: readonly [declared: string, type: string, fidelity: string][] = [
  ["INTEGER", "int64", "exact"],
  ["int", "int64", "exact"],
  ["TINYINT", "int64", "exact"],
  ["UNSIGNED BIG INT", "int64", "exact"],
  ["INT8", "int64", "exact"],
  ["REAL", "float64", "exact"],
  ["DOUBLE PRECISION", "float64", "exact"],
  ["float", "float64", "exact"],
  ["TEXT", "string", "exact"],
  ["VARCHAR(255)", "string", "exact"],
  ["NATIVE CHARACTER(70)", "string", "exact"],
  ["clob", "string", "exact"],
  ["BLOB", "binary", "exact"],
  ["VARBINARY(16)", "binary", "exact"],
  ["BOOLEAN", "bool", "exact"],
  ["bool", "bool", "exact"],
  ["DATE", "date", "exact"],
  ["TIME", "time_us", "exact"],
  ["TIME(3)", "time_us", "exact"],
  ["DATETIME", "timestamp_us", "exact"],
  ["TIMESTAMP", "timestamp_us", "exact"],
  ["timestamp(6)", "timestamp_us", "exact"],
  ["TIMESTAMP WITHOUT TIME ZONE", "timestamp_us", "exact"],
  ["timestamp  with time zone", "timestamp_us_utc", "exact"],
  ["TIMESTAMP(3) WITH TIME ZONE", "timestamp_us_utc", "exact"],
  ["TIMESTAMPTZ", "timestamp_us_utc", "exact"],
  ["DECIMAL(10,2)", "decimal(10,2)", "compatible"],
  ["numeric( 38 , 0 )", "decimal(38,0)", "compatible"],
  ["DECIMAL(12)", "decimal(12,0)", "compatible"],
  ["UUID", "uuid", "exact"],
  ["GUID", "uuid", "exact"],
  ["JSON", "json", "logical_string"],
  ["jsonb", "json", "logical_string"],
  // No precision, or one that no file can hold: text keeps every digit.
  ["NUMERIC", "string", "compatible"],
  ["DECIMAL", "string", "compatible"],
  ["DECIMAL(77,2)", "string", "compatible"],
  ["NUMERIC(5,6)", "string", "compatible"],
  ["MONEY", "string", "compatible"],
  ["ANY", "string", "compatible"],
  ["any", "string", "compatible"],
  ["", "string", "compatible"],
];

Deno.test("mapSqlite follows the declared name first and SQLite's affinity rules after it", () => {
  for (const [declared, type, fidelity] of MAPPED) {
    const mapped = mapSqlite("x", declared);
    deepEqual([declared, formatType(mapped.type!), mapped.fidelity], [declared, type, fidelity]);
    equal(mapped.wire, type === "binary" ? "bytes" : "text");
  }
});

Deno.test("mapSqlite warns exactly where a declared type says nothing", () => {
  for (const [declared, type] of MAPPED) {
    const silent = type !== "string" || /CHAR|CLOB|TEXT/i.test(declared);
    equal(mapSqlite("x", declared).warnings.length, silent ? 0 : 1, declared);
  }
});

Deno.test("mapSqlite quotes names as identifiers and as text", () => {
  const { select } = mapSqlite(`o'"dd`, "INTEGER");
  equal(select.includes(`"o'""dd"`), true);
  equal(select.includes(`'o''"dd'`), true);
});

Deno.test("overrideSqlite takes every type but a list, and says what may be lost", () => {
  const column = (declared: string) => ({ name: "x", nativeType: declared, ...mapSqlite("x", declared) });
  const override = (declared: string, type: LogicalType) => overrideSqlite(column(declared), type);
  equal(override("INTEGER", { kind: "int64" }).fidelity, "exact");
  equal(override("INTEGER", { kind: "string" }).fidelity, "compatible");
  equal(override("INTEGER", { kind: "float64" }).fidelity, "compatible");
  equal(override("REAL", { kind: "float32" }).fidelity, "lossy");
  equal(override("NUMERIC", { kind: "float64" }).fidelity, "lossy");
  equal(override("TEXT", { kind: "json" }).fidelity, "logical_string");
  equal(override("TEXT", { kind: "binary" }).wire, "bytes");
  deepEqual(override("", { kind: "int64" }).warnings, []);
  throws(() => override("TEXT", { kind: "list", item: { kind: "string" } }), {
    code: "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH",
  });
});
