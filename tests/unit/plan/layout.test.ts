import assert from "node:assert/strict";
import fc from "fast-check";
import { buildSlices, countSlices, firstSlices, keyLayout, type Layout, sliceAt } from "../../../src/plan/layout.ts";
import type { KeyColumn } from "../../../src/source/mod.ts";

const column = (notNull: boolean): KeyColumn => ({
  names: ["id"],
  type: { kind: "int64" },
  nativeType: "bigint",
  notNull,
});

const layouts: fc.Arbitrary<Layout> = fc.oneof(
  fc.constantFrom<Layout>({ kind: "none" }, { kind: "whole" }),
  fc.record({ pages: fc.integer({ min: 0, max: 50 }), pagesPerSlice: fc.integer({ min: 1, max: 20 }) })
    .map((one): Layout => ({ kind: "pages", ...one })),
  fc.tuple(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 62n }),
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 1, max: 9 }),
    fc.boolean(),
  ).map(([min, span, size, notNull]): Layout => ({
    kind: "integers",
    column: column(notNull),
    min: String(min),
    max: String(min + BigInt(span)),
    size: String(size),
  })),
  fc.tuple(fc.integer({ min: 1, max: 28 }), fc.integer({ min: 1, max: 9 }), fc.boolean())
    .map(([day, days, notNull]): Layout => ({
      kind: "days",
      column: column(notNull),
      first: "2026-02-01",
      last: `2026-02-${String(day).padStart(2, "0")}`,
      days,
    })),
  fc.tuple(fc.array(fc.integer({ min: 0, max: 9 }).map((n) => [String(n)])), fc.boolean())
    .map(([cuts, notNull]) => keyLayout([column(notNull)], cuts.sort())),
);

Deno.test("a layout counts and numbers exactly the slices that it makes", () => {
  fc.assert(fc.property(layouts, (layout) => {
    const slices = buildSlices(layout);
    assert.equal(countSlices(layout), slices.length);
    assert.deepEqual(slices.map((_, index) => sliceAt(layout, index)), slices);
    assert.deepEqual(firstSlices(layout, 3), slices.slice(0, 3));
    assert.throws(() => sliceAt(layout, slices.length), RangeError);
  }));
});

Deno.test("a layout is the same after a way through JSON", () => {
  fc.assert(fc.property(layouts, (layout) => {
    assert.deepEqual(buildSlices(JSON.parse(JSON.stringify(layout)) as Layout), buildSlices(layout));
  }));
});

Deno.test("one of a million slices is made without the others", () => {
  const layout: Layout = { kind: "integers", column: column(true), min: "1", max: "50000000", size: "1" };
  assert.equal(countSlices(layout), 50_000_000);
  assert.deepEqual(sliceAt(layout, 49_999_998).start, "49999999");
  assert.equal(firstSlices(layout, 5).length, 5);
  assert.throws(() => countSlices({ ...layout, max: "50000001" }), { code: "RIVET_PLAN_CHUNK_KEY_SPARSE" });
});
