// SQL Server types: what a result column becomes, how it is selected so that nothing is rounded, and what an override makes of it.
// Pure: it sees metadata, never values.

import { RivetError } from "../errors.ts";
import type { Fidelity, LogicalType, TimeUnit } from "./logical.ts";

/** A result column as the server describes it. */
export interface MssqlColumn {
  readonly name: string;
  /** The type's bare name in lower case: `decimal`, `nvarchar`, `geography`; the base type of an alias type. */
  readonly type: string;
  readonly precision: number;
  readonly scale: number;
  /** The text is Unicode, UTF-8 or of a code page that is decoded exactly; false when the server must convert it. */
  readonly isDecoded: boolean;
  /** A type of the CLR other than the built-in ones. */
  readonly isClr: boolean;
}

/** How a column is read and what it becomes. */
export interface MssqlMapping {
  readonly type: LogicalType | null;
  readonly wire: string;
  readonly select: string;
  readonly fidelity: Fidelity;
  readonly warnings: readonly string[];
}

type More = Partial<MssqlMapping>;

function quote(name: string): string {
  return `[${name.replaceAll("]", "]]")}]`;
}

/** What the column becomes without an override. */
export function mapMssql(column: MssqlColumn): MssqlMapping {
  const name = quote(column.name);
  const plain = (type: LogicalType, more: More = {}): MssqlMapping => ({
    type,
    wire: "text",
    select: name,
    fidelity: "exact",
    warnings: [],
    ...more,
  });
  const { precision, scale } = column;
  switch (column.type) {
    case "bit":
      return plain({ kind: "bool" });
    case "tinyint":
    case "smallint":
      return plain({ kind: "int16" });
    case "int":
      return plain({ kind: "int32" });
    case "bigint":
      return plain({ kind: "int64" });
    case "real":
      return plain({ kind: "float32" });
    case "float":
      return plain({ kind: "float64" });
    case "decimal":
    case "numeric":
      return plain({ kind: "decimal", precision, scale });
    case "money":
      return plain({ kind: "decimal", precision: 19, scale: 4 });
    case "smallmoney":
      return plain({ kind: "decimal", precision: 10, scale: 4 });
    case "date":
      return plain({ kind: "date" });
    case "time":
      return plain({ kind: "time", unit: toUnit(scale) });
    case "datetime":
    case "smalldatetime":
      return plain({ kind: "timestamp", unit: "us", utc: false });
    case "datetime2":
      return plain({ kind: "timestamp", unit: toUnit(scale), utc: false }, { warnings: rangeWarnings(scale) });
    case "datetimeoffset":
      return plain({ kind: "timestamp", unit: toUnit(scale), utc: true }, {
        fidelity: "compatible",
        warnings: [OFFSET_WARNING, ...rangeWarnings(scale)],
      });
    case "uniqueidentifier":
      return plain({ kind: "uuid" }, { wire: "bytes" });
    case "binary":
    case "varbinary":
    case "image":
    case "timestamp":
    case "rowversion":
      return plain({ kind: "binary" }, { wire: "bytes" });
    case "char":
    case "varchar":
    case "text":
    case "nchar":
    case "nvarchar":
    case "ntext":
    case "sysname":
      return plain({ kind: "string" }, column.isDecoded ? {} : { select: toUnicode(name) });
    default:
      return mapSpecial(column, name, plain);
  }
}

function mapSpecial(
  column: MssqlColumn,
  name: string,
  plain: (type: LogicalType, more?: More) => MssqlMapping,
): MssqlMapping {
  const asText = (more: More = {}): MssqlMapping =>
    plain({ kind: "string" }, { select: toUnicode(name), fidelity: "logical_string", ...more });
  switch (column.type) {
    case "json":
      return plain({ kind: "json" }, { select: toUnicode(name), fidelity: "logical_string" });
    case "xml":
    case "vector":
      return asText();
    case "sql_variant":
      return asText({ select: name, warnings: ["written as text; the base type of each value is not kept"] });
    case "hierarchyid":
      return asText({ select: `${name}.ToString()` });
    case "geometry":
    case "geography":
      return plain({ kind: "binary" }, {
        wire: "bytes",
        select: `${name}.AsBinaryZM()`,
        fidelity: "compatible",
        warnings: ["written as WKB; the SRID is not part of WKB"],
      });
    default:
      if (!column.isClr) return { type: null, wire: "text", select: name, fidelity: "unsupported", warnings: [] };
      return plain({ kind: "binary" }, {
        wire: "bytes",
        select: `CONVERT(varbinary(max), ${name})`,
        fidelity: "compatible",
        warnings: ["written in the type's own serialized form"],
      });
  }
}

function toUnicode(name: string): string {
  return `CONVERT(nvarchar(max), ${name})`;
}

/** The seventh digit does not fit into microseconds. */
function toUnit(scale: number): TimeUnit {
  return scale > 6 ? "ns" : "us";
}

const OFFSET_WARNING = "the instant is kept, the offset it was written with is not; `string` keeps both";

