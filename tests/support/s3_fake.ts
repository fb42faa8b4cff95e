// An S3 server in memory that is as strict as the real one: it checks signatures, payload digests and checksums, keeps uploads open
// until they are completed or aborted, and does wrong only when a test asks for it.

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { compareKeys } from "../../src/destination/key.ts";
import { crc32cOf, crcToBase64, crcToDecimal } from "../../src/destination/digest.ts";
import { joinCrc32c } from "./crc_join.ts";
import { accessKeyOf, isSigned, sha256, skewSeconds } from "./s3_signature.ts";

export class FakeObject {
  readonly size: number;
  #pieces: readonly Uint8Array<ArrayBuffer>[];

  /** `crc32c` is base64; absent on a server without checksums. */
  constructor(
    pieces: readonly Uint8Array<ArrayBuffer>[],
    readonly etag: string,
    readonly crc32c: string | null,
    readonly contentType: string | null,
  ) {
    this.#pieces = pieces;
    this.size = pieces.reduce((sum, { length }) => sum + length, 0);
  }

  /** The parts of an upload are joined when somebody wants to see them: a server that answers at once is not busy with copying. */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#pieces.length !== 1) this.#pieces = [new Uint8Array(Buffer.concat(this.#pieces))];
    return this.#pieces[0]!;
  }
}

/** A part of an upload as it is stored. */
interface Part {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly md5: Buffer;
  /** Base64. */
  readonly crc32c: string;
}

interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly contentType: string | null;
  readonly checks: boolean;
  readonly parts: Map<number, Part>;
}

/** `PUT object`, `POST uploads`, `PUT part`, `POST complete`, `DELETE upload`, `GET list` … and how often it came. */
export interface FakeCall {
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
  /** How many calls of this operation there were, this one included. */
  readonly count: number;
}

export type FakeFault =
  /** The answer instead of the operation. */
  | { readonly kind: "refuse"; readonly status: number; readonly code: string }
  /** The operation is done, and the answer says it was not. */
  | { readonly kind: "late"; readonly status: number; readonly code: string }
  /** One byte of what arrived is flipped after it was checked. */
  | { readonly kind: "corrupt" }
  /** No answer before the server closes. */
  | { readonly kind: "hang" };

export interface FakeS3Options {
  readonly buckets?: readonly string[];
  /** Access key → secret and session token; without it everybody is let in. */
  readonly accounts?: Map<string, { secret: string; token?: string; isExpired?: boolean }>;
  /** Whether the server knows CRC32C of whole objects. @default true */
  readonly checksums?: boolean;
  /** Whether payloads must be signed whole, as a bucket's policy can ask. @default false */
  readonly signedOnly?: boolean;
  /** Tags are random and the encryption is told, as under KMS. @default false */
  readonly kms?: boolean;
  readonly latencyMs?: number;
  /** The server's clock minus ours. */
  readonly clockMs?: number;
  readonly fault?: (call: FakeCall) => FakeFault | undefined;
}

export interface FakeS3 extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly buckets: Map<string, Map<string, FakeObject>>;
  readonly uploads: Map<string, Upload>;
  readonly calls: FakeCall[];
  readonly closing: Promise<void>;
  options: FakeS3Options;
}

class S3Error extends Error {
  constructor(readonly status: number, readonly code: string) {
    super(code);
  }
}

export function startS3Fake(options: FakeS3Options = {}): FakeS3 {
  const buckets = new Map((options.buckets ?? ["bucket"]).map((name) => [name, new Map<string, FakeObject>()]));
  const counts = new Map<string, number>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => answer(fake, request, counts),
  );
  const { port } = server.addr;
  const closing = Promise.withResolvers<void>();
  const fake: FakeS3 = {
    url: `http://127.0.0.1:${port}`,
    port,
    buckets,
    uploads: new Map(),
    calls: [],
    closing: closing.promise,
    options,
    [Symbol.asyncDispose]: () => {
      closing.resolve();
      return server.shutdown();
    },
  };
  return fake;
}

