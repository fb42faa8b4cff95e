// The sum of what chunks observed tells what the chunks themselves would.

import assert from "node:assert/strict";
import type { SliceObservations } from "../../../src/core/mod.ts";
import { type Outcome, readOutcome } from "../../../src/run/mod.ts";
import type { State, StoredSlice } from "../../../src/state/mod.ts";

function seen(rows: number, more: Partial<SliceObservations> = {}): SliceObservations {
  const columns = [{ name: "a", nulls: rows, longest: rows * 10, checksum: "7", zeroDates: 1 }];
  const unique = rows === 0 ? [] : [{ column: "a", duplicates: 1, complete: true }];
  return { rows, skipped: 2, columns, edge: { h1: 1 }, unique, ...more };
}

/** In pages of two. */
function outcomeOf(slices: readonly Partial<StoredSlice>[]): Promise<Outcome> {
  const stored = slices.map((
    slice,
    index,
  ) => ({ index, status: "completed", lastError: null, ...slice } as StoredSlice));
  const slicesAfter = (_run: string, index: number) =>
    Promise.resolve(stored.filter((slice) => slice.index > index).slice(0, 2));
  return readOutcome({ state: { slicesAfter } as unknown as State, runId: "r1" });
}

Deno.test("all chunks but the first with rows are summed", async () => {
  const observed = [seen(0), seen(3), seen(4), seen(5), seen(0)];
  const { slices, open, observations } = await outcomeOf(observed.map((observations) => ({ observations })));
  assert.deepEqual([slices, open], [5, 0]);
  assert.equal(observations.length, 2);
  assert.deepEqual(observations[0], observed[1]);
  assert.deepEqual(observations[1], {
    rows: 9,
    skipped: 8,
    columns: [{ name: "a", nulls: 9, longest: 50, zeroDates: 4, checksum: "0" }],
    edge: { h1: 4 },
    unique: [{ column: "a", duplicates: 2, complete: true }],
  });
});

Deno.test("a column that one chunk did not compare was not compared, and one that saw too much was not seen whole", async () => {
  const missing = await outcomeOf(
    [seen(1), seen(1), seen(1, { unique: [] })].map((observations) => ({ observations })),
  );
  assert.deepEqual(missing.observations[1]!.unique, []);
  const half = [{ column: "a", duplicates: 0, complete: false }];
  const partly = await outcomeOf(
    [seen(1), seen(1), seen(1, { unique: half })].map((observations) => ({ observations })),
  );
  assert.deepEqual(partly.observations[1]!.unique, [{ column: "a", duplicates: 1, complete: false }]);
});

Deno.test("chunks that are not done are counted, with what the first of them failed of", async () => {
  const outcome = await outcomeOf([
    { observations: seen(1) },
    { observations: null, status: "failed", lastError: "no room" },
    { observations: null, status: "pending" },
  ]);
  assert.deepEqual([outcome.slices, outcome.open, outcome.lastError], [3, 2, "no room"]);
});

Deno.test("a run without chunks observed nothing", async () => {
  assert.deepEqual(await outcomeOf([]), { slices: 0, open: 0, lastError: null, observations: [] });
});
