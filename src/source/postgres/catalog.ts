// Catalog questions: the columns of a query with their exact types, and size and usable keys of a table. Nothing here reads a row of data.

import { mapPostgres, type PostgresType } from "../../types/mod.ts";
import { buildFrom, postgresString, quoteName } from "../sql.ts";
import type { Query, Shape, SourceColumn, TableFacts, TableKey } from "../source.ts";
import type { Result, ResultField } from "./connect.ts";

/** Runs statements inside a transaction with this program's settings; one result each. */
export type Ask = (...statements: string[]) => Promise<readonly Result[]>;

type TableName = { readonly schema: string | null; readonly name: string };

export async function describeQuery(ask: Ask, query: Query): Promise<Shape> {
  const [probe] = await ask(`SELECT * FROM ${buildFrom("postgres", query)} LIMIT 0`);
  const fields = probe!.fields;
  if (fields.length === 0) return { columns: [] };
  const [names, types, nullability] = await ask(
    spellTypes(fields),
    selectTypes(fields.map((field) => field.dataTypeID)),
    query.kind === "table" ? selectNotNull(query) : "SELECT 1 WHERE false",
  );
  const known = toTypes(types!.rows);
  const notNull = new Map(nullability!.rows.map(([column, flag]) => [column, flag === "t"]));
  const columns = fields.map((field, i): SourceColumn => {
    const column = {
      name: field.name,
      nativeType: names!.rows[i]?.[0] ?? "unknown",
      type: known(field.dataTypeID),
      typmod: field.dataTypeModifier,
    };
    return {
      name: field.name,
      nativeType: column.nativeType,
      ...mapPostgres(column),
      notNull: notNull.get(field.name) ?? null,
    };
  });
  return { columns };
}

function spellTypes(fields: readonly ResultField[]): string {
  const list = fields.map((f, i) => `(${i}, ${f.dataTypeID}::oid, ${f.dataTypeModifier})`);
  return `SELECT format_type(t, m) FROM (VALUES ${list.join(", ")}) AS f (i, t, m) ORDER BY i`;
}

/** The given types, those they are arrays of, and those their domains stand for. */
export function selectTypes(typeIds: readonly number[]): string {
  const oids = [...new Set(typeIds)].join(", ");
  return `WITH RECURSIVE t (oid) AS (
      SELECT unnest(ARRAY[${oids}]::oid[])
      UNION
      SELECT x.oid FROM t JOIN pg_type p ON p.oid = t.oid
        CROSS JOIN LATERAL (VALUES (p.typelem), (p.typbasetype)) AS x (oid) WHERE x.oid <> 0
    )
    SELECT p.oid, p.typname, p.typtype, CASE WHEN e.oid IS NOT NULL THEN p.typelem ELSE 0 END, p.typbasetype, p.typtypmod
    FROM t JOIN pg_type p ON p.oid = t.oid LEFT JOIN pg_type e ON e.oid = p.typelem AND e.typarray = p.oid`;
}

const TYPE_KINDS: Readonly<Record<string, PostgresType["kind"]>> = {
  b: "base",
  c: "composite",
  d: "domain",
  e: "enum",
  m: "multirange",
  p: "pseudo",
  r: "range",
};

export function toTypes(rows: Result["rows"]): (oid: number) => PostgresType {
  const byOid = new Map(rows.map((row) => [Number(row[0]), row]));
  return function build(oid: number): PostgresType {
    const [, name, kind, element, base, typmod] = byOid.get(oid) ?? [];
    return {
      oid,
      name: name ?? "unknown",
      kind: TYPE_KINDS[kind ?? ""] ?? "pseudo",
      element: Number(element ?? 0) === 0 ? null : build(Number(element)),
      base: Number(base ?? 0) === 0 ? null : { type: build(Number(base)), typmod: Number(typmod) },
    };
  };
}

function regclass(table: TableName): string {
  const schema = table.schema === null ? "" : `${quoteName("postgres", table.schema)}.`;
  return `to_regclass(${postgresString(schema + quoteName("postgres", table.name))})`;
}

/** Since version 18 a NOT NULL can be declared without having been checked; it then promises nothing about older rows. */
export const NOT_NULL =
  `(a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint n WHERE n.conrelid = a.attrelid AND n.contype = 'n'
  AND NOT n.convalidated AND n.conkey[1] = a.attnum))`;

function selectNotNull(table: TableName): string {
  return `SELECT a.attname, ${NOT_NULL} FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = ${regclass(table)} AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'v'`;
}

