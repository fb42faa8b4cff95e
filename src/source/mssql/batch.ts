// One statement over one connection: sent as a batch, its rows split off before the driver parses them, ended by an attention
// when time, the caller or a bad value asks for it. The connection stays usable after each of these.

import { Buffer } from "node:buffer";
import { type Connection, Request } from "tedious";
import { invariant, RivetError } from "../../errors.ts";
import type { ValueForm } from "./columns.ts";
import { type ServerMessage, toRequestError } from "./errors.ts";
import { ResponseReader } from "./response.ts";

export interface BatchOptions {
  readonly form: ValueForm;
  /** Zero means no limit. */
  readonly timeoutMs: number;
  readonly maxValueBytes: number;
  readonly signal: AbortSignal | null;
  /** Takes the fields that `viewFields` shows and drops them; a promise holds the server back. */
  readonly deliver: (reader: ResponseReader) => Promise<void> | void;
}

export interface BatchReport {
  /** As the server counts them. */
  readonly rows: number;
  /** Result sets. */
  readonly results: number;
  readonly tookMs: number;
}

/** The part of the driver's connection that takes a response apart. It is not in the driver's types. */
interface ResponseTaker {
  createTokenStreamParser(message: AsyncIterable<Uint8Array>, handler: unknown): unknown;
}

/** Runs one statement. Never two at a time on one connection. */
export async function runBatch(connection: Connection, sql: string, options: BatchOptions): Promise<BatchReport> {
  options.signal?.throwIfAborted();
  const reader = new ResponseReader(options.form, options.maxValueBytes);
  const stopper = new Stopper(connection, reader);
  const said: ServerMessage[] = [];
  const onMessage = (message: ServerMessage) => void said.push(message);
  const onAbort = () => stopper.stop(options.signal!.reason);
  const startedAt = performance.now();
  const timer = options.timeoutMs > 0
    ? setTimeout(() => stopper.stop(toTimeout(options.timeoutMs)), options.timeoutMs)
    : undefined;
  const release = takeResponse(connection, (message) => splitRows(message, reader, options, stopper));
  connection.on("errorMessage", onMessage);
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const rows = await send(connection, sql);
    if (stopper.isStopped) throw stopper.reason;
    return { rows, results: reader.results, tookMs: performance.now() - startedAt };
  } catch (error) {
    if (stopper.isStopped) throw stopper.reason;
    throw error instanceof RivetError ? error : toRequestError(error, said, options.form === "wire");
  } finally {
    clearTimeout(timer);
    release();
    connection.off("errorMessage", onMessage);
    options.signal?.removeEventListener("abort", onAbort);
  }
}

/** Ends a statement early, once, and remembers why. */
class Stopper {
  isStopped = false;
  reason: unknown = null;
  #wake: (() => void) | null = null;
  readonly #connection: Connection;
  readonly #reader: ResponseReader;

  constructor(connection: Connection, reader: ResponseReader) {
    this.#connection = connection;
    this.#reader = reader;
  }

  stop(reason: unknown): void {
    if (this.isStopped) return;
    this.isStopped = true;
    this.reason = reason;
    this.#reader.abandon();
    this.#wake?.();
    this.#connection.cancel();
  }

  /** Waits for the promise, or no longer than until `stop`. */
  async wait(promise: Promise<void>): Promise<void> {
    if (this.isStopped) return;
    await new Promise<void>((resolve, reject) => {
      this.#wake = resolve;
      promise.then(resolve, reject);
    });
    this.#wake = null;
  }
}

function send(connection: Connection, sql: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = new Request(sql, (error, rowCount) => error ? reject(error) : resolve(rowCount ?? 0));
    connection.execSqlBatch(request);
  });
}

function toTimeout(timeoutMs: number): RivetError {
  return new RivetError("RIVET_SOURCE_STATEMENT_TIMEOUT", `A statement ran longer than ${timeoutMs / 1000} s`, {
    cure: "Read in smaller chunks (`mode: chunked`), or raise `statement_timeout_s`",
  });
}

/** The next response goes through `split` before the driver sees it. Returns what undoes it. */
function takeResponse(
  connection: Connection,
  split: (message: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): () => void {
  const taker = connection as unknown as ResponseTaker;
  const original = taker.createTokenStreamParser;
  invariant(
    typeof original === "function",
    "The driver has no createTokenStreamParser: this is not the pinned version",
  );
  const undo = () => void (taker.createTokenStreamParser = original);
  taker.createTokenStreamParser = (message, handler) => {
    // The answer to an attention comes as a second response, which is the driver's own.
    undo();
    return original.call(connection, split(message), handler);
  };
  return undo;
}

/** The response without its rows, which go to `deliver`. */
async function* splitRows(
  message: AsyncIterable<Uint8Array>,
  reader: ResponseReader,
  options: BatchOptions,
  stopper: Stopper,
): AsyncGenerator<Buffer> {
  for await (const chunk of message) {
    // After a stop the rest of the response is read and thrown away, so that the next one can be found.
    if (stopper.isStopped) continue;
    try {
      reader.feed(chunk);
      const promise = options.deliver(reader);
      if (promise !== undefined) await stopper.wait(promise);
    } catch (error) {
      stopper.stop(error);
      continue;
    }
    const passed = reader.takePassed();
    if (passed !== null) yield Buffer.from(passed.buffer, passed.byteOffset, passed.length);
  }
  if (!stopper.isStopped) reader.end();
}
