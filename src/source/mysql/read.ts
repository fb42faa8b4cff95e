// The row phase: one statement whose packets go from the socket straight into the sink's memory. No row becomes a JavaScript value.

import { RivetError } from "../../errors.ts";
import type { ReadOptions, ReadReport, RowSink } from "../source.ts";
import type { Channel } from "./channel.ts";
import type { Session } from "./connect.ts";
import { fromServerError, toSourceError } from "./errors.ts";
import { buildQueryPacket, followResult, type Step } from "./packet.ts";

/** One read of the socket; larger blocks cost memory and win nothing measurable. */
const READ_BYTES = 262_144;

/** Warnings that say the server could not send a value as it is stored. */
const LOSSY_WARNINGS = new Set([
  "1300", // invalid character string
  "1301", // result of a function larger than max_allowed_packet, NULL sent instead
  "1366", // incorrect string value
  "1977", // MariaDB: cannot convert character
  "3854", // MySQL: cannot convert string
]);

export interface ReadContext {
  readonly session: Session;
  /** Milliseconds on a clock that never goes back. */
  readonly monotonic: () => number;
  /** Ends the statement at the server from outside; never throws. */
  readonly kill: (sql: string) => Promise<void>;
  /** Set when the server has no timeout of its own for statements. */
  readonly statementTimeoutMs: number | null;
}

/**
 * Runs `sql` and pours its packets into the sink. A statement that the server refused leaves the connection usable; after an abort, a
 * deadline or a refusal by the sink the statement is killed and the connection closed.
 */
export async function readRows(
  context: ReadContext,
  sql: string,
  into: RowSink,
  options: ReadOptions,
): Promise<ReadReport> {
  const { session } = context;
  options.signal.throwIfAborted();
  const started = context.monotonic();
  const { outcome, bytesRead } = await withDeadline(
    context,
    sql,
    options.signal,
    (stop) => pour(session, sql, into, stop),
  );
  const longestStatementMs = context.monotonic() - started;
  if (outcome.kind === "error") throw fromServerError(outcome.error, session.where);
  if (outcome.warnings > 0) await refuseLossyWarnings(session);
  // The server's own count of what it sent: the protocol itself does not tell.
  const [count] = (await session.ask("SELECT FOUND_ROWS()")).rows[0] ?? [];
  return { rows: Number(count), bytesRead, longestStatementMs, statements: 1 };
}

/** Runs the work under the caller's signal and, where the server has none, under our own statement timeout. */
async function withDeadline<T>(
  context: ReadContext,
  sql: string,
  signal: AbortSignal,
  work: (stop: AbortSignal) => Promise<T>,
): Promise<T> {
  const { session, statementTimeoutMs } = context;
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = statementTimeoutMs === null
    ? undefined
    : setTimeout(() => stop.abort(statementTimeout(session, statementTimeoutMs)), statementTimeoutMs);
  const killAndClose = () => context.kill(sql).then(() => session.stream.close());
  let closing: Promise<void> | null = null;
  stop.signal.addEventListener("abort", () => closing = killAndClose(), { once: true });
  try {
    return await work(stop.signal);
  } catch (error) {
    // Whatever failed in the middle of a result, the server may still be sending it, and nobody will read it.
    closing ??= killAndClose();
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    await closing;
  }
}

function statementTimeout(session: Session, timeoutMs: number): RivetError {
  return new RivetError("RIVET_SOURCE_STATEMENT_TIMEOUT", `The statement ran longer than ${timeoutMs / 1000} s`, {
    where: session.where,
    cure: "Export in smaller slices (`mode: chunked`), or raise `statement_timeout_s`",
  });
}

interface Poured {
  readonly outcome: Extract<Step, { kind: "end" | "error" }>;
  readonly bytesRead: number;
}

async function pour(session: Session, sql: string, into: RowSink, stop: AbortSignal): Promise<Poured> {
  const channel = session.stream.borrow();
  const packet = buildQueryPacket(sql);
  await channel.write(packet).catch((error) => {
    throw toSourceError(error, session.where);
  });
  const follow = followResult();
  let bytesRead = 0;
  for (;;) {
    const length = await readBlock(channel, into, session);
    stop.throwIfAborted();
    bytesRead += length;
    // Nothing to wait for is the usual answer, and awaiting it would cost a turn of the event loop a block.
    const wait = into.wrote(length);
    if (wait !== undefined) await wait;
    stop.throwIfAborted();
    const outcome = drain(into, follow);
    if (outcome === null) continue;
    if (outcome.kind === "unexpected") throw notOneResult(session, outcome.what);
    session.stream.giveBack();
    return { outcome, bytesRead };
  }
}

async function readBlock(channel: Channel, into: RowSink, session: Session): Promise<number> {
  const room = into.room(READ_BYTES);
  let length: number | null;
  try {
    length = await channel.read(room);
  } catch (error) {
    throw toSourceError(error, session.where);
  }
  if (length !== null) return length;
  throw new RivetError("RIVET_SOURCE_CONNECTION_LOST", "The server closed the connection in the middle of a result", {
    where: session.where,
    retry: "reconnect",
  });
}

function drain(into: RowSink, follow: (packet: Uint8Array) => Step): Exclude<Step, { kind: "more" }> | null {
  for (;;) {
    const packet = into.control();
    if (packet === null) return null;
    const step = follow(packet);
    if (step.kind !== "more") return step;
  }
}

function notOneResult(session: Session, what: string): RivetError {
  return new RivetError("RIVET_SOURCE_QUERY_FAILED", `The server answered with ${what} instead of one result set`, {
    where: session.where,
    cure: "Give a single SELECT as `query:`",
  });
}

async function refuseLossyWarnings(session: Session): Promise<void> {
  const { rows } = await session.ask("SHOW WARNINGS");
  const lossy = rows.find(([, code]) => LOSSY_WARNINGS.has(code ?? ""));
  if (lossy === undefined) return;
  throw new RivetError("RIVET_SOURCE_VALUE_UNREPRESENTABLE", lossy[2] ?? "A value could not be sent as it is stored", {
    where: session.where,
    cure: "Correct the text in the source, or export the column as `binary` under `columns:`",
  });
}
