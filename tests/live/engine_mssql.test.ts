// The engine on SQL Server, real when there is one and the fake always: every mode covers the table, and money that moves is never lost.

import assert from "node:assert/strict";
import { runEngine } from "../support/engine.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { RivetError } from "../../src/errors.ts";
import type { Source } from "../../src/source/mod.ts";
import { listMssqlServers, type MssqlDatabase, type MssqlServer, openFakeDatabase } from "../support/mssql.ts";
import { readManifestFile, readThroughAllManifests, readThroughManifest, type Row } from "../support/reader.ts";
import { slowSource } from "../support/slow_source.ts";

async function writeConfig(folder: string, db: MssqlDatabase, exports: string): Promise<string> {
  const path = join(folder, "rivet.yaml");
  const { host, port, user, database, tls } = db.connection;
  await Deno.writeTextFile(
    path,
    `source:
  type: mssql
  host: ${host}
  port: ${port}
  user: ${user}
  password_env: TEST_PASSWORD
  database: ${JSON.stringify(database)}
${tls === null ? "" : "  tls: {mode: require}\n"}  tuning: {profile: fast, max_retries: 0}
exports:
${exports}`,
  );
  return path;
}

const envOf = (db: MssqlDatabase) => ({ TEST_PASSWORD: db.connection.password ?? "" });

async function withLive(
  server: MssqlServer,
  body: (db: MssqlDatabase, folder: string) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder();
  await using db = await server.openDatabase();
  await body(db, folder.path);
}

async function runOnce(configPath: string, db: MssqlDatabase): Promise<void> {
  const result = await runEngine({ configPath, env: envOf(db) });
  assert.equal(result.failed_count, 0, JSON.stringify(result.per_export[0]?.error));
}

const ROWS = 600;

/** `chunked` modes over keys of every usual kind. */
const CUTS: Readonly<Record<string, string>> = {
  "full": "mode: full",
  "range": "mode: chunked\n    chunk_column: id\n    chunk_size: 100",
  "range with NULL keys": "mode: chunked\n    chunk_column: part\n    chunk_size: 3",
  "integer key": "mode: chunked\n    chunk_by_key: id\n    chunk_size: 70\n    parallel: 2",
  "text key": "mode: chunked\n    chunk_by_key: code\n    chunk_size: 90\n    parallel: 2",
  "composite key": "mode: chunked\n    chunk_by_key: [grp, id]\n    chunk_size: 90",
  "uniqueidentifier key": "mode: chunked\n    chunk_by_key: u\n    chunk_size: 90",
  "days": "mode: chunked\n    chunk_column: at\n    chunk_by_days: 10",
  "count": "mode: chunked\n    chunk_column: id\n    chunk_count: 7",
};

async function fillItems(db: MssqlDatabase): Promise<void> {
  await db.run(`CREATE TABLE items ([id] bigint NOT NULL PRIMARY KEY, [part] int NULL, [code] varchar(40) NOT NULL,
    [grp] nvarchar(10) NOT NULL, [u] uniqueidentifier NOT NULL, [at] datetime NULL, [body] nvarchar(max))`);
  await db.run("CREATE UNIQUE INDEX items_code ON items (code)");
  await db.run("CREATE UNIQUE INDEX items_grp ON items (grp, id)");
  await db.run("CREATE UNIQUE INDEX items_u ON items (u)");
  for (let from = 0; from < ROWS; from += 200) {
    const lines: string[] = [];
    for (let id = from; id < from + 200; id++) {
      // Punctuation and case, which differ by collation; ids with gaps.
      const code = `${id % 2 ? "co-op" : "COOP"}_${id * 7919 % 1000}-${id}`;
      const uuid = `${(id * 2654435761 % 2 ** 32).toString(16).padStart(8, "0")}-0000-0000-0000-${
        String(id).padStart(12, "0")
      }`;
      const day = new Date(Date.UTC(2026, 0, 1 + id % 50)).toISOString().slice(0, 10);
      lines.push(
        `(${id * 3}, ${id % 7 === 3 ? "NULL" : id % 17}, '${code}', N'g${id % 5}', '${uuid}', ${
          id % 11 === 5 ? "NULL" : `CAST('${day}T12:00:00.007' AS datetime)`
        }, N'řádek ${id}')`,
      );
    }
    await db.run(`INSERT INTO items VALUES ${lines.join(", ")}`);
  }
}

