// The type names that `columns:` takes.

import type { LogicalType } from "./logical.ts";

const NAMES: Record<string, LogicalType> = {};
function define(type: LogicalType, ...names: string[]): void {
  for (const name of names) NAMES[name] = type;
}
define({ kind: "bool" }, "bool", "boolean");
define({ kind: "int16" }, "int2", "smallint", "int16");
define({ kind: "int32" }, "int4", "int", "integer", "int32");
define({ kind: "int64" }, "int8", "bigint", "int64");
define({ kind: "uint64" }, "uint8", "uint64");
define({ kind: "float32" }, "float4", "real", "float32");
define({ kind: "float64" }, "float8", "double", "double precision", "float64");
define({ kind: "string" }, "text", "varchar", "string", "char", "bpchar", "name");
define({ kind: "binary" }, "binary", "bytea", "blob", "varbinary");
define({ kind: "date" }, "date");
define({ kind: "json" }, "json", "jsonb");
define({ kind: "uuid" }, "uuid");
define({ kind: "enum" }, "enum");
define({ kind: "interval" }, "interval");
define({ kind: "time", unit: "us" }, "time");
define({ kind: "time", unit: "ns" }, "time_ns");
define({ kind: "timestamp", unit: "us", utc: false }, "timestamp", "timestamp without time zone");
define({ kind: "timestamp", unit: "ns", utc: false }, "timestamp_ns");
define(
  { kind: "timestamp", unit: "us", utc: true },
  "timestamp_tz",
  "timestamptz",
  "timestamp with time zone",
  "timestamp_utc",
);
define({ kind: "timestamp", unit: "ns", utc: true }, "timestamp_tz_ns", "timestamptz_ns");

/** The type a name stands for, in any case; null when it is none. */
export function parseTypeName(text: string): LogicalType | null {
  const name = text.trim().toLowerCase().replace(/\s+/g, " ");
  const known = NAMES[name];
  if (known !== undefined) return known;
  const list = /^list<(.+)>$/.exec(name) ?? /^(.+)\[\]$/.exec(name);
  if (list !== null) {
    const item = parseTypeName(list[1]!);
    return item === null ? null : { kind: "list", item };
  }
  const decimal = /^(?:decimal|numeric)\s*\(\s*(\d+)\s*,\s*(-?\d+)\s*\)$/.exec(name);
  if (decimal === null) return null;
  const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
  return precision >= 1 && precision <= 76 && scale >= 0 && scale <= precision
    ? { kind: "decimal", precision, scale }
    : null;
}

/** For messages. */
export const TYPE_NAMES: readonly string[] = [...Object.keys(NAMES), "decimal(p,s)", "list<type>"];
