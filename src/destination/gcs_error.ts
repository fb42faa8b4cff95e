// What Google Cloud Storage means by a status or a reason. By code only, never by text.

import { RivetError } from "../errors.ts";
import { networkKind, type RefusalKind, toRefusalError } from "./refusal.ts";

/** The HTTP status, the socket's code, or what the client library calls it. */
export function gcsCode(error: unknown): number | string {
  const { code, status, response, cause } = error as {
    code?: unknown;
    status?: unknown;
    response?: { status?: unknown };
    cause?: unknown;
  };
  for (const value of [code, status, response?.status]) {
    if (typeof value === "number") return value;
    if (typeof value === "string" && /^\d{3}$/.test(value)) return Number(value);
  }
  if (typeof code === "string") return code;
  return cause instanceof Error ? gcsCode(cause) : error instanceof Error ? error.name : "Error";
}

export function isExpiredGcs(error: unknown): boolean {
  return gcsCode(error) === 401;
}

/** Our own errors and an abort's reason pass as they are. */
export function toGcsError(error: unknown, action: "write" | "read", where: string, permission: string): unknown {
  if (error instanceof RivetError || !(error instanceof Error)) return error;
  if (error.name === "AbortError") return error;
  const code = gcsCode(error);
  return toRefusalError({ kind: kindOf(code), code: String(code), action, where, permission, cause: error });
}

export function kindOf(code: number | string): RefusalKind {
  if (typeof code === "string") {
    if (code === "CONTENT_DOWNLOAD_MISMATCH" || code === "FILE_NO_UPLOAD") return "corrupted";
    return networkKind(code) ?? "unknown";
  }
  if (code === 400) return "corrupted";
  if (code === 401) return "credentials";
  if (code === 403) return "denied";
  if (code === 404) return "container";
  if (code === 408 || code === 410) return "network";
  if (code === 412) return "locked";
  if (code === 429 || code >= 500) return "busy";
  return "unknown";
}
