// The session on real servers: what is set and put back, bounds on statements and locks, aborts, pictures, proxies.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import type { RowSink, Source } from "../../src/source/mod.ts";
import { openSession } from "../../src/source/mysql/connect.ts";
import { openMysql } from "../../src/source/mysql/mod.ts";
import { applySettings, planSettings } from "../../src/source/mysql/settings.ts";
import { type MysqlDatabase, openMysqlServers, openPrivateMariadb, runSql, testMysql } from "../support/mariadb.ts";
import { collectRows } from "../support/mysql_packets.ts";
import { openMysqlProxy, type Verdict } from "../support/mysql_proxy.ts";

const servers = await openMysqlServers();
const limits = { statementTimeoutS: 60, lockTimeoutS: 10, connectTimeoutMs: 30_000 };
const never = new AbortController().signal;
const options = { batchRows: 10_000, batchBytes: 1 << 20, throttleMs: 0, signal: never };

async function errorOf(work: () => Promise<unknown>): Promise<RivetError> {
  const error = await work().then(() => null, (e) => e);
  assert.ok(error instanceof RivetError, `${error}`);
  return error;
}

async function readTexts(source: Source, sql: string): Promise<(string | null)[][]> {
  const sink = collectRows();
  const report = await source.read(sql, sink, options);
  assert.equal(report.rows, sink.rows.length);
  return sink.texts();
}

/** A statement of many rows that takes long to send, and does not fit any socket buffer. */
async function makeBigTable(db: MysqlDatabase): Promise<string> {
  await db.run(`CREATE TABLE big (id int PRIMARY KEY AUTO_INCREMENT, pad varchar(1000));
    INSERT INTO big (pad) VALUES (REPEAT('x', 1000)), (REPEAT('y', 1000))`);
  for (let i = 0; i < 14; i++) await db.run("INSERT INTO big (pad) SELECT pad FROM big");
  return "SELECT id, pad FROM big";
}

async function runningStatements(db: MysqlDatabase): Promise<(string | null)[][]> {
  return await db.run(
    `SELECT ID, INFO FROM information_schema.PROCESSLIST WHERE DB = '${db.name}' AND COMMAND = 'Query' AND ID <> CONNECTION_ID()`,
  );
}

async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 2400; tries++) {
    if (await done()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`never happened: ${what}`);
}

testMysql(servers, "the session's variables are what they were after a restore", async (db) => {
  const session = await openSession(db.connection, 5_000);
  try {
    const all =
      "SHOW SESSION VARIABLES WHERE Variable_name NOT REGEXP 'timestamp|rand_seed|last_|gtid|character_set|collation'";
    const before = (await session.ask(all)).rows;
    const settings = await planSettings(session, limits);
    await applySettings(session, settings);
    const during = (await session.ask(all)).rows;
    assert.notDeepEqual(during, before);
    await session.ask(settings.restore ?? "DO 1");
    assert.deepEqual((await session.ask(all)).rows, before);
  } finally {
    await session.close();
  }
});

testMysql(servers, "after a good and after a refused read the last statement puts the session back", async (db) => {
  for (const sql of ["SELECT 1", "SELECT nothing FROM nowhere"]) {
    await using proxy = await openMysqlProxy(db.connection, () => "pass");
    {
      await using source = await openMysql(proxy.connection, limits);
      await source.begin(null);
      await source.read(sql, collectRows(), options).catch(() => {});
    }
    assert.match(proxy.statements.at(-1) ?? "", /^SET SESSION time_zone = '\+03:00'|^SET SESSION time_zone = 'SYSTEM'/);
  }
});

testMysql(servers, "a zone set to UTC that does not take is refused before the first row", async (db) => {
  const swallow = (sql: string): Verdict => sql.includes("time_zone = '+00:00'") ? "ok" : "pass";
  await using proxy = await openMysqlProxy(db.connection, swallow);
  const error = await errorOf(() => openMysql(proxy.connection, limits));
  assert.equal(error.code, "RIVET_SOURCE_SESSION_TIME_ZONE_NOT_APPLIED");
});

