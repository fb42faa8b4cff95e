// A folder in the place of a file, wherever a command takes one: what, where and cure, and never the operating system's own words.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { toFolder } from "../support/config_file.ts";
import { join, temporaryFolder } from "../support/files.ts";

const SHOP = { type: "sqlite", path: "shop.db" };
const PG = { type: "postgres", host: "127.0.0.1", port: 1, user: "u", database: "d" };
const GCS = { format: "csv", destination: { type: "gcs", bucket: "b", credentials_file: "folder" } };

interface Case {
  readonly args: readonly string[];
  readonly code: string;
  readonly where: RegExp;
  readonly says?: RegExp;
  readonly source?: object;
  readonly entry?: object;
  readonly env?: Record<string, string>;
}

const RUN = ["run", "-c", "rivet.yaml"];

const CASES: Case[] = [
  { args: ["run", "-c", "folder"], code: "RIVET_CONFIG_FILE_UNREADABLE", where: /folder/, says: /config file itself/ },
  { args: RUN, entry: { query_file: "folder" }, code: "RIVET_CONFIG_EXPORT_SOURCE_INVALID", where: /rivet\.yaml:1:/ },
  { args: RUN, source: { type: "postgres", url_file: "folder" }, code: "RIVET_CONFIG_SECRET_UNSET", where: /:1:/ },
  {
    args: RUN,
    source: { ...PG, tls: { mode: "verify-full", ca_file: "folder" } },
    code: "RIVET_CONFIG_TLS_CA_INVALID",
    where: /folder/,
  },
  { args: RUN, entry: { table: "t", ...GCS }, code: "RIVET_CONFIG_SECRET_UNSET", where: /:1:/, says: /it is no file/ },
  { args: RUN, source: { type: "sqlite", path: "folder" }, code: "RIVET_SOURCE_CONNECT_FAILED", where: /folder/ },
  {
    args: RUN,
    env: { RIVET_STATE_URL: "sqlite:folder" },
    code: "RIVET_STATE_NOT_WRITABLE",
    where: /folder/,
  },
  {
    args: ["state", "show", "-c", "rivet.yaml"],
    env: { RIVET_STATE_URL: "sqlite:folder" },
    code: "RIVET_STATE_NOT_WRITABLE",
    where: /folder/,
  },
  { args: ["apply", "plan.json"], code: "RIVET_CLI_INPUT_UNREADABLE", where: /plan\.json/ },
  { args: ["apply", "folder"], code: "RIVET_CONFIG_FILE_UNREADABLE", where: /folder/ },
  {
    args: ["repair", "-c", "rivet.yaml", "-e", "t", "--report", "folder"],
    code: "RIVET_CLI_INPUT_UNREADABLE",
    where: /folder/,
  },
  { args: ["init", "--source-file", "folder"], code: "RIVET_CONFIG_SECRET_UNSET", where: /--source-file folder/ },
  { args: [...RUN, "--summary-output", "folder"], code: "RIVET_CLI_OUTPUT_UNWRITABLE", where: /folder/ },
  { args: ["plan", "-c", "rivet.yaml", "-o", "folder"], code: "RIVET_CLI_OUTPUT_UNWRITABLE", where: /folder/ },
  { args: ["validate", "-c", "rivet.yaml", "-o", "folder"], code: "RIVET_CLI_OUTPUT_UNWRITABLE", where: /folder/ },
  {
    args: ["reconcile", "-c", "rivet.yaml", "-e", "t", "-o", "folder"],
    code: "RIVET_CLI_OUTPUT_UNWRITABLE",
    where: /folder/,
  },
];

for (const { args, code, where, says = /is a folder/, source = SHOP, entry = { table: "t" }, env = {} } of CASES) {
  Deno.test(`a folder is refused by name: ${[...args, ...Object.keys(env)].join(" ")} (${code})`, async () => {
    await using folder = await temporaryFolder();
    const at = (name: string) => join(folder.path, name);
    for (const name of ["folder", "plan.json"]) await Deno.mkdir(at(name));
    {
      using db = new DatabaseSync(at("shop.db"));
      db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    }
    const exports = [{ name: "t", ...toFolder("out"), ...entry }];
    await Deno.writeTextFile(at("rivet.yaml"), JSON.stringify({ source, exports }));
    const result = await runCli(args, { cwd: folder.path, env });
    const { stderr } = result;
    assert.equal(result.code, 1, stderr);
    assert.ok(stderr.includes(`[${code}]`), stderr);
    assert.match(/where: +(.*)/.exec(stderr)?.[1] ?? "", where, stderr);
    assert.match(stderr, /cure: +\S/);
    assert.match(stderr, says);
    assert.doesNotMatch(stderr, /os error|readfile|writefile|rename/);
    // It is found before anything is read.
    assert.deepEqual([...Deno.readDirSync(folder.path)].filter(({ name }) => name === "out"), []);
  });
}
