// Reading from real servers: bounds on statements and locks, aborts, lost connections, shared pictures, odd tables.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import type { ReadOptions, ServerConnection, SessionLimits } from "../../src/source/mod.ts";
import { openPostgres, type PostgresSource } from "../../src/source/postgres/mod.ts";
import { CERTS } from "../support/certs.ts";
import { openPgSink, type PgSink } from "../support/pg_sink.ts";
import {
  openPostgresServer,
  type PostgresServer,
  type TestDatabase,
  withClient,
  withDatabase,
} from "../support/postgres.ts";

const servers = [await openPostgresServer(18), await openPostgresServer(12)];
const modern = servers[0]!;
const ignore = servers[0] === null;

const limits: SessionLimits = { statementTimeoutS: 60, lockTimeoutS: 10, connectTimeoutMs: 30_000 };
const never = new AbortController().signal;
const options: ReadOptions = { batchRows: 10_000, batchBytes: 32 << 20, throttleMs: 0, signal: never };

async function errorOf(work: () => Promise<unknown>): Promise<RivetError> {
  const error = await work().then(() => null, (e) => e);
  assert.ok(error instanceof RivetError, `${error}`);
  return error;
}

function testEach(name: string, body: (db: TestDatabase) => Promise<void>): void {
  for (const server of servers) {
    const label = `${name} (PostgreSQL ${server?.major ?? "absent"})`;
    Deno.test({ name: label, ignore: server === null }, () => withDatabase(server!, body));
  }
}

async function readTexts(source: PostgresSource, sql: string): Promise<(string | null)[][]> {
  const sink = openPgSink({ keep: true });
  const report = await source.read(sql, sink, options);
  assert.equal(report.rows, sink.rows);
  const decoder = new TextDecoder();
  return sink.values.map((row) => row.map((value) => value === null ? null : decoder.decode(value)));
}

const MANY = "SELECT g::text, repeat('x', 500) FROM generate_series(1, 400000) g";

testEach("every row arrives once, whatever the size of a batch", async (db) => {
  await db.run("CREATE TABLE t AS SELECT g AS id, repeat('y', g % 300) AS pad FROM generate_series(1, 3000) g");
  await using source = await openPostgres(db.connection, limits);
  const expected = await db.run("SELECT count(*), sum(id) FROM t");
  for (const batchRows of [1, 7, 64, 65, 1000, 2999, 3000, 3001, 1_000_000]) {
    for (const batchBytes of [1, 1000, 1 << 30]) {
      const sink = openPgSink({ keep: true });
      const report = await source.read("SELECT id, pad FROM t", sink, { ...options, batchRows, batchBytes });
      const ids = sink.values.map(([id]) => new DataView(id!.buffer, id!.byteOffset).getInt32(0));
      const seen = [[String(ids.length), String(ids.reduce((sum, id) => sum + id, 0))]];
      assert.deepEqual(seen, expected, `batchRows ${batchRows}, batchBytes ${batchBytes}`);
      assert.equal(report.rows, ids.length);
      assert.equal(report.bytesRead, sink.bytes);
    }
  }
});

/** What each FETCH was asked for, in order. */
async function fetchesOf(source: PostgresSource, sql: string): Promise<{ rows: number; bytes: number }> {
  const sink = openPgSink();
  const report = await source.read(sql, sink, options);
  return { rows: report.rows / report.statements, bytes: report.bytesRead / report.statements };
}

testEach("a statement brings no more than about half a megabyte, however wide the rows are", async (db) => {
  await db.run(`CREATE TABLE wide (pad text); ALTER TABLE wide ALTER pad SET STORAGE EXTERNAL;
    INSERT INTO wide SELECT repeat('z', 1000000) FROM generate_series(1, 100)`);
  await using source = await openPostgres(db.connection, limits);
  assert.ok((await fetchesOf(source, "SELECT pad FROM wide")).rows <= 2);
  const narrow = await fetchesOf(source, "SELECT repeat('n', 200) FROM generate_series(1, 200000)");
  assert.ok(narrow.rows > 64 && narrow.bytes < 700_000, `${narrow.rows} rows, ${narrow.bytes} bytes`);
});

testEach("a table without rows, without columns, and a statement without columns are read", async (db) => {
  await db.run("CREATE TABLE empty (a int, b text); CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES");
  await using source = await openPostgres(db.connection, limits);
  assert.deepEqual(await readTexts(source, "SELECT a, b FROM empty"), []);
  assert.deepEqual(await readTexts(source, "SELECT FROM bare"), [[]]);
  assert.equal((await source.describe({ kind: "table", schema: null, name: "empty" })).columns.length, 2);
  assert.deepEqual(await source.describe({ kind: "table", schema: null, name: "bare" }), { columns: [] });
  assert.deepEqual(await source.describe({ kind: "query", sql: "SELECT FROM bare -- no columns" }), { columns: [] });
});