async function answer(fake: FakeS3, request: Request, counts: Map<string, number>): Promise<Response> {
  const { options } = fake;
  const url = new URL(request.url);
  const [bucket = "", ...rest] = url.pathname.slice(1).split("/").map(decodeURIComponent);
  const key = rest.join("/");
  const operation = operationOf(request.method, key, url.searchParams, request.headers);
  const count = (counts.get(operation) ?? 0) + 1;
  counts.set(operation, count);
  const call = { operation, bucket, key, count };
  fake.calls.push(call);
  const headers: Record<string, string> = {
    "x-amz-request-id": "fake",
    date: new Date(Date.now() + (options.clockMs ?? 0)).toUTCString(),
  };
  try {
    const body = new Uint8Array(await request.arrayBuffer());
    if (options.latencyMs !== undefined) await new Promise((done) => setTimeout(done, options.latencyMs));
    const fault = options.fault?.(call);
    if (fault?.kind === "hang") await fake.closing;
    if (fault?.kind === "refuse") throw new S3Error(fault.status, fault.code);
    checkRequest(fake, { method: request.method, url, headers: request.headers }, body);
    const checked = await checkContent(fake, request.headers, body);
    const objects = fake.buckets.get(bucket);
    if (objects === undefined) throw new S3Error(404, "NoSuchBucket");
    const isCorrupted = fault?.kind === "corrupt" && body.length > 0;
    if (isCorrupted) body[body.length >> 1]! ^= 1;
    const sum = isCorrupted ? null : checked;
    const done = await perform(fake, {
      ...call,
      query: url.searchParams,
      headers: request.headers,
      body,
      sum,
      objects,
    });
    if (fault?.kind === "late") throw new S3Error(fault.status, fault.code);
    for (const [name, value] of Object.entries(headers)) done.headers.set(name, value);
    return done;
  } catch (error) {
    const { status, code } = error instanceof S3Error ? error : { status: 500, code: `InternalError` };
    // A connection that was cut is nobody to answer.
    if (!(error instanceof S3Error) && !(error instanceof Deno.errors.BadResource)) console.error(error);
    const text = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;
    return new Response(request.method === "HEAD" ? null : text, {
      status,
      headers: { ...headers, "content-type": "application/xml" },
    });
  }
}

function operationOf(method: string, key: string, query: URLSearchParams, headers: Headers): string {
  if (key === "") return query.has("uploads") ? "GET uploads" : `${method} list`;
  if (query.has("uploads")) return "POST uploads";
  if (query.has("partNumber")) return "PUT part";
  if (query.has("uploadId")) return method === "DELETE" ? "DELETE upload" : "POST complete";
  return headers.has("x-amz-copy-source") ? "PUT copy" : `${method} object`;
}

function checkRequest(
  { options }: FakeS3,
  request: { method: string; url: URL; headers: Headers },
  body: Uint8Array,
): void {
  const { headers } = request;
  const declared = headers.get("x-amz-content-sha256");
  if (options.signedOnly === true && declared === "UNSIGNED-PAYLOAD") throw new S3Error(403, "AccessDenied");
  if (declared !== null && declared !== "UNSIGNED-PAYLOAD" && declared !== sha256(body)) {
    throw new S3Error(400, "XAmzContentSHA256Mismatch");
  }
  if (options.accounts === undefined) return;
  const name = accessKeyOf(headers);
  if (name === null) throw new S3Error(403, "AccessDenied");
  const account = options.accounts.get(name);
  if (account === undefined) throw new S3Error(403, "InvalidAccessKeyId");
  if (skewSeconds(headers, Date.now() + (options.clockMs ?? 0)) > 900) throw new S3Error(403, "RequestTimeTooSkewed");
  if (!isSigned(request, account.secret)) throw new S3Error(403, "SignatureDoesNotMatch");
  if ((headers.get("x-amz-security-token") ?? undefined) !== account.token) throw new S3Error(400, "InvalidToken");
  if (account.isExpired === true) throw new S3Error(400, "ExpiredToken");
}

/** The body's CRC32C in base64 where it was told and is right. */
async function checkContent({ options }: FakeS3, headers: Headers, body: Uint8Array): Promise<string | null> {
  const md5 = headers.get("content-md5");
  if (md5 !== null && md5 !== createHash("md5").update(body).digest("base64")) throw new S3Error(400, "BadDigest");
  // A completed upload's checksum is over the object, not over the request.
  const crc32c = headers.has("x-amz-checksum-type") ? null : headers.get("x-amz-checksum-crc32c");
  if (options.checksums === false || crc32c === null) return null;
  if (crc32c !== await crc32cOf(body)) throw new S3Error(400, "BadDigest");
  return crc32c;
}

/** Of nothing where tags are random anyway: a benchmark shares its processors with this server. */
function md5Of({ options }: FakeS3, body: Uint8Array): Buffer {
  return createHash("md5").update(options.kms === true ? new Uint8Array() : body).digest();
}