for (const server of listMssqlServers()) {
  for (const [name, cut] of Object.entries(CUTS)) {
    Deno.test(`${server.name}: a chunked table is covered exactly (${name})`, async () => {
      await withLive(server, async (db, folder) => {
        await fillItems(db);
        const configPath = await writeConfig(
          folder,
          db,
          `  - name: items\n    table: items\n    ${cut}\n    format: parquet\n    destination: {type: local, path: out}\n`,
        );
        await runOnce(configPath, db);
        const rows = await readThroughManifest(join(folder, "out"));
        assert.deepEqual(
          rows.map((row) => Number(row["id"])).sort((a, b) => a - b),
          Array.from({ length: ROWS }, (_, id) => id * 3),
        );
        assert.ok(rows.every((row) => row["body"] === `řádek ${Number(row["id"]) / 3}`));
      });
    });
  }

  Deno.test(`${server.name}: the sum over accounts never changes while money moves`, async () => {
    await withLive(server, async (db, folder) => {
      await db.run("CREATE TABLE account (id int NOT NULL PRIMARY KEY, amount bigint NOT NULL)");
      await db.run(`INSERT INTO account VALUES ${Array.from({ length: 200 }, (_, id) => `(${id}, 1000)`).join(", ")}`);
      const configPath = await writeConfig(
        folder,
        db,
        `  - name: account
    table: account
    mode: chunked
    chunk_column: id
    chunk_size: 40
    format: parquet
    destination: {type: local, path: out}
`,
      );
      const stop = { now: false };
      const moving = (async () => {
        await using writer = await db.open();
        for (let i = 0; !stop.now; i++) {
          const [from, to] = [(i * 79) % 200, (i * 131) % 200];
          await writer.rows(
            `BEGIN TRANSACTION; UPDATE account SET amount = amount - 7 WHERE id = ${from}; ` +
              `UPDATE account SET amount = amount + 7 WHERE id = ${to}; COMMIT TRANSACTION`,
          );
        }
      })();
      try {
        for (let round = 0; round < 3; round++) {
          await runOnce(configPath, db);
          const rows = await readThroughManifest(join(folder, "out"));
          assert.equal(rows.length, 200);
          assert.equal(rows.reduce((sum, row) => sum + Number(row["amount"]), 0), 200_000);
          assert.equal((await readManifestFile(join(folder, "out")))?.source.extraction.consistency, "snapshot");
        }
      } finally {
        stop.now = true;
        await moving;
      }
    });
  });

  for (const type of ["datetime", "datetime2(7)", "datetimeoffset(3)", "bigint", "varbinary(8)"]) {
    Deno.test(`${server.name}: rows that tie on the last ${type} arrive with a later run, each once`, async () => {
      await withLive(server, async (db, folder) => {
        const value = (n: number) =>
          type === "bigint"
            ? String(9007199254740990 + n)
            : type === "varbinary(8)"
            ? `0x00000000000000${String(n).padStart(2, "0")}`
            : `CAST('2026-01-0${n}T12:00:00.003' AS ${type})`;
        await db.run(`CREATE TABLE t (id int NOT NULL, at ${type} NOT NULL)`);
        await db.run(`INSERT INTO t VALUES (1, ${value(1)}), (2, ${value(2)}), (3, ${value(2)})`);
        const configPath = await writeConfig(
          folder,
          db,
          `  - name: t
    table: t
    mode: incremental
    cursor_column: at
    format: parquet
    destination: {type: local, path: out}
`,
        );
        await runOnce(configPath, db);
        await db.run(`INSERT INTO t VALUES (4, ${value(2)}), (2, ${value(2)})`);
        await runOnce(configPath, db);
        await runOnce(configPath, db);
        await db.run(`INSERT INTO t VALUES (5, ${value(2)}), (6, ${value(3)})`);
        await runOnce(configPath, db);
        const ids = (await readThroughAllManifests(join(folder, "out"))).map((row: Row) => Number(row["id"]));
        assert.deepEqual(ids.sort(), [1, 2, 2, 3, 4, 5, 6]);
      });
    });
  }

  Deno.test(`${server.name}: a query with renamed columns is chunked by its own result`, async () => {
    await withLive(server, async (db, folder) => {
      await fillItems(db);
      const configPath = await writeConfig(
        folder,
        db,
        `  - name: items
    query: "SELECT id + 1000 AS id, body AS [the body] FROM items WHERE id < 900"
    mode: chunked
    chunk_column: id
    chunk_size: 100
    format: csv
    destination: {type: local, path: out}
`,
      );
      await runOnce(configPath, db);
      const rows = await readThroughManifest(join(folder, "out"));
      assert.deepEqual(
        rows.map((row) => Number(row["id"])).sort((a, b) => a - b),
        Array.from({ length: 300 }, (_, id) => id * 3 + 1000),
      );
    });
  });

  for (const [name, cut] of Object.entries(CUTS).filter(([name]) => ["range", "text key", "days"].includes(name))) {
    Deno.test(`${server.name}: after a slow statement the next ones are shorter (${name})`, async () => {
      await withLive(server, async (db, folder) => {
        await fillItems(db);
        const configPath = await writeConfig(
          folder,
          db,
          `  - name: items\n    table: items\n    ${cut}\n    tuning: {chunk_max_statement_s: 0.025, chunk_min_rows: 5}
    format: parquet\n    destination: {type: local, path: out}\n`,
        );
        const slow = slowSource();
        const result = await runEngine({ configPath, env: envOf(db), wrapSource: slow.wrap });
        const summary = result.per_export[0]!;
        assert.equal(result.failed_count, 0, JSON.stringify(summary.error));
        const rows = await readThroughManifest(join(folder, "out"));
        assert.deepEqual(
          rows.map((row) => Number(row["id"])).sort((a, b) => a - b),
          Array.from({ length: ROWS }, (_, id) => id * 3),
        );
        assert.ok(summary.warnings.some((w) => w.includes("chunk_max_statement_s")), `${summary.warnings}`);
        assert.ok(slow.statements.length > 1.5 * summary.slices, `${slow.statements}`);
        // One a lane before anything was known; the chunk of NULL keys cannot be cut.
        assert.ok(slow.statements.filter((size) => size > 25).length <= summary.lanes + 1, `${slow.statements}`);
      });
    });
  }
}

