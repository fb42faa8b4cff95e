// What a store's refusal means to the person who runs rivet. Stores translate their own codes to these kinds; pure.

import { type ErrorCode, type RetryClass, RivetError } from "../errors.ts";

export type RefusalKind =
  | "credentials" // rejected or expired
  | "clock" // the signature's time is not the store's
  | "denied" // known, but not allowed
  | "container" // no such bucket or container
  | "region" // the bucket lives elsewhere
  | "corrupted" // the store got other bytes than were sent
  | "busy" // throttled, or out of order for a moment
  | "network" // the connection was reset, refused or timed out
  | "unreachable" // the host does not exist, or may not be reached
  | "locked" // the object may not be replaced or removed now
  | "unknown";

export interface Refusal {
  readonly kind: RefusalKind;
  /** The store's own code, for the message. */
  readonly code: string;
  readonly action: "write" | "read";
  /** `s3://bucket/key`. */
  readonly where: string;
  /** What the permission is called at this store. */
  readonly permission: string;
  readonly cause: unknown;
}

interface Meaning {
  /** Null is the action's own code. */
  readonly errorCode: ErrorCode | null;
  readonly message: string;
  readonly cure: string;
  readonly retry: RetryClass;
}

const MEANINGS: Readonly<Record<RefusalKind, Meaning>> = {
  credentials: {
    errorCode: "RIVET_DEST_CREDENTIALS_INVALID",
    message: "The store rejects the credentials",
    cure: "Renew them, or name the right ones in the export's 'destination'; 'rivet doctor' tries them",
    retry: "never",
  },
  clock: {
    errorCode: "RIVET_DEST_CREDENTIALS_INVALID",
    message: "The store rejects signatures made by this machine's clock",
    cure: "Set the clock of this machine; it must be within 15 minutes of the store's",
    retry: "never",
  },
  denied: {
    errorCode: null,
    message: "The store denies the request",
    cure: "Grant these credentials",
    retry: "never",
  },
  container: {
    errorCode: "RIVET_DEST_CONTAINER_NOT_FOUND",
    message: "The bucket or container does not exist",
    cure: "Create it, or correct its name in the export's 'destination'; rivet does not create it",
    retry: "never",
  },
  region: {
    errorCode: null,
    message: "The bucket is in another region",
    cure: "Set 'destination.region' to the bucket's region",
    retry: "never",
  },
  corrupted: {
    errorCode: "RIVET_DEST_UPLOAD_CORRUPTED",
    message: "The store received other bytes than were sent",
    cure: "Run the same command again; if it repeats, suspect a proxy on the way or this machine's memory",
    retry: "destination",
  },
  busy: {
    errorCode: null,
    message: "The store is throttling or out of order",
    cure: "Run the same command again later, or lower 'parallel'",
    retry: "destination",
  },
  network: {
    errorCode: null,
    message: "The connection to the store broke",
    cure: "Check the network, then run the same command again",
    retry: "destination",
  },
  unreachable: {
    errorCode: null,
    message: "The store cannot be reached",
    cure: "Check the bucket, the region and the endpoint, and that this machine resolves and reaches the host",
    retry: "never",
  },
  locked: {
    errorCode: null,
    message: "The store does not let this object be changed now",
    cure: "Wait for its lease, retention or legal hold to end, or choose another prefix",
    retry: "never",
  },
  unknown: {
    errorCode: null,
    message: "The store failed",
    cure: "See the store's code in the message",
    retry: "never",
  },
};

/** The error for a refusal. */
export function toRefusalError(refusal: Refusal): RivetError {
  const meaning = MEANINGS[refusal.kind];
  const own: ErrorCode = refusal.action === "write" ? "RIVET_DEST_WRITE_FAILED" : "RIVET_DEST_READ_FAILED";
  const cure = refusal.kind === "denied" ? `${meaning.cure} ${refusal.permission}` : meaning.cure;
  return new RivetError(meaning.errorCode ?? own, `${meaning.message} (${refusal.code})`, {
    where: refusal.where,
    cure,
    retry: meaning.retry,
    cause: refusal.cause,
  });
}

const NETWORK_CODES = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENETDOWN",
  "EAI_AGAIN",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_SOCKET_CLOSED",
  "UND_ERR_SOCKET",
]);
const UNREACHABLE_CODES = new Set(["ENOTFOUND", "EPERM", "EACCES"]);

/** What a socket's error code means, or null when it is none. */
export function networkKind(code: unknown): RefusalKind | null {
  if (typeof code !== "string") return null;
  if (NETWORK_CODES.has(code)) return "network";
  if (UNREACHABLE_CODES.has(code)) return "unreachable";
  return null;
}
