// PostgreSQL columns: what each type becomes, and which overrides are possible.

import assert from "node:assert/strict";
import { RivetError } from "../../../src/errors.ts";
import {
  formatType,
  type LogicalType,
  mapPostgres,
  overridePostgres,
  POSTGRES_OID,
  type PostgresType,
} from "../../../src/types/mod.ts";

function base(oid: number, name = "t"): PostgresType {
  return { oid, name, kind: "base", element: null, base: null };
}

function arrayOf(element: PostgresType): PostgresType {
  return { oid: 99_000, name: `_${element.name}`, kind: "base", element, base: null };
}

function domainOver(type: PostgresType, typmod = -1): PostgresType {
  return { oid: 99_001, name: "d", kind: "domain", element: null, base: { type, typmod } };
}

const MOOD: PostgresType = { oid: 99_002, name: "mood", kind: "enum", element: null, base: null };
const PAIR: PostgresType = { oid: 99_003, name: "pair", kind: "composite", element: null, base: null };

function numericTypmod(precision: number, scale: number): number {
  return ((precision << 16) | (scale & 0x7ff)) + 4;
}

/** `type wire select` of a column named `a"b`. */
function mapped(type: PostgresType, typmod = -1): string {
  const { type: logical, wire, select } = mapPostgres({ name: 'a"b', nativeType: "n", type, typmod });
  return `${logical === null ? "none" : formatType(logical)} ${wire} ${select}`;
}

const NUMERIC = base(POSTGRES_OID.numeric, "numeric");

const MAPPINGS: [type: PostgresType, typmod: number, expected: string][] = [
  [base(POSTGRES_OID.bool), -1, 'bool bool "a""b"'],
  [base(POSTGRES_OID.int2), -1, 'int16 int2 "a""b"'],
  [base(POSTGRES_OID.oid), -1, 'int64 oid "a""b"'],
  [base(POSTGRES_OID.bpchar), 14, 'string text "a""b"'],
  [base(POSTGRES_OID.timestamptz), -1, 'timestamp_us_utc timestamptz "a""b"'],
  [base(POSTGRES_OID.jsonb), -1, 'json jsonb "a""b"'],
  [NUMERIC, numericTypmod(10, 2), 'decimal(10,2) numeric "a""b"'],
  [NUMERIC, numericTypmod(76, 76), 'decimal(76,76) numeric "a""b"'],
  [NUMERIC, numericTypmod(3, -2), 'decimal(5,0) numeric "a""b"'],
  [NUMERIC, numericTypmod(2, 4), 'decimal(4,4) numeric "a""b"'],
  [NUMERIC, numericTypmod(77, 0), 'string text "a""b"::text'],
  [NUMERIC, numericTypmod(75, -2), 'string text "a""b"::text'],
  [NUMERIC, -1, 'string text "a""b"::text'],
  [MOOD, -1, 'enum text "a""b"::text'],
  [PAIR, -1, 'string text "a""b"::text'],
  [base(869, "inet"), -1, 'string text "a""b"::text'],
  [domainOver(NUMERIC, numericTypmod(9, 3)), -1, 'decimal(9,3) numeric "a""b"'],
  [domainOver(domainOver(base(POSTGRES_OID.text))), -1, 'string text "a""b"'],
  [arrayOf(base(POSTGRES_OID.int4, "int4")), -1, 'list<int32> array<int4> "a""b"'],
  [arrayOf(NUMERIC), numericTypmod(10, 2), 'list<decimal(10,2)> array<numeric> "a""b"'],
  [arrayOf(NUMERIC), -1, 'list<string> array<text> "a""b"::text[]'],
  [arrayOf(MOOD), -1, 'list<enum> array<text> "a""b"::text[]'],
  [arrayOf(PAIR), -1, 'list<string> array<text> "a""b"::text[]'],
  [arrayOf(domainOver(base(POSTGRES_OID.int8, "int8"))), -1, 'list<int64> array<int8> "a""b"::pg_catalog."int8"[]'],
  [domainOver(arrayOf(base(POSTGRES_OID.uuid, "uuid"))), -1, 'list<uuid> array<uuid> "a""b"'],
  [base(POSTGRES_OID.int2vector), -1, 'list<int16> array<int2> "a""b"::int2[]'],
  [{ ...base(POSTGRES_OID.record), kind: "pseudo" }, -1, 'string text "a""b"::text'],
  [{ ...base(2278, "void"), kind: "pseudo" }, -1, 'none text "a""b"'],
];

Deno.test("each type becomes what holds all its values", () => {
  for (const [type, typmod, expected] of MAPPINGS) assert.equal(mapped(type, typmod), expected);
});

Deno.test("a numeric without precision says how to get a number", () => {
  const { warnings } = mapPostgres({ name: "a", nativeType: "numeric", type: NUMERIC, typmod: -1 });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /decimal\(p,s\)/);
});

