// How S3 takes an object. Every byte is checked by the store before the object is visible: by CRC32C of the whole object where the
// store knows it, else by an MD5 for each request and the tag that follows from them.

import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { RivetError } from "../errors.ts";
import type { Block } from "./blocks.ts";
import type { PutOptions, StoredObject } from "./destination.ts";
import { crc32cOf, crcToBase64, crcToDecimal, fromBase64, md5Of, openCrc32c, openMd5, toHex } from "./digest.ts";
import type { RenewableClient } from "./renew.ts";
import type { S3Location } from "./resolved.ts";
import { s3Code } from "./s3_error.ts";
import type { BlockStore, BlockUpload } from "./upload.ts";

/** What is shared by all uploads to one store. */
export interface S3Store {
  readonly clients: RenewableClient<S3Location, S3Client>;
  readonly bucket: string;
  /** Whether the store checks CRC32C; null until it has shown. */
  checksCrc32c: boolean | null;
  /** Whether the store wants blocks signed whole; it shows that by refusing the first one. */
  signsBlocks: boolean;
  readonly remove: (objectKey: string) => Promise<void>;
  readonly stat: (objectKey: string) => Promise<StoredObject | null>;
  readonly onWarning: (message: string) => void;
}

interface Sent {
  readonly part: CompletedPart;
  /** Absent when CRC32C is used. */
  readonly md5: string | null;
}

/** How long an abort may take; the process waits for it before it ends. */
const ABORT_TIMEOUT_MS = 15_000;

/** Uploads to one object. `key` is what the caller calls it, `objectKey` what the store does. */
export function s3BlockStore(store: S3Store, key: string, objectKey: string, options: PutOptions): BlockStore<Sent> {
  return {
    putWhole: (bytes, signal) => putWhole(store, key, objectKey, bytes, options, signal),
    begin: (signal) => begin(store, key, objectKey, options, signal),
  };
}

async function putWhole(
  store: S3Store,
  key: string,
  objectKey: string,
  bytes: Uint8Array<ArrayBuffer>,
  options: PutOptions,
  signal: AbortSignal,
): Promise<StoredObject> {
  const expected = options.expected?.();
  const crc32c = expected === undefined ? await crc32cOf(bytes) : crcToBase64(expected.crc32c);
  const md5 = store.checksCrc32c === true ? null : expected?.md5 ?? md5Of(bytes);
  const answer = await store.clients.call((client) =>
    client.send(
      new PutObjectCommand({
        Bucket: store.bucket,
        Key: objectKey,
        Body: bytes,
        ContentType: options.contentType,
        ...(store.checksCrc32c === false ? {} : { ChecksumCRC32C: crc32c }),
        ...(md5 === null ? {} : { ContentMD5: md5 }),
      }),
      { abortSignal: signal },
    )
  );
  const etag = plainTag(answer.ETag);
  const vouched = answer.ChecksumCRC32C;
  store.checksCrc32c ??= vouched !== undefined;
  if (vouched !== undefined && vouched !== crc32c) await refuseContent(store, objectKey);
  const isMd5 = md5 !== null && vouched === undefined && etag === toHex(fromBase64(md5));
  return {
    key,
    size: bytes.length,
    digests: {
      ...(isMd5 ? { md5 } : {}),
      ...(vouched === undefined ? {} : { crc32c: crcToDecimal(vouched) }),
      etag,
    },
  };
}

async function begin(
  store: S3Store,
  key: string,
  objectKey: string,
  options: PutOptions,
  signal: AbortSignal,
): Promise<BlockUpload<Sent>> {
  const target = { Bucket: store.bucket, Key: objectKey };
  const create = (checks: boolean) =>
    store.clients.call((client) =>
      client.send(
        new CreateMultipartUploadCommand({
          ...target,
          ContentType: options.contentType,
          ...(checks ? { ChecksumAlgorithm: "CRC32C", ChecksumType: "FULL_OBJECT" } as const : {}),
        }),
        { abortSignal: signal },
      )
    );
  let created = await create(store.checksCrc32c !== false);
  const checks = created.ChecksumAlgorithm === "CRC32C" && created.ChecksumType === "FULL_OBJECT";
  if (created.ChecksumAlgorithm !== undefined && !checks) {
    // A store that only knows checksums of checksums: they say nothing about the object, so it is asked without.
    await abort(store, objectKey, created.UploadId);
    created = await create(false);
  }
  store.checksCrc32c ??= checks;
  const UploadId = created.UploadId;
  // Where the store compares the whole, what the producer knows is enough; where it cannot, this side compares.
  const whole = checks === (options.expected === undefined) ? checks ? await openCrc32c() : openMd5() : null;

  return {
    putBlock: async (block, signal) => {
      whole?.update(block.bytes);
      return await putBlock(store, { ...target, UploadId }, block, checks, signal);
    },
    complete: async (sent, size, signal) => {
      const crc32c = !checks ? null : whole?.digest() ?? crcToBase64(options.expected!().crc32c);
      const etag = checks ? null : tagOf(sent);
      if (!checks && options.expected !== undefined && whole?.digest() !== options.expected().md5) {
        throw corrupted(store, objectKey, "The store was sent other bytes than were encoded");
      }
      const answer = await store.clients.call((client) =>
        client.send(
          new CompleteMultipartUploadCommand({
            ...target,
            UploadId,
            MultipartUpload: { Parts: sent.map(({ part }) => part) },
            ...(crc32c === null ? {} : { ChecksumCRC32C: crc32c, ChecksumType: "FULL_OBJECT" as const }),
          }),
          { abortSignal: signal },
        )
      ).catch(async (error) => {
        const stored = await findCompleted(store, objectKey, error, size, crc32c, etag);
        if (stored === null) throw error;
        return { ETag: stored.digests.etag, ChecksumCRC32C: crc32c ?? undefined, ServerSideEncryption: undefined };
      });
      const vouched = answer.ChecksumCRC32C;
      if (crc32c !== null && vouched !== undefined && vouched !== crc32c) await refuseContent(store, objectKey);
      // Under KMS a tag says nothing about the content.
      const isTagTold = answer.ServerSideEncryption === undefined || answer.ServerSideEncryption === "AES256";
      if (etag !== null && isTagTold && plainTag(answer.ETag) !== etag) await refuseContent(store, objectKey);
      return {
        key,
        size,
        digests: { ...(crc32c === null ? {} : { crc32c: crcToDecimal(crc32c) }), etag: plainTag(answer.ETag) },
      };
    },
    abort: () => abort(store, objectKey, UploadId),
  };
}

