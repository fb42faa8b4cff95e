// What the driver and the server throw, as RivetErrors: by error number and driver code, never by text.

import { type ErrorCode, type RetryClass, RivetError, type RivetErrorOptions } from "../../errors.ts";

/** What an error number means when nothing more special is said about it. */
interface Meaning {
  readonly code: ErrorCode;
  readonly retry?: RetryClass;
  readonly delayMs?: number;
  readonly cure?: string;
}

const transient = (delayMs: number): Meaning => ({ code: "RIVET_SOURCE_CONNECTION_LOST", retry: "reconnect", delayMs });
const scarce: Meaning = { code: "RIVET_SOURCE_QUERY_FAILED", retry: "same_connection", delayMs: 5_000 };
const refused = (cure: string): Meaning => ({ code: "RIVET_SOURCE_QUERY_FAILED", cure });
const login = (cure: string): Meaning => ({ code: "RIVET_SOURCE_CONNECT_FAILED", cure });
const permission = refused("Grant SELECT on the object (and EXECUTE on the functions it uses) to the source's user");
const columnsChanged: Meaning = {
  code: "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ",
  cure: "Run again: the plan is made from the table as it is now",
};
const memoryOptimized = refused(
  "Memory-optimized tables need MEMORY_OPTIMIZED_ELEVATE_TO_SNAPSHOT ON, or a WITH (SNAPSHOT) hint in `query:`",
);

const MEANINGS: Readonly<Record<number, Meaning>> = {
  208: { code: "RIVET_SOURCE_TABLE_NOT_FOUND", cure: "Check the schema and the name, and that the user may see it" },
  // Permission.
  229: permission,
  230: permission,
  262: permission,
  297: permission,
  300: permission,
  371: permission,
  916: refused("Make the source's user a user of that database"),
  // The text of the query.
  207: refused("Check the column names in `query:`, `columns:`, `cursor_column` and the chunk keys"),
  102: refused(
    "Correct the T-SQL of `query:`; it stands inside a subquery, so no WITH, no `;` and no second statement",
  ),
  156: refused(
    "Correct the T-SQL of `query:`; it stands inside a subquery, where WITH is not allowed: make it a view or a derived table",
  ),
  319: refused("T-SQL allows no WITH inside a subquery: make it a view or a derived table"),
  1033: refused("Remove ORDER BY from `query:`, rivet orders what it reads itself; or add TOP or OFFSET"),
  8155: refused("Give every column of `query:` a name with AS"),
  8156: refused("Give every column of `query:` its own name with AS"),
  // Locks and versions.
  1222: { code: "RIVET_SOURCE_QUERY_FAILED", retry: "same_connection", cure: "Raise `lock_timeout_s`, or read later" },
  1205: { code: "RIVET_SOURCE_QUERY_FAILED", retry: "same_connection", delayMs: 1_000, cure: "Read later" },
  3960: { code: "RIVET_SOURCE_QUERY_FAILED", retry: "reconnect", delayMs: 1_000 },
  3966: { ...scarce, retry: "reconnect", cure: "Give tempdb more room for row versions, or read smaller chunks" },
  3967: { ...scarce, retry: "reconnect", cure: "Give tempdb more room for row versions, or read smaller chunks" },
  3952: refused("Set ALLOW_SNAPSHOT_ISOLATION ON in every database that `query:` reads from"),
  3961: columnsChanged,
  3964: columnsChanged,
  41332: memoryOptimized,
  41333: memoryOptimized,
  41368: memoryOptimized,
  // Resources.
  701: scarce,
  802: scarce,
  1204: scarce,
  8628: scarce,
  8645: scarce,
  8651: scarce,
  10928: scarce,
  10929: scarce,
  10936: scarce,
  // The server or the database goes away, is full, moves or starts.
  233: transient(0),
  596: transient(15_000),
  615: transient(1_000),
  926: transient(15_000),
  976: transient(15_000),
  978: login("This replica accepts only read-intent connections: connect to another replica or to the listener"),
  979: login("This replica accepts only read-intent connections: connect to another replica or to the listener"),
  983: transient(15_000),
  6005: transient(15_000),
  6006: transient(15_000),
  17142: transient(15_000),
  17197: transient(5_000),
  17809: transient(15_000),
  18401: transient(15_000),
  18451: transient(15_000),
  // Azure SQL: throttled, failing over, moving.
  4221: transient(15_000),
  40143: transient(5_000),
  40166: transient(5_000),
  40197: transient(5_000),
  40501: transient(10_000),
  40540: transient(5_000),
  40544: refused("The database has reached its size quota"),
  40549: refused("The transaction was open too long for Azure SQL: read smaller chunks"),
  40550: refused("Too many locks for Azure SQL: read smaller chunks"),
  40551: refused("Too much tempdb for Azure SQL: read smaller chunks"),
  40553: refused("Too much memory for Azure SQL: read smaller chunks"),
  40613: transient(10_000),
  40615: login("Allow this machine's address in the firewall of the Azure SQL server"),
  40914: login("Allow this network in the firewall of the Azure SQL server"),
  42108: transient(15_000),
  42109: transient(15_000),
  49918: transient(10_000),
  49919: transient(10_000),
  49920: transient(10_000),
  // Login.
  4060: login("Check the database name, and that the login may open it"),
  18452: login("Use a SQL Server login: Windows logins are not supported"),
  18456: login("Check user and password, and that the login may open the database"),
  18470: login("The login is disabled: enable it, or use another"),
  18486: login("The login is locked out: unlock it, or use another"),
  18487: login("The password has expired: change it"),
  18488: login("The password must be changed at the next login: change it"),
};