testEach("three hundred columns arrive in order", async (db) => {
  const columns = Array.from({ length: 300 }, (_, i) => `c${i} int`);
  await db.run(`CREATE TABLE t (${columns.join(", ")}); INSERT INTO t VALUES (${columns.map((_, i) => i).join(", ")})`);
  await using source = await openPostgres(db.connection, limits);
  const shape = await source.describe({ kind: "table", schema: null, name: "t" });
  assert.deepEqual(shape.columns.map((c) => c.name), columns.map((_, i) => `c${i}`));
  const sink = openPgSink({ keep: true });
  await source.read(`SELECT ${shape.columns.map((c) => c.select).join(", ")} FROM t`, sink, options);
  assert.deepEqual(
    sink.values[0]!.map((v) => new DataView(v!.buffer, v!.byteOffset).getInt32(0)),
    columns.map((_, i) => i),
  );
});

testEach("names in any spelling are found and read", async (db) => {
  const names = [
    'Mixed Case"quote',
    "tab\tand\nnewline",
    "ünïcode 表 🚀",
    "select",
    "a.b",
    "%s; DROP TABLE x --",
    "\\back'slash",
  ];
  await using source = await openPostgres(db.connection, limits);
  const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
  for (const name of names) {
    const schema = quote(`${name} schema`.slice(0, 40));
    await db.run(
      `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.${quote(name)} (${quote(name)} text NOT NULL, PRIMARY KEY (${
        quote(name)
      }));
      INSERT INTO ${schema}.${quote(name)} VALUES ('v')`,
    );
    const table = { schema: `${name} schema`.slice(0, 40), name };
    const [column] = (await source.describe({ kind: "table", ...table })).columns;
    assert.equal(column!.name, name);
    assert.equal(column!.notNull, true);
    assert.deepEqual(await readTexts(source, `SELECT ${column!.select} FROM ${schema}.${quote(name)}`), [["v"]]);
    const facts = await source.facts(table);
    assert.equal(facts!.name, name);
    assert.deepEqual(facts!.keys.map((key) => key.columns), [[name]]);
  }
});

testEach("a query is described and read whatever it ends with", async (db) => {
  await using source = await openPostgres(db.connection, limits);
  const queries = [
    "SELECT 1 AS a -- comment",
    "TABLE pg_am",
    "VALUES (1, 'x')",
    "WITH w AS (SELECT 2 AS b) SELECT * FROM w /* c */",
  ];
  for (const sql of queries) {
    const shape = await source.describe({ kind: "query", sql });
    const rows = await readTexts(source, `SELECT * FROM (${sql}\n) AS _rivet`);
    assert.ok(rows.length > 0 && rows[0]!.length === shape.columns.length, sql);
  }
});

testEach("a missing table, a bad statement and a forbidden table are told apart", async (db) => {
  await db.run("CREATE TABLE secret (a int)");
  await using source = await openPostgres(db.connection, limits);
  const missing = await errorOf(() => source.describe({ kind: "table", schema: null, name: "nowhere" }));
  assert.equal(missing.code, "RIVET_SOURCE_TABLE_NOT_FOUND");
  for (const sql of ["SELEC 1", "SELECT 1/0", "SELECT nothing", "DELETE FROM secret"]) {
    const error = await errorOf(() => source.read(sql, openPgSink(), options));
    assert.equal(error.code, "RIVET_SOURCE_QUERY_FAILED", sql);
    assert.equal(error.retry, "never", sql);
  }
  assert.equal(
    (await errorOf(() => source.read("SELECT * FROM nowhere", openPgSink(), options))).code,
    "RIVET_SOURCE_TABLE_NOT_FOUND",
  );
  assert.equal(await source.facts({ schema: null, name: "nowhere" }), null);
  assert.equal(await source.facts({ schema: "no_schema", name: "nowhere" }), null);
  // A refusal leaves the connection in order.
  assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
});

testEach("nothing can be written through a source", async (db) => {
  await db.run(
    "CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING a'",
  );
  await using source = await openPostgres(db.connection, limits);
  for (const sql of ["INSERT INTO t VALUES (1)", "SELECT f()", "SELECT nextval('s')", "CREATE TABLE u (a int)"]) {
    await errorOf(() => source.rows(sql));
    await errorOf(() => source.read(sql, openPgSink(), options));
  }
  assert.deepEqual(await db.run("SELECT count(*) FROM t"), [["0"]]);
});

