// What S3 and the stores that speak its protocol mean by a code. By code and status only, never by text.

import { networkKind, type RefusalKind, toRefusalError } from "./refusal.ts";
import { RivetError } from "../errors.ts";

const KINDS: Readonly<Record<string, RefusalKind>> = {
  InvalidAccessKeyId: "credentials",
  SignatureDoesNotMatch: "credentials",
  ExpiredToken: "credentials",
  ExpiredTokenException: "credentials",
  InvalidToken: "credentials",
  TokenRefreshRequired: "credentials",
  CredentialsProviderError: "credentials",
  TokenProviderError: "credentials",
  InvalidSecurity: "credentials",
  AccountProblem: "credentials",
  RequestTimeTooSkewed: "clock",
  RequestExpired: "clock",
  AccessDenied: "denied",
  AllAccessDisabled: "denied",
  MethodNotAllowed: "denied",
  NoSuchBucket: "container",
  InvalidBucketName: "container",
  PermanentRedirect: "region",
  AuthorizationHeaderMalformed: "region",
  IllegalLocationConstraintException: "region",
  BadDigest: "corrupted",
  InvalidDigest: "corrupted",
  XAmzContentSHA256Mismatch: "corrupted",
  XAmzContentChecksumMismatch: "corrupted",
  IncompleteBody: "corrupted",
  RequestTimeout: "network",
  TimeoutError: "network",
  SlowDown: "busy",
  ServiceUnavailable: "busy",
  InternalError: "busy",
  Busy: "busy",
  Throttling: "busy",
  ThrottlingException: "busy",
  TooManyRequests: "busy",
  OperationAborted: "busy",
  NoSuchUpload: "network",
  ObjectLocked: "locked",
};

/** The code S3 gave, or the socket's, or the SDK's. */
export function s3Code(error: unknown): string {
  const { Code, code, name } = error as { Code?: unknown; code?: unknown; name?: unknown };
  if (typeof Code === "string") return Code;
  if (networkKind(code) !== null) return code as string;
  return typeof name === "string" ? name : "Error";
}

export function s3Status(error: unknown): number {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0;
}

export function isExpiredS3(error: unknown): boolean {
  return ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"].includes(s3Code(error));
}

/** Our own errors and an abort's reason pass as they are. */
export function toS3Error(error: unknown, action: "write" | "read", where: string, permission: string): unknown {
  if (error instanceof RivetError || !(error instanceof Error)) return error;
  if (error.name === "AbortError") return error;
  const code = s3Code(error);
  const kind = networkKind(code) ?? KINDS[code] ?? kindOfStatus(s3Status(error));
  return toRefusalError({ kind, code: describe(code, error), action, where, permission, cause: error });
}

/** HEAD has no body, so its errors have nothing but a status. */
function kindOfStatus(status: number): RefusalKind {
  if (status === 401 || status === 400) return "credentials";
  if (status === 403) return "denied";
  if (status === 301 || status === 307) return "region";
  if (status === 429 || status >= 500) return "busy";
  return "unknown";
}

function describe(code: string, error: Error): string {
  const status = s3Status(error);
  return status === 0 ? code : `${code}, status ${status}`;
}
