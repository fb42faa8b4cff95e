// SQLite files for tests: made by statements, opened through the source, removed at the end.

import { DatabaseSync } from "node:sqlite";
import { openSqlite } from "../../src/source/sqlite/mod.ts";
import type { ReadOptions, SessionLimits, Source } from "../../src/source/mod.ts";
import { temporaryFolder } from "./files.ts";

export const LIMITS: SessionLimits = { statementTimeoutS: 30, lockTimeoutS: 1, connectTimeoutMs: 1000 };
export const READ: ReadOptions = {
  batchRows: 1000,
  batchBytes: 1 << 20,
  throttleMs: 0,
  signal: new AbortController().signal,
};

export interface SqliteFile extends AsyncDisposable {
  readonly folder: string;
  readonly path: string;
  /** The writing connection, open until the end. */
  readonly db: DatabaseSync;
  open(limits?: Partial<SessionLimits>): Promise<Source>;
}

/** A new file with what the statements put into it. */
export async function openSqliteFile(statements = ""): Promise<SqliteFile> {
  const folder = await temporaryFolder();
  const path = `${folder.path}/test.db`;
  const db = new DatabaseSync(path);
  db.exec(statements);
  return {
    folder: folder.path,
    path,
    db,
    open: (limits = {}) => openSqlite({ engine: "sqlite", path }, { ...LIMITS, ...limits }),
    async [Symbol.asyncDispose]() {
      db.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
