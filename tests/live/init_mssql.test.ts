// `rivet init` on SQL Server, real when there is one and the fake always: what it writes runs unchanged.

import assert from "node:assert/strict";
import type { Discovery } from "../../src/scaffold/mod.ts";
import { listTables } from "../../src/source/mod.ts";
import { runEngine } from "../support/engine.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { listMssqlServers, type MssqlDatabase, openFakeDatabase } from "../support/mssql.ts";
import { runProgram } from "../support/program.ts";
import { readThroughAllManifests } from "../support/reader.ts";

function toUrl({ connection: c }: MssqlDatabase): string {
  const [user, password, database] = [c.user, c.password ?? "", c.database].map(encodeURIComponent);
  return `sqlserver://${user}:${password}@${c.host}:${c.port}/${database}`;
}

const tls = (db: MssqlDatabase) => db.connection.tls === null ? [] : ["--tls", "require"];

async function fill(db: MssqlDatabase): Promise<void> {
  for (
    const sql of [
      `CREATE TABLE orders ([id] bigint NOT NULL PRIMARY KEY, [price] decimal(10,2) NULL, [UpdatedAt] datetime2(3) NULL,
        [CreatedAt] datetime2(3) NOT NULL)`,
      "INSERT INTO orders VALUES (1, 1.25, NULL, '2024-01-01 00:00:00'), (2, 2.5, '2024-01-02 00:00:00', '2024-01-01 00:00:00')",
      "CREATE TABLE [select] ([id] int NOT NULL PRIMARY KEY, [from] nvarchar(20) NULL)",
      "INSERT INTO [select] VALUES (1, N'x')",
      "CREATE TABLE [we]]ird name] ([id] int NOT NULL PRIMARY KEY)",
      "INSERT INTO [we]]ird name] VALUES (1)",
      "CREATE TABLE keyless ([v] int NULL)",
      "INSERT INTO keyless VALUES (1), (2), (3)",
      "CREATE TABLE pair ([a] int NOT NULL, [b] varchar(20) NOT NULL, PRIMARY KEY (a, b))",
      "INSERT INTO pair VALUES (1, 'x'), (1, 'y')",
      "CREATE TABLE by_uuid ([id] uniqueidentifier NOT NULL PRIMARY KEY)",
      "INSERT INTO by_uuid VALUES ('0F8FAD5B-D9CB-469F-A165-70867728950E')",
      "CREATE TABLE tmp_load ([a] int NULL)",
    ]
  ) await db.run(sql);
}

for (const server of listMssqlServers()) {
  Deno.test(`${server.name}: a schema becomes a config that runs unchanged`, async () => {
    await using folder = await temporaryFolder();
    await using db = await server.openDatabase();
    await fill(db);
    const env = { DATABASE_URL: toUrl(db) };
    const path = join(folder.path, "pilot.yaml");
    const { code, stderr } = await runProgram(
      ["init", "--source-env", "DATABASE_URL", "--schema", "dbo", "-o", path, ...tls(db)],
      env,
    );
    assert.equal(code, 0, stderr);
    const yaml = await Deno.readTextFile(path);
    assert.match(yaml, /query: "SELECT \* FROM \[dbo\]\.\[we\]\]ird name\]"/);
    assert.match(yaml, /^# - tmp_load: its name looks like a temporary table$/m);
    const result = await runEngine({ configPath: path, env });
    assert.deepEqual(result.per_export.filter((entry) => entry.status !== "success"), []);
    assert.deepEqual(
      result.per_export.map((entry) => `${entry.export_name} ${entry.mode} ${entry.rows}`).sort(),
      [
        "by_uuid full 1",
        "keyless full 3",
        "orders incremental 2",
        "pair full 2",
        "select full 1",
        "we_ird_name full 1",
      ],
    );
    const again = await runEngine({ configPath: path, env });
    assert.equal(again.per_export.find((entry) => entry.export_name === "orders")?.rows, 0);
    assert.equal((await readThroughAllManifests(join(folder.path, "output/orders"))).length, 2);
  });

  Deno.test(`${server.name}: the listing tells what a description and the facts tell`, async () => {
    await using db = await server.openDatabase();
    await fill(db);
    await using source = await db.open();
    const { tables } = await listTables(source, null);
    assert.ok(tables.length >= 7);
    for (const table of tables) {
      const { columns } = await source.describe({ kind: "table", schema: table.schema, name: table.name });
      assert.deepEqual(
        table.columns.map(({ name, nativeType, type, notNull }) => ({ name, nativeType, type, notNull })),
        columns.map(({ name, nativeType, type, notNull }) => ({ name, nativeType, type, notNull })),
      );
      const { columns: _columns, isReadable: _isReadable, partOf: _partOf, notes: _notes, ...facts } = table;
      assert.deepEqual(facts, await source.facts({ schema: table.schema, name: table.name }));
    }
  });
}

Deno.test("large SQL Server tables are cut along their keys by one connection, which keeps one snapshot", async () => {
  await using db = await openFakeDatabase();
  await db.run("CREATE TABLE big ([id] bigint NOT NULL PRIMARY KEY, [v] int NULL)");
  for (let i = 0; i < 12; i++) {
    await db.run(
      `INSERT INTO big VALUES ${Array.from({ length: 10_000 }, (_, n) => `(${i * 10_000 + n}, 1)`).join(", ")}`,
    );
  }
  const env = { DATABASE_URL: toUrl(db) };
  const { code, stdout, stderr } = await runProgram(["init", "--source-env", "DATABASE_URL", "--discover"], env);
  assert.equal(code, 0, stderr);
  const { tables } = JSON.parse(stdout) as Discovery;
  const [big] = tables;
  assert.deepEqual([big!.row_estimate, big!.suggested_mode, big!.chunk_key, big!.key_density], [
    120_000,
    "chunked",
    ["id"],
    1,
  ]);
  const { stdout: yaml } = await runProgram(["init", "--source-env", "DATABASE_URL"], env);
  assert.match(yaml, /parallel: 1 # several connections would each see a moment of their own/);
});

Deno.test("sizes come from other views where the user may not see the first", async () => {
  await using db = await openFakeDatabase({ hideStats: true });
  await fill(db);
  await using source = await db.open();
  const { tables } = await listTables(source, null);
  assert.deepEqual(tables.find((table) => table.name === "keyless")?.rowsEstimate, 3);
});
