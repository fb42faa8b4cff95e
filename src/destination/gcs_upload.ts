// How Google Cloud Storage takes an object: small ones at once, large ones block by block in a resumable session. The last request
// carries the CRC32C of the whole, so that the store refuses other bytes before anybody sees them.

import type { Bucket, FileMetadata } from "@google-cloud/storage";
import { RivetError } from "../errors.ts";
import { sleep } from "../runtime.ts";
import type { Block } from "./blocks.ts";
import type { Digests, PutOptions, StoredObject } from "./destination.ts";
import { crc32cOf, crcToBase64, crcToDecimal, openCrc32c } from "./digest.ts";
import { GCS_RETRIES } from "./gcs_client.ts";
import { toRefusalError } from "./refusal.ts";
import { kindOf } from "./gcs_error.ts";
import type { BlockStore, BlockUpload } from "./upload.ts";

export interface GcsStore {
  readonly call: <T>(ask: (bucket: Bucket) => Promise<T>) => Promise<T>;
  readonly uri: string;
  readonly requestTimeoutMs: number;
  readonly onWarning: (message: string) => void;
}

const RETRY_DELAY_MS = 200;
const RETRY_DELAY_MS_MAX = 10_000;
const CANCEL_TIMEOUT_MS = 15_000;

export function gcsBlockStore(store: GcsStore, key: string, objectKey: string, options: PutOptions): BlockStore<void> {
  return {
    putWhole: async (bytes) => {
      const crc32c = options.expected === undefined ? await crc32cOf(bytes) : crcToBase64(options.expected().crc32c);
      const metadata = await store.call(async (bucket) => {
        const file = bucket.file(objectKey);
        await file.save(bytes, {
          resumable: false,
          validation: false,
          metadata: { contentType: options.contentType, crc32c },
        });
        return file.metadata;
      });
      return toStored(key, metadata);
    },
    begin: async (signal) => {
      const [uri] = await store.call((bucket) =>
        bucket.file(objectKey).createResumableUpload({ metadata: { contentType: options.contentType } })
      );
      signal.throwIfAborted();
      return new Session(store, key, uri, options, options.expected === undefined ? await openCrc32c() : null);
    },
  };
}

/** One resumable upload. The store takes blocks in order, one at a time. */
class Session implements BlockUpload<void> {
  #queue: Promise<void> = Promise.resolve();
  /** Bytes the store has acknowledged. */
  #offset = 0;
  #stored: FileMetadata | null = null;

  constructor(
    private readonly store: GcsStore,
    private readonly key: string,
    private readonly uri: string,
    private readonly options: PutOptions,
    private readonly hash: Awaited<ReturnType<typeof openCrc32c>> | null,
  ) {}

  putBlock(block: Block, signal: AbortSignal): Promise<void> {
    this.hash?.update(block.bytes);
    return this.#queue = this.#queue.then(() => this.#send(block, signal));
  }

  complete(_parts: readonly void[], size: number): Promise<StoredObject> {
    if (this.#stored === null || Number(this.#stored.size) !== size) throw this.#refusal("corrupted", "size");
    return Promise.resolve(toStored(this.key, this.#stored));
  }

  async abort(): Promise<void> {
    try {
      const response = await fetch(this.uri, { method: "DELETE", signal: AbortSignal.timeout(CANCEL_TIMEOUT_MS) });
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
        const isDone = await this.#put(block.bytes.subarray(this.#offset - start), end, block.isLast, signal);
        if (isDone) return;
      } catch (error) {
        signal.throwIfAborted();
        const isFinal = error instanceof RivetError && error.retry === "never";
        if (isFinal) throw error;
        if (attempt > GCS_RETRIES) {
          throw error instanceof RivetError ? error : this.#refusal("network", nameOf(error), error);
        }
      }
      if (attempt > GCS_RETRIES) throw this.#refusal("busy", "incomplete");
      const delayMs = Math.min(RETRY_DELAY_MS * 2 ** (attempt - 1), RETRY_DELAY_MS_MAX);
      await sleep(delayMs * (0.5 + Math.random() / 2), signal);
    }
  }

  /** Returns whether the store has everything up to `end`. */
  async #put(bytes: Uint8Array<ArrayBuffer>, end: number, isLast: boolean, signal: AbortSignal): Promise<boolean> {
    const from = end - bytes.length;
    const span = bytes.length === 0 ? "*" : `${from}-${end - 1}`;
    const headers: Record<string, string> = { "content-range": `bytes ${span}/${isLast ? end : "*"}` };
    if (isLast) headers["x-goog-hash"] = `crc32c=${this.#expectedCrc32c()}`;
    return await this.#exchange({ method: "PUT", headers, body: bytes }, end, isLast, signal);
  }

  /** After a broken request: how far did it get? */
  async #askOffset(end: number, isLast: boolean, signal: AbortSignal): Promise<boolean> {
    const total = isLast ? String(end) : "*";
    return await this.#exchange(
      { method: "PUT", headers: { "content-range": `bytes */${total}` } },
      end,
      isLast,
      signal,
    );
  }

  async #exchange(request: RequestInit, end: number, isLast: boolean, signal: AbortSignal): Promise<boolean> {
    const timeout = AbortSignal.timeout(this.store.requestTimeoutMs);
    const response = await fetch(this.uri, { ...request, signal: AbortSignal.any([signal, timeout]) });
    const text = await response.text();
    if (response.status === 308) {
      const range = /-(\d+)$/.exec(response.headers.get("range") ?? "");
      this.#offset = range === null ? 0 : Number(range[1]) + 1;
      return !isLast && this.#offset === end;
    }
    if (!response.ok) throw this.#refusal(kindOf(response.status), String(response.status));
    if (!isLast) throw this.#refusal("corrupted", "early end");
    this.#stored = JSON.parse(text) as FileMetadata;
    this.#offset = end;
    return true;
  }

  #crc32c: string | null = null;

  #expectedCrc32c(): string {
    return this.#crc32c ??= this.hash?.digest() ?? crcToBase64(this.options.expected!().crc32c);
  }

  #refusal(kind: Parameters<typeof toRefusalError>[0]["kind"], code: string, cause?: unknown): RivetError {
    // A session that is gone is begun anew by the next try of the whole upload.
    const known = kind === "container" ? "network" : kind;
    const permission = "storage.objects.create and storage.objects.delete";
    return toRefusalError({ kind: known, code, action: "write", where: this.store.uri + this.key, permission, cause });
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "Error";
}

export function toStored(key: string, metadata: FileMetadata): StoredObject {
  return { key, size: Number(metadata.size), digests: toDigests(metadata) };
}

function toDigests({ md5Hash, crc32c, generation }: FileMetadata): Digests {
  return {
    ...(md5Hash === undefined ? {} : { md5: md5Hash }),
    ...(crc32c === undefined ? {} : { crc32c: crcToDecimal(crc32c) }),
    // Every write of an object gives it a new generation.
    ...(generation === undefined ? {} : { etag: String(generation) }),
  };
}
