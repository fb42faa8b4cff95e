// The result columns of a table or query, without reading a row.
// An expression has no declared type and is text, unless it is a CAST: its values are not looked at, because the next ones may differ.

import { RivetError } from "../../errors.ts";
import { mapSqlite, SQLITE_UNTYPED } from "../../types/mod.ts";
import type { Query, Shape } from "../source.ts";
import { buildFrom, quoteName } from "../sql.ts";
import { findTable, readColumns } from "./facts.ts";
import { askRows, type Connection, execute, prepare } from "./rows.ts";

export function describeQuery(connection: Connection, query: Query): Shape {
  if (query.kind === "table" && findTable(connection, query) === null) {
    throw new RivetError(
      "RIVET_SOURCE_TABLE_NOT_FOUND",
      `The table '${query.schema === null ? "" : `${query.schema}.`}${query.name}' does not exist`,
      { cure: "Check the name: `rivet init` lists the tables of the file" },
    );
  }
  const from = `SELECT * FROM ${buildFrom("sqlite", query)}`;
  // Inside a subquery SQLite renames a second column of one name; the caller must see that there are two.
  const names = query.kind === "query" ? toNames(connection, query.sql) : toNames(connection, from);
  if (names.length === 0) return { columns: [] };
  const origins = prepare(connection.db, from).columns();
  const computed = origins.some(isExpression) ? readComputedTypes(connection, from) : [];
  const notNull = query.kind === "table"
    ? new Map(readColumns(connection, query.name).map((column) => [column.name, column.notNull]))
    : new Map<string, boolean>();
  return {
    columns: names.map((name, i) => {
      const nativeType = (isExpression(origins[i]!) ? computed[i] : origins[i]!.type) || SQLITE_UNTYPED;
      return { name, nativeType, ...mapSqlite(name, nativeType), notNull: notNull.get(name) ?? null };
    }),
  };
}

function isExpression(column: { readonly column: string | null }): boolean {
  return column.column === null;
}

function toNames(connection: Connection, sql: string): string[] {
  return prepare(connection.db, sql).columns().map((column) => column.name);
}

/** SQLite works out the type of `CAST(… AS …)` for the columns of a view: INT, REAL, TEXT, BLOB, or nothing. */
function readComputedTypes(connection: Connection, select: string): (string | null)[] {
  const view = quoteName("sqlite", "_rivet_described");
  // The connection is read-only, its temporary database, in memory, is not.
  execute(connection, `CREATE TEMP VIEW ${view} AS ${select}`);
  try {
    return askRows(connection, `SELECT type FROM pragma_table_xinfo('_rivet_described', 'temp')`).map(([type]) =>
      toComputed(type)
    );
  } finally {
    execute(connection, `DROP VIEW temp.${view}`);
  }
}

/** `NUM` only says that the value is some number: no more than the affinity of a column nobody declared. */
function toComputed(type: string | null | undefined): string | null {
  return type === undefined || type === "" || type === "NUM" ? null : type;
}