/** Null for a table that does not exist. */
export async function readFacts(ask: Ask, table: TableName, versionNumber: number): Promise<TableFacts | null> {
  const [size, width, keys] = await ask(
    selectSize(table),
    selectWidth(table),
    selectKeys(`x.indrelid = ${regclass(table)}`, versionNumber >= 110_000),
  );
  const row = size!.rows[0];
  if (row === undefined) return null;
  const [schema, name, relkind, members, unknown, rows, pages, bytes] = row;
  const kind = toKind(relkind ?? "", Number(members));
  const rowsEstimate = Number(unknown) > 0 || rows === null || rows === undefined ? null : Math.round(Number(rows));
  const stored = kind === "table" || kind === "partitioned";
  const bytesTotal = stored && bytes !== null && bytes !== undefined ? Number(bytes) : null;
  const perRow = rowsEstimate !== null && rowsEstimate > 0 && bytesTotal !== null ? bytesTotal / rowsEstimate : 0;
  // The planner's width of a value that is stored out of line is that of its pointer; the table's size knows better.
  const avgRowBytes = Math.round(Math.max(perRow, Number(width!.rows[0]?.[0] ?? 0)));
  return {
    schema: schema ?? null,
    name: name ?? table.name,
    kind,
    rowsEstimate: stored ? rowsEstimate : null,
    bytes: bytesTotal,
    avgRowBytes: avgRowBytes > 0 ? avgRowBytes : null,
    // Before version 14 a range of pages is found by reading the whole table.
    pages: kind === "table" && versionNumber >= 140_000 ? Number(pages) : null,
    keys: toKeys(keys!.rows),
  };
}

export function toKind(relkind: string, members: number): TableFacts["kind"] {
  switch (relkind) {
    case "r":
      return members > 1 ? "partitioned" : "table";
    case "m":
      return "table";
    case "p":
      return "partitioned";
    case "v":
      return "view";
    default:
      return "other";
  }
}

/** Size of a table and all its partitions or children: rows as the planner reckons them, the last known density times today's pages. */
function selectSize(table: TableName): string {
  return `WITH RECURSIVE part (oid) AS (
      SELECT ${regclass(table)}::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN part ON i.inhparent = part.oid
    ), member AS (
      SELECT c.reltuples, c.relpages,
        CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / current_setting('block_size')::int8 ELSE 0 END AS pages,
        CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) ELSE 0 END AS bytes
      FROM part JOIN pg_class c ON c.oid = part.oid
    ), total AS (
      SELECT count(*) AS members, count(*) FILTER (WHERE pages > 0 AND (relpages = 0 OR reltuples < 0)) AS unknown,
        sum(CASE WHEN relpages > 0 AND reltuples >= 0 THEN reltuples / relpages * pages ELSE 0 END) AS rows,
        sum(pages) AS pages, sum(bytes) AS bytes
      FROM member
    )
    SELECT n.nspname, c.relname, c.relkind, t.members, t.unknown, t.rows, t.pages, t.bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN total t WHERE c.oid = ${regclass(table)}`;
}

/** The names come first, so that the server looks this one table up instead of reading the statistics of all. */
function selectWidth(table: TableName): string {
  const own = (expression: string) =>
    `(SELECT ${expression} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ${
      regclass(table)
    })`;
  return `SELECT sum(s.avg_width * (1 - s.null_frac)) FROM pg_stats s
    WHERE s.schemaname = ${own("n.nspname")} AND s.tablename = ${own("c.relname")}
      AND s.inherited = ${own("c.relkind = 'p'")}`;
}

/** The columns of every index that the server can order rows by, as its own `ORDER BY` would; the table's oid comes last. */
export function selectKeys(where: string, hasIncluded: boolean): string {
  const columns = hasIncluded ? "x.indnkeyatts" : "x.indnatts";
  return `SELECT i.relname, x.indisprimary, x.indisunique, a.attname, ${NOT_NULL},
      a.attname IS NOT NULL AND o.opcdefault AND x.indcollation[k] IN (0, a.attcollation), x.indrelid
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
      CROSS JOIN LATERAL generate_series(0, ${columns} - 1) AS k
      LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[k] AND a.attnum > 0
      LEFT JOIN pg_opclass o ON o.oid = x.indclass[k]
    WHERE ${where} AND m.amname = 'btree' AND x.indisvalid AND x.indisready AND x.indpred IS NULL
    ORDER BY NOT x.indisprimary, NOT x.indisunique, i.relname, k`;
}

/** The usable keys of one table. */
export function toKeys(rows: Result["rows"]): TableKey[] {
  const keys = new Map<string, { key: TableKey & { columns: string[] }; usable: boolean }>();
  for (const [index, primary, unique, column, notNull, usable] of rows) {
    const known = keys.get(index ?? "");
    const columns = [...known?.key.columns ?? [], column ?? ""];
    const isNotNull = (known?.key.notNull ?? true) && notNull === "t";
    keys.set(index ?? "", {
      key: { name: index ?? "", columns, primary: primary === "t", unique: unique === "t", notNull: isNotNull },
      usable: (known?.usable ?? true) && usable === "t",
    });
  }
  return [...keys.values()].filter(({ usable }) => usable).map(({ key }) => key);
}
