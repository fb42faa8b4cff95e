// `rivet init` through the program: the file it writes runs unchanged, its JSON keeps its schema, and every wrong flag is said.

import assert from "node:assert/strict";
import { z } from "zod";
import { CODES, type ErrorCode } from "../../src/errors.ts";
import { runCli, startCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { runProgram } from "../support/program.ts";
import { readThroughManifest } from "../support/reader.ts";
import { openSqliteFile } from "../support/sqlite.ts";

const SHOP = `
  CREATE TABLE orders (id INTEGER PRIMARY KEY, price DECIMAL(10,2), weight NUMERIC, updated_at DATETIME,
    created_at DATETIME NOT NULL);
  INSERT INTO orders VALUES (1, 1.5, 2, NULL, '2024-01-01 00:00:00'), (2, 3.25, 'x', '2024-01-02 00:00:00', '2024-01-01 00:00:00');
  CREATE TABLE "select" (id INTEGER PRIMARY KEY, "from" TEXT); INSERT INTO "select" VALUES (1, 'x');
  CREATE TABLE "we""ird \${HOME}" (id INTEGER PRIMARY KEY, "a""b" TEXT); INSERT INTO "we""ird \${HOME}" VALUES (1, 'x');
  CREATE TABLE "null" (id INTEGER PRIMARY KEY); CREATE TABLE "NULL " (id INTEGER PRIMARY KEY);
  CREATE TABLE pair (a INT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO pair VALUES (1, 'x');
  CREATE TABLE big (id INTEGER PRIMARY KEY, v TEXT);
  INSERT INTO big SELECT value, 'x' FROM (WITH RECURSIVE c (value) AS
    (SELECT 1 UNION ALL SELECT value + 1 FROM c WHERE value < 120000) SELECT value FROM c);
  CREATE VIEW latest AS SELECT id FROM orders; CREATE VIEW broken AS SELECT * FROM gone;
  CREATE TABLE tmp_load (a INT); CREATE TABLE orders_backup_20240101 (a INT); CREATE TABLE test_orders (a INT)`;

Deno.test("what init writes for a SQLite file, the next command runs", async () => {
  await using file = await openSqliteFile(SHOP);
  const made = await runCli(["init", "--source", "sqlite:test.db", "-o", "conf/pilot.yaml"], { cwd: file.folder });
  assert.equal(made.code, 0, made.stderr);
  assert.equal(made.stdout, "");
  assert.match(made.stderr, /note: left out: 'broken' \(the view cannot be read\), 'orders_backup_20240101'/);
  assert.match(made.stderr, /conf\/pilot.yaml: 8 exports: 1 chunked, 6 full, 1 incremental/);
  const yaml = await Deno.readTextFile(join(file.folder, "conf/pilot.yaml"));
  assert.match(yaml, /^ {2}path: "\.\.\/test\.db"$/m);
  const run = await runCli(["run", "-c", "conf/pilot.yaml", "--json", "--validate"], { cwd: file.folder });
  assert.equal(run.code, 0, run.stderr);
  const summary = JSON.parse(run.stdout) as { per_export: { export_name: string; rows: number; status: string }[] };
  assert.deepEqual(
    Object.fromEntries(summary.per_export.map((entry) => [entry.export_name, `${entry.status} ${entry.rows}`])),
    {
      NULL_: "success 0",
      big: "success 120000",
      latest: "success 2",
      null: "success 0",
      orders: "success 2",
      pair: "success 1",
      select: "success 1",
      we_ird_HOME_: "success 1",
    },
  );
  const rows = await readThroughManifest(join(file.folder, "conf/output/we_ird_HOME_"));
  assert.equal(rows[0]?.['a"b'], "x");
});

const Discovery = z.strictObject({
  rivet_version: z.string(),
  source_type: z.enum(["postgres", "mysql", "mssql", "sqlite"]),
  scope: z.string(),
  tls_mode: z.enum(["disable", "require", "verify-ca", "verify-full"]).optional(),
  tables: z.array(z.strictObject({
    schema: z.string().nullable(),
    table: z.string(),
    kind: z.enum(["table", "partitioned", "view", "other"]),
    row_estimate: z.number().int().nonnegative().nullable(),
    row_source: z.enum(["catalog", "key_span", "bytes"]).nullable(),
    total_bytes: z.number().int().optional(),
    suggested_mode: z.enum(["full", "incremental", "chunked", "time_window"]),
    reason: z.string(),
    cursor_candidates: z.array(z.strictObject({
      column: z.string(),
      data_type: z.string(),
      is_nullable: z.boolean(),
      is_primary_key: z.boolean(),
      score: z.number(),
      reasons: z.array(z.enum([
        "name_suggests_updated",
        "name_suggests_created",
        "timestamp_type",
        "integer_monotonic",
        "primary_key",
        "nullable",
      ])),
    })),
    suggested_cursor_fallback_column: z.string().optional(),
    chunk_candidates: z.array(z.strictObject({
      column: z.string(),
      data_type: z.string(),
      is_primary_key: z.boolean(),
      score: z.number(),
    })),
    chunk_key: z.array(z.string()).optional(),
    suggested_chunk_size: z.number().int().optional(),
    key_density: z.number().min(0).max(1).optional(),
    notes: z.array(z.string()),
  })),
  left_out: z.array(z.strictObject({ table: z.string(), reason: z.string() })),
});

Deno.test("--discover and --json print the same, and it keeps its schema", async () => {
  await using file = await openSqliteFile(SHOP);
  const source = `sqlite:${file.path}`;
  const discovered = await runProgram(["init", "--source", source, "--discover"]);
  assert.equal(discovered.code, 0, discovered.stderr);
  const found = Discovery.parse(JSON.parse(discovered.stdout));
  const orders = found.tables.find((table) => table.table === "orders");
  assert.equal(orders?.suggested_mode, "incremental");
  assert.equal(orders?.suggested_cursor_fallback_column, "created_at");
  assert.equal((await runProgram(["init", "--source", source, "--json"])).stdout, discovered.stdout);
});

Deno.test("globs choose: exclude wins over include, and include over what a name suggests", async () => {
  await using file = await openSqliteFile(SHOP);
  const names = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProgram(["init", "--source", `sqlite:${file.path}`, "--json", ...args]);
    assert.equal(code, 0, stderr);
    return { tables: Discovery.parse(JSON.parse(stdout)).tables.map((table) => table.table), stderr };
  };
  assert.deepEqual((await names("--include", "*orders*")).tables, ["orders", "orders_backup_20240101", "test_orders"]);
  assert.deepEqual((await names("--include", "*orders*", "PAIR", "--exclude", "test?orders")).tables, [
    "orders",
    "orders_backup_20240101",
    "pair",
  ]);
  assert.match((await names("--include", "orders", "--include", "nothing*")).stderr, /no table matches 'nothing\*'/);
});