testMysql(servers, "a zone lost later is refused before the next picture", async (db) => {
  let swallowing = false;
  await using proxy = await openMysqlProxy(db.connection, (sql) => {
    if (!swallowing || !sql.includes("time_zone = '+00:00'")) return "pass";
    return "ok";
  });
  await using source = await openMysql(proxy.connection, limits);
  swallowing = true;
  await source.rows("SET SESSION time_zone = '+05:30'");
  const error = await errorOf(() => source.begin(null));
  assert.equal(error.code, "RIVET_SOURCE_SESSION_TIME_ZONE_NOT_APPLIED");
});

testMysql(servers, "proxies are told apart from a direct connection", async (db) => {
  const ids = ["100", "200"];
  const behaviours: [string | null, (sql: string) => Verdict][] = [
    [null, () => "pass"],
    ["ProxySQL", (sql) => sql === "PROXYSQL INTERNAL SESSION" ? { value: "{}" } : "pass"],
    ["a multiplexing proxy", (sql) => sql === "SELECT CONNECTION_ID()" ? { value: ids[0]! } : "pass"],
  ];
  for (const [name, decide] of behaviours) {
    await using proxy = await openMysqlProxy(db.connection, decide);
    await using source = await openMysql(proxy.connection, limits);
    assert.equal(source.proxy, name);
  }
});

testMysql(servers, "a TIMESTAMP is read in UTC whatever zone the server runs in", async (db) => {
  await db.run(
    "CREATE TABLE t (at timestamp NULL); SET time_zone = '+03:00'; INSERT INTO t VALUES ('2024-05-06 03:00:00')",
  );
  await using source = await openMysql(db.connection, limits);
  await source.begin(null);
  assert.deepEqual(await readTexts(source, "SELECT `at` FROM t"), [["2024-05-06 00:00:00"]]);
});

testMysql(servers, "a statement over its time is ended by the server with a code of its own", async (db) => {
  const query = await makeBigTable(db);
  await using source = await openMysql(db.connection, { ...limits, statementTimeoutS: 1 });
  const error = await errorOf(() =>
    source.read(
      `SELECT COUNT(*) FROM (${query}) a JOIN (${query}) b ON a.pad <> CONCAT(b.pad, a.id)`,
      collectRows(),
      options,
    )
  );
  assert.equal(error.code, "RIVET_SOURCE_STATEMENT_TIMEOUT");
  assert.equal(error.retry, "never");
  assert.deepEqual(await readTexts(source, "SELECT 'usable'"), [["usable"]]);
});

