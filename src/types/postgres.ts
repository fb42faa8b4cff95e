// PostgreSQL types: what a result column becomes, how it is selected and in which binary form it arrives.
// Pure: it sees metadata, never values. What has no binary form of its own here is read as the server's own text.

import type { Fidelity, LogicalType } from "./logical.ts";

/** A type as `pg_type` has it. */
export interface PostgresType {
  readonly oid: number;
  readonly name: string;
  readonly kind: "base" | "enum" | "domain" | "composite" | "range" | "multirange" | "pseudo";
  /** The element type of a true array. */
  readonly element: PostgresType | null;
  /** What a domain stands for. */
  readonly base: { readonly type: PostgresType; readonly typmod: number } | null;
}

/** A result column as the row description and the catalog have it. */
export interface PostgresColumn {
  readonly name: string;
  /** `format_type`: `numeric(10,2)`, `timestamp with time zone`, `text[]`. */
  readonly nativeType: string;
  readonly type: PostgresType;
  /** −1 when the type has no modifier. */
  readonly typmod: number;
}

/** How a column is read and what it becomes. */
export interface PostgresMapping {
  readonly type: LogicalType | null;
  readonly wire: string;
  readonly select: string;
  readonly fidelity: Fidelity;
  readonly warnings: readonly string[];
}

export const POSTGRES_OID = {
  bool: 16,
  bytea: 17,
  name: 19,
  int8: 20,
  int2: 21,
  int2vector: 22,
  int4: 23,
  text: 25,
  oid: 26,
  oidvector: 30,
  json: 114,
  float4: 700,
  float8: 701,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  numeric: 1700,
  record: 2249,
  uuid: 2950,
  jsonb: 3802,
} as const;

interface Form {
  readonly wire: string;
  readonly type: LogicalType;
  readonly fidelity: Fidelity;
}

/** Types whose binary form the core decodes. */
const FORMS: ReadonlyMap<number, Form> = new Map<number, Form>([
  [POSTGRES_OID.bool, { wire: "bool", type: { kind: "bool" }, fidelity: "exact" }],
  [POSTGRES_OID.int2, { wire: "int2", type: { kind: "int16" }, fidelity: "exact" }],
  [POSTGRES_OID.int4, { wire: "int4", type: { kind: "int32" }, fidelity: "exact" }],
  [POSTGRES_OID.int8, { wire: "int8", type: { kind: "int64" }, fidelity: "exact" }],
  [POSTGRES_OID.oid, { wire: "oid", type: { kind: "int64" }, fidelity: "exact" }],
  [POSTGRES_OID.float4, { wire: "float4", type: { kind: "float32" }, fidelity: "exact" }],
  [POSTGRES_OID.float8, { wire: "float8", type: { kind: "float64" }, fidelity: "exact" }],
  [POSTGRES_OID.date, { wire: "date", type: { kind: "date" }, fidelity: "exact" }],
  [POSTGRES_OID.time, { wire: "time", type: { kind: "time", unit: "us" }, fidelity: "exact" }],
  [POSTGRES_OID.timestamp, {
    wire: "timestamp",
    type: { kind: "timestamp", unit: "us", utc: false },
    fidelity: "exact",
  }],
  [POSTGRES_OID.timestamptz, {
    wire: "timestamptz",
    type: { kind: "timestamp", unit: "us", utc: true },
    fidelity: "exact",
  }],
  [POSTGRES_OID.interval, { wire: "interval", type: { kind: "interval" }, fidelity: "compatible" }],
  [POSTGRES_OID.text, { wire: "text", type: { kind: "string" }, fidelity: "exact" }],
  [POSTGRES_OID.varchar, { wire: "text", type: { kind: "string" }, fidelity: "exact" }],
  [POSTGRES_OID.bpchar, { wire: "text", type: { kind: "string" }, fidelity: "exact" }],
  [POSTGRES_OID.name, { wire: "text", type: { kind: "string" }, fidelity: "exact" }],
  [POSTGRES_OID.bytea, { wire: "bytea", type: { kind: "binary" }, fidelity: "exact" }],
  [POSTGRES_OID.json, { wire: "json", type: { kind: "json" }, fidelity: "logical_string" }],
  [POSTGRES_OID.jsonb, { wire: "jsonb", type: { kind: "json" }, fidelity: "logical_string" }],
  [POSTGRES_OID.uuid, { wire: "uuid", type: { kind: "uuid" }, fidelity: "exact" }],
]);

