// The rows of one statement: a binary cursor read in small FETCHes, several in flight, so that no statement lasts long and the server
// never waits for the next one. The bytes go from the socket into the sink's memory; only messages that are not rows are looked at.

import { RivetError } from "../../errors.ts";
import { sleep } from "../../runtime.ts";
import type { ReadOptions, ReadReport, RowSink } from "../source.ts";
import type { Channel } from "./channel.ts";
import type { Session } from "./connect.ts";
import { connectionLost, type ServerError, translateServer } from "./error.ts";
import { findMessage, parseColumnTypes, parseError, parseRowCount, TAG, toQueryMessage } from "./message.ts";
import { firstPace, nextPace, type Pace } from "./pace.ts";
import { isWireOf } from "./wire.ts";

/** FETCHes in flight: enough for the server to work on while a block is encoded here. */
const DEPTH = 8;
const ROOM_BYTES = 256 * 1024;
const HEAD_BYTES = 16 * 1024;

const COLUMN_GONE = "42703";

interface Statement {
  readonly kind: "declare" | "fetch" | "close";
  readonly rows: number;
}

interface Reading {
  readonly channel: Channel;
  readonly cursor: string;
  readonly into: RowSink;
  readonly options: ReadOptions;
  readonly where: string;
  readonly inFlight: Statement[];
  pace: Pace;
  sent: number;
  /** A FETCH brought fewer rows than it asked for. */
  exhausted: boolean;
  closing: boolean;
  error: ServerError | null;
  rows: number;
  bytes: number;
  longestMs: number;
  /** How long the server let us wait for the statement it works on. */
  waitedMs: number;
  /** What came since the pace was last set: the rows of finished FETCHes, all bytes, and the longest wait for one statement. */
  windowRows: number;
  windowBytes: number;
  windowMs: number;
  askedRows: number;
  /** Throttle that has not been waited yet. */
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
    const reading = newReading(channel, cursor, into, options, session.where);
    let stopping: Promise<void> | null = null;
    const stop = () => stopping ??= session.cancel().finally(() => channel.close());
    options.signal.addEventListener("abort", stop, { once: true });
    try {
      await readRows(reading, sql);
      // The server may have said that it was asked to stop before the abort is noticed here.
      options.signal.throwIfAborted();
    } catch (error) {
      if (isLost(error)) channel.close();
      else await stop();
      throw options.signal.aborted ? options.signal.reason : error;
    } finally {
      options.signal.removeEventListener("abort", stop);
    }
    if (reading.error !== null) throw translateRead(reading.error, reading);
    const { rows, bytes, longestMs, sent } = reading;
    return { rows, bytesRead: bytes, longestStatementMs: longestMs, statements: sent };
  });
}

function newReading(
  channel: Channel,
  cursor: string,
  into: RowSink,
  options: ReadOptions,
  where: string,
): Reading {
  return {
    channel,
    cursor,
    into,
    options,
    where,
    inFlight: [],
    pace: firstPace(options),
    sent: 0,
    exhausted: false,
    closing: false,
    error: null,
    rows: 0,
    bytes: 0,
    longestMs: 0,
    waitedMs: 0,
    windowRows: 0,
    windowBytes: 0,
    windowMs: 0,
    askedRows: 0,
    owedMs: 0,
  };
}

function isLost(error: unknown): boolean {
  return error instanceof RivetError && error.code === "RIVET_SOURCE_CONNECTION_LOST";
}

async function readRows(reading: Reading, sql: string): Promise<void> {
  const declare: Outgoing = ["declare", `DECLARE ${reading.cursor} NO SCROLL BINARY CURSOR FOR ${sql}`, 0];
  await send(reading, [declare, fetch(reading)]);
  await takeHead(reading);
  for (;;) {
    await fill(reading);
    if (reading.inFlight.length === 0) return;
    const count = await readBytes(reading, reading.into.room(ROOM_BYTES));
    await takeBlock(reading, count);
  }
}

type Outgoing = [kind: Statement["kind"], sql: string, rows: number];

function fetch(reading: Reading): Outgoing {
  return ["fetch", `FETCH ${reading.pace.rows} FROM ${reading.cursor}`, reading.pace.rows];
}

