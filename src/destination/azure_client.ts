// The Azure Blob client as rivet sets it up, and the key or signature it is given.

import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import {
  AnonymousCredential,
  BlobServiceClient,
  type ContainerClient,
  type HttpHeaders,
  type HttpOperationResponse,
  RestError,
  StorageSharedKeyCredential,
  type WebResource,
} from "@azure/storage-blob";
import { RivetError } from "../errors.ts";
import { sleep } from "../runtime.ts";
import { backoffMs, isBrokenConnection, isBusyStatus, retryAfterMs, sendHttp } from "./http.ts";
import { type OpenOptions, REQUEST_TIMEOUT_MS } from "./options.ts";
import { type AzureAuth, azureEndpoint, type AzureLocation } from "./resolved.ts";
import { readSecret } from "./secret.ts";

const ATTEMPTS = 5;

/** A signature that ends sooner is worth a word before a long run. */
const SAS_SOON_MS = 60 * 60_000;

export function connectAzure(location: AzureLocation, options: OpenOptions): ContainerClient {
  const { auth } = location;
  const url = azureEndpoint(location) + (auth.kind === "sas" ? `?${auth.token}` : "");
  const service = new BlobServiceClient(url, toCredential(location), {
    // Its own waits are not spread, and it takes a 429 for a final answer.
    retryOptions: { maxTries: 1, tryTimeoutInMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS },
    httpClient: { sendRequest: (request) => sendAzure(request, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS) },
    userAgentOptions: { userAgentPrefix: "rivet" },
  });
  return service.getContainerClient(location.container);
}

/** Sends a signed request exactly as it was signed; one that a busy store or a broken connection refused, again. */
async function sendAzure(request: WebResource, timeoutMs: number): Promise<HttpOperationResponse> {
  const signal = request.abortSignal as AbortSignal | undefined;
  for (let attempt = 1;; attempt++) {
    try {
      const { answer, waitMs } = await sendOnce(request, timeoutMs);
      if (attempt === ATTEMPTS || !isBusyStatus(answer.status)) return answer;
      await sleep(backoffMs(attempt, waitMs), signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isBrokenConnection(error)) throw error;
      if (attempt === ATTEMPTS) {
        throw new RestError("The connection broke", { code: RestError.REQUEST_SEND_ERROR });
      }
      await sleep(backoffMs(attempt), signal);
    }
  }
}

/** One try. An answer that is not streamed has been read whole. */
async function sendOnce(
  request: WebResource,
  timeoutMs: number,
): Promise<{ answer: HttpOperationResponse; waitMs: number }> {
  const { method, url, streamResponseStatusCodes: streamed } = request;
  // fetch sets these two itself, to what was signed.
  const { host: _host, "content-length": _length, ...headers } = request.headers.toJson();
  const body = request.body as BodyInit | null | undefined;
  const signal = request.abortSignal as AbortSignal | undefined;
  const response = await sendHttp({ method, url, headers, body: body ?? undefined, signal }, timeoutMs);
  const { status } = response;
  const head = { request, status, headers: toAzureHeaders(request.headers, response.headers) };
  const waitMs = retryAfterMs(response.headers);
  const isStream = streamed?.has(status) === true || streamed?.has(Number.POSITIVE_INFINITY) === true;
  if (!isStream || response.body === null) return { answer: { ...head, bodyAsText: await response.text() }, waitMs };
  const readableStreamBody = Readable.fromWeb(response.body as NodeReadableStream);
  return { answer: { ...head, readableStreamBody }, waitMs };
}

/** The client has no constructor of its own headers to offer, but every request has some. */
function toAzureHeaders(template: HttpHeaders, headers: Headers): HttpHeaders {
  const made = template.clone();
  for (const { name } of made.headersArray()) made.remove(name);
  for (const [name, value] of headers) made.set(name, value);
  return made;
}

function toCredential({ auth, accountName }: AzureLocation): StorageSharedKeyCredential | AnonymousCredential {
  switch (auth.kind) {
    case "anonymous":
    case "sas":
      return new AnonymousCredential();
    case "key":
      return new StorageSharedKeyCredential(accountName ?? "", auth.key);
    case "key_env":
    case "sas_env":
      throw new RivetError(
        "RIVET_INTERNAL_DEST_INVARIANT",
        "An Azure client was made before its credentials were read",
      );
    default: {
      const never: never = auth;
      return never;
    }
  }
}

/** Reads the named variable. A signature that has ended is refused here, before any I/O. */
export function withAzureCredentials(
  location: AzureLocation,
  env: (name: string) => string | undefined,
  nowMs: number,
): AzureLocation {
  const { auth } = location;
  switch (auth.kind) {
    case "anonymous":
    case "key":
    case "sas":
      return location;
    case "key_env":
      return { ...location, auth: { kind: "key", key: readSecret(env, auth.name) } };
    case "sas_env": {
      const token = readSecret(env, auth.name).replace(/^\?/, "");
      const sas: AzureAuth = { kind: "sas", token, expiresAtMs: expiryOf(token) };
      checkExpiry(sas.expiresAtMs, auth.name, nowMs);
      return { ...location, auth: sas };
    }
    default: {
      const never: never = auth;
      return never;
    }
  }
}

/** The end of a signature, in milliseconds since the epoch; null when it names none. */
export function expiryOf(token: string): number | null {
  const text = new URLSearchParams(token).get("se");
  const time = text === null ? NaN : Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

function checkExpiry(expiresAtMs: number | null, name: string, nowMs: number): void {
  if (expiresAtMs === null || expiresAtMs > nowMs) return;
  throw new RivetError(
    "RIVET_DEST_CREDENTIALS_INVALID",
    `The signature in '${name}' ended at ${new Date(expiresAtMs).toISOString()}`,
    { where: "destination", cure: `Put a new SAS token into '${name}'` },
  );
}

/** Says so when a signature ends within the hour. */
export function warnOfExpiry({ auth }: AzureLocation, nowMs: number, onWarning: OpenOptions["onWarning"]): void {
  if (auth.kind !== "sas" || auth.expiresAtMs === null || auth.expiresAtMs - nowMs >= SAS_SOON_MS) return;
  onWarning?.(`the SAS token ends in ${Math.max(0, Math.round((auth.expiresAtMs - nowMs) / 60_000))} min`);
}
