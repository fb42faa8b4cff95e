// SQLite types: what a column becomes by its declared type, how it is selected, and what an override makes of it.
// A declared type is only a wish in SQLite, so every selected value is guarded: one of another kind is refused, never converted.

import { RivetError } from "../errors.ts";
import { type Fidelity, formatType, type LogicalType } from "./logical.ts";

/** How a column is decoded, selected and written. */
export interface SqliteMapping {
  readonly type: LogicalType | null;
  readonly wire: string;
  readonly select: string;
  readonly fidelity: Fidelity;
  readonly warnings: readonly string[];
}

/** The parts of a described column that an override looks at and changes. */
export interface SqliteColumn extends SqliteMapping {
  readonly name: string;
  readonly nativeType: string;
}

/** The native type of a column that declares none. */
export const SQLITE_UNTYPED = "any";

/** What the column becomes without an override. `declared` is the type as written in the table, `any` for none. */
export function mapSqlite(name: string, declared: string): SqliteMapping {
  const { type, fidelity, warnings } = classify(declared);
  return { type, ...selectExactly(name, type), fidelity, warnings };
}

/** The column as `columns:` declares it: any kind of value is taken that reads as this type. */
export function overrideSqlite<C extends SqliteColumn>(column: C, type: LogicalType): C {
  if (type.kind === "list") {
    throw new RivetError(
      "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH",
      `A '${column.nativeType}' cannot be read as '${formatType(type)}'`,
      { where: `column '${column.name}'`, cure: "Declare it as `json` or `string` under `columns:`" },
    );
  }
  const same = column.type !== null && formatType(column.type) === formatType(type);
  const fidelity: Fidelity = same
    ? column.fidelity
    : type.kind === "json"
    ? "logical_string"
    : isLossy(column.type, type)
    ? "lossy"
    : "compatible";
  return { ...column, type, ...selectFreely(column.name, type), fidelity, warnings: [] };
}

function isLossy(from: LogicalType | null, to: LogicalType): boolean {
  if (to.kind === "float32") return from?.kind !== "float32";
  return to.kind === "float64" && (from?.kind === "decimal" || from?.kind === "string");
}

interface Classified {
  readonly type: LogicalType;
  readonly fidelity: Fidelity;
  readonly warnings: readonly string[];
}

const exact = (type: LogicalType): Classified => ({ type, fidelity: "exact", warnings: [] });
const compatible = (type: LogicalType, ...warnings: string[]): Classified => ({
  type,
  fidelity: "compatible",
  warnings,
});

const INT64: LogicalType = { kind: "int64" };
const NAIVE: LogicalType = { kind: "timestamp", unit: "us", utc: false };
const UTC: LogicalType = { kind: "timestamp", unit: "us", utc: true };

/** Names that mean more than the affinity SQLite gives them. */
const NAMED: Readonly<Record<string, Classified>> = {
  "BOOL": exact({ kind: "bool" }),
  "BOOLEAN": exact({ kind: "bool" }),
  "DATE": exact({ kind: "date" }),
  "TIME": exact({ kind: "time", unit: "us" }),
  "DATETIME": exact(NAIVE),
  "DATETIME2": exact(NAIVE),
  "SMALLDATETIME": exact(NAIVE),
  "TIMESTAMP": exact(NAIVE),
  "TIMESTAMP WITHOUT TIME ZONE": exact(NAIVE),
  "TIMESTAMPTZ": exact(UTC),
  "TIMESTAMP WITH TIME ZONE": exact(UTC),
  "DATETIMEOFFSET": exact(UTC),
  "UUID": exact({ kind: "uuid" }),
  "GUID": exact({ kind: "uuid" }),
  "UNIQUEIDENTIFIER": exact({ kind: "uuid" }),
  "JSON": { type: { kind: "json" }, fidelity: "logical_string", warnings: [] },
  "JSONB": { type: { kind: "json" }, fidelity: "logical_string", warnings: [] },
  "BINARY": exact({ kind: "binary" }),
  "VARBINARY": exact({ kind: "binary" }),
  "BYTEA": exact({ kind: "binary" }),
};

const DECIMAL = /^(?:DECIMAL|NUMERIC|DEC|NUMBER)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)$/;

function classify(declared: string): Classified {
  const upper = declared.trim().toUpperCase().replace(/\s+/g, " ");
  const decimal = DECIMAL.exec(upper);
  if (decimal !== null) {
    const precision = Number(decimal[1]);
    const scale = Number(decimal[2] ?? 0);
    if (precision >= 1 && precision <= 76 && scale <= precision) {
      // Fractions are stored as doubles; each arrives as the shortest decimal that means that double.
      return compatible({ kind: "decimal", precision, scale });
    }
  }
  const word = upper.replace(/\s*\([^)]*\)/, "");
  if (Object.hasOwn(NAMED, word)) return NAMED[word]!;
  return classifyByAffinity(word);
}