testEach("an error in the middle of the rows is the server's own and leaves the connection in order", async (db) => {
  await using source = await openPostgres(db.connection, limits);
  const sink = openPgSink();
  const error = await errorOf(() =>
    source.read("SELECT 1000 / (50000 - g), repeat('x', 100) FROM generate_series(1, 100000) g", sink, options)
  );
  assert.equal(error.code, "RIVET_SOURCE_QUERY_FAILED");
  assert.match(error.message, /22012/);
  assert.ok(sink.rows > 0);
  assert.deepEqual(await source.rows("SELECT 2"), [["2"]]);
  assert.equal((await readTexts(source, "SELECT 'again'")).length, 1);
});

testEach("a statement that runs too long is stopped by the server", async (db) => {
  await using source = await openPostgres(db.connection, { ...limits, statementTimeoutS: 1 });
  for (
    const work of [
      () => source.read("SELECT pg_sleep(30)::text", openPgSink(), options),
      () => source.rows("SELECT pg_sleep(30)"),
    ]
  ) {
    const error = await errorOf(work);
    assert.equal(error.code, "RIVET_SOURCE_STATEMENT_TIMEOUT");
    assert.equal(error.retry, "never");
  }
  assert.deepEqual(await source.rows("SELECT current_setting('statement_timeout')"), [["1s"]]);
});

testEach("a slow sink does not run into the statement timeout", async (db) => {
  // All the waits together are longer than a statement may take, each is much shorter.
  await using source = await openPostgres(db.connection, { ...limits, statementTimeoutS: 4 });
  let waits = 0;
  const sink = openPgSink({
    onWrote: (s) =>
      s.rows > 40_000 * waits && waits < 9 ? (waits++, new Promise((done) => setTimeout(done, 500))) : undefined,
  });
  const report = await source.read(MANY, sink, options);
  assert.equal(report.rows, 400_000);
  assert.equal(waits, 9);
});