const TS: LogicalType = { kind: "timestamp", unit: "us", utc: false };
const TS_NS: LogicalType = { kind: "timestamp", unit: "ns", utc: false };
const TSTZ: LogicalType = { kind: "timestamp", unit: "us", utc: true };
const DECIMAL: LogicalType = { kind: "decimal", precision: 12, scale: 2 };

function overridden(nativeType: string, to: LogicalType, own: LogicalType | null = null): string | null {
  const column = {
    name: "c",
    nativeType,
    type: own,
    wire: "w",
    select: '"c"',
    fidelity: "exact",
    warnings: ["old"],
  } as const;
  try {
    const { wire, select, fidelity, warnings, type } = overridePostgres(column, to);
    assert.equal(type, to);
    assert.deepEqual(warnings, []);
    return `${wire} ${select} ${fidelity}`;
  } catch (error) {
    assert.ok(error instanceof RivetError && error.code === "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH", `${error}`);
    return null;
  }
}

Deno.test("every type can be declared a string", () => {
  for (const native of ["integer", "money", "numeric", "inet[]", "text", "jsonb", "point", "mood"]) {
    const exact = native === "text" ? "exact" : "logical_string";
    assert.equal(overridden(native, { kind: "string" }), `text "c"::text ${exact}`);
  }
});

const OVERRIDES: [native: string, to: LogicalType, expected: string | null, own?: LogicalType][] = [
  ["bigint", { kind: "int32" }, 'int4 "c"::int4 exact'],
  ["oid", { kind: "int32" }, 'int4 "c"::int8::int4 exact'],
  ["smallint", DECIMAL, 'numeric "c"::int8::numeric exact'],
  ["integer", { kind: "bool" }, 'bool "c"::text::bool exact'],
  ["integer", { kind: "uuid" }, null],
  ["integer", TS, null],
  ["boolean", { kind: "int16" }, 'int2 "c"::int4::int2 exact'],
  ["boolean", { kind: "float64" }, null],
  ["real", { kind: "float64" }, 'float8 "c"::float8 exact'],
  ["double precision", { kind: "float32" }, 'float4 "c"::float4 lossy'],
  ["double precision", DECIMAL, null],
  ["numeric", DECIMAL, 'numeric "c" exact'],
  ["numeric(20,6)", DECIMAL, 'numeric "c" lossy', { kind: "decimal", precision: 20, scale: 6 }],
  ["numeric(20,0)", { kind: "int64" }, 'int8 "c"::int8 exact', { kind: "decimal", precision: 20, scale: 0 }],
  ["numeric(20,6)", { kind: "int64" }, null, { kind: "decimal", precision: 20, scale: 6 }],
  ["numeric", { kind: "int64" }, null],
  ["numeric", { kind: "float64" }, 'float8 "c"::float8 lossy'],
  ["character varying(36)", { kind: "uuid" }, 'uuid "c"::uuid compatible'],
  ["text", { kind: "json" }, 'json "c"::json logical_string'],
  ["text", { kind: "binary" }, "bytea convert_to(\"c\", 'UTF8') compatible"],
  ["character(10)", { kind: "date" }, 'date "c"::date compatible'],
  ["bytea", { kind: "uuid" }, "uuid encode(\"c\", 'hex')::uuid exact"],
  ["bytea", { kind: "json" }, null],
  ["uuid", { kind: "binary" }, 'bytea uuid_send("c") exact'],
  ["jsonb", { kind: "json" }, 'w "c" logical_string'],
  ["date", TS, 'timestamp "c"::timestamp exact'],
  ["date", { kind: "date" }, 'w "c" exact'],
  ["timestamp(3) without time zone", TS_NS, 'timestamp "c" exact'],
  ["timestamp without time zone", TSTZ, "timestamptz \"c\" AT TIME ZONE 'UTC' compatible"],
  ["timestamp with time zone", TS, "timestamp \"c\" AT TIME ZONE 'UTC' compatible"],
  ["timestamp with time zone", { kind: "date" }, 'date "c"::date lossy'],
  ["time(0) without time zone", { kind: "time", unit: "us" }, 'w "c" exact'],
  ["interval day to second(3)", { kind: "interval" }, 'w "c" compatible'],
  ["money", DECIMAL, 'numeric "c"::numeric exact', { kind: "string" }],
  ["point", { kind: "json" }, 'json to_json("c") logical_string', { kind: "string" }],
  ["integer[]", { kind: "int32" }, null, { kind: "list", item: { kind: "int32" } }],
  ["mood", { kind: "enum" }, 'w "c" compatible', { kind: "enum" }],
];

Deno.test("an override is a cast that the server does exactly, or a refusal", () => {
  for (const [native, to, expected, own] of OVERRIDES) {
    assert.equal(overridden(native, to, own ?? null), expected, `${native} as ${formatType(to)}`);
  }
});
