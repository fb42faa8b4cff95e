// Facts about a table from the catalog views that every user of the database can read; nothing here scans the table.

import { RivetError } from "../../errors.ts";
import type { TableFacts, TableKey } from "../source.ts";
import { quoteName } from "../sql.ts";
import { toLiteral } from "./ask.ts";

type Ask = (sql: string) => Promise<(string | null)[][]>;

export const PAGE_BYTES = 8192;

/** Null for a table that does not exist or that the user may not see. */
export async function readFacts(
  ask: Ask,
  table: { schema: string | null; name: string },
): Promise<TableFacts | null> {
  const parts = table.schema === null ? [table.name] : [table.schema, table.name];
  const id = `OBJECT_ID(${toLiteral(parts.map((part) => quoteName("mssql", part)).join("."))})`;
  const [found] = await ask(
    `SELECT SCHEMA_NAME(o.schema_id), o.name, RTRIM(o.type), (SELECT COUNT(*) FROM sys.indexes AS i
      JOIN sys.partition_schemes AS s ON s.data_space_id = i.data_space_id
      WHERE i.object_id = o.object_id AND i.index_id IN (0, 1))
    FROM sys.objects AS o WHERE o.object_id = ${id}`,
  );
  if (found === undefined) return null;
  const [schema, name, type, partitioned] = found;
  const size = await readSize(ask, id);
  return {
    schema: schema ?? null,
    name: name ?? table.name,
    kind: toKind(type ?? "", partitioned !== "0"),
    ...size,
    pages: null,
    keys: await readKeys(ask, id),
  };
}

export function toKind(type: string, isPartitioned: boolean): TableFacts["kind"] {
  if (type === "U") return isPartitioned ? "partitioned" : "table";
  return type === "V" ? "view" : "other";
}

/** The heap's or clustered index's rows and pages, overflow and large objects included. */
async function readSize(
  ask: Ask,
  id: string,
): Promise<Pick<TableFacts, "rowsEstimate" | "bytes" | "avgRowBytes">> {
  const [found] = await askOrNothing(
    ask,
    `SELECT SUM(row_count), SUM(used_page_count) FROM sys.dm_db_partition_stats
    WHERE object_id = ${id} AND index_id IN (0, 1)`,
    // The view needs VIEW DATABASE STATE; these need nothing, and are a little less fresh.
    `SELECT (SELECT SUM(p.rows) FROM sys.partitions AS p WHERE p.object_id = ${id} AND p.index_id IN (0, 1)),
      (SELECT SUM(a.used_pages) FROM sys.partitions AS p
      JOIN sys.allocation_units AS a ON a.container_id = CASE a.type WHEN 2 THEN p.partition_id ELSE p.hobt_id END
      WHERE p.object_id = ${id} AND p.index_id IN (0, 1))`,
  );
  const rows = toNumber(found?.[0]);
  const pages = toNumber(found?.[1]);
  const bytes = pages === null ? null : pages * PAGE_BYTES;
  return {
    rowsEstimate: rows,
    bytes,
    avgRowBytes: bytes === null || rows === null || rows === 0 ? null : Math.ceil(bytes / rows),
  };
}

/** The first statement that the server answers; nothing when it answers none of them. */
export async function askOrNothing(ask: Ask, ...statements: string[]): Promise<(string | null)[][]> {
  for (const sql of statements) {
    try {
      return await ask(sql);
    } catch (error) {
      if (!(error instanceof RivetError) || error.code !== "RIVET_SOURCE_QUERY_FAILED" || error.retry !== "never") {
        throw error;
      }
    }
  }
  return [];
}

export function toNumber(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

/** What `toKeys` takes, of every index column. */
export const KEY_COLUMNS =
  `i.name, CONVERT(int, i.is_primary_key), CONVERT(int, i.is_unique), c.name, CONVERT(int, c.is_nullable)
    FROM sys.indexes AS i
    JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
    JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id`;

async function readKeys(ask: Ask, id: string): Promise<TableKey[]> {
  const rows = await ask(
    `SELECT ${KEY_COLUMNS} WHERE i.object_id = ${id} AND i.type IN (1, 2) AND i.is_disabled = 0 AND i.is_hypothetical = 0 AND i.has_filter = 0
    ORDER BY i.is_primary_key DESC, i.is_unique DESC, i.name, k.key_ordinal`,
  );
  return toKeys(rows);
}

/** The usable keys of one table. */
export function toKeys(rows: (string | null)[][]): TableKey[] {
  const keys = new Map<string, TableKey & { columns: string[] }>();
  for (const [index, primary, unique, column, nullable] of rows) {
    const name = index ?? "";
    const key = keys.get(name);
    const notNull = nullable === "0";
    keys.set(name, {
      name,
      columns: [...key?.columns ?? [], column ?? ""],
      primary: primary === "1",
      unique: unique === "1",
      notNull: (key?.notNull ?? true) && notNull,
    });
  }
  return [...keys.values()];
}