async function putBlock(
  store: S3Store,
  target: { Bucket: string; Key: string; UploadId: string | undefined },
  block: Block,
  checks: boolean,
  signal: AbortSignal,
): Promise<Sent> {
  const crc32c = checks ? await crc32cOf(block.bytes) : null;
  const md5 = checks ? null : md5Of(block.bytes);
  const PartNumber = block.index + 1;
  const send = (isSigned: boolean) => {
    const command = new UploadPartCommand({
      ...target,
      PartNumber,
      Body: block.bytes,
      ...(crc32c === null ? {} : { ChecksumCRC32C: crc32c }),
      ...(md5 === null ? {} : { ContentMD5: md5 }),
    });
    if (!isSigned) leaveUnsigned(command);
    return store.clients.call((client) => client.send(command, { abortSignal: signal }));
  };
  const answer = await send(store.signsBlocks).catch((error) => {
    if (store.signsBlocks || s3Code(error) !== "AccessDenied") throw error;
    return send(true).then((answer) => {
      store.signsBlocks = true;
      return answer;
    });
  });
  const part: CompletedPart = { PartNumber, ETag: answer.ETag, ...(crc32c === null ? {} : { ChecksumCRC32C: crc32c }) };
  return { part, md5 };
}

/**
 * Every block carries a CRC32C or an MD5 that the store compares, and that header is signed. A SHA-256 of the block beside it would be
 * the most expensive of all that an upload computes and prove nothing more; yet there are buckets whose policy wants it.
 */
function leaveUnsigned(command: UploadPartCommand): void {
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
      return next(args);
    },
    { step: "build", name: "leaveUnsigned" },
  );
}

/** The tag a store without checksums gives to an object of several parts: the MD5 of their MD5s, and their number. */
function tagOf(sent: readonly Sent[]): string {
  const hash = createHash("md5");
  for (const { md5 } of sent) hash.update(fromBase64(md5!));
  return `${hash.digest("hex")}-${sent.length}`;
}

/** The answer to a completed upload may get lost: the object itself tells. */
async function findCompleted(
  store: S3Store,
  objectKey: string,
  error: unknown,
  size: number,
  crc32c: string | null,
  etag: string | null,
): Promise<StoredObject | null> {
  if (s3Code(error) !== "NoSuchUpload") return null;
  const stored = await store.stat(objectKey).catch(() => null);
  if (stored === null || stored.size !== size) return null;
  const isSame = crc32c === null ? stored.digests.etag === etag : stored.digests.crc32c === crcToDecimal(crc32c);
  return isSame ? stored : null;
}

async function abort(store: S3Store, objectKey: string, UploadId: string | undefined): Promise<void> {
  try {
    await store.clients.call((client) =>
      client.send(new AbortMultipartUploadCommand({ Bucket: store.bucket, Key: objectKey, UploadId }), {
        abortSignal: AbortSignal.timeout(ABORT_TIMEOUT_MS),
      })
    );
  } catch (error) {
    if (s3Code(error) === "NoSuchUpload") return;
    store.onWarning(
      `an upload of '${objectKey}' was left open (${s3Code(error)}): the next run of this export clears it`,
    );
  }
}

/** The store has other bytes than were sent: they must not stay under a name that a reader trusts. */
async function refuseContent(store: S3Store, objectKey: string): Promise<never> {
  await store.remove(objectKey);
  throw corrupted(store, objectKey, "The store held other bytes than were sent; they were removed");
}

function corrupted(store: S3Store, objectKey: string, message: string): RivetError {
  const where = `s3://${store.bucket}/${objectKey}`;
  return new RivetError("RIVET_DEST_UPLOAD_CORRUPTED", message, { where, retry: "destination" });
}

export function plainTag(etag: string | undefined): string {
  return (etag ?? "").replaceAll('"', "");
}
