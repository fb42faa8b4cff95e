// How many slices a lane takes at once.

import assert from "node:assert/strict";
import { nextClaim } from "../../../src/run/mod.ts";

Deno.test("a lane takes more at once only while slices are done in no time, and never many more than before", () => {
  let slices = 1;
  const taken = [slices];
  for (let i = 0; i < 8; i++) taken.push(slices = nextClaim(slices, slices * 0.5));
  assert.deepEqual(taken, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
});

Deno.test("one slice that takes its time is taken alone, also after many that did not", () => {
  assert.equal(nextClaim(64, 64 * 150), 1);
  assert.equal(nextClaim(1, 60_000), 1);
  assert.equal(nextClaim(64, 64 * 10), 10);
});

Deno.test("a clock that stands still is no reason to take more than twice as many", () => {
  assert.equal(nextClaim(3, 0), 6);
});
