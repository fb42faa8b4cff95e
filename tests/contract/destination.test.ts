// What every destination promises, on every destination.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { RivetError } from "../../src/errors.ts";
import { sleep } from "../../src/runtime.ts";
import {
  type Destination,
  type ExpectedObject,
  findDamage,
  openDestination,
  type OpenOptions,
  type PutOptions,
  type ResolvedDestination,
  type StoredObject,
} from "../../src/destination/mod.ts";
import { crc32cOf, crcToDecimal } from "../../src/destination/digest.ts";
import { bodyOf, bytesOf, collect, collectKeys } from "../support/bodies.ts";
import { startCutProxy } from "../support/cut_proxy.ts";
import { BLOCK, openBackends, type Place } from "../support/destinations.ts";

const { backends, absent, close } = await openBackends();
Deno.test.afterAll(close);

for (const name of absent) Deno.test({ name: `destination on ${name}`, ignore: true, fn() {} });

const SIGNAL = new AbortController().signal;
const OPTIONS: PutOptions = { contentType: "application/octet-stream", signal: SIGNAL };

function open(location: ResolvedDestination, options: OpenOptions = {}): Promise<Destination> {
  return openDestination(location, { blockBytes: BLOCK, ...options });
}

/** One test on each backend, with a place of its own. */
function each(
  name: string,
  check: (place: Place) => Promise<void>,
  applies: (backend: string) => boolean = () => true,
) {
  for (const backend of backends) {
    if (!applies(backend.name)) continue;
    Deno.test(`${backend.name}: ${name}`, async () => {
      await using place = await backend.open();
      await check(place);
    });
  }
}

const isStore = (backend: string) => backend !== "local";

async function read(destination: Destination, key: string): Promise<string | null> {
  const bytes = await collect(await destination.get(key));
  return bytes === null ? null : createHash("md5").update(bytes).digest("hex");
}

function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

async function digestsOf(bytes: Uint8Array): Promise<{ md5: string; crc32c: string }> {
  const md5 = createHash("md5").update(bytes).digest("base64");
  return { md5, crc32c: crcToDecimal(await crc32cOf(bytes)) };
}

async function expectedOf(stored: StoredObject, bytes: Uint8Array): Promise<ExpectedObject> {
  return { key: stored.key, size: bytes.length, ...await digestsOf(bytes), digests: { ...stored.digests } };
}

const KEYS = [
  "orders_c00000.parquet",
  "day=2026-11-21/orders_c00001.parquet",
  "day=2026-11-21/name with spaces.parquet",
  "a+b&c=d%25e#f?g'h(i)!*,;:@$.csv",
  "größe/日本語/😀.csv",
  "größe/\uffee.csv",
];

each("keys of any spelling are stored, read, described, listed in byte order and removed", async (place) => {
  await using destination = await open(place.location);
  for (const [i, key] of KEYS.entries()) {
    const bytes = bytesOf(100 + i, i + 1);
    const stored = await destination.put(key, bodyOf(bytes, 7), OPTIONS);
    assert.deepEqual([stored.key, stored.size], [key, bytes.length]);
    assert.equal(await read(destination, key), md5(bytes));
    const found = await destination.stat(key);
    assert.deepEqual([found?.key, found?.size], [key, bytes.length]);
  }
  const sorted = KEYS.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(await collectKeys(destination.list("")), sorted);
  assert.deepEqual(await collectKeys(destination.list("day=2026-11-21/")), sorted.filter((k) => k.startsWith("day=")));
  assert.deepEqual(await collectKeys(destination.list("orders_c")), ["orders_c00000.parquet"]);
  for (const key of KEYS) await destination.remove(key);
  assert.deepEqual(await collectKeys(destination.list("")), []);
});

each("what is not there is null, and removing it is no error", async (place) => {
  await using destination = await open(place.location);
  for (const key of ["nothing", "no/thing"]) {
    assert.equal(await destination.get(key), null);
    assert.equal(await destination.stat(key), null);
    await destination.remove(key);
    await destination.quarantine(key, "run");
  }
  assert.deepEqual(await collectKeys(destination.list("")), []);
});

