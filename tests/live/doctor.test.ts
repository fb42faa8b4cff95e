// `rivet doctor` on real servers: logins, privileges, poolers, clocks, and a state in PostgreSQL.

import assert from "node:assert/strict";
import type { ServerConnection } from "../../src/source/mod.ts";
import { runCli } from "../support/cli.ts";
import { toFolder, writeServerConfig } from "../support/config_file.ts";
import { type DoctorReport, parseDoctor, statuses } from "../support/doctor_schema.ts";
import { temporaryFolder } from "../support/files.ts";
import { openMysqlServers, testMysql } from "../support/mariadb.ts";
import { openPgbouncer } from "../support/pgbouncer.ts";
import { openPostgresServer, type TestDatabase, withDatabase } from "../support/postgres.ts";

const postgres = await openPostgresServer(18);
const pooler = postgres === null ? null : await openPgbouncer(postgres, "session", 3);
const mysql = await openMysqlServers();

const EXPORTS = [
  { name: "open", table: "open", mode: "incremental", cursor_column: "id", ...toFolder("out/open") },
  { name: "closed", table: "closed", mode: "full", ...toFolder("out/closed") },
];
const READER_PASSWORD = "hush@hush/#?";

interface Seen {
  readonly code: number;
  readonly report: DoctorReport;
}

async function doctor(
  type: "postgres" | "mysql",
  connection: ServerConnection,
  exports: readonly object[],
  more: Record<string, string> = {},
): Promise<Seen> {
  await using folder = await temporaryFolder();
  const { env } = await writeServerConfig(folder.path, type, connection, exports);
  const { code, stdout, stderr } = await runCli(["doctor", "-c", "rivet.yaml", "--json"], {
    cwd: folder.path,
    env: { ...env, ...more },
  });
  for (const secret of [connection.password!, READER_PASSWORD, encodeURIComponent(READER_PASSWORD)]) {
    assert.ok(!`${stdout}${stderr}`.includes(secret), "the password was shown");
  }
  return { code, report: parseDoctor(stdout) };
}

function onPostgres(name: string, body: (db: TestDatabase) => Promise<void>, isReady = postgres !== null): void {
  Deno.test({ name: `PostgreSQL: ${name}`, ignore: !isReady, fn: () => withDatabase(postgres!, body) });
}

const TABLES = "CREATE TABLE open (id int PRIMARY KEY); CREATE TABLE closed (id int PRIMARY KEY);";

async function withReader(db: TestDatabase, grants: string, body: (reader: ServerConnection) => Promise<void>) {
  const role = `r_${db.name}`;
  await db.run(`${TABLES} CREATE ROLE ${role} LOGIN PASSWORD '${READER_PASSWORD}'; ${grants.replaceAll("ROLE", role)}`);
  try {
    await body({ ...db.connection, user: role, password: READER_PASSWORD });
  } finally {
    await db.run(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
}

onPostgres("a user with all it needs is well", async (db) => {
  await db.run(TABLES);
  const { code, report } = await doctor("postgres", db.connection, EXPORTS);
  assert.equal(code, 0, JSON.stringify(report));
  assert.deepEqual(statuses(report), [
    "config: ok",
    "tls: ok",
    "source: ok",
    "privileges: ok",
    "destination of open: ok",
    "destination of closed: ok",
    "state: ok",
    "clock: ok",
    "pooler: ok",
  ]);
});

onPostgres("the table that may not be read is named, and the right that is only useful is a warning", async (db) => {
  await withReader(db, "GRANT SELECT ON open TO ROLE", async (reader) => {
    const { code, report } = await doctor("postgres", reader, EXPORTS);
    assert.equal(code, 1);
    const bad = report.checks.filter(({ status }) => status !== "ok").map(({ name, status }) => `${name}: ${status}`);
    assert.deepEqual(bad, ["privileges of export 'closed': fail", "rights: warn"]);
  });
});

onPostgres("a wrong password is a failure of the source that no other try cures", async (db) => {
  const { code, report } = await doctor("postgres", { ...db.connection, password: "wrong-and-long" }, EXPORTS);
  assert.equal(code, 1);
  const source = report.checks.find(({ name }) => name === "source")!;
  assert.deepEqual([source.status, source.code], ["fail", "RIVET_SOURCE_CONNECT_FAILED"]);
});

onPostgres("a pooler is told", async (db) => {
  await db.run(TABLES);
  const { code, report } = await doctor("postgres", { ...pooler!, database: db.name }, EXPORTS);
  assert.equal(code, 0, JSON.stringify(report));
  assert.equal(report.checks.find(({ name }) => name === "pooler")!.status, "warn");
}, pooler !== null);

onPostgres(
  "a state in PostgreSQL is proved without being made, and one that may not be made is refused",
  async (db) => {
    await withReader(db, "GRANT SELECT ON open, closed TO ROLE", async (reader) => {
      const url = (user: string, password: string) =>
        `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${db.server.port}/${db.name}`;
      const owner = { RIVET_STATE_URL: url(db.connection.user, db.connection.password!) };
      const made = await doctor("postgres", db.connection, EXPORTS, owner);
      assert.equal(made.code, 0, JSON.stringify(made.report));
      assert.match(made.report.checks.find(({ name }) => name === "state")!.detail, /the first run makes it/);
      assert.deepEqual(
        await db.run("SELECT relname FROM pg_class WHERE relname LIKE 'export\\_%' OR relname LIKE 'rivet%'"),
        [],
      );
      const stranger = await doctor("postgres", db.connection, EXPORTS, {
        RIVET_STATE_URL: url(reader.user, READER_PASSWORD),
      });
      assert.equal(stranger.code, 1);
      assert.equal(stranger.report.checks.find(({ name }) => name === "state")!.status, "fail");
    });
  },
);

testMysql(
  mysql,
  "doctor proves a login, its privileges and the clock, and names the table that may not be read",
  async (db) => {
    await db.run(TABLES);
    const well = await doctor("mysql", db.connection, EXPORTS);
    assert.equal(well.code, 0, JSON.stringify(well.report));
    assert.deepEqual(statuses(well.report).slice(-2), ["clock: ok", "pooler: ok"]);
    const user = `u_${crypto.randomUUID().slice(0, 8)}`;
    await db.run(`CREATE USER ${user}@'%' IDENTIFIED BY '${READER_PASSWORD}'; GRANT SELECT ON open TO ${user}@'%'`);
    try {
      const reader = { ...db.connection, user, password: READER_PASSWORD };
      const { code, report } = await doctor("mysql", reader, EXPORTS.map((one) => ({ ...one, parallel: 2 })));
      assert.equal(code, 1);
      const bad = report.checks.filter(({ status }) => status !== "ok").map(({ name, status }) => `${name}: ${status}`);
      assert.deepEqual(bad, ["privileges of export 'closed': fail", "rights: warn"]);
    } finally {
      await db.run(`DROP USER ${user}@'%'`);
    }
  },
);
