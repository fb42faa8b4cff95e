// A read-only replica as the source: pictures are shared there too, and a conflict with what it replays may be tried again.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import type { ReadOptions } from "../../src/source/mod.ts";
import { type KeyColumn, oldestTransaction } from "../../src/source/mod.ts";
import { openPostgres } from "../../src/source/postgres/mod.ts";
import { openPgSink } from "../support/pg_sink.ts";
import { openPostgresServer, openPrivatePostgres, openReplica, runSql } from "../support/postgres.ts";

const ignore = await openPostgresServer(18) === null;
const primary = ignore ? null : await openPrivatePostgres(18, {
  wal_keep_size: "256MB",
  // Its workers look at tables too: while they do, VACUUM must leave rows that the test wants to see gone.
  autovacuum: "off",
});
const replica = primary === null ? null : await openReplica(primary);

const limits = { statementTimeoutS: 60, lockTimeoutS: 10, connectTimeoutMs: 30_000 };
const options: ReadOptions = {
  batchRows: 1000,
  batchBytes: 1 << 20,
  throttleMs: 0,
  signal: new AbortController().signal,
};

/** Waits until the replica has replayed what the primary has written. */
async function untilReplayed(): Promise<void> {
  const [lsn] = await runSql(primary!.connection, "SELECT pg_current_wal_insert_lsn()");
  for (let tries = 0;; tries++) {
    const [row] = await runSql(replica!.connection, `SELECT pg_last_wal_replay_lsn() >= '${lsn![0]}'`);
    if (row![0] === "t") return;
    assert.ok(tries < 1200, "the replica does not follow");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

Deno.test({ name: "a picture of a replica is shared between connections", ignore }, async () => {
  await runSql(primary!.connection, "CREATE TABLE shared AS SELECT g AS id FROM generate_series(1, 1000) g");
  await untilReplayed();
  await using owner = await openPostgres(replica!.connection, limits);
  await using guest = await openPostgres(replica!.connection, limits);
  const token = await owner.begin(null);
  assert.notEqual(token, null);
  assert.equal(await guest.begin(token), token);
  for (const source of [owner, guest]) {
    const sink = openPgSink();
    await source.read("SELECT id FROM shared", sink, options);
    assert.equal(sink.rows, 1000);
  }
  assert.equal((await owner.facts({ schema: null, name: "shared" }))!.kind, "table");
});

Deno.test(
  { name: "a read that stands in the way of what the replica replays may be tried again", ignore },
  async () => {
    await runSql(
      primary!.connection,
      "CREATE TABLE moving WITH (autovacuum_enabled = off) AS SELECT g AS id, repeat('x', 500) AS pad FROM generate_series(1, 200000) g",
    );
    await untilReplayed();
    await using source = await openPostgres(replica!.connection, limits);
    let cleaned = false;
    const sink = openPgSink({
      onWrote: async (s) => {
        if (cleaned || s.rows < 50_000) return;
        cleaned = true;
        await runSql(primary!.connection, "DELETE FROM moving");
        await runSql(primary!.connection, "VACUUM moving");
        await untilReplayed();
      },
    });
    const error = await source.read("SELECT id, pad FROM moving", sink, options).then(() => null, (e) => e);
    assert.ok(error instanceof RivetError, `${error}`);
    assert.ok(["same_connection", "reconnect"].includes(error.retry), `${error.code} ${error.retry} ${error.message}`);
    assert.ok(["RIVET_SOURCE_QUERY_FAILED", "RIVET_SOURCE_CONNECTION_LOST"].includes(error.code), error.code);
    assert.match(error.cure, /hot_standby_feedback/);
  },
);

Deno.test({ name: "a replica does not vouch for transactions that are open on its primary", ignore }, async () => {
  const at: KeyColumn = {
    names: ["at"],
    type: { kind: "timestamp", unit: "us", utc: true },
    nativeType: "timestamp with time zone",
    notNull: true,
  };
  await using onPrimary = await openPostgres(primary!.connection, limits);
  await using onReplica = await openPostgres(replica!.connection, limits);
  assert.notEqual(await oldestTransaction(onPrimary, at), null);
  assert.equal(await oldestTransaction(onReplica, at), null);
});
