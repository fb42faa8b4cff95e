// One slice: its rows from the statement into the sink, no faster than the sink and the throttle allow.
// The driver is synchronous, so the read lets other work in every few milliseconds: an abort arrives then.

import { setImmediate } from "node:timers";
import { RivetError } from "../../errors.ts";
import { sleep } from "../../runtime.ts";
import type { ReadOptions, ReadReport, RowSink } from "../source.ts";
import { toSqliteError } from "./errors.ts";
import { throwRefused } from "./guards.ts";
import { askRows, type Connection, prepare, type SqliteValue } from "./rows.ts";
import { openRowWriter } from "./writer.ts";

const TURN_MS = 20;
const ROWS_BETWEEN_LOOKS = 256;

export async function readRows(
  { db, guards }: Connection,
  sql: string,
  into: RowSink,
  options: ReadOptions,
  statementTimeoutMs: number,
): Promise<ReadReport> {
  options.signal.throwIfAborted();
  const columnCount = options.wires?.length ?? prepare(db, sql).columns().length;
  const statement = prepare(db, withEnd(sql, columnCount));
  const columns = statement.columns().map((column) => column.name);
  const writer = openRowWriter(into, columns);
  const work = openWorkClock(statementTimeoutMs);
  const throttled = options.throttleMs > 0 && options.batchRows > 0;
  Object.assign(guards, { maxValueBytes: options.maxValueBytes ?? Infinity, failure: null, ended: false });
  let rows = 0;
  try {
    for (const row of statement.iterate() as unknown as Iterable<SqliteValue[]>) {
      throwRefused(guards);
      // Not `break`: the statement is done, and its lock free, only after one more step.
      if (guards.ended) continue;
      if (throttled && rows > 0 && rows % options.batchRows === 0) {
        await work.pause(writer.flush());
        await work.pause(sleep(options.throttleMs, options.signal));
      }
      const wait = writer.write(row);
      if (wait !== undefined) await work.pause(wait);
      rows++;
      if (rows % ROWS_BETWEEN_LOOKS === 0 && work.isTurnOver()) {
        await work.pause(nextTurn());
        options.signal.throwIfAborted();
      }
    }
  } catch (error) {
    throw toSqliteError(error, { where: "query", code: "RIVET_SOURCE_QUERY_FAILED" });
  }
  throwRefused(guards);
  if (!guards.ended) throw findFailure({ db, guards }, sql, rows);
  work.isTurnOver();
  await writer.flush();
  options.signal.throwIfAborted();
  return { rows, bytesRead: writer.bytes(), longestStatementMs: work.spentMs(), statements: 1 };
}

/**
 * The driver ends its loop over rows as if all was well when a step of the statement fails. So one more row follows the last,
 * and only a statement that gets there was read to its end.
 */
function withEnd(sql: string, columns: number): string {
  return `SELECT * FROM (${sql}\n) UNION ALL SELECT rivet_end()${", NULL".repeat(columns - 1)}`;
}

/** Why a statement ended after this many rows: the next row again, asked for in a way that tells. */
function findFailure(connection: Connection, sql: string, rows: number): unknown {
  try {
    askRows(connection, `SELECT * FROM (${sql}\n) LIMIT 1 OFFSET ${rows}`);
  } catch (error) {
    return error;
  }
  return new RivetError("RIVET_SOURCE_QUERY_FAILED", `The statement failed after ${rows} rows`, { where: "query" });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Counts the time the statement itself takes; what the sink and the throttle take is not the database's. */
function openWorkClock(timeoutMs: number) {
  let spentMs = 0;
  let since = performance.now();
  return {
    spentMs: () => spentMs + performance.now() - since,
    /** True when other work is due. Throws when the statement has had its time. */
    isTurnOver(): boolean {
      const turnMs = performance.now() - since;
      if (timeoutMs > 0 && spentMs + turnMs > timeoutMs) {
        throw new RivetError("RIVET_SOURCE_STATEMENT_TIMEOUT", `The statement ran longer than ${timeoutMs / 1000} s`, {
          cure: "Read smaller slices with `mode: chunked`, add an index, or raise `statement_timeout_s`",
        });
      }
      return turnMs > TURN_MS;
    },
    async pause(until: Promise<void> | void): Promise<void> {
      spentMs += performance.now() - since;
      await until;
      since = performance.now();
    },
  };
}
