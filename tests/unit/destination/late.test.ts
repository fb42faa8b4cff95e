import assert from "node:assert/strict";
import type { Destination, S3Location } from "../../../src/destination/mod.ts";
import { openLater } from "../../../src/destination/late.ts";
import { s3Location } from "../../support/destinations.ts";

const LOCATION: S3Location = {
  ...s3Location(9, { accessKeyId: "id", secretAccessKey: "key" }),
  bucket: "shop",
  prefix: "raw/",
};

/** A store that counts how often it was opened and closed, and knows one object. */
function countingStore(failures = 0) {
  const counts = { opened: 0, closed: 0 };
  const store = {
    stat: (key: string) => Promise.resolve({ key, size: 1, digests: {} }),
    async *list() {
      yield { key: "a", size: 1, digests: {} };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(void counts.closed++),
  } as unknown as Destination;
  const open = () => {
    counts.opened++;
    return counts.opened <= failures ? Promise.reject(new Error("no client")) : Promise.resolve(store);
  };
  return { counts, open };
}

Deno.test("openLater opens a store once, when the first request comes, and closes it", async () => {
  const { counts, open } = countingStore();
  {
    await using late = openLater(LOCATION, open);
    assert.deepEqual([late.uri, late.capabilities.retrySafe, counts.opened], ["s3://shop/raw/", true, 0]);
    const found = await Promise.all([late.stat("a"), Array.fromAsync(late.list(""))]);
    assert.deepEqual([found[0]!.key, found[1].length, counts.opened], ["a", 1, 1]);
  }
  assert.deepEqual(counts, { opened: 1, closed: 1 });
});

Deno.test("a late store that was never asked is never opened", async () => {
  const { counts, open } = countingStore();
  await openLater(LOCATION, open)[Symbol.asyncDispose]();
  assert.deepEqual(counts, { opened: 0, closed: 0 });
});

Deno.test("a late store that could not be opened is opened by the next request, and closing it does not fail", async () => {
  const { counts, open } = countingStore(1);
  const late = openLater(LOCATION, open);
  const first = late.stat("a");
  await late[Symbol.asyncDispose]();
  await assert.rejects(first, /no client/);
  assert.equal((await late.stat("a"))?.key, "a");
  await late[Symbol.asyncDispose]();
  assert.deepEqual(counts, { opened: 2, closed: 1 });
});
