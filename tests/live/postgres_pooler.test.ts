// Through pgBouncer: rows, pictures and aborts work, a pooler is named, and nothing is left on connections that others get.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import type { ReadOptions, ServerConnection } from "../../src/source/mod.ts";
import { openPostgres } from "../../src/source/postgres/mod.ts";
import { openPgSink } from "../support/pg_sink.ts";
import { openPgbouncer } from "../support/pgbouncer.ts";
import { openPostgresServer, type TestDatabase, withClient, withDatabase } from "../support/postgres.ts";

const server = await openPostgresServer(18);
const transaction = server === null ? null : await openPgbouncer(server, "transaction", 3);
const session = server === null ? null : await openPgbouncer(server, "session", 3);

const limits = { statementTimeoutS: 9, lockTimeoutS: 7, connectTimeoutMs: 30_000 };
const options: ReadOptions = {
  batchRows: 500,
  batchBytes: 1 << 20,
  throttleMs: 0,
  signal: new AbortController().signal,
};

function test(
  name: string,
  pooler: ServerConnection | null,
  body: (db: TestDatabase, pooled: ServerConnection) => Promise<void>,
): void {
  Deno.test(
    { name, ignore: pooler === null },
    () => withDatabase(server!, (db) => body(db, { ...pooler!, database: db.name })),
  );
}

test("a pooler that shares connections between transactions is named", transaction, async (_db, pooled) => {
  // The pool has more than one server connection once two clients have worked at the same time.
  await withClient(pooled, async (other) => {
    await other.query("BEGIN; SELECT 1");
    await using first = await openPostgres(pooled, limits);
    await other.query("COMMIT");
    assert.match(first.proxy!, /pooler/);
    await using second = await openPostgres(pooled, limits);
    assert.match(second.proxy!, /between transactions/);
  });
});

test("a pooler that keeps connections for a session is named too, and a server is not", session, async (db, pooled) => {
  await using source = await openPostgres(pooled, limits);
  assert.match(source.proxy!, /proxy/);
  await using direct = await openPostgres(db.connection, limits);
  assert.equal(direct.proxy, null);
});

test("rows arrive once while other clients take the same server connections", transaction, async (db, pooled) => {
  await db.run("CREATE TABLE t AS SELECT g AS id, repeat('x', 300) AS pad FROM generate_series(1, 20000) g");
  const stop = { now: false };
  const busy = withClient(pooled, async (client) => {
    while (!stop.now) await client.query("SELECT set_config('TimeZone', 'UTC', false), pg_sleep(0.001)");
  });
  try {
    const reads = [1, 2].map(async () => {
      await using source = await openPostgres(pooled, limits);
      const sink = openPgSink();
      const report = await source.read("SELECT id, pad FROM t", sink, options);
      assert.equal(report.rows, 20_000);
      assert.equal(sink.rows, 20_000);
    });
    await Promise.all(reads);
  } finally {
    stop.now = true;
    await busy;
  }
});

test("a picture is shared through the pooler", transaction, async (db, pooled) => {
  await db.run("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 10) g");
  await using owner = await openPostgres(pooled, limits);
  await using guest = await openPostgres(pooled, limits);
  const token = await owner.begin(null);
  await db.run("DELETE FROM t");
  await guest.begin(token);
  for (const source of [owner, guest]) {
    const sink = openPgSink();
    await source.read("SELECT id FROM t", sink, options);
    assert.equal(sink.rows, 10);
    await source.end();
  }
});

test("no setting stays on a connection that others get", transaction, async (db, pooled) => {
  await db.run(`ALTER DATABASE ${db.name} SET TimeZone = 'Asia/Tokyo'; CREATE TABLE t (a int)`);
  {
    await using source = await openPostgres(pooled, limits);
    await source.describe({ kind: "table", schema: null, name: "t" });
    await source.facts({ schema: null, name: "t" });
    await source.read("SELECT a FROM t", openPgSink(), options);
    await source.begin(null);
    await source.read("SELECT 1/0", openPgSink(), options).catch(() => {});
    await source.end();
  }
  const names = ["TimeZone", "statement_timeout", "lock_timeout", "cursor_tuple_fraction", "IntervalStyle"];
  const settings = `SELECT ${names.map((name) => `current_setting('${name}')`).join(", ")}`;
  // As many clients at once as the pool has connections, so that each is looked at.
  await Promise.all([1, 2, 3].map(() =>
    withClient(pooled, async (client) => {
      const { rows } = await client.query({ text: `BEGIN; ${settings}, pg_sleep(0.2); COMMIT`, rowMode: "array" })
        .then((results) => (results as unknown as { rows: string[][] }[])[1]!);
      assert.deepEqual(rows[0]!.slice(0, -1), ["Asia/Tokyo", "0", "0", "0.1", "postgres"]);
    })
  ));
});

test("an abort reaches the server through the pooler", transaction, async (db, pooled) => {
  await using source = await openPostgres(pooled, limits);
  const controller = new AbortController();
  const reason = new Error("enough");
  const reading = source.read("SELECT pg_sleep(8)::text", openPgSink(), { ...options, signal: controller.signal });
  // It stands there, or it was too late to see it; both end with the reason.
  for (let tries = 0; tries < 100; tries++) {
    const [row] = await db.run(
      `SELECT count(*) FROM pg_stat_activity WHERE datname = '${db.name}' AND wait_event = 'PgSleep'`,
    );
    if (row![0] !== "0") break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  controller.abort(reason);
  await assert.rejects(reading, (error) => error === reason);
  for (let tries = 0;; tries++) {
    const [row] = await db.run(
      `SELECT count(*) FROM pg_stat_activity WHERE datname = '${db.name}' AND state = 'active' AND query LIKE '%rivet_%'
       AND pid <> pg_backend_pid()`,
    );
    if (row![0] === "0") break;
    assert.ok(tries < 600, "the server still runs the statement");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

test("a password that only the pooler knows to be wrong is a refused login", transaction, async (_db, pooled) => {
  const error = await openPostgres({ ...pooled, password: "wrong" }, limits).then(() => null, (e) => e);
  assert.ok(error instanceof RivetError);
  assert.equal(error.code, "RIVET_SOURCE_CONNECT_FAILED");
});
