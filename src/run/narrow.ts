// A chunk read in several statements where one would last too long: which ranges, and what is learned from how long they took.

import { narrowSlice, type Slice } from "../plan/mod.ts";
import { type Predicate, type ReadReport, readsInOneStatement } from "../source/mod.ts";
import type { Run } from "./run.ts";
import type { Lane } from "./lane.ts";
import { learnPace, type Pace } from "./pace.ts";

/** Several statements are one picture only inside a transaction that holds it. */
function canNarrow({ task, picture, slices }: Run): boolean {
  return readsInOneStatement(task.source) && slices.length > 1 && picture.source.consistency !== "slice";
}

/** The ranges that a slice is read in: itself, or shorter ones where statements took too long. */
export async function chooseRanges(
  run: Run,
  slice: Slice,
  pace: Pace,
  lane: Lane,
): Promise<readonly (Predicate | null)[]> {
  const { task, slices } = run;
  if (pace.rowsMax === null || !canNarrow(run)) return [slice.bounds];
  return await narrowSlice(slice, {
    task,
    slices,
    rowsMax: pace.rowsMax,
    rowsMin: task.export.tuning.chunkMinRows,
    sliceRows: pace.chunkRows,
    ask: (sql) => lane.rows(sql),
  });
}

/** Takes note of a chunk that was read; the first time it matters, it is said. */
export function learnFrom(run: Run, pace: Pace, report: ReadReport): void {
  const { tuning } = run.task.export;
  if (!readsInOneStatement(run.task.source) || run.slices.length < 2) return;
  if (learnPace(pace, tuning, report) === "same" || pace.told) return;
  pace.told = true;
  const took = `a statement took ${(report.longestStatementMs / 1000).toFixed(1)} s, above chunk_max_statement_s`;
  run.recorder.warn(
    "pace",
    canNarrow(run)
      ? `${took}: the next chunks are read in statements of about ${pace.rowsMax} rows`
      : `${took}: without a snapshot a chunk is read in one statement; set a smaller chunk_size`,
  );
}