each("files of every size around a block arrive whole, with digests the store vouches for", async (place) => {
  const small = { ...place.location, oneshotBudgetMb: 0.001 } as ResolvedDestination;
  for (const location of [place.location, small]) {
    await using destination = await open(location);
    for (const size of [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7]) {
      const bytes = bytesOf(size, size + 1);
      const key = `size ${size}`;
      const stored = await destination.put(key, bodyOf(bytes, 100_000), OPTIONS);
      assert.equal(stored.size, size);
      assert.equal(await read(destination, key), md5(bytes), key);
      const known = await digestsOf(bytes);
      for (const digests of [stored.digests, (await destination.stat(key))?.digests]) {
        if (digests?.md5 !== undefined) assert.equal(digests.md5, known.md5, key);
        if (digests?.crc32c !== undefined) assert.equal(digests.crc32c, known.crc32c, key);
      }
      assert.equal(await findDamage(destination, await expectedOf(stored, bytes), stored), null);
    }
    assert.equal(await place.openUploads() ?? 0, 0);
  }
});

each("the content of a large object is proven without reading it", async (place) => {
  await using destination = await open(place.location);
  const bytes = bytesOf(2 * BLOCK + 1);
  const stored = await destination.put("key", bodyOf(bytes), OPTIONS);
  const expected = await expectedOf(stored, bytes);
  const unread: Destination = Object.assign(Object.create(destination) as Destination, {
    get: () => assert.fail("the object was read"),
    stat: (key: string) => destination.stat(key),
  });
  const [listed] = await Array.fromAsync(destination.list("key"));
  assert.equal(await findDamage(unread, expected, listed), null);

  await destination.put("key", bodyOf(bytesOf(2 * BLOCK + 1, 5)), OPTIONS);
  const [replaced] = await Array.fromAsync(destination.list("key"));
  assert.equal(await findDamage(destination, expected, replaced), "part 'key' has other content");
}, isStore);

each("a range of a file is read, and one past its end is empty", async (place) => {
  await using destination = await open(place.location);
  const bytes = bytesOf(BLOCK + 100);
  await destination.put("key", bodyOf(bytes), OPTIONS);
  const part = await collect(await destination.get("key", { offset: BLOCK - 10, length: 50 }));
  assert.deepEqual(part, bytes.slice(BLOCK - 10, BLOCK + 40));
  assert.deepEqual(
    await collect(await destination.get("key", { offset: BLOCK + 90, length: 50 })),
    bytes.slice(BLOCK + 90),
  );
  assert.equal(
    await collect(await destination.get("key", { offset: BLOCK + 100, length: 5 })).catch(() => null).then((b) =>
      b?.length ?? 0
    ),
    0,
  );
});

each("an object that is put again is replaced", async (place) => {
  await using destination = await open(place.location);
  await destination.put("key", bodyOf(bytesOf(3 * BLOCK, 1)), OPTIONS);
  await destination.put("key", bodyOf(bytesOf(10, 2)), OPTIONS);
  assert.equal(await read(destination, "key"), md5(bytesOf(10, 2)));
  await destination.put("key", bodyOf(bytesOf(2 * BLOCK, 3)), OPTIONS);
  assert.equal(await read(destination, "key"), md5(bytesOf(2 * BLOCK, 3)));
});

each("an aborted upload rejects with its reason, shows nothing and leaves nothing open", async (place) => {
  await using destination = await open(place.location);
  await destination.put("kept", bodyOf(bytesOf(5)), OPTIONS);
  for (const [key, at] of [["kept", 1000], ["kept", 2 * BLOCK + 1], ["new", 2 * BLOCK + 1]] as const) {
    const stop = new AbortController();
    const reason = new Error("enough");
    const body = bodyOf(bytesOf(4 * BLOCK), 1000, (sent) => {
      if (sent >= at) stop.abort(reason);
    });
    await assert.rejects(destination.put(key, body, { ...OPTIONS, signal: stop.signal }), (error) => error === reason);
  }
  assert.equal(await read(destination, "kept"), md5(bytesOf(5)));
  assert.deepEqual(await collectKeys(destination.list("")), ["kept"]);
  assert.equal(await place.openUploads() ?? 0, 0);
});

