import assert from "node:assert/strict";
import { ByteQueue } from "../../../src/run/queue.ts";

Deno.test("chunks come out in order and count as bytes until they do", async () => {
  const queue = new ByteQueue();
  queue.push(new Uint8Array(3));
  queue.push(new Uint8Array(4));
  queue.end();
  assert.equal(queue.bytes, 7);
  const sizes: number[] = [];
  for await (const chunk of queue) sizes.push(chunk.length);
  assert.deepEqual(sizes, [3, 4]);
  assert.equal(queue.bytes, 0);
});

Deno.test("a writer waits until the reader has taken enough", async () => {
  const queue = new ByteQueue();
  queue.push(new Uint8Array(10));
  let free = false;
  const waiting = queue.drained(5).then(() => free = true);
  await Promise.resolve();
  assert.equal(free, false);
  const reader = queue[Symbol.asyncIterator]();
  await reader.next();
  await waiting;
  assert.equal(free, true);
  await reader.return(undefined);
});

Deno.test("a failure reaches the reader, and frees the writer", async () => {
  const queue = new ByteQueue();
  queue.push(new Uint8Array(10));
  const waiting = queue.drained(0);
  queue.fail(new Error("gone"));
  await waiting;
  await assert.rejects(async () => {
    for await (const _ of queue) { /* the chunk that was queued is not delivered */ }
  }, /gone/);
});

Deno.test("a reader that stops early frees the writer", async () => {
  const queue = new ByteQueue();
  queue.push(new Uint8Array(10));
  queue.push(new Uint8Array(10));
  for await (const _ of queue) break;
  await queue.drained(0);
});
