// The S3 client as rivet sets it up: no environment, no files, no addressing surprises.

import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { RivetError } from "../errors.ts";
import { isBrokenConnection, sendHttp } from "./http.ts";
import { type OpenOptions, REQUEST_TIMEOUT_MS } from "./options.ts";
import { isPathStyle, S3_REGION_DEFAULT, type S3Auth, type S3Location } from "./resolved.ts";
import { SILENT_LOGGER } from "./s3_credentials.ts";
import { translateStream } from "./stream.ts";

const ATTEMPTS = 5;

/** Below this, retries and signatures cope and nobody needs to know. */
const CLOCK_SKEW_MS_MAX = 240_000;

export function connectS3(location: S3Location, options: OpenOptions): S3Client {
  const { endpoint, region } = location;
  const client = new S3Client({
    region: region ?? S3_REGION_DEFAULT,
    ...(endpoint === null ? {} : { endpoint }),
    forcePathStyle: isPathStyle(location),
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    disableS3ExpressSessionAuth: true,
    maxAttempts: ATTEMPTS,
    retryMode: "standard",
    // Bodies are sent as they are and carry their checksum as a header: not every server takes aws-chunked.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // Blocks are small enough to send without asking first, which would cost a way there and back for each.
    expectContinueHeader: false,
    requestHandler: {
      handle: (request: S3Request, given?: { abortSignal?: unknown }) =>
        sendS3(request, given?.abortSignal as AbortSignal | undefined, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS),
    },
    logger: SILENT_LOGGER,
    defaultUserAgentProvider: () => Promise.resolve([["rivet"]]),
    ...toIdentity(location.auth),
  });
  warnOfClock(client, options.onWarning);
  return client;
}

function toIdentity(auth: S3Auth): S3ClientConfig {
  switch (auth.kind) {
    case "anonymous":
      return {
        credentials: { accessKeyId: "", secretAccessKey: "" },
        signer: { sign: (request) => Promise.resolve(request) },
      };
    case "keys": {
      const { accessKeyId, secretAccessKey, sessionToken } = auth;
      return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === null ? {} : { sessionToken }) } };
    }
    case "env":
    case "chain":
      throw new RivetError("RIVET_INTERNAL_DEST_INVARIANT", "An S3 client was made before its credentials were read");
    default: {
      const never: never = auth;
      return never;
    }
  }
}

/** A signed request, as the client hands it over. */
interface S3Request {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
}

/** Sends a signed request exactly as it was signed. */
async function sendS3(request: S3Request, signal: AbortSignal | undefined, timeoutMs: number) {
  const { method, body } = request;
  // fetch sets these two itself, to what was signed.
  const { host: _host, "content-length": _length, ...headers } = request.headers;
  try {
    const response = await sendHttp({ method, url: toUrl(request), headers, body, signal }, timeoutMs);
    return {
      response: {
        statusCode: response.status,
        reason: response.statusText,
        headers: Object.fromEntries(response.headers),
        // The client reads an answer after its last try: one that breaks off would be an error, where it is only a broken connection.
        body: request.query?.["x-id"] !== "GetObject"
          ? await response.bytes()
          : response.body === null
          ? new Uint8Array()
          : translateStream(response.body, toConnectionError),
      },
    };
  } catch (error) {
    throw toConnectionError(error);
  }
}

/** The name of a code makes the client try again. */
function toConnectionError(error: unknown): unknown {
  if (!isBrokenConnection(error)) return error;
  return Object.assign(new Error("The connection broke", { cause: error }), { code: "ECONNRESET" });
}

function toUrl({ protocol, hostname, port, path, query = {} }: S3Request): string {
  const parts = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one) =>
      one === null ? escapeUri(name) : `${escapeUri(name)}=${escapeUri(one)}`
    )
  );
  const origin = `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}`;
  return `${origin}${path}${parts.length === 0 ? "" : `?${parts.join("&")}`}`;
}

function escapeUri(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The client corrects its signatures by itself; a person should still hear of a wrong clock, once. */
function warnOfClock(client: S3Client, onWarning: OpenOptions["onWarning"]): void {
  let isTold = onWarning === undefined;
  const check = () => {
    const offset = client.config.systemClockOffset;
    if (isTold || Math.abs(offset) < CLOCK_SKEW_MS_MAX) return;
    isTold = true;
    const minutes = Math.round(Math.abs(offset) / 60_000);
    onWarning?.(`the clock of this machine is ${minutes} min ${offset > 0 ? "behind" : "ahead of"} the store's`);
  };
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } finally {
        check();
      }
    },
    { step: "initialize", name: "warnOfClock" },
  );
}
