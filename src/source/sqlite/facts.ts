// What the catalog knows of a table: its kind, keys and an estimate of its rows. Nothing here scans the table.

import type { TableFacts, TableKey } from "../source.ts";
import { quoteName } from "../sql.ts";
import { askRows, type Connection } from "./rows.ts";

interface TableName {
  readonly schema: string | null;
  readonly name: string;
}

interface FoundTable {
  readonly name: string;
  readonly kind: TableFacts["kind"];
  readonly withoutRowid: boolean;
}

interface CatalogColumn {
  readonly name: string;
  readonly declared: string;
  readonly notNull: boolean;
  /** Place in the primary key, from 1; 0 = not in it. */
  readonly keyPlace: number;
}

/** Null for a table that does not exist. */
export function readFacts(connection: Connection, table: TableName): TableFacts | null {
  const found = findTable(connection, table);
  if (found === null) return null;
  const columns = found.kind === "table" ? readColumns(connection, found.name) : [];
  return {
    schema: null,
    name: found.name,
    kind: found.kind,
    rowsEstimate: found.kind === "table" ? estimateRows(connection, found) : null,
    bytes: null,
    avgRowBytes: null,
    pages: null,
    keys: found.kind === "table" ? readKeys(connection, found, columns) : [],
  };
}

/** The table as it is spelled in the file: SQLite compares names without regard to ASCII case. */
export function findTable(connection: Connection, table: TableName): FoundTable | null {
  if (table.schema !== null && table.schema.toLowerCase() !== "main") return null;
  const row = askRows(
    connection,
    `SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ${
      literal(table.name)
    } COLLATE NOCASE`,
  )[0];
  if (row === undefined) return null;
  const [name, type, withoutRowid] = row;
  const kind = type === "view" ? "view" : type === "table" || type === "shadow" ? "table" : "other";
  return { name: name!, kind, withoutRowid: withoutRowid === "1" };
}

export function readColumns(connection: Connection, table: string): CatalogColumn[] {
  return askRows(connection, `SELECT name, type, "notnull", pk FROM pragma_table_xinfo(${literal(table)}, 'main')`)
    .map(([name, declared, notNull, place]) => ({
      name: name!,
      declared: declared ?? "",
      notNull: notNull === "1",
      keyPlace: Number(place),
    }));
}

/** Primary key first, then unique, then by name; partial indexes and indexes on expressions do not hold every row by its columns. */
function readKeys(connection: Connection, table: FoundTable, columns: readonly CatalogColumn[]): TableKey[] {
  const notNull = new Map(columns.map((column) => [column.name, column.notNull]));
  const keys: TableKey[] = [];
  const rowid = rowidColumn(table, columns);
  if (rowid !== null) keys.push({ name: "rowid", columns: [rowid], primary: true, unique: true, notNull: true });
  const indexes = askRows(
    connection,
    `SELECT name, "unique", origin FROM pragma_index_list(${literal(table.name)}, 'main') WHERE partial = 0`,
  );
  for (const [name, unique, origin] of indexes) {
    const parts = askRows(
      connection,
      `SELECT cid, name FROM pragma_index_info(${literal(name!)}, 'main') ORDER BY seqno`,
    );
    if (parts.some(([cid]) => Number(cid) < 0)) continue;
    const names = parts.map(([, column]) => column!);
    const primary = origin === "pk";
    keys.push({
      name: name!,
      columns: names,
      primary,
      unique: unique === "1",
      // SQLite allows NULL in a primary key, except in a table without rowid.
      notNull: (primary && table.withoutRowid) || names.every((column) => notNull.get(column) === true),
    });
  }
  const rank = (key: TableKey) => key.primary ? 0 : key.unique ? 1 : 2;
  return keys.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

/** The column that is another name for the rowid: it has no index of its own, the table is it. */
function rowidColumn(table: FoundTable, columns: readonly CatalogColumn[]): string | null {
  if (table.withoutRowid) return null;
  const key = columns.filter((column) => column.keyPlace > 0);
  return key.length === 1 && key[0]!.declared.toUpperCase() === "INTEGER" ? key[0]!.name : null;
}

/** What ANALYZE counted, else the span of rowids, unless it is more than the file could hold. */
function estimateRows(connection: Connection, table: FoundTable): number | null {
  if (findTable(connection, { schema: null, name: "sqlite_stat1" }) !== null) {
    const stat = askRows(connection, `SELECT stat FROM sqlite_stat1 WHERE tbl = ${literal(table.name)} LIMIT 1`)[0]
      ?.[0];
    const rows = Number(stat?.split(" ")[0]);
    if (stat !== null && stat !== undefined && Number.isSafeInteger(rows)) return rows;
  }
  if (table.withoutRowid) return null;
  const from = quoteName("sqlite", table.name);
  // Two seeks: one statement with both aggregates would scan.
  const [least, most, fileBytes] = askRows(
    connection,
    `SELECT (SELECT min(rowid) FROM ${from}), (SELECT max(rowid) FROM ${from}),
      (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)`,
  )[0]!;
  if (least === null || most === null) return 0;
  const span = Number(BigInt(most!) - BigInt(least!) + 1n);
  return span <= Number(fileBytes) / ROW_BYTES_MIN ? span : null;
}

/** A row takes at least its cell pointer, its length, its rowid and its header. */
const ROW_BYTES_MIN = 6;

function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
