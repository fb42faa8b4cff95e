// All tables and views of a SQLite file, with columns, keys and an estimate of their rows.

import { RivetError } from "../../errors.ts";
import { mapSqlite, SQLITE_UNTYPED } from "../../types/mod.ts";
import type { ListedColumn, ListedTable, Listing } from "../listing.ts";
import type { Source } from "../source.ts";

export async function listSqlite(source: Source, wanted: string | null): Promise<Listing> {
  const schema = wanted ?? "main";
  if (schema.toLowerCase() !== "main") return { schema, exists: false, otherSchemas: ["main"], tables: [] };
  const found = await source.rows(
    `SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
      AND type <> 'shadow' ORDER BY name`,
  );
  const tables: ListedTable[] = [];
  for (const [name, type] of found) tables.push(await toTable(source, name!, type!));
  return { schema: "main", exists: true, otherSchemas: [], tables };
}

async function toTable(source: Source, name: string, type: string): Promise<ListedTable> {
  const columns = await readColumns(source, name);
  const facts = columns === null ? null : await source.facts({ schema: null, name });
  return {
    schema: null,
    name,
    kind: type === "view" ? "view" : type === "table" ? "table" : "other",
    rowsEstimate: facts?.rowsEstimate ?? null,
    bytes: null,
    avgRowBytes: null,
    pages: null,
    keys: facts?.keys ?? [],
    columns: columns ?? [],
    isReadable: true,
    partOf: null,
    notes: [],
  };
}

/** Null for a view over something that is not there. */
async function readColumns(source: Source, name: string): Promise<ListedColumn[] | null> {
  try {
    const rows = await source.rows(
      `SELECT name, type, "notnull" FROM pragma_table_xinfo('${name.replaceAll("'", "''")}', 'main')
        WHERE hidden <> 1 ORDER BY cid`,
    );
    return rows.map(toColumn);
  } catch (error) {
    const codes: readonly string[] = ["RIVET_SOURCE_QUERY_FAILED", "RIVET_SOURCE_TABLE_NOT_FOUND"];
    if (error instanceof RivetError && codes.includes(error.code)) return null;
    throw error;
  }
}

function toColumn([name, declared, notNull]: (string | null)[]): ListedColumn {
  const nativeType = declared === null || declared === undefined || declared === "" ? SQLITE_UNTYPED : declared;
  const { type, warnings } = mapSqlite(name!, nativeType);
  return {
    name: name!,
    nativeType,
    type,
    notNull: notNull === "1",
    isOpenDecimal: type?.kind === "string" && /^\s*(decimal|numeric|dec|number)\b/i.test(nativeType),
    warnings,
  };
}
