// What MySQL, MariaDB, their proxies and the network report, translated by number or system code into RivetError. Never by text.

import type { ErrorCode } from "../../codes.ts";
import { type RetryClass, RivetError, type RivetErrorOptions } from "../../errors.ts";

interface Meaning {
  readonly code: ErrorCode;
  readonly retry?: RetryClass;
  readonly retryDelayMs?: number;
  readonly cure?: string;
}

const refusedLogin: Meaning = {
  code: "RIVET_SOURCE_CONNECT_FAILED",
  cure: "Check user, password, database and the host the account may come from",
};
const busy: Meaning = { code: "RIVET_SOURCE_CONNECT_FAILED", retry: "reconnect", retryDelayMs: 15_000 };
const lost: Meaning = { code: "RIVET_SOURCE_CONNECTION_LOST", retry: "reconnect" };
const conflict: Meaning = { code: "RIVET_SOURCE_QUERY_FAILED", retry: "same_connection", retryDelayMs: 1_000 };
const noRight: Meaning = {
  code: "RIVET_SOURCE_QUERY_FAILED",
  cure: "Grant the account SELECT on what the export reads",
};
const timedOut: Meaning = {
  code: "RIVET_SOURCE_STATEMENT_TIMEOUT",
  cure: "Export in smaller slices (`mode: chunked`), or raise `statement_timeout_s`",
};
const noTable: Meaning = { code: "RIVET_SOURCE_TABLE_NOT_FOUND", cure: "Check the table's name and database" };
const changed: Meaning = {
  code: "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ",
  cure: "The table was altered during the run; run the export again",
};

/** Server error numbers. A number that is not here is a refused statement, and is not retried. */
const BY_NUMBER: Readonly<Record<number, Meaning>> = {
  1040: busy, // too many connections
  1203: busy, // the account has too many connections
  1053: busy, // server shutdown in progress
  1047: busy, // Galera node not ready
  1077: busy, // normal shutdown
  1079: busy, // shutdown complete
  3168: busy, // MySQL: server is not available
  9001: busy, // ProxySQL: no backend in time
  1042: refusedLogin, // bad host
  1044: refusedLogin, // no access to the database
  1045: refusedLogin, // wrong user or password
  1049: refusedLogin, // unknown database
  1129: refusedLogin, // host blocked
  1130: refusedLogin, // host not allowed
  1226: refusedLogin, // account's resource limit
  1251: refusedLogin, // authentication protocol
  1275: refusedLogin, // secure_auth
  1524: refusedLogin, // authentication plugin not loaded
  1698: refusedLogin, // access denied without a password
  1820: refusedLogin, // password must be changed
  1862: refusedLogin, // password expired
  3118: refusedLogin, // account locked
  3159: { code: "RIVET_SOURCE_CONNECT_FAILED", cure: "The server demands TLS: set `tls.mode`" },
  4151: refusedLogin, // MariaDB: account locked
  1158: lost, // network read error
  1159: lost, // network read timeout
  1160: lost, // network write error
  1161: lost, // network write timeout
  1927: lost, // MariaDB: connection killed
  3169: lost, // MySQL: session was killed
  4031: lost, // MySQL: disconnected because of inactivity
  1020: conflict, // MariaDB: record changed since the snapshot
  1205: { code: "RIVET_SOURCE_QUERY_FAILED", retry: "same_connection" }, // lock wait timeout
  1213: conflict, // deadlock
  1142: noRight,
  1143: noRight,
  1227: noRight,
  1370: noRight,
  1969: timedOut, // MariaDB: max_statement_time
  3024: timedOut, // MySQL: max_execution_time
  1051: noTable,
  1146: noTable,
  1932: noTable, // exists in the catalog but not in the engine
  1412: changed, // table definition has changed since the snapshot
};

