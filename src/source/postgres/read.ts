// The rows of one statement: a binary cursor read in small FETCHes, several in flight, so that no statement lasts long and the server
// never waits for the next one. The bytes go from the socket into the sink's memory; only messages that are not rows are looked at.

import { RivetError } from "../../errors.ts";
import { sleep } from "../../runtime.ts";
import type { ReadOptions, ReadReport, RowSink } from "../source.ts";
import type { Channel } from "./channel.ts";
import type { Session } from "./connect.ts";
import { connectionLost, type ServerError, translateServer } from "./error.ts";
import { parseColumnTypes, parseError, parseRowCount, TAG, toQueryMessage } from "./message.ts";
import { isWireOf } from "./wire.ts";

/** FETCHes in flight: enough for the server to work on while a block is encoded here. */
const DEPTH = 8;
/** The bytes one FETCH should bring, however wide the rows are: few milliseconds for the server. */
const FETCH_BYTES = 512 * 1024;
/** Rows that suddenly grow wide make a statement long, so even the narrowest come in small numbers. */
const FETCH_ROWS_MAX = 5000;
/** What the first FETCH asks for, when nothing is known of the rows, and how fast the next ones may grow. */
const FIRST_ROWS = 4;
const GROWTH = 8;
/** A FETCH that the server works on for longer is made smaller. */
const SLOW_MS = 40;
const ROOM_BYTES = 256 * 1024;

const COLUMN_GONE = "42703";

interface Statement {
  readonly kind: "declare" | "fetch" | "close";
  readonly rows: number;
  readonly sentAt: number;
}

interface Reading {
  readonly cursor: string;
  readonly inFlight: Statement[];
  sent: number;
  exhausted: boolean;
  closing: boolean;
  error: ServerError | null;
  refusal: RivetError | null;
  rows: number;
  bytes: number;
  longestMs: number;
  readyAt: number;
  /** Since the last finished FETCH: how long the server let us wait, and what it brought. */
  waitedMs: number;
  windowBytes: number;
  windowRows: number;
  rowBytes: number;
  /** Rows of the next FETCH. */
  fetchRows: number;
  /** Grows and shrinks with the server's speed, whatever the rows' width. */
  fetchRowsCap: number;
  owedMs: number;
}

/**
 * Reads `sql` to its end inside the transaction that is open on the session. A statement that the server refuses leaves the session
 * in order; every other failure closes it, after the server was asked to stop.
 */
export async function readCursor(
  session: Session,
  cursor: string,
  sql: string,
  into: RowSink,
  options: ReadOptions,
): Promise<ReadReport> {
  options.signal.throwIfAborted();
  return await session.lend(async (channel) => {
    const reading = newReading(cursor, options);
    let stopping: Promise<void> | null = null;
    const stop = () => stopping ??= session.cancel().finally(() => channel.close());
    options.signal.addEventListener("abort", stop, { once: true });
    try {
      await send(channel, reading, session.where, [[
        "declare",
        `DECLARE ${cursor} NO SCROLL BINARY CURSOR FOR ${sql}`,
        0,
      ]]);
      while (!isDone(reading)) {
        await fill(channel, reading, options, session.where);
        await receive(channel, reading, into, options, session.where);
      }
      // The server may have said that it was asked to stop before the abort is noticed here.
      options.signal.throwIfAborted();
    } catch (error) {
      if (isLost(error)) channel.close();
      else await stop();
      throw options.signal.aborted ? options.signal.reason : error;
    } finally {
      options.signal.removeEventListener("abort", stop);
    }
    if (reading.error !== null) throw translateRead(reading.error, session.where, options);
    return {
      rows: reading.rows,
      bytesRead: reading.bytes,
      longestStatementMs: reading.longestMs,
      statements: reading.sent,
    };
  });
}

function newReading(cursor: string, options: ReadOptions): Reading {
  return {
    cursor,
    inFlight: [],
    sent: 0,
    exhausted: false,
    closing: false,
    error: null,
    refusal: null,
    rows: 0,
    bytes: 0,
    longestMs: 0,
    readyAt: 0,
    waitedMs: 0,
    windowBytes: 0,
    windowRows: 0,
    rowBytes: 0,
    fetchRows: Math.min(FIRST_ROWS, options.batchRows),
    fetchRowsCap: FETCH_ROWS_MAX,
    owedMs: 0,
  };
}

function isLost(error: unknown): boolean {
  return error instanceof RivetError && error.code === "RIVET_SOURCE_CONNECTION_LOST";
}

function isDone(reading: Reading): boolean {
  return reading.inFlight.length === 0 && reading.sent > 0 && (reading.closing || reading.error !== null);
}

type Outgoing = [kind: Statement["kind"], sql: string, rows: number];

async function send(channel: Channel, reading: Reading, where: string, statements: readonly Outgoing[]): Promise<void> {
  const sentAt = performance.now();
  const messages = statements.map(([kind, sql, rows]) => {
    reading.inFlight.push({ kind, rows, sentAt });
    // The number keeps any two statements apart, also for a pooler that remembers texts.
    return toQueryMessage(`/* ${reading.cursor}.${++reading.sent} */ ${sql}`);
  });
  const bytes = new Uint8Array(messages.reduce((sum, message) => sum + message.length, 0));
  let at = 0;
  for (const message of messages) {
    bytes.set(message, at);
    at += message.length;
  }
  try {
    await channel.write(bytes);
  } catch (error) {
    throw connectionLost(where, error);
  }
}

