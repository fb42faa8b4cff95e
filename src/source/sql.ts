// The SQL that plans are made of, one dialect an engine: names, literals, predicates and the SELECT of a slice.
// Pure text: the same predicate gives the same rows in extraction, count and content checks.

import type { LogicalType } from "../types/mod.ts";
import type { Engine, Query, SourceColumn } from "./source.ts";

/** A column a predicate compares, with what is needed to write a literal of it. */
export interface KeyColumn {
  /** One name, or two for COALESCE of both. */
  readonly names: readonly string[];
  readonly type: LogicalType;
  readonly nativeType: string;
  readonly notNull: boolean;
}

/** A row filter as data. Ranges are half-open; null bounds are open; every kind is disjoint from its neighbours by construction. */
export type Predicate =
  | {
    readonly kind: "compare";
    readonly column: KeyColumn;
    readonly op: ">=" | ">" | "<" | "<=";
    readonly value: string;
  }
  | {
    readonly kind: "range";
    readonly columns: readonly KeyColumn[];
    /** One value a column; from ≤ key < to in the server's own order. */
    readonly from: readonly string[] | null;
    readonly to: readonly string[] | null;
  }
  /** Any of the columns is NULL. */
  | { readonly kind: "null"; readonly columns: readonly KeyColumn[] }
  | { readonly kind: "not_null"; readonly column: KeyColumn }
  /** PostgreSQL heap pages, from ≤ page < to. */
  | { readonly kind: "pages"; readonly from: number; readonly to: number | null }
  /** PostgreSQL: the row's version was written by a transaction from ≤ number < to, counted in 64 bits. */
  | { readonly kind: "transactions"; readonly from: string | null; readonly to: string | null }
  | { readonly kind: "all"; readonly of: readonly Predicate[] }
  | { readonly kind: "any"; readonly of: readonly Predicate[] };

/** A computed column that is read and observed but not written. */
export interface HiddenColumn {
  readonly name: string;
  readonly expression: string;
}

const QUOTES: Record<Engine, [string, string]> = {
  postgres: ['"', '"'],
  sqlite: ['"', '"'],
  mysql: ["`", "`"],
  mssql: ["[", "]"],
};

/** A name as the engine's delimited identifier. */
export function quoteName(engine: Engine, name: string): string {
  const [open, close] = QUOTES[engine];
  return open + name.replaceAll(close, close + close) + close;
}

/** What follows FROM. */
export function buildFrom(engine: Engine, query: Query): string {
  if (query.kind === "query") return `(${query.sql}\n) AS _rivet`;
  const name = quoteName(engine, query.name);
  return query.schema === null ? name : `${quoteName(engine, query.schema)}.${name}`;
}

/** The SQL expression of a key column. */
export function keyExpression(engine: Engine, column: KeyColumn): string {
  const names = column.names.map((name) => {
    const quoted = quoteName(engine, name);
    // MySQL sorts an ENUM or SET by number but compares it with a literal as text; as text it has one order.
    return engine === "mysql" && column.type.kind === "enum" ? `CAST(${quoted} AS CHAR)` : quoted;
  });
  return names.length === 1 ? names[0]! : `COALESCE(${names.join(", ")})`;
}

/** A key's value as text that `buildLiteral` turns back into the same value. */
export function textExpression(engine: Engine, expression: string, type: LogicalType): string {
  switch (engine) {
    case "postgres":
      return `(${expression})::text`;
    case "mysql":
      if (type.kind === "binary") return `HEX(${expression})`;
      // The text of a FLOAT has six digits; and BIT comes as bytes unless it is counted with.
      if (type.kind === "float32" || type.kind === "float64") return `${expression} * 1e0`;
      return isInteger(type) || type.kind === "bool" ? `${expression} + 0` : expression;
    case "sqlite":
      // The connection's own function: a value of another kind than the column's would not compare with the literal made of it.
      return `rivet_key(${expression}, '${type.kind}')`;
    case "mssql":
      return mssqlText(expression, type);
  }
}

/** The source reads every SQL Server type exactly; only text must not depend on a code page that it does not know. */
function mssqlText(expression: string, type: LogicalType): string {
  return type.kind === "string" || type.kind === "enum" || type.kind === "json"
    ? `CONVERT(nvarchar(max), ${expression})`
    : expression;
}

const NUMBER = /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/;