each("an upload whose body fails rejects with that failure, shows nothing and leaves nothing open", async (place) => {
  await using destination = await open(place.location);
  const failure = new Error("the source is gone");
  for (const at of [0, 1000, BLOCK, 3 * BLOCK]) {
    const body = bodyOf(bytesOf(4 * BLOCK), 1000, (sent) => {
      if (sent >= at) throw failure;
    });
    await assert.rejects(destination.put("key", body, OPTIONS), (error) => error === failure);
  }
  assert.deepEqual(await collectKeys(destination.list("")), []);
  assert.equal(await place.openUploads() ?? 0, 0);
});

each("an upload waiting for its body is aborted at once", async (place) => {
  await using destination = await open(place.location);
  const stop = new AbortController();
  const forever = Promise.withResolvers<void>();
  const body = bodyOf(bytesOf(2 * BLOCK), BLOCK + 1, () => {
    stop.abort(new Error("enough"));
    return forever.promise;
  });
  const put = destination.put("key", body, { ...OPTIONS, signal: stop.signal });
  await assert.rejects(put, { message: "enough" });
  forever.resolve();
  assert.deepEqual(await collectKeys(destination.list("")), []);
}, isStore);

each("bytes other than the producer's are refused before anybody sees them", async (place) => {
  await using destination = await open(place.location);
  await destination.put("key", bodyOf(bytesOf(5)), OPTIONS);
  for (const size of [100, 3 * BLOCK]) {
    const wrong = await digestsOf(bytesOf(size, 9));
    const put = destination.put("key", bodyOf(bytesOf(size, 1)), { ...OPTIONS, expected: () => wrong });
    await assert.rejects(put, (error: RivetError) => {
      assert.equal(error.code, "RIVET_DEST_UPLOAD_CORRUPTED");
      assert.equal(error.retry, "destination");
      return true;
    });
    const right = await digestsOf(bytesOf(size, 1));
    await destination.put(`right ${size}`, bodyOf(bytesOf(size, 1)), { ...OPTIONS, expected: () => right });
  }
  assert.equal(await read(destination, "key"), md5(bytesOf(5)));
  assert.equal(await place.openUploads() ?? 0, 0);
}, isStore);

each("writers of one key at the same time leave the whole object of one of them", async (place) => {
  await using first = await open(place.location);
  await using second = await open(place.location);
  for (const size of [1000, 3 * BLOCK]) {
    const puts = await Promise.allSettled([
      first.put("key", bodyOf(bytesOf(size, 1)), OPTIONS),
      second.put("key", bodyOf(bytesOf(size, 2)), OPTIONS),
    ]);
    assert.ok(puts.some((put) => put.status === "fulfilled"));
    for (const put of puts) {
      if (put.status === "rejected") assert.equal((put.reason as RivetError).retry, "destination");
    }
    const found = await read(first, "key");
    assert.ok([md5(bytesOf(size, 1)), md5(bytesOf(size, 2))].includes(found!), "the object is a mixture");
  }
});

each("objects moved aside are kept, each of them, and are not listed", async (place) => {
  await using destination = await open(place.location);
  for (const seed of [1, 2]) {
    await destination.put("day=1/a b+c.csv", bodyOf(bytesOf(50, seed)), OPTIONS);
    await destination.quarantine("day=1/a b+c.csv", "run 1");
    assert.equal(await destination.get("day=1/a b+c.csv"), null);
  }
  assert.deepEqual(await collectKeys(destination.list("")), []);
  assert.equal(await read(destination, "_quarantine/run-1/day=1/a b+c.csv"), md5(bytesOf(50, 1)));
  assert.equal(await read(destination, "_quarantine/run-1/day=1/a b+c.csv.1"), md5(bytesOf(50, 2)));
});

