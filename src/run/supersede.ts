// The manifest of a repaired run: new parts beside the old ones, each row named once. Pure.

import type { Manifest, ManifestPart } from "../manifest.ts";
import type { StoredPart, StoredSlice } from "../state/mod.ts";
import { toManifestPart } from "./commit.ts";

/**
 * Keeps what the manifest before said of parts that are not read any more. Parts that stay keep their ids, new ones get higher ids.
 * `replaced` is the ledger before the repair: what it names is told also where the manifest before is lost.
 */
export function supersede(
  manifest: Manifest,
  before: Manifest | null,
  replaced: readonly StoredPart[],
  slices: readonly StoredSlice[],
  repair: NonNullable<Manifest["repairs"]>[number] | null,
): Manifest {
  const known = new Map((before?.parts ?? []).map((part) => [part.path, part]));
  const names = new Map(slices.map(({ index, id }) => [index, id]));
  const committed = new Set(manifest.parts.map(({ path }) => path));
  const gone = new Map<string, ManifestPart>();
  for (const part of before?.parts ?? []) if (part.status !== "committed") gone.set(part.path, part);
  for (const part of replaced) {
    const told = known.get(part.fileName) ?? toManifestPart(part, 0, names.get(part.sliceIndex) ?? "");
    gone.set(part.fileName, { ...told, status: "superseded" });
  }
  let next = known.values().reduce((max, { part_id }) => Math.max(max, part_id), 0) + 1;
  const used = new Set<number>();
  const number = (part: ManifestPart): ManifestPart => {
    const id = known.get(part.path)?.part_id;
    const part_id = id === undefined || used.has(id) ? next++ : id;
    used.add(part_id);
    return { ...part, part_id };
  };
  const superseded = [...gone.values()].filter(({ path }) => !committed.has(path));
  const repairs = [...(before?.repairs ?? []).filter(({ run_id }) => run_id !== repair?.run_id), repair]
    .filter((entry) => entry !== null);
  return {
    ...manifest,
    parts: [...manifest.parts, ...superseded].map(number),
    ...(repairs.length === 0 ? {} : { repairs }),
  };
}
