import assert from "node:assert/strict";
import type { Tuning } from "../../../src/config/mod.ts";
import { RivetError } from "../../../src/errors.ts";
import { attemptsMax, retryDelayMs } from "../../../src/run/retry.ts";

const TUNING = { maxRetries: 3, retryBackoffMs: 1000 } as Tuning;
const lost = new RivetError("RIVET_SOURCE_CONNECTION_LOST", "lost", { retry: "reconnect", retryDelayMs: 15 });

Deno.test("an error without a class is never tried again", () => {
  assert.equal(retryDelayMs(new RivetError("RIVET_SOURCE_QUERY_FAILED", "timeout, try again"), 1, 4, TUNING, 0), null);
});

Deno.test("waits double, are spread, and carry the class's own delay", () => {
  assert.deepEqual([1, 2, 3].map((n) => retryDelayMs(lost, n, 9, TUNING, 0.5)), [1015, 2015, 4015]);
  assert.equal(retryDelayMs(lost, 1, 9, TUNING, 0), 765);
  assert.equal(retryDelayMs(lost, 20, 99, TUNING, 0.5), 60_015);
});

Deno.test("the last attempt is the last", () => {
  assert.equal(attemptsMax(TUNING, null), 4);
  assert.equal(attemptsMax(TUNING, 1), 1);
  assert.equal(retryDelayMs(lost, 4, 4, TUNING, 0), null);
});
