// Azure Blob Storage. An object is visible only when it is whole; nothing here ever creates or removes a container.

import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import type { BlockBlobClient, ContainerClient } from "@azure/storage-blob";
import { RivetError } from "../errors.ts";
import { connectAzure, warnOfExpiry } from "./azure_client.ts";
import { azureCode, azureStatus, isExpiredAzure, toAzureError } from "./azure_error.ts";
import { CAPABILITIES } from "./capabilities.ts";
import type { Destination, Digests, PutOptions, StoredObject } from "./destination.ts";
import { fromBase64, md5Of, openMd5, toBase64 } from "./digest.ts";
import { checkKey, QUARANTINE, quarantineKey } from "./key.ts";
import type { OpenOptions } from "./options.ts";
import { RenewableClient } from "./renew.ts";
import type { AzureLocation, ResolvedDestination } from "./resolved.ts";
import { translateStream } from "./stream.ts";
import { sweepIfAllowed } from "./sweep.ts";
import { BlockSlots, type BlockStore, type BlockUpload, type Translate, upload, uploadOptions } from "./upload.ts";

/** Opens a container with credentials already read. */
export function openAzure(
  location: AzureLocation,
  refresh: () => Promise<ResolvedDestination>,
  options: OpenOptions,
): Destination {
  warnOfExpiry(location, Date.now(), options.onWarning);
  const clients = new RenewableClient<AzureLocation, ContainerClient>({
    location,
    refresh,
    connect: (location) => connectAzure(location, options),
    close: () => {},
    isExpired: isExpiredAzure,
  });
  return new AzureDestination(location, clients, options);
}

class AzureDestination implements Destination {
  readonly capabilities = CAPABILITIES.azure;
  readonly uri: string;
  readonly #slots = new BlockSlots();

  constructor(
    private readonly location: AzureLocation,
    private readonly clients: RenewableClient<AzureLocation, ContainerClient>,
    private readonly options: OpenOptions,
  ) {
    this.uri = `azure://${location.accountName ?? ""}/${location.container}/${location.prefix}`;
  }

  put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredObject> {
    const objectKey = this.#objectKey(key);
    const limits = uploadOptions(options, this.location.oneshotBudgetMb, this.options, this.#slots);
    const translate: Translate = (call) => this.#translate("write", key, "write on blobs (SAS 'c' and 'w')", call);
    return upload(body, this.#blockStore(key, objectKey, options), translate, limits);
  }

  get(key: string, range?: { offset: number; length: number }): Promise<ReadableStream<Uint8Array> | null> {
    const objectKey = this.#objectKey(key);
    const toError = (error: unknown) => toAzureError(error, "read", this.uri + key, "read on blobs (SAS 'r')");
    return this.#translate("read", key, "read on blobs (SAS 'r')", async () => {
      try {
        const answer = await this.#call(objectKey, (blob) => blob.download(range?.offset ?? 0, range?.length));
        const stream = Readable.toWeb(answer.readableStreamBody as Readable) as ReadableStream<Uint8Array>;
        return translateStream(stream, toError);
      } catch (error) {
        if (azureCode(error) === "BlobNotFound") return null;
        if (azureStatus(error) === 416) return new Blob([]).stream();
        throw error;
      }
    });
  }

  stat(key: string): Promise<StoredObject | null> {
    return this.#translate("read", key, "read on blobs (SAS 'r')", () => this.#stat(this.#objectKey(key)));
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    for await (const { key, properties } of this.#listItems(prefix, false)) {
      if (key.startsWith(QUARANTINE)) continue;
      yield { key, size: properties.contentLength ?? 0, digests: toDigests(properties.contentMD5, properties.etag) };
    }
  }

