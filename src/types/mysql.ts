// MySQL and MariaDB types: what a result column becomes, how it is selected so that its text is exact, and what an override makes of it.
// Pure: it sees metadata, never values.

import { RivetError } from "../errors.ts";
import type { Fidelity, LogicalType } from "./logical.ts";

/** A result column as the protocol and the catalog describe it. */
export interface MysqlColumn {
  readonly name: string;
  /** The protocol's type number. */
  readonly type: number;
  /** The protocol's column flags. */
  readonly flags: number;
  /** Display length, of text in bytes as stored. */
  readonly length: number;
  readonly decimals: number;
  /** Character set the text is stored in, `binary` for bytes, null when unknown. */
  readonly charset: string | null;
  /** Bytes of the charset's longest character. */
  readonly characterBytes: number;
  /** MariaDB's name for a type the protocol has no number for: `uuid`, `inet6`, `json`. */
  readonly extended: string | null;
}

/** How a column is read and what it becomes. */
export interface MysqlMapping {
  readonly type: LogicalType | null;
  readonly wire: string;
  readonly select: string;
  readonly fidelity: Fidelity;
  readonly warnings: readonly string[];
}

export const MYSQL_TYPE = {
  decimal: 0,
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  null: 6,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newdate: 14,
  varchar: 15,
  bit: 16,
  vector: 242,
  json: 245,
  newdecimal: 246,
  enum: 247,
  set: 248,
  tinyblob: 249,
  mediumblob: 250,
  longblob: 251,
  blob: 252,
  varstring: 253,
  string: 254,
  geometry: 255,
} as const;

export const MYSQL_FLAG = { notNull: 1, unsigned: 32, zerofill: 64, binary: 128, enum: 256, set: 2048 } as const;
/** `decimals` of a float or double without a declared scale. */
const ANY_SCALE = 31;

const INTEGERS: Readonly<Record<number, { name: string; signed: LogicalType; unsigned: LogicalType }>> = {
  [MYSQL_TYPE.tiny]: { name: "tinyint", signed: { kind: "int16" }, unsigned: { kind: "int16" } },
  [MYSQL_TYPE.short]: { name: "smallint", signed: { kind: "int16" }, unsigned: { kind: "int32" } },
  [MYSQL_TYPE.int24]: { name: "mediumint", signed: { kind: "int32" }, unsigned: { kind: "int64" } },
  [MYSQL_TYPE.long]: { name: "int", signed: { kind: "int32" }, unsigned: { kind: "int64" } },
  [MYSQL_TYPE.longlong]: { name: "bigint", signed: { kind: "int64" }, unsigned: { kind: "uint64" } },
};

function quote(name: string): string {
  return "`" + name.replaceAll("`", "``") + "`";
}

function has(column: MysqlColumn, flag: number): boolean {
  return (column.flags & flag) !== 0;
}