each("keys that climb out of the destination are refused", async (place) => {
  await using destination = await open(place.location);
  for (const key of ["../x", "a/../../x", "/x", "a//b", "", "a/.", "x\0y", "a/"]) {
    const refused = { code: "RIVET_CONFIG_PATH_UNSAFE" };
    await assert.rejects(async () => await destination.put(key, bodyOf(bytesOf(1)), OPTIONS), refused, key);
    await assert.rejects(async () => await destination.get(key), refused, key);
    await assert.rejects(async () => await destination.remove(key), refused, key);
    await assert.rejects(async () => await destination.quarantine(key, "run"), refused, key);
  }
});

each("a missing bucket or container is told apart from a missing object", async (place) => {
  await using destination = await open(place.missing!);
  const missing = { code: "RIVET_DEST_CONTAINER_NOT_FOUND", retry: "never" };
  await assert.rejects(destination.put("key", bodyOf(bytesOf(5)), OPTIONS), missing);
  await assert.rejects(destination.put("key", bodyOf(bytesOf(3 * BLOCK)), OPTIONS), missing);
  await assert.rejects(destination.get("key"), missing);
  await assert.rejects(destination.stat("key"), missing);
  await assert.rejects(collectKeys(destination.list("")), missing);
}, isStore);

each("credentials that do not fit are refused at every call, and no secret is told", async (place) => {
  await using destination = await open(place.rejected!, { refresh: () => Promise.resolve(place.rejected!) });
  const calls = [
    () => destination.put("key", bodyOf(bytesOf(5)), OPTIONS),
    () => destination.put("key", bodyOf(bytesOf(3 * BLOCK)), OPTIONS),
    () => destination.get("key"),
    () => collectKeys(destination.list("")),
  ];
  for (const call of calls) {
    await assert.rejects(call, (error: RivetError) => {
      if (place.namesRejection) assert.equal(error.code, "RIVET_DEST_CREDENTIALS_INVALID", String(error.cause));
      else assert.match(error.message, /^The store denies the request/);
      assert.equal(error.retry, "never");
      assert.ok(!`${error.message} ${error.where} ${error.cure}`.includes(btoa("no")));
      return true;
    });
  }
}, isStore);

each("a connection cut once, wherever it is, costs a try and nothing else", async (place) => {
  await using proxy = startCutProxy(place.port!);
  await using plain = await open(place.location);
  const bytes = bytesOf(3 * BLOCK + 7);
  const put = async (key: string) => {
    await using destination = await open(place.through(proxy.port));
    await destination.put(key, bodyOf(bytes, 50_000), OPTIONS);
  };
  await put("clean");
  const total = { ...proxy.passed };
  assert.ok(total.up > bytes.length && total.down > 0);
  let cuts = 0;
  for (const [direction, steps] of [["up", 7], ["down", 5]] as const) {
    for (let step = 0; step < steps; step++) {
      proxy.set({ direction, afterBytes: Math.floor(total[direction] * step / steps), times: 1 });
      const key = `${direction} ${step}`;
      await put(key);
      cuts += proxy.cuts;
      assert.equal(await read(plain, key), md5(bytes), key);
    }
  }
  assert.equal(cuts, 12);
  await plain.sweep(() => true);
  assert.equal(await place.openUploads() ?? 0, 0);
}, isStore);

each("a connection that is always cut fails as transient, and nothing shows", async (place) => {
  await using proxy = startCutProxy(place.port!);
  await using plain = await open(place.location);
  proxy.set({ direction: "up", afterBytes: BLOCK / 2, times: Infinity });
  {
    await using destination = await open(place.through(proxy.port));
    await assert.rejects(
      destination.put("key", bodyOf(bytesOf(3 * BLOCK)), OPTIONS),
      (error: RivetError) => error instanceof RivetError && error.retry === "destination",
    );
  }
  assert.deepEqual(await collectKeys(plain.list("")), []);
  await plain.sweep(() => true);
  assert.equal(await place.openUploads() ?? 0, 0);
  // A client that gives up leaves the timer of its last wait behind.
  await sleep(2_000);
}, isStore);

