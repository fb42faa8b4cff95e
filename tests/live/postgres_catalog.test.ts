// What real servers tell about tables and queries: types, keys, sizes, without reading a row.

import assert from "node:assert/strict";
import type { TableFacts } from "../../src/source/mod.ts";
import { openPostgres, type PostgresSource } from "../../src/source/postgres/mod.ts";
import { formatType } from "../../src/types/mod.ts";
import { openPostgresServer, type TestDatabase, withDatabase } from "../support/postgres.ts";

const servers = [await openPostgresServer(18), await openPostgresServer(12)];
const limits = { statementTimeoutS: 60, lockTimeoutS: 10, connectTimeoutMs: 30_000 };

function testEach(name: string, body: (db: TestDatabase, source: PostgresSource) => Promise<void>): void {
  for (const server of servers) {
    const label = `${name} (PostgreSQL ${server?.major ?? "absent"})`;
    Deno.test({ name: label, ignore: server === null }, () =>
      withDatabase(server!, async (db) => {
        await using source = await openPostgres(db.connection, limits);
        await body(db, source);
      }));
  }
}

async function factsOf(source: PostgresSource, name: string): Promise<TableFacts> {
  const facts = await source.facts({ schema: null, name });
  assert.ok(facts !== null);
  return facts;
}

/** `name native type wire` of every column. */
async function describe(source: PostgresSource, sql: string): Promise<string[]> {
  const { columns } = await source.describe({ kind: "query", sql });
  return columns.map((c) => `${c.name}: ${c.nativeType} -> ${c.type === null ? "none" : formatType(c.type)} ${c.wire}`);
}

testEach("precision and scale come with the result, also of expressions and joins", async (db, source) => {
  await db.run("CREATE TABLE a (n numeric(10,2), m numeric(20,6), v varchar(7), t timestamp(3))");
  assert.deepEqual(
    await describe(
      source,
      "SELECT a.n, b.m AS other, a.n + 1 AS sum, a.n::numeric(38,9) AS cast, a.v, a.t FROM a JOIN a b ON true",
    ),
    [
      "n: numeric(10,2) -> decimal(10,2) numeric",
      "other: numeric(20,6) -> decimal(20,6) numeric",
      "sum: numeric -> string text",
      "cast: numeric(38,9) -> decimal(38,9) numeric",
      "v: character varying(7) -> string text",
      "t: timestamp(3) without time zone -> timestamp_us timestamp",
    ],
  );
});

testEach("domains, enums and arrays of them are seen through", async (db, source) => {
  await db.run(`CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN price AS numeric(9,3) CHECK (value > 0);
    CREATE DOMAIN cents AS price; CREATE DOMAIN moods AS mood[]; CREATE TYPE pair AS (a int, b text);
    CREATE TABLE t (m mood, p price, c cents, ms moods, ma mood[], pa price[], na numeric(5,1)[], q pair, qa pair[], i int[][], nb numeric[])`);
  const { columns } = await source.describe({ kind: "table", schema: null, name: "t" });
  assert.deepEqual(columns.map((c) => `${c.name} ${c.type === null ? "none" : formatType(c.type)} ${c.select}`), [
    'm enum "m"::text',
    'p decimal(9,3) "p"',
    'c decimal(9,3) "c"',
    'ms list<enum> "ms"::text[]',
    'ma list<enum> "ma"::text[]',
    'pa list<decimal(9,3)> "pa"::pg_catalog."numeric"[]',
    'na list<decimal(5,1)> "na"',
    'q string "q"::text',
    'qa list<string> "qa"::text[]',
    'i list<int32> "i"',
    'nb list<string> "nb"::text[]',
  ]);
});

testEach("a column is not null only where a checked constraint says so", async (db, source) => {
  await db.run(`CREATE TABLE t (a int NOT NULL, b int, c int PRIMARY KEY);
    CREATE VIEW v AS SELECT * FROM t; INSERT INTO t VALUES (1, NULL, 1)`);
  if (db.server.major >= 18) {
    await db.run("ALTER TABLE t ADD CONSTRAINT later NOT NULL b NOT VALID; CREATE INDEX ON t (b)");
  }
  const notNull = async (name: string) =>
    (await source.describe({ kind: "table", schema: null, name })).columns.map((c) => c.notNull);
  assert.deepEqual(await notNull("t"), [true, false, true]);
  assert.deepEqual(await notNull("v"), [null, null, null]);
  assert.deepEqual((await source.describe({ kind: "query", sql: "SELECT a FROM t" })).columns[0]!.notNull, null);
  const keys = (await factsOf(source, "t")).keys.filter((key) => key.columns[0] === "b");
  assert.deepEqual(keys.map((key) => key.notNull), db.server.major >= 18 ? [false] : []);
});

