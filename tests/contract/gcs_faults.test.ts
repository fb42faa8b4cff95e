// Google Cloud Storage when it refuses, lies, throttles, hangs or forgets who we are.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { RivetError } from "../../src/errors.ts";
import { type Destination, type GcsLocation, openDestination, type OpenOptions } from "../../src/destination/mod.ts";
import { bodyOf, bytesOf, collect, collectKeys } from "../support/bodies.ts";
import { BLOCK, gcsLocation } from "../support/destinations.ts";
import { type FakeGcs, type FakeGcsOptions, type GcsCall, type GcsFault, startGcsFake } from "../support/gcs_fake.ts";

const PUT = { contentType: "application/octet-stream", signal: new AbortController().signal };
const SMALL = bytesOf(1000);
const LARGE = bytesOf(3 * BLOCK + 7);

interface Scene extends AsyncDisposable {
  readonly fake: FakeGcs;
  readonly destination: Destination;
  readonly location: GcsLocation;
  readonly warnings: string[];
}

async function open(options: FakeGcsOptions = {}, opening: OpenOptions = {}): Promise<Scene> {
  const fake = startGcsFake({ buckets: ["rivet-tests"], ...options });
  const location = gcsLocation(fake.port, "old");
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message);
  const destination = await openDestination(location, { blockBytes: BLOCK, onWarning, ...opening });
  return {
    fake,
    destination,
    location,
    warnings,
    async [Symbol.asyncDispose]() {
      await destination[Symbol.asyncDispose]();
      await fake[Symbol.asyncDispose]();
    },
  };
}

function first(operation: string, times: number, fault: GcsFault): (call: GcsCall) => GcsFault | undefined {
  return (call) => call.operation === operation && call.count <= times ? fault : undefined;
}

async function isStored(destination: Destination, key: string, bytes: Uint8Array): Promise<boolean> {
  const found = await collect(await destination.get(key));
  return found !== null && Buffer.compare(found, bytes) === 0;
}

Deno.test("a storm of 503s and 429s at every operation is waited out", async () => {
  await using scene = await open({
    fault: (call) => call.count <= 2 ? { kind: "refuse", status: call.count === 1 ? 503 : 429 } : undefined,
  });
  await scene.destination.put("small", bodyOf(SMALL), PUT);
  await scene.destination.put("large", bodyOf(LARGE), PUT);
  assert.ok(await isStored(scene.destination, "large", LARGE));
  await scene.destination.quarantine("small", "run");
  assert.deepEqual(await collectKeys(scene.destination.list("")), ["large"]);
});

Deno.test("a store that stays busy fails as transient and keeps no session", async () => {
  await using scene = await open({
    fault: (call) => call.operation.startsWith("PUT") ? { kind: "refuse", status: 503 } : undefined,
  });
  await assert.rejects(scene.destination.put("large", bodyOf(LARGE), PUT), {
    code: "RIVET_DEST_WRITE_FAILED",
    retry: "destination",
  });
  assert.equal(scene.fake.sessions.size, 0);
});

Deno.test("a block of which the store keeps only a part is continued there", async () => {
  await using scene = await open({ fault: first("PUT block", 2, { kind: "short", bytes: 100_000 }) });
  await scene.destination.put("large", bodyOf(LARGE), PUT);
  assert.ok(await isStored(scene.destination, "large", LARGE));
});

Deno.test("a block or an upload that is done although its answer says no is not sent twice", async () => {
  for (const count of [1, 2, 3, 4]) {
    await using scene = await open({
      fault: (call) =>
        call.operation === "PUT block" && call.count === count ? { kind: "late", status: 503 } : undefined,
    });
    await scene.destination.put("large", bodyOf(LARGE), PUT);
    assert.ok(await isStored(scene.destination, "large", LARGE));
    assert.equal(scene.fake.calls.filter((call) => call.operation === "PUT block").length, 4);
  }
});

Deno.test("a session that is gone fails as transient", async () => {
  await using scene = await open({
    fault: (call) => {
      if (call.operation === "PUT block" && call.count === 2) scene.fake.sessions.clear();
      return undefined;
    },
  });
  await assert.rejects(scene.destination.put("large", bodyOf(LARGE), PUT), { retry: "destination" });
  assert.deepEqual(await collectKeys(scene.destination.list("")), []);
});

Deno.test("bytes that change on their way into the store are refused before they show", async () => {
  for (const [operation, body] of [["POST multipart", SMALL], ["PUT block", LARGE]] as const) {
    await using scene = await open({
      fault: (call) => call.operation === operation ? { kind: "corrupt" } : undefined,
    });
    await assert.rejects(scene.destination.put("key", bodyOf(body), PUT), {
      code: "RIVET_DEST_UPLOAD_CORRUPTED",
      retry: "destination",
    });
    assert.deepEqual(await collectKeys(scene.destination.list("")), []);
  }
});

Deno.test("a token that expires in the middle of a run is renewed once", async () => {
  const tokens = new Set(["old"]);
  let renewals = 0;
  await using scene = await open({ tokens });
  const refresh = () => {
    renewals++;
    return Promise.resolve<GcsLocation>({
      ...scene.location,
      auth: { kind: "token", token: "new", expiresAtMs: null },
    });
  };
  await using destination = await openDestination(scene.location, { blockBytes: BLOCK, refresh });
  await destination.put("small", bodyOf(SMALL), PUT);
  tokens.delete("old");
  tokens.add("new");
  await Promise.all([
    destination.put("small", bodyOf(SMALL), PUT),
    destination.put("large", bodyOf(LARGE), PUT),
    destination.stat("small"),
  ]);
  assert.equal(renewals, 1);
  assert.ok(await isStored(destination, "large", LARGE));
});

Deno.test("a token that stays expired is a refusal, not a retry", async () => {
  await using scene = await open({ tokens: new Set() });
  await using destination = await openDestination(scene.location, { refresh: () => Promise.resolve(scene.location) });
  const expired = { code: "RIVET_DEST_CREDENTIALS_INVALID", retry: "never" };
  await assert.rejects(destination.put("key", bodyOf(SMALL), PUT), expired);
  await assert.rejects(destination.stat("key"), expired);
  assert.equal(scene.fake.calls.length, 4);
});

Deno.test("a denied write names the permission", async () => {
  await using scene = await open({ fault: () => ({ kind: "refuse", status: 403 }) });
  await assert.rejects(scene.destination.put("key", bodyOf(SMALL), PUT), (error: RivetError) => {
    assert.equal(error.code, "RIVET_DEST_WRITE_FAILED");
    assert.equal(error.retry, "never");
    assert.match(error.cure, /storage\.objects\.create/);
    return true;
  });
});

Deno.test("a server that never answers is given up and asked again", async () => {
  await using scene = await open({ fault: first("POST multipart", 1, { kind: "hang" }) }, { requestTimeoutMs: 2_000 });
  await scene.destination.put("key", bodyOf(SMALL), PUT);
  assert.ok(await isStored(scene.destination, "key", SMALL));
});

Deno.test("anonymous requests carry no token", async () => {
  await using scene = await open();
  await using destination = await openDestination({ ...scene.location, auth: { kind: "anonymous" } });
  await destination.put("key", bodyOf(SMALL), PUT);
  scene.fake.options = { buckets: ["rivet-tests"], tokens: new Set(["old"]) };
  await assert.rejects(destination.stat("key"), { code: "RIVET_DEST_CREDENTIALS_INVALID" });
});
