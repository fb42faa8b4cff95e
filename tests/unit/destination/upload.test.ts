// Uploads that are stopped or refused while they are being begun, and the slots they share.

import assert from "node:assert/strict";
import {
  BlockSlots,
  type BlockStore,
  type BlockUpload,
  upload,
  type UploadOptions,
} from "../../../src/destination/upload.ts";
import { bodyOf, bytesOf } from "../../support/bodies.ts";

const REASON = new Error("enough");

const optionsOf = (signal: AbortSignal, slots = new BlockSlots()): UploadOptions => ({
  signal,
  blockBytes: 10,
  wholeBytesMax: 10,
  slots,
  beginPatienceMs: 20,
});

/** Starts an upload of two blocks and stops it when it is being begun. */
async function stopWhileBegun(begin: (signal: AbortSignal, stop: () => void) => Promise<BlockUpload<null>>) {
  const stop = new AbortController();
  const store: BlockStore<null> = {
    putWhole: () => assert.fail("put whole"),
    begin: (signal) => begin(signal, () => stop.abort(REASON)),
  };
  const done = upload(bodyOf(bytesOf(20), 5), store, (call) => call(), optionsOf(stop.signal));
  await assert.rejects(done, (error) => error === REASON);
}

Deno.test("an upload that was stopped before the store had begun it is aborted when the store has", async () => {
  let aborted = 0;
  const target: BlockUpload<null> = {
    putBlock: () => assert.fail("a block was sent"),
    complete: () => assert.fail("completed"),
    abort: () => Promise.resolve(void aborted++),
  };
  await stopWhileBegun((signal, stop) => {
    stop();
    assert.equal(signal.aborted, false, "the request that says the upload's id was given up");
    return Promise.resolve(target);
  });
  assert.equal(aborted, 1);
});

Deno.test("a store that does not say that it has begun an upload is not waited for longer than the patience", async () => {
  await stopWhileBegun((signal, stop) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      stop();
    })
  );
});

Deno.test("an upload stopped just before it is begun is not waited for longer either", async () => {
  const store: BlockStore<null> = {
    putWhole: () => assert.fail("put whole"),
    begin: (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  };
  // Between the block that shows that there will be several and the upload's beginning lie a few steps: the signal comes at each.
  for (let steps = 0; steps < 12; steps++) {
    const stop = new AbortController();
    const stopLater = async () => {
      for (let step = 0; step < steps; step++) await Promise.resolve();
      stop.abort(REASON);
    };
    // Not waited for: the body goes on meanwhile.
    const body = bodyOf(bytesOf(20), 10, () => void stopLater());
    await assert.rejects(upload(body, store, (call) => call(), optionsOf(stop.signal)), (error) => error === REASON);
  }
});

Deno.test("uploads of one store share its slots, and give them back when they fail", async () => {
  const slots = new BlockSlots();
  let [underWay, most, sent] = [0, 0, 0];
  const store = (fails: boolean): BlockStore<null> => ({
    putWhole: () => assert.fail("put whole"),
    begin: () =>
      Promise.resolve({
        putBlock: async () => {
          most = Math.max(most, ++underWay);
          await new Promise((done) => setTimeout(done, 1));
          underWay--;
          if (fails && ++sent === 3) throw REASON;
          return null;
        },
        complete: (_parts, size) => Promise.resolve({ key: "key", size, digests: {} }),
        abort: () => Promise.resolve(),
      }),
  });
  const put = (fails: boolean) =>
    upload(bodyOf(bytesOf(100), 10), store(fails), (call) => call(), optionsOf(new AbortController().signal, slots));
  const outcomes = await Promise.allSettled([put(false), put(true), put(false), put(false)]);
  assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  assert.equal(most, 3);
  // All are free again.
  for (let slot = 0; slot < 3; slot++) await slots.take();
});

Deno.test("an upload that may not begin rejects, also while other uploads hold all slots", async () => {
  const slots = new BlockSlots();
  for (let slot = 0; slot < 3; slot++) await slots.take();
  const store: BlockStore<null> = {
    putWhole: () => assert.fail("put whole"),
    begin: () => Promise.reject(REASON),
  };
  const done = upload(bodyOf(bytesOf(30), 10), store, (call) => call(), optionsOf(new AbortController().signal, slots));
  // Whoever does not listen to the refusal by now ends the whole lane.
  await new Promise((resolve) => setTimeout(resolve, 5));
  slots.give();
  await assert.rejects(done, (error) => error === REASON);
});
