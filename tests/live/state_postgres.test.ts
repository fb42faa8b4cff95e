// The state on a real PostgreSQL server: TLS, lost connections, rights.

import assert from "node:assert/strict";
import { openState } from "../../src/state/mod.ts";
import { migrate } from "../../src/state/migrations.ts";
import { openPostgres } from "../../src/state/postgres.ts";
import { openPostgresServer, runSql, type TestDatabase, withDatabase } from "../support/postgres.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { CERTS } from "../support/certs.ts";
import { beginAndClaim, codeOf, KEY, mustTake } from "../support/state.ts";

const server = await openPostgresServer(18);
const ignore = server === null;

function live(name: string, body: (database: TestDatabase, folder: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: () =>
      withDatabase(server!, async (database) => {
        await using folder = await temporaryFolder();
        await body(database, folder.path);
      }),
  });
}

function urlOf(
  database: TestDatabase,
  more: { host?: string; user?: string; password?: string; query?: string } = {},
): string {
  const { host, port, user, password } = database.connection;
  const login = `${more.user ?? user}:${encodeURIComponent(more.password ?? password ?? "")}`;
  return `postgres://${login}@${more.host ?? host}:${port}/${database.name}${more.query ?? ""}`;
}

live("the connection is encrypted and verified as sslmode says", async (database, folder) => {
  const ca = join(folder, "ca.pem");
  const otherCa = join(folder, "other.pem");
  await Deno.writeTextFile(ca, CERTS.ca);
  await Deno.writeTextFile(otherCa, CERTS.otherCa);
  const isEncrypted = async (host: string, query: string) => {
    await using db = await openPostgres({ url: new URL(urlOf(database, { host, query })) });
    const [row] = await db.all("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    return row!["ssl"];
  };
  assert.equal(await isEncrypted("localhost", ""), false);
  assert.equal(await isEncrypted("localhost", "?sslmode=disable"), false);
  assert.equal(await isEncrypted("127.0.0.1", "?sslmode=require"), true);
  assert.equal(await isEncrypted("127.0.0.1", `?sslmode=verify-ca&sslrootcert=${ca}`), true);
  assert.equal(await isEncrypted("localhost", `?sslmode=verify-full&sslrootcert=${ca}`), true);
  for (
    const [host, query] of [
      ["127.0.0.1", `?sslmode=verify-full&sslrootcert=${ca}`],
      ["localhost", `?sslmode=verify-full&sslrootcert=${otherCa}`],
      ["localhost", `?sslmode=verify-ca&sslrootcert=${otherCa}`],
      ["localhost", `?sslmode=require&sslrootcert=${otherCa}`],
      ["localhost", "?sslmode=verify-full"],
      ["localhost", "?sslmode=verify-full&sslrootcert=/missing.pem"],
    ] as const
  ) {
    const error = await isEncrypted(host, query).then(() => null, (e) => e);
    assert.deepEqual([error?.code, error?.retry], ["RIVET_STATE_BACKEND_FAILED", "never"], `${host} ${query}`);
  }
});

live("a wrong password and a missing database are said at once, without the password", async (database) => {
  for (const url of [urlOf(database, { password: "n0t-it" }), `${urlOf(database)}_missing`]) {
    const error = await openState({ url, directory: "/" }).then(() => null, (e) => e);
    assert.deepEqual([error?.code, error?.retry], ["RIVET_STATE_BACKEND_FAILED", "never"]);
    const shown = `${error.message} ${error.where} ${error.cure}`;
    assert.ok(!shown.includes("n0t-it") && !shown.includes(encodeURIComponent(database.connection.password!)));
  }
});

live("a transaction whose connection is lost before its commit is done again, once", async (database) => {
  await using db = await openPostgres({ url: new URL(urlOf(database)) });
  await migrate(db, Date.now());
  let tries = 0;
  await db.transaction(async (sql) => {
    tries++;
    await sql.run("INSERT INTO run_aggregate (run_aggregate_id) VALUES (?)", ["a"]);
    const [row] = await sql.all("SELECT pg_backend_pid() AS pid");
    if (tries < 3) await runSql(database.server.connection, `SELECT pg_terminate_backend(${row!["pid"]})`);
    await sql.run("INSERT INTO run_aggregate (run_aggregate_id) VALUES (?)", ["b"]);
  });
  assert.equal(tries, 3);
  assert.equal((await db.all("SELECT 1 FROM run_aggregate")).length, 2);
});

live("connections that the server closed while nobody used them are replaced", async (database) => {
  await using state = await openState({ url: urlOf(database), directory: "/" });
  const lease = await mustTake(state);
  await runSql(
    database.server.connection,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database.name}' AND pid <> pg_backend_pid()`,
  );
  assert.equal(await state.renewLease(lease, 60_000), true);
  await beginAndClaim(state, lease);
  assert.equal((await state.openRun(KEY))?.runId, "r1");
});

live("a read-only database is refused before anything is written", async (database) => {
  const url = urlOf(database);
  await (await openState({ url, directory: "/" }))[Symbol.asyncDispose]();
  await runSql(database.server.connection, `ALTER DATABASE ${database.name} SET default_transaction_read_only = on`);
  assert.equal(await codeOf(openState({ url, directory: "/" })), "RIVET_STATE_NOT_WRITABLE");
  await using state = await openState({ url, directory: "/", readOnly: true });
  assert.deepEqual(await state.cursors(), []);
});

live("a role without the right to create tables is refused by name", async (database) => {
  await database.run(`CREATE ROLE "${database.name}_guest" LOGIN PASSWORD 'guest'`);
  try {
    const url = urlOf(database, { user: `${database.name}_guest`, password: "guest" });
    assert.equal(await codeOf(openState({ url, directory: "/" })), "RIVET_STATE_NOT_WRITABLE");
  } finally {
    await database.run(`DROP ROLE "${database.name}_guest"`);
  }
});

live("looking only at a database without a state shows an empty one and makes nothing", async (database) => {
  await using state = await openState({ url: urlOf(database), directory: "/", readOnly: true });
  assert.deepEqual(await state.runs({ limit: 5 }), []);
  assert.deepEqual(
    await database.run("SELECT relname FROM pg_class WHERE relname LIKE 'rivet%' OR relname LIKE 'export%'"),
    [],
  );
});
