// What Google Cloud Storage means by a status. By status and socket code only, never by text.

import { RivetError } from "../errors.ts";
import { GcsStatusError } from "./gcs_api.ts";
import { networkKind, type RefusalKind, toRefusalError } from "./refusal.ts";

export function gcsStatus(error: unknown): number {
  return error instanceof GcsStatusError ? error.status : 0;
}

/** Our own errors and an abort's reason pass as they are. */
export function toGcsError(error: unknown, action: "write" | "read", where: string, permission: string): unknown {
  if (error instanceof RivetError || !(error instanceof Error)) return error;
  if (error.name === "AbortError") return error;
  const status = gcsStatus(error);
  const kind = status === 0 ? kindOfFetch(error) : kindOfStatus(status);
  const code = status === 0 ? (error as { code?: string }).code ?? error.name : String(status);
  return toRefusalError({ kind, code, action, where, permission, cause: error });
}

/** `fetch` throws a TypeError for every broken connection. */
function kindOfFetch(error: Error): RefusalKind {
  if (error instanceof Deno.errors.NotCapable) return "unreachable";
  const kind = networkKind((error as { code?: unknown }).code);
  if (kind !== null) return kind;
  return error instanceof TypeError || error.name === "TimeoutError" ? "network" : "unknown";
}

function kindOfStatus(status: number): RefusalKind {
  if (status === 400) return "corrupted";
  if (status === 401) return "credentials";
  if (status === 403) return "denied";
  if (status === 404) return "container";
  if (status === 408 || status === 410) return "network";
  if (status === 412) return "locked";
  if (status === 429 || status >= 500) return "busy";
  return "unknown";
}
