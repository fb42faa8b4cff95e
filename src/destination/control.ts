// The control files of a prefix: manifest.json, its run copies and the marker. The order in which they are written is the promise
// that a reader always finds one complete picture.

import { RivetError } from "../errors.ts";
import {
  fingerprintBytes,
  formatMarker,
  type Manifest,
  MANIFEST_KEY,
  type ManifestText,
  parseManifest,
  runManifestKey,
  SUCCESS_KEY,
} from "../manifest.ts";
import { mapSome } from "../overlap.ts";
import type { Destination } from "./destination.ts";

/** A million parts with a few columns. */
export const MANIFEST_BYTES_MAX = 1 << 30;
export const MARKER_BYTES_MAX = 4096;

/** `manifest-<run_id>.json`. */
const RUN_MANIFEST = /^manifest-[^/]+\.json$/;

export function isRunManifestKey(key: string): boolean {
  return RUN_MANIFEST.test(key);
}

/** Old marker away, manifest, new marker (M1, M2) and the run copy. Doing it again gives the same result. */
export async function putManifest(
  destination: Destination,
  { runId, size, pieces }: ManifestText,
  signal: AbortSignal,
): Promise<void> {
  const shared = { signal, runId };
  const json = { ...shared, contentType: "application/json", size };
  try {
    await destination.remove(SUCCESS_KEY);
    await destination.put(MANIFEST_KEY, each(pieces), json);
    const marker = formatMarker(await fingerprintBytes(...pieces), runId);
    const text = { ...shared, contentType: "text/plain", size: marker.length };
    // Readers of all runs look at the copies alone: one that stands says that the run was published.
    const puts = [
      () => destination.put(runManifestKey(runId), each(pieces), json),
      () => destination.put(SUCCESS_KEY, each([marker]), text),
    ];
    await mapSome(puts, puts.length, (put) => put());
  } catch (cause) {
    if (cause instanceof RivetError && cause.code !== "RIVET_DEST_WRITE_FAILED") throw cause;
    throw new RivetError(
      "RIVET_DEST_MANIFEST_NOT_WRITTEN",
      `The manifest could not be written: ${(cause as Error).message}`,
      {
        where: destination.uri,
        cause,
        ...(cause instanceof RivetError ? { retry: cause.retry, cure: cause.cure } : {}),
      },
    );
  }
}

/** The run copy alone: `manifest.json` and the marker speak of another run. */
export async function putRunManifest(
  destination: Destination,
  { runId, size, pieces }: ManifestText,
  signal: AbortSignal,
): Promise<void> {
  await destination.put(runManifestKey(runId), each(pieces), { contentType: "application/json", signal, size });
}

async function* each(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** Keys of the run manifests at the prefix, in the order of the keys; of those whose run ids begin so. */
export async function listRunManifests(destination: Destination, runIdPrefix = ""): Promise<string[]> {
  const keys: string[] = [];
  const prefix = runManifestKey(runIdPrefix).slice(0, -".json".length);
  for await (const { key } of destination.list(prefix)) if (isRunManifestKey(key)) keys.push(key);
  return keys;
}

/** A manifest at the destination; null when there is none. Throws RIVET_DEST_CONTROL_ARTIFACT_INVALID for what is not one. */
export async function readManifest(destination: Destination, key: string): Promise<Manifest | null> {
  const bytes = await readSmall(destination, key, MANIFEST_BYTES_MAX);
  return bytes === null ? null : parseManifest(bytes, `${destination.uri}/${key}`);
}

/** A manifest that can be trusted: one that is damaged is as good as none. What cannot be read is thrown. */
export function readSoundManifest(destination: Destination, key: string): Promise<Manifest | null> {
  return readUnless(["RIVET_DEST_CONTROL_ARTIFACT_INVALID"], destination, key);
}

/** A manifest of this program's sets: what is damaged, or describes something else, is nobody's. What cannot be read is thrown. */
export function readOwnManifest(destination: Destination, key: string): Promise<Manifest | null> {
  return readUnless(["RIVET_DEST_CONTROL_ARTIFACT_INVALID", "RIVET_DEST_PREFIX_MODE_MISMATCH"], destination, key);
}

async function readUnless(codes: readonly string[], destination: Destination, key: string): Promise<Manifest | null> {
  try {
    return await readManifest(destination, key);
  } catch (error) {
    if (error instanceof RivetError && codes.includes(error.code)) return null;
    throw error;
  }
}

/** The bytes of a small object, null when there is none; one larger than `bytesMax` is refused. */
export async function readSmall(
  destination: Destination,
  key: string,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const stream = await destination.get(key);
  if (stream === null) return null;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > bytesMax) {
      throw new RivetError("RIVET_DEST_CONTROL_ARTIFACT_INVALID", `'${key}' is larger than ${bytesMax} bytes`, {
        where: destination.uri,
      });
    }
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let filled = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  return bytes;
}
