import assert from "node:assert/strict";
import type { Config, DestinationConfig, Export } from "../../../src/config/mod.ts";
import { programPermissions, toDenoFlags } from "../../../src/run/mod.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import type { SourceConnection } from "../../../src/source/mod.ts";

const STORE = { endpoint: null, allowAnonymous: false, oneshotBudgetMb: 64, prefix: "raw/" };
const S3: DestinationConfig = {
  ...STORE,
  kind: "s3",
  bucket: "b",
  region: "eu-west-1",
  accessKeyEnv: "KEY",
  secretKeyEnv: "SECRET",
  sessionTokenEnv: null,
  profile: null,
};
const AZURE: DestinationConfig = {
  ...STORE,
  kind: "azure",
  container: "c",
  accountName: "acc",
  accountKeyEnv: "AZ",
  sasTokenEnv: null,
};
const local = (path: string): DestinationConfig => ({ kind: "local", path, written: path });
const SERVER: SourceConnection = {
  engine: "postgres",
  host: "db.example",
  port: 5433,
  user: "u",
  password: "p",
  database: "d",
  tls: null,
};

interface Given {
  readonly destinations: readonly DestinationConfig[];
  readonly connection?: SourceConnection;
  readonly env?: Record<string, string>;
  readonly redacted?: Record<string, unknown>;
  readonly webhook?: string;
  readonly code?: string[];
}

function ask(given: Given) {
  const webhook = given.webhook === undefined ? null : { on: ["failure"], resolveUrl: () => given.webhook! };
  const config = {
    directory: "/home/me/etl",
    notifications: webhook === null ? null : { slack: webhook, webhook: null },
    source: { resolveConnection: () => Promise.resolve(given.connection ?? SERVER), redacted: given.redacted ?? {} },
  } as unknown as Config;
  const exports = given.destinations.map((destination, i) => ({ name: `e${i}`, destination }) as unknown as Export);
  const runtime = { ...systemRuntime(), env: (name: string) => ({ HOME: "/home/me", ...given.env })[name] };
  return programPermissions({ config, exports, runtime, code: given.code ?? [] });
}

Deno.test("the network is the source, the stores, the state and the webhooks, each once", async () => {
  const { net, env, sys } = await ask({
    destinations: [S3, S3, AZURE, local("/data/x")],
    env: { RIVET_STATE_URL: "postgres://s:pw@state.example/rivet?sslmode=verify-full" },
    webhook: "https://hooks.example/T/secret",
  });
  assert.deepEqual(net, [
    "acc.blob.core.windows.net:443",
    "b.s3.eu-west-1.amazonaws.com:443",
    "db.example:5433",
    "hooks.example:443",
    "state.example:5432",
  ]);
  for (const name of ["KEY", "SECRET", "AZ", "RIVET_STATE_URL"]) assert.ok(env.includes(name), name);
  assert.deepEqual(sys, ["hostname", "osRelease", "uid"]);
});

Deno.test("a local place is named above what changes from run to run, and only once", async () => {
  const paths = ["/data/{export}/{date}", "/data/e0/{partition}", "/lake/d={partition}/x", "/lake"];
  const { read, write } = await ask({ destinations: paths.map(local) });
  for (const path of ["/data/e0", "/lake"]) assert.ok(write.includes(path), path);
  assert.ok(!write.some((path) => path.includes("{")), write.join());
  assert.equal(write.filter((path) => path.startsWith("/lake")).length, 1);
  assert.ok(!write.includes("/data") && read.includes("/home/me/etl"));
});

Deno.test("files of the source are read where they are: a database's folder, a CA, a URL file", async () => {
  const sqlite = await ask({ destinations: [], connection: { engine: "sqlite", path: "/var/shop/shop.db" } });
  assert.deepEqual(sqlite.net, []);
  assert.ok(sqlite.read.includes("/var/shop"));
  const { read } = await ask({
    destinations: [],
    redacted: { url_file: "/run/secrets/url", tls: { ca_file: "ca.pem" } },
    code: ["/opt/rivet/src", "/opt/rivet/node_modules"],
  });
  assert.deepEqual(read.filter((path) => !path.includes(".rivet")), [
    "/home/me/etl",
    "/opt/rivet/node_modules",
    "/opt/rivet/src",
    "/run/secrets/url",
  ]);
});

Deno.test("the flags ask for nothing, hide every other variable, and keep commas in names", () => {
  const flags = toDenoFlags({ net: ["[::1]:5432"], read: ["/a,b", "/c"], write: [], env: ["X"], sys: [] });
  assert.deepEqual(flags, [
    "--no-prompt",
    "--ignore-env",
    "--allow-net=[::1]:5432",
    "--allow-read=/a,,b,/c",
    "--allow-env=X",
  ]);
});
