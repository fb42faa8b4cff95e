// S3 and what speaks its protocol. An object is visible only when it is whole; nothing here ever creates or removes a bucket.

import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type S3Client,
} from "@aws-sdk/client-s3";
import { CAPABILITIES } from "./capabilities.ts";
import type { Destination, Digests, PutOptions, StoredObject } from "./destination.ts";
import { crcToDecimal, fromHex, toBase64 } from "./digest.ts";
import { checkKey, QUARANTINE, quarantineKey } from "./key.ts";
import type { OpenOptions } from "./options.ts";
import { RenewableClient } from "./renew.ts";
import type { ResolvedDestination, S3Location } from "./resolved.ts";
import { connectS3 } from "./s3_client.ts";
import { isExpiredS3, s3Code, s3Status, toS3Error } from "./s3_error.ts";
import { plainTag, s3BlockStore, type S3Store } from "./s3_upload.ts";
import { translateStream } from "./stream.ts";
import { sweepIfAllowed } from "./sweep.ts";
import { BlockSlots, type Translate, upload, uploadOptions } from "./upload.ts";

/** What stores say of an object above 5 GiB, which they do not copy in one request. */
const TOO_LARGE_TO_COPY = new Set(["InvalidRequest", "EntityTooLarge"]);

/** Opens a bucket with credentials already read. */
export function openS3(
  location: S3Location,
  refresh: () => Promise<ResolvedDestination>,
  options: OpenOptions,
): Destination {
  const clients = new RenewableClient<S3Location, S3Client>({
    location,
    refresh,
    connect: (location) => connectS3(location, options),
    close: (client) => client.destroy(),
    isExpired: isExpiredS3,
  });
  return new S3Destination(location, clients, options);
}

class S3Destination implements Destination {
  readonly capabilities = CAPABILITIES.s3;
  readonly uri: string;
  readonly #slots = new BlockSlots();
  readonly #store: S3Store;