function rangeWarnings(scale: number): string[] {
  return scale > 6
    ? [
      "nanoseconds reach from 1677-09-21 to 2262-04-11: a value outside is refused; `timestamp` reads the years 1 to 9999, " +
      "if the seventh digit is 0",
    ]
    : [];
}

/** The parts of a described column that an override looks at and changes. */
export interface OverridableColumn extends MssqlMapping {
  readonly name: string;
  readonly nativeType: string;
}

/** The column as `columns:` declares it; a pair that cannot be read is refused before anything runs. */
export function overrideMssql<C extends OverridableColumn>(column: C, type: LogicalType): C {
  const changes = toChanges(column, type);
  if (changes === null) {
    throw new RivetError(
      "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH",
      `A '${column.nativeType}' cannot be read as '${type.kind}'`,
      {
        where: `column '${column.name}'`,
        cure: "Remove the entry under `columns:`, or convert the column in a `query:`",
      },
    );
  }
  return { ...column, type, warnings: [], ...changes };
}

function toChanges(column: OverridableColumn, type: LogicalType): More | null {
  const word = /^[a-z0-9_]+/.exec(column.nativeType.toLowerCase())?.[0] ?? "";
  if (type.kind === "string") return toStringChanges(column, word);
  switch (word) {
    case "bit":
      return type.kind === "bool" || isInteger(type) ? { fidelity: "exact" } : null;
    case "tinyint":
    case "smallint":
    case "int":
    case "bigint":
      if (isFloat(type)) return { fidelity: "lossy" };
      // A value that does not fit is refused when it is read, so a narrower type changes no value.
      return isInteger(type) || type.kind === "bool" || type.kind === "decimal" ? { fidelity: "exact" } : null;
    case "decimal":
    case "numeric":
    case "money":
    case "smallmoney":
      return toDecimalChanges(column, type);
    case "real":
      return isFloat(type) ? { fidelity: "exact" } : null;
    case "float":
      return isFloat(type) ? { fidelity: type.kind === "float64" ? "exact" : "lossy" } : null;
    case "date":
      return type.kind === "date" ? {} : null;
    case "time":
      return type.kind === "time" ? {} : null;
    case "datetime":
    case "smalldatetime":
    case "datetime2":
      return type.kind === "timestamp" ? { fidelity: type.utc ? "compatible" : "exact" } : null;
    case "datetimeoffset":
      return type.kind === "timestamp" && type.utc ? { warnings: [OFFSET_WARNING] } : null;
    case "uniqueidentifier":
      return type.kind === "uuid" || type.kind === "binary" ? {} : null;
    case "char":
    case "varchar":
    case "text":
    case "nchar":
    case "nvarchar":
    case "ntext":
      return toTextChanges(type);
    case "xml":
    case "sql_variant":
    case "hierarchyid":
    case "vector":
      return type.kind === "json" && word === "vector" ? {} : null;
    case "json":
      return type.kind === "json" ? {} : null;
    default:
      // Sixteen bytes are a UUID; of other lengths some value would not be.
      if (type.kind === "uuid") {
        return /^(var)?binary\(16\)/.test(column.nativeType.toLowerCase()) ? { fidelity: "compatible" } : null;
      }
      return type.kind === "binary" && column.wire === "bytes" ? {} : null;
  }
}

function toStringChanges(column: OverridableColumn, word: string): More | null {
  const name = quote(column.name);
  switch (word) {
    case "uniqueidentifier":
      return { wire: "text", select: `LOWER(CONVERT(char(36), ${name}))`, fidelity: "compatible" };
    case "datetimeoffset":
      return { select: `CONVERT(varchar(40), ${name}, 121)`, fidelity: "compatible" };
    case "geometry":
    case "geography":
      return { wire: "text", select: `${name}.AsTextZM()`, fidelity: "compatible" };
    default:
      if (column.wire === "bytes") return null;
      return { fidelity: column.type?.kind === "string" ? column.fidelity : "compatible" };
  }
}

function toDecimalChanges(column: OverridableColumn, type: LogicalType): More | null {
  if (isFloat(type)) return { fidelity: "lossy" };
  if (isInteger(type)) return { fidelity: "compatible" };
  if (type.kind !== "decimal") return null;
  const own = column.type?.kind === "decimal" ? column.type : null;
  const narrower = own !== null && (type.scale < own.scale || type.precision - type.scale < own.precision - own.scale);
  return { fidelity: narrower ? "lossy" : "exact" };
}

/** Text is parsed by the declared type; text that is none of it is refused when it is read. */
function toTextChanges(type: LogicalType): More | null {
  switch (type.kind) {
    case "list":
    case "binary":
      return null;
    case "json":
      return { fidelity: "logical_string" };
    default:
      return { fidelity: "compatible" };
  }
}

function isFloat(type: LogicalType): boolean {
  return type.kind === "float32" || type.kind === "float64";
}

function isInteger(type: LogicalType): boolean {
  return type.kind === "int16" || type.kind === "int32" || type.kind === "int64" || type.kind === "uint64";
}
