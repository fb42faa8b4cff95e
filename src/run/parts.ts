// What the ledger holds of a run, read as many slices at a time as can be in memory together with their parts.

import type { Slice } from "../plan/mod.ts";
import type { StoredPart } from "../state/mod.ts";
import type { Run } from "./run.ts";

const SLICES_PER_PAGE = 20_000;

/** Some slices, in their order, and all parts of them, in theirs. */
export interface PartPage {
  readonly slices: readonly Slice[];
  readonly parts: readonly StoredPart[];
}

/** Every slice once; none has no page. */
export async function* readParts(
  { state, runId, slices }: Pick<Run, "state" | "runId" | "slices">,
): AsyncGenerator<PartPage> {
  for (let i = 0; i < slices.length; i += SLICES_PER_PAGE) {
    const page = slices.slice(i, i + SLICES_PER_PAGE);
    yield { slices: page, parts: await state.partsBetween(runId, page[0]!.index, page.at(-1)!.index) };
  }
}
