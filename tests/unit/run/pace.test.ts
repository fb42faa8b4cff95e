import assert from "node:assert/strict";
import { learnPace, openPace } from "../../../src/run/pace.ts";

const LIMITS = { chunkMaxStatementS: 2, chunkMinRows: 1000 };
const UNKNOWN = { rowsEstimate: null, avgRowBytes: null, chunks: 10 };
const report = (rows: number, longestStatementMs: number, statements = 1) => ({ rows, statements, longestStatementMs });

Deno.test("statements within the limit leave chunks whole", () => {
  const pace = openPace(LIMITS, UNKNOWN);
  assert.equal(learnPace(pace, LIMITS, report(100_000, 2_000)), "same");
  assert.equal(pace.rowsMax, null);
});

Deno.test("a statement above the limit makes the next ones bring fewer rows", () => {
  const pace = openPace(LIMITS, UNKNOWN);
  assert.equal(learnPace(pace, LIMITS, report(100_000, 8_000)), "slower");
  assert.equal(pace.rowsMax, 20_000);
  // Still too long: shorter again. What another lane read before it knew does not lengthen them.
  assert.equal(learnPace(pace, LIMITS, report(100_000, 4_000, 5)), "slower");
  assert.equal(pace.rowsMax, 8_000);
  assert.equal(learnPace(pace, LIMITS, report(100_000, 8_000)), "same");
  assert.equal(pace.rowsMax, 8_000);
});

Deno.test("no statement is made to bring fewer rows than chunk_min_rows", () => {
  const pace = openPace(LIMITS, UNKNOWN);
  assert.equal(learnPace(pace, LIMITS, report(100_000, 3_600_000)), "slower");
  assert.equal(pace.rowsMax, 1000);
  assert.equal(learnPace(pace, LIMITS, report(100_000, 60_000, 100)), "same");
  assert.equal(pace.rowsMax, 1000);
  const small = openPace(LIMITS, UNKNOWN);
  assert.equal(learnPace(small, LIMITS, report(900, 60_000)), "same");
  assert.equal(small.rowsMax, null);
});

Deno.test("statements that have become quick bring more rows, until a chunk is whole again", () => {
  const pace = openPace(LIMITS, UNKNOWN);
  learnPace(pace, LIMITS, report(100_000, 8_000));
  learnPace(pace, LIMITS, report(100_000, 499, 5));
  assert.equal(pace.rowsMax, 40_000);
  learnPace(pace, LIMITS, report(100_000, 1_000, 3));
  assert.equal(pace.rowsMax, 40_000);
  learnPace(pace, LIMITS, report(100_000, 499, 3));
  assert.equal(pace.rowsMax, 80_000);
  learnPace(pace, LIMITS, report(100_000, 499, 2));
  assert.equal(pace.rowsMax, null);
});

Deno.test("an almost empty chunk says nothing about full ones", () => {
  const pace = openPace(LIMITS, UNKNOWN);
  learnPace(pace, LIMITS, report(100_000, 8_000));
  learnPace(pace, LIMITS, report(5, 1, 5));
  assert.equal(pace.rowsMax, 20_000);
});

Deno.test("chunks of long rows are not read in one statement to begin with", () => {
  const wide = { rowsEstimate: 1_000_000, avgRowBytes: 20_480, chunks: 10 };
  assert.equal(openPace(LIMITS, wide).rowsMax, 3_276);
  assert.equal(openPace(LIMITS, { ...wide, avgRowBytes: 100 }).rowsMax, null);
  assert.equal(openPace(LIMITS, { ...wide, avgRowBytes: 10_000_000 }).rowsMax, 1000);
});
