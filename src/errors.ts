// The one error class and the one table that decides what an error means: exit code, retry, cure.
// A thrower names a code; it never chooses an exit code and nothing ever classifies an error by its text.

import { CODES, type ErrorCode } from "./codes.ts";
import { redact } from "./redact.ts";

export { CODES, type ErrorCode } from "./codes.ts";

/** What sort of trouble an error is. It decides the exit code. */
export type ErrorKind =
  | "usage" // the caller must change something: exit 1
  | "environment" // something outside rivet: exit 1, or 2 when transient
  | "busy" // another live process holds what is needed: exit 2
  | "integrity" // data is not what it should be: exit 3
  | "drift" // the schema changed under `on_schema_drift: fail`: exit 4
  | "refusal" // a protective stop, a person decides: exit 5
  | "internal"; // a broken invariant: exit 6

/** How often and on which connection a failed operation may be tried again. */
export type RetryClass =
  | "never"
  | "same_connection" // lock wait, deadlock, serialization failure
  | "reconnect" // connection lost or refused by a busy server
  | "destination"; // throttled or reset by an object store

/** One row of the code table. `cure` is the line that tells the reader what to do. */
export interface CodeInfo {
  readonly kind: ErrorKind;
  readonly meaning: string;
  readonly cure: string;
}

/** The JSON form of an error, the same in every command. */
export interface ErrorReport {
  code: string;
  kind: ErrorKind;
  exit_code: number;
  retryable: boolean;
  error: string;
  where: string | null;
  cure: string;
}

export interface RivetErrorOptions {
  /** The thing at fault: `config.yaml:12:5`, `export 'orders'`, `column 'body'`, `s3://bucket/key`. */
  where?: string;
  /** Replaces the table's cure when the thrower knows better. */
  cure?: string;
  /** Default `never`. Anything else also makes an environment error transient (exit 2). */
  retry?: RetryClass;
  /** Extra wait before the next try, in milliseconds, on top of the backoff. */
  retryDelayMs?: number;
  cause?: unknown;
}

/** The only error class. `message` says what failed; the code says what it means. No secret that was read stays in it. */
export class RivetError extends Error {
  override readonly name = "RivetError";
  readonly code: ErrorCode;
  readonly where: string | null;
  readonly cure: string;
  readonly retry: RetryClass;
  readonly retryDelayMs: number;

  constructor(code: ErrorCode, message: string, options: RivetErrorOptions = {}) {
    super(redact(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.where = options.where === undefined ? null : redact(options.where);
    this.cure = options.cure ?? CODES[code].cure;
    this.retry = options.retry ?? "never";
    this.retryDelayMs = options.retryDelayMs ?? 0;
  }

  get kind(): ErrorKind {
    return CODES[this.code].kind;
  }
}

/** The process exit code for an error: 1 usage, 2 transient or busy, 3 integrity, 4 drift, 5 refusal, 6 internal. */
export function toExitCode(error: unknown): number {
  if (!(error instanceof RivetError)) return 6;
  switch (error.kind) {
    case "usage":
      return 1;
    case "environment":
      return error.retry === "never" ? 1 : 2;
    case "busy":
      return 2;
    case "integrity":
      return 3;
    case "drift":
      return 4;
    case "refusal":
      return 5;
    case "internal":
      return 6;
  }
}

/** The exit codes that errors of a kind can have: an environment error has another one when it may pass by itself. */
export function exitCodesOf(kind: ErrorKind): number[] {
  const code = (Object.keys(CODES) as ErrorCode[]).find((name) => CODES[name].kind === kind);
  if (code === undefined) return [];
  const once = toExitCode(new RivetError(code, ""));
  const again = toExitCode(new RivetError(code, "", { retry: "reconnect" }));
  return once === again ? [once] : [once, again];
}

const EXIT_RANK = [3, 6, 5, 4, 2, 1, 0];

/** The exit code that stands for several: 3 > 6 > 5 > 4 > 2 > 1 > 0. */
export function worstExitCode(codes: Iterable<number>): number {
  let worst = 0;
  for (const code of codes) if (EXIT_RANK.indexOf(code) < EXIT_RANK.indexOf(worst)) worst = code;
  return worst;
}

/** Any thrown value as a RivetError; what is not one already is an internal error, with its cause kept. */
export function toRivetError(error: unknown): RivetError {
  if (error instanceof RivetError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new RivetError("RIVET_INTERNAL_RUN_INVARIANT", message, { cause: error });
}

/** The same error with the thing at fault, where the thrower could not know it. */
export function withWhere(error: RivetError, where: string): RivetError {
  if (error.where !== null) return error;
  const { message, code, cure, retry, retryDelayMs, cause } = error;
  return new RivetError(code, message, { where, cure, retry, retryDelayMs, cause });
}

export function toErrorReport(error: unknown): ErrorReport {
  const e = toRivetError(error);
  return {
    code: e.code,
    kind: e.kind,
    exit_code: toExitCode(e),
    retryable: e.retry !== "never" || e.kind === "busy",
    error: e.message,
    where: e.where,
    cure: e.cure,
  };
}

/** A plain object that survives `postMessage`; `fromWireError` makes the error again on the other side. */
export interface WireError {
  code: ErrorCode;
  message: string;
  where: string | null;
  cure: string;
  retry: RetryClass;
  retryDelayMs: number;
}

export function toWireError(error: unknown): WireError {
  const { code, message, where, cure, retry, retryDelayMs } = toRivetError(error);
  return { code, message, where, cure, retry, retryDelayMs };
}

export function fromWireError(wire: WireError): RivetError {
  const { code, message, where, ...options } = wire;
  return new RivetError(code, message, where === null ? options : { where, ...options });
}

/** For our own mistakes only: never caught, never used for bad input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new RivetError("RIVET_INTERNAL_RUN_INVARIANT", message);
}
