// How Google Cloud Storage takes an object: small ones at once, large ones block by block in a resumable session. The last request
// carries the CRC32C of the whole, so that the store refuses other bytes before anybody sees them.

import { RivetError } from "../errors.ts";
import { sleep } from "../runtime.ts";
import type { Block } from "./blocks.ts";
import type { Digests, PutOptions, StoredObject } from "./destination.ts";
import { type ByteHash, crc32cOf, crcToBase64, crcToDecimal, openCrc32c } from "./digest.ts";
import {
  GCS_ATTEMPTS,
  type GcsApi,
  type GcsObjectResource,
  GcsStatusError,
  isTransientGcs,
  retryDelayMs,
  uploadPath,
} from "./gcs_api.ts";
import type { BlockStore, BlockUpload } from "./upload.ts";

export interface GcsStore {
  readonly call: <T>(ask: (api: GcsApi) => Promise<T>) => Promise<T>;
  readonly onWarning: (message: string) => void;
}

const CANCEL_TIMEOUT_MS = 15_000;

export function gcsBlockStore(store: GcsStore, key: string, objectKey: string, options: PutOptions): BlockStore<void> {
  const { contentType } = options;
  return {
    putWhole: async (bytes, signal) => {
      const crc32c = options.expected === undefined ? await crc32cOf(bytes) : crcToBase64(options.expected().crc32c);
      const { body, boundary } = toMultipart({ name: objectKey, contentType, crc32c }, contentType, bytes);
      const resource = await store.call((api) =>
        api.json<GcsObjectResource>({
          method: "POST",
          url: uploadPath(api.bucket),
          query: { uploadType: "multipart" },
          headers: { "content-type": `multipart/related; boundary=${boundary}` },
          body,
          signal,
        })
      );
      return toStored(key, resource);
    },
    begin: async (signal) => {
      const response = await store.call((api) =>
        api.send({
          method: "POST",
          url: uploadPath(api.bucket),
          query: { uploadType: "resumable" },
          headers: { "content-type": "application/json; charset=UTF-8", "x-upload-content-type": contentType },
          body: JSON.stringify({ name: objectKey, contentType }),
          signal,
        })
      );
      await response.body?.cancel();
      const url = response.headers.get("location");
      if (url === null) {
        throw new RivetError("RIVET_DEST_WRITE_FAILED", "The store opened an upload without an address");
      }
      return new Session(store, key, url, options, options.expected === undefined ? await openCrc32c() : null);
    },
  };
}

function toMultipart(metadata: Record<string, string>, contentType: string, bytes: Uint8Array<ArrayBuffer>) {
  const boundary = `rivet-${crypto.randomUUID()}`;
  const head = `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata)}\r\n` +
    `--${boundary}\r\ncontent-type: ${contentType}\r\n\r\n`;
  return { boundary, body: new Blob([head, bytes, `\r\n--${boundary}--\r\n`]) };
}

/** One resumable upload. The store takes blocks in order, one at a time; the address is a secret and needs no other. */
class Session implements BlockUpload<void> {
  #queue: Promise<void> = Promise.resolve();
  /** Bytes the store has acknowledged. */
  #offset = 0;
  #stored: GcsObjectResource | null = null;
  #crc32c: string | null = null;

  constructor(
    private readonly store: GcsStore,
    private readonly key: string,
    private readonly url: string,
    private readonly options: PutOptions,
    private readonly hash: ByteHash | null,
  ) {}

  putBlock(block: Block, signal: AbortSignal): Promise<void> {
    this.hash?.update(block.bytes);
    return this.#queue = this.#queue.then(() => this.#send(block, signal));
  }