testEach("a lock that is not granted in time may be waited for again", async (db) => {
  await db.run("CREATE TABLE t (a int)");
  await using source = await openPostgres(db.connection, { ...limits, lockTimeoutS: 1 });
  await withClient(db.connection, async (client) => {
    await client.query("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    const error = await errorOf(() => source.read("SELECT a FROM t", openPgSink(), options));
    assert.equal(error.code, "RIVET_SOURCE_QUERY_FAILED");
    assert.equal(error.retry, "same_connection");
    await client.query("COMMIT");
  });
  assert.deepEqual(await readTexts(source, "SELECT a FROM t"), []);
});

async function statementsRunning(db: TestDatabase): Promise<number> {
  const [row] = await db.run(
    `SELECT count(*) FROM pg_stat_activity WHERE datname = '${db.name}' AND application_name = 'rivet' AND state <> 'idle'`,
  );
  return Number(row![0]);
}

/** Sessions that stand in `pg_sleep`. */
async function sleeping(db: TestDatabase): Promise<number> {
  const [row] = await db.run(
    `SELECT count(*) FROM pg_stat_activity WHERE datname = '${db.name}' AND wait_event = 'PgSleep'`,
  );
  return Number(row![0]);
}

async function untilQuiet(db: TestDatabase): Promise<void> {
  for (let tries = 0; await statementsRunning(db) > 0; tries++) {
    assert.ok(tries < 600, "the server still runs a statement");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const TLS_KINDS: ServerConnection["tls"][] = [
  null,
  { mode: "require", ca: null, acceptInvalidHostnames: false },
  { mode: "verify-full", ca: CERTS.ca, acceptInvalidHostnames: false },
];

for (const tls of TLS_KINDS) {
  const over = tls?.mode ?? "plaintext";
  const test = (name: string, body: (db: TestDatabase, source: PostgresSource) => Promise<void>) =>
    Deno.test({ name: `${name} (${over})`, ignore }, () =>
      withDatabase(modern as PostgresServer, async (db) => {
        await using source = await openPostgres({ ...db.connection, host: "localhost", tls }, limits);
        await body(db, source);
      }));

  test("an abort while the server thinks stops the statement there", async (db, source) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const reading = source.read("SELECT pg_sleep(600)::text", openPgSink(), { ...options, signal: controller.signal });
    const isThinking = async () => (await sleeping(db)) > 0;
    for (let tries = 0; !await isThinking(); tries++) {
      assert.ok(tries < 600, "the statement never began");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    controller.abort(reason);
    await assert.rejects(reading, (error) => error === reason);
    await untilQuiet(db);
    const after = await errorOf(() => source.rows("SELECT 1"));
    assert.equal(after.code, "RIVET_SOURCE_CONNECTION_LOST");
    assert.equal(after.retry, "reconnect");
  });

  test("an abort between rows stops the statement there", async (db, source) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const sink = openPgSink({ onWrote: (s) => s.rows > 50_000 ? controller.abort(reason) : undefined });
    await assert.rejects(
      source.read(MANY, sink, { ...options, signal: controller.signal }),
      (error) => error === reason,
    );
    await untilQuiet(db);
  });

  test("an abort ends a read whose sink never asks for more", async (db, source) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const sink = openPgSink({ onWrote: (s) => s.rows > 50_000 ? new Promise(() => {}) : undefined });
    setTimeout(() => controller.abort(reason), 300);
    await assert.rejects(
      source.read(MANY, sink, { ...options, signal: controller.signal }),
      (error) => error === reason,
    );
    await untilQuiet(db);
  });

  test("what a sink throws is what the reader gets, and the server stops", async (db, source) => {
    const reason = new Error("disk full");
    const refuse = (s: PgSink) => {
      if (s.rows > 50_000) throw reason;
    };
    await assert.rejects(source.read(MANY, openPgSink({ onWrote: refuse }), options), (error) => error === reason);
    await untilQuiet(db);
  });

  test("a backend that is ended in the middle may be connected to again", async (db, source) => {
    let ended = false;
    const end = async (s: PgSink) => {
      if (ended || s.rows < 50_000) return;
      ended = true;
      await db.run(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${db.name}' AND application_name = 'rivet'`,
      );
    };
    const error = await errorOf(() => source.read(MANY, openPgSink({ onWrote: end }), options));
    assert.equal(error.code, "RIVET_SOURCE_CONNECTION_LOST");
    assert.equal(error.retry, "reconnect");
    const after = await errorOf(() => source.begin(null));
    assert.equal(after.code, "RIVET_SOURCE_CONNECTION_LOST");
  });

  test("a backend that is ended while nobody asks is found by the next question", async (db, source) => {
    await source.begin(null);
    await db.run(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${db.name}' AND application_name = 'rivet'`,
    );
    const error = await errorOf(() => source.read("SELECT 1", openPgSink(), options));
    assert.equal(error.code, "RIVET_SOURCE_CONNECTION_LOST");
    assert.equal(error.retry, "reconnect");
    await source.end();
  });
}

testEach("connections that join a picture see what its owner sees", async (db) => {
  await db.run("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 10) g");
  await using owner = await openPostgres(db.connection, limits);
  await using guest = await openPostgres(db.connection, limits);
  const token = await owner.begin(null);
  assert.notEqual(token, null);
  await db.run("INSERT INTO t VALUES (11); DELETE FROM t WHERE id < 3");
  assert.equal(await guest.begin(token), token);
  for (const source of [owner, guest]) {
    assert.equal((await readTexts(source, "SELECT id::text FROM t")).length, 10);
    // A second read sees the same picture.
    assert.equal((await readTexts(source, "SELECT id::text FROM t")).length, 10);
    assert.deepEqual(await source.rows("SELECT count(*) FROM t"), [["10"]]);
  }
  await owner.end();
  assert.equal((await readTexts(guest, "SELECT id::text FROM t")).length, 10);
  await guest.end();
  for (const source of [owner, guest]) {
    await source.begin(null);
    assert.equal((await readTexts(source, "SELECT id::text FROM t")).length, 9);
  }
});

testEach("a picture whose owner has gone cannot be joined", async (db) => {
  await using guest = await openPostgres(db.connection, limits);
  const owner = await openPostgres(db.connection, limits);
  const token = await owner.begin(null);
  await owner[Symbol.asyncDispose]();
  await untilQuiet(db);
  assert.equal((await errorOf(() => guest.begin(token))).code, "RIVET_SOURCE_QUERY_FAILED");
  assert.equal((await errorOf(() => guest.begin("not a token"))).code, "RIVET_SOURCE_QUERY_FAILED");
  assert.deepEqual(await guest.rows("SELECT 1"), [["1"]]);
});

testEach("a refused statement in a picture is over once the picture ends", async (db) => {
  await using source = await openPostgres(db.connection, limits);
  await source.begin(null);
  await errorOf(() => source.read("SELECT 1/0", openPgSink(), options));
  await source.end();
  await source.begin(null);
  assert.equal((await readTexts(source, "SELECT 'x'")).length, 1);
});

testEach("no setting outlives its transaction", async (db) => {
  await db.run(
    `ALTER DATABASE ${db.name} SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE ${db.name} SET IntervalStyle = 'postgres_verbose';
    ALTER DATABASE ${db.name} SET DateStyle = 'German'; ALTER DATABASE ${db.name} SET extra_float_digits = -5`,
  );
  await using source = await openPostgres(db.connection, { ...limits, statementTimeoutS: 7, lockTimeoutS: 3 });
  const names = ["TimeZone", "IntervalStyle", "DateStyle", "extra_float_digits", "statement_timeout", "lock_timeout"];
  const inside = `SELECT ${names.map((name) => `current_setting('${name}')`).join(", ")}`;
  const expected = ["UTC", "iso_8601", "ISO, YMD", "3", "7s", "3s"];
  assert.deepEqual(await source.rows(inside), [expected]);
  assert.deepEqual(await readTexts(source, inside), [expected]);
  await source.begin(null);
  assert.deepEqual(await source.rows(inside), [expected]);
  await source.end();
  const [row] = await db.run(
    `SELECT count(*) FROM pg_stat_activity WHERE datname = '${db.name}' AND application_name = 'rivet' AND xact_start IS NOT NULL`,
  );
  assert.deepEqual(row, ["0"]);
  // What a pooler would hand to the next client.
  const outside = await (await import("../../src/source/postgres/connect.ts")).openSession(db.connection, limits);
  try {
    const [result] = await outside.query("SELECT current_setting('TimeZone')");
    assert.deepEqual(result!.rows, [["Asia/Tokyo"]]);
  } finally {
    await outside[Symbol.asyncDispose]();
  }
});

testEach("ranges of pages hold every row exactly once", async (db) => {
  await db.run(`CREATE TABLE t AS SELECT g AS id, repeat('p', 300) AS pad FROM generate_series(1, 20000) g;
    DELETE FROM t WHERE id % 3 = 0; ANALYZE t`);
  await using source = await openPostgres(db.connection, limits);
  const facts = await source.facts({ schema: null, name: "t" });
  const pages = Number((await db.run("SELECT pg_relation_size('t') / 8192"))[0]![0]);
  assert.equal(facts!.pages, db.server.major >= 14 ? pages : null);
  const cuts = [0, 1, Math.floor(pages / 3), Math.floor(pages / 2), pages];
  const ids: string[] = [];
  for (const [i, from] of cuts.entries()) {
    const to = cuts[i + 1];
    const where = `ctid >= '(${from},0)'::tid${to === undefined ? "" : ` AND ctid < '(${to},0)'::tid`}`;
    for (const [id] of await readTexts(source, `SELECT id::text FROM t WHERE ${where}`)) ids.push(id!);
  }
  const expected = (await db.run("SELECT id FROM t")).map(([id]) => id);
  assert.deepEqual(ids.sort(), expected.sort());
});

testEach("columns that are no longer what was described are refused", async (db) => {
  await db.run("CREATE TABLE t (a int4, b timestamptz, c text)");
  await using source = await openPostgres(db.connection, limits);
  const { columns } = await source.describe({ kind: "table", schema: null, name: "t" });
  const wires = columns.map((c) => c.wire);
  const sql = "SELECT a, b, c FROM t";
  await source.read(sql, openPgSink(), { ...options, wires });
  const changes = [
    "ALTER TABLE t ALTER a TYPE float4",
    "ALTER TABLE t ALTER a TYPE int4, ALTER b TYPE timestamp",
    "ALTER TABLE t ALTER b TYPE timestamptz, ALTER c TYPE int4 USING 1",
    "ALTER TABLE t DROP c",
  ];
  for (const change of changes) {
    await db.run(change);
    await using again = await openPostgres(db.connection, limits);
    const error = await errorOf(() => again.read(sql, openPgSink(), { ...options, wires }));
    assert.equal(error.code, "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ", change);
  }
});

testEach("a throttled read waits in proportion to its rows", async (db) => {
  await using source = await openPostgres(db.connection, limits);
  const started = performance.now();
  const report = await source.read("SELECT g FROM generate_series(1, 1000) g", openPgSink(), {
    ...options,
    batchRows: 200,
    throttleMs: 50,
  });
  assert.equal(report.rows, 1000);
  // At least 800 of the rows came in full batches, and each two hundred of them cost a wait of 50 ms.
  assert.ok(performance.now() - started >= 190);
});