/** A value as the engine's literal, comparable with the column by the column's own rules. */
export function buildLiteral(engine: Engine, value: string, column: KeyColumn): string {
  const { type } = column;
  if (engine === "postgres") return postgresString(value);
  if (isNumeric(type) && NUMBER.test(value)) return value;
  if (type.kind === "binary") return engine === "mssql" ? `0x${value}` : `x'${value}'`;
  if (engine === "mysql") return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
  const quoted = `'${value.replaceAll("'", "''")}'`;
  if (engine === "sqlite") return quoted;
  return mssqlLiteral(quoted, column);
}

function mssqlLiteral(quoted: string, { type, nativeType }: KeyColumn): string {
  const native = nativeType.toLowerCase();
  if (type.kind === "timestamp" || type.kind === "date" || type.kind === "time") {
    // The engine refuses an eighth digit, and no type of it has one.
    const digits = quoted.replace(/(\.\d{7})\d+/, "$1");
    if (type.kind !== "timestamp") return `CAST(${digits} AS ${type.kind === "date" ? "date" : "time(7)"})`;
    const cast = `CAST(${digits} AS ${native.startsWith("datetimeoffset") ? "datetimeoffset(7)" : "datetime2(7)"})`;
    // DATETIME counts thirds of milliseconds: its .003 is above a DATETIME2 of .003, and equal to the DATETIME made of it.
    return native === "datetime" || native === "smalldatetime" ? `CAST(${cast} AS ${native})` : cast;
  }
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(quoted)) return quoted;
  // Compared with a national literal, a varchar column sorts by other rules and leaves its index: the literal becomes a varchar,
  // in the code page of the column, which names its collation where it is not the database's.
  if (!/^(var)?char\b/.test(native)) return `N${quoted}`;
  const collation = / collate (\w+)$/i.exec(nativeType);
  return `CAST(N${quoted}${collation === null ? "" : ` COLLATE ${collation[1]}`} AS varchar(8000))`;
}