/** Selected as text: the wire form of a column then follows from its type alone. */
const ENUM_FORM: Form = { wire: "text", type: { kind: "enum" }, fidelity: "compatible" };

const DECIMAL_PRECISION_MAX = 76;

/** The declared precision and scale of a numeric, as a decimal that holds every value of it; null when there is none. */
export function decimalOfTypmod(typmod: number): { precision: number; scale: number } | null {
  if (typmod < 4) return null;
  const packed = typmod - 4;
  const precision = packed >>> 16;
  // Eleven bits with a sign: since version 15 a scale may be negative or above the precision.
  const scale = ((packed & 0x7ff) ^ 1024) - 1024;
  const held = scale < 0
    ? { precision: precision - scale, scale: 0 }
    : { precision: Math.max(precision, scale), scale };
  return held.precision <= DECIMAL_PRECISION_MAX ? held : null;
}

/** A name as a delimited identifier. */
export function quotePostgres(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function numericForm(typmod: number): Form | null {
  const decimal = decimalOfTypmod(typmod);
  return decimal === null ? null : { wire: "numeric", type: { kind: "decimal", ...decimal }, fidelity: "exact" };
}

/** The binary form of a type that is no array and no domain, null when it has none. */
function formOf(type: PostgresType, typmod: number): Form | null {
  if (type.kind === "enum") return ENUM_FORM;
  return type.oid === POSTGRES_OID.numeric ? numericForm(typmod) : FORMS.get(type.oid) ?? null;
}

/** What the column becomes without an override. */
export function mapPostgres(column: PostgresColumn): PostgresMapping {
  const name = quotePostgres(column.name);
  const { type, typmod } = undressDomain(column.type, column.typmod);
  const form = formOf(type, typmod);
  if (form !== null) return { ...form, select: type.kind === "enum" ? `${name}::text` : name, warnings: [] };
  if (type.element !== null) return mapArray(name, type.element, typmod);
  if (type.oid === POSTGRES_OID.int2vector) {
    return { ...listOf(FORMS.get(POSTGRES_OID.int2)!), select: `${name}::int2[]`, warnings: [] };
  }
  if (type.oid === POSTGRES_OID.oidvector) {
    return { ...listOf(FORMS.get(POSTGRES_OID.oid)!), select: `${name}::oid[]`, warnings: [] };
  }
  if (type.kind === "pseudo" && type.oid !== POSTGRES_OID.record) {
    return { type: null, wire: "text", select: name, fidelity: "unsupported", warnings: [] };
  }
  return asText(name, type.oid === POSTGRES_OID.numeric ? [bareNumeric(typmod)] : []);
}

function asText(name: string, warnings: readonly string[]): PostgresMapping {
  return { type: { kind: "string" }, wire: "text", select: `${name}::text`, fidelity: "logical_string", warnings };
}

function bareNumeric(typmod: number): string {
  const what = typmod < 4 ? "numeric without a precision" : `numeric of more than ${DECIMAL_PRECISION_MAX} digits`;
  return `${what} is written as exact text; \`decimal(p,s)\` under \`columns:\` makes it a number`;
}

function undressDomain(type: PostgresType, typmod: number): { type: PostgresType; typmod: number } {
  return type.base === null ? { type, typmod } : undressDomain(type.base.type, type.base.typmod);
}

function listOf(form: Form): Form {
  const fidelity = form.fidelity === "exact" ? "compatible" : form.fidelity;
  return { wire: `array<${form.wire}>`, type: { kind: "list", item: form.type }, fidelity };
}

function mapArray(name: string, element: PostgresType, typmod: number): PostgresMapping {
  const inner = undressDomain(element, typmod);
  const form = formOf(inner.type, inner.typmod);
  // A cast takes the domain off every element, so that the array says what it holds.
  if (form !== null) {
    const plain = element.base === null && element.kind !== "enum";
    const select = plain ? name : `${name}::${typeName(inner.type)}[]`;
    return { ...listOf(form), select, warnings: [] };
  }
  if (inner.type.kind === "pseudo" || inner.type.element !== null) return asText(name, []);
  const warnings = inner.type.oid === POSTGRES_OID.numeric ? [bareNumeric(inner.typmod)] : [];
  const text: Form = { wire: "text", type: { kind: "string" }, fidelity: "logical_string" };
  return { ...listOf(text), select: `${name}::text[]`, warnings };
}

/** For types whose binary form is known: all but the enums live in `pg_catalog`. */
function typeName(type: PostgresType): string {
  return type.kind === "enum" ? "text" : `pg_catalog.${quotePostgres(type.name)}`;
}
