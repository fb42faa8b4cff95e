// One slice: its rows from the statement into the sink, no faster than the sink and the throttle allow.
// The driver is synchronous, so the read lets other work in every few milliseconds: an abort arrives then.

import type { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { RivetError } from "../../errors.ts";
import { sleep } from "../../runtime.ts";
import type { ReadOptions, ReadReport, RowSink } from "../source.ts";
import { toSqliteError } from "./errors.ts";
import type { Guards } from "./guards.ts";
import { prepare, type SqliteValue } from "./rows.ts";
import { openRowWriter } from "./writer.ts";

const TURN_MS = 20;
const ROWS_BETWEEN_LOOKS = 256;

export async function readRows(
  db: DatabaseSync,
  sql: string,
  into: RowSink,
  options: ReadOptions,
  statementTimeoutMs: number,
  guards: Guards,
): Promise<ReadReport> {
  options.signal.throwIfAborted();
  const statement = prepare(db, sql);
  const writer = openRowWriter(into, statement.columns().map((column) => column.name));
  const work = openWorkClock(statementTimeoutMs);
  const throttled = options.throttleMs > 0 && options.batchRows > 0;
  guards.maxValueBytes = options.maxValueBytes ?? Infinity;
  let rows = 0;
  try {
    for (const row of statement.iterate() as unknown as Iterable<SqliteValue[]>) {
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
  work.isTurnOver();
  await writer.flush();
  options.signal.throwIfAborted();
  return { rows, bytesRead: writer.bytes(), longestStatementMs: work.spentMs(), statements: 1 };
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
