// What is too much to be in memory together, page by page.

import type { State, StoredSlice } from "./state.ts";

/** All slices of a run in order, so many at a time as can be in memory together. */
export async function* slicePages(
  state: Pick<State, "slicesAfter">,
  runId: string,
): AsyncGenerator<readonly StoredSlice[]> {
  for (let after = -1;;) {
    const page = await state.slicesAfter(runId, after);
    if (page.length === 0) return;
    yield page;
    after = page.at(-1)!.index;
  }
}
