// Stored objects against what was written: presence, size, content. The cheapest proof a store offers is used; none is skipped.

import { mapSome } from "../overlap.ts";
import { crcToDecimal, openCrc32c, openMd5 } from "./digest.ts";
import type { Destination, Digests, StoredObject } from "./destination.ts";

/** What an object must be. */
export interface ExpectedObject {
  readonly key: string;
  readonly size: number;
  /** Base64 of the whole object; empty when it was not recorded. */
  readonly md5: string;
  /** Decimal text; empty when it was not recorded. */
  readonly crc32c: string;
  /** What the store vouched for when the object was written. */
  readonly digests: Readonly<Record<string, string>>;
}

/** How the content was proven: by a digest the store vouches for, or `read`: by reading the bytes. */
export type Proof = "etag" | "md5" | "crc32c" | "crc64nvme" | "read";

export type Damage =
  | { readonly kind: "missing"; readonly key: string }
  | { readonly kind: "size"; readonly key: string; readonly expected: number; readonly actual: number }
  /** Base64 MD5s or decimal CRC32Cs, as `proof` says; null when the store tells no more than that it differs. */
  | {
    readonly kind: "content";
    readonly key: string;
    readonly proof: Proof;
    readonly expected: string;
    readonly actual: string | null;
  };

/** `proof` is null when no digest of the object was ever recorded, so that only presence and size could be checked. */
export type ObjectCheck =
  | { readonly kind: "sound"; readonly proof: Proof | null }
  | { readonly kind: "damaged"; readonly damage: Damage };

/** What is wrong with a stored object, or null. Reads its bytes only where the store vouches for nothing. */
export async function findDamage(
  destination: Destination,
  expected: ExpectedObject,
  stored: StoredObject | undefined,
): Promise<string | null> {
  const check = checkPresence(expected, stored) ?? await checkContent(destination, expected, stored!);
  return check.kind === "sound" ? null : describeDamage(check.damage);
}

/** A file as the ledger has it. */
export interface RecordedFile {
  readonly fileName: string;
  readonly observations: { readonly bytes: number; readonly md5: string; readonly crc32c: string };
  readonly digests: Readonly<Record<string, string>>;
}

/** What is wrong with recorded files, each with the reason, in their order. Without `listed` they are listed now. */
export async function findDamages<F extends RecordedFile>(
  destination: Destination,
  files: readonly F[],
  listed?: ReadonlyMap<string, StoredObject>,
): Promise<{ readonly file: F; readonly reason: string }[]> {
  const stored = listed ?? await listByKey(destination);
  // A local disk gives no more for being asked from several sides.
  const atOnce = destination.capabilities.commitProtocol === "atomic" ? 1 : CHECKS_AT_ONCE;
  const found = await mapSome(files, atOnce, async (file) => {
    const { bytes: size, md5, crc32c } = file.observations;
    const expected = { key: file.fileName, size, md5, crc32c, digests: file.digests };
    return { file, reason: await findDamage(destination, expected, stored.get(file.fileName)) };
  });
  return found.flatMap(({ file, reason }) => reason === null ? [] : [{ file, reason }]);
}

/** Requests at once: most of a check is waiting for a store. */
export const CHECKS_AT_ONCE = 8;

export function describeDamage(damage: Damage): string {
  switch (damage.kind) {
    case "missing":
      return `part '${damage.key}' is missing`;
    case "size":
      return `part '${damage.key}' has ${damage.actual} bytes, expected ${damage.expected}`;
    case "content":
      return `part '${damage.key}' has other content`;
    default: {
      const never: never = damage;
      return never;
    }
  }
}

/** Presence and size, from a listing alone; null when both are right. */
export function checkPresence(
  expected: Pick<ExpectedObject, "key" | "size">,
  stored: StoredObject | undefined,
): { readonly kind: "damaged"; readonly damage: Damage } | null {
  const { key, size } = expected;
  if (stored === undefined) return { kind: "damaged", damage: { kind: "missing", key } };
  if (stored.size === size) return null;
  return { kind: "damaged", damage: { kind: "size", key, expected: size, actual: stored.size } };
}

/** The content of an object that is there in its size. */
export async function checkContent(
  destination: Destination,
  expected: ExpectedObject,
  stored: StoredObject,
): Promise<ObjectCheck> {
  const { key } = expected;
  if (expected.md5 === "" && expected.crc32c === "") return { kind: "sound", proof: null };
  const vouched = compareDigests(key, stored.digests, expected) ??
    compareDigests(key, (await destination.stat(key))?.digests ?? {}, expected);
  return vouched ?? await compareBytes(destination, expected);
}

/** Whether the content is the same, by what the store vouches for; null when that proves neither. */
function compareDigests(key: string, digests: Digests, expected: ExpectedObject): ObjectCheck | null {
  // The store's own tag, checked against the content when it was written: equal tags are equal objects, others may be copies.
  if (digests.etag !== undefined && digests.etag === expected.digests.etag) return { kind: "sound", proof: "etag" };
  if (digests.md5 !== undefined && expected.md5 !== "") return compare(key, "md5", expected.md5, digests.md5);
  if (digests.crc32c !== undefined && expected.crc32c !== "") {
    return compare(key, "crc32c", expected.crc32c, digests.crc32c);
  }
  if (digests.crc64nvme !== undefined && expected.digests.crc64nvme !== undefined) {
    return compare(key, "crc64nvme", expected.digests.crc64nvme, digests.crc64nvme);
  }
  return null;
}

function compare(key: string, proof: Proof, expected: string, actual: string): ObjectCheck {
  if (actual === expected) return { kind: "sound", proof };
  return { kind: "damaged", damage: { kind: "content", key, proof, expected, actual } };
}

/** Everything below the prefix, by key. */
export async function listByKey(destination: Destination): Promise<Map<string, StoredObject>> {
  const stored = new Map<string, StoredObject>();
  for await (const object of destination.list("")) stored.set(object.key, object);
  return stored;
}

/** Compares an object's bytes with the digest that was recorded, as they pass. */
export interface ContentHash {
  update(bytes: Uint8Array): void;
  /** After the last byte. */
  end(): ObjectCheck;
}

/** Null when no digest was recorded. */
export async function openContentHash(expected: ExpectedObject): Promise<ContentHash | null> {
  const { key, md5, crc32c } = expected;
  if (md5 !== "") {
    const hash = openMd5();
    return { update: (bytes) => hash.update(bytes), end: () => compare(key, "read", md5, hash.digest()) };
  }
  if (crc32c === "") return null;
  const hash = await openCrc32c();
  return {
    update: (bytes) => hash.update(bytes),
    end: () => compare(key, "read", crc32c, crcToDecimal(hash.digest())),
  };
}

/** Reads an object's bytes as a stream and compares the digest that was recorded. */
async function compareBytes(destination: Destination, expected: ExpectedObject): Promise<ObjectCheck> {
  const { key } = expected;
  const hash = await openContentHash(expected);
  if (hash === null) return { kind: "sound", proof: null };
  const stream = await destination.get(key);
  if (stream === null) return { kind: "damaged", damage: { kind: "missing", key } };
  for await (const chunk of stream) hash.update(chunk);
  return hash.end();
}
