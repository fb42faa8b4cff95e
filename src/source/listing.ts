// Everything the catalog knows of a whole schema, in a few questions whatever the number of tables. Nothing here reads a row.

import type { LogicalType } from "../types/mod.ts";
import type { Source, TableFacts } from "./source.ts";

export interface ListedColumn {
  readonly name: string;
  /** The engine's own spelling. */
  readonly nativeType: string;
  /** Null when nothing fits. */
  readonly type: LogicalType | null;
  readonly notNull: boolean;
  /** A decimal without declared digits: it is written as text until someone says how many there are. */
  readonly isOpenDecimal: boolean;
  readonly warnings: readonly string[];
}

export interface ListedTable extends TableFacts {
  readonly columns: readonly ListedColumn[];
  /** The user may read every column. */
  readonly isReadable: boolean;
  /** What it belongs to, when its rows are read, or made, by something else: `partitioned table 'events'`, `extension 'postgis'`. */
  readonly partOf: string | null;
  /** What a reader of it should know, each one sentence. */
  readonly notes: readonly string[];
}

export interface Listing {
  /** The schema that was listed: the given one, or the one that plain names mean. */
  readonly schema: string;
  readonly exists: boolean;
  /** Other schemas of the database that the user can see. */
  readonly otherSchemas: readonly string[];
  /** By name. */
  readonly tables: readonly ListedTable[];
}

/** Lists a schema; null is the one that plain names mean. On MySQL a schema is a database. */
export async function listTables(source: Source, schema: string | null): Promise<Listing> {
  switch (source.engine) {
    case "postgres":
      return await (await import("./postgres/listing.ts")).listPostgres(source, schema);
    case "mysql":
      return await (await import("./mysql/listing.ts")).listMysql(source, schema);
    case "mssql":
      return await (await import("./mssql/listing.ts")).listMssql(source, schema);
    case "sqlite":
      return await (await import("./sqlite/listing.ts")).listSqlite(source, schema);
  }
}

/** Rows as lists by the text of their first column, which is left out. */
export function groupRows(rows: readonly (string | null)[][]): Map<string, (string | null)[][]> {
  const groups = new Map<string, (string | null)[][]>();
  for (const [first, ...rest] of rows) {
    const key = first ?? "";
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [rest]);
    else group.push(rest);
  }
  return groups;
}
