// Bad input that only a server can refuse, through the real entry point: a code, what and where, a cure, and nothing written.

import assert from "node:assert/strict";
import type { ServerConnection } from "../../src/source/mod.ts";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { openPostgresServer, withDatabase } from "../support/postgres.ts";
import { listNames } from "../support/reader.ts";

const CERTS = new URL("../support/certs", import.meta.url).pathname;

interface Case {
  readonly name: string;
  readonly source?: Readonly<Record<string, unknown>>;
  readonly from?: string;
  readonly code: string;
  /** Must stand in the message, the place or the cure. */
  readonly says: RegExp;
}

const CASES: readonly Case[] = [
  {
    name: "wrong password",
    source: { password: "not this one" },
    code: "RIVET_SOURCE_CONNECT_FAILED",
    says: /password authentication failed.*Check user, password/,
  },
  {
    name: "missing database",
    source: { database: "no_such_database" },
    code: "RIVET_SOURCE_CONNECT_FAILED",
    says: /source\.database/,
  },
  {
    name: "certificate of an unknown authority",
    source: { host: "localhost", tls: { mode: "verify-full" } },
    code: "RIVET_SOURCE_CONNECT_FAILED",
    says: /Name the certificate authority.*`source\.tls\.ca_file`/,
  },
  {
    name: "wrong certificate authority",
    source: { host: "localhost", tls: { mode: "verify-full", ca_file: `${CERTS}/other_ca.pem` } },
    code: "RIVET_SOURCE_CONNECT_FAILED",
    says: /Compare `source\.tls\.ca_file`/,
  },
  {
    name: "host name that the certificate does not carry",
    source: { tls: { mode: "verify-full", ca_file: `${CERTS}/ca.pem` } },
    code: "RIVET_SOURCE_CONNECT_FAILED",
    says: /127\.0\.0\.1.*host name/,
  },
  { name: "missing table", from: "table: nope", code: "RIVET_SOURCE_TABLE_NOT_FOUND", says: /nope/ },
  { name: "SQL error", from: "query: SELECT FROM WHERE", code: "RIVET_SOURCE_QUERY_FAILED", says: /syntax error/ },
  { name: "statement that writes", from: "query: DELETE FROM t", code: "RIVET_SOURCE_QUERY_FAILED", says: /syntax/ },
  {
    name: "query without columns",
    from: "query: SELECT",
    code: "RIVET_CONFIG_QUERY_COLUMNS_INVALID",
    says: /Name at least one column/,
  },
  {
    name: "two columns of one name",
    from: `query: "SELECT 1 AS a, 2 AS a"`,
    code: "RIVET_CONFIG_QUERY_COLUMNS_INVALID",
    says: /'a'/,
  },
];

const server = await openPostgresServer(18);

for (const bad of CASES) {
  Deno.test({
    name: `${bad.name} at PostgreSQL is refused with ${bad.code}, and nothing is written`,
    ignore: server === null,
    fn: () => withDatabase(server!, ({ connection }) => refuses(connection, bad)),
  });
}

async function refuses(connection: ServerConnection, bad: Case): Promise<void> {
  await using folder = await temporaryFolder();
  const { host, port, user, password, database } = connection;
  const source = { type: "postgres", host, port, user, password, database, ...bad.source };
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    `source: ${JSON.stringify(source)}
exports: [{name: t, ${bad.from ?? "query: SELECT 1 AS a"}, format: parquet, destination: {type: local, path: out}}]`,
  );
  const { code, stderr } = await runCli(["run", "-c", "rivet.yaml", "--json-errors"], { cwd: folder.path });
  const report = JSON.parse(stderr.trim().split("\n").at(-1)!) as Record<"code" | "error" | "where" | "cure", string>;
  assert.deepEqual([report.code, code], [bad.code, 1], stderr);
  assert.match(`${report.error} ${report.where} ${report.cure}`, bad.says);
  assert.ok(report.where, "the thing at fault");
  assert.ok(!stderr.includes("not this one"), "no password in what is printed");
  assert.deepEqual(await listNames(folder.path), ["rivet.yaml"], "not even a state file");
}
