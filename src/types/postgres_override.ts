// What an entry under `columns:` makes of a PostgreSQL column: the cast that the server does, exactly or not at all.
// Pure: it sees metadata, never values.

import { RivetError } from "../errors.ts";
import type { Fidelity, LogicalType } from "./logical.ts";
import { type PostgresMapping, quotePostgres } from "./postgres.ts";

/** The parts of a described column that an override looks at and changes. */
export interface OverridablePostgresColumn extends PostgresMapping {
  readonly name: string;
  readonly nativeType: string;
}

/** The column as `columns:` declares it; a pair that cannot be read is refused before anything runs. */
export function overridePostgres<C extends OverridablePostgresColumn>(column: C, type: LogicalType): C {
  const changes = overrideChanges(column, type);
  if (changes === null) {
    throw new RivetError(
      "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH",
      `A '${column.nativeType}' cannot be read as '${type.kind}'`,
      {
        where: `column '${column.name}'`,
        cure: "Remove the entry under `columns:`, declare `string`, or convert the column in a `query:`",
      },
    );
  }
  return { ...column, type, warnings: [], fidelity: "exact", ...changes };
}

type Changes = Partial<PostgresMapping> | null;

type Family =
  | "bool"
  | "integer"
  | "float4"
  | "float8"
  | "numeric"
  | "text"
  | "bytea"
  | "uuid"
  | "json"
  | "date"
  | "time"
  | "timestamp"
  | "timestamptz"
  | "interval"
  | "other";

const FAMILIES: Readonly<Record<string, Family>> = {
  boolean: "bool",
  smallint: "integer",
  integer: "integer",
  bigint: "integer",
  oid: "integer",
  real: "float4",
  "double precision": "float8",
  numeric: "numeric",
  text: "text",
  "character varying": "text",
  character: "text",
  name: "text",
  citext: "text",
  bytea: "bytea",
  uuid: "uuid",
  json: "json",
  jsonb: "json",
  date: "date",
  "time without time zone": "time",
  "timestamp without time zone": "timestamp",
  "timestamp with time zone": "timestamptz",
  interval: "interval",
};

/** What kind of value the server has, from its own spelling of the type. */
function familyOf(nativeType: string): Family {
  if (nativeType.endsWith("]")) return "other";
  const plain = nativeType.replace(/\([^)]*\)/, "").replace(/^interval .*$/, "interval");
  return FAMILIES[plain] ?? "other";
}

function overrideChanges(column: OverridablePostgresColumn, type: LogicalType): Changes {
  const name = quotePostgres(column.name);
  const family = familyOf(column.nativeType);
  if (type.kind === "string") return { wire: "text", select: `${name}::text`, fidelity: textFidelity(family) };
  switch (family) {
    case "bool":
      return type.kind === "bool" ? {} : isInteger(type) ? fromInteger(`${name}::int4`, type) : null;
    case "integer":
      // An oid has no cast to the small integers, and the one to int4 would wrap.
      return fromInteger(column.nativeType === "oid" ? `${name}::int8` : name, type);
    case "float4":
    case "float8":
      return fromFloat(family, name, type);
    case "numeric":
      return fromNumeric(column, name, type);
    case "text":
      return fromText(name, type);
    case "bytea":
      if (type.kind === "uuid") return { wire: "uuid", select: `encode(${name}, 'hex')::uuid` };
      return type.kind === "binary" ? {} : null;
    case "uuid":
      if (type.kind === "binary") return { wire: "bytea", select: `uuid_send(${name})` };
      return type.kind === "uuid" ? {} : null;
    case "json":
      return type.kind === "json" ? { fidelity: "logical_string" } : null;
    case "date":
      if (type.kind === "timestamp") return fromTimestamp(`${name}::timestamp`, "timestamp", type);
      return type.kind === "date" ? {} : null;
    case "time":
      return type.kind === "time" ? {} : null;
    case "timestamp":
    case "timestamptz":
      return fromTimestamp(name, family, type);
    case "interval":
      return type.kind === "interval" ? { fidelity: "compatible" } : null;
    case "other":
      return fromOther(column, name, type);
    default: {
      const never: never = family;
      return never;
    }
  }
}

function textFidelity(family: Family): Fidelity {
  return family === "text" ? "exact" : "logical_string";
}

/** The server refuses an integer that does not fit the narrower type, so no value changes. */
function fromInteger(name: string, type: LogicalType): Changes {
  switch (type.kind) {
    case "int16":
      return { wire: "int2", select: `${name}::int2` };
    case "int32":
      return { wire: "int4", select: `${name}::int4` };
    case "int64":
      return { wire: "int8", select: `${name}::int8` };
    case "decimal":
      return { wire: "numeric", select: `${name}::int8::numeric` };
    case "bool":
      return { wire: "bool", select: boolOf(name) };
    case "float64":
      return { wire: "float8", select: `${name}::int8::float8`, fidelity: "lossy" };
    case "float32":
      return { wire: "float4", select: `${name}::int8::float4`, fidelity: "lossy" };
    default:
      return null;
  }
}

