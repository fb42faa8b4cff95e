// A Google Cloud Storage server in memory: JSON API with simple, multipart and resumable uploads, checksums, generations, pages and
// tokens. It does wrong only when a test asks for it.

import { createHash } from "node:crypto";
import { crc32cOf } from "../../src/destination/digest.ts";
import { compareKeys } from "../../src/destination/key.ts";

export interface GcsObject {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly generation: number;
  readonly contentType: string | null;
}

interface Session {
  readonly bucket: string;
  readonly name: string;
  readonly contentType: string | null;
  bytes: Uint8Array<ArrayBuffer>;
  isDone: boolean;
}

/** `POST multipart`, `POST resumable`, `PUT block`, `PUT status`, `GET object`, `GET media`, `GET list` … */
export interface GcsCall {
  readonly operation: string;
  /** How many calls of this operation there were, this one included. */
  readonly count: number;
}

export type GcsFault =
  | { readonly kind: "refuse"; readonly status: number }
  /** The operation is done, and the answer says it was not. */
  | { readonly kind: "late"; readonly status: number }
  /** Only this many bytes of a block are kept. */
  | { readonly kind: "short"; readonly bytes: number }
  /** One byte of what arrived is flipped. */
  | { readonly kind: "corrupt" }
  /** No answer before the server closes. */
  | { readonly kind: "hang" };

export interface FakeGcsOptions {
  readonly buckets?: readonly string[];
  /** Valid access tokens; without it everybody is let in. */
  readonly tokens?: Set<string>;
  readonly latencyMs?: number;
  readonly fault?: (call: GcsCall) => GcsFault | undefined;
}

export interface FakeGcs extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly buckets: Map<string, Map<string, GcsObject>>;
  readonly sessions: Map<string, Session>;
  readonly calls: GcsCall[];
  readonly closing: Promise<void>;
  options: FakeGcsOptions;
}

class GcsError extends Error {
  constructor(readonly status: number) {
    super(String(status));
  }
}

