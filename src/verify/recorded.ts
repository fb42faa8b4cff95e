// What the state recorded of a run's slices when they were exported, without what no comparison asks for: there may be a million.

import type { SliceObservations } from "../core/mod.ts";
import { fromSliceIntents, type Slice } from "../plan/mod.ts";
import { slicePages, type State, type StoredPart, type StoredSlice } from "../state/mod.ts";

export interface RecordedSlice {
  readonly index: number;
  /** Null when it was never committed. */
  readonly observations: SliceObservations | null;
}

/** Slices in order, and beside each what was seen of it. `values` keeps what its columns held, else only its rows are told. */
export async function readRecorded(
  state: Pick<State, "slicesAfter">,
  runId: string,
  { values }: { readonly values: boolean },
): Promise<{ slices: Slice[]; recorded: RecordedSlice[] }> {
  const slices: Slice[] = [];
  const recorded: RecordedSlice[] = [];
  for await (const page of slicePages(state, runId)) {
    for (const slice of fromSliceIntents(page)) slices.push(slice);
    for (const { index, observations } of page) {
      recorded.push({ index, observations: observations === null || values ? observations : toRows(observations) });
    }
  }
  return { slices, recorded };
}

const NONE = { columns: [], edge: {}, unique: [] };

function toRows({ rows, skipped }: SliceObservations): SliceObservations {
  return { rows, skipped, ...NONE };
}

/** Some slices as they were recorded, in order, and all parts of them. */
export interface RecordedPage {
  readonly slices: readonly StoredSlice[];
  readonly parts: readonly StoredPart[];
}

export async function* readPages(
  state: Pick<State, "slicesAfter" | "partsBetween">,
  runId: string,
): AsyncGenerator<RecordedPage> {
  for await (const slices of slicePages(state, runId)) {
    yield { slices, parts: await state.partsBetween(runId, slices[0]!.index, slices.at(-1)!.index) };
  }
}
