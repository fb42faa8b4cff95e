// What Azure Blob Storage means by a code. By code and status only, never by text.

import { RivetError } from "../errors.ts";
import { networkKind, type RefusalKind, toRefusalError } from "./refusal.ts";

const KINDS: Readonly<Record<string, RefusalKind>> = {
  AuthenticationFailed: "credentials",
  InvalidAuthenticationInfo: "credentials",
  NoAuthenticationInformation: "credentials",
  AccountIsDisabled: "credentials",
  AuthorizationFailure: "denied",
  AuthorizationPermissionMismatch: "denied",
  AuthorizationProtocolMismatch: "denied",
  AuthorizationServiceMismatch: "denied",
  AuthorizationSourceIPMismatch: "denied",
  AuthorizationResourceTypeMismatch: "denied",
  InsufficientAccountPermissions: "denied",
  PublicAccessNotPermitted: "denied",
  ContainerNotFound: "container",
  ContainerBeingDeleted: "container",
  ContainerDisabled: "container",
  InvalidResourceName: "container",
  Md5Mismatch: "corrupted",
  Crc64Mismatch: "corrupted",
  InvalidMd5: "corrupted",
  // Another writer of the same key has finished first, and our blocks are gone with that.
  InvalidBlockList: "busy",
  InvalidBlobOrBlock: "busy",
  ServerBusy: "busy",
  InternalError: "busy",
  OperationTimedOut: "busy",
  LeaseIdMissing: "locked",
  BlobImmutableDueToPolicy: "locked",
  BlobArchived: "locked",
  REQUEST_SEND_ERROR: "network",
  PARSE_ERROR: "network",
};

export function azureCode(error: unknown): string {
  const { code, details, cause, name } = error as {
    code?: unknown;
    details?: { errorCode?: unknown };
    cause?: unknown;
    name?: unknown;
  };
  if (typeof code === "string" && code !== "REQUEST_SEND_ERROR") return code;
  if (typeof details?.errorCode === "string") return details.errorCode;
  if (cause instanceof Error && networkKind((cause as { code?: unknown }).code) !== null) return azureCode(cause);
  return typeof code === "string" ? code : typeof name === "string" ? name : "Error";
}

export function azureStatus(error: unknown): number {
  const { statusCode } = error as { statusCode?: unknown };
  return typeof statusCode === "number" ? statusCode : 0;
}

/** An ended signature looks like any other that does not fit; a new one is worth one try. */
export function isExpiredAzure(error: unknown): boolean {
  return azureCode(error) === "AuthenticationFailed";
}

/** Our own errors and an abort's reason pass as they are. */
export function toAzureError(error: unknown, action: "write" | "read", where: string, permission: string): unknown {
  if (error instanceof RivetError || !(error instanceof Error)) return error;
  if (error.name === "AbortError") return error;
  const code = azureCode(error);
  const kind = KINDS[code] ?? networkKind(code) ?? kindOfStatus(azureStatus(error));
  return toRefusalError({ kind, code, action, where, permission, cause: error });
}

function kindOfStatus(status: number): RefusalKind {
  if (status === 401) return "credentials";
  if (status === 403) return "denied";
  if (status === 412 || status === 409) return "locked";
  if (status === 429 || status >= 500) return "busy";
  return "unknown";
}