  constructor(
    private readonly location: S3Location,
    private readonly clients: RenewableClient<S3Location, S3Client>,
    private readonly options: OpenOptions,
  ) {
    this.uri = `s3://${location.bucket}/${location.prefix}`;
    this.#store = {
      clients,
      bucket: location.bucket,
      checksCrc32c: null,
      signsBlocks: false,
      remove: (objectKey) => this.#delete(objectKey),
      stat: (objectKey) => this.#head(objectKey),
      onWarning: options.onWarning ?? (() => {}),
    };
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredObject> {
    const objectKey = this.#objectKey(key);
    const limits = uploadOptions(options, this.location.oneshotBudgetMb, this.options, this.#slots);
    const translate: Translate = (call) =>
      this.#translate("write", key, "s3:PutObject and s3:AbortMultipartUpload", call);
    return await upload(body, s3BlockStore(this.#store, key, objectKey, options), translate, limits);
  }

  get(key: string, range?: { offset: number; length: number }): Promise<ReadableStream<Uint8Array> | null> {
    const Key = this.#objectKey(key);
    const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const toError = (error: unknown) => toS3Error(error, "read", this.uri + key, "s3:GetObject");
    return this.#translate("read", key, "s3:GetObject", async () => {
      try {
        const answer = await this.clients.call((client) =>
          client.send(new GetObjectCommand({ Bucket: this.location.bucket, Key, Range }))
        );
        return translateStream(answer.Body!.transformToWebStream(), toError);
      } catch (error) {
        if (s3Code(error) === "NoSuchKey") return null;
        if (s3Status(error) === 416) return new Blob([]).stream();
        throw error;
      }
    });
  }

  stat(key: string): Promise<StoredObject | null> {
    return this.#translate("read", key, "s3:GetObject", () => this.#head(this.#objectKey(key)));
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const { bucket, prefix: root } = this.location;
    let token: string | undefined;
    do {
      const page = await this.#translate(
        "read",
        prefix,
        "s3:ListBucket",
        () =>
          this.clients.call((client) =>
            client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: root + prefix, ContinuationToken: token }))
          ),
      );
      for (const { Key, Size, ETag } of page.Contents ?? []) {
        const key = (Key ?? "").slice(root.length);
        if (key === "" || key.startsWith(QUARANTINE)) continue;
        // Under some encryptions a tag looks like an MD5 and is none, and a listing does not tell which: `stat` does.
        yield { key, size: Size ?? 0, digests: ETag === undefined ? {} : { etag: plainTag(ETag) } };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  remove(key: string): Promise<void> {
    return this.#translate("write", key, "s3:DeleteObject", () => this.#delete(this.#objectKey(key)));
  }

  quarantine(key: string, runId: string): Promise<void> {
    const { bucket, prefix } = this.location;
    return this.#translate("write", key, "s3:GetObject, s3:PutObject and s3:DeleteObject", async () => {
      const from = this.#objectKey(key);
      if (await this.#head(from) === null) return;
      let attempt = 0;
      while (await this.#head(prefix + quarantineKey(key, runId, attempt)) !== null) attempt++;
      const CopySource = `${bucket}/${from.split("/").map(encodeURIComponent).join("/")}`;
      const aside = quarantineKey(key, runId, attempt);
      const copy = new CopyObjectCommand({ Bucket: bucket, CopySource, Key: prefix + aside });
      try {
        await this.clients.call((client) => client.send(copy));
      } catch (error) {
        if (!TOO_LARGE_TO_COPY.has(s3Code(error))) throw error;
        await this.#copyThrough(key, aside);
      }
      await this.#delete(from);
    });
  }

  /** Copies by way of this process. */
  async #copyThrough(key: string, to: string): Promise<void> {
    const body = await this.get(key);
    if (body === null) return;
    const signal = new AbortController().signal;
    await this.put(to, body, { contentType: "application/octet-stream", signal });
  }

  sweep(owns: (key: string) => boolean): Promise<number> {
    return sweepIfAllowed(() => this.#sweep(owns), (cause) => s3Code(cause) === "AccessDenied", this.#store.onWarning);
  }

  async #sweep(owns: (key: string) => boolean): Promise<number> {
    const { bucket, prefix } = this.location;
    let swept = 0;
    let at: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
    while (at !== null) {
      const markers: { KeyMarker?: string; UploadIdMarker?: string } = at;
      const page = await this.#translate(
        "read",
        "",
        "s3:ListBucketMultipartUploads",
        () =>
          this.clients.call((client) =>
            client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...markers }))
          ),
      );
      for (const { Key = "", UploadId } of page.Uploads ?? []) {
        if (!Key.startsWith(prefix) || !owns(Key.slice(prefix.length))) continue;
        await this.#translate(
          "write",
          Key.slice(prefix.length),
          "s3:AbortMultipartUpload",
          () => this.#abort(Key, UploadId),
        );
        swept++;
      }
      at = page.IsTruncated === true && page.NextKeyMarker !== undefined
        ? {
          KeyMarker: page.NextKeyMarker,
          ...(page.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: page.NextUploadIdMarker }),
        }
        : null;
    }
    return swept;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.clients.close();
    return Promise.resolve();
  }

  #objectKey(key: string): string {
    checkKey(key);
    return this.location.prefix + key;
  }

  async #head(objectKey: string): Promise<StoredObject | null> {
    try {
      const answer = await this.clients.call((client) =>
        client.send(new HeadObjectCommand({ Bucket: this.location.bucket, Key: objectKey, ChecksumMode: "ENABLED" }))
      );
      const key = objectKey.slice(this.location.prefix.length);
      return { key, size: answer.ContentLength ?? 0, digests: toDigests(answer) };
    } catch (error) {
      if (s3Status(error) !== 404) throw error;
      // HEAD cannot say what is missing. A bucket that is not there must not look like an object that is not there.
      await this.#checkBucket();
      return null;
    }
  }

  async #checkBucket(): Promise<void> {
    const list = new ListObjectsV2Command({ Bucket: this.location.bucket, Prefix: this.location.prefix, MaxKeys: 1 });
    await this.clients.call((client) => client.send(list)).catch((error) => {
      if (s3Code(error) === "NoSuchBucket") throw error;
    });
  }

  async #delete(objectKey: string): Promise<void> {
    await this.clients.call((client) =>
      client.send(new DeleteObjectCommand({ Bucket: this.location.bucket, Key: objectKey }))
    ).catch((error) => {
      if (s3Code(error) !== "NoSuchKey") throw error;
    });
  }

  async #abort(Key: string, UploadId: string | undefined): Promise<void> {
    await this.clients.call((client) =>
      client.send(new AbortMultipartUploadCommand({ Bucket: this.location.bucket, Key, UploadId }))
    ).catch((error) => {
      if (s3Code(error) !== "NoSuchUpload") throw error;
    });
  }

  async #translate<T>(
    action: "write" | "read",
    key: string,
    permission: string,
    call: () => Promise<T>,
  ): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw toS3Error(error, action, this.uri + key, permission);
    }
  }
}

/** What S3 vouches for about the whole object. A tag is an MD5 only without KMS and customer keys, and for one part. */
function toDigests(answer: HeadObjectCommandOutput): Digests {
  const isWhole = answer.ChecksumType !== "COMPOSITE";
  const crc32c = isWhole && isCrc32(answer.ChecksumCRC32C) ? crcToDecimal(answer.ChecksumCRC32C!) : null;
  const crc64 = isWhole ? answer.ChecksumCRC64NVME : undefined;
  const etag = plainTag(answer.ETag);
  const encryption = answer.ServerSideEncryption;
  const isMd5 = /^[0-9a-f]{32}$/.test(etag) && answer.SSECustomerAlgorithm === undefined &&
    (encryption === undefined || encryption === "AES256");
  return {
    ...(isMd5 ? { md5: toBase64(fromHex(etag)) } : {}),
    ...(crc32c === null ? {} : { crc32c }),
    ...(crc64 === undefined ? {} : { crc64nvme: crc64 }),
    ...(etag === "" ? {} : { etag }),
  };
}

/** `AbCdEf==`: without the `-N` of a checksum of checksums. */
function isCrc32(text: string | undefined): boolean {
  return text !== undefined && text.length === 8;
}
