// Azure Blob Storage when it refuses, lies, throttles, hangs or forgets who we are: the emulator behind a proxy that does so.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { RivetError } from "../../src/errors.ts";
import {
  type AzureLocation,
  type Destination,
  findDamage,
  openDestination,
  type OpenOptions,
} from "../../src/destination/mod.ts";
import { type AzureFault, type AzureProxy, startAzureProxy } from "../support/azure_proxy.ts";
import { openAzurite } from "../support/azurite.ts";
import { bodyOf, bytesOf, collect, collectKeys } from "../support/bodies.ts";
import { BLOCK } from "../support/destinations.ts";

const azurite = await openAzurite(["rivet-tests"]);
Deno.test.afterAll(async () => await azurite?.[Symbol.asyncDispose]());

const PUT = { contentType: "application/octet-stream", signal: new AbortController().signal };
const SMALL = bytesOf(1000);
const LARGE = bytesOf(3 * BLOCK + 7);
const BUSY: AzureFault = { kind: "refuse", status: 503, code: "ServerBusy" };

interface Scene extends AsyncDisposable {
  readonly proxy: AzureProxy;
  readonly destination: Destination;
  readonly location: AzureLocation;
}

async function open(opening: OpenOptions = {}): Promise<Scene> {
  const { port, accountName, accountKey } = azurite!;
  const proxy = startAzureProxy(port);
  const location: AzureLocation = {
    kind: "azure",
    container: "rivet-tests",
    prefix: `ä b+c/${crypto.randomUUID()}/`,
    endpoint: `http://127.0.0.1:${proxy.port}/${accountName}`,
    oneshotBudgetMb: 64,
    accountName,
    auth: { kind: "key", key: accountKey },
  };
  const destination = await openDestination(location, { blockBytes: BLOCK, ...opening });
  return {
    proxy,
    destination,
    location,
    async [Symbol.asyncDispose]() {
      await destination[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

function check(name: string, fn: () => Promise<void>) {
  Deno.test({ name, ignore: azurite === null, fn });
}

async function isStored(destination: Destination, key: string, bytes: Uint8Array): Promise<boolean> {
  const found = await collect(await destination.get(key));
  return found !== null && Buffer.compare(found, bytes) === 0;
}

check("a storm of 503s and 429s at every operation of Azure is waited out", async () => {
  await using scene = await open();
  scene.proxy.fault = ({ count }) =>
    count === 1 ? BUSY : count === 2 ? { kind: "refuse", status: 429, code: "TooManyRequests" } : undefined;
  await scene.destination.put("small", bodyOf(SMALL), PUT);
  await scene.destination.put("large", bodyOf(LARGE), PUT);
  assert.ok(await isStored(scene.destination, "large", LARGE));
  await scene.destination.quarantine("small", "run");
  assert.deepEqual(await collectKeys(scene.destination.list("")), ["large"]);
  const operations = new Set(scene.proxy.calls.map((call) => call.operation));
  for (const operation of ["PUT blob", "PUT block", "PUT blocklist", "GET blob", "DELETE blob", "GET list"]) {
    assert.ok(operations.has(operation), operation);
  }
});

check("an Azure store that stays busy fails as transient, and nothing shows", async () => {
  await using scene = await open();
  scene.proxy.fault = ({ operation }) => operation === "PUT block" ? BUSY : undefined;
  await assert.rejects(scene.destination.put("large", bodyOf(LARGE), PUT), {
    code: "RIVET_DEST_WRITE_FAILED",
    retry: "destination",
  });
  assert.deepEqual(await collectKeys(scene.destination.list("")), []);
});

check("what is done on Azure although its answer says no stays done", async () => {
  for (const operation of ["PUT blob", "PUT block", "PUT blocklist", "DELETE blob"]) {
    await using scene = await open();
    scene.proxy.fault = (call) =>
      call.operation === operation && call.count === 1
        ? { kind: "late", status: 500, code: "InternalError" }
        : undefined;
    await scene.destination.put("small", bodyOf(SMALL), PUT);
    await scene.destination.put("large", bodyOf(LARGE), PUT);
    assert.ok(await isStored(scene.destination, "large", LARGE), operation);
    await scene.destination.remove("small");
    assert.deepEqual(await collectKeys(scene.destination.list("")), ["large"]);
  }
});

check("bytes that change on their way to Azure are refused before they show", async () => {
  for (const [operation, body] of [["PUT blob", SMALL], ["PUT block", LARGE]] as const) {
    await using scene = await open();
    scene.proxy.fault = (call) => call.operation === operation ? { kind: "corrupt" } : undefined;
    await assert.rejects(scene.destination.put("key", bodyOf(body), PUT), {
      code: "RIVET_DEST_UPLOAD_CORRUPTED",
      retry: "destination",
    });
    assert.deepEqual(await collectKeys(scene.destination.list("")), []);
  }
});

check("an Azure signature that ends in the middle of a run is renewed once", async () => {
  await using scene = await open();
  let renewals = 0;
  const refresh = () => {
    renewals++;
    return Promise.resolve(scene.location);
  };
  const old: AzureLocation = { ...scene.location, auth: { kind: "sas", token: "sig=old", expiresAtMs: null } };
  await using destination = await openDestination(old, { blockBytes: BLOCK, refresh });
  scene.proxy.fault = ({ search }) =>
    search.includes("sig=old") ? { kind: "refuse", status: 403, code: "AuthenticationFailed" } : undefined;
  await Promise.all([
    destination.put("small", bodyOf(SMALL), PUT),
    destination.put("large", bodyOf(LARGE), PUT),
    destination.stat("small"),
  ]);
  assert.equal(renewals, 1);
  assert.ok(await isStored(destination, "large", LARGE));
});

check("an Azure signature that stays ended is a refusal, not a retry", async () => {
  await using scene = await open();
  await using destination = await openDestination(scene.location, { refresh: () => Promise.resolve(scene.location) });
  scene.proxy.fault = () => ({ kind: "refuse", status: 403, code: "AuthenticationFailed" });
  const ended = { code: "RIVET_DEST_CREDENTIALS_INVALID", retry: "never" };
  await assert.rejects(destination.put("key", bodyOf(SMALL), PUT), ended);
  await assert.rejects(destination.stat("key"), ended);
  assert.equal(scene.proxy.calls.length, 4);
});

check("a write that Azure denies names the permission", async () => {
  await using scene = await open();
  scene.proxy.fault = () => ({ kind: "refuse", status: 403, code: "AuthorizationPermissionMismatch" });
  await assert.rejects(scene.destination.put("key", bodyOf(SMALL), PUT), (error: RivetError) => {
    assert.deepEqual([error.code, error.retry], ["RIVET_DEST_WRITE_FAILED", "never"]);
    assert.match(error.cure, /write on blobs/);
    return true;
  });
});

check("an Azure store that never answers is given up and asked again", async () => {
  await using scene = await open({ requestTimeoutMs: 3_000 });
  scene.proxy.fault = ({ operation, count }) => operation === "PUT blob" && count === 1 ? { kind: "hang" } : undefined;
  await scene.destination.put("key", bodyOf(SMALL), PUT);
  assert.ok(await isStored(scene.destination, "key", SMALL));
});

check("an Azure object of many blocks is proven by its stored MD5, and one that was changed is not", async () => {
  await using scene = await open();
  const stored = await scene.destination.put("key", bodyOf(LARGE), PUT);
  const expected = {
    key: "key",
    size: LARGE.length,
    md5: stored.digests.md5!,
    crc32c: "",
    // As after a copy of the prefix, where no tag is the one that was seen.
    digests: {},
  };
  const before = scene.proxy.calls.filter(({ operation }) => operation === "GET blob").length;
  assert.equal(await findDamage(scene.destination, expected, stored), null);
  await scene.destination.put("key", bodyOf(bytesOf(LARGE.length, 9)), PUT);
  const [changed] = await Array.fromAsync(scene.destination.list("key"));
  assert.equal(await findDamage(scene.destination, expected, changed), "part 'key' has other content");
  assert.equal(scene.proxy.calls.filter(({ operation }) => operation === "GET blob").length, before);
});
