// The SQL functions that end a read when a value is not what its column stands for, or too large. The SELECT's guards call them.

import type { DatabaseSync } from "node:sqlite";
import { RivetError } from "../../errors.ts";
import type { SqliteValue } from "./rows.ts";

/** What the functions of one connection are told and tell. */
export interface Guards {
  /** Set before each read. */
  maxValueBytes: number;
  /** What a function refused. None throws: the driver does not carry an error out of every kind of call. */
  failure: RivetError | null;
  /** `rivet_end()` was evaluated: the statement came to its end. */
  ended: boolean;
}

/** None is marked deterministic: SQLite would be free to call it before the first row. */
export function registerGuards(db: DatabaseSync): Guards {
  const guards: Guards = { maxValueBytes: Infinity, failure: null, ended: false };
  const fail = (error: RivetError): null => {
    guards.failure ??= error;
    return null;
  };
  db.function(
    "rivet_refuse",
    (column, type, storage) => fail(toRefusal(String(column), String(type), String(storage))),
  );
  // True for a value that must not be touched.
  db.function("rivet_is_too_long", (column, bytes) => {
    if (Number(bytes) <= guards.maxValueBytes) return 0;
    fail(tooLarge(String(column), Number(bytes), guards.maxValueBytes));
    return 1;
  });
  db.function("rivet_key", { useBigIntArguments: true }, (value, kind) => {
    const key = toKey(value as SqliteValue, String(kind));
    return key instanceof RivetError ? fail(key) : key;
  });
  db.function("rivet_end", () => {
    guards.ended = true;
    return null;
  });
  return guards;
}

/** Throws what a function refused since the last time. */
export function throwRefused(guards: Guards): void {
  const { failure } = guards;
  guards.failure = null;
  if (failure !== null) throw failure;
}

const NUMBERS = /^(bool|u?int|float|decimal)/;

/** A key's value if its literal can be compared with the column: a number in a numeric column, text in a text column. */
function toKey(value: SqliteValue, kind: string): bigint | number | string | null | RivetError {
  if (value === null) return null;
  if (kind === "binary") {
    if (value instanceof Uint8Array) return value.toHex();
  } else if (NUMBERS.test(kind)) {
    if (typeof value === "bigint" || typeof value === "number") return value;
  } else if (typeof value === "string" && !value.includes("\0")) return value;
  return new RivetError("RIVET_SOURCE_PROBE_UNREADABLE", `A key of type '${kind}' is stored as ${toStorage(value)}`, {
    cure: "Choose another column, or CAST this one in a `query:` so that all its values are of one kind",
  });
}

function toStorage(value: Exclude<SqliteValue, null>): string {
  if (typeof value === "string") return value.includes("\0") ? "text with a NUL" : "text";
  return typeof value === "object" ? "a blob" : "a number";
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
    `Column '${column}' holds a value of ${bytes} bytes (${mib(bytes)} MiB), the limit is ${mib(maxBytes)} MiB`,
    { where: `column '${column}'` },
  );
}