/** The `at`-th read of all connections ends as one whose connection was lost. */
function loseOnce(at: number): (inner: Source) => Source {
  let reads = 0;
  return (inner) =>
    new Proxy(inner, {
      get(source, name) {
        if (name === "read") {
          return (...args: Parameters<Source["read"]>) => {
            if (++reads !== at) return source.read(...args);
            throw new RivetError("RIVET_SOURCE_CONNECTION_LOST", "Lost", { retry: "reconnect" });
          };
        }
        const value = Reflect.get(source, name) as unknown;
        return typeof value === "function" ? value.bind(source) : value;
      },
    });
}

const LEVELS = [
  ["a picture that was lost between chunks", {}, 2, "slice"],
  ["a picture that was never lost", {}, 0, "snapshot"],
  ["no picture at all", { snapshot: false }, 2, "none"],
  ["statements with row versions", { snapshot: false, rowVersions: true }, 2, "slice"],
] as const;

for (const [name, options, at, level] of LEVELS) {
  Deno.test(`fake: ${name} is recorded as ${level}`, async () => {
    await using folder = await temporaryFolder();
    await using db = await openFakeDatabase(options);
    await db.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY)");
    await db.run(`INSERT INTO t VALUES ${Array.from({ length: 40 }, (_, id) => `(${id})`).join(", ")}`);
    const configPath = await writeConfig(
      folder.path,
      db,
      `  - name: t
    table: t
    mode: chunked
    chunk_column: id
    chunk_size: 10
    tuning: {max_retries: 1, retry_backoff_ms: 1}
    format: parquet
    destination: {type: local, path: out}
`,
    );
    const result = await runEngine({ configPath, env: envOf(db), wrapSource: loseOnce(at) });
    assert.equal(result.failed_count, 0, JSON.stringify(result.per_export[0]?.error));
    assert.equal((await readThroughManifest(join(folder.path, "out"))).length, 40);
    assert.equal((await readManifestFile(join(folder.path, "out")))?.source.extraction.consistency, level);
  });
}