Deno.test("an existing file is kept, unless it may be overwritten", async () => {
  await using file = await openSqliteFile(SHOP);
  const path = join(file.folder, "pilot.yaml");
  await Deno.writeTextFile(path, "mine");
  const refused = await runProgram(["init", "--source", `sqlite:${file.path}`, "-o", path]);
  assert.equal(refused.code, 5);
  assert.match(refused.stderr, /RIVET_INIT_CONFIG_EXISTS.*--force/s);
  assert.equal(await Deno.readTextFile(path), "mine");
  assert.equal((await runProgram(["init", "--source", `sqlite:${file.path}`, "-o", path, "--force"])).code, 0);
  assert.match(await Deno.readTextFile(path), /^source:$/m);
});

Deno.test("buckets, a warehouse and a key file are written as the config takes them", async () => {
  await using file = await openSqliteFile("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  await Deno.writeTextFile(join(file.folder, "key.json"), "{}");
  const yaml = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProgram(["init", "--source", `sqlite:${file.path}`, ...args]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  assert.match(
    await yaml("--s3-bucket", "lake", "--s3-region", "eu-central-1", "--target", "bigquery"),
    /target: bigquery\n {4}destination:\n {6}type: s3\n {6}bucket: lake\n {6}region: eu-central-1\n {6}prefix: "rivet\/\{export\}\/"/,
  );
  assert.match(
    await yaml("--gcs-bucket", "lake", "--gcs-credentials-file", join(file.folder, "key.json")),
    /type: gcs\n.*bucket: lake\n.*\n {6}credentials_file: .*key\.json/,
  );
  assert.match(
    await yaml("--azure-container", "lake", "--azure-account", "acc"),
    /type: azure\n {6}bucket: lake.*\n.*\n {6}account_name: acc\n {6}account_key_env: AZURE_STORAGE_KEY/,
  );
});

const SQLITE = ["--source", "sqlite:none.db"];

/** Arguments, code, a piece of what is said. */
const WRONG: readonly (readonly [string[], ErrorCode, RegExp])[] = [
  [[], "RIVET_CLI_VALUE_INVALID", /Nothing says which database/],
  [[...SQLITE, "--source-env", "X"], "RIVET_CLI_VALUE_INVALID", /more than once/],
  [["--source-env", "RIVET_TEST_UNSET_URL"], "RIVET_CONFIG_SECRET_UNSET", /'RIVET_TEST_UNSET_URL' is not set/],
  [["--source-file", "no/such/file"], "RIVET_CONFIG_SECRET_UNSET", /cannot be read/],
  [["--source", "shop.db"], "RIVET_CONFIG_SOURCE_URL_INVALID", /no scheme.*sqlite:/s],
  [["--source", "oracle://u:pw@h/db"], "RIVET_CONFIG_SOURCE_FEATURE_MISSING", /oracle_fdw/],
  [["--source", "mongodb://u:pw@h/db"], "RIVET_CONFIG_SOURCE_FEATURE_MISSING", /mongoexport/],
  [["--source", "redis://h/1"], "RIVET_CONFIG_SOURCE_URL_INVALID", /unknown scheme 'redis'/],
  [["--source", "postgres://h/db"], "RIVET_CONFIG_SOURCE_URL_INVALID", /no user/],
  [["--source", "postgres://u:pw@db.invalid/x?sslmode=disable"], "RIVET_SOURCE_TLS_REQUIRED", /--tls verify-full/],
  [["--source", "postgres://u:pw@localhost/x", "--tls-ca", "no.pem"], "RIVET_CONFIG_TLS_CA_INVALID", /cannot be read/],
  [[...SQLITE, "--tls", "require"], "RIVET_CLI_OPTION_UNSUPPORTED", /SQLite/],
  [[...SQLITE, "--tls", "sometimes"], "RIVET_CLI_VALUE_INVALID", /sometimes/],
  [[...SQLITE, "--tls", "disable", "--tls-ca", "x"], "RIVET_CLI_VALUE_INVALID", /checks no certificate/],
  [[...SQLITE, "--mode", "cdc"], "RIVET_CONFIG_SOURCE_MODE_UNSUPPORTED", /Debezium/],
  [[...SQLITE, "--mode", "fast"], "RIVET_CLI_VALUE_INVALID", /time_window/],
  [[...SQLITE, "--table", "t", "--include", "x"], "RIVET_CLI_VALUE_INVALID", /'--table' names one/],
  [[...SQLITE, "--s3-bucket", "a", "--gcs-bucket", "b"], "RIVET_CLI_VALUE_INVALID", /More than one bucket/],
  [[...SQLITE, "--s3-region", "a"], "RIVET_CLI_VALUE_INVALID", /--s3-bucket/],
  [[...SQLITE, "--azure-container", "a"], "RIVET_CLI_VALUE_INVALID", /--azure-account/],
  [[...SQLITE, "--schema", "other"], "RIVET_CLI_VALUE_INVALID", /main/],
  [SQLITE, "RIVET_SOURCE_CONNECT_FAILED", /does not exist/],
];

for (const [args, code, said] of WRONG) {
  Deno.test(`init ${args.join(" ")} is refused with ${code}`, async () => {
    const { code: exit, stderr, stdout } = await runProgram(["init", ...args]);
    assert.equal(exit, CODES[code].kind === "refusal" ? 5 : 1, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`\\[${code}\\]`));
    assert.match(stderr, said);
    assert.match(stderr, /cure: {2}\S/);
    assert.ok(!stderr.includes(":pw@"));
  });
}

Deno.test("a missing table and unknown flags of a target are said with what there is", async () => {
  await using file = await openSqliteFile("CREATE TABLE Orders (id INTEGER PRIMARY KEY)");
  const fail = async (...args: string[]) => {
    const { code, stderr } = await runProgram(["init", "--source", `sqlite:${file.path}`, ...args]);
    assert.equal(code, 1);
    return stderr;
  };
  assert.match(await fail("--table", "orders"), /RIVET_INIT_TABLE_NOT_FOUND.*Did you mean 'Orders'/s);
  assert.match(await fail("--target", "oracle"), /RIVET_CONFIG_TARGET_UNKNOWN/);
  await using empty = await openSqliteFile();
  const { stderr } = await runProgram(["init", "--source", `sqlite:${empty.path}`]);
  assert.match(stderr, /RIVET_INIT_NO_TABLES/);
});

Deno.test("a signal ends a question that nobody answers, and nothing is written", async () => {
  await using folder = await temporaryFolder();
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = (silent.addr as Deno.NetAddr).port;
  const path = join(folder.path, "rivet.yaml");
  const child = startCli(["init", "--source", `postgres://me@127.0.0.1:${port}/db`, "-o", path]);
  const asked = await silent.accept();
  child.kill("SIGINT");
  const { code, stderr: bytes } = await child.output();
  const stderr = new TextDecoder().decode(bytes);
  asked.close();
  silent.close();
  assert.equal(code, 2, stderr);
  assert.match(stderr, /RIVET_RUN_INTERRUPTED/);
  assert.equal(await Deno.stat(path).catch(() => null), null);
});

Deno.test("help has an example that could be typed", async () => {
  const { code, stdout } = await runProgram(["init", "--help"]);
  assert.equal(code, 0);
  assert.match(stdout, /rivet init --source-env DATABASE_URL --schema public -o rivet\.yaml/);
});
