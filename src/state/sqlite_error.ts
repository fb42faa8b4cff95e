// What SQLite's result codes mean for the state.

import { RivetError, type RivetErrorOptions } from "../errors.ts";

/** How long another process's transaction is waited for. */
export const BUSY_MS = 10_000;

/** SQLite's primary result codes. */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const AUTH = 23;
const NOTADB = 26;
const PERM = 3;

export function translate(error: unknown, location: string): RivetError {
  if (error instanceof RivetError) return error;
  const options: RivetErrorOptions = { where: location, cause: error };
  if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied) {
    return notWritable(location, error);
  }
  const { errcode, errstr } = error as { errcode?: number; errstr?: string };
  switch (errcode === undefined ? null : errcode & 0xff) {
    case BUSY:
    case LOCKED:
      return new RivetError(
        "RIVET_STATE_BACKEND_FAILED",
        `Another process kept the state locked for ${BUSY_MS / 1000} s`,
        {
          ...options,
          cure: "See which process holds the file open, and try again when it is done",
          retry: "same_connection",
        },
      );
    case PERM:
    case READONLY:
    case CANTOPEN:
    case AUTH:
      return notWritable(location, error);
    case CORRUPT:
    case NOTADB:
      return corrupt(location, error);
    case FULL:
      return new RivetError("RIVET_STATE_BACKEND_FAILED", "The disk of the state file is full", {
        ...options,
        cure: "Make room on that disk, then run the same command again",
      });
    default: {
      const what = errstr ?? (error instanceof Error ? error.message : String(error));
      return new RivetError("RIVET_STATE_BACKEND_FAILED", `The state failed: ${what}`, options);
    }
  }
}

export function corrupt(location: string, cause?: unknown): RivetError {
  return new RivetError("RIVET_STATE_FILE_CORRUPT", "The state file is not a sound SQLite database", {
    where: location,
    cause,
  });
}

export function notWritable(location: string, cause: unknown, what = "cannot be written"): RivetError {
  return new RivetError("RIVET_STATE_NOT_WRITABLE", `The state file ${what}`, { where: location, cause });
}
