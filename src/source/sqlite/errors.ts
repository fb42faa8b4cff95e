// What node:sqlite throws, as RivetErrors: by SQLite's result code. An unknown error is never retried.

import { type ErrorCode, RivetError } from "../../errors.ts";

const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const CANTOPEN = 14;
const TOOBIG = 18;
const NOTADB = 26;

/** What was being done: the thing at fault, and the code of an error that has no better one. */
export interface Asked {
  readonly where: string;
  readonly code: ErrorCode;
}

export function toSqliteError(error: unknown, asked: Asked): unknown {
  if (error instanceof RivetError || !(error instanceof Error)) return error;
  if ((error as { code?: unknown }).code !== "ERR_SQLITE_ERROR") return error;
  // Extended codes keep the primary one in their low byte.
  const code = Number((error as { errcode?: unknown }).errcode ?? 0) & 0xff;
  const options = { where: asked.where, cause: error };
  switch (code) {
    case BUSY:
    case LOCKED:
      return new RivetError(asked.code, "The SQLite file is locked by another process", {
        ...options,
        retry: "same_connection",
        cure: "Wait until the other process has finished, raise `lock_timeout_s`, or put the database into WAL mode",
      });
    case CORRUPT:
    case NOTADB:
      return new RivetError(asked.code, `The SQLite file is damaged: ${error.message}`, {
        ...options,
        cure: "Check it with `PRAGMA integrity_check`, and restore it from a copy",
      });
    case CANTOPEN:
      return new RivetError(asked.code, "The SQLite file, or its -wal or -shm file, cannot be opened", {
        ...options,
        cure: "A database in WAL mode needs a folder in which this user may create the -shm file",
      });
    case TOOBIG:
      return new RivetError("RIVET_VALUE_TOO_LARGE", `SQLite cannot hold a value this large: ${error.message}`, {
        ...options,
        cure: "Leave the column out with a `query:`",
      });
    default: {
      const table = missingTable(error.message);
      if (table === null) return new RivetError(asked.code, error.message, options);
      return new RivetError("RIVET_SOURCE_TABLE_NOT_FOUND", `The table '${table}' does not exist`, options);
    }
  }
}

/** SQLite has one result code for every error in a statement: only its message tells a missing table from a mistake. */
function missingTable(message: string): string | null {
  return /^no such table: (.+)$/s.exec(message)?.[1] ?? null;
}
