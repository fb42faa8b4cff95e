// Placeholders, hosts and what a destination is called.

import assert from "node:assert/strict";
import {
  destinationHosts,
  type DestinationInput,
  destinationPaths,
  openDestination,
  resolveDestination,
  writtenDestination,
} from "../../../src/destination/mod.ts";

const VALUES = { date: "2026-11-21", export: "orders", table: "orders_t", partition: "2026-11" };
const ENV = { env: () => undefined };

const S3: DestinationInput & { kind: "s3" } = {
  kind: "s3",
  bucket: "lake",
  prefix: "raw/{export}/{table}/day={date}/p={partition}",
  region: "eu-west-1",
  endpoint: null,
  accessKeyEnv: "KEY",
  secretKeyEnv: "SECRET",
  sessionTokenEnv: null,
  profile: null,
  allowAnonymous: false,
  oneshotBudgetMb: 64,
};
const GCS: DestinationInput & { kind: "gcs" } = {
  kind: "gcs",
  bucket: "lake",
  prefix: "/raw/",
  endpoint: null,
  credentialsFile: null,
  allowAnonymous: false,
  oneshotBudgetMb: 64,
};
const AZURE: DestinationInput & { kind: "azure" } = {
  kind: "azure",
  container: "lake",
  prefix: "",
  endpoint: null,
  accountName: "acme",
  accountKeyEnv: null,
  sasTokenEnv: "SAS",
  allowAnonymous: false,
  oneshotBudgetMb: 64,
};

Deno.test("placeholders are expanded, and a prefix ends in one slash and begins with none", () => {
  const prefix = (input: DestinationInput) => (resolveDestination(input, VALUES, ENV) as { prefix: string }).prefix;
  assert.equal(prefix(S3), "raw/orders/orders_t/day=2026-11-21/p=2026-11/");
  assert.equal(prefix(GCS), "raw/");
  assert.equal(prefix(AZURE), "");
  const local = resolveDestination({ kind: "local", path: "/data/{export}", written: "out/{export}" }, VALUES, ENV);
  assert.deepEqual(local, { kind: "local", path: "/data/orders" });
});

Deno.test("a placeholder without a value is refused when the destination is opened", async () => {
  for (const token of ["{run_id}", "{partition}"]) {
    const input: DestinationInput = { kind: "local", path: `/tmp/${token}`, written: token };
    const resolved = resolveDestination(input, { ...VALUES, partition: null }, ENV);
    await assert.rejects(openDestination(resolved), { code: "RIVET_PLAN_PARTITION_TOKEN_UNEXPANDED" });
  }
  const named = resolveDestination(
    { kind: "local", path: "/tmp/{run_id}", written: "" },
    { ...VALUES, runId: "r1" },
    ENV,
  );
  assert.deepEqual(named, { kind: "local", path: "/tmp/r1" });
});

Deno.test("a placeholder's value cannot climb out of the destination", async () => {
  for (const partition of ["..", "../../etc", "a/../../b"]) {
    const resolved = resolveDestination(
      { kind: "local", path: "/tmp/x/{partition}", written: "" },
      { ...VALUES, partition },
      ENV,
    );
    await assert.rejects(openDestination(resolved), { code: "RIVET_CONFIG_PATH_UNSAFE" });
  }
});

Deno.test("a resolved destination holds no secret", () => {
  const env = (name: string) => `value-of-${name}`;
  for (const input of [S3, GCS, AZURE]) {
    const text = JSON.stringify(resolveDestination(input, VALUES, { env }));
    assert.ok(
      !text.includes("value-of-KEY") && !text.includes("value-of-SECRET") && !text.includes("value-of-SAS"),
      text,
    );
  }
});

Deno.test("a lane is given exactly the host that the client will ask for", () => {
  const hosts = (input: DestinationInput, env: (name: string) => string | undefined = () => undefined) =>
    destinationHosts(resolveDestination(input, VALUES, { env }));
  assert.deepEqual(hosts(S3), ["lake.s3.eu-west-1.amazonaws.com:443"]);
  assert.deepEqual(hosts({ ...S3, bucket: "a.b" }), ["s3.eu-west-1.amazonaws.com:443"]);
  assert.deepEqual(hosts({ ...S3, region: "cn-north-1" }), ["lake.s3.cn-north-1.amazonaws.com.cn:443"]);
  assert.deepEqual(hosts({ ...S3, region: null }), ["lake.s3.us-east-1.amazonaws.com:443"]);
  const env = (name: string) => name === "AWS_REGION" ? "ap-south-1" : undefined;
  assert.deepEqual(hosts({ ...S3, region: null }, env), ["lake.s3.ap-south-1.amazonaws.com:443"]);
  assert.deepEqual(hosts({ ...S3, endpoint: "http://127.0.0.1:9000" }), ["127.0.0.1:9000"]);
  assert.deepEqual(hosts({ ...S3, endpoint: "http://[::1]:9000" }), ["[::1]:9000"]);
  assert.deepEqual(hosts(GCS), ["storage.googleapis.com:443"]);
  assert.deepEqual(hosts(AZURE), ["acme.blob.core.windows.net:443"]);
  assert.deepEqual(hosts({ ...AZURE, endpoint: "http://localhost/acme" }), ["localhost:80"]);
  assert.deepEqual(hosts({ kind: "stdout" }), []);
  assert.deepEqual(hosts({ kind: "local", path: "/d", written: "d" }), []);
});

Deno.test("a lane is given the destination folder and no other path", () => {
  assert.deepEqual(destinationPaths({ kind: "local", path: "/d/x" }), { read: ["/d/x"], write: ["/d/x"] });
  assert.deepEqual(destinationPaths(resolveDestination(S3, VALUES, ENV)), { read: [], write: [] });
});

Deno.test("the written form keeps placeholders and tells stores apart", () => {
  assert.equal(writtenDestination(S3), "s3://lake/raw/{export}/{table}/day={date}/p={partition}");
  assert.equal(writtenDestination({ ...S3, endpoint: "http://127.0.0.1:9" }).endsWith(" at http://127.0.0.1:9"), true);
  assert.equal(writtenDestination(GCS), "gs://lake//raw/");
  assert.equal(writtenDestination(AZURE), "azure://acme/lake/");
  assert.equal(writtenDestination({ kind: "local", path: "/c/out", written: "./out" }), "./out");
  assert.equal(writtenDestination({ kind: "stdout" }), "stdout");
});
