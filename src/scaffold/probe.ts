// How far apart the integer keys of large tables are: least and greatest key, two index seeks a table, many tables a statement.

import { RivetError } from "../errors.ts";
import { buildFrom, type ListedTable, quoteName, type Source } from "../source/mod.ts";
import { findChunkKey, isIntegerType } from "./candidates.ts";

/** Rows of a table and how they were found. */
export interface Size {
  readonly rows: number | null;
  readonly rowSource: "catalog" | "key_span" | "bytes" | null;
  /** Greatest minus least key plus one; null where it was not asked or could not be read. */
  readonly keySpan: number | null;
}

/** Smaller tables are read whole, whatever their keys. */
export const LARGE_ROWS = 100_000;
const TABLES_PER_STATEMENT = 50;

/** The sizes of all tables, with the key spans of those that may be large. Reads no more than the ends of indexes. */
export async function readSizes(source: Source, tables: readonly ListedTable[]): Promise<Map<ListedTable, Size>> {
  const asked = tables.filter((table) => probeColumn(table) !== null && (table.rowsEstimate ?? Infinity) > LARGE_ROWS);
  const spans = new Map<ListedTable, number>();
  for (let i = 0; i < asked.length; i += TABLES_PER_STATEMENT) {
    const some = asked.slice(i, i + TABLES_PER_STATEMENT);
    // One table that is locked, gone or forbidden must not hide the others.
    if (!await probe(source, some, spans)) { for (const table of some) await probe(source, [table], spans); }
  }
  return new Map(tables.map((table) => [table, toSize(table, spans.get(table) ?? null)]));
}

/** The integer key that ranges would be cut along. */
function probeColumn(table: ListedTable): string | null {
  const key = findChunkKey(table);
  return key?.length === 1 && isIntegerType(key[0]!.type) ? key[0]!.name : null;
}

async function probe(
  source: Source,
  tables: readonly ListedTable[],
  spans: Map<ListedTable, number>,
): Promise<boolean> {
  const { engine } = source;
  const selects = tables.map((table, i) => {
    const key = quoteName(engine, probeColumn(table)!);
    const from = buildFrom(engine, { kind: "table", schema: table.schema, name: table.name });
    return `SELECT ${i}, (SELECT MIN(${key}) FROM ${from}), (SELECT MAX(${key}) FROM ${from})`;
  });
  try {
    for (const [index, min, max] of await source.rows(selects.join(" UNION ALL "))) {
      const table = tables[Number(index)];
      if (table !== undefined) spans.set(table, toSpan(min, max));
    }
    return true;
  } catch (error) {
    if (!(error instanceof RivetError) || error.retry === "reconnect") throw error;
    return false;
  }
}

function toSpan(min: string | null | undefined, max: string | null | undefined): number {
  if (min === null || min === undefined || max === null || max === undefined) return 0;
  return Number(BigInt(max) - BigInt(min)) + 1;
}

function toSize(table: ListedTable, keySpan: number | null): Size {
  const known = table.rowsEstimate;
  // Keys are unique, so there are never more rows than keys fit in between.
  if (known !== null) {
    return keySpan !== null && keySpan < known
      ? { rows: keySpan, rowSource: "key_span", keySpan }
      : { rows: known, rowSource: "catalog", keySpan };
  }
  const { bytes } = table;
  const rowsMost = bytes === null ? Infinity : bytes / (ROW_BYTES_LEAST + table.columns.length);
  if (keySpan !== null && keySpan <= rowsMost) return { rows: keySpan, rowSource: "key_span", keySpan };
  if (bytes === null) return { rows: null, rowSource: null, keySpan };
  return { rows: Math.round(bytes / guessRowBytes(table)), rowSource: "bytes", keySpan };
}

/** What a row takes before its values: its pointer and its header. */
const ROW_BYTES_LEAST = 28;

/** A guess from the column types, for tables that were never analysed. */
function guessRowBytes(table: ListedTable): number {
  return ROW_BYTES_LEAST + table.columns.reduce((sum, { type }) => sum + (type?.kind === "string" ? 16 : 8), 0);
}
