// `rivet check` through the real entry point on a SQLite file: what it says, what fails it, and that it leaves nothing behind.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { parseCheckLines } from "../support/check_schema.ts";
import { toFolder } from "../support/config_file.ts";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";

async function withShop(exports: readonly object[], body: (folder: string) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec(`CREATE TABLE orders (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL, body TEXT, price DECIMAL(40,2));
      CREATE INDEX orders_at ON orders (at);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
      INSERT INTO orders SELECT i, '2026-01-01 00:00:00', 'x', '1.50' FROM n`);
  }
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    JSON.stringify({ source: { type: "sqlite", path: "shop.db" }, exports }),
  );
  await body(folder.path);
}

const check = (folder: string, ...flags: string[]) => runCli(["check", "-c", "rivet.yaml", ...flags], { cwd: folder });
const FULL = { name: "all", table: "orders", mode: "full", ...toFolder("out/all") };
const CHUNKED = { name: "cut", table: "orders", mode: "chunked", chunk_size: 10_000, ...toFolder("out/cut") };
const NEW = { name: "new", table: "orders", mode: "incremental", cursor_column: "at", ...toFolder("out/new") };

Deno.test("check tells strategy, estimate, access and verdict of each export, and writes nothing", async () => {
  await withShop([FULL, CHUNKED, NEW], async (folder) => {
    const result = await check(folder, "--json");
    assert.equal(result.code, 0, result.stderr);
    const facts = parseCheckLines(result.stdout).map(({ export: name, ok, diagnostic }) => {
      const { strategy, chunks, uses_index, verdict, row_estimate, breach } = diagnostic!;
      return [name, ok, strategy, chunks, uses_index, verdict, row_estimate, breach?.estimate ?? null];
    });
    assert.deepEqual(facts, [
      ["all", true, "full-scan", 1, false, "degraded", 120_000, 120_000],
      ["cut", true, "chunked(id, size=10000)", 13, true, "acceptable", 120_000, null],
      ["new", true, "incremental(at)", 1, true, "efficient", null, null],
    ]);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["rivet.yaml", "shop.db"]);
  });
});

Deno.test("the text names the broken budget, the server's access and what to do next", async () => {
  await withShop([FULL, CHUNKED], async (folder) => {
    const { stdout, code } = await check(folder);
    assert.equal(code, 0);
    for (
      const line of [
        /^Strategy: +full-scan, 1 chunk$/m,
        /^Verdict: +DEGRADED: 120,000 rows are read without an index, the budget for that is 100,000$/m,
        /^Access: +SEARCH orders USING INTEGER PRIMARY KEY .*, indexed$/m,
        /^Verdict: +ACCEPTABLE$/m,
        /^Recommended: +profile fast \(configured: balanced \(default\)\)$/m,
        /^Parallelism: +1 /m,
        /^Suggestion: /m,
        /^Next: rivet doctor -c rivet\.yaml/m,
      ]
    ) assert.match(stdout, line);
  });
});

Deno.test("a run that was measured is believed more than the catalog", async () => {
  await withShop([{ ...FULL, query: "SELECT * FROM orders WHERE id <= 7", table: undefined }], async (folder) => {
    const before = parseCheckLines((await check(folder, "--json")).stdout)[0]!.diagnostic!;
    assert.deepEqual([before.row_estimate, before.row_source], [null, null]);
    assert.equal((await runCli(["run", "-c", "rivet.yaml"], { cwd: folder })).code, 0);
    const after = parseCheckLines((await check(folder, "--json")).stdout)[0]!.diagnostic!;
    assert.equal(after.row_estimate, 7);
    assert.match(after.row_source!, /^measured \d{4}-\d{2}-\d{2}$/);
  });
});