async function send(reading: Reading, statements: readonly Outgoing[]): Promise<void> {
  const messages = statements.map(([kind, sql, rows]) => {
    reading.inFlight.push({ kind, rows });
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
    await reading.channel.write(bytes);
  } catch (error) {
    throw connectionLost(reading.where, error);
  }
}

/** Sends FETCHes until enough are in flight, and CLOSE once the rows have ended. Nothing follows a refusal. */
async function fill(reading: Reading): Promise<void> {
  if (reading.closing || reading.error !== null) return;
  if (reading.exhausted) {
    reading.closing = true;
    return await send(reading, [["close", `CLOSE ${reading.cursor}`, 0]]);
  }
  const { throttleMs, signal } = reading.options;
  // Before the width of the rows is known there is one FETCH; a throttled read has one at a time, so that the server rests.
  const depth = reading.pace.rowBytes === 0 || throttleMs > 0 ? 1 : DEPTH;
  // Half of them at once: each message sent is a system call here and a wake-up there.
  if (reading.inFlight.length > depth / 2) return;
  if (reading.owedMs > 0) {
    await sleep(reading.owedMs, signal);
    reading.owedMs = 0;
  }
  await send(reading, Array.from({ length: depth - reading.inFlight.length }, () => fetch(reading)));
}

/** Reads what is there, and counts how long that took: the server was at work. */
async function readBytes(reading: Reading, into: Uint8Array): Promise<number> {
  const before = performance.now();
  let count: number | null;
  try {
    count = await reading.channel.read(into);
  } catch (error) {
    throw connectionLost(reading.where, error);
  }
  if (count === null) {
    // A server that ends the connection says why before it does.
    throw reading.error === null ? connectionLost(reading.where, null) : translateServer(reading.error, reading.where);
  }
  reading.waitedMs += performance.now() - before;
  reading.bytes += count;
  reading.windowBytes += count;
  return count;
}

/** The first bytes are looked at before the sink decodes them: rows of other types than described must not reach it. */
async function takeHead(reading: Reading): Promise<void> {
  let head = new Uint8Array(0);
  let found: Uint8Array | null = null;
  while (found === null) {
    const block = new Uint8Array(head.length + HEAD_BYTES);
    block.set(head);
    const count = await readBytes(reading, block.subarray(head.length));
    head = block.subarray(0, head.length + count);
    found = findMessage(head, [TAG.rowDescription, TAG.error]);
  }
  if (found[0] === TAG.rowDescription) checkWires(found, reading.options.wires, reading.where);
  reading.into.room(head.length).set(head);
  await takeBlock(reading, head.length);
}

async function takeBlock(reading: Reading, count: number): Promise<void> {
  const busy = reading.into.wrote(count);
  if (busy !== undefined) await untilAborted(busy, reading.options.signal);
  for (let message = reading.into.control(); message !== null; message = reading.into.control()) {
    takeControl(reading, message);
  }
  if (reading.windowRows === 0) return;
  const { askedRows, windowRows: rows, windowBytes: bytes, windowMs: waitedMs } = reading;
  reading.pace = nextPace(reading.pace, { askedRows, rows, bytes, waitedMs }, reading.options);
  reading.windowRows = 0;
  reading.windowBytes = 0;
  reading.windowMs = 0;
}

function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

function takeControl(reading: Reading, message: Uint8Array): void {
  switch (message[0]) {
    case TAG.error:
      reading.error ??= parseError(message);
      break;
    case TAG.commandComplete:
      takeRowCount(reading, parseRowCount(message));
      break;
    case TAG.readyForQuery:
      // The server works ahead of us, so what a statement took shows in how long we waited for it, not in when its end was seen.
      reading.longestMs = Math.max(reading.longestMs, reading.waitedMs);
      reading.windowMs = Math.max(reading.windowMs, reading.waitedMs);
      reading.waitedMs = 0;
      reading.inFlight.shift();
      break;
  }
}

function takeRowCount(reading: Reading, rows: number | null): void {
  const statement = reading.inFlight[0];
  if (statement?.kind !== "fetch" || rows === null) return;
  const { throttleMs, batchRows } = reading.options;
  reading.rows += rows;
  reading.windowRows += rows;
  reading.askedRows = statement.rows;
  if (rows < statement.rows) reading.exhausted = true;
  else reading.owedMs += throttleMs * (rows / batchRows);
}

/** The plan was made for columns of these types; another type of the same width would be read as wrong values. */
function checkWires(message: Uint8Array, wires: readonly string[] | undefined, where: string): void {
  if (wires === undefined) return;
  const types = parseColumnTypes(message);
  const index = wires.findIndex((wire, i) => types[i] === undefined || !isWireOf(wire, types[i]!));
  if (index < 0) return;
  throw columnsChanged(`Column ${index + 1} of the statement is not the ${wires[index]} that was described`, where);
}

function columnsChanged(message: string, where: string, cause?: unknown): RivetError {
  return new RivetError("RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ", message, { where, cause });
}

function translateRead(error: ServerError, { where, options }: Reading): RivetError {
  return error.code === COLUMN_GONE && options.wires !== undefined
    ? columnsChanged(`A column that was described is gone: ${error.message}`, where, error)
    : translateServer(error, where);
}
