// Stored objects against what was written: presence, size, content. The cheapest proof a store offers is used; none is skipped.

import { createMD5 } from "hash-wasm";
import type { Destination, Digests, StoredObject } from "./destination.ts";

/** What an object must be. */
export interface ExpectedObject {
  readonly key: string;
  readonly size: number;
  /** Base64 of the whole object. */
  readonly md5: string;
  /** Decimal text. */
  readonly crc32c: string;
  /** What the store vouched for when the object was written. */
  readonly digests: Readonly<Record<string, string>>;
}

/** What is wrong with a stored object, or null. Reads its bytes only where the store vouches for nothing. */
export async function findDamage(
  destination: Destination,
  expected: ExpectedObject,
  stored: StoredObject | undefined,
): Promise<string | null> {
  if (stored === undefined) return `part '${expected.key}' is missing`;
  if (stored.size !== expected.size) {
    return `part '${expected.key}' has ${stored.size} bytes, expected ${expected.size}`;
  }
  const other = `part '${expected.key}' has other content`;
  const proof = compareDigests(stored.digests, expected) ??
    compareDigests((await destination.stat(expected.key))?.digests ?? {}, expected);
  if (proof !== null) return proof ? null : other;
  return await readMd5(destination, expected.key) === expected.md5 ? null : other;
}

/** Whether the content is the same, by what the store vouches for; null when that proves neither. */
function compareDigests(digests: Digests, expected: ExpectedObject): boolean | null {
  // The store's own tag, checked against the content when it was written: equal tags are equal objects, others may be copies.
  if (digests.etag !== undefined && digests.etag === expected.digests.etag) return true;
  if (digests.md5 !== undefined) return digests.md5 === expected.md5;
  if (digests.crc32c !== undefined) return digests.crc32c === expected.crc32c;
  if (digests.crc64nvme !== undefined && expected.digests.crc64nvme !== undefined) {
    return digests.crc64nvme === expected.digests.crc64nvme;
  }
  return null;
}

/** Everything below the prefix, by key. */
export async function listByKey(destination: Destination): Promise<Map<string, StoredObject>> {
  const stored = new Map<string, StoredObject>();
  for await (const object of destination.list("")) stored.set(object.key, object);
  return stored;
}

/** Base64 MD5 of an object's bytes, read as a stream; null when it is gone. */
async function readMd5(destination: Destination, key: string): Promise<string | null> {
  const stream = await destination.get(key);
  if (stream === null) return null;
  const hash = await createMD5();
  for await (const chunk of stream) hash.update(chunk);
  return btoa(String.fromCharCode(...hash.digest("binary")));
}
