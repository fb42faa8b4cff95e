import assert from "node:assert/strict";
import type { ObservedColumn, SliceObservations } from "../../../src/core/mod.ts";
import type { StoredSlice } from "../../../src/state/mod.ts";
import { explain } from "../../../src/verify/reconcile_cause.ts";
import { compareContent, compareCount, sameInAll } from "../../../src/verify/reconcile_compare.ts";

const U64 = 2n ** 64n;

function column(name: string, checksum: bigint, nulls = 0): ObservedColumn {
  return { name, nulls, longest: 8, checksum: String(BigInt.asUintN(64, checksum)) };
}

function seen(rows: number, columns: ObservedColumn[], skipped = 0): SliceObservations {
  return { rows, skipped, columns, edge: {}, unique: [] };
}

function stored(observations: SliceObservations | null): StoredSlice {
  return {
    index: 3,
    id: "c00003",
    startKey: "1",
    endKey: "2",
    boundsJson: "null",
    status: "completed",
    attempts: 1,
    lastError: null,
    rows: observations?.rows ?? 0,
    observations,
    updatedAt: "",
  };
}

Deno.test("equal rows, NULLs and checksums match; each difference names its column", () => {
  const then = seen(10, [column("a", 5n), column("b", 7n, 2)]);
  const check = (now: SliceObservations) => {
    const { status, columns } = compareContent(stored(then), now);
    return [status, columns];
  };
  assert.deepEqual(check(then), ["match", []]);
  assert.deepEqual(check(seen(10, [column("a", 6n), column("b", 7n, 2)])), ["mismatch", ["a"]]);
  assert.deepEqual(check(seen(10, [column("a", 5n), column("b", 7n, 3)])), ["mismatch", ["b"]]);
  // A row of NULLs changes no checksum: the rows still differ.
  assert.deepEqual(check(seen(11, [column("a", 5n), column("b", 7n, 2)])), ["mismatch", []]);
});

Deno.test("what was never recorded is unknown, not equal", () => {
  assert.equal(compareContent(stored(null), seen(1, [])).status, "unknown");
  assert.equal(compareCount(stored(null), 0).status, "unknown");
  assert.equal(compareContent(stored(seen(1, [column("a", 1n)])), seen(1, [column("c", 1n)])).status, "unknown");
});

Deno.test("where a row lies in a window is not what it holds, and rows of the last window are not missing", () => {
  const then = seen(8, [column("a", 5n), column("_rivet_edge", 1n)], 2);
  const now = seen(8, [column("a", 5n), column("_rivet_edge", 9n)], 1);
  assert.equal(compareContent(stored(then), now).status, "match");
  const counted = compareCount(stored(then), 10);
  assert.deepEqual([counted.status, counted.sourceRows, counted.exportedRows], ["match", 8, 8]);
  assert.equal(compareCount(stored(then), 9).status, "mismatch");
});

Deno.test("pages hold the same rows in all when sums agree, over the end of 64 bits too", () => {
  const pair = (then: bigint, now: bigint, rows = [5, 5]) => ({
    then: seen(rows[0]!, [column("a", then)]),
    now: seen(rows[1]!, [column("a", now)]),
  });
  assert.ok(sameInAll([pair(U64 - 1n, 3n, [5, 6]), pair(10n, 6n, [5, 4])]));
  assert.ok(!sameInAll([pair(1n, 2n), pair(2n, 2n)]));
  assert.ok(!sameInAll([pair(1n, 1n, [5, 6]), pair(2n, 2n)]));
  assert.ok(!sameInAll([{ then: null, now: seen(0, []) }]));
});

Deno.test("later writes explain a difference only where what is unchanged is exactly what was exported", () => {
  const exported = seen(10, [column("a", 5n)]);
  const one = { severalPictures: false, depth: "content" } as const;
  const cause = (unchanged: SliceObservations, rowsNow: number, uncertain = 0, more = {}) =>
    explain(exported, unchanged, rowsNow, uncertain, { ...one, ...more }).cause;
  assert.equal(cause(exported, 14), "later_writes");
  assert.equal(cause(seen(10, [column("a", 6n)]), 10), "export");
  assert.equal(cause(seen(11, [column("a", 5n)]), 11), "export");
  assert.equal(cause(seen(9, [column("a", 4n)]), 9), "undecided");
  // Rows written while the picture was taken, or several pictures, leave room for another reason.
  assert.equal(cause(seen(11, [column("a", 5n)]), 12, 1), "undecided");
  assert.equal(cause(seen(11, [column("a", 5n)]), 11, 0, { severalPictures: true }), "undecided");
  assert.equal(cause(exported, 14, 3, { severalPictures: true }), "later_writes");
  assert.equal(cause(seen(10, []), 12, 0, { depth: "count" }), "later_writes");
  assert.deepEqual(explain(exported, seen(7, []), 12, 2, one).since, { unchanged: 7, written: 3, uncertain: 2 });
});
