// How an export is cut, as data that stays small however many slices it makes: a plan artifact holds it, and the slices follow from it.

import type { KeyColumn } from "../source/mod.ts";
import {
  countDays,
  countIntegers,
  countPages,
  cutSlices,
  daySlices,
  distinctCuts,
  integerSlices,
  keySlices,
  pageSlices,
  wholeSlice,
  withNullSlice,
} from "./slices.ts";
import type { Slice } from "./task.ts";

export type Layout =
  /** Nothing to read. */
  | { readonly kind: "none" }
  | { readonly kind: "whole" }
  | { readonly kind: "pages"; readonly pages: number; readonly pagesPerSlice: number }
  /** Windows of `size` keys; `min`, `max` and `size` are whole numbers of any length. */
  | {
    readonly kind: "integers";
    readonly column: KeyColumn;
    readonly min: string;
    readonly max: string;
    readonly size: string;
  }
  /** Windows of `days` whole days; `first` and `last` are `YYYY-MM-DD`. */
  | {
    readonly kind: "days";
    readonly column: KeyColumn;
    readonly first: string;
    readonly last: string;
    readonly days: number;
  }
  | { readonly kind: "keys"; readonly columns: readonly KeyColumn[]; readonly cuts: readonly (readonly string[])[] };

/** A column without any value: one slice that is open on both sides. */
export function openIntegers(column: KeyColumn): Layout {
  return { kind: "integers", column, min: "0", max: "0", size: "1" };
}

export function keyLayout(columns: readonly KeyColumn[], samples: readonly (readonly string[])[]): Layout {
  return { kind: "keys", columns, cuts: distinctCuts(samples) };
}

/** The slices, in order. The same layout always makes the same slices. */
export function buildSlices(layout: Layout): Slice[] {
  switch (layout.kind) {
    case "none":
      return [];
    case "whole":
      return wholeSlice();
    case "pages":
      return pageSlices(layout.pages, layout.pagesPerSlice);
    case "integers": {
      const { column, min, max, size } = layout;
      return withNullSlice(integerSlices(column, BigInt(min), BigInt(max), BigInt(size)), [column]);
    }
    case "days":
      return withNullSlice(daySlices(layout.column, layout.first, layout.last, layout.days), [layout.column]);
    case "keys":
      return withNullSlice(keySlices(layout.columns, layout.cuts), layout.columns);
    default: {
      const never: never = layout;
      return never;
    }
  }
}

/** How many slices a layout makes, without making them. Throws RIVET_PLAN_CHUNK_KEY_SPARSE for far too many. */
export function countSlices(layout: Layout): number {
  switch (layout.kind) {
    case "none":
      return 0;
    case "whole":
      return 1;
    case "pages":
      return countPages(layout.pages, layout.pagesPerSlice);
    case "integers": {
      const { column, min, max, size } = layout;
      return countIntegers(column, BigInt(min), BigInt(max), BigInt(size)) + nullSlices([column]);
    }
    case "days":
      return countDays(layout.first, layout.last, layout.days) + nullSlices([layout.column]);
    case "keys":
      return layout.cuts.length + 1 + nullSlices(layout.columns);
    default: {
      const never: never = layout;
      return never;
    }
  }
}

/** The first slices, `limit` at most: what a listing shows of a million. */
export function firstSlices(layout: Layout, limit: number): Pick<Slice, "id" | "start" | "end" | "bounds">[] {
  const found = [];
  for (let index = 0; index < Math.min(limit, countSlices(layout)); index++) found.push(sliceAt(layout, index));
  return found;
}

/** One slice, without making the others. Throws a RangeError beyond the last one. */
export function sliceAt(layout: Layout, index: number): Slice {
  const isRange = layout.kind === "integers" || layout.kind === "keys";
  const columns = layout.kind === "integers" ? [layout.column] : layout.kind === "keys" ? layout.columns : [];
  const ranges = isRange ? countSlices(layout) - nullSlices(columns) : 0;
  if (index < ranges) {
    const cuts = [index - 1, index].filter((i) => i >= 0 && i < ranges - 1).map((i) => cutAt(layout, i));
    const made = cutSlices(columns, cuts, () => `${layout.kind === "integers" ? "c" : "k"}${pad(index)}`);
    return { ...made[index === 0 ? 0 : 1]!, index };
  }
  const slice = isRange
    ? withNullSlice([], columns).map((one) => ({ ...one, index }))[index - ranges]
    : buildSlices(layout)[index];
  if (slice === undefined) throw new RangeError(`There is no slice ${index}`);
  return slice;
}

function cutAt(layout: Layout, index: number): readonly string[] {
  if (layout.kind === "integers") return [String(BigInt(layout.min) + BigInt(layout.size) * BigInt(index + 1))];
  return layout.kind === "keys" ? layout.cuts[index]! : [];
}

function pad(index: number): string {
  return String(index).padStart(5, "0");
}

function nullSlices(columns: readonly KeyColumn[]): number {
  return columns.some((column) => !column.notNull) ? 1 : 0;
}
