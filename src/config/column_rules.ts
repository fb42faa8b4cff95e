// `columns:` and `target:`: names of types, tables and warehouses.

import { parseTarget, parseTypeName, TARGETS, TYPE_NAMES } from "../types/mod.ts";
import type { Place } from "./place.ts";
import type { RawExport, RawSource } from "./shape.ts";
import { suggest } from "./suggest.ts";

export function checkColumns(entry: RawExport, engine: RawSource["type"], place: Place): void {
  for (const [column, type] of Object.entries(entry.columns ?? {})) {
    checkType(column, type, place);
    checkTable(column, entry, place);
    if (engine === "mysql") checkKey(column, type, entry, place);
  }
  if (entry.target === undefined || parseTarget(entry.target) !== null) return;
  place.fail(
    "RIVET_CONFIG_TARGET_UNKNOWN",
    "target",
    `${place.quote("target")} is no known warehouse`,
    `Choose one of: ${TARGETS.join(", ")}`,
  );
}

function checkType(column: string, type: string, place: Place): void {
  if (parseTypeName(type) !== null) return;
  const decimal = /^\s*(decimal|numeric)\b/i.test(type);
  const near = suggest(type, TYPE_NAMES);
  place.fail(
    "RIVET_CONFIG_COLUMN_OVERRIDE_TYPE_INVALID",
    ["columns", column],
    `${place.quote(["columns", column])} is no type that column '${column}' could have`,
    decimal
      ? "Write `decimal(p,s)` with p from 1 to 76 and s from 0 to p"
      : near === null
      ? `Choose one of: ${TYPE_NAMES.join(", ")}`
      : `Did you mean \`${near}\`?`,
  );
}

/** MySQL compares such a key as the bytes it stores, and would be given the text of a UUID. */
function checkKey(column: string, type: string, { chunk_by_key: key = [] }: RawExport, place: Place): void {
  const name = column.slice(column.lastIndexOf(".") + 1);
  if (parseTypeName(type)?.kind !== "uuid" || ![key].flat().includes(name)) return;
  place.fail(
    "RIVET_CONFIG_KEYSET_KEY_UUID_OVERRIDE",
    ["columns", column],
    `'${name}' is a chunk key and cannot be declared \`uuid\``,
    `Remove '${column}' from \`columns\`, or chunk by another key`,
  );
}

/** `table.column` and `schema.table.column` must mean the table that is read. */
function checkTable(column: string, { table }: RawExport, place: Place): void {
  const dot = column.lastIndexOf(".");
  if (dot < 0) return;
  const wanted = column.slice(0, dot);
  if (table !== undefined && (wanted === table || wanted === table.slice(table.indexOf(".") + 1))) return;
  place.fail(
    "RIVET_CONFIG_COLUMN_OVERRIDE_TABLE_UNKNOWN",
    ["columns", column],
    table === undefined
      ? `'${column}' names a table, and a query has none`
      : `'${wanted}' is not the table that is read`,
    `Write \`${column.slice(dot + 1)}\``,
  );
}
