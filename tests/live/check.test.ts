// `rivet check` on real servers: their own plans, sizes and limits.

import assert from "node:assert/strict";
import type { ServerConnection } from "../../src/source/mod.ts";
import { type CheckLine, parseCheckLines } from "../support/check_schema.ts";
import { runCli } from "../support/cli.ts";
import { toFolder, writeServerConfig } from "../support/config_file.ts";
import { parseDoctor } from "../support/doctor_schema.ts";
import { temporaryFolder } from "../support/files.ts";
import { openMysqlServers, testMysql } from "../support/mariadb.ts";
import { listMssqlServers } from "../support/mssql.ts";
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

const PILOT = `source:
  type: TYPE
  url_env: DATABASE_URL
  tuning:
    profile: balanced

exports:
  - name: orders
    query: "SELECT id, user_id, product, price, status, updated_at FROM orders"
    mode: chunked
    chunk_column: id
    chunk_size: 1000
    chunk_checkpoint: true
    parallel: 2
    format: parquet
    destination:
      type: local
      path: ./output
    columns:
      price: decimal(10,2)

  - name: orders_coalesce
    query: "SELECT id, product, price, updated_at, created_at FROM orders_coalesce"
    mode: incremental
    cursor_column: updated_at
    cursor_fallback_column: created_at
    incremental_cursor_mode: coalesce
    format: parquet
    skip_empty: true
    destination:
      type: local
      path: ./output
    columns:
      price: decimal(10,2)
`;

/** The tables of a first pilot, with a nullable `updated_at`. */
function pilotTables(numeric: string, time: string): string {
  const rows = Array.from(
    { length: 3000 },
    (_, i) =>
      `(${i + 1}, ${i % 90}, 'p', ${i}.50, 'new', ${
        i % 3 === 0 ? "NULL" : `'2026-04-18 00:00:${10 + i % 50}'`
      }, '2026-04-17 00:00:00')`,
  ).join(", ");
  return `CREATE TABLE orders (id int PRIMARY KEY, user_id int, product varchar(20), price ${numeric}, status varchar(9),
      updated_at ${time} NULL, created_at ${time} NOT NULL);
    INSERT INTO orders VALUES ${rows};
    CREATE TABLE orders_coalesce AS SELECT * FROM orders`;
}

async function checkPilot(engine: "postgres" | "mysql", connection: ServerConnection): Promise<void> {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(`${folder.path}/pilot.yaml`, PILOT.replace("TYPE", engine));
  const { host, port, user, password, database } = connection;
  const url = `${engine}://${user}:${encodeURIComponent(password!)}@${host}:${port}/${database}`;
  const options = { cwd: folder.path, env: { DATABASE_URL: url } };
  const json = await runCli(["check", "-c", "pilot.yaml", "--json"], options);
  assert.equal(json.code, 0, json.stderr);
  const [orders, coalesce] = parseCheckLines(json.stdout);
  assert.equal(orders!.diagnostic!.strategy, "chunked-parallel(id, size=1000, p=2)");
  assert.ok(orders!.diagnostic!.uses_index);
  // PostgreSQL does not tell whether a query's column may be NULL: one chunk more.
  assert.equal(orders!.diagnostic!.chunks, engine === "postgres" ? 4 : 3);
  assert.ok(orders!.diagnostic!.row_estimate !== null);
  assert.equal(coalesce!.diagnostic!.cursor_column, "coalesce(updated_at,created_at)");
  const price = orders!.columns!.find(({ column }) => column === "price");
  assert.deepEqual([price!.rivet_type, price!.arrow_type], ["decimal(10,2)", "Decimal128(10, 2)"]);
  for (const command of ["check", "doctor"]) {
    const { code, stdout, stderr } = await runCli([command, "-c", "pilot.yaml"], options);
    assert.equal(code, 0, stderr);
    assert.ok(!`${stdout}${stderr}`.includes(password!) && !stdout.includes(encodeURIComponent(password!)));
  }
}

Deno.test({
  name: "PostgreSQL: the pilot's config is checked by the pilot's commands",
  ignore: postgres === null,
  fn: () =>
    withDatabase(postgres!, async (db) => {
      await db.run(`${pilotTables("numeric", "timestamp")}; ANALYZE`);
      await checkPilot("postgres", db.connection);
    }),
});

testMysql(mysql, "the pilot's config is checked by the pilot's commands", async (db) => {
  await db.run(`${pilotTables("decimal(10,2)", "datetime")}; ANALYZE TABLE orders`);
  await checkPilot("mysql", db.connection);
});

for (const server of listMssqlServers()) {
  Deno.test(`SQL Server (${server.name}): check and doctor tell what they can`, async () => {
    await using db = await server.openDatabase();
    await db.run("CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, name nvarchar(20), at datetime2(3) NOT NULL)");
    await db.run("INSERT INTO dbo.orders VALUES (1, N'a', '2026-01-01'), (2, N'b', '2026-01-02')");
    await using folder = await temporaryFolder();
    const { env } = await writeServerConfig(folder.path, "mssql", db.connection, [
      { name: "whole", table: "dbo.orders", mode: "full", ...toFolder("out") },
      { name: "cut", table: "dbo.orders", mode: "chunked", chunk_column: "id", chunk_count: 2, ...toFolder("out") },
      { name: "new", table: "dbo.orders", mode: "incremental", cursor_column: "at", ...toFolder("out") },
      { name: "gone", table: "dbo.nope", mode: "full", ...toFolder("out") },
    ]);
    const options = { cwd: folder.path, env };
    const { code, stdout } = await runCli(["check", "-c", "rivet.yaml", "--json", "--target", "duckdb"], options);
    assert.equal(code, 1);
    const lines = parseCheckLines(stdout);
    assert.deepEqual(lines.map(({ ok }) => ok), [true, true, true, false]);
    assert.equal(lines[3]!.errors[0]!.code, "RIVET_SOURCE_TABLE_NOT_FOUND");
    const cut = lines[1]!.diagnostic!;
    assert.deepEqual([cut.uses_index, cut.cursor_min, cut.cursor_max, cut.verdict], [true, "1", "2", "acceptable"]);
    assert.equal(lines[2]!.columns!.find(({ column }) => column === "at")!.target_type, "TIMESTAMP");
    const doctor = await runCli(["doctor", "-c", "rivet.yaml", "--json"], options);
    assert.equal(doctor.code, 1);
    const report = parseDoctor(doctor.stdout);
    assert.deepEqual(report.checks.filter(({ ok }) => !ok).map(({ name }) => name), ["privileges of export 'gone'"]);
  });
}
