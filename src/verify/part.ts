// The files that manifests name, against what lies at the destination: presence and size from one listing, content by the stored digests.

import {
  checkContent,
  checkPresence,
  CHECKS_AT_ONCE,
  type Damage,
  type Destination,
  type ExpectedObject,
  type ObjectCheck,
  type Proof,
  type StoredObject,
} from "../destination/mod.ts";
import type { Manifest, ManifestPart } from "../manifest.ts";
import { mapSome } from "../overlap.ts";
import type { PartFinding } from "./finding.ts";
import { messageOf } from "./prefix.ts";

/** A committed part with the manifest that names it. */
export interface NamedPart {
  readonly manifest: Manifest;
  readonly part: ManifestPart;
}

/** The committed parts of manifests, in their order. */
export function committedParts(manifests: readonly Manifest[]): NamedPart[] {
  return manifests.flatMap((manifest) =>
    manifest.parts.filter((part) => part.status === "committed").map((part) => ({ manifest, part }))
  );
}

export interface PartCheck extends NamedPart {
  /** How the content was proven; null when only presence and size were. */
  readonly proof: Proof | null;
  readonly findings: readonly PartFinding[];
}

/** Checks parts against a listing, and with `content` their bytes at any size. Order is kept; trouble is a finding, never thrown. */
export async function checkParts(
  destination: Destination,
  parts: readonly NamedPart[],
  objects: ReadonlyMap<string, StoredObject>,
  content: boolean,
  signal: AbortSignal,
): Promise<PartCheck[]> {
  const holders = findHolders(parts);
  return await mapSome(parts, CHECKS_AT_ONCE, async (named) => {
    signal.throwIfAborted();
    const stored = objects.get(named.part.path);
    const presence = checkPresence(toExpected(named.part), stored);
    if (presence !== null) return toPartCheck(named, presence, holders);
    if (!content) return { ...named, proof: null, findings: [] };
    return await checkPartContent(destination, named, stored!, holders);
  });
}

/** Digest → path of the part that has it. */
export type Holders = ReadonlyMap<string, string>;

export function findHolders(parts: readonly NamedPart[]): Holders {
  return new Map(
    parts.flatMap(({ part }) =>
      [part.content_md5, part.content_crc32c].filter((digest) => digest !== "").map((digest) => [digest, part.path])
    ),
  );
}

/** The bytes of a part that is there in its size: by what the store vouches for, else read. */
export async function checkPartContent(
  destination: Destination,
  named: NamedPart,
  stored: StoredObject,
  holders: Holders,
): Promise<PartCheck> {
  try {
    return toPartCheck(named, await checkContent(destination, toExpected(named.part), stored), holders);
  } catch (error) {
    return {
      ...named,
      proof: null,
      findings: [{ ...nameOf(named), kind: "part_read_error", detail: messageOf(error) }],
    };
  }
}

export function toPartCheck(named: NamedPart, check: ObjectCheck, holders: Holders): PartCheck {
  return check.kind === "sound"
    ? { ...named, proof: check.proof, findings: [] }
    : { ...named, proof: null, findings: [toFinding(named, check.damage, holders)] };
}

export function toExpected(part: ManifestPart): ExpectedObject {
  return {
    key: part.path,
    size: part.size_bytes,
    md5: part.content_md5,
    crc32c: part.content_crc32c,
    digests: {},
  };
}

/** What every finding of a part begins with. */
export function nameOf({ manifest, part }: NamedPart): { part_id: number; path: string; run_id: string } {
  return { part_id: part.part_id, path: part.path, run_id: manifest.run_id };
}

function toFinding(named: NamedPart, damage: Damage, holders: Holders): PartFinding {
  const name = nameOf(named);
  switch (damage.kind) {
    case "missing":
      return { ...name, kind: "part_missing" };
    case "size":
      return { ...name, kind: "part_size_mismatch", expected: damage.expected, actual: damage.actual };
    case "content": {
      const { proof, expected, actual } = damage;
      const holds = actual === null ? null : holders.get(actual) ?? null;
      return { ...name, kind: "part_checksum_mismatch", proof, expected, actual, holds };
    }
    default: {
      const never: never = damage;
      return never;
    }
  }
}