export function startGcsFake(options: FakeGcsOptions = {}): FakeGcs {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => answer(fake, request));
  const { port } = server.addr;
  const closing = Promise.withResolvers<void>();
  const fake: FakeGcs = {
    url: `http://127.0.0.1:${port}`,
    port,
    buckets: new Map((options.buckets ?? ["bucket"]).map((name) => [name, new Map()])),
    sessions: new Map(),
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

interface Asked {
  readonly operation: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly fault: GcsFault | undefined;
}

async function answer(fake: FakeGcs, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const operation = operationOf(request.method, url, request.headers);
  const call = { operation, count: fake.calls.filter((call) => call.operation === operation).length + 1 };
  fake.calls.push(call);
  try {
    const body = new Uint8Array(await request.arrayBuffer());
    const { tokens, latencyMs } = fake.options;
    if (latencyMs !== undefined) await new Promise((done) => setTimeout(done, latencyMs));
    const fault = fake.options.fault?.(call);
    if (fault?.kind === "hang") await fake.closing;
    if (fault?.kind === "refuse") throw new GcsError(fault.status);
    // A session's address is a secret of its own.
    const token = request.headers.get("authorization")?.replace("Bearer ", "");
    if (tokens !== undefined && !url.searchParams.has("upload_id") && !tokens.has(token ?? "")) throw new GcsError(401);
    const done = await perform(fake, { operation, url, headers: request.headers, body, fault });
    if (fault?.kind === "late") throw new GcsError(fault.status);
    return done;
  } catch (error) {
    // A connection that was cut is nobody to answer.
    if (!(error instanceof GcsError) && !(error instanceof Deno.errors.BadResource)) console.error(error);
    const code = error instanceof GcsError ? error.status : 500;
    return Response.json({ error: { code, message: "no", errors: [{ message: "no", reason: "fake" }] } }, {
      status: code,
    });
  }
}

const OBJECT = /^\/(?:download\/)?storage\/v1\/b\/([^/]+)\/o\/([^/]+)$/;
const COPY = /^\/storage\/v1\/b\/([^/]+)\/o\/([^/]+)\/(?:rewriteTo|copyTo)\/b\/[^/]+\/o\/([^/]+)$/;

function operationOf(method: string, url: URL, headers: Headers): string {
  const query = url.searchParams;
  if (query.has("upload_id")) {
    if (method === "DELETE") return "DELETE session";
    return headers.get("content-range")?.startsWith("bytes */") === true && headers.get("x-goog-hash") === null
      ? "PUT status"
      : "PUT block";
  }
  if (query.get("uploadType") !== null) return `POST ${query.get("uploadType")}`;
  if (COPY.test(url.pathname)) return "POST copy";
  if (OBJECT.test(url.pathname)) return query.get("alt") === "media" ? "GET media" : `${method} object`;
  return "GET list";
}

async function perform(fake: FakeGcs, asked: Asked): Promise<Response> {
  const { url, operation, headers } = asked;
  const query = url.searchParams;
  switch (operation) {
    case "POST multipart": {
      const { metadata, bytes } = splitMultipart(asked.body, headers.get("content-type") ?? "");
      const bucket = url.pathname.split("/").at(-2)!;
      return await store(
        fake,
        bucket,
        query.get("name") ?? metadata.name!,
        bytes,
        metadata.crc32c,
        metadata.contentType,
        asked,
      );
    }
    case "POST resumable": {
      const bucket = url.pathname.split("/").at(-2)!;
      objectsOf(fake, bucket);
      const id = crypto.randomUUID();
      const metadata = JSON.parse(new TextDecoder().decode(asked.body)) as { name?: string; contentType?: string };
      const contentType = headers.get("x-upload-content-type") ?? metadata.contentType ?? null;
      const name = query.get("name") ?? metadata.name!;
      fake.sessions.set(id, { bucket, name, contentType, bytes: new Uint8Array(), isDone: false });
      const host = headers.get("host") ?? url.host;
      return new Response(null, {
        headers: { location: `http://${host}/upload/storage/v1/b/${bucket}/o?uploadType=resumable&upload_id=${id}` },
      });
    }
    case "PUT block":
    case "PUT status":
      return await putBlock(fake, asked);
    case "DELETE session":
      fake.sessions.delete(query.get("upload_id")!);
      return new Response(null, { status: 499 });
    case "GET list":
      return await list(fake, url);
    default:
      return await performObject(fake, asked);
  }
}

async function performObject(fake: FakeGcs, { url, operation, headers }: Asked): Promise<Response> {
  const copy = COPY.exec(url.pathname);
  const [, bucket = "", name = ""] = copy ?? OBJECT.exec(url.pathname) ?? [];
  const objects = objectsOf(fake, bucket);
  const object = objects.get(decodeURIComponent(name));
  if (object === undefined) throw new GcsError(404);
  switch (operation) {
    case "POST copy": {
      const to = decodeURIComponent(copy![3]!);
      objects.set(to, { ...object, generation: nextGeneration++ });
      return Response.json({ done: true, resource: await describe(bucket, to, objects.get(to)!) });
    }
    case "DELETE object":
      objects.delete(decodeURIComponent(name));
      return new Response(null, { status: 204 });
    case "GET media": {
      const range = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "");
      const end = range?.[2] === undefined || range[2] === "" ? object.bytes.length : Number(range[2]) + 1;
      return new Response(object.bytes.subarray(Number(range?.[1] ?? 0), end), { status: range === null ? 200 : 206 });
    }
    default:
      return Response.json(await describe(bucket, decodeURIComponent(name), object));
  }
}

let nextGeneration = 1;

function objectsOf(fake: FakeGcs, bucket: string): Map<string, GcsObject> {
  const objects = fake.buckets.get(bucket);
  if (objects === undefined) throw new GcsError(404);
  return objects;
}