/** What the column becomes without an override. */
export function mapMysql(column: MysqlColumn, mariadb: boolean): MysqlMapping {
  const name = quote(column.name);
  const plain = (type: LogicalType, more: Partial<MysqlMapping> = {}): MysqlMapping => ({
    type,
    wire: "text",
    select: name,
    fidelity: "exact",
    warnings: [],
    ...more,
  });
  const integer = INTEGERS[column.type];
  if (integer !== undefined) {
    if (column.type === MYSQL_TYPE.tiny && column.length === 1) {
      return plain({ kind: "bool" }, { warnings: [BOOL_WARNING] });
    }
    return plain(has(column, MYSQL_FLAG.unsigned) ? integer.unsigned : integer.signed);
  }
  switch (column.type) {
    // The text of a FLOAT has six digits and that of a scaled DOUBLE has the declared ones; a product with 1e0 has all of them.
    case MYSQL_TYPE.float:
      return plain({ kind: "float32" }, { select: `${name} * 1e0` });
    case MYSQL_TYPE.double:
      return plain({ kind: "float64" }, column.decimals === ANY_SCALE ? {} : { select: `${name} * 1e0` });
    case MYSQL_TYPE.decimal:
    case MYSQL_TYPE.newdecimal:
      return plain({ kind: "decimal", precision: decimalPrecision(column), scale: column.decimals });
    case MYSQL_TYPE.date:
    case MYSQL_TYPE.newdate:
      return plain({ kind: "date" });
    case MYSQL_TYPE.time:
      return plain({ kind: "time", unit: "us" });
    case MYSQL_TYPE.datetime:
      return plain({ kind: "timestamp", unit: "us", utc: false });
    case MYSQL_TYPE.timestamp:
      return plain({ kind: "timestamp", unit: "us", utc: true });
    case MYSQL_TYPE.year:
      return plain({ kind: "int16" });
    case MYSQL_TYPE.bit: {
      const type: LogicalType = { kind: column.length === 1 ? "bool" : column.length < 64 ? "int64" : "uint64" };
      return plain(type, { wire: "bits" });
    }
    case MYSQL_TYPE.json:
      return plain({ kind: "json" }, { fidelity: "logical_string" });
    case MYSQL_TYPE.geometry:
      return plain({ kind: "binary" }, {
        select: geometryBinary(name, mariadb),
        wire: "bytes",
        fidelity: "compatible",
        warnings: ["written as WKB with x before y; the SRID is not part of WKB"],
      });
    case MYSQL_TYPE.vector:
      return plain({ kind: "binary" }, {
        wire: "bytes",
        fidelity: "compatible",
        warnings: ["written as the server's own bytes: little-endian float32 values"],
      });
    case MYSQL_TYPE.null:
      return plain({ kind: "string" });
    default:
      return mapText(column, plain);
  }
}

/** MySQL gives geographic coordinates in the order of their reference system, often latitude first; WKB readers expect x, y. */
function geometryBinary(name: string, mariadb: boolean): string {
  return mariadb ? `ST_AsBinary(${name})` : `ST_AsBinary(${name}, 'axis-order=long-lat')`;
}

const BOOL_WARNING = "tinyint(1) is read as bool; a value other than 0 and 1 is refused, `int16` reads them all";

function mapText(
  column: MysqlColumn,
  plain: (type: LogicalType, more?: Partial<MysqlMapping>) => MysqlMapping,
): MysqlMapping {
  if (column.extended === "uuid") return plain({ kind: "uuid" });
  if (column.extended === "inet4" || column.extended === "inet6") {
    return plain({ kind: "string" }, { fidelity: "compatible" });
  }
  const select = textSelect(column);
  if (
    has(column, MYSQL_FLAG.enum) || has(column, MYSQL_FLAG.set) || column.type === MYSQL_TYPE.enum ||
    column.type === MYSQL_TYPE.set
  ) {
    return plain({ kind: "enum" }, { select, fidelity: "compatible" });
  }
  if (isNull(column)) return plain({ kind: "string" });
  if (column.charset === "binary") return plain({ kind: "binary" }, { wire: "bytes" });
  if (column.extended === "json") return plain({ kind: "json" }, { select, fidelity: "logical_string" });
  return plain({ kind: "string" }, { select });
}

/** `SELECT NULL` inside a query arrives as bytes of length 0. */
function isNull(column: MysqlColumn): boolean {
  return column.charset === "binary" && column.length === 0 && !has(column, MYSQL_FLAG.notNull);
}

/**
 * Text that is not stored as utf8mb4 is converted by an explicit function: what has no equal then raises a warning that the reader
 * turns into a refusal, where the silent conversion of results would send a question mark.
 */
function textSelect(column: MysqlColumn): string {
  const name = quote(column.name);
  return column.charset === "utf8mb4" || column.charset === "binary" ? name : `CONVERT(${name} USING utf8mb4)`;
}

function decimalPrecision(column: MysqlColumn): number {
  const precision = column.length - (column.decimals > 0 ? 1 : 0) - (has(column, MYSQL_FLAG.unsigned) ? 0 : 1);
  return Math.min(65, Math.max(precision, column.decimals, 1));
}