testEach("only indexes that can order all rows by plain columns are keys", async (db, source) => {
  await db.run(`CREATE TABLE t (id int, a int NOT NULL, b text, c text COLLATE "C", d jsonb, PRIMARY KEY (id));
    CREATE UNIQUE INDEX z_unique ON t (a, b); CREATE INDEX a_plain ON t (b DESC, a); CREATE INDEX included ON t (a) INCLUDE (b);
    CREATE INDEX partial ON t (a) WHERE a > 0; CREATE INDEX expression ON t (lower(b)); CREATE INDEX hashed ON t USING hash (a);
    CREATE INDEX pattern ON t (b text_pattern_ops); CREATE INDEX collated ON t (b COLLATE "C"); CREATE INDEX own ON t (c);
    CREATE INDEX gin ON t USING gin (d); CREATE INDEX invalid ON t (a);
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'invalid'::regclass`);
  const { keys } = await factsOf(source, "t");
  assert.deepEqual(keys, [
    { name: "t_pkey", columns: ["id"], primary: true, unique: true, notNull: true },
    { name: "z_unique", columns: ["a", "b"], primary: false, unique: true, notNull: false },
    { name: "a_plain", columns: ["b", "a"], primary: false, unique: false, notNull: false },
    { name: "included", columns: ["a"], primary: false, unique: false, notNull: true },
    { name: "own", columns: ["c"], primary: false, unique: false, notNull: false },
  ]);
});

testEach(
  "an estimate of the rows follows the table's size, and is null before the first ANALYZE",
  async (db, source) => {
    await db.run(
      "CREATE TABLE t (id int, pad text) WITH (autovacuum_enabled = off); INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 10000) g",
    );
    assert.equal((await factsOf(source, "t")).rowsEstimate, null);
    await db.run("ANALYZE t");
    assert.equal((await factsOf(source, "t")).rowsEstimate, 10_000);
    await db.run("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 10000) g");
    const facts = await factsOf(source, "t");
    assert.ok(Math.abs(facts.rowsEstimate! - 20_000) < 500, `${facts.rowsEstimate}`);
    assert.ok(facts.avgRowBytes! >= 104 && facts.avgRowBytes! < 180, `${facts.avgRowBytes}`);
    assert.equal(facts.bytes, Number((await db.run("SELECT pg_table_size('t')"))[0]![0]));
    await db.run("CREATE TABLE none (id int)");
    assert.equal((await factsOf(source, "none")).rowsEstimate, 0);
  },
);

testEach("a row's size counts what is stored out of line", async (db, source) => {
  await db.run(`CREATE TABLE t (id int, body text); ALTER TABLE t ALTER body SET STORAGE EXTERNAL;
    INSERT INTO t SELECT g, repeat('x', 20000) FROM generate_series(1, 200) g; ANALYZE t`);
  assert.ok((await factsOf(source, "t")).avgRowBytes! >= 20_000);
});

testEach("tables, partitions, views and the rest are told apart", async (db, source) => {
  await db.run(
    `CREATE TABLE plain (a int); CREATE VIEW v AS SELECT 1 AS a; CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE SEQUENCE s;
    CREATE TABLE parent (a int) PARTITION BY RANGE (a); CREATE TABLE part1 PARTITION OF parent FOR VALUES FROM (0) TO (10);
    CREATE TABLE part2 PARTITION OF parent FOR VALUES FROM (10) TO (2000) PARTITION BY RANGE (a);
    CREATE TABLE leaf PARTITION OF part2 FOR VALUES FROM (10) TO (2000); INSERT INTO parent SELECT generate_series(0, 999);
    CREATE TABLE mother (a int); CREATE TABLE child () INHERITS (mother); INSERT INTO child VALUES (1); ANALYZE`,
  );
  const kinds = ["plain", "v", "m", "s", "parent", "leaf", "mother"];
  const facts: TableFacts[] = [];
  for (const name of kinds) facts.push(await factsOf(source, name));
  assert.deepEqual(facts.map((f) => f.kind), [
    "table",
    "view",
    "table",
    "other",
    "partitioned",
    "table",
    "partitioned",
  ]);
  const [, view, , , parent, , mother] = facts;
  assert.deepEqual([view!.rowsEstimate, view!.bytes, view!.pages], [null, null, null]);
  assert.equal(parent!.rowsEstimate, 1000);
  assert.equal(parent!.pages, null);
  assert.equal(mother!.rowsEstimate, 1);
});

testEach("a table is found as the search path finds it", async (db, source) => {
  await db.run("CREATE SCHEMA other; CREATE TABLE other.t (a int, b int); CREATE TABLE public.t (a int)");
  assert.equal((await factsOf(source, "t")).schema, "public");
  assert.equal((await source.facts({ schema: "other", name: "t" }))!.schema, "other");
  await db.run(`ALTER DATABASE ${db.name} SET search_path = other, public`);
  await using again = await openPostgres(db.connection, limits);
  assert.equal((await factsOf(again, "t")).schema, "other");
  assert.equal((await again.describe({ kind: "table", schema: null, name: "t" })).columns.length, 2);
});
