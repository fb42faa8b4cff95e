// Google Cloud Storage. An object is visible only when it is whole; nothing here ever creates or removes a bucket.

import { CAPABILITIES } from "./capabilities.ts";
import type { Destination, PutOptions, StoredObject } from "./destination.ts";
import { connectGcs, type GcsApi, type GcsObjectResource, listPath, objectPath } from "./gcs_api.ts";
import { gcsStatus, toGcsError } from "./gcs_error.ts";
import { gcsBlockStore, type GcsStore, toStored } from "./gcs_upload.ts";
import { checkKey, QUARANTINE, quarantineKey } from "./key.ts";
import { type OpenOptions, REQUEST_TIMEOUT_MS } from "./options.ts";
import { RenewableClient } from "./renew.ts";
import type { GcsLocation, ResolvedDestination } from "./resolved.ts";
import { translateStream } from "./stream.ts";
import { BlockSlots, type Translate, upload, uploadOptions } from "./upload.ts";

/** Opens a bucket with an access token already had. */
export function openGcs(
  location: GcsLocation,
  refresh: () => Promise<ResolvedDestination>,
  options: OpenOptions,
): Destination {
  const clients = new RenewableClient<GcsLocation, GcsApi>({
    location,
    refresh,
    connect: (location) => connectGcs(location, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS),
    close: () => {},
    isExpired: (error) => gcsStatus(error) === 401,
  });
  return new GcsDestination(location, clients, options);
}

class GcsDestination implements Destination {
  readonly capabilities = CAPABILITIES.gcs;
  readonly uri: string;
  readonly #slots = new BlockSlots();
  readonly #store: GcsStore;

  constructor(
    private readonly location: GcsLocation,
    private readonly clients: RenewableClient<GcsLocation, GcsApi>,
    private readonly options: OpenOptions,
  ) {
    this.uri = `gs://${location.bucket}/${location.prefix}`;
    this.#store = { call: (ask) => clients.call(ask), onWarning: options.onWarning ?? (() => {}) };
  }

  // deno-lint-ignore require-await
  async put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredObject> {
    const store = gcsBlockStore(this.#store, key, this.#objectKey(key), options);
    const limits = uploadOptions(options, this.location.oneshotBudgetMb, this.options, this.#slots);
    const permission = "storage.objects.create and storage.objects.delete";
    const translate: Translate = (call) => this.#translate("write", key, permission, call);
    return upload(body, store, translate, limits);
  }

  get(key: string, range?: { offset: number; length: number }): Promise<ReadableStream<Uint8Array> | null> {
    const objectKey = this.#objectKey(key);
    const headers = range && { range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
    const toError = (error: unknown) => toGcsError(error, "read", this.uri + key, "storage.objects.get");
    return this.#translate("read", key, "storage.objects.get", () =>
      this.#found(objectKey, async (api) => {
        const response = await api.send({
          method: "GET",
          url: objectPath(api.bucket, objectKey),
          query: { alt: "media" },
          ...(headers === undefined ? {} : { headers }),
          answers: [416],
        });
        if (response.status !== 416 && response.body !== null) return translateStream(response.body, toError);
        await response.body?.cancel();
        return new Blob([]).stream();
      }));
  }

  stat(key: string): Promise<StoredObject | null> {
    return this.#translate("read", key, "storage.objects.get", async () => {
      const resource = await this.#resource(this.#objectKey(key));
      return resource === null ? null : toStored(key, resource);
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const { prefix: root } = this.location;
    let pageToken: string | undefined;
    do {
      const page = await this.#translate(
        "read",
        prefix,
        "storage.objects.list",
        () => this.#page(root + prefix, pageToken),
      );
      for (const resource of page.items ?? []) {
        const key = resource.name.slice(root.length);
        if (key !== "" && !key.startsWith(QUARANTINE)) yield toStored(key, resource);
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
  }

  remove(key: string): Promise<void> {
    const objectKey = this.#objectKey(key);
    return this.#translate("write", key, "storage.objects.delete", () => this.#delete(objectKey));
  }

  quarantine(key: string, runId: string): Promise<void> {
    const { prefix } = this.location;
    const permission = "storage.objects.get, storage.objects.create and storage.objects.delete";
    return this.#translate("write", key, permission, async () => {
      const from = this.#objectKey(key);
      if (await this.#resource(from) === null) return;
      let attempt = 0;
      while (await this.#resource(prefix + quarantineKey(key, runId, attempt)) !== null) attempt++;
      await this.#copy(from, prefix + quarantineKey(key, runId, attempt));
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

  #page(prefix: string, pageToken?: string, maxResults?: number) {
    const query = { prefix, pageToken, maxResults: maxResults?.toString() };
    return this.clients.call((api) =>
      api.json<{ items?: GcsObjectResource[]; nextPageToken?: string }>({
        method: "GET",
        url: listPath(api.bucket),
        query,
      })
    );
  }

  /** Null for a missing object. A missing bucket has the same status and must not look like one: a listing tells. */
  async #found<T>(objectKey: string, ask: (api: GcsApi) => Promise<T>): Promise<T | null> {
    try {
      return await this.clients.call(ask);
    } catch (error) {
      if (gcsStatus(error) !== 404) throw error;
      await this.#page(objectKey, undefined, 1).catch((listError) => {
        if (gcsStatus(listError) === 404) throw listError;
      });
      return null;
    }
  }

  #resource(objectKey: string): Promise<GcsObjectResource | null> {
    return this.#found(objectKey, (api) => api.json({ method: "GET", url: objectPath(api.bucket, objectKey) }));
  }

  /** A large object takes several calls. */
  async #copy(from: string, to: string): Promise<void> {
    for (let rewriteToken: string | undefined, isDone = false; !isDone;) {
      const answer: { done: boolean; rewriteToken?: string } = await this.clients.call((api) => {
        const url = `${objectPath(api.bucket, from)}/rewriteTo${
          objectPath(api.bucket, to).slice("/storage/v1".length)
        }`;
        return api.json({ method: "POST", url, query: { rewriteToken } });
      });
      isDone = answer.done;
      rewriteToken = answer.rewriteToken;
    }
  }

  async #delete(objectKey: string): Promise<void> {
    const response = await this.clients.call((api) =>
      api.send({ method: "DELETE", url: objectPath(api.bucket, objectKey), answers: [404] })
    );
    await response.body?.cancel();
  }

  async #translate<T>(action: "write" | "read", key: string, permission: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw toGcsError(error, action, this.uri + key, permission);
    }
  }
}
