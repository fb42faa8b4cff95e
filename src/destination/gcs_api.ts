// The JSON API of Google Cloud Storage, as far as rivet needs it, over fetch. Every call here may be repeated, and is.
// Written by hand because Google's client never answers when a connection is cut in the middle of an upload.

import { RivetError } from "../errors.ts";
import { sleep } from "../runtime.ts";
import { backoffMs, isBusyStatus, retryAfterMs, sendHttp } from "./http.ts";
import { GCS_ENDPOINT, type GcsAuth, type GcsLocation } from "./resolved.ts";

export const GCS_ATTEMPTS = 6;

/** A status that is not the wanted one. */
export class GcsStatusError extends Error {
  override readonly name = "GcsStatusError";
  constructor(readonly status: number, readonly retryAfterMs = 0) {
    super(`status ${status}`);
  }
}

export interface GcsRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path below the endpoint, or a whole URL. */
  readonly url: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
  readonly signal?: AbortSignal | undefined;
  /** Statuses that are answers; any other is an error. */
  readonly answers?: readonly number[];
  /** @default 6 */
  readonly attempts?: number;
}

export interface GcsApi {
  readonly bucket: string;
  /** The answer, whose body the caller must read or cancel. */
  send(request: GcsRequest): Promise<Response>;
  /** The answer's JSON; an answer that breaks off is asked for again. */
  json<T>(request: GcsRequest): Promise<T>;
}

export interface GcsObjectResource {
  readonly name: string;
  readonly size: string;
  readonly generation?: string;
  readonly md5Hash?: string;
  readonly crc32c?: string;
}

export function connectGcs(location: GcsLocation, requestTimeoutMs: number): GcsApi {
  const endpoint = (location.endpoint ?? GCS_ENDPOINT).replace(/\/$/, "");
  const authorization = toAuthorization(location.auth);
  return {
    bucket: location.bucket,
    send: (request) => retrying(request, () => tryOnce(request, endpoint, authorization, requestTimeoutMs)),
    json: (request) =>
      retrying(request, async () => await (await tryOnce(request, endpoint, authorization, requestTimeoutMs)).json()),
  };
}

async function retrying<T>(request: GcsRequest, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await ask();
    } catch (error) {
      request.signal?.throwIfAborted();
      if (attempt >= (request.attempts ?? GCS_ATTEMPTS) || !isTransientGcs(error)) throw error;
      await sleep(retryDelayMs(error, attempt), request.signal);
    }
  }
}

function toAuthorization(auth: GcsAuth): Record<string, string> {
  switch (auth.kind) {
    case "anonymous":
      return {};
    case "token":
      return { authorization: `Bearer ${auth.token}` };
    case "file":
    case "chain":
      throw new RivetError("RIVET_INTERNAL_DEST_INVARIANT", "A GCS client was made before its credentials were read");
    default: {
      const never: never = auth;
      return never;
    }
  }
}

/** Whether the same request may succeed later. A lane's missing right is no broken connection. */
export function isTransientGcs(error: unknown): boolean {
  if (!(error instanceof GcsStatusError)) return error instanceof Error && !(error instanceof Deno.errors.NotCapable);
  return isBusyStatus(error.status);
}

/** Milliseconds before the next attempt. */
export function retryDelayMs(error: unknown, attempt: number): number {
  return backoffMs(attempt, error instanceof GcsStatusError ? error.retryAfterMs : 0);
}

async function tryOnce(
  request: GcsRequest,
  endpoint: string,
  authorization: Record<string, string>,
  timeoutMs: number,
): Promise<Response> {
  const { method, body, signal } = request;
  const headers = { ...authorization, ...request.headers };
  const response = await sendHttp({ method, url: toUrl(request, endpoint), headers, body, signal }, timeoutMs);
  if (response.ok || request.answers?.includes(response.status)) return response;
  await response.body?.cancel();
  throw new GcsStatusError(response.status, retryAfterMs(response.headers));
}

function toUrl({ url, query = {} }: GcsRequest, endpoint: string): string {
  const whole = new URL(url.startsWith("/") ? endpoint + url : url);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) whole.searchParams.set(name, value);
  return whole.href;
}

/** `/storage/v1/b/<bucket>/o/<object>` */
export function objectPath(bucket: string, objectKey: string): string {
  return `/storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(objectKey)}`;
}

/** `/storage/v1/b/<bucket>/o` */
export function listPath(bucket: string): string {
  return `/storage/v1/b/${encodeURIComponent(bucket)}/o`;
}

/** `/upload/storage/v1/b/<bucket>/o` */
export function uploadPath(bucket: string): string {
  return `/upload/storage/v1/b/${encodeURIComponent(bucket)}/o`;
}
