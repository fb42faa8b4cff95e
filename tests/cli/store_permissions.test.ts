// The rights that docs/operating/permissions.md names are enough for a run, and it uses no other.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { gcsLocation } from "../support/destinations.ts";
import { startGcsFake } from "../support/gcs_fake.ts";
import { describePlace, startTokens } from "../support/store_config.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { type FakeCall, startS3Fake } from "../support/s3_fake.ts";

/** What S3 asks of a caller for each operation. */
const ACTIONS: Record<string, readonly string[]> = {
  "PUT object": ["s3:PutObject"],
  "POST uploads": ["s3:PutObject"],
  "PUT part": ["s3:PutObject"],
  "POST complete": ["s3:PutObject"],
  "PUT copy": ["s3:PutObject", "s3:GetObject"],
  "DELETE upload": ["s3:AbortMultipartUpload"],
  "GET object": ["s3:GetObject"],
  "HEAD object": ["s3:GetObject"],
  "DELETE object": ["s3:DeleteObject"],
  "GET list": ["s3:ListBucket"],
  "GET uploads": ["s3:ListBucketMultipartUploads"],
};

/** The actions of the page's policy, and those of its objects that are bound to the prefix. */
async function readPolicy(): Promise<{ all: Set<string>; bound: Set<string> }> {
  const page = await Deno.readTextFile(new URL("../../docs/operating/permissions.md", import.meta.url));
  const policy = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)![1]!) as {
    Statement: { Action: string[]; Resource: string }[];
  };
  return {
    all: new Set(policy.Statement.flatMap((statement) => statement.Action)),
    bound: new Set(policy.Statement.filter((s) => s.Resource.includes("<prefix>")).flatMap((s) => s.Action)),
  };
}

function prepare(folder: string, url: string): Promise<void> {
  return prepareAt(
    folder,
    `{type: s3, bucket: bucket, prefix: raw/t, region: us-east-1, endpoint: "${url}", access_key_env: K, secret_key_env: S}`,
  );
}

async function prepareAt(folder: string, destination: string): Promise<void> {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO t SELECT i, hex(randomblob(200)) FROM n`);
  await Deno.writeTextFile(
    join(folder, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}
exports:
  - name: t
    table: t
    mode: full
    format: csv
    compression: none
    destination: ${destination}
`,
  );
}

Deno.test("the documented rights are enough for runs that replace one another, and no other is used", async () => {
  const { all, bound } = await readPolicy();
  const used = new Set<string>();
  const isAllowed = ({ operation, key }: FakeCall) => {
    const actions = ACTIONS[operation] ?? assert.fail(operation);
    for (const action of actions) used.add(action);
    return actions.every((action) => all.has(action) && (!bound.has(action) || key.startsWith("raw/t/")));
  };
  await using fake = startS3Fake({
    buckets: ["bucket"],
    accounts: new Map([["key", { secret: "secret" }]]),
    fault: (call) => isAllowed(call) ? undefined : { kind: "refuse", status: 403, code: "AccessDenied" },
  });
  await using folder = await temporaryFolder();
  await prepare(folder.path, fake.url);
  const env = { K: "key", S: "secret" };
  for (const flags of [[], ["--validate"], []]) {
    const result = await runCli(["run", "-c", "rivet.yaml", ...flags], { cwd: folder.path, env });
    assert.equal(result.code, 0, result.stderr);
  }
  const keys = [...fake.buckets.get("bucket")!.keys()];
  assert.ok(keys.every((key) => key.startsWith("raw/t/")));
  assert.equal(keys.filter((key) => key.endsWith(".csv")).length, 1);
  assert.deepEqual([...used].filter((action) => !all.has(action)), []);
  for (const needed of ["s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetObject"]) {
    assert.ok(used.has(needed), needed);
  }
});

