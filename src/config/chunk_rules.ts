// Which ways to cut chunks go together.

import type { Place } from "./place.ts";
import type { RawExport } from "./shape.ts";

const CHUNK_SIZE_DEFAULT = 100_000;

export function checkChunks(entry: RawExport, place: Place): void {
  if (entry.mode !== "chunked") return;
  checkShapes(entry, place);
  checkKey(entry, place);
  if (entry.chunk_size_memory_mb !== undefined && (entry.chunk_size ?? CHUNK_SIZE_DEFAULT) !== CHUNK_SIZE_DEFAULT) {
    place.fail(
      "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
      "chunk_size_memory_mb",
      "`chunk_size` and `chunk_size_memory_mb` exclude each other",
      "Keep one of them",
    );
  }
  if (entry.table !== undefined) return;
  if (shapesOf(entry).length === 0 && entry.chunk_column === undefined) {
    place.fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      null,
      "`mode: chunked` over a query needs to know along which column",
      "Set `chunk_column`, or read a `table` instead of a query",
    );
  }
  const needsTable = (["chunk_by_key", "chunk_size_memory_mb"] as const).find((key) => entry[key] !== undefined);
  if (needsTable === undefined) return;
  place.fail(
    "RIVET_CONFIG_MODE_SETTING_INVALID",
    needsTable,
    `\`${needsTable}\` needs a table, whose indexes and sizes can be seen`,
    needsTable === "chunk_by_key"
      ? "Read a `table`, or set `chunk_column` instead"
      : "Read a `table`, or set `chunk_size` instead",
  );
}

type Shape = "chunk_count" | "chunk_by_days" | "chunk_dense" | "chunk_by_key";

function shapesOf(entry: RawExport): Shape[] {
  return (["chunk_count", "chunk_by_days", "chunk_dense", "chunk_by_key"] as const)
    .filter((key) => entry[key] !== undefined && entry[key] !== false);
}

function checkShapes(entry: RawExport, place: Place): void {
  const shapes = shapesOf(entry);
  if (shapes.length < 2) return;
  const code = shapes.includes("chunk_by_key")
    ? "RIVET_CONFIG_MODE_SETTING_INVALID"
    : shapes.includes("chunk_count")
    ? "RIVET_CONFIG_CHUNK_COUNT_INVALID"
    : "RIVET_CONFIG_CHUNK_BY_DAYS_INVALID";
  const names = shapes.map((name) => `\`${name}\``).join(" and ");
  place.fail(code, shapes[1]!, `${names} exclude each other`, "Keep one of them");
}

function checkKey(entry: RawExport, place: Place): void {
  const { chunk_by_key: key } = entry;
  const columns = key === undefined ? [] : [key].flat();
  if (columns.length > 0 && entry.chunk_column !== undefined) {
    place.fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "chunk_by_key",
      "`chunk_by_key` and `chunk_column` exclude each other",
      "Keep one of them",
    );
  }
  if (new Set(columns).size < columns.length) {
    place.fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "chunk_by_key",
      "`chunk_by_key` names a column twice",
      "Name each column once, in the order of the index",
    );
  }
  if (entry.keyset_incremental === true && columns.length !== 1) {
    place.fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "keyset_incremental",
      "`keyset_incremental` needs `chunk_by_key` with one column",
      "Set `chunk_by_key` to the column that grows",
    );
  }
}
