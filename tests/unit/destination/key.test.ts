import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { compareKeys } from "../../../src/destination/key.ts";

Deno.test("keys have the order of their UTF-8 bytes", () => {
  const some = ["", "a", "b", "\u007f", "é", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "𐀀", "😀", "\u{10ffff}"];
  const keys = some.flatMap((x) => some.flatMap((y) => [`${x}${y}`, `p${x}${y}q`]));
  for (const a of keys) {
    for (const b of keys) {
      assert.equal(Math.sign(compareKeys(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)), `${a} and ${b}`);
    }
  }
});
