// Bad input through the real entry point: a code, what and where, a cure, and nothing written.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { listNames } from "../support/reader.ts";

const SQLITE = "source: {type: sqlite, path: shop.db}\n";
const LOCAL = "format: parquet, destination: {type: local, path: out}";
const PG = "source: {type: postgres, host: localhost, port: 1, user: u, password: p, database: d}\n";

interface Case {
  readonly name: string;
  /** Null = no such file. */
  readonly yaml: string | null;
  readonly code: string;
  readonly exit: number;
  /** Must stand in the message, the place or the cure. */
  readonly says: RegExp;
  readonly args?: readonly string[];
}

const CASES: Case[] = [
  { name: "no config", yaml: null, code: "RIVET_CONFIG_FILE_UNREADABLE", exit: 1, says: /rivet\.yaml/ },
  { name: "bad YAML", yaml: "source: [", code: "RIVET_CONFIG_YAML_INVALID", exit: 1, says: /rivet\.yaml:1/ },
  {
    name: "unknown key",
    yaml: `${SQLITE}exports: [{name: t, tabel: t, ${LOCAL}}]`,
    code: "RIVET_CONFIG_YAML_INVALID",
    exit: 1,
    says: /[Dd]id you mean.*table/,
  },
  {
    name: "both url and host",
    yaml:
      `source: {type: postgres, url: "postgres://u@localhost/d", host: localhost, user: u, database: d}\nexports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_CONFIG_SOURCE_CONNECTION_INVALID",
    exit: 1,
    says: /url/,
  },
  {
    name: "unset variable",
    yaml: `source: {type: postgres, url_env: RIVET_TEST_UNSET_URL}\nexports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_CONFIG_SECRET_UNSET",
    exit: 1,
    says: /RIVET_TEST_UNSET_URL/,
  },
  {
    name: "unset parameter",
    yaml: `${SQLITE}exports: [{name: t, table: "\${TABLE}", ${LOCAL}}]`,
    code: "RIVET_CONFIG_SECRET_UNSET",
    exit: 1,
    says: /TABLE/,
  },
  {
    name: "refused connection",
    yaml: `${PG}exports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_SOURCE_CONNECT_FAILED",
    exit: 2,
    says: /localhost/,
  },
  {
    name: "remote host without TLS",
    yaml:
      `source: {type: postgres, host: db.example, user: u, password: p, database: d}\nexports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_SOURCE_TLS_REQUIRED",
    exit: 5,
    says: /verify-full/,
  },
  {
    name: "missing table",
    yaml: `${SQLITE}exports: [{name: t, table: nope, ${LOCAL}}]`,
    code: "RIVET_SOURCE_TABLE_NOT_FOUND",
    exit: 1,
    says: /nope/,
  },
  {
    name: "SQL error",
    yaml: `${SQLITE}exports: [{name: t, query: "SELECT FROM WHERE", ${LOCAL}}]`,
    code: "RIVET_SOURCE_QUERY_FAILED",
    exit: 1,
    says: /syntax/,
  },
  {
    name: "two columns of one name",
    yaml: `${SQLITE}exports: [{name: t, query: "SELECT id, body AS id FROM t", ${LOCAL}}]`,
    code: "RIVET_CONFIG_QUERY_COLUMNS_INVALID",
    exit: 1,
    says: /'id'/,
  },
  {
    name: "unwritable destination",
    yaml: `${SQLITE}exports: [{name: t, table: t, format: parquet, destination: {type: local, path: shop.db/out}}]`,
    code: "RIVET_DEST_WRITE_FAILED",
    exit: 1,
    says: /shop\.db/,
  },
  {
    name: "a missing SQLite file",
    yaml: `source: {type: sqlite, path: nope.db}\nexports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_SOURCE_CONNECT_FAILED",
    exit: 1,
    says: /nope\.db/,
  },
  {
    name: "a source that is no database",
    yaml: `source: {type: sqlite, path: rivet.yaml}\nexports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_SOURCE_CONNECT_FAILED",
    exit: 1,
    says: /not a SQLite database/,
  },
  {
    name: "a statement that returns no columns",
    yaml: `${SQLITE}exports: [{name: t, query: "DELETE FROM t", ${LOCAL}}]`,
    code: "RIVET_CONFIG_QUERY_COLUMNS_INVALID",
    exit: 1,
    says: /no columns/,
  },
  {
    name: "a chunk column that does not exist",
    yaml: `${SQLITE}exports: [{name: t, table: t, mode: chunked, chunk_column: nope, ${LOCAL}}]`,
    code: "RIVET_CONFIG_MODE_SETTING_INVALID",
    exit: 1,
    says: /nope/,
  },
  {
    name: "two exports of which none can run",
    yaml: `${SQLITE}exports: [{name: t, table: nope, ${LOCAL}}, {name: u, table: none, ${LOCAL}}]`,
    code: "RIVET_SOURCE_TABLE_NOT_FOUND",
    exit: 1,
    says: /nope/,
  },
  {
    name: "nothing to resume",
    yaml: `${SQLITE}exports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_STATE_CHUNK_RUN_MISSING",
    exit: 1,
    says: /--resume/,
    args: ["--resume"],
  },
  {
    name: "stdout with several exports",
    yaml:
      `${SQLITE}exports: [{name: a, table: t, format: csv, destination: {type: stdout}}, {name: b, table: t, ${LOCAL}}]`,
    code: "RIVET_PLAN_REJECTED",
    exit: 1,
    says: /-e a/,
  },
  {
    name: "Oracle",
    yaml: `source: {type: oracle, url: "oracle://h"}\nexports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_CONFIG_SOURCE_FEATURE_MISSING",
    exit: 1,
    says: /[Oo]racle/,
  },
  {
    name: "MongoDB",
    yaml: `source: {type: mongo, url: "mongodb://localhost"}\nexports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_CONFIG_SOURCE_FEATURE_MISSING",
    exit: 1,
    says: /[Mm]ongo/,
  },
  {
    name: "change data capture",
    yaml: `${SQLITE}exports: [{name: t, table: t, mode: cdc, ${LOCAL}}]`,
    code: "RIVET_CONFIG_SOURCE_MODE_UNSUPPORTED",
    exit: 1,
    says: /cdc/,
  },
  {
    name: "load",
    yaml: `${SQLITE}load: {target: bigquery}\nexports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_CONFIG_SOURCE_FEATURE_MISSING",
    exit: 1,
    says: /load/,
  },
  {
    name: "unknown export",
    yaml: `${SQLITE}exports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_CLI_EXPORT_UNKNOWN",
    exit: 1,
    says: /'x'/,
    args: ["-e", "x"],
  },
  {
    name: "parameter without value",
    yaml: `${SQLITE}exports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_CLI_VALUE_INVALID",
    exit: 1,
    says: /NAME=VALUE/,
    args: ["-p", "x"],
  },
  {
    name: "unknown option",
    yaml: `${SQLITE}exports: [{name: t, table: t, ${LOCAL}}]`,
    code: "RIVET_CLI_VALUE_INVALID",
    exit: 1,
    says: /--validat/,
    args: ["--validat"],
  },
];