Deno.test("--target shows what the warehouse makes of each column, and --strict fails where it cannot hold one", async () => {
  await withShop([FULL], async (folder) => {
    const plain = await check(folder, "--json", "--target", "sf");
    assert.equal(plain.code, 0, plain.stderr);
    const [line] = parseCheckLines(plain.stdout);
    assert.equal(line!.target, "snowflake");
    const status = line!.columns!.map((c) => [c.column, c.target_type, c.target_status]);
    assert.deepEqual(status, [
      ["id", "NUMBER(38,0)", "ok"],
      ["at", "TIMESTAMP_NTZ", "warn"],
      ["body", "TEXT", "ok"],
      ["price", "NUMBER", "fail"],
    ]);
    assert.deepEqual(line!.target_failures, ["price"]);
    assert.match(line!.recovery_sql!, /^CREATE TABLE "all" AS SELECT/);
    const strict = await check(folder, "--strict", "--target", "snowflake");
    assert.equal(strict.code, 1);
    assert.match(strict.stderr, /RIVET_TYPE_UNSAFE_MAPPING.*'price'/);
    assert.match(strict.stdout, /price .*✗ fail/);
    const unknown = await check(folder, "--target", "oracle");
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /RIVET_CONFIG_TARGET_UNKNOWN[\s\S]*bigquery, snowflake, duckdb, clickhouse/);
  });
});

Deno.test("every export is checked, the failures are in its JSON, and the most stop-worthy one decides the exit", async () => {
  const stream = { name: "piped", table: "orders", mode: "chunked", chunk_size: 7, format: "csv" };
  const exports = [
    { ...FULL, name: "gone", table: "nope" },
    FULL,
    { ...stream, destination: { type: "stdout" } },
    { ...NEW, name: "wrong", cursor_column: "AT" },
  ];
  await withShop(exports, async (folder) => {
    const result = await check(folder, "--json", "--json-errors");
    assert.equal(result.code, 1);
    const lines = parseCheckLines(result.stdout);
    assert.deepEqual(lines.map(({ export: name, ok, errors }) => [name, ok, errors.map(({ code }) => code)]), [
      ["gone", false, ["RIVET_SOURCE_TABLE_NOT_FOUND"]],
      ["all", true, []],
      ["piped", false, ["RIVET_PLAN_REJECTED"]],
      ["wrong", false, ["RIVET_CONFIG_CURSOR_COLUMN_CASE"]],
    ]);
    assert.ok(lines.every(({ errors }) => errors.every(({ where }) => where !== null)));
    assert.deepEqual(lines[2]!.plan.rejected.map(({ rule }) => rule), ["stdout-no-chunked"]);
    assert.deepEqual(lines[2]!.plan.degraded.map(({ rule }) => rule), ["stdout-manifest-phantom"]);
    const error = JSON.parse(result.stderr.trim().split("\n").at(-1)!);
    assert.equal(error.code, "RIVET_SOURCE_TABLE_NOT_FOUND");
    assert.equal(error.where, "export 'gone'");
    assert.match(error.error, /also: RIVET_PLAN_REJECTED in export 'piped', RIVET_CONFIG_CURSOR_COLUMN_CASE/);
  });
});

Deno.test("rejected, warning and degraded plan rules are told apart in the text", async () => {
  const exports = [{ ...FULL, quality: { unique_columns: ["id"] }, destination: { type: "stdout" } }];
  await withShop(exports, async (folder) => {
    const { stdout, code } = await check(folder);
    assert.equal(code, 0);
    assert.match(stdout, /^Warning: \[quality-unique-no-cap\]/m);
    assert.match(stdout, /^Degraded: \[stdout-manifest-phantom\]/m);
  });
});

Deno.test("a secret that the destination needs is missed before a run", async () => {
  const destination = {
    type: "s3",
    bucket: "b",
    access_key_env: "RIVET_TEST_NO_KEY",
    secret_key_env: "RIVET_TEST_NO_SECRET",
  };
  await withShop([{ ...FULL, destination }], async (folder) => {
    const { stderr, code } = await check(folder);
    assert.equal(code, 1);
    assert.match(stderr, /RIVET_CONFIG_SECRET_UNSET.*RIVET_TEST_NO_KEY/);
  });
});