async function store(
  fake: FakeGcs,
  bucket: string,
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  crc32c: string | undefined,
  contentType: string | null | undefined,
  asked: Asked,
): Promise<Response> {
  const objects = objectsOf(fake, bucket);
  if (asked.fault?.kind === "corrupt" && bytes.length > 0) bytes[bytes.length >> 1]! ^= 1;
  if (crc32c !== undefined && crc32c !== await crc32cOf(bytes)) throw new GcsError(400);
  const object = { bytes, generation: nextGeneration++, contentType: contentType ?? null };
  objects.set(name, object);
  return Response.json(await describe(bucket, name, object));
}

async function putBlock(fake: FakeGcs, asked: Asked): Promise<Response> {
  const id = asked.url.searchParams.get("upload_id")!;
  const session = fake.sessions.get(id);
  if (session === undefined) throw new GcsError(404);
  if (session.isDone) {
    const { bucket, name } = session;
    return Response.json(await describe(bucket, name, objectsOf(fake, bucket).get(name)!));
  }
  const [, first, , total] = /^bytes (\*|(\d+)-\d+)\/(\d+|\*)$/.exec(asked.headers.get("content-range") ?? "") ?? [];
  if (first === undefined) throw new GcsError(400);
  if (first !== "*") {
    const from = Number(first.split("-")[0]);
    if (from > session.bytes.length) throw new GcsError(503);
    // Bytes that the store has already are ignored.
    const fresh = asked.body.subarray(session.bytes.length - from);
    const kept = asked.fault?.kind === "short" ? fresh.subarray(0, asked.fault.bytes) : fresh;
    session.bytes = new Uint8Array(await new Blob([session.bytes, kept]).arrayBuffer());
  }
  if (total === undefined || total === "*" || session.bytes.length < Number(total)) {
    const range = session.bytes.length === 0 ? {} : { range: `bytes=0-${session.bytes.length - 1}` };
    return new Response(null, { status: 308, headers: range });
  }
  const crc32c = /crc32c=([^,]+)/.exec(asked.headers.get("x-goog-hash") ?? "")?.[1];
  session.isDone = true;
  return await store(fake, session.bucket, session.name, session.bytes, crc32c, session.contentType, asked);
}

/** Small pages, so that every test meets several. */
const PAGE = 3;

async function list(fake: FakeGcs, url: URL): Promise<Response> {
  const bucket = url.pathname.split("/").at(-2)!;
  const prefix = url.searchParams.get("prefix") ?? "";
  const after = url.searchParams.get("pageToken") ?? "";
  const objects = objectsOf(fake, bucket);
  const names = [...objects.keys()].filter((name) =>
    name.startsWith(prefix) && (after === "" || compareKeys(name, after) > 0)
  )
    .sort(compareKeys);
  const page = names.slice(0, Math.min(PAGE, Number(url.searchParams.get("maxResults") ?? PAGE)));
  const items = await Promise.all(page.map((name) => describe(bucket, name, objects.get(name)!)));
  return Response.json({
    kind: "storage#objects",
    items,
    ...(names.length > page.length ? { nextPageToken: page.at(-1) } : {}),
  });
}

async function describe(bucket: string, name: string, { bytes, generation, contentType }: GcsObject) {
  return {
    kind: "storage#object",
    bucket,
    name,
    generation: String(generation),
    size: String(bytes.length),
    md5Hash: createHash("md5").update(bytes).digest("base64"),
    crc32c: await crc32cOf(bytes),
    contentType,
  };
}

function splitMultipart(body: Uint8Array, contentType: string) {
  const boundary = /boundary="?([^";]+)/.exec(contentType)?.[1] ?? "";
  const text = new TextDecoder("latin1").decode(body);
  const starts: number[] = [];
  for (let at = text.indexOf(`--${boundary}`); at >= 0; at = text.indexOf(`--${boundary}`, at + 1)) starts.push(at);
  const parts = starts.slice(0, -1).map((start, i) => {
    const from = text.indexOf("\r\n\r\n", start) + 4;
    return body.slice(from, starts[i + 1]! - 2);
  });
  const metadata = JSON.parse(new TextDecoder().decode(parts[0])) as {
    name?: string;
    crc32c?: string;
    contentType?: string;
  };
  return { metadata, bytes: parts[1] as Uint8Array<ArrayBuffer> };
}