/** An error as the server numbers it. */
export interface ServerMessage {
  readonly number: number;
  readonly message: string;
  /** 20 and above end the connection. */
  readonly class?: number | undefined;
}

/** A numbered error of the server. Unknown numbers are refusals of the statement and are never retried. */
export function toServerError(error: ServerMessage, cause: unknown, fallback: ErrorCode): RivetError {
  const meaning = MEANINGS[error.number] ?? { code: fallback };
  return toError(meaning, `${trimEnd(error.message)} (SQL Server error ${error.number})`, cause);
}

function toError(meaning: Meaning, message: string, cause: unknown): RivetError {
  const options: RivetErrorOptions = { cause };
  if (meaning.retry !== undefined) options.retry = meaning.retry;
  if (meaning.delayMs !== undefined) options.retryDelayMs = meaning.delayMs;
  if (meaning.cure !== undefined) options.cure = meaning.cure;
  return new RivetError(meaning.code, message, options);
}

/** Messages have no full stop. */
function trimEnd(text: string): string {
  return text.replace(/[\s.]+$/, "");
}

const DIAL: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: { ...login("Check host and port, and that SQL Server listens on TCP"), retry: "reconnect" },
  ECONNRESET: { ...login("Check host, port and `tls`: something closed the connection"), retry: "reconnect" },
  EPIPE: { ...login("Check host, port and `tls`: something closed the connection"), retry: "reconnect" },
  ETIMEDOUT: { ...login("Check host, port and the firewalls on the way"), retry: "reconnect" },
  ETIMEOUT: { ...login("Check host, port and the firewalls on the way"), retry: "reconnect" },
  EHOSTUNREACH: { ...login("Check the network and the host"), retry: "reconnect" },
  ENETUNREACH: { ...login("Check the network and the host"), retry: "reconnect" },
  EAI_AGAIN: { ...login("Check the name server"), retry: "reconnect" },
  ENOTFOUND: login("Check the host name"),
  EENCRYPT: login(
    "The server offers no TLS: give it a certificate, or set `tls: { mode: disable }` where that is safe",
  ),
  EMFILE: { code: "RIVET_SOURCE_RUNTIME_UNAVAILABLE" },
  ENFILE: { code: "RIVET_SOURCE_RUNTIME_UNAVAILABLE" },
  ERR_TLS_CERT_ALTNAME_INVALID: login(
    "The certificate names another host: connect by the name it has, or leave the name unchecked with `tls: { mode: verify-ca }`",
  ),
  CERT_HAS_EXPIRED: login("The server's certificate has expired: renew it"),
  CERT_NOT_YET_VALID: login("The server's certificate is not valid yet: check the clocks"),
};
const UNTRUSTED = login("Give the certificate authority of the server in `tls.ca_file`");
for (
  const code of [
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "CERT_SIGNATURE_FAILURE",
    "CERT_UNTRUSTED",
    "INVALID_CA",
  ]
) (DIAL as Record<string, Meaning>)[code] = UNTRUSTED;

