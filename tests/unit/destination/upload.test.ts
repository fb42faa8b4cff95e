// An upload that is stopped while it is being begun.

import assert from "node:assert/strict";
import { type BlockStore, type BlockUpload, upload } from "../../../src/destination/upload.ts";
import { bodyOf, bytesOf } from "../../support/bodies.ts";

const REASON = new Error("enough");

/** Starts an upload of two blocks and stops it when it is being begun. */
async function stopWhileBegun(begin: (signal: AbortSignal, stop: () => void) => Promise<BlockUpload<null>>) {
  const stop = new AbortController();
  const store: BlockStore<null> = {
    putWhole: () => assert.fail("put whole"),
    begin: (signal) => begin(signal, () => stop.abort(REASON)),
  };
  const options = { signal: stop.signal, blockBytes: 10, wholeBytesMax: 10, beginPatienceMs: 20 };
  const done = upload(bodyOf(bytesOf(20), 5), store, (call) => call(), options);
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
    const options = { signal: stop.signal, blockBytes: 10, wholeBytesMax: 10, beginPatienceMs: 20 };
    await assert.rejects(upload(body, store, (call) => call(), options), (error) => error === REASON);
  }
});