/** Sends FETCHes until enough are in flight, and CLOSE once the rows have ended. Nothing follows a refusal. */
async function fill(channel: Channel, reading: Reading, options: ReadOptions, where: string): Promise<void> {
  if (reading.closing || reading.error !== null) return;
  if (reading.exhausted) {
    reading.closing = true;
    return await send(channel, reading, where, [["close", `CLOSE ${reading.cursor}`, 0]]);
  }
  // Before the width of the rows is known there is one FETCH; a throttled read has one at a time, so that the server rests.
  const depth = reading.rowBytes === 0 || options.throttleMs > 0 ? 1 : DEPTH;
  const open = reading.inFlight.reduce((count, statement) => count + (statement.kind === "fetch" ? 1 : 0), 0);
  if (open >= depth) return;
  if (reading.owedMs > 0) {
    await sleep(reading.owedMs, options.signal);
    reading.owedMs = 0;
  }
  const fetch = `FETCH ${reading.fetchRows} FROM ${reading.cursor}`;
  await send(channel, reading, where, Array.from({ length: depth - open }, () => ["fetch", fetch, reading.fetchRows]));
}

/** Takes the next bytes off the socket and looks at what they completed. */
async function receive(
  channel: Channel,
  reading: Reading,
  into: RowSink,
  options: ReadOptions,
  where: string,
): Promise<void> {
  const before = performance.now();
  let count: number | null;
  try {
    count = await channel.read(into.room(ROOM_BYTES));
  } catch (error) {
    throw connectionLost(where, error);
  }
  // A server that ends the connection says why before it does.
  if (count === null) {
    throw reading.error === null ? connectionLost(where, null) : translateServer(reading.error, where);
  }
  reading.waitedMs += performance.now() - before;
  reading.bytes += count;
  reading.windowBytes += count;
  const busy = into.wrote(count);
  if (busy !== undefined) await untilAborted(busy, options.signal);
  for (let message = into.control(); message !== null; message = into.control()) {
    takeControl(reading, message, options, where);
  }
  if (reading.refusal !== null) throw reading.refusal;
}

function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

function takeControl(reading: Reading, message: Uint8Array, options: ReadOptions, where: string): void {
  switch (message[0]) {
    case TAG.rowDescription:
      reading.refusal ??= checkWires(message, options.wires, where);
      break;
    case TAG.error:
      reading.error ??= parseError(message);
      break;
    case TAG.commandComplete:
      takeRowCount(reading, parseRowCount(message), options);
      break;
    case TAG.readyForQuery:
      takeReady(reading);
      break;
  }
}

function takeRowCount(reading: Reading, count: number | null, options: ReadOptions): void {
  const statement = reading.inFlight[0];
  if (statement?.kind !== "fetch" || count === null) return;
  reading.rows += count;
  reading.windowRows += count;
  if (count < statement.rows) reading.exhausted = true;
  else reading.owedMs += options.throttleMs * (count / options.batchRows);
  if (reading.windowRows > 0) adapt(reading, statement, options);
}

/** Sizes the next FETCH by the bytes of the rows seen last and by how long the server worked on them. */
function adapt(reading: Reading, statement: Statement, options: ReadOptions): void {
  const seen = reading.windowBytes / reading.windowRows;
  // Rows that grow wider count at once, rows that grow narrower bit by bit.
  reading.rowBytes = Math.max(seen, (reading.rowBytes + seen) / 2);
  if (reading.waitedMs > SLOW_MS) {
    reading.fetchRowsCap = Math.max(1, Math.floor((statement.rows * SLOW_MS) / (2 * reading.waitedMs)));
  } else {
    reading.fetchRowsCap = Math.min(FETCH_ROWS_MAX, Math.ceil(reading.fetchRowsCap * 1.25));
  }
  const fitting = Math.floor(Math.min(FETCH_BYTES, options.batchBytes) / reading.rowBytes);
  reading.fetchRows = Math.max(
    1,
    Math.min(fitting, reading.fetchRowsCap, statement.rows * GROWTH, options.batchRows),
  );
  reading.windowBytes = 0;
  reading.windowRows = 0;
  reading.waitedMs = 0;
}

function takeReady(reading: Reading): void {
  const statement = reading.inFlight.shift();
  if (statement === undefined) return;
  const now = performance.now();
  // A statement begins when it is sent or when the one before it ends, whichever is later.
  reading.longestMs = Math.max(reading.longestMs, now - Math.max(statement.sentAt, reading.readyAt));
  reading.readyAt = now;
}

/** The plan was made for columns of these types; another type of the same width would be read as wrong values. */
function checkWires(message: Uint8Array, wires: readonly string[] | undefined, where: string): RivetError | null {
  if (wires === undefined) return null;
  const types = parseColumnTypes(message);
  const index = wires.findIndex((wire, i) => types[i] === undefined || !isWireOf(wire, types[i]!));
  return index < 0
    ? null
    : columnsChanged(`Column ${index + 1} of the statement is no longer a ${wires[index]}`, where);
}

function columnsChanged(message: string, where: string, cause?: unknown): RivetError {
  return new RivetError("RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ", message, { where, cause });
}

function translateRead(error: ServerError, where: string, options: ReadOptions): RivetError {
  return error.code === COLUMN_GONE && options.wires !== undefined
    ? columnsChanged(`A column that was described is gone: ${error.message}`, where, error)
    : translateServer(error, where);
}