/** An untyped PostgreSQL literal takes the type of what it is compared with. `E''` means the same under every setting. */
export function postgresString(value: string): string {
  return `E'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

export function isNumeric(type: LogicalType): boolean {
  return isInteger(type) || type.kind === "decimal" || type.kind === "float32" || type.kind === "float64";
}

export function isInteger(type: LogicalType): boolean {
  return type.kind === "int16" || type.kind === "int32" || type.kind === "int64" || type.kind === "uint64";
}

/** A predicate as the text after WHERE. An empty `all` is no condition and gives the empty string. */
export function buildPredicate(engine: Engine, predicate: Predicate): string {
  switch (predicate.kind) {
    case "compare": {
      const { column, op, value } = predicate;
      return `${keyExpression(engine, column)} ${op} ${buildLiteral(engine, value, column)}`;
    }
    case "range":
      return buildRange(engine, predicate.columns, predicate.from, predicate.to);
    case "null":
      return joinPredicates(predicate.columns.map((c) => `${keyExpression(engine, c)} IS NULL`), " OR ");
    case "not_null":
      return `${keyExpression(engine, predicate.column)} IS NOT NULL`;
    case "pages": {
      const from = predicate.from === 0 ? [] : [`ctid >= '(${predicate.from},0)'::tid`];
      const to = predicate.to === null ? [] : [`ctid < '(${predicate.to},0)'::tid`];
      return [...from, ...to].join(" AND ");
    }
    case "transactions": {
      const from = predicate.from === null ? [] : [`${TRANSACTION} >= ${predicate.from}`];
      const to = predicate.to === null ? [] : [`${TRANSACTION} < ${predicate.to}`];
      return [...from, ...to].join(" AND ");
    }
    case "all":
      return joinPredicates(predicate.of.map((p) => buildPredicate(engine, p)), " AND ");
    case "any":
      return joinPredicates(predicate.of.map((p) => buildPredicate(engine, p)), " OR ");
  }
}

/** A row's `xmin` has 32 bits; whoever wrote a row that is visible did so before the present next transaction. */
const NEXT_TRANSACTION = "(SELECT txid_snapshot_xmax(txid_current_snapshot()))";
const TRANSACTION =
  `(${NEXT_TRANSACTION} - ((${NEXT_TRANSACTION} - xmin::text::bigint) % 4294967296 + 4294967296) % 4294967296)`;

function joinPredicates(parts: readonly string[], by: " AND " | " OR "): string {
  const kept = parts.filter((part) => part !== "");
  if (kept.length <= 1) return kept[0] ?? "";
  return kept.map((part) => `(${part})`).join(by);
}

function buildRange(
  engine: Engine,
  columns: readonly KeyColumn[],
  from: readonly string[] | null,
  to: readonly string[] | null,
): string {
  const parts: string[] = [];
  if (from !== null) parts.push(compareTuple(engine, columns, from, ">="));
  if (to !== null) parts.push(compareTuple(engine, columns, to, "<"));
  // A NULL in any column belongs to the NULL slice alone, also where a tuple comparison is decided before it is reached.
  for (const column of columns) {
    if (!column.notNull) parts.push(`${keyExpression(engine, column)} IS NOT NULL`);
  }
  return joinPredicates(parts, " AND ");
}

/** `(a, b) >= (x, y)`; spelled out where the engine has no row comparison or does not use an index for it. */
function compareTuple(
  engine: Engine,
  columns: readonly KeyColumn[],
  values: readonly string[],
  op: ">=" | "<",
): string {
  const names = columns.map((c) => keyExpression(engine, c));
  const literals = columns.map((c, i) => buildLiteral(engine, values[i]!, c));
  if (columns.length === 1) return `${names[0]} ${op} ${literals[0]}`;
  if (engine === "postgres" || engine === "sqlite") return `(${names.join(", ")}) ${op} (${literals.join(", ")})`;
  const strict = op === ">=" ? ">" : "<";
  const terms = columns.map((_, last) => {
    const equal = names.slice(0, last).map((name, i) => `${name} = ${literals[i]}`);
    const own = `${names[last]} ${last === columns.length - 1 ? op : strict} ${literals[last]}`;
    return `(${[...equal, own].join(" AND ")})`;
  });
  // The first comparison repeats what the others imply, so that the engine can seek on the key's first column.
  const seek = `${names[0]} ${op === ">=" ? ">=" : "<="} ${literals[0]}`;
  return `${seek} AND (${terms.join(" OR ")})`;
}

export interface SelectParts {
  readonly query: Query;
  readonly columns: readonly SourceColumn[];
  readonly hidden: readonly HiddenColumn[];
  readonly where: readonly Predicate[];
}

/** The statement that reads one slice. */
export function buildSelect(engine: Engine, parts: SelectParts): string {
  const list = [
    ...parts.columns.map((c) => {
      const name = quoteName(engine, c.name);
      return c.select === name ? name : `${c.select} AS ${name}`;
    }),
    ...parts.hidden.map((h) => `${h.expression} AS ${quoteName(engine, h.name)}`),
  ];
  return `SELECT ${list.join(", ")} FROM ${buildFrom(engine, parts.query)}${buildWhere(engine, parts.where)}`;
}

/** The statement that counts the rows of the same slice. */
export function buildCount(engine: Engine, query: Query, where: readonly Predicate[]): string {
  return `SELECT ${engine === "mssql" ? "COUNT_BIG(*)" : "COUNT(*)"} FROM ${buildFrom(engine, query)}${
    buildWhere(engine, where)
  }`;
}

export function buildWhere(engine: Engine, where: readonly Predicate[]): string {
  const text = buildPredicate(engine, { kind: "all", of: where });
  return text === "" ? "" : ` WHERE ${text}`;
}

/** `SELECT … ORDER BY … ` limited to one row after `offset` rows. */
export function limitOne(engine: Engine, select: string, offset: number): string {
  return engine === "mssql"
    ? `${select} OFFSET ${offset} ROWS FETCH NEXT 1 ROWS ONLY`
    : `${select} LIMIT 1 OFFSET ${offset}`;
}

/** The hidden column that tells for each row on which edge of an incremental window it lies: bit 1 low, bit 2 high. */
export function edgeColumn(
  engine: Engine,
  name: string,
  low: Predicate | null,
  high: Predicate | null,
): HiddenColumn {
  const bit = (p: Predicate | null, value: number) =>
    p === null ? "0" : `CASE WHEN ${buildPredicate(engine, p)} THEN ${value} ELSE 0 END`;
  const sum = `(${bit(low, 1)} + ${bit(high, 2)})`;
  return { name, expression: engine === "postgres" ? `${sum}::int4` : sum };
}
