// Whether later writes explain a difference. PostgreSQL alone tells when the present version of a row was written.

import type { SliceObservations } from "../core/mod.ts";
import type { ObserveResult, RereadInput, Slice, Task } from "../plan/mod.ts";
import { buildCount, type Mark, type Predicate, writtenAround, writtenBefore } from "../source/mod.ts";
import { differingColumns } from "./reconcile_compare.ts";
import type { RecordedSlice } from "./recorded.ts";
import type { Cause, PartitionCheck } from "./reconcile_report.ts";

export interface Explanation {
  readonly cause: Cause;
  readonly since: NonNullable<PartitionCheck["since_export"]>;
}

export interface ExplainInput extends Omit<RereadInput, "slices" | "onSlice"> {
  /** Slices were read in more than one picture: what is younger than the mark may still have been exported. */
  readonly severalPictures: boolean;
  readonly depth: "count" | "content";
}

/** Explains slices that differ: reads in each the rows that were there before the export and are unchanged. */
export async function explainDifferences(
  input: ExplainInput,
  slices: readonly {
    readonly slice: Slice;
    readonly stored: RecordedSlice;
    readonly rowsNow: number;
    /** When the chunk was exported. */
    readonly mark: Mark;
  }[],
  reread: (input: RereadInput) => Promise<void>,
): Promise<Map<number, Explanation>> {
  const unchanged = new Map<number, ObserveResult>();
  const narrowed = slices.map(({ slice, mark }) => narrow(slice, writtenBefore(mark)));
  await reread({ ...input, slices: narrowed, onSlice: (slice, result) => unchanged.set(slice.index, result) });
  const found = new Map<number, Explanation>();
  for (const { slice, stored, rowsNow, mark } of slices) {
    const seen = unchanged.get(slice.index)?.observations;
    if (seen === undefined || stored.observations === null) continue;
    const uncertain = await countRows(input.task, input.source, narrow(slice, writtenAround(mark)));
    found.set(slice.index, explain(stored.observations, seen, rowsNow, uncertain, input));
  }
  return found;
}

/** `unchanged` were there when the export read and have not been touched since: they are a part of what it read. */
export function explain(
  exported: SliceObservations,
  unchanged: SliceObservations,
  rowsNow: number,
  uncertain: number,
  { severalPictures, depth }: Pick<ExplainInput, "severalPictures" | "depth">,
): Explanation {
  const written = Math.max(0, rowsNow - unchanged.rows - uncertain);
  const since = { unchanged: unchanged.rows, written, uncertain };
  const sameValues = depth === "count" || differingColumns(exported.columns, unchanged.columns)?.length === 0;
  if (unchanged.rows === exported.rows && sameValues) return { cause: "later_writes", since };
  const isCertain = uncertain === 0 && !severalPictures;
  const contradicts = unchanged.rows > exported.rows || (unchanged.rows === exported.rows && !sameValues);
  return { cause: isCertain && contradicts ? "export" : "undecided", since };
}

function narrow(slice: Slice, by: Predicate): Slice {
  return { ...slice, bounds: slice.bounds === null ? by : { kind: "all", of: [slice.bounds, by] } };
}

async function countRows(task: Task, source: RereadInput["source"], slice: Slice): Promise<number> {
  const where = slice.bounds === null ? task.filters : [...task.filters, slice.bounds];
  return Number((await source.rows(buildCount(task.source, task.query, where)))[0]?.[0] ?? 0);
}