  async *#listItems(prefix: string, includeUncommitedBlobs: boolean) {
    const { prefix: root } = this.location;
    let continuationToken: string | undefined;
    do {
      const page = await this.#translate(
        "read",
        prefix,
        "list on the container (SAS 'l')",
        () =>
          this.clients.call(async (container) => {
            const pages = container.listBlobsFlat({ prefix: root + prefix, includeUncommitedBlobs });
            const settings = continuationToken === undefined ? {} : { continuationToken };
            return (await pages.byPage(settings).next()).value;
          }),
      );
      for (const { name, properties } of page?.segment.blobItems ?? []) {
        const key = name.slice(root.length);
        if (key !== "") yield { key, properties };
      }
      continuationToken = page?.continuationToken === "" ? undefined : page?.continuationToken;
    } while (continuationToken !== undefined);
  }

  remove(key: string): Promise<void> {
    const objectKey = this.#objectKey(key);
    return this.#translate("write", key, "delete on blobs (SAS 'd')", () => this.#delete(objectKey));
  }

  /** Copies through this process: a copy inside the store needs rights that a SAS token often lacks. */
  quarantine(key: string, runId: string): Promise<void> {
    const { prefix } = this.location;
    return this.#translate("write", key, "read, write and delete on blobs (SAS 'rcwd')", async () => {
      const from = this.#objectKey(key);
      let attempt = 0;
      while (await this.#stat(prefix + quarantineKey(key, runId, attempt)) !== null) attempt++;
      const body = await this.get(key);
      if (body === null) return;
      await this.put(quarantineKey(key, runId, attempt), body, {
        contentType: "application/octet-stream",
        signal: new AbortController().signal,
      });
      await this.#delete(from);
    });
  }

  /**
   * Blocks that a killed process left show to nobody and cost until the store drops them after a week. There is no request that takes
   * them back: an empty blob in their place does, which then goes. Blocks of a blob that exists go with the next upload of its key.
   */
  sweep(owns: (key: string) => boolean): Promise<number> {
    return sweepIfAllowed(() => this.#sweep(owns), (cause) => azureStatus(cause) === 403, this.options.onWarning);
  }

  async #sweep(owns: (key: string) => boolean): Promise<number> {
    const open = new Set<string>();
    for await (const { key } of this.#listItems("", true)) if (owns(key)) open.add(key);
    if (open.size === 0) return 0;
    for await (const { key } of this.#listItems("", false)) open.delete(key);
    for (const key of open) {
      const objectKey = this.#objectKey(key);
      await this.#translate("write", key, "write and delete on blobs (SAS 'cwd')", () => this.#dropBlocks(objectKey));
    }
    return open.size;
  }

  async #dropBlocks(objectKey: string): Promise<void> {
    try {
      const { etag } = await this.#call(
        objectKey,
        (blob) => blob.commitBlockList([], { conditions: { ifNoneMatch: "*" } }),
      );
      await this.#call(objectKey, (blob) => blob.delete({ conditions: etag === undefined ? {} : { ifMatch: etag } }));
    } catch (error) {
      // Somebody has written the blob meanwhile: its blocks are gone, and it is theirs.
      if (!["BlobAlreadyExists", "ConditionNotMet", "BlobNotFound"].includes(azureCode(error))) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.clients.close();
    return Promise.resolve();
  }

  #objectKey(key: string): string {
    checkKey(key);
    return this.location.prefix + key;
  }

  #call<T>(objectKey: string, ask: (blob: BlockBlobClient) => Promise<T>): Promise<T> {
    return this.clients.call((container) => ask(container.getBlockBlobClient(objectKey)));
  }

  #blockStore(key: string, objectKey: string, options: PutOptions): BlockStore<string> {
    const blobHTTPHeaders = { blobContentType: options.contentType };
    return {
      putWhole: async (bytes, abortSignal) => {
        const md5 = md5Of(bytes);
        if (options.expected !== undefined && options.expected().md5 !== md5) throw this.#corrupted(key);
        const answer = await this.#call(objectKey, (blob) =>
          blob.upload(
            bytes,
            bytes.length,
            {
              abortSignal,
              transactionalContentMD5: fromBase64(md5),
              blobHTTPHeaders: { ...blobHTTPHeaders, blobContentMD5: fromBase64(md5) },
            } as Parameters<BlockBlobClient["upload"]>[2],
          ));
        return { key, size: bytes.length, digests: toDigests(fromBase64(md5), answer.etag) };
      },
      begin: () => Promise.resolve(this.#begin(key, objectKey, options)),
    };
  }

  /** The service checks each block's MD5; what it lists for the whole is ours, over the very bytes of the blocks. */
  #begin(key: string, objectKey: string, options: PutOptions): BlockUpload<string> {
    // Another upload of the same key must not find its blocks under these names.
    const session = crypto.randomUUID();
    const whole = openMd5();
    return {
      putBlock: async ({ index, bytes }, abortSignal) => {
        whole.update(bytes);
        const id = Buffer.from(`${session}-${String(index).padStart(6, "0")}`).toString("base64");
        const transactionalContentMD5 = fromBase64(md5Of(bytes));
        await this.#call(
          objectKey,
          (blob) => blob.stageBlock(id, bytes, bytes.length, { abortSignal, transactionalContentMD5 }),
        );
        return id;
      },
      complete: async (ids, size, abortSignal) => {
        const digest = whole.digest();
        if (options.expected !== undefined && options.expected().md5 !== digest) throw this.#corrupted(key);
        const md5 = fromBase64(digest);
        const blobHTTPHeaders = { blobContentType: options.contentType, blobContentMD5: md5 };
        const answer = await this.#call(
          objectKey,
          (blob) => blob.commitBlockList([...ids], { abortSignal, blobHTTPHeaders }),
        );
        return { key, size, digests: toDigests(md5, answer.etag) };
      },
      // Blocks that are not committed belong to no blob.
      abort: () => Promise.resolve(),
    };
  }

  #corrupted(key: string): RivetError {
    return new RivetError("RIVET_DEST_UPLOAD_CORRUPTED", "The store was sent other bytes than were encoded", {
      where: this.uri + key,
      retry: "destination",
    });
  }

  async #stat(objectKey: string): Promise<StoredObject | null> {
    try {
      const found = await this.#call(objectKey, (blob) => blob.getProperties());
      const key = objectKey.slice(this.location.prefix.length);
      return { key, size: found.contentLength ?? 0, digests: toDigests(found.contentMD5, found.etag) };
    } catch (error) {
      if (azureCode(error) === "BlobNotFound") return null;
      throw error;
    }
  }

  async #delete(objectKey: string): Promise<void> {
    await this.#call(objectKey, (blob) => blob.delete()).catch((error) => {
      if (azureCode(error) !== "BlobNotFound") throw error;
    });
  }

  async #translate<T>(action: "write" | "read", key: string, permission: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw toAzureError(error, action, this.uri + key, permission);
    }
  }
}

function toDigests(md5: Uint8Array | undefined, etag: string | undefined): Digests {
  return {
    ...(md5 === undefined ? {} : { md5: toBase64(md5) }),
    ...(etag === undefined ? {} : { etag: etag.replaceAll('"', "") }),
  };
}
