// Statements with small answers, as text.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type Asked, toSqliteError } from "./errors.ts";
import { type Guards, throwRefused } from "./guards.ts";
import { formatReal } from "./text.ts";

/** An open file and the functions that guard what is read from it. */
export interface Connection {
  readonly db: DatabaseSync;
  readonly guards: Guards;
}

/** What a column of a row can be. */
export type SqliteValue = null | bigint | number | string | Uint8Array;

const QUERY: Asked = { where: "query", code: "RIVET_SOURCE_QUERY_FAILED" };

/** A statement whose rows come as arrays, integers as bigint. */
export function prepare(db: DatabaseSync, sql: string, asked: Asked = QUERY): StatementSync {
  try {
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    // The method exists, Deno's types do not know it yet.
    (statement as StatementSync & { setReturnArrays(on: boolean): void }).setReturnArrays(true);
    return statement;
  } catch (error) {
    throw toSqliteError(error, asked);
  }
}

/** All rows as text: integers and reals in full, blobs as lower-case hex. */
export function askRows({ db, guards }: Connection, sql: string, asked: Asked = QUERY): (string | null)[][] {
  const statement = prepare(db, sql, asked);
  let rows: SqliteValue[][];
  try {
    rows = statement.all() as unknown as SqliteValue[][];
  } catch (error) {
    throw toSqliteError(error, asked);
  }
  throwRefused(guards);
  return rows.map((row) => row.map(toText));
}

/** A statement without rows. `db.exec` would lose the result code of an error. */
export function execute(connection: Connection, sql: string): void {
  askRows(connection, sql);
}

function toText(value: SqliteValue): string | null {
  if (value === null || typeof value === "string") return value;
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return formatReal(value);
  return value.toHex();
}
