// The SQL functions that end a read when a value is not what its column stands for, or too large. The SELECT's guards call them.

import type { DatabaseSync } from "node:sqlite";
import { RivetError } from "../../errors.ts";

/** What the functions of one connection compare with; set before each read. */
export interface Guards {
  maxValueBytes: number;
}

/** Neither is marked deterministic: SQLite would be free to call it before the first row. */
export function registerGuards(db: DatabaseSync): Guards {
  const guards: Guards = { maxValueBytes: Infinity };
  db.function("rivet_refuse", (column, type, storage) => {
    throw toRefusal(String(column), String(type), String(storage));
  });
  db.function("rivet_check_length", (column, bytes) => {
    if (Number(bytes) > guards.maxValueBytes) throw tooLarge(String(column), Number(bytes), guards.maxValueBytes);
    return 0;
  });
  return guards;
}

/** `storage` is SQLite's own word: integer, real, text or blob. */
function toRefusal(column: string, type: string, storage: string): RivetError {
  const kind = storage === "integer" ? "An integer" : storage === "real" ? "A real" : `A ${storage}`;
  const declared = storage === "blob" ? "binary" : "string";
  const instead = declared === type
    ? `Convert it in a \`query:\`, for example CAST(${column} AS ${storage === "blob" ? "BLOB" : "TEXT"})`
    : `Declare what it holds under \`columns:\`, for example \`${column}: ${declared}\`, or convert it in a \`query:\``;
  return new RivetError(
    "RIVET_SOURCE_VALUE_UNREPRESENTABLE",
    `${kind} value in column '${column}' is no '${type}'`,
    { where: `column '${column}'`, cure: instead },
  );
}

function tooLarge(column: string, bytes: number, maxBytes: number): RivetError {
  const mib = (n: number) => (n / 1048576).toFixed(1);
  return new RivetError(
    "RIVET_VALUE_TOO_LARGE",
    `RIVET_VALUE_TOO_LARGE: column '${column}' holds a value of ${mib(bytes)} MiB, the limit is ${mib(maxBytes)} MiB`,
    { where: `column '${column}'`, cure: "Raise `max_value_mb`, or leave the column out" },
  );
}
