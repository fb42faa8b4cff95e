// What is wrong with the stored files of a run, by chunk, and whether its manifest still tells of what was recorded. Reads the destination.

import { Buffer } from "node:buffer";
import {
  type Destination,
  findDamages,
  MANIFEST_BYTES_MAX,
  MARKER_BYTES_MAX,
  readSmall,
  readSoundManifest,
  type StoredObject,
} from "../destination/mod.ts";
import {
  findContradictions,
  fingerprintBytes,
  type Manifest,
  MANIFEST_KEY,
  type ManifestPart,
  parseMarker,
  runManifestKey,
  SUCCESS_KEY,
} from "../manifest.ts";
import type { StoredPart } from "../state/mod.ts";

/** Chunk index → what is wrong with its files. */
export async function findDamagedChunks(
  destination: Destination,
  parts: readonly StoredPart[],
  objects: ReadonlyMap<string, StoredObject>,
): Promise<Map<number, string>> {
  return new Map((await findDamages(destination, parts, objects)).map(({ file, reason }) => [file.sliceIndex, reason]));
}

/** What the ledger holds, page by page; may be asked for more than once. */
type Pages = () => AsyncIterable<{ readonly parts: readonly StoredPart[] }>;

/** Why the manifest of a run must be written anew; null when it tells exactly what is recorded. */
export async function findManifestFault(destination: Destination, runId: string, pages: Pages): Promise<string | null> {
  const ownKey = runManifestKey(runId);
  const ownFault = await findFault(destination, ownKey, null, pages);
  if (ownFault !== null) return ownFault;
  // A copy of the one that was compared: it need not be compared again.
  if (!await isSameObject(destination, ownKey, MANIFEST_KEY)) {
    const shown = await readSoundManifest(destination, MANIFEST_KEY);
    // A newer run, or another export in the same folder.
    if (shown !== null && shown.run_id !== runId) return null;
    const shownFault = await findFault(destination, MANIFEST_KEY, shown, pages);
    if (shownFault !== null) return shownFault;
  }
  return await findMarkerFault(destination);
}

async function findFault(
  destination: Destination,
  key: string,
  read: Manifest | null,
  pages: Pages,
): Promise<string | null> {
  const manifest = read ?? await readSoundManifest(destination, key);
  if (manifest === null) return `'${key}' is missing or damaged`;
  const fault = await compareManifest(manifest, pages);
  return fault === null ? null : `'${key}': ${fault}`;
}

async function isSameObject(destination: Destination, left: string, right: string): Promise<boolean> {
  const [a, b] = [
    await readSmall(destination, left, MANIFEST_BYTES_MAX),
    await readSmall(destination, right, MANIFEST_BYTES_MAX),
  ];
  return a !== null && b !== null && Buffer.compare(a, b) === 0;
}

async function findMarkerFault(destination: Destination): Promise<string | null> {
  const marker = await readSmall(destination, SUCCESS_KEY, MARKER_BYTES_MAX);
  if (marker === null) return `'${SUCCESS_KEY}' is missing`;
  const manifest = await readSmall(destination, MANIFEST_KEY, MANIFEST_BYTES_MAX);
  const told = parseMarker(new TextDecoder().decode(marker));
  const isOf = manifest !== null && told === await fingerprintBytes(manifest);
  return isOf ? null : `'${SUCCESS_KEY}' is not of this manifest`;
}

/** The first thing in which a manifest differs from the ledger. */
export async function compareManifest(manifest: Manifest, pages: Pages): Promise<string | null> {
  const [contradiction] = await findContradictions(manifest);
  if (contradiction !== undefined) return contradiction;
  const committed = new Map(
    manifest.parts.filter(({ status }) => status === "committed").map((part) => [part.path, part]),
  );
  let [count, fault]: [number, string | null] = [0, null];
  for await (const { parts } of pages()) {
    count += parts.length;
    for (const part of parts) fault ??= comparePart(committed.get(part.fileName), part);
  }
  return committed.size === count ? fault : `it names ${committed.size} parts, ${count} are recorded`;
}

function comparePart(part: ManifestPart | undefined, { fileName, observations: seen }: StoredPart): string | null {
  if (part === undefined) return `part '${fileName}' is not in it`;
  const same = part.rows === seen.rows && part.size_bytes === seen.bytes && part.content_md5 === seen.md5 &&
    part.content_crc32c === seen.crc32c && part.content_fingerprint === `xxh3:${seen.xxh3}` &&
    part.column_checksums.length === seen.columns.length &&
    part.column_checksums.every((column, i) =>
      column.name === seen.columns[i]!.name && column.checksum === seen.columns[i]!.checksum &&
      column.nulls === seen.columns[i]!.nulls
    );
  return same ? null : `what it says of part '${fileName}' is not what was recorded`;
}