/** The server's spelling of a column's type, for columns that the catalog does not list. MariaDB still tells display widths. */
export function spellMysqlType(column: MysqlColumn, mariadb: boolean): string {
  const unsigned = has(column, MYSQL_FLAG.unsigned) ? " unsigned" : "";
  const zerofill = has(column, MYSQL_FLAG.zerofill) ? " zerofill" : "";
  const integer = INTEGERS[column.type];
  if (integer !== undefined) {
    const width = mariadb || (column.type === MYSQL_TYPE.tiny && column.length === 1) ? `(${column.length})` : "";
    return `${integer.name}${width}${unsigned}${zerofill}`;
  }
  const fraction = column.decimals > 0 && column.decimals <= 6 ? `(${column.decimals})` : "";
  switch (column.type) {
    case MYSQL_TYPE.decimal:
    case MYSQL_TYPE.newdecimal:
      return `decimal(${decimalPrecision(column)},${column.decimals})${unsigned}${zerofill}`;
    case MYSQL_TYPE.float:
    case MYSQL_TYPE.double: {
      const scale = column.decimals === ANY_SCALE ? "" : `(${column.length},${column.decimals})`;
      return `${column.type === MYSQL_TYPE.float ? "float" : "double"}${scale}${unsigned}${zerofill}`;
    }
    case MYSQL_TYPE.date:
    case MYSQL_TYPE.newdate:
      return "date";
    case MYSQL_TYPE.time:
      return `time${fraction}`;
    case MYSQL_TYPE.datetime:
      return `datetime${fraction}`;
    case MYSQL_TYPE.timestamp:
      return `timestamp${fraction}`;
    case MYSQL_TYPE.year:
      return mariadb ? `year(${column.length})` : "year";
    case MYSQL_TYPE.bit:
      return `bit(${column.length})`;
    case MYSQL_TYPE.json:
      return "json";
    case MYSQL_TYPE.geometry:
      return column.extended ?? "geometry";
    case MYSQL_TYPE.vector:
      return "vector";
    case MYSQL_TYPE.null:
      return "null";
    default:
      return spellText(column);
  }
}

function spellText(column: MysqlColumn): string {
  if (column.extended !== null) return column.extended;
  if (has(column, MYSQL_FLAG.enum) || column.type === MYSQL_TYPE.enum) return "enum";
  if (has(column, MYSQL_FLAG.set) || column.type === MYSQL_TYPE.set) return "set";
  if (isNull(column)) return "null";
  const bytes = column.charset === "binary";
  const characters = Math.floor(column.length / column.characterBytes);
  switch (column.type) {
    case MYSQL_TYPE.varchar:
    case MYSQL_TYPE.varstring:
      return `${bytes ? "varbinary" : "varchar"}(${characters})`;
    case MYSQL_TYPE.string:
      return `${bytes ? "binary" : "char"}(${characters})`;
    default:
      return `${SIZES.find(({ bytesMax }) => column.length <= bytesMax)!.name}${bytes ? "blob" : "text"}`;
  }
}

/** The four sizes of TEXT and BLOB. */
const SIZES = [
  { bytesMax: 255, name: "tiny" },
  { bytesMax: 65_535, name: "" },
  { bytesMax: 16_777_215, name: "medium" },
  { bytesMax: Infinity, name: "long" },
];

/** The parts of a described column that an override looks at and changes. */
export interface OverridableColumn extends MysqlMapping {
  readonly name: string;
  readonly nativeType: string;
}

/** The column as `columns:` declares it; a pair that cannot be read is refused before anything runs. */
export function overrideMysql<C extends OverridableColumn>(column: C, type: LogicalType): C {
  const changes = overrideChanges(column, type);
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
  return { ...column, type, warnings: column.warnings.filter((w) => w !== BOOL_WARNING), ...changes };
}

type Changes = Partial<MysqlMapping> | null;

