// What will happen, as data: a plan is a list of tasks, a task is one export as a list of slices.

import type { EncoderSpec } from "../core/mod.ts";
import type { ResolvedDestination } from "../destination/mod.ts";
import type { CursorDefinition, CursorState, ExportKey, SliceIntent } from "../state/mod.ts";
import type { Engine, KeyColumn, Predicate, Query, SourceColumn } from "../source/mod.ts";
import type { Export } from "../config/mod.ts";
import type { Layout } from "./layout.ts";

/** A range read as one unit. Users see the word chunk. */
export interface Slice {
  /** Position in the plan, from 0. */
  readonly index: number;
  /** Follows from the plan: `w`, `c00012`, `k00012`, `p00012`, `d2026-04-18`, `null`. */
  readonly id: string;
  readonly bounds: Predicate | null;
  /** Bounds for people; null is open. */
  readonly start: string | null;
  readonly end: string | null;
}

/** How an export is cut into slices. */
export type Strategy =
  | { readonly kind: "whole" }
  | { readonly kind: "pages"; readonly pagesPerSlice: number }
  | { readonly kind: "range"; readonly column: string; readonly size: number; readonly count: number | null }
  | { readonly kind: "days"; readonly column: string; readonly days: number }
  | { readonly kind: "key"; readonly columns: readonly string[]; readonly size: number }
  | { readonly kind: "dense"; readonly column: string; readonly size: number };

/** The bounds of an incremental run, fixed when it is planned. */
export interface CursorWindow {
  readonly definition: CursorDefinition;
  /** The stored upper bound of the last run; null on the first. */
  readonly low: string | null;
  /** Where reading starts: `low` less the lag. */
  readonly readFrom: string | null;
  /** Null when there is nothing to read. */
  readonly high: string | null;
  /** Rows at or above this are remembered for the next run. */
  readonly edgeFrom: string | null;
  readonly previous: CursorState | null;
  /** What protects this window: `ties`, `cursor_lag 300s`, `settle 300s`, `oldest transaction 2026-…`. */
  readonly protection: readonly string[];
  /** Rows with a NULL cursor that this run leaves out; null when unknown. */
  readonly nullRows: number | null;
}

export interface Task {
  readonly export: Export;
  /** The export's name, or `<export>__<value>` for a partition. */
  readonly name: string;
  readonly key: ExportKey;
  readonly source: Engine;
  readonly query: Query;
  readonly columns: readonly SourceColumn[];
  readonly strategy: Strategy;
  /** `full-scan`, `chunked(id, size=100000)`, `keyset(a, b, size=100000)`, … */
  readonly strategyLabel: string;
  /** Conditions of every slice. */
  readonly filters: readonly Predicate[];
  /** How it is cut; `none` for a run that is taken up, whose slices are stored. */
  readonly layout: Layout;
  /** Made from the layout when they are first asked for. */
  readonly slices: readonly Slice[];
  readonly window: CursorWindow | null;
  readonly lanes: number;
  readonly rowsEstimate: number | null;
  /** Columns that a unique index of the exported table holds alone; absent = unknown. */
  readonly uniqueKeys?: readonly string[];
  readonly avgRowBytes: number | null;
  readonly encoder: Omit<EncoderSpec, "framing" | "columns" | "edge" | "exportedAtUs">;
  readonly destination: ResolvedDestination;
  /** The destination as written, placeholders unexpanded. */
  readonly destinationWritten: string;
  /** Setting → value of everything that must not change between a crash and its resume. */
  readonly definition: Readonly<Record<string, string>>;
  readonly planHash: string;
  /** The day that `{date}` stands for. */
  readonly date: string;
  /** The plan artifact it comes from. */
  readonly planId: string | null;
  /** True when every run of the export is the whole picture, so that a new set replaces the old one. */
  readonly complete: boolean;
  readonly warnings: readonly string[];
}

export function toSliceIntent(slice: Slice): SliceIntent {
  return {
    index: slice.index,
    id: slice.id,
    startKey: slice.start,
    endKey: slice.end,
    boundsJson: JSON.stringify(slice.bounds),
  };
}

/** A slice as it was stored; its bounds are data of our own writing. */
export function fromSliceIntent(intent: SliceIntent): Slice {
  return {
    index: intent.index,
    id: intent.id,
    bounds: JSON.parse(intent.boundsJson) as Predicate | null,
    start: intent.startKey,
    end: intent.endKey,
  };
}

/** Many of them: the columns that all bounds repeat, and a cut that ends one slice and begins the next, are kept once. */
export function fromSliceIntents(intents: readonly SliceIntent[]): Slice[] {
  let known = { text: "", columns: [] as readonly KeyColumn[] };
  let last: readonly string[] | null = null;
  return intents.map((intent) => {
    const slice = fromSliceIntent(intent);
    const { bounds } = slice;
    if (bounds?.kind !== "range") return slice;
    const text = JSON.stringify(bounds.columns);
    if (text !== known.text) known = { text, columns: bounds.columns };
    const from = isSameCut(bounds.from, last) ? last : bounds.from;
    last = bounds.to;
    return { ...slice, bounds: { ...bounds, columns: known.columns, from } };
  });
}

function isSameCut(a: readonly string[] | null, b: readonly string[] | null): boolean {
  return a !== null && b !== null && a.length === b.length && a.every((value, i) => value === b[i]);
}
