// What the chunks of a run came to, summed as it is read from the state: a million of them are never in memory with what they observed.

import type { ObservedColumn, SliceObservations } from "../core/mod.ts";
import { slicePages } from "../state/mod.ts";
import type { Run } from "./run.ts";

export interface Outcome {
  readonly slices: number;
  /** Those that are not completed, and what the first of them failed of. */
  readonly open: number;
  readonly lastError: string | null;
  /**
   * The first chunk that had rows, and all others as if they were one: enough to tell what repeats or is missing in any of them, and that
   * rows are in several. Checksums and extremes are left out.
   */
  readonly observations: readonly SliceObservations[];
}

/** Reads what was recorded of every chunk of the run. */
export async function readOutcome({ state, runId }: Pick<Run, "state" | "runId">): Promise<Outcome> {
  let [slices, open] = [0, 0];
  let lastError: string | null = null;
  let first: SliceObservations | null = null;
  const others = new ObservationSum();
  for await (const page of slicePages(state, runId)) {
    for (const { status, observations, lastError: error } of page) {
      slices++;
      if (status !== "completed" && open++ === 0) lastError = error;
      if (observations === null) continue;
      if (first === null && observations.rows > 0) first = observations;
      else others.add(observations);
    }
  }
  return { slices, open, lastError, observations: [...(first === null ? [] : [first]), ...others.get()] };
}

/** Several observations as one. */
class ObservationSum {
  #added = 0;
  #withRows = 0;
  #rows = 0;
  #skipped = 0;
  readonly #columns = new Map<string, { nulls: number; longest: number; zeroDates: number }>();
  readonly #edge: Record<string, number> = {};
  readonly #unique = new Map<string, { slices: number; duplicates: number; complete: boolean }>();

  add({ rows, skipped, columns, edge, unique }: SliceObservations): void {
    this.#added++;
    this.#rows += rows;
    this.#skipped += skipped;
    for (const [hash, count] of Object.entries(edge)) this.#edge[hash] = (this.#edge[hash] ?? 0) + count;
    for (const { name, nulls, longest, zeroDates = 0 } of columns) {
      const sum = this.#columns.get(name);
      if (sum === undefined) this.#columns.set(name, { nulls, longest, zeroDates });
      else {
        sum.nulls += nulls;
        sum.longest = Math.max(sum.longest, longest);
        sum.zeroDates += zeroDates;
      }
    }
    if (rows === 0) return;
    this.#withRows++;
    for (const { column, duplicates, complete } of unique) {
      const sum = this.#unique.get(column) ?? { slices: 0, duplicates: 0, complete: true };
      this.#unique.set(column, {
        slices: sum.slices + 1,
        duplicates: sum.duplicates + duplicates,
        complete: sum.complete && complete,
      });
    }
  }

  /** None when nothing was added. A column that was not compared in each chunk with rows was not compared. */
  get(): SliceObservations[] {
    if (this.#added === 0) return [];
    const columns: ObservedColumn[] = [...this.#columns].map(([name, sum]) => ({ name, checksum: "0", ...sum }));
    const unique = [...this.#unique].filter(([, { slices }]) => slices === this.#withRows)
      .map(([column, { duplicates, complete }]) => ({ column, duplicates, complete }));
    return [{ rows: this.#rows, skipped: this.#skipped, columns, edge: this.#edge, unique }];
  }
}
