// What was seen of a slice at its export against what is seen of it now. Pure.

import type { ObservedColumn, SliceObservations } from "../core/mod.ts";
import { addChecksums } from "../manifest.ts";
import type { CheckStatus } from "./reconcile_report.ts";
import type { RecordedSlice } from "./recorded.ts";

export interface Comparison {
  readonly status: CheckStatus;
  readonly sourceRows: number | null;
  readonly exportedRows: number | null;
  /** Columns whose checksums or NULLs differ. */
  readonly columns: readonly string[];
  readonly note?: string;
}

/** Rows alone. Rows that an incremental export had from its last window are in the count but not in the export. */
export function compareCount(stored: RecordedSlice, counted: number): Comparison {
  const { observations } = stored;
  if (observations === null) return { ...NEVER_COMMITTED, sourceRows: counted };
  const sourceRows = counted - observations.skipped;
  return {
    status: sourceRows === observations.rows ? "match" : "mismatch",
    sourceRows,
    exportedRows: observations.rows,
    columns: [],
  };
}

/** Rows, and each column's NULLs and checksum. */
export function compareContent(stored: RecordedSlice, seen: SliceObservations): Comparison {
  const { observations } = stored;
  if (observations === null) return { ...NEVER_COMMITTED, sourceRows: seen.rows };
  const base = { sourceRows: seen.rows, exportedRows: observations.rows };
  const columns = differingColumns(observations.columns, seen.columns);
  if (columns === null) {
    return { ...base, status: "unknown", columns: [], note: "the export recorded no checksums of these columns" };
  }
  return { ...base, status: seen.rows === observations.rows && columns.length === 0 ? "match" : "mismatch", columns };
}

const NEVER_COMMITTED: Comparison = {
  status: "unknown",
  sourceRows: null,
  exportedRows: null,
  columns: [],
  note: "the chunk was never committed",
};

/** Null when the two are of different columns. The edge column tells where a row lies, not what it holds. */
export function differingColumns(
  then: readonly ObservedColumn[],
  now: readonly ObservedColumn[],
): string[] | null {
  const recorded = new Map(then.map((column) => [column.name, column]));
  const differing: string[] = [];
  for (const column of now) {
    if (column.name.startsWith("_rivet_")) continue;
    const was = recorded.get(column.name);
    if (was === undefined) return null;
    if (was.checksum !== column.checksum || was.nulls !== column.nulls) differing.push(column.name);
  }
  return differing;
}

/** Whether slices that share their rows, as pages do, hold the same rows in all. */
export function sameInAll(
  pairs: readonly { readonly then: SliceObservations | null; readonly now: SliceObservations }[],
): boolean {
  if (pairs.some(({ then }) => then === null)) return false;
  const then = addAll(pairs.map((pair) => pair.then!));
  const now = addAll(pairs.map((pair) => pair.now));
  return then.rows === now.rows && differingColumns(then.columns, now.columns)?.length === 0;
}

function addAll(list: readonly SliceObservations[]): { rows: number; columns: ObservedColumn[] } {
  const columns = new Map<string, ObservedColumn>();
  for (const column of list.flatMap((observations) => observations.columns)) {
    const sum = columns.get(column.name);
    columns.set(
      column.name,
      sum === undefined ? column : {
        ...sum,
        nulls: sum.nulls + column.nulls,
        checksum: addChecksums(sum.checksum, column.checksum),
      },
    );
  }
  return { rows: list.reduce((total, { rows }) => total + rows, 0), columns: [...columns.values()] };
}
