// What PostgreSQL's and the network's codes mean for the state.

import { RivetError } from "../errors.ts";

/** SQLSTATE and system codes after which a new connection may succeed. */
const CONNECTION_LOST = new Set([
  // A transaction that stood still for too long, and its connection, were ended by the server.
  "25P03",
  "57P01",
  "57P02",
  "57P03",
  "53300",
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
]);
const SAME_CONNECTION = new Set(["40001", "40P01"]);
const LOCK_NOT_AVAILABLE = "55P03";
const NOT_WRITABLE = new Set(["42501", "25006"]);

export function translate(error: unknown, location: string, isConnectionLost = false): RivetError {
  if (error instanceof RivetError) return error;
  const code = (error as { code?: unknown }).code;
  const message = error instanceof Error ? error.message : String(error);
  const options = { where: location, cause: error };
  if (isConnectionLost || (typeof code === "string" && (CONNECTION_LOST.has(code) || code.startsWith("08")))) {
    return new RivetError("RIVET_STATE_BACKEND_FAILED", `The state cannot be reached: ${message}`, {
      ...options,
      retry: "reconnect",
    });
  }
  if (typeof code !== "string") {
    return new RivetError("RIVET_STATE_BACKEND_FAILED", `The state failed: ${message}`, options);
  }
  if (SAME_CONNECTION.has(code)) {
    return new RivetError("RIVET_STATE_BACKEND_FAILED", `The state is contended: ${message}`, {
      ...options,
      retry: "same_connection",
    });
  }
  if (code === LOCK_NOT_AVAILABLE) {
    return new RivetError("RIVET_STATE_BACKEND_FAILED", "Another process kept a row of the state locked for too long", {
      ...options,
      cure: "See which session holds the lock in pg_stat_activity, and try again when it is done",
    });
  }
  if (NOT_WRITABLE.has(code)) {
    return new RivetError("RIVET_STATE_NOT_WRITABLE", `The state refuses writing: ${message}`, options);
  }
  return new RivetError("RIVET_STATE_BACKEND_FAILED", `The state failed: ${message} (${code})`, options);
}
