// What went wrong at a server, as a RivetError: by SQLSTATE and by the code of the system, never by text.

import { type ErrorCode, RivetError, type RivetErrorOptions } from "../../errors.ts";

/** An ErrorResponse, or what npm:pg makes of one. */
export interface ServerError {
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly severity?: string | undefined;
}

const BUSY_DELAY_MS = 15_000;
const SAME_CONNECTION_DELAY_MS = 1000;
const RESOURCES_DELAY_MS = 5000;

/** Codes of the system that say a network was at fault and may be well a moment later. */
const TRANSIENT = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "EHOSTDOWN",
  "EAI_AGAIN",
]);

function systemCode(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : null;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function timedOut(where: string, cause: unknown): RivetError {
  return new RivetError("RIVET_SOURCE_CONNECT_FAILED", "The server did not answer in time", {
    where,
    retry: "reconnect",
    cause,
  });
}

/** A TCP connection that did not come about. */
export function translateDial(error: unknown, where: string, signal: AbortSignal): RivetError {
  if (signal.aborted) return timedOut(where, error);
  const code = systemCode(error);
  if (code === "EMFILE" || code === "ENFILE") {
    return new RivetError("RIVET_SOURCE_RUNTIME_UNAVAILABLE", "No file descriptor is left for a connection", {
      where,
      cause: error,
    });
  }
  const transient = code !== null && TRANSIENT.has(code);
  return new RivetError("RIVET_SOURCE_CONNECT_FAILED", `Cannot connect: ${textOf(error)}`, {
    where,
    cause: error,
    ...(transient ? { retry: "reconnect" as const } : {}),
  });
}

/** A TLS handshake that failed. A certificate that is refused stays refused. `hasCa`: an authority was given. */
export function translateTls(error: unknown, where: string, signal: AbortSignal, hasCa: boolean): RivetError {
  if (signal.aborted) return timedOut(where, error);
  const code = systemCode(error);
  const lost = (code !== null && TRANSIENT.has(code)) || error instanceof Deno.errors.UnexpectedEof;
  return new RivetError("RIVET_SOURCE_CONNECT_FAILED", `TLS with the server failed: ${textOf(error)}`, {
    where,
    cause: error,
    ...(lost ? { retry: "reconnect" as const } : {
      cure: hasCa
        ? "Compare `source.tls.ca_file` and the host name with the server's certificate; `mode: verify-ca` leaves out the name"
        : "Name the certificate authority of a private certificate in `source.tls.ca_file`, and connect by the host name that it carries",
    }),
  });
}

export function connectionLost(where: string, cause: unknown): RivetError {
  return new RivetError("RIVET_SOURCE_CONNECTION_LOST", "The connection to the server broke", {
    where,
    retry: "reconnect",
    ...(cause === null ? {} : { cause }),
  });
}

/** A SQLSTATE is five signs and no class of it begins with E, where the codes of the system do. */
export function isServerError(error: unknown): error is ServerError {
  const code = systemCode(error);
  return code !== null && /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code);
}

/** A refusal while logging in. */
export function translateLogin(error: ServerError, where: string): RivetError {
  const busy = error.code === "57P03" || error.code.startsWith("53");
  return new RivetError("RIVET_SOURCE_CONNECT_FAILED", `The server refused the login: ${describe(error)}`, {
    where,
    cause: error,
    ...(busy ? { retry: "reconnect" as const, retryDelayMs: BUSY_DELAY_MS } : {}),
    ...(error.code.startsWith("28") ? { cure: "Check user, password and database, and the server's pg_hba.conf" } : {}),
    ...(error.code === "28000"
      ? { cure: "Check the server's pg_hba.conf: its rules look at user, database and TLS" }
      : {}),
    ...(error.code === "3D000" ? { cure: "Check `source.database`" } : {}),
  });
}

const CONFLICT_CURE =
  "Run the same command again; on a replica, raise max_standby_streaming_delay or switch hot_standby_feedback on";

interface Meaning extends Pick<RivetErrorOptions, "retry" | "retryDelayMs" | "cure"> {
  readonly code: ErrorCode;
}

/** What the server said about a statement. */
export function translateServer(error: ServerError, where: string): RivetError {
  const { code, ...options } = meaningOf(error);
  return new RivetError(code, describe(error), { where, cause: error, ...options });
}

function describe(error: ServerError): string {
  const text = error.message.replace(/\.$/, "");
  const detail = error.detail === undefined ? "" : `: ${error.detail.replace(/\.$/, "")}`;
  return `${text}${detail} (SQLSTATE ${error.code})`;
}

function meaningOf(error: ServerError): Meaning {
  const { code } = error;
  const fatal = error.severity === "FATAL" || error.severity === "PANIC";
  switch (code) {
    case "42P01":
      return { code: "RIVET_SOURCE_TABLE_NOT_FOUND" };
    case "57014":
      return { code: "RIVET_SOURCE_STATEMENT_TIMEOUT" };
    case "55P03":
      return {
        code: "RIVET_SOURCE_QUERY_FAILED",
        retry: "same_connection",
        cure: "Another session holds a lock on the table: try again later, or raise `tuning.lock_timeout_s`",
      };
    // A serialization failure, and on a replica a conflict with what it replays: the next picture may go through.
    case "40001":
    case "40P01":
      return fatal ? { code: "RIVET_SOURCE_CONNECTION_LOST", retry: "reconnect", cure: CONFLICT_CURE } : {
        code: "RIVET_SOURCE_QUERY_FAILED",
        retry: "same_connection",
        retryDelayMs: SAME_CONNECTION_DELAY_MS,
        cure: CONFLICT_CURE,
      };
    // Shut down, crashed, starting; and ended for having waited too long inside a transaction.
    case "57P01":
    case "57P02":
    case "57P03":
      return { code: "RIVET_SOURCE_CONNECTION_LOST", retry: "reconnect", retryDelayMs: BUSY_DELAY_MS };
    case "25P03":
    case "57P05":
      return { code: "RIVET_SOURCE_CONNECTION_LOST", retry: "reconnect" };
    // transaction_timeout
    case "25P04":
      return {
        code: "RIVET_SOURCE_STATEMENT_TIMEOUT",
        cure:
          "The server's transaction_timeout is shorter than the export: raise it for this role, or export in chunks",
      };
  }
  if (code.startsWith("08")) return { code: "RIVET_SOURCE_CONNECTION_LOST", retry: "reconnect" };
  if (code.startsWith("53")) {
    return fatal
      ? { code: "RIVET_SOURCE_CONNECTION_LOST", retry: "reconnect", retryDelayMs: BUSY_DELAY_MS }
      : { code: "RIVET_SOURCE_QUERY_FAILED", retry: "same_connection", retryDelayMs: RESOURCES_DELAY_MS };
  }
  return { code: "RIVET_SOURCE_QUERY_FAILED" };
}