for (const bad of CASES) {
  Deno.test(`${bad.name} is refused with ${bad.code}, and nothing is written`, async () => {
    await using folder = await temporaryFolder();
    {
      using db = new DatabaseSync(join(folder.path, "shop.db"));
      db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t VALUES (1, 'a')");
    }
    if (bad.yaml !== null) await Deno.writeTextFile(join(folder.path, "rivet.yaml"), bad.yaml);
    const result = await runCli([
      "run",
      "-c",
      "rivet.yaml",
      "--json-errors",
      ...bad.args ?? [],
    ], { cwd: folder.path });
    const report = JSON.parse(result.stderr.trim().split("\n").at(-1)!) as Report;
    assert.equal(report.code, bad.code, result.stderr);
    assert.equal(result.code, bad.exit, result.stderr);
    assert.match(`${report.error} ${report.where} ${report.cure}`, bad.says);
    assert.ok(report.cure.length > 10, "a cure");
    if (!bad.code.startsWith("RIVET_CLI_")) assert.ok(report.where, "the thing at fault");
    assert.doesNotMatch(result.stderr, / {4}at |deno:|file:\/\/.*\.ts/, "no stack trace");
    const left = (await listNames(folder.path)).filter((name) => !/^(shop\.db|rivet\.yaml)$/.test(name));
    assert.deepEqual(left, [], "not even a state file");
  });
}

interface Report {
  code: string;
  error: string;
  where: string | null;
  cure: string;
}