/** SQLite's own rules, in its own order. */
function classifyByAffinity(word: string): Classified {
  if (word.includes("INT")) return exact(INT64);
  if (/CHAR|CLOB|TEXT/.test(word)) return exact({ kind: "string" });
  if (word.includes("BLOB")) return exact({ kind: "binary" });
  if (/REAL|FLOA|DOUB/.test(word)) return exact({ kind: "float64" });
  if (word === "" || word === "ANY") {
    return compatible(
      { kind: "string" },
      "has no declared type and is written as text; say what it holds under `columns:`, or CAST it in a `query:`",
    );
  }
  return compatible(
    { kind: "string" },
    "a number without precision is written as text; declare it under `columns:` as decimal(p,s), int64 or float64",
  );
}

type Selection = Pick<SqliteMapping, "wire" | "select">;

/** Only the kind of value that the declared type stands for. */
function selectExactly(name: string, type: LogicalType): Selection {
  const x = quote(name);
  const refuse = refusal(name, type);
  const only = (kinds: string, value: string): Selection => ({
    wire: "text",
    select: `CASE WHEN typeof(${x}) IN (${kinds}, 'null') THEN ${value} ELSE ${refuse} END`,
  });
  switch (type.kind) {
    case "int16":
    case "int32":
    case "int64":
    case "uint64":
      return only("'integer'", x);
    case "float32":
    case "float64":
      return only("'real'", x);
    case "decimal":
      return only("'integer', 'real'", x);
    case "bool":
      return { wire: "text", select: `CASE WHEN ${x} IS NULL OR ${x} IN (0, 1) THEN ${x} ELSE ${refuse} END` };
    case "date":
    case "time":
    case "timestamp":
      return only("'text'", exactText(name));
    case "binary":
      return { ...only("'blob'", bounded(name, x)), wire: "bytes" };
    default:
      return selectFreely(name, type);
  }
}

/** Every kind of value that can be read as this type; the core parses its text and refuses what does not. */
function selectFreely(name: string, type: LogicalType): Selection {
  const x = quote(name);
  const refuse = refusal(name, type);
  switch (type.kind) {
    case "binary":
      return {
        wire: "bytes",
        select: `CASE WHEN typeof(${x}) IN ('blob', 'text', 'null') THEN ${
          bounded(name, `CAST(${x} AS BLOB)`)
        } ELSE ${refuse} END`,
      };
    case "json":
      return {
        wire: "text",
        select: bounded(
          name,
          `CASE WHEN ${x} IS NULL THEN NULL WHEN typeof(${x}) = 'blob' THEN ` +
            `CASE WHEN json_valid(${x}, 8) THEN CAST(json(${x}) AS BLOB) ELSE ${refuse} END ` +
            `WHEN json_valid(${x}, 1) THEN ${exactText(name)} ELSE ${refuse} END`,
        ),
      };
    case "uuid":
      return {
        wire: "text",
        // Sixteen letters are no UUID, though the core takes sixteen bytes for one.
        select: `CASE typeof(${x}) WHEN 'null' THEN NULL ` +
          `WHEN 'text' THEN CASE WHEN octet_length(${x}) = 16 THEN ${refuse} ELSE ${exactText(name)} END ` +
          `WHEN 'blob' THEN CASE WHEN length(${x}) = 16 THEN ${hyphenated(x)} ELSE ${refuse} END ELSE ${refuse} END`,
      };
    case "float32":
    case "float64": {
      // An integer beyond what the float can count to would become another number.
      const most = type.kind === "float64" ? "9007199254740992" : "16777216";
      return {
        wire: "text",
        select:
          `CASE WHEN typeof(${x}) = 'blob' OR (typeof(${x}) = 'integer' AND ${x} NOT BETWEEN -${most} AND ${most}) ` +
          `THEN ${refuse} ELSE ${exactText(name)} END`,
      };
    }
    default:
      return { wire: "text", select: `CASE WHEN typeof(${x}) = 'blob' THEN ${refuse} ELSE ${exactText(name)} END` };
  }
}

/**
 * Text that the driver would cut at a NUL, or where it would put U+FFFD for bytes that are no UTF-8, goes as its bytes, and so does long
 * text, which is cheaper that way. Numbers and NULL stay as they are.
 */
function exactText(name: string): string {
  const x = quote(name);
  return `CASE WHEN octet_length(${x}) <= 60 AND instr(${x}, char(0)) = 0 AND instr(${x}, char(65533)) = 0 ` +
    `THEN ${x} ELSE ${bounded(name, `CAST(${x} AS BLOB)`)} END`;
}

/** SQLite knows a value's length without reading it: the connection's own function refuses it from that. */
function bounded(name: string, value: string): string {
  const bytes = `octet_length(${quote(name)})`;
  return `CASE WHEN ${bytes} > ${UNCHECKED_BYTES_MAX} AND rivet_is_too_long(${
    text(name)
  }, ${bytes}) THEN NULL ELSE ${value} END`;
}

/** A value up to this size is no danger to memory: the core refuses it where the limit is smaller. */
const UNCHECKED_BYTES_MAX = 1 << 20;

function hyphenated(x: string): string {
  const part = (from: number, length: number) => `substr(hex(${x}), ${from}, ${length})`;
  return `lower(${[part(1, 8), part(9, 4), part(13, 4), part(17, 4), part(21, 12)].join(" || '-' || ")})`;
}

/** The connection's own function that throws. */
function refusal(name: string, type: LogicalType): string {
  return `rivet_refuse(${text(name)}, ${text(formatType(type))}, typeof(${quote(name)}))`;
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
