// Opens a SQLite file read-only and makes sure that it is one.

import { DatabaseSync } from "node:sqlite";
import { RivetError } from "../../errors.ts";
import { describeFileFault } from "../../file_fault.ts";
import type { SessionLimits } from "../source.ts";
import { registerGuards } from "./guards.ts";
import { askRows, type Connection, execute } from "./rows.ts";

/** How long a lock is waited for when no limit is set: the driver blocks its thread, so it must be bounded. */
const LOCK_WAIT_MS = 60_000;
const MAGIC = "SQLite format 3\0";

export async function openDatabase(path: string, limits: SessionLimits): Promise<Connection> {
  await checkFile(path);
  const db = open(path);
  const lockWaitMs = limits.lockTimeoutS > 0 ? limits.lockTimeoutS * 1000 : LOCK_WAIT_MS;
  try {
    const connection = { db, guards: registerGuards(db) };
    // Deno takes the driver's `timeout` option and forgets it.
    execute(connection, `PRAGMA busy_timeout = ${Math.ceil(lockWaitMs)}`);
    // Views that describe queries, and sorting, stay in memory: nothing but the file's own folder is touched.
    execute(connection, "PRAGMA temp_store = memory");
    checkEncoding(connection, path);
    return connection;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Says what is wrong with a path before SQLite does: its own message is the same for every reason. */
async function checkFile(path: string): Promise<void> {
  const where = path;
  let head: Uint8Array;
  try {
    using file = await Deno.open(path, { read: true });
    const buffer = new Uint8Array(MAGIC.length);
    head = buffer.subarray(0, await file.read(buffer) ?? 0);
  } catch (cause) {
    const missing = cause instanceof Deno.errors.NotFound;
    throw new RivetError(
      "RIVET_SOURCE_CONNECT_FAILED",
      missing
        ? `The SQLite file '${path}' does not exist`
        : `The SQLite file '${path}' cannot be read: ${describeFileFault(cause)}`,
      {
        where,
        cure: missing
          ? "Check `path:` under `source:`; a relative path starts at the config's folder"
          : cause instanceof Deno.errors.IsADirectory
          ? "Name the database file itself in `path:` under `source:`"
          : "Give this user permission to read the file",
        cause,
      },
    );
  }
  // A file without a byte is an empty database.
  if (head.length > 0 && new TextDecoder().decode(head) !== MAGIC) throw notADatabase(path);
}

function notADatabase(path: string): RivetError {
  return new RivetError("RIVET_SOURCE_CONNECT_FAILED", `'${path}' is not a SQLite database`, {
    where: path,
    cure: "Point `path:` under `source:` at a SQLite 3 file; an encrypted one must be decrypted first",
  });
}

function open(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { readOnly: true, allowExtension: false });
  } catch (cause) {
    throw new RivetError("RIVET_SOURCE_CONNECT_FAILED", `The SQLite file '${path}' cannot be opened`, {
      where: path,
      cure: "Give this user permission to read the file and its folder",
      cause,
    });
  }
}

/** The first statement that reads the file, so a damaged one shows here. */
function checkEncoding(connection: Connection, path: string): void {
  const failed = { where: path, code: "RIVET_SOURCE_CONNECT_FAILED" } as const;
  const encoding = askRows(connection, "PRAGMA encoding", failed)[0]?.[0];
  askRows(connection, "SELECT count(*) FROM sqlite_schema", failed);
  if (encoding === "UTF-8") return;
  throw new RivetError("RIVET_SOURCE_CONNECT_FAILED", `'${path}' stores its text as '${encoding}', rivet reads UTF-8`, {
    where: path,
    cure: "Copy the database: create one with `PRAGMA encoding = 'UTF-8'` and load the old one's `.dump` into it",
  });
}
