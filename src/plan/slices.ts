// Bounds into slices: pure arithmetic. The slices are disjoint and half-open, the first open below, the last open above,
// with a slice for NULL keys: their union is the export whatever is inserted while it is read.

import { RivetError } from "../errors.ts";
import type { KeyColumn, Predicate } from "../source/mod.ts";
import type { Slice } from "./task.ts";

/** More slices than this are refused: the plan itself would be the problem. */
export const SLICES_MAX = 50_000_000;

export function wholeSlice(): Slice[] {
  return [{ index: 0, id: "w", bounds: null, start: null, end: null }];
}

/** Adds the slice of NULL keys unless the catalog rules them out. */
export function withNullSlice(slices: Slice[], columns: readonly KeyColumn[]): Slice[] {
  const nullable = columns.filter((column) => !column.notNull);
  if (nullable.length === 0) return slices;
  const bounds: Predicate = { kind: "null", columns: nullable };
  return [...slices, { index: slices.length, id: "null", bounds, start: "NULL", end: "NULL" }];
}

/** Slices between cut points: n cuts make n + 1 slices. */
export function cutSlices(
  columns: readonly KeyColumn[],
  cuts: readonly (readonly string[])[],
  toId: (index: number) => string,
): Slice[] {
  const slices: Slice[] = [];
  for (let index = 0; index <= cuts.length; index++) {
    const from = index === 0 ? null : cuts[index - 1]!;
    const to = index === cuts.length ? null : cuts[index]!;
    slices.push({
      index,
      id: toId(index),
      bounds: { kind: "range", columns, from, to },
      start: from?.join(", ") ?? null,
      end: to?.join(", ") ?? null,
    });
  }
  return slices;
}

/** Windows of `size` keys from `min` to `max`. */
export function integerSlices(column: KeyColumn, min: bigint, max: bigint, size: bigint): Slice[] {
  countIntegers(column, min, max, size);
  const cuts: string[][] = [];
  for (let cut = min + size; cut <= max; cut += size) cuts.push([String(cut)]);
  return cutSlices([column], cuts, (index) => numbered("c", index));
}

/** How many windows `integerSlices` makes; refuses far too many. */
export function countIntegers(column: KeyColumn, min: bigint, max: bigint, size: bigint): number {
  const count = (max - min) / size + 1n;
  if (count <= BigInt(SLICES_MAX)) return Number(count);
  throw new RivetError("RIVET_PLAN_CHUNK_KEY_SPARSE", `${count} chunks of ${size} keys between ${min} and ${max}`, {
    where: `column '${column.names.join(", ")}'`,
    cure: "Raise `chunk_size`, or slice by an index with `chunk_by_key`",
  });
}

/** The window size that makes `count` windows, rounded up, at least 1. */
export function sizeForCount(min: bigint, max: bigint, count: number): bigint {
  const span = max - min + 1n;
  const size = (span + BigInt(count) - 1n) / BigInt(count);
  return size < 1n ? 1n : size;
}

/** Windows of `days` whole days from `first` to `last` (`YYYY-MM-DD`). */
export function daySlices(column: KeyColumn, first: string, last: string, days: number): Slice[] {
  countDays(first, last, days);
  const cuts: string[][] = [];
  const end = dayNumber(last);
  for (let day = dayNumber(first) + days; day <= end; day += days) cuts.push([dayText(day)]);
  return cutSlices([column], cuts, (index) => `d${index === 0 ? first : cuts[index - 1]![0]}`);
}

/** How many windows `daySlices` makes; refuses far too many. */
export function countDays(first: string, last: string, days: number): number {
  const count = Math.floor(Math.max(0, dayNumber(last) - dayNumber(first)) / days) + 1;
  if (count <= SLICES_MAX) return count;
  throw new RivetError(
    "RIVET_PLAN_CHUNK_KEY_SPARSE",
    `Too many windows of ${days} days between ${first} and ${last}`,
    {
      cure: "Raise `chunk_by_days`, or correct the outlying dates in the column",
    },
  );
}

/** Ranges of PostgreSQL heap pages; the last one is open above, since a table grows at its end. */
export function pageSlices(pages: number, pagesPerSlice: number): Slice[] {
  const slices: Slice[] = [];
  for (let from = 0; from === 0 || from < pages; from += pagesPerSlice) {
    const next = from + pagesPerSlice;
    const to = next < pages ? next : null;
    slices.push({
      index: slices.length,
      id: numbered("p", slices.length),
      bounds: { kind: "pages", from, to },
      start: `page ${from}`,
      end: to === null ? null : `page ${to}`,
    });
  }
  return slices;
}

export function countPages(pages: number, pagesPerSlice: number): number {
  return Math.max(1, Math.ceil(pages / pagesPerSlice));
}

/** Slices between sampled keys, in the server's order; equal neighbours are one cut. */
export function keySlices(columns: readonly KeyColumn[], samples: readonly (readonly string[])[]): Slice[] {
  return cutSlices(columns, distinctCuts(samples), (index) => numbered("k", index));
}

export function distinctCuts(samples: readonly (readonly string[])[]): (readonly string[])[] {
  const cuts: (readonly string[])[] = [];
  for (const sample of samples) {
    const last = cuts.at(-1);
    if (last === undefined || sample.some((value, i) => value !== last[i])) cuts.push(sample);
  }
  return cuts;
}

function numbered(letter: string, index: number): string {
  return letter + String(index).padStart(5, "0");
}

const DAY_MS = 86_400_000;

/** Days since the epoch of a `YYYY-MM-DD…` text. */
export function dayNumber(text: string): number {
  const match = /^(\d{4,6})-(\d{2})-(\d{2})/.exec(text);
  if (match === null) {
    throw new RivetError("RIVET_SOURCE_PROBE_UNREADABLE", `Not a date: '${text}'`, {
      cure: "Choose a date or timestamp column for `chunk_by_days`",
    });
  }
  return Math.floor(Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3])) / DAY_MS);
}

export function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