/** What kind of value the server sends, from its own spelling of the type. */
function family(nativeType: string): string {
  const word = /^[a-z0-9]+/.exec(nativeType.toLowerCase())?.[0] ?? "";
  switch (word) {
    case "tinyint":
    case "smallint":
    case "mediumint":
    case "int":
    case "bigint":
    case "year":
    case "boolean":
      return "integer";
    case "decimal":
    case "numeric":
      return "decimal";
    case "float":
    case "double":
    case "real":
      return "float";
    case "datetime":
    case "timestamp":
      return "timestamp";
    case "binary":
    case "varbinary":
    case "tinyblob":
    case "blob":
    case "mediumblob":
    case "longblob":
    case "vector":
      return "binary";
    case "point":
    case "linestring":
    case "polygon":
    case "multipoint":
    case "multilinestring":
    case "multipolygon":
    case "geometry":
    case "geometrycollection":
    case "geomcollection":
      return "geometry";
    case "char":
    case "varchar":
    case "tinytext":
    case "text":
    case "mediumtext":
    case "longtext":
      return "text";
    default:
      return word; // date time bit json enum set uuid inet4 inet6 null
  }
}

function overrideChanges(column: OverridableColumn, type: LogicalType): Changes {
  const name = quote(column.name);
  const source = family(column.nativeType);
  if (type.kind === "string") return stringChanges(source, name, column.select);
  switch (source) {
    case "integer":
      return integerChanges(type);
    case "decimal":
      return decimalChanges(column, type);
    case "float":
      return type.kind === "float64" ? { fidelity: "exact" } : type.kind === "float32" ? { fidelity: "lossy" } : null;
    case "date":
      return type.kind === "date" ? {} : null;
    case "time":
      return type.kind === "time" ? {} : null;
    case "timestamp":
      return type.kind === "timestamp" ? { fidelity: "compatible" } : null;
    case "bit":
      if (type.kind === "binary") return { wire: "bytes", fidelity: "compatible" };
      if (type.kind === "decimal") return { wire: "text", select: `${name} + 0`, fidelity: "exact" };
      return isInteger(type) || type.kind === "bool" ? { fidelity: "exact" } : null;
    case "binary":
      if (type.kind === "uuid") return { wire: "bytes", fidelity: "exact" };
      if (type.kind === "binary") return { wire: "bytes", fidelity: "exact" };
      return type.kind === "json" ? { wire: "text", fidelity: "logical_string" } : null;
    case "geometry":
      return type.kind === "binary" ? {} : null;
    case "uuid":
      return type.kind === "uuid" ? {} : null;
    case "enum":
    case "set":
      return type.kind === "enum" ? {} : null;
    case "json":
      return type.kind === "json" ? {} : null;
    case "text":
      return textChanges(type);
    default:
      return null;
  }
}

function stringChanges(source: string, name: string, select: string): Changes {
  if (source === "geometry") {
    return { wire: "text", select: select.replace("ST_AsBinary", "ST_AsText"), fidelity: "compatible" };
  }
  if (source === "bit") return { wire: "text", select: `${name} + 0`, fidelity: "compatible" };
  return { wire: "text", fidelity: source === "text" || source === "binary" ? "exact" : "compatible" };
}

function integerChanges(type: LogicalType): Changes {
  // A value that does not fit is refused when it is read, so a narrower integer changes no value.
  if (isInteger(type) || type.kind === "bool") return { fidelity: "exact" };
  if (type.kind === "decimal") return { fidelity: "exact" };
  return type.kind === "float32" || type.kind === "float64" ? { fidelity: "lossy" } : null;
}

function decimalChanges(column: OverridableColumn, type: LogicalType): Changes {
  if (type.kind === "float32" || type.kind === "float64") return { fidelity: "lossy" };
  const own = column.type?.kind === "decimal" ? column.type : null;
  // A fraction of zeros is a whole number; any other is refused when it is read.
  if (isInteger(type)) return { fidelity: "compatible" };
  if (type.kind !== "decimal") return null;
  const narrower = own !== null && (type.scale < own.scale || type.precision - type.scale < own.precision - own.scale);
  return { fidelity: narrower ? "lossy" : "exact" };
}

/** Text is parsed by the declared type; text that is none of it is refused when it is read. */
function textChanges(type: LogicalType): Changes {
  switch (type.kind) {
    case "list":
      return null;
    case "binary":
      return { wire: "bytes", fidelity: "compatible" };
    case "json":
      return { fidelity: "logical_string" };
    default:
      return { fidelity: "compatible" };
  }
}

function isInteger(type: LogicalType): boolean {
  return type.kind === "int16" || type.kind === "int32" || type.kind === "int64" || type.kind === "uint64";
}
