import assert from "node:assert/strict";
import { KeyDifference } from "../../../src/run/key_difference.ts";

/** Gives lines in pieces of `pieceBytes`. */
function compare(stored: string[], source: string[], pieceBytes = 7, keysMax = 100) {
  const difference = new KeyDifference();
  const feed = (lines: string[], add: (bytes: Uint8Array) => void) => {
    const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
    for (let at = 0; at < bytes.length; at += pieceBytes) add(bytes.subarray(at, at + pieceBytes));
  };
  feed(stored, (bytes) => difference.addStored(bytes));
  difference.endStored();
  feed(source, (bytes) => difference.addSource(bytes));
  return difference.finish(keysMax);
}

Deno.test("keys on one side alone and keys with another hash are told apart, in any order and any pieces", () => {
  for (const pieceBytes of [1, 3, 1000]) {
    const found = compare(["1,10", "2,20", "3,-30", "ü,5"], ["ü,5", "3,31", "4,40", "1,10"], pieceBytes);
    assert.deepEqual([found.missing, found.extra, found.changed], [["4"], ["2"], ["3"]]);
  }
});

Deno.test("equal rows are counted, each once", () => {
  const found = compare(["1,10", "1,10", "1,11"], ["1,10", "1,12", "1,13", "1,14"]);
  assert.deepEqual(found.counts, { missing: 1, extra: 0, changed: 2 });
  assert.deepEqual(compare(["1,10", "1,10"], ["1,10"]).counts, { missing: 0, extra: 1, changed: 0 });
});

Deno.test("keys may hold delimiters, quotes and line ends, and may be NULL", () => {
  const odd = ['"a,b\n""c""",1', ",2", '"",3'];
  assert.deepEqual(compare(odd, [...odd].reverse()).counts, { missing: 0, extra: 0, changed: 0 });
  assert.deepEqual(compare(odd, []).extra, ['"a,b\n""c"""', "", '""']);
});

Deno.test("no more keys are told than asked for, but all are counted", () => {
  const lines = Array.from({ length: 50 }, (_, i) => `${i},${i}`);
  const found = compare([], lines, 7, 3);
  assert.deepEqual([found.missing, found.counts.missing], [["0", "1", "2"], 50]);
});
