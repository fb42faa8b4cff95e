import assert from "node:assert/strict";
import { type AdviceInput, advise, estimatePeakMb, type Verdict } from "../../../src/plan/mod.ts";

const INPUT: AdviceInput = {
  engine: "postgres",
  mode: "chunked",
  strategy: { kind: "range", column: "id", size: 100_000, count: null },
  parallel: 1,
  lanes: 1,
  rows: 1000,
  rowBytes: 100,
  usesIndex: true,
  hasCursor: false,
  slices: 1,
  sliceRows: 1000,
  keySpan: 1000,
  column: "id",
  connectionsMax: 100,
};

const M = 1_000_000;

// index, cursor, rows → verdict; the table that operators are told.
const VERDICTS: [boolean, boolean, number | null, Verdict][] = [
  [true, true, 10 * M, "efficient"],
  [true, true, 10 * M + 1, "acceptable"],
  [true, true, null, "efficient"],
  [true, false, 1, "acceptable"],
  [true, false, 900 * M, "acceptable"],
  [false, false, 99_999, "acceptable"],
  [false, true, 99_999, "acceptable"],
  [false, false, 100_000, "degraded"],
  [false, false, M, "degraded"],
  [false, false, null, "degraded"],
  [false, true, 50 * M, "degraded"],
  [false, true, 50 * M + 1, "degraded"],
  [false, false, M + 1, "degraded"],
];

for (const [usesIndex, hasCursor, rows, verdict] of VERDICTS) {
  Deno.test(`index ${usesIndex}, cursor ${hasCursor}, ${rows} rows: ${verdict}`, () => {
    const advice = advise({ ...INPUT, usesIndex, hasCursor, rows });
    assert.equal(advice.verdict, verdict);
    // A bad verdict names the budget it breaks, a good one breaks none.
    assert.equal(advice.breach === null, verdict === "efficient" || verdict === "acceptable");
    assert.equal(advice.suggestion === null, verdict === "efficient" || verdict === "acceptable");
  });
}

Deno.test("a verdict is unsafe only with a budget of memory that is broken, and it says by how much", () => {
  const wide = { ...INPUT, usesIndex: false, rows: 2 * M, rowBytes: 100_000 };
  assert.equal(advise({ ...wide, lanes: 15 }).verdict, "degraded");
  const { verdict, breach } = advise({ ...wide, lanes: 16 });
  assert.equal(verdict, "unsafe");
  assert.deepEqual([breach?.budget, breach?.limit, breach?.estimate], ["memory_mb", 2048, 16 + 16 * 128]);
  assert.match(breach!.text, /2064 MB .* 16 lanes/);
});

Deno.test("a lane is reckoned with 18 MB at least and 128 MB at most", () => {
  assert.equal(estimatePeakMb(1, null), 34);
  assert.equal(estimatePeakMb(2, 1_000_000), 16 + 256);
});

Deno.test("the profile follows rows and index", () => {
  const profile = (more: Partial<AdviceInput>) => advise({ ...INPUT, ...more }).profile;
  assert.deepEqual([M, 10 * M, 11 * M].map((rows) => profile({ rows })), ["fast", "balanced", "safe"]);
  const scans = [100_000, M, 2 * M].map((rows) => profile({ rows, usesIndex: false }));
  assert.deepEqual(scans, ["balanced", "balanced", "safe"]);
  assert.equal(profile({ rows: 5, usesIndex: false, lanes: 2 }), "safe");
});

Deno.test("lanes are recommended by strategy, rows and index", () => {
  const level = (more: Partial<AdviceInput>) => advise({ ...INPUT, slices: 50, ...more }).parallel.level;
  assert.equal(level({ rows: 49_999 }), 1);
  assert.equal(level({ rows: 400_000 }), 2);
  assert.equal(level({ rows: 600_000 }), 4);
  assert.equal(level({ rows: 600_000, usesIndex: false }), 2);
  assert.equal(level({ rows: 6 * M, usesIndex: false }), 1);
  assert.equal(level({ rows: 6 * M, engine: "sqlite" }), 1);
  assert.equal(level({ rows: 6 * M, strategy: { kind: "whole" } }), 1);
  assert.equal(level({ strategy: { kind: "key", columns: ["id"], size: 1 }, parallel: 3 }), 3);
});

// input → what exactly one warning says; null = no warning at all.
const WARNINGS: [string, Partial<AdviceInput>, RegExp | null][] = [
  ["nothing", {}, null],
  ["all connections", { parallel: 100 }, /HIGH .*100.*connections/],
  ["one connection left", { parallel: 99 }, null],
  ["an unreadable limit", { parallel: 2, connectionsMax: null }, /HIGH .*cannot be read/],
  ["an unreadable limit for one lane", { parallel: 1, connectionsMax: null }, null],
  ["many rows in lanes", { parallel: 2, rows: 5 * M + 1 }, /HIGH .*5,000,001 rows at once/],
  ["sparse keys", { slices: 11, rows: 99, keySpan: 1000, sliceRows: 10 }, /MEDIUM .*sparse/],
  ["sparse keys in few chunks", { slices: 10, rows: 99, keySpan: 1000, sliceRows: 10 }, null],
  ["dense enough keys", { slices: 11, rows: 100, keySpan: 1000, sliceRows: 10 }, null],
  ["a heavy chunk", { sliceRows: 100_000, rowBytes: 2685 }, /MEDIUM .*256 MB; `chunk_size: 99000`/],
  ["a chunk at the limit", { sliceRows: 1 << 18, rowBytes: 1024 }, null],
  ["dense chunks", { strategy: { kind: "dense", column: "id", size: 9 } }, /LOW .*chunk_dense/],
  ["chunks that scan", { usesIndex: false, slices: 7, rows: 1000 }, /HIGH .*no index on 'id'.* 7 chunks.*7,000 rows/],
];

for (const [name, input, says] of WARNINGS) {
  Deno.test(`warnings: ${name}`, () => {
    const found = advise({ ...INPUT, ...input }).warnings.map(({ severity, message }) => `${severity} ${message}`);
    if (says === null) assert.deepEqual(found, []);
    else {
      assert.equal(found.length, 1, found.join("\n"));
      assert.match(found[0]!, says);
    }
  });
}
