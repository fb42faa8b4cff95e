// The type names that `columns:` takes: SQL's, PostgreSQL's and the core's own spellings.

import type { LogicalType } from "./logical.ts";

const ROWS: readonly (readonly [LogicalType, ...string[]])[] = [
  [{ kind: "bool" }, "bool", "boolean"],
  [{ kind: "int16" }, "int16", "int2", "smallint"],
  [{ kind: "int32" }, "int32", "int4", "int", "integer"],
  // PostgreSQL's int8 has eight bytes.
  [{ kind: "int64" }, "int64", "int8", "bigint"],
  [{ kind: "uint64" }, "uint64", "uint8", "bigint unsigned"],
  [{ kind: "float32" }, "float32", "float4", "real"],
  [{ kind: "float64" }, "float64", "float8", "double", "double precision"],
  [{ kind: "string" }, "string", "text", "varchar", "char", "bpchar", "name"],
  [{ kind: "binary" }, "binary", "bytea", "blob", "varbinary"],
  [{ kind: "date" }, "date"],
  [{ kind: "json" }, "json", "jsonb"],
  [{ kind: "uuid" }, "uuid"],
  [{ kind: "enum" }, "enum"],
  [{ kind: "interval" }, "interval"],
  [{ kind: "time", unit: "us" }, "time", "time_us", "time without time zone"],
  [{ kind: "time", unit: "ns" }, "time_ns"],
  [{ kind: "timestamp", unit: "us", utc: false }, "timestamp", "timestamp_us", "timestamp without time zone"],
  [{ kind: "timestamp", unit: "ns", utc: false }, "timestamp_ns"],
  [
    { kind: "timestamp", unit: "us", utc: true },
    "timestamp_tz",
    "timestamptz",
    "timestamp with time zone",
    "timestamp_utc",
    "timestamp_us_utc",
  ],
  [{ kind: "timestamp", unit: "ns", utc: true }, "timestamp_tz_ns", "timestamptz_ns", "timestamp_ns_utc"],
];

const NAMES: ReadonlyMap<string, LogicalType> = new Map(
  ROWS.flatMap(([type, ...names]) => names.map((name) => [name, type] as const)),
);

/** Every spelling of each type, the usual one first. */
export const TYPE_ALIASES: readonly (readonly string[])[] = ROWS.map(([, ...names]) => names);

/** For messages: one spelling of each type. */
export const TYPE_NAMES: readonly string[] = [
  ...TYPE_ALIASES.map(([name]) => name!),
  "decimal(p,s)",
  "list<type>",
];

/**
 * The type that a name stands for, in any case and spacing; null when it is none.
 *
 * @example `decimal(10,2)`, `timestamp with time zone`, `list<int64>`, `text[]`
 */
export function parseTypeName(text: string): LogicalType | null {
  const name = text.trim().toLowerCase().replace(/\s+/g, " ");
  const list = /^list ?< ?(.+?) ?>$/.exec(name) ?? /^(.+?) ?\[\]$/.exec(name);
  if (list === null) return parseScalar(name);
  // A list holds single values; no source has typed lists of lists that a file could keep.
  const item = parseScalar(list[1]!);
  return item === null ? null : { kind: "list", item };
}

function parseScalar(name: string): LogicalType | null {
  return NAMES.get(name) ?? parseDecimal(name);
}

function parseDecimal(name: string): LogicalType | null {
  const match = /^(?:decimal|numeric) ?\( ?(\d{1,3}) ?, ?(\d{1,3}) ?\)$/.exec(name);
  if (match === null) return null;
  const [precision, scale] = [Number(match[1]), Number(match[2])];
  return precision >= 1 && precision <= 76 && scale <= precision ? { kind: "decimal", precision, scale } : null;
}
