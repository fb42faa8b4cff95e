// `rivet init` on a real PostgreSQL: what it writes runs unchanged, whatever tables are called and however they are keyed.

import assert from "node:assert/strict";
import { readConfig } from "../../src/config/mod.ts";
import { type ListedColumn, listTables, openSource } from "../../src/source/mod.ts";
import { systemRuntime } from "../../src/runtime.ts";
import type { Discovery } from "../../src/scaffold/mod.ts";
import { runEngine } from "../support/engine.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { openPostgresServer, type TestDatabase, withClient, withDatabase } from "../support/postgres.ts";
import { runProgram } from "../support/program.ts";
import { readThroughAllManifests } from "../support/reader.ts";

const server = await openPostgresServer(18);
const oldest = await openPostgresServer(12);

interface Live {
  readonly db: TestDatabase;
  readonly folder: string;
  readonly env: Record<string, string>;
}

function test(name: string, body: (live: Live) => Promise<void>, on = server): void {
  Deno.test({ name, ignore: on === null }, async () => {
    await using folder = await temporaryFolder();
    await withDatabase(on!, (db) => body({ db, folder: folder.path, env: { DATABASE_URL: toUrl(db) } }));
  });
}

function toUrl({ connection: c }: TestDatabase, user = c.user, password = c.password ?? ""): string {
  return `postgresql://${user}:${encodeURIComponent(password)}@${c.host}:${c.port}/${c.database}`;
}

async function init({ folder, env }: Live, ...args: string[]): Promise<{ path: string; yaml: string; stderr: string }> {
  const path = join(folder, "pilot.yaml");
  const { code, stderr } = await runProgram(["init", "--source-env", "DATABASE_URL", "-o", path, ...args], env);
  assert.equal(code, 0, stderr);
  return { path, yaml: await Deno.readTextFile(path), stderr };
}

