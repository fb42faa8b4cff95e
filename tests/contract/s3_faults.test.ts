// S3 when it refuses, lies, throttles, hangs or forgets who we are.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { CODES, type RivetError } from "../../src/errors.ts";
import {
  type Destination,
  findDamage,
  openDestination,
  type OpenOptions,
  type S3Location,
} from "../../src/destination/mod.ts";
import { crc32cOf, crcToDecimal } from "../../src/destination/digest.ts";
import { bodyOf, bytesOf, collect, collectKeys } from "../support/bodies.ts";
import { BLOCK, s3Location } from "../support/destinations.ts";
import { type FakeCall, type FakeFault, type FakeS3, type FakeS3Options, startS3Fake } from "../support/s3_fake.ts";

const KEYS = { accessKeyId: "AKIA", secretAccessKey: "secret" };
const PUT = { contentType: "application/octet-stream", signal: new AbortController().signal };
const SMALL = bytesOf(1000);
const LARGE = bytesOf(3 * BLOCK + 7);

interface Scene extends AsyncDisposable {
  readonly fake: FakeS3;
  readonly destination: Destination;
  readonly location: S3Location;
  readonly warnings: string[];
}

async function open(options: FakeS3Options = {}, opening: OpenOptions = {}): Promise<Scene> {
  const fake = startS3Fake({ buckets: ["rivet-tests"], ...options });
  const location = s3Location(fake.port, KEYS);
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

/** A fault at the first `times` calls of an operation. */
function first(operation: string, times: number, fault: FakeFault): (call: FakeCall) => FakeFault | undefined {
  return (call) => call.operation === operation && call.count <= times ? fault : undefined;
}

const BUSY: FakeFault = { kind: "refuse", status: 503, code: "SlowDown" };

async function read(destination: Destination, key: string): Promise<boolean> {
  const bytes = await collect(await destination.get(key));
  return bytes !== null && [SMALL, LARGE].some((known) => Buffer.compare(known, bytes) === 0);
}

Deno.test("a storm of 503s at every operation is waited out", async () => {
  await using scene = await open({ fault: (call) => call.count <= 2 ? BUSY : undefined });
  await scene.destination.put("small", bodyOf(SMALL), PUT);
  await scene.destination.put("large", bodyOf(LARGE), PUT);
  assert.ok(await read(scene.destination, "small") && await read(scene.destination, "large"));
  assert.deepEqual(await collectKeys(scene.destination.list("")), ["large", "small"]);
  await scene.destination.remove("small");
  assert.equal(scene.fake.uploads.size, 0);
});

Deno.test("a store that stays busy fails as transient, and an upload that cannot be aborted is told", async () => {
  await using scene = await open({
    fault: (call) => ["PUT part", "DELETE upload"].includes(call.operation) ? BUSY : undefined,
  });
  await assert.rejects(scene.destination.put("large", bodyOf(LARGE), PUT), {
    code: "RIVET_DEST_WRITE_FAILED",
    retry: "destination",
  });
  assert.equal(scene.warnings.length, 1);
  assert.match(scene.warnings[0]!, /was left open \(SlowDown\): the next run of this export clears it$/);
  scene.fake.options = { buckets: ["rivet-tests"] };
  assert.equal(await scene.destination.sweep((key) => key === "large"), 1);
  assert.equal(scene.fake.uploads.size, 0);
  // Blocks that waited for their next attempt when it was given up have timers of up to four seconds.
  await new Promise((done) => setTimeout(done, 4_200));
});

Deno.test("a finished upload whose answer got lost is found finished", async () => {
  for (const checksums of [true, false]) {
    await using scene = await open({
      checksums,
      fault: first("POST complete", 1, { kind: "late", status: 503, code: "InternalError" }),
    });
    const stored = await scene.destination.put("large", bodyOf(LARGE), PUT);
    assert.equal(stored.size, LARGE.length);
    assert.ok(await read(scene.destination, "large"));
  }
});

Deno.test("blocks are not signed whole, but where the bucket asks for it", async () => {
  for (const [signedOnly, tries] of [[false, [4]], [true, [5, 6, 7]]] as const) {
    await using scene = await open({ signedOnly });
    await scene.destination.put("large", bodyOf(LARGE), PUT);
    assert.ok(await read(scene.destination, "large"));
    const parts = scene.fake.calls.filter(({ operation }) => operation === "PUT part").length;
    assert.ok((tries as readonly number[]).includes(parts), String(parts));
  }
});

Deno.test("an upload that somebody else took away fails as transient", async () => {
  await using scene = await open({
    fault: (call) => {
      if (call.operation === "POST complete") scene.fake.uploads.clear();
      return undefined;
    },
  });
  await assert.rejects(scene.destination.put("large", bodyOf(LARGE), PUT), { retry: "destination" });
  assert.deepEqual(await collectKeys(scene.destination.list("")), []);
});

Deno.test("bytes that change on their way into the store are noticed and removed", async () => {
  for (const [operation, body] of [["PUT object", SMALL], ["PUT part", LARGE]] as const) {
    for (const checksums of operation === "PUT part" ? [true, false] : [true]) {
      await using scene = await open({ checksums, fault: first(operation, 1, { kind: "corrupt" }) });
      await assert.rejects(scene.destination.put("key", bodyOf(body), PUT), {
        code: "RIVET_DEST_UPLOAD_CORRUPTED",
        retry: "destination",
      });
      assert.deepEqual(await collectKeys(scene.destination.list("")), []);
      assert.equal(scene.fake.uploads.size, 0);
    }
  }
});

Deno.test("under KMS a tag is not taken for an MD5, and content is still proven", async () => {
  for (const checksums of [true, false]) {
    await using scene = await open({ kms: true, checksums });
    for (const bytes of [SMALL, LARGE]) {
      const stored = await scene.destination.put("key", bodyOf(bytes), PUT);
      const found = await scene.destination.stat("key");
      assert.equal(found?.digests.md5, undefined);
      const expected = {
        key: "key",
        size: bytes.length,
        md5: createHash("md5").update(bytes).digest("base64"),
        crc32c: crcToDecimal(await crc32cOf(bytes)),
      };
      assert.equal(await findDamage(scene.destination, { ...expected, digests: { ...stored.digests } }, found!), null);
      assert.equal(await findDamage(scene.destination, { ...expected, digests: {} }, found!), null);
    }
  }
});

Deno.test("a token that expires in the middle of an upload is renewed once", async () => {
  const old = { secret: "secret", token: "old", isExpired: false };
  const accounts = new Map([["AKIA", old], ["NEW", { secret: "newer", token: "new", isExpired: false }]]);
  let renewals = 0;
  const location = (keys: { accessKeyId: string; secretAccessKey: string; sessionToken: string }) => ({
    ...s3Location(1, KEYS),
    auth: { kind: "keys" as const, ...keys, expiresAtMs: null },
  });
  const fake = startS3Fake({ buckets: ["rivet-tests"], accounts });
  await using _fake = fake;
  const at = { endpoint: fake.url };
  const fresh = { ...location({ accessKeyId: "NEW", secretAccessKey: "newer", sessionToken: "new" }), ...at };
  await using destination = await openDestination({
    ...location({ accessKeyId: "AKIA", secretAccessKey: "secret", sessionToken: "old" }),
    ...at,
  }, {
    blockBytes: BLOCK,
    refresh: () => {
      renewals++;
      return Promise.resolve(fresh);
    },
  });
  const body = bodyOf(LARGE, 10_000, (sent) => {
    old.isExpired ||= sent > 2 * BLOCK;
  });
  await destination.put("large", body, PUT);
  assert.equal(renewals, 1);
  assert.ok(await read(destination, "large"));
});

Deno.test("a token that stays expired is a refusal, not a retry", async () => {
  const accounts = new Map([["AKIA", { secret: "secret", isExpired: true }]]);
  await using scene = await open({ accounts });
  await using destination = await openDestination(scene.location, { refresh: () => Promise.resolve(scene.location) });
  const expired = { code: "RIVET_DEST_CREDENTIALS_INVALID", retry: "never" };
  await assert.rejects(destination.put("key", bodyOf(SMALL), PUT), expired);
  await assert.rejects(destination.stat("key"), expired);
});

Deno.test("a clock that is wrong is corrected for and told once", async () => {
  await using scene = await open({
    clockMs: 20 * 60_000,
    accounts: new Map([["AKIA", { secret: "secret" }]]),
  });
  await scene.destination.put("key", bodyOf(SMALL), PUT);
  await scene.destination.put("large", bodyOf(LARGE), PUT);
  assert.deepEqual(scene.warnings, ["the clock of this machine is 20 min behind the store's"]);
});

Deno.test("a server that never answers is given up and asked again", async () => {
  await using scene = await open({ fault: first("PUT object", 1, { kind: "hang" }) }, { requestTimeoutMs: 2_000 });
  await scene.destination.put("key", bodyOf(SMALL), PUT);
  assert.equal(scene.fake.calls.filter((call) => call.operation === "PUT object").length, 2);
});

Deno.test("a denied write names the permission, and a bucket elsewhere the region", async () => {
  for (
    const [code, status, cure] of [["AccessDenied", 403, /s3:PutObject/], ["PermanentRedirect", 301, /region/]] as const
  ) {
    await using scene = await open({ fault: () => ({ kind: "refuse", status, code }) });
    await assert.rejects(scene.destination.put("key", bodyOf(SMALL), PUT), (error: RivetError) => {
      assert.equal(error.code, "RIVET_DEST_WRITE_FAILED");
      assert.equal(error.retry, "never");
      assert.match(error.cure, cure);
      assert.match(error.where!, /^s3:\/\/rivet-tests\/.*key$/);
      return CODES[error.code].kind === "environment";
    });
  }
});

Deno.test("a sweep without the right to it is told and stops nothing", async () => {
  await using scene = await open({
    fault: (call) =>
      call.operation === "GET uploads" ? { kind: "refuse", status: 403, code: "AccessDenied" } : undefined,
  });
  assert.equal(await scene.destination.sweep(() => true), 0);
  assert.deepEqual(scene.warnings, [
    "unfinished uploads were not cleared: Grant these credentials s3:ListBucketMultipartUploads",
  ]);
});

Deno.test("an object too large to be copied in one request is moved aside all the same", async () => {
  await using scene = await open({
    fault: ({ operation }) =>
      operation === "PUT copy" ? { kind: "refuse", status: 400, code: "InvalidRequest" } : undefined,
  });
  await scene.destination.put("large", bodyOf(LARGE), PUT);
  await scene.destination.quarantine("large", "run");
  assert.equal(await scene.destination.get("large"), null);
  assert.ok(await read(scene.destination, "_quarantine/run/large"));
  assert.equal(scene.fake.uploads.size, 0);
});

Deno.test("anonymous requests carry no signature", async () => {
  await using scene = await open();
  const location: S3Location = { ...scene.location, auth: { kind: "anonymous" } };
  await using destination = await openDestination(location, { blockBytes: BLOCK });
  await destination.put("small", bodyOf(SMALL), PUT);
  await destination.put("large", bodyOf(LARGE), PUT);
  assert.ok(await read(destination, "large"));
  scene.fake.options = { buckets: ["rivet-tests"], accounts: new Map([["AKIA", { secret: "secret" }]]) };
  await assert.rejects(destination.put("small", bodyOf(SMALL), PUT), {
    code: "RIVET_DEST_WRITE_FAILED",
    retry: "never",
  });
});

Deno.test("an object that fits the budget is one request, one that does not is an upload of blocks", async () => {
  await using scene = await open();
  const puts = async (oneshotBudgetMb: number, size: number, put: Partial<typeof PUT & { size: number }> = {}) => {
    await using destination = await openDestination({ ...scene.location, oneshotBudgetMb }, { blockBytes: BLOCK });
    scene.fake.calls.length = 0;
    await destination.put("key", bodyOf(bytesOf(size)), { ...PUT, ...put });
    return scene.fake.calls.map((call) => call.operation);
  };
  const blocks = ["POST uploads", "PUT part", "POST complete"];
  assert.deepEqual(await puts(64, BLOCK), ["PUT object"]);
  assert.deepEqual(await puts(64, BLOCK + 1), [blocks[0], blocks[1], blocks[1], blocks[2]]);
  assert.deepEqual(await puts(0, 1000), blocks);
  assert.deepEqual(await puts(0, 0), ["PUT object"]);
  assert.deepEqual(await puts(0, 1000, { size: 1000 }), ["PUT object"]);
});
