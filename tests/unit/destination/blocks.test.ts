// Cutting bodies into blocks, and the size of the largest object.

import assert from "node:assert/strict";
import fc from "fast-check";
import { blockBytesAt, toBlocks } from "../../../src/destination/blocks.ts";
import { BLOCK_BYTES } from "../../../src/destination/upload.ts";

async function* chunks(sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let next = 0;
  for (const size of sizes) yield Uint8Array.from({ length: size }, () => next++ & 255);
}

Deno.test("toBlocks keeps every byte in order, fills every block but the last, and marks only the last", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(40), { maxLength: 30 }), fc.integer({ min: 1, max: 32 }), async (sizes, size) => {
      const blocks: { index: number; isLast: boolean; bytes: Uint8Array }[] = [];
      for await (const { index, isLast, bytes, release } of toBlocks(chunks(sizes), size)) {
        blocks.push({ index, isLast, bytes: bytes.slice() });
        // What is given back may be written over.
        if (index % 2 === 0) release();
      }
      const total = sizes.reduce((a, b) => a + b, 0);
      const joined = blocks.flatMap((block) => [...block.bytes]);
      assert.deepEqual(joined, Array.from({ length: total }, (_, i) => i & 255));
      assert.deepEqual(blocks.map((block) => block.index), blocks.map((_, i) => i));
      assert.deepEqual(blocks.map((block) => block.isLast), blocks.map((_, i) => i === blocks.length - 1));
      for (const block of blocks.slice(0, -1)) assert.equal(block.bytes.length, size);
      const last = blocks.at(-1)!.bytes.length;
      assert.ok(total === 0 ? last === 0 : last > 0 && last <= size);
    }),
  );
});

Deno.test("a block keeps its bytes until it is given back, however it grew", async () => {
  const size = 700_000;
  const held: { bytes: Uint8Array; copy: Uint8Array }[] = [];
  for await (const { bytes } of toBlocks(chunks([1, 65_536, 300_000, 2_000_000]), size)) {
    held.push({ bytes, copy: bytes.slice() });
  }
  assert.deepEqual(held.map(({ bytes }) => bytes.length), [size, size, size, 265_537]);
  for (const { bytes, copy } of held) assert.deepEqual(bytes, copy);
});

Deno.test("10,000 blocks hold the largest object of any store, and none is larger than 5 GiB", () => {
  let total = 0;
  for (let index = 0; index < 10_000; index++) {
    const bytes = blockBytesAt(index, BLOCK_BYTES);
    assert.ok(bytes <= 5 * 2 ** 30);
    assert.equal(bytes % (256 << 10), 0);
    total += bytes;
  }
  assert.ok(total >= 5 * 2 ** 40);
  assert.equal(blockBytesAt(949, BLOCK_BYTES), BLOCK_BYTES);
  assert.equal(blockBytesAt(950, BLOCK_BYTES), 2 * BLOCK_BYTES);
});