async function discover({ env }: Live, ...args: string[]): Promise<Discovery> {
  const { code, stdout, stderr } = await runProgram(
    ["init", "--source-env", "DATABASE_URL", "--discover", ...args],
    env,
  );
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

/** One line an export: name, table or query, mode, key. */
async function readExports(path: string, env: Record<string, string>): Promise<string[]> {
  const { exports } = await readConfig(path, {
    params: {},
    runtime: { ...systemRuntime(), env: (name) => env[name] },
  });
  return exports.map((entry) => {
    const { from, chunked, incremental } = entry;
    const what = from.kind === "table" ? `${from.schema}.${from.name}` : from.text;
    const key = chunked === null
      ? incremental === null ? "" : ` ${incremental.cursorColumn} ${incremental.fallbackColumn ?? "-"}`
      : ` ${chunked.column ?? chunked.byKey?.join("+") ?? "pages"} ${chunked.size} p${entry.parallel}`;
    return `${entry.name}: ${what} ${entry.mode}${key}`;
  });
}

const STRANGE = `
  CREATE SCHEMA shop;
  SET search_path = shop;
  CREATE TABLE orders (id bigint PRIMARY KEY, price numeric(10,2), weight numeric, body jsonb, updated_at timestamptz,
    created_at timestamptz NOT NULL);
  INSERT INTO orders SELECT g, g / 7.0, g / 3.0, '{}', CASE WHEN g % 2 = 0 THEN now() END, now() FROM generate_series(1, 50) g;
  CREATE TABLE big (id int PRIMARY KEY, v text);
  INSERT INTO big SELECT g, 'x' FROM generate_series(1, 120000) g;
  CREATE TABLE sparse (id bigint PRIMARY KEY, v text);
  INSERT INTO sparse SELECT g * 1000::bigint, 'x' FROM generate_series(1, 110000) g;
  CREATE TABLE half_sparse (id bigint PRIMARY KEY, v text);
  INSERT INTO half_sparse SELECT g * 2::bigint, 'x' FROM generate_series(1, 110000) g;
  CREATE TABLE pair (a int, b text, v int, PRIMARY KEY (a, b));
  INSERT INTO pair SELECT g / 3, g::text, g FROM generate_series(1, 110000) g;
  CREATE TABLE by_uuid (id uuid PRIMARY KEY, updated_at timestamp NOT NULL);
  INSERT INTO by_uuid SELECT md5(g::text)::uuid, now() FROM generate_series(1, 110000) g;
  CREATE TABLE keyless (v int, w text);
  INSERT INTO keyless SELECT g, 'x' FROM generate_series(1, 110000) g;
  CREATE TABLE "select" (id int PRIMARY KEY, "from" text);
  INSERT INTO "select" VALUES (1, 'x');
  CREATE TABLE "Mixed" ("Id" int PRIMARY KEY, "UpdatedAt" timestamptz NOT NULL);
  INSERT INTO "Mixed" VALUES (1, now());
  CREATE TABLE "we""ird.name \${HOME}" (id int PRIMARY KEY, "a ""b" text);
  INSERT INTO "we""ird.name \${HOME}" VALUES (1, 'x');
  CREATE TABLE "we/ird.name \${HOME}" (id int PRIMARY KEY);
  CREATE TABLE "заказы" (id int PRIMARY KEY);
  INSERT INTO "заказы" VALUES (1);
  CREATE VIEW latest AS SELECT id, price FROM orders;
  CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders;
  CREATE TABLE events (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
  CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
  INSERT INTO events SELECT g, '2024-01-15'::date + g % 30 FROM generate_series(1, 40) g;
  CREATE TABLE clicks (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE clicks_1 PARTITION OF clicks FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
  CREATE TABLE clicks_2 PARTITION OF clicks FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
  INSERT INTO clicks SELECT g, '2024-01-15'::date + g % 30 FROM generate_series(1, 110000) g;
  CREATE TABLE wide (${Array.from({ length: 200 }, (_, i) => `c${i} ${i % 3 === 0 ? "text" : "int"}`).join(", ")});
  INSERT INTO wide (c0) VALUES ('x');
  CREATE TABLE tmp_load (a int); CREATE TABLE orders_backup_20240101 (a int); CREATE TABLE test_orders (a int);
  CREATE TABLE has_meta (id int PRIMARY KEY, "_RIVET_exported_at" int);
  INSERT INTO has_meta VALUES (1, 2);
  CREATE TABLE nothing ();
  CREATE TABLE empty (id int PRIMARY KEY);
  ANALYZE`;

/** Rows of every export's table. */
const ROWS: Readonly<Record<string, number>> = {
  Mixed: 1,
  big: 120_000,
  by_uuid: 110_000,
  clicks: 110_000,
  empty: 0,
  events: 40,
  half_sparse: 110_000,
  has_meta: 1,
  keyless: 110_000,
  latest: 50,
  orders: 50,
  pair: 110_000,
  select: 1,
  sparse: 110_000,
  totals: 1,
  "we_ird.name_HOME_": 1,
  "we_ird.name_HOME__2": 0,
  wide: 1,
  заказы: 1,
};

test("a schema full of strange tables becomes a config that runs unchanged", async (live) => {
  await live.db.run(STRANGE);
  const { path, yaml, stderr } = await init(live, "--schema", "shop");
  assert.deepEqual(await readExports(path, live.env), [
    "Mixed: shop.Mixed incremental UpdatedAt -",
    "big: shop.big chunked id 100000 p1",
    "by_uuid: shop.by_uuid chunked id 100000 p1",
    "clicks: shop.clicks chunked id+at 100000 p1",
    "empty: shop.empty full",
    "events: shop.events full",
    "half_sparse: shop.half_sparse chunked id 200000 p1",
    "has_meta: shop.has_meta full",
    "keyless: shop.keyless chunked pages 100000 p1",
    "latest: shop.latest full",
    "orders: shop.orders incremental updated_at created_at",
    "pair: shop.pair chunked a+b 100000 p1",
    "select: shop.select full",
    "sparse: shop.sparse chunked id 100000 p1",
    "totals: shop.totals full",
    'we_ird.name_HOME_: SELECT * FROM "shop"."we""ird.name ${HOME}" full',
    'we_ird.name_HOME__2: SELECT * FROM "shop"."we/ird.name ${HOME}" full',
    "wide: shop.wide full",
    'заказы: SELECT * FROM "shop"."заказы" full',
  ]);
  assert.match(yaml, /# {3}weight: decimal\(38,18\) # numeric\n/);
  assert.doesNotMatch(yaml, /price/);
  assert.match(yaml, /only 1 % of the key range of 'id' is used/);
  assert.match(yaml, /- clicks_1, clicks_2: its rows are read through table 'clicks'/);
  assert.match(yaml, /- tmp_load: its name looks like a temporary table/);
  assert.match(yaml, /- nothing: it has no columns/);
  assert.match(stderr, /left out: /);
  assert.ok(!yaml.includes(live.env.DATABASE_URL!) && !yaml.includes("it's a test"));
  const result = await runEngine({ configPath: path, env: live.env });
  assert.deepEqual(result.per_export.filter((entry) => entry.status !== "success"), []);
  assert.deepEqual(Object.fromEntries(result.per_export.map((entry) => [entry.export_name, entry.rows])), ROWS);
  // Looking back for late commits exports nothing twice.
  const { path: orders } = await init(live, "--table", "shop.orders", "--force");
  const again = await runEngine({ configPath: orders, env: live.env });
  assert.deepEqual(again.per_export.map((entry) => `${entry.export_name} ${entry.status} ${entry.rows}`), [
    "orders success 0",
  ]);
  for (const [name, rows] of Object.entries(ROWS)) {
    if (rows > 1000) continue;
    const found = await readThroughAllManifests(join(live.folder, "output", name));
    assert.equal(found.length, rows, name);
  }
});

test("discovery ranks cursors and keys, and the walkthrough's question finds its answers in it", async (live) => {
  await live.db.run(STRANGE);
  const found = await discover(live, "--schema", "shop");
  assert.equal(found.scope, "schema shop");
  const answers = Object.fromEntries(
    found.tables.map((t) => [t.table, [
      t.suggested_mode,
      t.cursor_candidates[0]?.column ?? null,
      t.suggested_cursor_fallback_column ?? null,
      t.chunk_key?.join("+") ?? null,
      t.key_density ?? null,
    ]]),
  );
  assert.deepEqual(answers.orders, ["incremental", "updated_at", "created_at", null, null]);
  assert.deepEqual(answers.sparse, ["chunked", "id", null, "id", 0.001]);
  assert.deepEqual(answers.pair, ["chunked", null, null, "a+b", null]);
  assert.deepEqual(answers.events, ["full", null, null, null, null]);
  const orders = found.tables.find((t) => t.table === "orders")!;
  assert.deepEqual(orders.cursor_candidates.map((c) => `${c.column} ${c.reasons.join(" ")}`), [
    "updated_at name_suggests_updated timestamp_type nullable",
    "created_at name_suggests_created timestamp_type",
    "id integer_monotonic primary_key",
  ]);
  assert.deepEqual(orders.notes, [
    "'weight' is a decimal without declared digits and is written as text: say decimal(p,s) under `columns:`.",
  ]);
  assert.ok(found.left_out.some((one) => one.table === "tmp_load"));
});

test("a schema of 500 tables is listed by a handful of questions, and every table is there", async (live) => {
  const tables = Array.from(
    { length: 500 },
    (_, i) =>
      `CREATE TABLE t${i} (id ${i % 2 === 0 ? "int" : "uuid"} PRIMARY KEY, v numeric(${1 + i % 38}, ${i % 2}),
        updated_at timestamptz)`,
  );
  await live.db.run(
    `${tables.join(";")}; INSERT INTO t0 (id) SELECT g FROM generate_series(1, 200000) g;
    INSERT INTO t2 (id, updated_at) SELECT g * 2, now() FROM generate_series(1, 200000) g; ANALYZE t0; ANALYZE t2`,
  );
  await live.db.run(`ALTER DATABASE ${live.db.name} SET log_statement = 'all'`);
  const before = (await Deno.readTextFile(server!.log)).length;
  const { path } = await init(live);
  const log = (await Deno.readTextFile(server!.log)).slice(before);
  const lines = await readExports(path, live.env);
  assert.deepEqual(
    lines.sort(),
    Array.from({ length: 500 }, (_, i) => {
      const how = i === 0 ? "chunked id 100000 p1" : i === 2 ? "chunked id 200000 p1" : "incremental updated_at -";
      return `t${i}: public.t${i} ${how}`;
    }).sort(),
  );
  const asked = log.split("BEGIN TRANSACTION").length - 1;
  assert.ok(asked > 0 && asked < 25, `${asked} transactions for 500 tables`);
});

test("what the user may not read is left out and said; a schema without rights is a clear error", async (live) => {
  await live.db.run(`CREATE TABLE open (id int PRIMARY KEY); CREATE TABLE closed (id int PRIMARY KEY);
    CREATE TABLE only_id (id int PRIMARY KEY, secret text); CREATE SCHEMA hidden; CREATE TABLE hidden.t (id int);
    CREATE TABLE own (id int PRIMARY KEY); ALTER TABLE own ENABLE ROW LEVEL SECURITY;
    CREATE ROLE reader_${live.db.name} LOGIN PASSWORD 'reader'; GRANT SELECT ON open, own TO reader_${live.db.name};
    GRANT SELECT (id) ON only_id TO reader_${live.db.name}`);
  const env = { DATABASE_URL: toUrl(live.db, `reader_${live.db.name}`, "reader") };
  try {
    const { path, yaml } = await init({ ...live, env });
    assert.deepEqual(await readExports(path, env), ["open: public.open full", "own: public.own full"]);
    assert.match(yaml, /row-level security is active: the export holds the rows that this user may see/);
    assert.match(yaml, /^# - closed, only_id: no right to SELECT all of its columns$/m);
    const hidden = await runProgram(["init", "--source-env", "DATABASE_URL", "--schema", "hidden"], env);
    assert.equal(hidden.code, 1);
    assert.match(hidden.stderr, /RIVET_INIT_NO_TABLES.*'t' because no right to SELECT/s);
    assert.match(hidden.stderr, /Grant SELECT/);
    const one = await runProgram(["init", "--source-env", "DATABASE_URL", "--table", "closed"], env);
    assert.match(one.stderr, /RIVET_INIT_TABLE_NOT_FOUND.*no right to SELECT/s);
  } finally {
    await live.db.run(`DROP OWNED BY reader_${live.db.name}; DROP ROLE reader_${live.db.name}`);
  }
});

test("an empty schema, a missing one and a missing table say what there is instead", async (live) => {
  await live.db.run(
    `CREATE SCHEMA bare; CREATE SCHEMA shop; CREATE TABLE shop.orders (id int); CREATE TABLE "Items" (id int)`,
  );
  const fail = async (...args: string[]) => {
    const { code, stderr } = await runProgram(["init", "--source-env", "DATABASE_URL", ...args], live.env);
    assert.equal(code, 1, stderr);
    return stderr;
  };
  assert.match(
    await fail("--schema", "bare"),
    /RIVET_INIT_NO_TABLES\].*'bare' has no tables.*Other schemas: public, shop/s,
  );
  assert.match(await fail("--schema", "nope"), /RIVET_INIT_NO_TABLES\] There is no schema 'nope'/);
  assert.match(await fail("--table", "orders"), /RIVET_INIT_TABLE_NOT_FOUND.*SCHEMA\.NAME.*shop/s);
  assert.match(await fail("--table", "items"), /Did you mean 'Items'/);
  assert.match(await fail("--include", "x*"), /None of the 1 tables/);
  const { path } = await init(live, "--table", "shop.orders");
  assert.deepEqual(await readExports(path, live.env), ["orders: shop.orders full"]);
});

test("tables that were never analysed are sized by their keys and bytes, and a locked one does not stop the rest", async (live) => {
  await live.db.run(`CREATE TABLE fresh (id int PRIMARY KEY, v text) WITH (autovacuum_enabled = off);
    INSERT INTO fresh SELECT g, 'x' FROM generate_series(1, 150000) g;
    CREATE TABLE raw (v text) WITH (autovacuum_enabled = off); INSERT INTO raw SELECT 'x' FROM generate_series(1, 150000);
    CREATE TABLE small (id int PRIMARY KEY)`);
  const before = await discover(live);
  const modes = (found: Discovery) => found.tables.map((t) => `${t.table} ${t.suggested_mode} ${t.row_source}`);
  assert.deepEqual(modes(before), ["fresh chunked key_span", "raw chunked bytes", "small full catalog"]);
  await withClient(live.db.connection, async (client) => {
    await client.query("BEGIN; LOCK TABLE fresh IN ACCESS EXCLUSIVE MODE");
    assert.deepEqual(modes(await discover(live)), ["fresh full null", "raw chunked bytes", "small full catalog"]);
    await client.query("ROLLBACK");
  });
});

test("the password of a URL on the command line becomes a variable, and nothing secret is left anywhere", async (live) => {
  await live.db.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
  const path = join(live.folder, "pilot.yaml");
  const { code, stderr } = await runProgram(["init", "--source", toUrl(live.db), "-o", path]);
  assert.equal(code, 0, stderr);
  const yaml = await Deno.readTextFile(path);
  assert.match(yaml, / {2}password_env: PGPASSWORD #/);
  for (const text of [yaml, stderr]) assert.ok(!text.includes("a%20test") && !text.includes("a test"));
  const result = await runEngine({ configPath: path, env: { PGPASSWORD: live.db.connection.password! } });
  assert.deepEqual(result.per_export.map((entry) => entry.rows), [1]);
});

test("--mode asks for one mode; a table that cannot have it keeps its own and says so", async (live) => {
  await live.db.run(`CREATE TABLE stamped (id int PRIMARY KEY, created_at timestamptz NOT NULL, expires_at timestamptz);
    CREATE TABLE numbered (id int PRIMARY KEY, v text); CREATE TABLE plain (v text);
    CREATE TABLE odd_key ("a ""b: #\${c}" int PRIMARY KEY, v text); INSERT INTO odd_key VALUES (1), (250000);
    INSERT INTO stamped VALUES (1, now()); INSERT INTO numbered VALUES (1); INSERT INTO plain VALUES ('x')`);
  const modes = async (mode: string) => {
    const { path, yaml } = await init({ ...live, folder: join(live.folder, mode) }, "--mode", mode);
    const result = await runEngine({ configPath: path, env: live.env });
    assert.equal(result.failed_count, 0, JSON.stringify(result.per_export));
    return { lines: await readExports(path, live.env), yaml };
  };
  const incremental = await modes("incremental");
  assert.deepEqual(incremental.lines, [
    "numbered: public.numbered incremental id -",
    'odd_key: public.odd_key incremental a "b: #${c} -',
    "plain: public.plain full",
    "stamped: public.stamped incremental created_at -",
  ]);
  assert.match(incremental.yaml, /`mode: incremental` was asked for, but it has no column that grows/);
  assert.deepEqual((await modes("chunked")).lines, [
    "numbered: public.numbered chunked id 100000 p1",
    'odd_key: public.odd_key chunked a "b: #${c} 100000 p1',
    "plain: public.plain chunked pages 100000 p1",
    "stamped: public.stamped chunked id 100000 p1",
  ]);
  assert.deepEqual((await modes("time_window")).lines, [
    "numbered: public.numbered full",
    "odd_key: public.odd_key full",
    "plain: public.plain full",
    "stamped: public.stamped time_window",
  ]);
  assert.deepEqual((await modes("full")).lines.map((line) => line.split(" ").at(-1)), ["full", "full", "full", "full"]);
});

for (const one of [server, oldest]) {
  const name = `the listing tells what a description and the facts tell (PostgreSQL ${one?.major ?? "absent"})`;
  test(name, compareListing, one);
}

async function compareListing(live: Live): Promise<void> {
  await live.db.run(
    `${STRANGE}; CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN cents AS numeric(9,2); CREATE DOMAIN bare AS numeric;
    CREATE TABLE typed (m mood, c cents, b bare, a numeric[], t timestamp(3), u uuid[], i interval, x xml, n numeric(5,2) NOT NULL);
    CREATE UNIQUE INDEX ON typed (t, n DESC); CREATE INDEX ON typed ((n + 1)); CREATE UNIQUE INDEX ON typed (n) WHERE c > 0`,
  );
  await using source = await openSource({ engine: "postgres", ...live.db.connection }, {
    statementTimeoutS: 60,
    lockTimeoutS: 5,
    connectTimeoutMs: 30_000,
  });
  const { tables } = await listTables(source, "shop");
  assert.ok(tables.length > 20);
  for (const table of tables) {
    const { columns, isReadable: _r, partOf: _p, notes: _n, ...facts } = table;
    const shape = await source.describe({ kind: "table", schema: "shop", name: table.name });
    const short = (list: readonly ListedColumn[] | typeof shape.columns) =>
      // A result column no longer knows the domain it was declared with.
      list.map(({ name, nativeType, type, warnings }) => ({
        name,
        nativeType: name === "b" || name === "c" ? "" : nativeType,
        type,
        warnings,
      }));
    assert.deepEqual(short(columns), short(shape.columns), table.name);
    assert.deepEqual(facts, await source.facts({ schema: "shop", name: table.name }));
  }
  const typed = tables.find((table) => table.name === "typed")!;
  assert.deepEqual(typed.columns.filter((column) => column.isOpenDecimal).map((column) => column.name), ["b"]);
}
