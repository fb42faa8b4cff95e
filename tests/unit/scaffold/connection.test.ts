// The `source:` that a URL becomes: checked TLS to other machines, paths as the config needs them, and never a secret.

import assert from "node:assert/strict";
import { systemRuntime } from "../../../src/runtime.ts";
import { openScaffoldSource } from "../../../src/scaffold/connection.ts";
import type { ScaffoldRequest } from "../../../src/scaffold/mod.ts";
import { CERTS } from "../../support/certs.ts";
import { join, temporaryFolder } from "../../support/files.ts";

const SECRET = "s3cr%40t";
const ENV: Readonly<Record<string, string>> = {
  PG_URL: `postgresql://me:${SECRET}@db.example.com/shop`,
  PG_LOCAL: `postgresql://me:${SECRET}@127.0.0.1:6543/shop`,
};

function request(more: Partial<ScaffoldRequest>): ScaffoldRequest {
  return {
    source: { kind: "env", name: "PG_URL" },
    table: null,
    schema: null,
    include: [],
    exclude: [],
    mode: null,
    destination: { kind: "local" },
    target: null,
    tls: null,
    tlsCa: null,
    configPath: "/srv/conf/rivet.yaml",
    folder: "/srv",
    runtime: { ...systemRuntime(), env: (name) => ENV[name] },
    ...more,
  };
}

async function linesOf(more: Partial<ScaffoldRequest>): Promise<readonly string[]> {
  const { lines, hints } = await openScaffoldSource(request(more));
  for (const line of [...lines, ...hints]) assert.ok(!line.includes(SECRET) && !line.includes("s3cr@t"), line);
  return lines;
}

Deno.test("another machine is read over checked TLS, this one as the URL says", async () => {
  assert.deepEqual(await linesOf({}), ["  type: postgres", "  url_env: PG_URL", "  tls:", "    mode: verify-full"]);
  assert.deepEqual(await linesOf({ source: { kind: "env", name: "PG_LOCAL" } }), [
    "  type: postgres",
    "  url_env: PG_LOCAL",
  ]);
  assert.deepEqual((await linesOf({ tls: "disable" })).slice(2), ["  tls:", "    mode: disable"]);
  const url = (query: string) => linesOf({ source: { kind: "url", url: `mysql://me@db.example.com/shop${query}` } });
  assert.deepEqual(await url("?sslmode=require"), [
    "  type: mysql",
    "  host: db.example.com",
    "  port: 3306",
    "  user: me",
    "  database: shop",
    "  tls:",
    "    mode: require",
  ]);
  const { connection, tlsMode } = await openScaffoldSource(request({}));
  assert.equal(tlsMode, "verify-full");
  assert.deepEqual(connection, {
    engine: "postgres",
    host: "db.example.com",
    port: 5432,
    user: "me",
    password: "s3cr@t",
    database: "shop",
    tls: { mode: "verify-full", ca: null, acceptInvalidHostnames: false },
  });
});

Deno.test("a password on the command line becomes the variable that the engine's own client reads", async () => {
  const variables = { postgres: "PGPASSWORD", mysql: "MYSQL_PWD", sqlserver: "SQLCMDPASSWORD" };
  for (const [scheme, variable] of Object.entries(variables)) {
    const source = { kind: "url", url: `${scheme}://me:${SECRET}@localhost/shop` } as const;
    const { lines, hints, connection } = await openScaffoldSource(request({ source }));
    assert.ok(lines.some((line) => line.startsWith(`  password_env: ${variable} #`)));
    assert.match(hints.join(), new RegExp(`export ${variable}=`));
    assert.ok(connection.engine !== "sqlite" && connection.password === "s3cr@t");
  }
});

Deno.test("relative paths are written as the config's folder sees them", async () => {
  await using folder = await temporaryFolder();
  const here = { folder: folder.path, configPath: join(folder.path, "conf/rivet.yaml") };
  await Deno.writeTextFile(join(folder.path, "url.txt"), `${ENV.PG_URL}\n`);
  await Deno.writeTextFile(join(folder.path, "ca.pem"), CERTS.ca);
  assert.deepEqual(await linesOf({ ...here, source: { kind: "file", path: "url.txt" }, tlsCa: "ca.pem" }), [
    "  type: postgres",
    '  url_file: "../url.txt"',
    "  tls:",
    "    mode: verify-full",
    '    ca_file: "../ca.pem"',
  ]);
  for (const url of ["sqlite:shop.db", "sqlite://shop.db", "sqlite:./shop.db", "file:shop.db"]) {
    const source = { kind: "url", url } as const;
    assert.deepEqual(await linesOf({ ...here, source }), ["  type: sqlite", '  path: "../shop.db"'], url);
  }
  const absolute = await openScaffoldSource(request({ source: { kind: "url", url: "sqlite:///srv/a b.db" } }));
  assert.deepEqual(absolute.connection, { engine: "sqlite", path: "/srv/a b.db" });
  assert.deepEqual(absolute.lines, ["  type: sqlite", '  path: "/srv/a b.db"']);
});