/** The cast of an integer to bool takes every number; this one takes 0 and 1 and refuses the others. */
function boolOf(name: string): string {
  return `${name}::text::bool`;
}

function fromFloat(family: "float4" | "float8", name: string, type: LogicalType): Changes {
  if (type.kind === "float64") return { wire: "float8", select: `${name}::float8` };
  if (type.kind === "float32") {
    return { wire: "float4", select: `${name}::float4`, fidelity: family === "float4" ? "exact" : "lossy" };
  }
  return null;
}

function fromNumeric(column: OverridablePostgresColumn, name: string, type: LogicalType): Changes {
  switch (type.kind) {
    case "decimal":
      return { wire: "numeric", select: name, fidelity: decimalFidelity(column.type, type) };
    case "float64":
      return { wire: "float8", select: `${name}::float8`, fidelity: "lossy" };
    case "float32":
      return { wire: "float4", select: `${name}::float4`, fidelity: "lossy" };
    case "int16":
    case "int32":
    case "int64":
      // The cast to an integer rounds, so the type itself must rule out a fraction.
      return column.type?.kind === "decimal" && column.type.scale === 0 ? fromNumericInteger(name, type) : null;
    default:
      return null;
  }
}

function fromNumericInteger(name: string, type: LogicalType): Changes {
  const wire = type.kind === "int16" ? "int2" : type.kind === "int32" ? "int4" : "int8";
  return { wire, select: `${name}::${wire}` };
}

/** A value that does not fit the declared digits is refused when it is read; the report says so beforehand. */
function decimalFidelity(own: LogicalType | null, type: { precision: number; scale: number }): Fidelity {
  if (own?.kind !== "decimal") return "exact";
  const narrower = type.scale < own.scale || type.precision - type.scale < own.precision - own.scale;
  return narrower ? "lossy" : "exact";
}

/** The server parses the text and refuses what is not of the declared type. */
function fromText(name: string, type: LogicalType): Changes {
  const cast = (wire: string, sql: string): Changes => ({ wire, select: `${name}::${sql}`, fidelity: "compatible" });
  switch (type.kind) {
    case "bool":
      return cast("bool", "bool");
    case "int16":
      return cast("int2", "int2");
    case "int32":
      return cast("int4", "int4");
    case "int64":
      return cast("int8", "int8");
    case "float32":
      return cast("float4", "float4");
    case "float64":
      return cast("float8", "float8");
    case "decimal":
      return cast("numeric", "numeric");
    case "uuid":
      return cast("uuid", "uuid");
    case "json":
      return { wire: "json", select: `${name}::json`, fidelity: "logical_string" };
    case "date":
      return cast("date", "date");
    case "time":
      return cast("time", "time");
    case "timestamp":
      return type.utc ? cast("timestamptz", "timestamptz") : cast("timestamp", "timestamp");
    case "interval":
      return cast("interval", "interval");
    case "enum":
      return { wire: "text", select: `${name}::text`, fidelity: "compatible" };
    case "binary":
      return { wire: "bytea", select: `convert_to(${name}, 'UTF8')`, fidelity: "compatible" };
    default:
      return null;
  }
}

function fromTimestamp(name: string, own: "timestamp" | "timestamptz", type: LogicalType): Changes {
  if (type.kind === "date") return { wire: "date", select: `${name}::date`, fidelity: "lossy" };
  if (type.kind !== "timestamp") return null;
  const wire = type.utc ? "timestamptz" : "timestamp";
  // The session's zone is UTC, and saying so here keeps the meaning where the expression is read by a person.
  return wire === own ? { wire, select: name } : { wire, select: `${name} AT TIME ZONE 'UTC'`, fidelity: "compatible" };
}

function fromOther(column: OverridablePostgresColumn, name: string, type: LogicalType): Changes {
  if (type.kind === "enum" && column.type?.kind === "enum") return { fidelity: "compatible" };
  if (type.kind === "json" && column.type !== null) {
    return { wire: "json", select: `to_json(${name})`, fidelity: "logical_string" };
  }
  if (column.nativeType === "money" && type.kind === "decimal") {
    return { wire: "numeric", select: `${name}::numeric` };
  }
  return null;
}

function isInteger(type: LogicalType): boolean {
  return type.kind === "int16" || type.kind === "int32" || type.kind === "int64";
}
