// `rivet check` on real servers: their own plans, sizes and limits.

import assert from "node:assert/strict";
import { type CheckLine, parseCheckLines } from "../support/check_schema.ts";
import { runCli } from "../support/cli.ts";
import { toFolder, writeServerConfig } from "../support/config_file.ts";
import { temporaryFolder } from "../support/files.ts";
import { openMysqlServers, testMysql } from "../support/mariadb.ts";
import { openPostgresServer, withDatabase } from "../support/postgres.ts";

const postgres = await openPostgresServer(18);
const mysql = await openMysqlServers();

const EXPORTS = [
  { name: "whole", table: "orders", mode: "full", ...toFolder("out/whole") },
  {
    name: "range",
    table: "orders",
    mode: "chunked",
    chunk_column: "id",
    chunk_size: 10_000,
    parallel: 2,
    ...toFolder("out/range"),
  },
  { name: "key", table: "orders", mode: "chunked", chunk_by_key: "code", chunk_size: 20_000, ...toFolder("out/key") },
  {
    name: "far",
    table: "orders",
    mode: "chunked",
    chunk_column: "plain",
    chunk_count: 12,
    parallel: 200,
    ...toFolder("out/far"),
  },
  { name: "new", table: "orders", mode: "incremental", cursor_column: "at", ...toFolder("out/new") },
  { name: "slow", table: "orders", mode: "incremental", cursor_column: "seen", ...toFolder("out/slow") },
  { name: "ask", query: "SELECT id, body FROM orders WHERE id < 50", mode: "full", ...toFolder("out/ask") },
];

function assertLines(lines: readonly CheckLine[]): void {
  const of = (name: string) => lines.find((line) => line.export === name)!.diagnostic!;
  const near = (rows: number | null) => assert.ok(rows !== null && rows > 100_000 && rows < 160_000, String(rows));
  assert.ok(lines.every(({ ok }) => ok), JSON.stringify(lines.map(({ errors }) => errors)));
  near(of("whole").row_estimate);
  assert.deepEqual([of("whole").verdict, of("whole").uses_index], ["degraded", false]);
  assert.equal(of("whole").breach?.estimate, of("whole").row_estimate);
  assert.ok((of("whole").avg_row_bytes ?? 0) > 100);
  assert.deepEqual([of("range").cursor_min, of("range").cursor_max, of("range").verdict], [
    "1",
    "120000",
    "acceptable",
  ]);
  assert.deepEqual([of("range").uses_index, of("range").capabilities.can_parallel], [true, true]);
  assert.deepEqual([of("key").uses_index, of("key").range_column], [true, "code"]);
  assert.deepEqual([of("far").uses_index, of("far").verdict], [false, "degraded"]);
  const warnings = of("far").warnings.map(({ severity, message }) => `${severity} ${message}`).join("\n");
  assert.match(warnings, /HIGH .*parallel: 200.*connections/);
  assert.match(warnings, /HIGH no index on 'plain': each of 1[23] chunks scans/);
  assert.deepEqual([of("new").uses_index, of("new").verdict, of("new").cursor_column], [true, "efficient", "at"]);
  assert.match(of("new").cursor_max!, /^2026-0/);
  assert.deepEqual([of("slow").uses_index, of("slow").verdict], [false, "degraded"]);
  assert.ok((of("ask").row_estimate ?? 1e9) < 1000, "the plan of a query tells its rows");
  assert.ok(of("ask").uses_index);
}

async function checkAll(folder: string, env: Record<string, string>): Promise<CheckLine[]> {
  const result = await runCli(["check", "-c", "rivet.yaml", "--json"], { cwd: folder, env });
  assert.equal(result.code, 0, result.stderr);
  return parseCheckLines(result.stdout);
}

Deno.test({
  name: "PostgreSQL: the server's plans and catalog decide the verdicts",
  ignore: postgres === null,
  fn: () =>
    withDatabase(postgres!, async (db) => {
      await using folder = await temporaryFolder();
      await db.run(`CREATE TABLE orders (id int PRIMARY KEY, code text NOT NULL UNIQUE, plain int NOT NULL,
          at timestamptz NOT NULL, seen timestamptz NOT NULL, body text);
        INSERT INTO orders SELECT g, md5(g::text), g, '2026-01-01'::timestamptz + g * interval '1 minute',
          now(), repeat('x', 100) FROM generate_series(1, 120000) g;
        CREATE INDEX ON orders (at); ANALYZE orders`);
      const { env } = await writeServerConfig(folder.path, "postgres", db.connection, EXPORTS);
      assertLines(await checkAll(folder.path, env));
    }),
});

testMysql(mysql, "the server's plans and catalog decide the verdicts", async (db) => {
  await using folder = await temporaryFolder();
  await db.run(`CREATE TABLE orders (id int PRIMARY KEY, code varchar(40) NOT NULL, plain int NOT NULL,
      at datetime NOT NULL, seen datetime NOT NULL, body text, UNIQUE (code), KEY (at));
    INSERT INTO orders WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 1000)
      SELECT a.g + 1000 * (b.g - 1), md5(a.g + 1000 * b.g), a.g + 1000 * b.g,
        '2026-01-01' + INTERVAL (a.g + 1000 * b.g) MINUTE, now(), repeat('x', 100) FROM s a, s b WHERE b.g <= 120;
    ANALYZE TABLE orders`);
  const { env } = await writeServerConfig(folder.path, "mysql", db.connection, EXPORTS);
  assertLines(await checkAll(folder.path, env));
});

Deno.test({
  name: "PostgreSQL: a table that may not be read, and a column that nothing fits, fail the check by name",
  ignore: postgres === null,
  fn: () =>
    withDatabase(postgres!, async (db) => {
      await using folder = await temporaryFolder();
      const role = `r_${db.name}`;
      await db.run(`CREATE TABLE closed (id int); CREATE TABLE narrow (id bigint, price numeric(10,4));
        CREATE ROLE ${role} LOGIN PASSWORD 'hush hush'; GRANT SELECT ON narrow TO ${role}`);
      try {
        const reader = { ...db.connection, user: role, password: "hush hush" };
        const { env } = await writeServerConfig(folder.path, "postgres", reader, [
          { name: "closed", table: "closed", mode: "full", ...toFolder("out/closed") },
          {
            name: "narrow",
            table: "narrow",
            mode: "full",
            columns: { price: "decimal(8,2)" },
            ...toFolder("out/narrow"),
          },
        ]);
        const plain = await runCli(["check", "-c", "rivet.yaml", "--json"], { cwd: folder.path, env });
        assert.equal(plain.code, 1);
        const [closed, narrow] = parseCheckLines(plain.stdout);
        assert.match(closed!.errors[0]!.where!, /^export 'closed', 127\.0\.0\.1:/);
        assert.match(closed!.errors[0]!.error, /permission denied.*closed/);
        assert.deepEqual(narrow!.violations!.map((v) => [v.column_name, v.fidelity, v.fatal]), [[
          "price",
          "lossy",
          false,
        ]]);
        const strict = await runCli(["check", "-c", "rivet.yaml", "--strict", "-e", "narrow"], {
          cwd: folder.path,
          env,
        });
        assert.equal(strict.code, 1);
        assert.match(strict.stderr, /RIVET_TYPE_UNSAFE_MAPPING.*'price'/);
        for (const text of [plain.stdout, plain.stderr, strict.stdout, strict.stderr]) {
          assert.ok(!text.includes("hush"));
        }
      } finally {
        await db.run(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      }
    }),
});
