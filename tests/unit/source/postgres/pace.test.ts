// How many rows a FETCH asks for, as rows and server change.

import assert from "node:assert/strict";
import { firstPace, nextPace, type Pace } from "../../../../src/source/postgres/pace.ts";

const limits = { batchRows: 100_000, batchBytes: 32 << 20 };

/** What the pace becomes after `count` full FETCHes of rows of this width and a server this fast. */
function settle(pace: Pace, rowBytes: number, waitedMs: number, count: number): Pace {
  for (let i = 0; i < count; i++) {
    const { rows } = pace;
    pace = nextPace(pace, { askedRows: rows, rows, bytes: rows * rowBytes, waitedMs }, limits);
  }
  return pace;
}

Deno.test("the first FETCH is small, whatever a batch may hold", () => {
  assert.ok(firstPace(limits).rows <= 8);
  assert.equal(firstPace({ batchRows: 1, batchBytes: 1 }).rows, 1);
});

Deno.test("a FETCH grows step by step to about half a megabyte", () => {
  const second = settle(firstPace(limits), 1000, 1, 1);
  assert.ok(second.rows <= 64);
  const settled = settle(second, 1000, 1, 10);
  assert.ok(settled.rows * 1000 > 400_000 && settled.rows * 1000 <= 524_288, `${settled.rows}`);
});

Deno.test("the narrowest rows still come in thousands, not in hundreds of thousands", () => {
  assert.equal(settle(firstPace(limits), 10, 0, 20).rows, 5000);
});

Deno.test("rows that grow wide are asked for one at a time at once", () => {
  const narrow = settle(firstPace(limits), 100, 1, 20);
  assert.equal(settle(narrow, 1_000_000, 1, 1).rows, 1);
});

Deno.test("a slow server is asked for fewer rows and then, once it is fast again, for more", () => {
  const fast = settle(firstPace(limits), 100, 1, 20);
  const slow = settle(fast, 100, 400, 1);
  assert.ok(slow.rows <= fast.rows / 10, `${slow.rows}`);
  assert.equal(settle(slow, 100, 1_000_000, 10).rows, 1);
  assert.equal(settle(slow, 100, 1, 60).rows, fast.rows);
});

Deno.test("the batch of the tuning bounds rows and bytes", () => {
  const tight = { batchRows: 50, batchBytes: 32 << 20 };
  let pace = firstPace(tight);
  for (let i = 0; i < 10; i++) {
    pace = nextPace(pace, { askedRows: pace.rows, rows: pace.rows, bytes: pace.rows * 10, waitedMs: 0 }, tight);
  }
  assert.equal(pace.rows, 50);
  const small = { batchRows: 100_000, batchBytes: 1000 };
  pace = nextPace(firstPace(small), { askedRows: 4, rows: 4, bytes: 400, waitedMs: 0 }, small);
  assert.equal(pace.rows, 10);
});

Deno.test("a FETCH without rows changes nothing", () => {
  const pace = settle(firstPace(limits), 100, 1, 5);
  assert.equal(nextPace(pace, { askedRows: pace.rows, rows: 0, bytes: 60, waitedMs: 500 }, limits), pace);
});