each("a download that breaks off is continued or fails as transient, and is never a shorter file", async (place) => {
  await using proxy = startCutProxy(place.port!);
  await using destination = await open(place.through(proxy.port));
  const bytes = bytesOf(8 * BLOCK);
  await destination.put("key", bodyOf(bytes), OPTIONS);
  for (const afterBytes of [3 * BLOCK, 7 * BLOCK]) {
    proxy.set({ direction: "down", afterBytes, times: 1 });
    const found = await collect(await destination.get("key")).catch((error: unknown) => error);
    assert.equal(proxy.cuts, 1);
    if (found instanceof Uint8Array) assert.ok(Buffer.compare(found, bytes) === 0);
    else assert.equal((found as RivetError).retry, "destination", String(found));
  }
}, isStore);

each("what a killed process left is cleared for its keys only, and its keys can be put again", async (place) => {
  await using destination = await open(place.location);
  await killUploads(place.location, ["killed/a b", "others/c"]);
  assert.deepEqual(await collectKeys(destination.list("")), []);
  const left = await place.openUploads();
  if (left !== null) assert.equal(left, 2);
  if (place.uncommitted !== undefined) assert.equal(await place.uncommitted(), 2);
  const swept = await destination.sweep((key) => key.startsWith("killed/"));
  if (left !== null) assert.deepEqual([swept, await place.openUploads()], [1, 1]);
  if (place.uncommitted !== undefined) assert.deepEqual([swept, await place.uncommitted()], [1, 1]);
  const stored = await destination.put("killed/a b", bodyOf(bytesOf(3 * BLOCK, 4)), OPTIONS);
  assert.equal(await findDamage(destination, await expectedOf(stored, bytesOf(3 * BLOCK, 4)), stored), null);
  assert.deepEqual(await collectKeys(destination.list("")), ["killed/a b"]);
});

/** Starts an upload of each key in a process, and kills it when blocks of all of them have been taken. */
async function killUploads(location: ResolvedDestination, keys: string[]): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("../support/upload_child.ts", import.meta.url).pathname],
    env: { RIVET_TEST_UPLOAD: JSON.stringify({ location, keys, blockBytes: BLOCK }) },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.stdout.getReader();
  const { value } = await output.read();
  assert.equal(new TextDecoder().decode(value), "waiting\n");
  child.kill("SIGKILL");
  await child.status;
  await output.cancel();
}

each("a large body is pulled no faster than the store takes it", async (place) => {
  await using proxy = startCutProxy(place.port!);
  await using destination = await open(place.through(proxy.port));
  let pulled = 0;
  let most = 0;
  async function* body() {
    for (let i = 0; i < 30; i++) {
      pulled += BLOCK;
      most = Math.max(most, pulled - proxy.passed.up);
      yield bytesOf(BLOCK, i + 1);
    }
  }
  const stored = await destination.put("key", body(), OPTIONS);
  assert.equal(stored.size, 30 * BLOCK);
  // One block is gathered, two are under way, and one may be read ahead.
  assert.ok(most <= 5 * BLOCK, `${most / BLOCK} blocks were held at once`);
}, isStore);

each("a lane with nothing but the store's host can do all of it", async (place) => {
  const { destinationHosts, destinationPaths } = await import("../../src/destination/mod.ts");
  const hosts = destinationHosts(place.location);
  const { read, write } = destinationPaths(place.location);
  const worker = new Worker(new URL("../support/destination_worker.ts", import.meta.url), {
    type: "module",
    deno: {
      permissions: {
        net: hosts.length === 0 ? false : hosts,
        read: read.length === 0 ? false : read,
        write: write.length === 0 ? false : write,
        env: false,
        sys: place.location.kind === "azure" ? ["osRelease"] : false,
        run: false,
        ffi: false,
        import: false,
      },
    },
  } as WorkerOptions);
  try {
    const answer = await new Promise((done, fail) => {
      worker.onmessage = (event) => done(event.data);
      worker.onerror = (event) => {
        event.preventDefault();
        fail(new Error(event.message));
      };
      worker.postMessage({ location: place.location, blockBytes: BLOCK });
    });
    assert.deepEqual(answer, { keys: ["large", "small"], size: 3 * BLOCK + 7, damage: null });
  } finally {
    worker.terminate();
  }
});