/** System and driver codes. */
const BY_CODE: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: {
    code: "RIVET_SOURCE_CONNECT_FAILED",
    retry: "reconnect",
    cure: "Check host and port, and that the server runs",
  },
  ENOTFOUND: { code: "RIVET_SOURCE_CONNECT_FAILED", cure: "Check the host name" },
  EAI_AGAIN: { code: "RIVET_SOURCE_CONNECT_FAILED", retry: "reconnect", cure: "Check the host name and the resolver" },
  ETIMEDOUT: { code: "RIVET_SOURCE_CONNECT_FAILED", retry: "reconnect", cure: "Check host, port and firewall" },
  EHOSTUNREACH: { code: "RIVET_SOURCE_CONNECT_FAILED", retry: "reconnect", cure: "Check host and network" },
  ENETUNREACH: { code: "RIVET_SOURCE_CONNECT_FAILED", retry: "reconnect", cure: "Check host and network" },
  EMFILE: { code: "RIVET_SOURCE_RUNTIME_UNAVAILABLE", cure: "Raise the limit of open files" },
  ECONNRESET: lost,
  ECONNABORTED: lost,
  EPIPE: lost,
  PROTOCOL_CONNECTION_LOST: lost,
  HANDSHAKE_NO_SSL_SUPPORT: {
    code: "RIVET_SOURCE_CONNECT_FAILED",
    cure: "The server offers no TLS: enable it there, or set `tls.mode: disable`",
  },
  HANDSHAKE_SSL_ERROR: {
    code: "RIVET_SOURCE_CONNECT_FAILED",
    cure: "Check `tls.mode`, `tls.ca_file` and that the certificate names the host",
  },
  AUTH_SWITCH_PLUGIN_ERROR: {
    code: "RIVET_SOURCE_CONNECT_FAILED",
    cure:
      "The account's authentication plugin is not supported; use caching_sha2_password, or mysql_native_password, or TLS for a clear-text plugin",
  },
};

/** Deno's error classes, for what carries no code. */
const BY_CLASS: Readonly<Record<string, string>> = {
  ConnectionRefused: "ECONNREFUSED",
  ConnectionReset: "ECONNRESET",
  ConnectionAborted: "ECONNABORTED",
  BrokenPipe: "EPIPE",
  TimedOut: "ETIMEDOUT",
  UnexpectedEof: "ECONNRESET",
  HostUnreachable: "EHOSTUNREACH",
  NetworkUnreachable: "ENETUNREACH",
};

/** An error packet of the server. */
export interface ServerError {
  readonly errno: number;
  readonly message: string;
}

export function fromServerError(error: ServerError, where: string, cause?: unknown): RivetError {
  const meaning = BY_NUMBER[error.errno] ?? { code: "RIVET_SOURCE_QUERY_FAILED" as const };
  return build(meaning, `${error.message} (error ${error.errno})`, where, cause);
}

/** Any thrown value of the driver, the platform or ourselves. */
export function toSourceError(error: unknown, where: string): RivetError {
  if (error instanceof RivetError) return error;
  const { errno, code } = readCodes(error);
  const message = error instanceof Error ? error.message : String(error);
  // System errors carry negative numbers, server errors positive ones.
  if (errno !== null && errno > 0 && !(code !== null && code in BY_CODE)) {
    return fromServerError({ errno, message }, where, error);
  }
  const known = code === null ? undefined : BY_CODE[code];
  if (known === undefined) return new RivetError("RIVET_SOURCE_CONNECT_FAILED", message, { where, cause: error });
  return build(known, message === "" ? code! : message, where, error);
}

/** The same while logging in, where a connection that breaks was never had. */
export function toConnectError(error: unknown, where: string): RivetError {
  const found = toSourceError(error, where);
  if (found.code !== "RIVET_SOURCE_CONNECTION_LOST") return found;
  const cure = "Check host and port, and that the server accepts this account from here";
  return new RivetError("RIVET_SOURCE_CONNECT_FAILED", found.message, {
    where,
    cure,
    retry: found.retry,
    cause: found.cause,
  });
}

function readCodes(error: unknown): { errno: number | null; code: string | null } {
  if (typeof error !== "object" || error === null) return { errno: null, code: null };
  const { errno, code, name } = error as { errno?: unknown; code?: unknown; name?: unknown };
  return {
    errno: typeof errno === "number" ? errno : null,
    code: typeof code === "string" ? code : typeof name === "string" ? BY_CLASS[name] ?? null : null,
  };
}

function build(meaning: Meaning, message: string, where: string, cause?: unknown): RivetError {
  const options: RivetErrorOptions = { where };
  if (meaning.cure !== undefined) options.cure = meaning.cure;
  if (meaning.retry !== undefined) options.retry = meaning.retry;
  if (meaning.retryDelayMs !== undefined) options.retryDelayMs = meaning.retryDelayMs;
  if (cause !== undefined) options.cause = cause;
  return new RivetError(meaning.code, message, options);
}
