// Which slices of an interrupted run still hold: nothing is continued on trust.

import { type Destination, type ExpectedObject, findDamage, listByKey } from "../destination/mod.ts";
import type { Slice } from "../plan/mod.ts";
import type { StoredPart, StoredSlice } from "../state/mod.ts";

/** Completed slices whose parts are not what was committed, each with the reason. */
export async function findDamaged(
  destination: Destination,
  slices: readonly StoredSlice[],
  parts: readonly StoredPart[],
): Promise<Map<number, string>> {
  const damaged = new Map<number, string>();
  const stored = await listByKey(destination);
  for (const part of parts) {
    const reason = await findDamage(destination, toExpected(part), stored.get(part.fileName));
    if (reason !== null) damaged.set(part.sliceIndex, reason);
  }
  const rows = new Map<number, number>();
  for (const part of parts) rows.set(part.sliceIndex, (rows.get(part.sliceIndex) ?? 0) + part.observations.rows);
  for (const slice of slices) {
    if (slice.status !== "completed" || damaged.has(slice.index)) continue;
    if (slice.observations === null) damaged.set(slice.index, "it was never committed");
    else if (slice.observations.rows !== (rows.get(slice.index) ?? 0) || slice.rows !== slice.observations.rows) {
      damaged.set(slice.index, "its recorded rows and parts differ");
    }
  }
  return damaged;
}

/**
 * Completed slices that a run which still has to read must read again in its new picture: rows may have moved between pages,
 * and rows added since the crash belong to a range that is open on one side, or have no key.
 */
export function findReopened(slices: readonly Slice[], completed: (index: number) => boolean): number[] {
  return slices.filter((slice) =>
    completed(slice.index) &&
    (slice.bounds?.kind === "pages" || slice.start === null || slice.end === null || slice.id === "null")
  )
    .map((slice) => slice.index);
}

export function toExpected(part: StoredPart): ExpectedObject {
  const { bytes, md5, crc32c } = part.observations;
  return { key: part.fileName, size: bytes, md5, crc32c, digests: part.digests };
}