testMysql(
  servers,
  "a locked table is waited for as long as allowed, and the same connection can try again",
  async (db) => {
    await db.run("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    const blocker = await openSession(db.connection, 5_000);
    try {
      await blocker.ask("LOCK TABLES t WRITE");
      await using source = await openMysql(db.connection, { ...limits, lockTimeoutS: 1 });
      const error = await errorOf(() => source.read("SELECT id FROM t", collectRows(), options));
      assert.equal(error.code, "RIVET_SOURCE_QUERY_FAILED");
      assert.equal(error.retry, "same_connection");
      await blocker.ask("UNLOCK TABLES");
      assert.deepEqual(await readTexts(source, "SELECT id FROM t"), [["1"]]);
    } finally {
      await blocker.close();
    }
  },
);

testMysql(servers, "an abort in the middle of the rows ends the statement at the server", async (db) => {
  const query = await makeBigTable(db);
  const source = await openMysql(db.connection, limits);
  const stop = new AbortController();
  const sink = collectRows({ onBlock: (rows) => rows > 1000 ? stop.abort(new Error("enough")) : undefined });
  await assert.rejects(source.read(query, sink, { ...options, signal: stop.signal }), /enough/);
  await until(async () => (await runningStatements(db)).length === 0, "the statement ended");
  const error = await errorOf(() => source.rows("SELECT 1"));
  assert.equal(error.retry, "reconnect");
  await source[Symbol.asyncDispose]();
});

testMysql(servers, "an abort before the first row ends a statement that is still computing", async (db) => {
  await using source = await openMysql(db.connection, limits);
  const stop = new AbortController();
  const reading = source.read("SELECT SLEEP(100)", collectRows(), { ...options, signal: stop.signal });
  await until(async () => (await runningStatements(db)).length === 1, "the statement runs");
  stop.abort(new Error("enough"));
  await assert.rejects(reading, /enough/);
  await until(async () => (await runningStatements(db)).length === 0, "the statement ended");
});

testMysql(servers, "a refusal by the sink comes through unchanged and ends the statement", async (db) => {
  const query = await makeBigTable(db);
  await using source = await openMysql(db.connection, limits);
  const refusal = new RivetError("RIVET_VALUE_TOO_LARGE", "Column 'pad' holds a value above the limit");
  const sink: RowSink = {
    ...collectRows(),
    wrote() {
      throw refusal;
    },
  };
  assert.equal(await source.read(query, sink, options).catch((e) => e), refusal);
  await until(async () => (await runningStatements(db)).length === 0, "the statement ended");
});

testMysql(servers, "a connection killed in the middle of the rows can be made anew", async (db) => {
  const query = await makeBigTable(db);
  await using source = await openMysql(db.connection, limits);
  const id = (await source.rows("SELECT CONNECTION_ID()"))[0]![0];
  let killed = false;
  const sink = collectRows({
    async onBlock(rows) {
      if (rows < 100 || killed) return;
      killed = true;
      await db.run(`KILL CONNECTION ${id}`);
    },
  });
  const error = await errorOf(() => source.read(query, sink, options));
  assert.equal(error.retry, "reconnect");
});

testMysql(servers, "a killed run leaves no session behind", async (db) => {
  const query = await makeBigTable(db);
  const source = await openMysql(db.connection, limits);
  await source.begin(null);
  const sink = collectRows({
    onBlock() {
      throw new RivetError("RIVET_VALUE_TOO_LARGE", "no");
    },
  });
  await errorOf(() => source.read(query, sink, options));
  await source[Symbol.asyncDispose]();
  const sessions = () =>
    db.run(`SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '${db.name}' AND ID <> CONNECTION_ID()`);
  await until(async () => (await sessions()).length === 0, "the session ended");
});

testMysql(servers, "what the server refuses has a code and leaves the connection usable", async (db) => {
  await using source = await openMysql(db.connection, limits);
  const refused: [string, string][] = [
    ["SELECT * FROM nowhere", "RIVET_SOURCE_TABLE_NOT_FOUND"],
    ["SELECT 1 FROM", "RIVET_SOURCE_QUERY_FAILED"],
    ["SELECT nothing", "RIVET_SOURCE_QUERY_FAILED"],
    ["SELECT 1; SELECT 2", "RIVET_SOURCE_QUERY_FAILED"],
  ];
  for (const [sql, code] of refused) {
    const error = await errorOf(() => source.read(sql, collectRows(), options));
    assert.equal(error.code, code, sql);
    assert.equal(error.retry, "never", sql);
    assert.deepEqual(await readTexts(source, "SELECT 'usable'"), [["usable"]]);
  }
});

testMysql(servers, "a picture does not change until it ends", async (db) => {
  await db.run("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
  await using source = await openMysql(db.connection, limits);
  assert.equal(await source.begin(null), null);
  await db.run("INSERT INTO t VALUES (2)");
  assert.deepEqual(await readTexts(source, "SELECT id FROM t"), [["1"]]);
  assert.deepEqual(await source.rows("SELECT COUNT(*) FROM t"), [["1"]]);
  await source.end();
  await source.begin(null);
  assert.deepEqual(await readTexts(source, "SELECT id FROM t"), [["1"], ["2"]]);
  const error = await errorOf(() => source.read("DELETE FROM t", collectRows(), options));
  assert.equal(error.code, "RIVET_SOURCE_QUERY_FAILED");
});

testMysql(servers, "an altered table inside a picture is told as such", async (db) => {
  await db.run("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
  await using source = await openMysql(db.connection, limits);
  await source.begin(null);
  await db.run("ALTER TABLE t ADD COLUMN b varchar(10) NOT NULL DEFAULT 'x', ALGORITHM=COPY");
  const error = await errorOf(() => source.read("SELECT id FROM t", collectRows(), options));
  assert.equal(error.code, "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ");
});

testMysql(servers, "lanes that join in time share one picture while others write", async (db) => {
  await db.run("CREATE TABLE account (id int PRIMARY KEY, cents bigint); INSERT INTO account VALUES (1, 1000), (2, 0)");
  const stop = new AbortController();
  const writer = (async () => {
    while (!stop.signal.aborted) {
      await runSql(
        db.connection,
        `START TRANSACTION; UPDATE account SET cents = cents - 1 WHERE id = 1;
        UPDATE account SET cents = cents + 1 WHERE id = 2; COMMIT`,
      );
    }
  })();
  try {
    for (let round = 0; round < 5; round++) {
      await using first = await openMysql(db.connection, limits);
      await using second = await openMysql(db.connection, limits);
      await using third = await openMysql(db.connection, limits);
      const token = await first.begin(null, 2);
      assert.notEqual(token, null);
      const joined = await Promise.all([second.begin(token), third.begin(token)]);
      assert.deepEqual(joined, [token, token]);
      const seen = await Promise.all([
        first.rows("SELECT cents FROM account WHERE id = 1"),
        second.rows("SELECT cents FROM account WHERE id = 2"),
        third.rows("SELECT SUM(cents) FROM account"),
      ]);
      assert.equal(Number(seen[0][0]![0]) + Number(seen[1][0]![0]), 1000);
      assert.equal(seen[2][0]![0], "1000");
      // All have joined, so the writers go on by themselves.
      const held = () => db.run("UPDATE account SET cents = cents WHERE id = 1").then(() => true);
      assert.equal(await held(), true);
    }
  } finally {
    stop.abort();
    await writer;
  }
});

testMysql(servers, "a lane that comes too late has a picture of its own and says so", async (db) => {
  await db.run("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
  await using first = await openMysql(db.connection, limits);
  await using second = await openMysql(db.connection, limits);
  const token = await first.begin(null, 1);
  assert.notEqual(token, null);
  await first.end();
  await db.run("INSERT INTO t VALUES (2)");
  assert.equal(await second.begin(token), null);
  assert.deepEqual(await second.rows("SELECT COUNT(*) FROM t"), [["2"]]);
});

testMysql(servers, "an account that may not stop writers gets no shared picture", async (db) => {
  const user = `g_${db.name.slice(2, 12)}`;
  await db.run(`CREATE USER ${user}@'%' IDENTIFIED BY 'p'; GRANT SELECT ON ${db.name}.* TO ${user}@'%'`);
  try {
    await using source = await openMysql({ ...db.connection, user, password: "p" }, limits);
    assert.equal(await source.begin(null, 2), null);
    assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
  } finally {
    await db.run(`DROP USER ${user}@'%'`);
  }
});

Deno.test({
  name: "mariadb: modes, limits and zones of a strange server change no statement and no value",
  ignore: servers.every((server) => server.name !== "mariadb"),
  async fn() {
    const server = await openPrivateMariadb(["--character-set-server=latin1"]);
    await runSql(
      server.connection,
      `CREATE DATABASE strange;
      CREATE TABLE strange.t (id int, c char(5), d date NOT NULL) ENGINE=InnoDB;
      INSERT INTO strange.t VALUES (1, 'é', '0000-00-00'), (2, '', '2024-01-01'), (3, 'z', '2024-01-02');
      CREATE USER plain@'%' IDENTIFIED BY 'p'; GRANT SELECT ON strange.* TO plain@'%';
      SET GLOBAL sql_select_limit = 2, GLOBAL autocommit = 0, GLOBAL init_connect = 'SET NAMES latin1, sql_auto_is_null = 1',
        GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH,EMPTY_STRING_IS_NULL,NO_ZERO_DATE,STRICT_ALL_TABLES'`,
    );
    const connection = { ...server.connection, user: "plain", password: "p" };
    await using source = await openMysql({ ...connection, database: "strange" }, limits);
    await source.begin(null);
    assert.deepEqual(
      await readTexts(source, "SELECT id, CONVERT(c USING utf8mb4), d FROM t WHERE d >= '0000-00-00' ORDER BY id"),
      [
        ["1", "é", "0000-00-00"],
        ["2", "", "2024-01-01"],
        ["3", "z", "2024-01-02"],
      ],
    );
    assert.deepEqual(await readTexts(source, "SELECT 'a\\\\b', \"id\" FROM t WHERE c = ''"), [["a\\b", "2"]]);
  },
});