interface Performed extends FakeCall {
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
  /** CRC32C of the body in base64, where it is known. */
  readonly sum: string | null;
  readonly objects: Map<string, FakeObject>;
}

async function perform(fake: FakeS3, call: Performed): Promise<Response> {
  const { objects, key, headers, body } = call;
  switch (call.operation) {
    case "PUT object": {
      const etag = md5Of(fake, body).toString("hex");
      const object = store(fake, call, [body], etag, call.sum ?? await crc32cOf(body), headers.get("content-type"));
      return new Response(null, { headers: describe(fake, object) });
    }
    case "PUT copy": {
      const source = decodeURIComponent(headers.get("x-amz-copy-source")!).replace(/^\//, "");
      const found = objects.get(source.slice(source.indexOf("/") + 1));
      if (found === undefined) throw new S3Error(404, "NoSuchKey");
      objects.set(key, found);
      return xml(`<CopyObjectResult><ETag>"${found.etag}"</ETag></CopyObjectResult>`);
    }
    case "POST uploads":
      return beginUpload(fake, call);
    case "PUT part": {
      const upload = findUpload(fake, call);
      const md5 = md5Of(fake, body);
      const part = { bytes: body, md5, crc32c: call.sum ?? await crc32cOf(body) };
      upload.parts.set(Number(call.query.get("partNumber")), part);
      const crc32c = headers.get("x-amz-checksum-crc32c");
      return new Response(null, {
        headers: {
          etag: `"${md5.toString("hex")}"`,
          ...(upload.checks && crc32c !== null ? { "x-amz-checksum-crc32c": crc32c } : {}),
        },
      });
    }
    case "POST complete":
      return complete(fake, call);
    case "DELETE upload":
      findUpload(fake, call);
      fake.uploads.delete(call.query.get("uploadId")!);
      return new Response(null, { status: 204 });
    case "GET object":
    case "HEAD object":
      return read(fake, call);
    case "DELETE object":
      objects.delete(key);
      return new Response(null, { status: 204 });
    case "GET list":
      return list(call);
    case "GET uploads":
      return listUploads(fake, call);
    default:
      throw new S3Error(501, "NotImplemented");
  }
}

function store(
  { options }: FakeS3,
  { objects, key }: Performed,
  pieces: readonly Uint8Array<ArrayBuffer>[],
  etag: string,
  crc32c: string | null,
  contentType: string | null,
): FakeObject {
  const tag = options.kms === true ? crypto.randomUUID().replaceAll("-", "") : etag;
  const object = new FakeObject(pieces, tag, options.checksums === false ? null : crc32c, contentType);
  objects.set(key, object);
  return object;
}

function describe({ options }: FakeS3, { etag, crc32c, contentType }: FakeObject): Record<string, string> {
  return {
    etag: `"${etag}"`,
    ...(crc32c === null ? {} : { "x-amz-checksum-crc32c": crc32c, "x-amz-checksum-type": "FULL_OBJECT" }),
    ...(contentType === null ? {} : { "content-type": contentType }),
    ...(options.kms === true ? { "x-amz-server-side-encryption": "aws:kms" } : {}),
  };
}

function beginUpload(fake: FakeS3, { bucket, key, headers }: Performed): Response {
  const checks = fake.options.checksums !== false && headers.get("x-amz-checksum-algorithm") === "CRC32C";
  const id = crypto.randomUUID();
  fake.uploads.set(id, { bucket, key, contentType: headers.get("content-type"), checks, parts: new Map() });
  return xml(
    `<InitiateMultipartUploadResult><Key>${
      escape(key)
    }</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
    checks ? { "x-amz-checksum-algorithm": "CRC32C", "x-amz-checksum-type": "FULL_OBJECT" } : {},
  );
}

function findUpload(fake: FakeS3, { query, bucket, key }: Performed): Upload {
  const upload = fake.uploads.get(query.get("uploadId") ?? "");
  if (upload === undefined || upload.bucket !== bucket || upload.key !== key) throw new S3Error(404, "NoSuchUpload");
  return upload;
}

function complete(fake: FakeS3, call: Performed): Response {
  const upload = findUpload(fake, call);
  const named = [...new TextDecoder().decode(call.body).matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)];
  const parts = named.map(([, number]) => upload.parts.get(Number(number)));
  if (parts.length === 0) throw new S3Error(400, "MalformedXML");
  const found = parts.map((part) => {
    if (part === undefined) throw new S3Error(400, "InvalidPart");
    return part;
  });
  const crc32c = upload.checks ? joinSums(found) : null;
  const wanted = call.headers.get("x-amz-checksum-crc32c");
  if (crc32c !== null && wanted !== null && wanted !== crc32c) throw new S3Error(400, "BadDigest");
  const tag = createHash("md5");
  for (const part of found) tag.update(part.md5);
  const etag = `${tag.digest("hex")}-${found.length}`;
  const object = store(fake, call, found.map(({ bytes }) => bytes), etag, crc32c, upload.contentType);
  fake.uploads.delete(call.query.get("uploadId")!);
  const checksum = object.crc32c === null ? "" : `<ChecksumCRC32C>${object.crc32c}</ChecksumCRC32C>`;
  return xml(
    `<CompleteMultipartUploadResult><ETag>"${object.etag}"</ETag>${checksum}</CompleteMultipartUploadResult>`,
    fake.options.kms === true ? { "x-amz-server-side-encryption": "aws:kms" } : {},
  );
}

function joinSums(parts: readonly Part[]): string {
  const number = ({ crc32c }: Part) => Number(crcToDecimal(crc32c));
  const [first, ...rest] = parts;
  return crcToBase64(
    String(rest.reduce((sum, part) => joinCrc32c(sum, number(part), part.bytes.length), number(first!))),
  );
}

function read(fake: FakeS3, { objects, key, headers, operation }: Performed): Response {
  const object = objects.get(key);
  if (object === undefined) throw new S3Error(404, "NoSuchKey");
  const range = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range") ?? "");
  const from = Number(range?.[1] ?? 0);
  if (range !== null && from >= object.bytes.length) throw new S3Error(416, "InvalidRange");
  const bytes = range === null ? object.bytes : object.bytes.subarray(from, Number(range[2]) + 1);
  const isHead = operation === "HEAD object";
  return new Response(isHead ? null : bytes, {
    status: range === null ? 200 : 206,
    headers: { ...describe(fake, object), "content-length": String(bytes.length) },
  });
}

/** Small pages, so that every test meets several. */
const PAGE = 3;

function list({ objects, query }: Performed): Response {
  const prefix = query.get("prefix") ?? "";
  const after = query.get("continuation-token") ?? "";
  const keys = [...objects.keys()].filter((key) =>
    key.startsWith(prefix) && (after === "" || compareKeys(key, after) > 0)
  )
    .sort(compareKeys);
  const page = keys.slice(0, Math.min(PAGE, Number(query.get("max-keys") ?? PAGE)));
  const contents = page.map((key) => {
    const { size, etag } = objects.get(key)!;
    return `<Contents><Key>${escape(key)}</Key><Size>${size}</Size><ETag>"${etag}"</ETag></Contents>`;
  });
  const isTruncated = keys.length > page.length;
  const next = isTruncated ? `<NextContinuationToken>${escape(page.at(-1)!)}</NextContinuationToken>` : "";
  return xml(
    `<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${next}${contents.join("")}</ListBucketResult>`,
  );
}

function listUploads(fake: FakeS3, { bucket, query }: Performed): Response {
  const prefix = query.get("prefix") ?? "";
  const after = query.get("upload-id-marker");
  const all = [...fake.uploads].filter(([, upload]) => upload.bucket === bucket && upload.key.startsWith(prefix))
    .sort(([a], [b]) => a < b ? -1 : 1).filter(([id]) => after === null || id > after);
  const page = all.slice(0, 1);
  const uploads = page.map(([id, { key }]) => `<Upload><Key>${escape(key)}</Key><UploadId>${id}</UploadId></Upload>`);
  const last = page.at(-1);
  const next = all.length > page.length && last !== undefined
    ? `<NextKeyMarker>${escape(last[1].key)}</NextKeyMarker><NextUploadIdMarker>${last[0]}</NextUploadIdMarker>`
    : "";
  return xml(
    `<ListMultipartUploadsResult><IsTruncated>${next !== ""}</IsTruncated>${next}${
      uploads.join("")
    }</ListMultipartUploadsResult>`,
  );
}

function xml(text: string, headers: Record<string, string> = {}): Response {
  return new Response(`<?xml version="1.0" encoding="UTF-8"?>${text}`, {
    headers: { "content-type": "application/xml", ...headers },
  });
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
