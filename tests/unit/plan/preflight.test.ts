import assert from "node:assert/strict";
import type { Config, Export } from "../../../src/config/mod.ts";
import { preflight, type PreflightCheck } from "../../../src/plan/mod.ts";
import { rememberSecret } from "../../../src/redact.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import type { ServerConnection, Source } from "../../../src/source/mod.ts";

const NOW_MS = Date.UTC(2026, 10, 21);
const PASSWORD = "correct horse";
const SERVER: ServerConnection = {
  host: "localhost",
  port: 5432,
  user: "reader",
  password: PASSWORD,
  database: "shop",
  tls: null,
};

interface Given {
  readonly connection?: Partial<ServerConnection>;
  readonly engine?: "postgres" | "mysql" | "mssql";
  readonly source?: Partial<Source>;
  /** Answers of `rows` by a piece of the statement. */
  readonly answers?: Record<string, string | Error>;
  readonly parallel?: number;
  readonly mode?: string;
}

async function check(given: Given): Promise<Record<string, PreflightCheck>> {
  const engine = given.engine ?? "postgres";
  const entry = {
    name: "orders",
    mode: given.mode ?? "full",
    parallel: given.parallel ?? 1,
    from: { kind: "table", schema: null, name: "orders" },
    destination: { kind: "stdout" },
  } as unknown as Export;
  const rows = (sql: string) => {
    const [, answer] = Object.entries(given.answers ?? {}).find(([piece]) => sql.includes(piece)) ?? [];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer === undefined ? [] : [[answer]]);
  };
  const source = {
    engine,
    serverVersion: "18.1",
    proxy: null,
    describe: () => Promise.resolve({ columns: [] }),
    rows,
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...given.source,
  } as unknown as Source;
  const found: Record<string, PreflightCheck> = {};
  const checks = preflight({
    config: {
      hide: (text: string) => text.replaceAll("2026-12-24", "${DAY}"),
      source: { resolveConnection: () => Promise.resolve({ engine, ...SERVER, ...given.connection }) },
    } as unknown as Config,
    exports: [entry],
    runtime: { ...systemRuntime(), now: () => NOW_MS },
    signal: new AbortController().signal,
    openSource: () => Promise.resolve(source),
    openDestination: () => assert.fail("stdout is not opened"),
    inspectState: () => Promise.resolve({ location: "/x/.rivet_state.db", condition: "older" }),
  });
  for await (const one of checks) found[one.name] = one;
  return found;
}

const CLOCKS: [string, number, "ok" | "warn"][] = [
  ["in time", 0, "ok"],
  ["at the limit", 5_000, "ok"],
  ["ahead", 5_001, "warn"],
  ["behind", -3_600_000, "warn"],
];

for (const [name, apartMs, status] of CLOCKS) {
  Deno.test(`a source whose clock is ${name}: ${status}`, async () => {
    const { clock } = await check({ answers: { clock_timestamp: String(NOW_MS + apartMs) } });
    assert.equal(clock!.status, status);
    assert.ok(clock!.detail.includes(`${(Math.abs(apartMs) / 1000).toFixed(1)} s apart`), clock!.detail);
  });
}

const TLS: [Partial<ServerConnection>, "ok" | "warn", RegExp][] = [
  [{}, "ok", /plaintext, to this machine/],
  [{ host: "db.example" }, "warn", /plaintext to 'db\.example'/],
  [{ tls: { mode: "require", ca: null, acceptInvalidHostnames: false } }, "warn", /nothing proves/],
  [{ tls: { mode: "verify-ca", ca: null, acceptInvalidHostnames: false } }, "ok", /host name is not/],
  [{ tls: { mode: "verify-full", ca: null, acceptInvalidHostnames: false } }, "ok", /verify-full/],
];

for (const [connection, status, says] of TLS) {
  Deno.test(`tls ${connection.tls?.mode ?? "none"} to ${connection.host ?? "localhost"}: ${status}`, async () => {
    const { tls } = await check({ connection });
    assert.equal(tls!.status, status);
    assert.match(tls!.detail, says);
  });
}

Deno.test("a pooler is named, and what it must give", async () => {
  assert.equal((await check({}))["pooler"]!.status, "ok");
  const { pooler } = await check({ source: { proxy: "ProxySQL" } });
  assert.equal(pooler!.status, "warn");
  assert.match(`${pooler!.detail} ${pooler!.hint}`, /ProxySQL.*parallel/);
});

Deno.test("a useful right is missed only where an export makes use of it", async () => {
  const missing = { pg_has_role: "1", USER_PRIVILEGES: "1" };
  assert.equal((await check({ answers: missing }))["rights"], undefined);
  assert.match((await check({ answers: missing, mode: "incremental" }))["rights"]!.detail, /pg_read_all_stats/);
  assert.equal((await check({ answers: { pg_has_role: "0" }, mode: "incremental" }))["rights"], undefined);
  assert.match((await check({ engine: "mysql", answers: missing, parallel: 2 }))["rights"]!.detail, /RELOAD/);
  assert.equal((await check({ engine: "mysql", answers: missing }))["rights"], undefined);
});

Deno.test("a database without snapshots is told before it is read", async () => {
  const { consistency } = await check({ engine: "mssql", source: { consistency: "none" } });
  assert.match(consistency!.hint!, /ALLOW_SNAPSHOT_ISOLATION/);
  assert.equal((await check({ engine: "mssql", source: { consistency: "snapshot" } }))["consistency"], undefined);
});

Deno.test("the password and what was filled into the config are hidden, whoever says it", async () => {
  // As reading the connection does.
  rememberSecret(PASSWORD);
  const found = await check({
    source: { serverVersion: `18 built with ${PASSWORD}`, proxy: `the proxy of '${PASSWORD}'` },
    answers: { "SELECT 1 FROM": new Error(`no '${PASSWORD}' for you at "2026-12-24"`) },
  });
  assert.match(found["privileges of export 'orders'"]!.detail, /no 'REDACTED' for you at "\$\{DAY\}"/);
  for (const { detail, hint } of Object.values(found)) assert.ok(!`${detail} ${hint}`.includes(PASSWORD));
});

Deno.test("a state that the next run migrates is told so", async () => {
  assert.match((await check({}))["state"]!.detail, /the next run migrates it/);
});
