// Google Cloud Storage. An object is visible only when it is whole; nothing here ever creates or removes a bucket.

import { Readable } from "node:stream";
import type { Bucket, FileMetadata, Storage } from "@google-cloud/storage";
import { CAPABILITIES } from "./capabilities.ts";
import type { Destination, PutOptions, StoredObject } from "./destination.ts";
import { connectGcs } from "./gcs_client.ts";
import { gcsCode, isExpiredGcs, toGcsError } from "./gcs_error.ts";
import { gcsBlockStore, toStored } from "./gcs_upload.ts";
import { checkKey, QUARANTINE, quarantineKey } from "./key.ts";
import { type OpenOptions, REQUEST_TIMEOUT_MS } from "./options.ts";
import { RenewableClient } from "./renew.ts";
import type { GcsLocation, ResolvedDestination } from "./resolved.ts";
import { type Translate, upload, uploadOptions } from "./upload.ts";

export { withGcsCredentials } from "./gcs_client.ts";

/** Opens a bucket with an access token already had. */
export function openGcs(
  location: GcsLocation,
  refresh: () => Promise<ResolvedDestination>,
  options: OpenOptions,
): Destination {
  const clients = new RenewableClient<GcsLocation, Storage>({
    location,
    refresh,
    connect: connectGcs,
    close: () => {},
    isExpired: isExpiredGcs,
  });
  return new GcsDestination(location, clients, options);
}

class GcsDestination implements Destination {
  readonly capabilities = CAPABILITIES.gcs;
  readonly uri: string;

  constructor(
    private readonly location: GcsLocation,
    private readonly clients: RenewableClient<GcsLocation, Storage>,
    private readonly options: OpenOptions,
  ) {
    this.uri = `gs://${location.bucket}/${location.prefix}`;
  }

  put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredObject> {
    const store = {
      call: <T>(ask: (bucket: Bucket) => Promise<T>) => this.#call(ask),
      uri: this.uri,
      requestTimeoutMs: this.options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      onWarning: this.options.onWarning ?? (() => {}),
    };
    const limits = uploadOptions(options, this.location.oneshotBudgetMb, this.options);
    const translate: Translate = (call) =>
      this.#translate("write", key, "storage.objects.create and storage.objects.delete", call);
    return upload(body, gcsBlockStore(store, key, this.#objectKey(key), options), translate, limits);
  }

  get(key: string, range?: { offset: number; length: number }): Promise<ReadableStream<Uint8Array> | null> {
    const objectKey = this.#objectKey(key);
    const span = range === undefined ? {} : { start: range.offset, end: range.offset + range.length - 1 };
    return this.#translate("read", key, "storage.objects.get", async () => {
      const metadata = await this.#metadata(objectKey);
      if (metadata === null) return null;
      if (range !== undefined && range.offset >= Number(metadata.size)) return new Blob([]).stream();
      return await this.#call((bucket) => {
        const stream = bucket.file(objectKey).createReadStream({ ...span, validation: false, decompress: false });
        return Promise.resolve(Readable.toWeb(stream) as ReadableStream<Uint8Array>);
      });
    });
  }

  stat(key: string): Promise<StoredObject | null> {
    return this.#translate("read", key, "storage.objects.get", async () => {
      const metadata = await this.#metadata(this.#objectKey(key));
      return metadata === null ? null : toStored(key, metadata);
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const { prefix: root } = this.location;
    let pageToken: string | undefined;
    do {
      const [files, next] = await this.#translate(
        "read",
        prefix,
        "storage.objects.list",
        () =>
          this.#call((bucket) =>
            bucket.getFiles({
              prefix: root + prefix,
              autoPaginate: false,
              ...(pageToken === undefined ? {} : { pageToken }),
            })
          ),
      );
      for (const { name, metadata } of files) {
        const key = name.slice(root.length);
        if (key !== "" && !key.startsWith(QUARANTINE)) yield toStored(key, metadata);
      }
      pageToken = (next as { pageToken?: string } | null)?.pageToken;
    } while (pageToken !== undefined);
  }

  remove(key: string): Promise<void> {
    const objectKey = this.#objectKey(key);
    return this.#translate("write", key, "storage.objects.delete", () => this.#delete(objectKey));
  }

  quarantine(key: string, runId: string): Promise<void> {
    const { prefix } = this.location;
    return this.#translate("write", key, "storage.objects.get, .create and .delete", async () => {
      const from = this.#objectKey(key);
      if (await this.#metadata(from) === null) return;
      let attempt = 0;
      while (await this.#metadata(prefix + quarantineKey(key, runId, attempt)) !== null) attempt++;
      const to = prefix + quarantineKey(key, runId, attempt);
      await this.#call((bucket) => bucket.file(from).copy(bucket.file(to)));
      await this.#delete(from);
    });
  }

  /** A session that a killed process left shows to nobody, cannot be listed, and is forgotten by the store after a week. */
  sweep(): Promise<number> {
    return Promise.resolve(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.clients.close();
    return Promise.resolve();
  }

  #objectKey(key: string): string {
    checkKey(key);
    return this.location.prefix + key;
  }

  #call<T>(ask: (bucket: Bucket) => Promise<T>): Promise<T> {
    return this.clients.call((client) => ask(client.bucket(this.location.bucket)));
  }

  async #metadata(objectKey: string): Promise<FileMetadata | null> {
    try {
      return await this.#call(async (bucket) => (await bucket.file(objectKey).getMetadata())[0]);
    } catch (error) {
      if (gcsCode(error) !== 404) throw error;
      // The same status for a missing bucket, which must not look like a missing object: a listing tells.
      await this.#call((bucket) => bucket.getFiles({ prefix: objectKey, maxResults: 1, autoPaginate: false })).catch(
        (e) => {
          if (gcsCode(e) === 404) throw e;
        },
      );
      return null;
    }
  }

  async #delete(objectKey: string): Promise<void> {
    await this.#call((bucket) => bucket.file(objectKey).delete({ ignoreNotFound: true }));
  }

  async #translate<T>(action: "write" | "read", key: string, permission: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw toGcsError(error, action, this.uri + key, permission);
    }
  }
}