  complete(_parts: readonly void[], size: number): Promise<StoredObject> {
    if (this.#stored === null || Number(this.#stored.size) !== size) {
      throw new RivetError("RIVET_DEST_UPLOAD_CORRUPTED", "The store holds an object of another size", {
        where: this.key,
        retry: "destination",
      });
    }
    return Promise.resolve(toStored(this.key, this.#stored));
  }

  async abort(): Promise<void> {
    try {
      const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
      const answers = [404, 410, 499];
      const response = await this.store.call((api) => api.send({ method: "DELETE", url: this.url, signal, answers }));
      await response.body?.cancel();
    } catch (error) {
      const name = error instanceof Error ? error.name : "unknown";
      this.store.onWarning(`an upload of '${this.key}' was left open (${name}): the store forgets it after a week`);
    }
  }

  /** Sends one block, from where the store says it stands, until it has all of it. */
  async #send(block: Block, signal: AbortSignal): Promise<void> {
    const start = this.#offset;
    const end = start + block.bytes.length;
    for (let attempt = 1;; attempt++) {
      try {
        if (attempt > 1 && await this.#askOffset(end, block.isLast, signal)) return;
        if (await this.#putRest(block.bytes.subarray(this.#offset - start), end, block.isLast, signal)) return;
        if (attempt === GCS_ATTEMPTS) throw new GcsStatusError(408);
      } catch (error) {
        signal.throwIfAborted();
        if (attempt === GCS_ATTEMPTS || !isTransientGcs(error)) throw error;
        await sleep(retryDelayMs(error, attempt), signal);
      }
    }
  }

  /** Returns whether the store has everything up to `end`. */
  async #putRest(rest: Uint8Array<ArrayBuffer>, end: number, isLast: boolean, signal: AbortSignal): Promise<boolean> {
    const span = rest.length === 0 ? "*" : `${end - rest.length}-${end - 1}`;
    const headers = isLast ? { "x-goog-hash": `crc32c=${this.#expectedCrc32c()}` } : {};
    return await this.#exchange(`bytes ${span}/${isLast ? end : "*"}`, headers, rest, end, isLast, signal);
  }

  /** After a broken request: how far did it get? */
  async #askOffset(end: number, isLast: boolean, signal: AbortSignal): Promise<boolean> {
    return await this.#exchange(`bytes */${isLast ? end : "*"}`, {}, "", end, isLast, signal);
  }

  async #exchange(
    range: string,
    headers: Record<string, string>,
    body: BodyInit,
    end: number,
    isLast: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const response = await this.store.call((api) =>
      // One attempt: what comes next depends on how far this one got.
      api.send({
        method: "PUT",
        url: this.url,
        headers: { "content-range": range, ...headers },
        body,
        signal,
        attempts: 1,
        answers: [308, 404],
      })
    );
    // The session is gone, not the bucket: the next try of the whole upload begins another.
    if (response.status === 404) {
      await response.body?.cancel();
      throw new GcsStatusError(410);
    }
    return await this.#readAnswer(response, end, isLast);
  }

  async #readAnswer(response: Response, end: number, isLast: boolean): Promise<boolean> {
    if (response.status === 308) {
      await response.body?.cancel();
      const range = /-(\d+)$/.exec(response.headers.get("range") ?? "");
      this.#offset = range === null ? 0 : Number(range[1]) + 1;
      return !isLast && this.#offset === end;
    }
    if (!isLast) {
      await response.body?.cancel();
      throw new GcsStatusError(400);
    }
    this.#stored = await response.json();
    this.#offset = end;
    return true;
  }

  #expectedCrc32c(): string {
    return this.#crc32c ??= this.hash?.digest() ?? crcToBase64(this.options.expected!().crc32c);
  }
}

export function toStored(key: string, resource: GcsObjectResource): StoredObject {
  return { key, size: Number(resource.size), digests: toDigests(resource) };
}

function toDigests({ md5Hash, crc32c, generation }: GcsObjectResource): Digests {
  return {
    ...(md5Hash === undefined ? {} : { md5: md5Hash }),
    ...(crc32c === undefined ? {} : { crc32c: crcToDecimal(crc32c) }),
    // Every write of an object gives it a new generation.
    ...(generation === undefined ? {} : { etag: generation }),
  };
}
