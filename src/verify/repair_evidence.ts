// What is wrong with the stored files of a run, by chunk, and whether its manifest still tells of what was recorded. Reads the destination.

import {
  type Destination,
  findDamages,
  MANIFEST_BYTES_MAX,
  MARKER_BYTES_MAX,
  readSmall,
  readSoundManifest,
} from "../destination/mod.ts";
import {
  findContradictions,
  fingerprintBytes,
  type Manifest,
  MANIFEST_KEY,
  parseMarker,
  runManifestKey,
  SUCCESS_KEY,
} from "../manifest.ts";
import type { StoredPart } from "../state/mod.ts";

/** Chunk index → what is wrong with its files. */
export async function findDamagedChunks(
  destination: Destination,
  parts: readonly StoredPart[],
): Promise<Map<number, string>> {
  return new Map((await findDamages(destination, parts)).map(({ file, reason }) => [file.sliceIndex, reason]));
}

/** Why the manifest of a run must be written anew; null when it tells exactly what is recorded. */
export async function findManifestFault(
  destination: Destination,
  runId: string,
  parts: readonly StoredPart[],
): Promise<string | null> {
  const own = await readSoundManifest(destination, runManifestKey(runId));
  const shown = await readSoundManifest(destination, MANIFEST_KEY);
  if (own === null) return `'${runManifestKey(runId)}' is missing or damaged`;
  const fault = await compareManifest(own, parts);
  if (fault !== null) return `'${runManifestKey(runId)}': ${fault}`;
  if (shown === null) return `'${MANIFEST_KEY}' is missing or damaged`;
  // A newer run, or another export in the same folder.
  if (shown.run_id !== runId) return null;
  const shownFault = await compareManifest(shown, parts);
  if (shownFault !== null) return `'${MANIFEST_KEY}': ${shownFault}`;
  return await findMarkerFault(destination);
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
export async function compareManifest(manifest: Manifest, parts: readonly StoredPart[]): Promise<string | null> {
  const [contradiction] = await findContradictions(manifest);
  if (contradiction !== undefined) return contradiction;
  const committed = new Map(
    manifest.parts.filter(({ status }) => status === "committed").map((part) => [part.path, part]),
  );
  if (committed.size !== parts.length) return `it names ${committed.size} parts, ${parts.length} are recorded`;
  for (const { fileName, observations: seen } of parts) {
    const part = committed.get(fileName);
    if (part === undefined) return `part '${fileName}' is not in it`;
    const same = part.rows === seen.rows && part.size_bytes === seen.bytes && part.content_md5 === seen.md5 &&
      part.content_crc32c === seen.crc32c && part.content_fingerprint === `xxh3:${seen.xxh3}` &&
      part.column_checksums.length === seen.columns.length &&
      part.column_checksums.every((column, i) =>
        column.name === seen.columns[i]!.name && column.checksum === seen.columns[i]!.checksum &&
        column.nulls === seen.columns[i]!.nulls
      );
    if (!same) return `what it says of part '${fileName}' is not what was recorded`;
  }
  return null;
}
