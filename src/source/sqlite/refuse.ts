// The SQL function that ends a read when a value is not of the kind its column stands for. The guards in the SELECT call it.

import type { DatabaseSync } from "node:sqlite";
import { RivetError } from "../../errors.ts";

export function registerRefusal(db: DatabaseSync): void {
  // Not marked deterministic: SQLite would be free to call it before the first row.
  db.function("rivet_refuse", (column, type, storage) => {
    throw toRefusal(String(column), String(type), String(storage));
  });
}

/** `storage` is SQLite's own word: integer, real, text or blob. */
export function toRefusal(column: string, type: string, storage: string): RivetError {
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
