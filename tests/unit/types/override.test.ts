import assert from "node:assert/strict";
import { formatType, parseTypeName, TYPE_ALIASES, TYPE_NAMES } from "../../../src/types/mod.ts";

const SPELLINGS: Readonly<Record<string, readonly string[]>> = {
  bool: ["bool", "boolean", " BOOL "],
  int16: ["int2", "smallint", "int16"],
  int32: ["int4", "int", "integer", "int32"],
  int64: ["int8", "bigint", "int64"],
  uint64: ["uint64", "bigint unsigned"],
  float32: ["float4", "real", "float32"],
  float64: ["float8", "double", "Double   Precision", "float64"],
  string: ["text", "varchar", "string", "char", "bpchar", "name"],
  binary: ["binary", "bytea", "blob", "varbinary"],
  date: ["date"],
  json: ["json", "jsonb"],
  uuid: ["uuid"],
  enum: ["enum"],
  interval: ["interval"],
  time_us: ["time"],
  time_ns: ["time_ns"],
  timestamp_us: ["timestamp", "timestamp without time zone"],
  timestamp_ns: ["timestamp_ns"],
  timestamp_us_utc: ["timestamp_tz", "timestamptz", "timestamp with time zone", "timestamp_utc"],
  timestamp_ns_utc: ["timestamp_tz_ns", "timestamptz_ns"],
  "decimal(10,2)": ["decimal(10,2)", "NUMERIC( 10 , 2 )", "numeric (10,2)"],
  "decimal(76,76)": ["decimal(76,76)"],
  "list<int64>": ["list<int64>", "bigint[]", "LIST < int8 >"],
  "list<decimal(5,0)>": ["numeric(5,0)[]"],
};

for (const [type, spellings] of Object.entries(SPELLINGS)) {
  Deno.test(`${type} is written ${spellings.join(", ")}`, () => {
    for (const text of [...spellings, type]) {
      const parsed = parseTypeName(text);
      assert.ok(parsed !== null, text);
      assert.equal(formatType(parsed), type);
    }
  });
}

Deno.test("what is no type is no type", () => {
  for (
    const text of [
      "",
      "decimal",
      "decimal(10)",
      "decimal(0,0)",
      "decimal(77,2)",
      "decimal(5,6)",
      "decimal(5,-2)",
      "decimal(5,2) x",
      "list<>",
      "list<list<int64>>",
      "int64[][]",
      "constructor",
      "__proto__",
      "money",
      "int 64",
    ]
  ) assert.equal(parseTypeName(text), null, text);
});

Deno.test("every listed name is a type, and no name stands for two", () => {
  const names = TYPE_ALIASES.flat();
  for (const name of names) assert.ok(parseTypeName(name) !== null, name);
  assert.equal(new Set(names).size, names.length);
  assert.equal(TYPE_NAMES.length, TYPE_ALIASES.length + 2);
});