/** The first system, TLS or driver code along the causes of an error, the most special one first. */
export function toDriverCode(error: unknown): string | null {
  const codes: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at instanceof AggregateError ? at.errors[0] : at.cause) {
    const { code } = at as Error & { code?: unknown };
    if (typeof code === "string") codes.push(code);
  }
  return codes.find((code) => code in DIAL) ?? codes.at(-1) ?? null;
}

/** Why no connection came about: dial, TLS or login. `server` is what the server said before it closed, if it spoke. */
export function toConnectError(error: unknown, server: ServerMessage | null, where: string): RivetError {
  if (server !== null) {
    const translated = toServerError(server, error, "RIVET_SOURCE_CONNECT_FAILED");
    const { code, retry, retryDelayMs, cure } = translated;
    const connectCode = code === "RIVET_SOURCE_CONNECTION_LOST" ? "RIVET_SOURCE_CONNECT_FAILED" : code;
    return new RivetError(connectCode, translated.message, { where, retry, retryDelayMs, cure, cause: error });
  }
  const code = toDriverCode(error);
  const meaning = DIAL[code ?? ""] ?? login("Check host, port and `tls`");
  // The driver's sentence is about its own options.
  const deepest = code === "EENCRYPT" ? "the server offers no encryption" : toDeepest(error);
  const options: RivetErrorOptions = { where, cause: error };
  if (meaning.cure !== undefined) options.cure = meaning.cure;
  if (meaning.retry !== undefined) options.retry = meaning.retry;
  return new RivetError(meaning.code, `Cannot connect: ${trimEnd(deepest)}`, options);
}

function toDeepest(error: unknown): string {
  let message = String(error);
  for (let at: unknown = error; at instanceof Error; at = at instanceof AggregateError ? at.errors[0] : at.cause) {
    message = at.message;
  }
  return message;
}

/** A column that was there when the statement was planned. */
const INVALID_COLUMN = 207;

/**
 * Why a statement failed. `server` holds what the server said while it ran, oldest first; `isPlanned` means that the statement
 * was built from a description of its columns.
 */
export function toRequestError(error: unknown, server: readonly ServerMessage[], isPlanned: boolean): RivetError {
  // The first message is the reason; a later one may say that the session ends, which decides whether to come again.
  const [first] = server;
  const fatal = server.find((message) => (message.class ?? 0) >= 20 || MEANINGS[message.number]?.retry === "reconnect");
  const decisive = fatal ?? first;
  if (decisive !== undefined) {
    if (isPlanned && decisive.number === INVALID_COLUMN) {
      return toError(columnsChanged, trimEnd(decisive.message), error);
    }
    const translated = toServerError(decisive, error, "RIVET_SOURCE_QUERY_FAILED");
    const isLost = (decisive.class ?? 0) >= 20 && translated.retry === "never";
    return isLost
      ? new RivetError("RIVET_SOURCE_CONNECTION_LOST", translated.message, { retry: "reconnect", cause: error })
      : translated;
  }
  return new RivetError("RIVET_SOURCE_CONNECTION_LOST", `The connection broke: ${trimEnd(toDeepest(error))}`, {
    retry: "reconnect",
    cause: error,
  });
}
