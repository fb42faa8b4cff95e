// Which columns could be cursors and which could cut chunks, ranked, each with its reasons. Pure.

import type { ListedColumn, ListedTable } from "../source/mod.ts";
import type { LogicalType } from "../types/mod.ts";

export type CursorReason =
  | "name_suggests_updated"
  | "name_suggests_created"
  | "timestamp_type"
  | "integer_monotonic"
  | "primary_key"
  | "nullable";

export interface CursorCandidate {
  readonly column: ListedColumn;
  readonly isPrimaryKey: boolean;
  readonly score: number;
  readonly reasons: readonly CursorReason[];
}

export interface ChunkCandidate {
  readonly column: ListedColumn;
  readonly isPrimaryKey: boolean;
  readonly score: number;
}

/** Words at an end of a column's name, between underscores. */
const UPDATED = /(^|_)(updated|update|modified|modify|modification|changed|mtime|last_edited)(_|$)/;
const CREATED = /(^|_)(created|create|creation|inserted|added|ctime)(_|$)/;
/** Stamps of what may happen to a row once, or is planned for it: they do not grow with changes. */
const OTHER_STAMP =
  /(^|_)(deleted|delete|removed|archived|purged|expir\w*|valid|due|scheduled|birth\w*|start|end)(_|$)/;

/** `UpdatedAt` and `UPDATED_AT` as `updated_at`. */
function plainName(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
}

/** The best first. */
export function rankCursors(table: ListedTable): CursorCandidate[] {
  const primary = table.keys.find((key) => key.primary)?.columns ?? [];
  return table.columns
    .map((column, index) => rateCursor(column, index, primary))
    .filter((candidate): candidate is CursorCandidate => candidate !== null)
    .sort((a, b) => b.score - a.score || (a.column.name < b.column.name ? -1 : 1));
}

function rateCursor(column: ListedColumn, index: number, primary: readonly string[]): CursorCandidate | null {
  const name = plainName(column.name);
  const inKey = primary.includes(column.name);
  const isPrimaryKey = inKey && primary.length === 1;
  const isTime = column.type?.kind === "timestamp";
  if ((inKey && !isPrimaryKey) || (isTime && OTHER_STAMP.test(name))) return null;
  if (!isTime && !(isPrimaryKey && isIntegerType(column.type))) return null;
  const reasons: CursorReason[] = [];
  let score = Math.max(0, 5 - index);
  if (isTime && UPDATED.test(name)) {
    score += 40;
    reasons.push("name_suggests_updated");
  } else if (isTime && CREATED.test(name)) {
    score += 20;
    reasons.push("name_suggests_created");
  }
  score += isTime ? 40 : 25;
  reasons.push(isTime ? "timestamp_type" : "integer_monotonic");
  if (isPrimaryKey) reasons.push("primary_key");
  if (!column.notNull && !isPrimaryKey) {
    score -= 10;
    reasons.push("nullable");
  }
  return { column, isPrimaryKey, score, reasons };
}

/** Stands in where the best cursor is NULL: another stamp of the same type that never is. */
export function findFallback(candidates: readonly CursorCandidate[]): CursorCandidate | null {
  const [best, ...others] = candidates;
  if (best === undefined || best.column.notNull || best.column.type?.kind !== "timestamp") return null;
  return others.find(({ column }) => column.notNull && column.nativeType === best.column.nativeType) ?? null;
}

/** Integer columns that ranges could be cut along, the key first. */
export function rankChunkColumns(table: ListedTable): ChunkCandidate[] {
  const primary = table.keys.find((key) => key.primary)?.columns ?? [];
  return table.columns.filter((column) => isIntegerType(column.type))
    .map((column) => {
      const isPrimaryKey = primary.length === 1 && primary[0] === column.name;
      const leadsIndex = table.keys.some((key) => key.columns[0] === column.name);
      return { column, isPrimaryKey, score: 20 + (isPrimaryKey ? 40 : leadsIndex ? 10 : 0) };
    })
    .sort((a, b) => b.score - a.score || (a.column.name < b.column.name ? -1 : 1));
}

/** The key that chunks can follow: the primary one, else a unique one without NULL. Null when there is none of sortable types. */
export function findChunkKey(table: ListedTable): readonly ListedColumn[] | null {
  for (const key of table.keys) {
    if (!key.unique || !(key.notNull || key.primary)) continue;
    const columns = key.columns.map((name) => table.columns.find((column) => column.name === name));
    if (columns.every((column): column is ListedColumn => column !== undefined && isSortable(column.type))) {
      return columns;
    }
  }
  return null;
}

export function isIntegerType(type: LogicalType | null): boolean {
  return type !== null && ["int16", "int32", "int64", "uint64"].includes(type.kind);
}

function isSortable(type: LogicalType | null): boolean {
  if (type === null) return false;
  return isIntegerType(type) || ["decimal", "date", "timestamp", "string", "binary", "uuid"].includes(type.kind);
}