Deno.test("a run without a right names it and where it is missing", async () => {
  for (
    const [operations, right] of [[["PUT object", "POST uploads"], "s3:PutObject"], [
      ["GET list"],
      "s3:ListBucket",
    ], [["DELETE object"], "s3:DeleteObject"]] as const
  ) {
    await using fake = startS3Fake({
      buckets: ["bucket"],
      fault: ({ operation }) =>
        (operations as readonly string[]).includes(operation)
          ? { kind: "refuse", status: 403, code: "AccessDenied" }
          : undefined,
    });
    await using folder = await temporaryFolder();
    await prepare(folder.path, fake.url);
    const env = { K: "key", S: "a secret value" };
    // The second run replaces what the first one left, and lists it.
    let result = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder.path, env });
    if (result.code === 0) result = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder.path, env });
    assert.equal(result.code, 1, result.stderr);
    assert.ok(result.stderr.includes(right), result.stderr);
    assert.ok(result.stderr.includes("s3://bucket/raw/t/"), result.stderr);
    assert.ok(!result.stderr.includes("a secret value"));
  }
});

Deno.test("what a store makes known is told once in the summary of the run, whichever lane has noticed it", async () => {
  await using fake = startS3Fake({ buckets: ["bucket"], clockMs: 3_600_000 });
  await using folder = await temporaryFolder();
  await prepare(folder.path, fake.url);
  const result = await runCli(["run", "-c", "rivet.yaml", "--json"], {
    cwd: folder.path,
    env: { K: "key", S: "a secret value" },
  });
  assert.equal(result.code, 0, result.stderr);
  const { per_export: [summary] } = JSON.parse(result.stdout) as { per_export: { warnings: string[] }[] };
  assert.deepEqual(summary!.warnings, ["the clock of this machine is 60 min behind the store's"]);
  assert.match(result.stderr, /the clock of this machine/);
});

/** What Google asks of a caller for each operation; null is a session's own address, which needs no other right. */
const PERMISSIONS: Record<string, readonly string[] | null> = {
  "POST multipart": ["storage.objects.create", "storage.objects.delete"],
  "POST resumable": ["storage.objects.create", "storage.objects.delete"],
  "PUT block": null,
  "PUT status": null,
  "DELETE session": null,
  "GET list": ["storage.objects.list"],
  "GET object": ["storage.objects.get"],
  "GET media": ["storage.objects.get"],
  "DELETE object": ["storage.objects.delete"],
};

Deno.test("on Google a run uses the documented permissions, and validate those of reading alone", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/operating/permissions.md", import.meta.url));
  const permissionsOf = (right: string) =>
    new RegExp(`\\| \\*\\*${right}\\*\\* *\\| *(\`storage[^|]*)`).exec(page)![1]!.match(/storage\.[a-z.]+/g)!;
  let granted = new Set([...permissionsOf("read"), ...permissionsOf("write")]);
  const used = new Set<string>();
  await using fake = startGcsFake({
    buckets: ["bucket"],
    fault: ({ operation }) => {
      const needed = PERMISSIONS[operation];
      if (needed === undefined) throw new Error(operation);
      for (const permission of needed ?? []) used.add(permission);
      return (needed ?? []).every((permission) => granted.has(permission))
        ? undefined
        : { kind: "refuse", status: 403 };
    },
  });
  await using folder = await temporaryFolder();
  await using _tokens = await startTokens(folder.path);
  const { yaml, env } = describePlace({ ...gcsLocation(fake.port, ""), bucket: "bucket" }, folder.path);
  await prepareAt(folder.path, yaml);
  const cli = (...args: string[]) => runCli([...args, "-c", "rivet.yaml"], { cwd: folder.path, env });
  for (let i = 0; i < 2; i++) {
    const run = await cli("run");
    assert.equal(run.code, 0, run.stderr);
  }
  assert.deepEqual([...used].sort(), [...granted].sort());
  granted = new Set(permissionsOf("read"));
  const sound = await cli("validate");
  assert.equal(sound.code, 0, sound.stderr);
  const denied = await cli("run");
  assert.equal(denied.code, 1, denied.stderr);
  assert.match(denied.stderr, /storage\.objects\.create/);
});
