// SQL Server sessions against the fake: TLS and login, what stands in between, stopping a statement, and every way it can fail.

import assert from "node:assert/strict";
import { openMssql } from "../../src/source/mssql/mod.ts";
import type { ReadOptions, TlsOptions } from "../../src/source/mod.ts";
import { CERTS } from "../support/certs.ts";
import { type FakeMssql, LIMITS, openFakeDatabase, READ } from "../support/mssql.ts";
import { keepRows } from "../support/row_sink.ts";
import type { Answer, DatabaseOptions, FakeOptions, Step } from "../support/tds_fake.ts";

const KEYS = { key: CERTS.serverKey, cert: CERTS.serverCert } as const;
const tls = (mode: TlsOptions["mode"], ca: string | null = CERTS.ca): TlsOptions => ({
  mode,
  ca,
  acceptInvalidHostnames: false,
});

/** A session whose statements beginning with `SELECT test` are answered by the test. */
function openScripted(
  script: (sql: string) => Answer | null,
  database: DatabaseOptions = {},
  server: Partial<FakeOptions> = {},
): Promise<FakeMssql> {
  return openFakeDatabase(
    { ...database, intercept: (sql) => sql.startsWith("SELECT test") ? script(sql) : null },
    server,
  );
}

const column = (type: string): Step => ({ kind: "columns", columns: [{ name: "a", type }] });
const row = (value: string | null): Step => ({ kind: "row", values: [value] });

function* endlessRows(): Generator<Step> {
  yield column("nvarchar(1000)");
  for (;;) yield row("x".repeat(1000));
}

async function untilMessage(
  promise: Promise<unknown>,
): Promise<{ code: string; retry: string; cure: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    return error as { code: string; retry: string; cure: string; message: string };
  }
  throw new Error("nothing was thrown");
}

interface TlsCase {
  readonly encryption: FakeOptions["encryption"];
  readonly tls: TlsOptions | null;
  readonly host?: string;
  /** The cure's beginning, or null when the login passes. */
  readonly refused: RegExp | null;
  readonly encrypted?: boolean;
}

const TLS_CASES: Record<string, TlsCase> = {
  "no tls, none offered": { encryption: "off", tls: null, refused: null, encrypted: false },
  "no tls, but the server insists": { encryption: "required", tls: null, refused: null, encrypted: true },
  "require, none offered": { encryption: "off", tls: tls("require"), refused: /^The server offers no TLS/ },
  "require, any certificate": { encryption: "offered", tls: tls("require", null), refused: null, encrypted: true },
  "verify-full": { encryption: "offered", tls: tls("verify-full"), refused: null, encrypted: true },
  "verify-full, required": { encryption: "required", tls: tls("verify-full"), refused: null, encrypted: true },
  "verify-full, other authority": {
    encryption: "offered",
    tls: tls("verify-full", CERTS.otherCa),
    refused: /certificate authority/,
  },
  "verify-full, no authority": {
    encryption: "offered",
    tls: tls("verify-full", null),
    refused: /certificate authority/,
  },
  "verify-full, wrong name": {
    encryption: "offered",
    tls: tls("verify-full"),
    host: "127.0.0.1",
    refused: /names another host/,
  },
  "verify-full, server name": {
    encryption: "offered",
    tls: { ...tls("verify-full"), serverName: "localhost" },
    host: "127.0.0.1",
    refused: null,
    encrypted: true,
  },
  "verify-full, wrong server name": {
    encryption: "offered",
    tls: { ...tls("verify-full"), serverName: "elsewhere" },
    refused: /names another host/,
  },
  "strict, server name": {
    encryption: "strict",
    tls: { ...tls("verify-full"), serverName: "localhost" },
    host: "127.0.0.1",
    refused: null,
    encrypted: true,
  },
  "verify-ca, wrong name": {
    encryption: "offered",
    tls: tls("verify-ca"),
    host: "127.0.0.1",
    refused: null,
    encrypted: true,
  },
  "verify-ca, other authority": {
    encryption: "offered",
    tls: tls("verify-ca", CERTS.otherCa),
    refused: /certificate authority/,
  },
  "verify-full without names": {
    encryption: "offered",
    tls: { ...tls("verify-full"), acceptInvalidHostnames: true },
    host: "127.0.0.1",
    refused: null,
    encrypted: true,
  },
  "strict, verify-full": { encryption: "strict", tls: tls("verify-full"), refused: null, encrypted: true },
  "strict, other authority": {
    encryption: "strict",
    tls: tls("verify-full", CERTS.otherCa),
    refused: /certificate authority/,
  },
  "strict, wrong name": {
    encryption: "strict",
    tls: tls("verify-full"),
    host: "127.0.0.1",
    refused: /names another host/,
  },
  "strict, require": { encryption: "strict", tls: tls("require", null), refused: /verify-full/ },
  "strict, verify-ca with the wrong name": {
    encryption: "strict",
    tls: tls("verify-ca"),
    host: "127.0.0.1",
    refused: /verify-full/,
  },
};

for (const [name, { encryption, tls, host = "localhost", refused, encrypted }] of Object.entries(TLS_CASES)) {
  Deno.test(`TLS: ${name} is ${refused === null ? "let in" : "refused before the login is sent"}`, async () => {
    await using database = await openFakeDatabase({}, { encryption: encryption!, ...KEYS });
    const opening = openMssql({ ...database.connection, host, tls }, LIMITS);
    if (refused === null) {
      await using source = await opening;
      assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
      assert.deepEqual(database.server.counters.logins.map((l) => l.encrypted), [encrypted]);
      return;
    }
    const error = await untilMessage(opening);
    assert.equal(error.code, "RIVET_SOURCE_CONNECT_FAILED");
    assert.match(error.cure, refused);
    assert.equal(error.retry, "never");
    assert.equal(database.server.counters.logins.length, 0);
  });
}

Deno.test("a login carries user, password and database as they are, and no name of this machine", async () => {
  await using database = await openFakeDatabase();
  await using _source = await database.open();
  const [login] = database.server.counters.logins;
  assert.equal(login!.user, database.connection.user);
  assert.equal(login!.password, database.connection.password);
  assert.equal(login!.database, database.connection.database);
  assert.equal(login!.application, "rivet");
  assert.equal(login!.host, "rivet");
});

const LOGIN_ERRORS: readonly (readonly [number, string, string])[] = [
  [18456, "RIVET_SOURCE_CONNECT_FAILED", "never"],
  [4060, "RIVET_SOURCE_CONNECT_FAILED", "never"],
  [18487, "RIVET_SOURCE_CONNECT_FAILED", "never"],
  [40613, "RIVET_SOURCE_CONNECT_FAILED", "reconnect"],
  [17809, "RIVET_SOURCE_CONNECT_FAILED", "reconnect"],
  [99999, "RIVET_SOURCE_CONNECT_FAILED", "never"],
];
for (const [number, code, retry] of LOGIN_ERRORS) {
  Deno.test(`login error ${number} is ${code}, retry ${retry}`, async () => {
    await using database = await openFakeDatabase({}, { login: () => ({ number, message: "Login failed." }) });
    const error = await untilMessage(database.open());
    assert.equal(error.code, code);
    assert.equal(error.retry, retry);
    assert.match(error.message, new RegExp(`Login failed \\(SQL Server error ${number}\\)`));
    assert.equal(database.server.counters.logins.length, 1, "retries are counted elsewhere");
    assert.ok(!error.message.includes(database.connection.password!));
  });
}

for (const encryption of ["offered", "strict"] as const) {
  Deno.test(`a refused login is heard inside TLS (${encryption})`, async () => {
    const login = () => ({ number: 18456, message: "Login failed." });
    await using database = await openFakeDatabase({}, { login, encryption, ...KEYS });
    const connection = { ...database.connection, host: "localhost", tls: tls("verify-full") };
    const error = await untilMessage(openMssql(connection, LIMITS));
    assert.match(error.message, /18456/);
    assert.equal(error.retry, "never");
  });
}

Deno.test("nobody listening is a connection failure that may be tried again", async () => {
  const database = await openFakeDatabase();
  const { connection } = database;
  await database[Symbol.asyncDispose]();
  const error = await untilMessage(openMssql(connection, LIMITS));
  assert.equal(error.code, "RIVET_SOURCE_CONNECT_FAILED");
  assert.equal(error.retry, "reconnect");
  assert.match(error.cure, /host and port/);
});

Deno.test("a server that never answers is given up after the connect timeout", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of silent) accepted.push(conn);
  })();
  try {
    const connection = {
      host: "127.0.0.1",
      port: silent.addr.port,
      user: "u",
      password: "p",
      database: "d",
      tls: null,
    };
    const error = await untilMessage(openMssql(connection, { ...LIMITS, connectTimeoutMs: 200 }));
    assert.equal(error.code, "RIVET_SOURCE_CONNECT_FAILED");
    assert.equal(error.retry, "reconnect");
  } finally {
    silent.close();
    await accepting;
    for (const conn of accepted) conn.close();
  }
});

Deno.test("a redirect is followed, and its target named when it cannot be reached", async () => {
  await using target = await openFakeDatabase();
  await using gateway = await openFakeDatabase({}, { login: () => ({ host: "127.0.0.1", port: target.server.port }) });
  {
    await using source = await gateway.open();
    assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
    assert.equal(target.server.counters.logins.length, 1);
  }
  await using astray = await openFakeDatabase({}, { login: () => ({ host: "127.0.0.1", port: 1 }) });
  const error = await untilMessage(astray.open());
  assert.match(error.message, /redirected to '127.0.0.1:1'/);
  assert.match(error.cure, /Proxy/);
});

Deno.test("what stands in between is found: nothing, a multiplexer, an Azure gateway", async () => {
  const cases: [DatabaseOptions, string | null][] = [
    [{}, null],
    [{ multiplexed: true }, "a multiplexing proxy"],
    [{ edition: 5 }, "an Azure SQL gateway"],
    [{ edition: 8 }, "an Azure SQL Managed Instance gateway"],
  ];
  for (const [options, proxy] of cases) {
    await using database = await openFakeDatabase(options);
    await using source = await database.open();
    assert.equal(source.proxy, proxy);
  }
});

Deno.test("consistency is stated: snapshot when allowed, slice with row versions, none without", async () => {
  const cases: [DatabaseOptions, string][] = [
    [{ snapshot: true }, "snapshot"],
    [{ snapshot: false, rowVersions: true }, "slice"],
    [{ snapshot: false, rowVersions: false }, "none"],
    [{ multiplexed: true, snapshot: true }, "none"],
  ];
  for (const [options, consistency] of cases) {
    await using database = await openFakeDatabase(options);
    await using source = await database.open();
    assert.equal(source.consistency, consistency);
    assert.equal(await source.begin(null), null);
    assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
    await source.end();
    const begun = database.server.counters.statements.some((sql) => /ISOLATION LEVEL SNAPSHOT/.test(sql));
    assert.equal(begun, consistency === "snapshot");
  }
});

Deno.test("lock waits end, counts come, and in a deadlock the export gives way", async () => {
  await using database = await openFakeDatabase();
  await using _source = await database.open({ lockTimeoutS: 1.5 });
  const settings = database.server.counters.statements.find((sql) => sql.includes("LOCK_TIMEOUT"))!;
  assert.match(settings, /SET LOCK_TIMEOUT 1500/);
  assert.match(settings, /SET NOCOUNT OFF/);
  assert.match(settings, /SET DEADLOCK_PRIORITY LOW/);
  await using _unlimited = await database.open({ lockTimeoutS: 0 });
  assert.ok(database.server.counters.statements.some((sql) => /SET LOCK_TIMEOUT -1/.test(sql)));
});

Deno.test("facts degrade to the plain catalog without VIEW DATABASE STATE", async () => {
  await using database = await openFakeDatabase({ hideStats: true });
  await database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY)");
  await database.run("INSERT INTO t VALUES (1), (2)");
  await using source = await database.open();
  const facts = await source.facts({ schema: null, name: "t" });
  assert.equal(facts?.rowsEstimate, 2);
  assert.ok(facts.bytes! > 0);
});

Deno.test("an abort ends the statement by an attention, and the session goes on", async () => {
  await using database = await openScripted(endlessRows);
  await using source = await database.open();
  const stop = new AbortController();
  const sink = keepRows({
    forget: true,
    wait() {
      if (this === undefined || sink.bytes > 100_000) stop.abort(new Error("enough"));
    },
  });
  await assert.rejects(source.read("SELECT test", sink, { ...READ, signal: stop.signal }), { message: "enough" });
  assert.equal(database.server.counters.attentions, 1);
  const after = sink.bytes;
  assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
  assert.equal(sink.bytes, after, "nothing is written after the end");
});

Deno.test("an abort is heard while the sink makes the source wait", async () => {
  await using database = await openScripted(endlessRows);
  await using source = await database.open();
  const stop = new AbortController();
  const never = Promise.withResolvers<void>();
  const sink = keepRows({
    forget: true,
    wait() {
      setTimeout(() => stop.abort(new Error("enough")), 1);
      return never.promise;
    },
  });
  await assert.rejects(source.read("SELECT test", sink, { ...READ, signal: stop.signal }), { message: "enough" });
  const after = sink.bytes;
  never.resolve();
  assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
  assert.equal(sink.bytes, after);
});

Deno.test("an aborted signal sends nothing", async () => {
  await using database = await openScripted(endlessRows);
  await using source = await database.open();
  const before = database.server.counters.statements.length;
  const signal = AbortSignal.abort(new Error("not at all"));
  await assert.rejects(source.read("SELECT test", keepRows(), { ...READ, signal }), { message: "not at all" });
  assert.equal(database.server.counters.statements.length, before);
});

Deno.test("a statement that runs too long is ended by an attention, also while its rows arrive", async () => {
  const silent = Promise.withResolvers<void>();
  const scripts: (() => Answer)[] = [
    endlessRows,
    function* () {
      yield { kind: "wait", until: silent.promise };
    },
  ];
  for (const script of scripts) {
    await using database = await openScripted(script);
    await using source = await database.open({ statementTimeoutS: 1 });
    const error = await untilMessage(source.read("SELECT test", keepRows({ forget: true }), READ));
    assert.equal(error.code, "RIVET_SOURCE_STATEMENT_TIMEOUT");
    assert.equal(error.retry, "never");
    assert.equal(database.server.counters.attentions, 1);
    assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
  }
});

Deno.test("a sink that fails ends the statement with its own error", async () => {
  await using database = await openScripted(endlessRows);
  await using source = await database.open();
  const sink = keepRows({
    wait() {
      throw new Error("the disk is full");
    },
  });
  await assert.rejects(source.read("SELECT test", sink, READ), { message: "the disk is full" });
  assert.equal(database.server.counters.attentions, 1);
  assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
});

Deno.test("a value that cannot be written ends the statement and names its column", async () => {
  await using database = await openScripted(function* () {
    yield column("nvarchar(20)");
    yield row("fine");
    yield row("broken \ud800");
    yield* endlessRows();
  });
  await using source = await database.open();
  await assert.rejects(source.read("SELECT test", keepRows(), READ), {
    code: "RIVET_SOURCE_VALUE_UNREPRESENTABLE",
    where: "column 'a'",
  });
  assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
});

const STATEMENT_ERRORS: readonly (readonly [number, string, string])[] = [
  [208, "RIVET_SOURCE_TABLE_NOT_FOUND", "never"],
  [207, "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ", "never"],
  [229, "RIVET_SOURCE_QUERY_FAILED", "never"],
  [1222, "RIVET_SOURCE_QUERY_FAILED", "same_connection"],
  [1205, "RIVET_SOURCE_QUERY_FAILED", "same_connection"],
  [701, "RIVET_SOURCE_QUERY_FAILED", "same_connection"],
  [3961, "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ", "never"],
  [40197, "RIVET_SOURCE_CONNECTION_LOST", "reconnect"],
  [40501, "RIVET_SOURCE_CONNECTION_LOST", "reconnect"],
  [49918, "RIVET_SOURCE_CONNECTION_LOST", "reconnect"],
  [8134, "RIVET_SOURCE_QUERY_FAILED", "never"],
];
for (const [number, code, retry] of STATEMENT_ERRORS) {
  Deno.test(`error ${number}, before a row or after some, is ${code}, retry ${retry}`, async () => {
    for (const rows of [0, 3]) {
      await using database = await openScripted(function* () {
        if (rows > 0) yield column("int");
        for (let i = 0; i < rows; i++) yield row(String(i));
        yield { kind: "message", number, message: "It went wrong." };
      });
      await using source = await database.open();
      const error = await untilMessage(source.read("SELECT test", keepRows(), READ));
      assert.equal(error.code, code);
      assert.equal(error.retry, retry);
      assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
    }
  });
}

Deno.test("an error of class 20 ends the connection and may be tried on a new one", async () => {
  await using database = await openScripted(function* () {
    yield column("int");
    yield row("1");
    yield { kind: "message", number: 21, message: "Warning: Fatal error occurred.", severity: 21 };
  });
  await using source = await database.open();
  const error = await untilMessage(source.read("SELECT test", keepRows(), READ));
  assert.equal(error.code, "RIVET_SOURCE_CONNECTION_LOST");
  assert.equal(error.retry, "reconnect");
});

Deno.test("a connection cut in the middle of a row is lost, and no row is taken for complete", async () => {
  await using database = await openScripted(function* () {
    yield column("nvarchar(max)");
    for (let i = 0; i < 500; i++) yield row("x".repeat(500));
    yield { kind: "cut" };
  });
  await using source = await database.open();
  const error = await untilMessage(source.read("SELECT test", keepRows({ forget: true }), READ));
  assert.equal(error.code, "RIVET_SOURCE_CONNECTION_LOST");
  assert.equal(error.retry, "reconnect");
  const next = await untilMessage(source.rows("SELECT 1"));
  assert.equal(next.code, "RIVET_SOURCE_CONNECTION_LOST");
});

Deno.test("a deadlock inside a picture loses it: the next try needs a new connection", async () => {
  await using database = await openScripted(function* () {
    yield { kind: "transaction", change: "ROLLBACK" };
    yield { kind: "message", number: 1205, message: "Deadlock victim.", severity: 13 };
  });
  await using source = await database.open();
  await source.begin(null);
  assert.equal(source.consistency, "snapshot");
  const error = await untilMessage(source.read("SELECT test", keepRows(), READ));
  assert.equal(error.retry, "reconnect");
  assert.equal(source.consistency, "slice");
});

Deno.test("a slow sink holds the server back", async () => {
  const sent = { rows: 0 };
  await using database = await openScripted(function* () {
    yield column("nvarchar(1000)");
    for (; sent.rows < 100_000; sent.rows++) yield row("x".repeat(1000));
  });
  await using source = await database.open();
  const release = Promise.withResolvers<void>();
  let waits = 0;
  const sink = keepRows({ forget: true, wait: () => ++waits === 1 ? release.promise : undefined });
  const reading = source.read("SELECT test", sink, READ);
  // Nothing moves any more once the buffers of both sides are full.
  let before = -1;
  for (let quiet = 0; quiet < 5; quiet = sent.rows === before && before > 0 ? quiet + 1 : 0) {
    before = sent.rows;
    await new Promise((go) => setTimeout(go, 50));
  }
  assert.ok(sent.rows < 50_000, `the server sent ${sent.rows} of 100000 rows against a stopped sink`);
  release.resolve();
  assert.equal((await reading).rows, 100_000);
});

Deno.test("the throttle waits after every full batch, and not after the last rows", async () => {
  await using database = await openScripted(function* () {
    yield column("int");
    for (let i = 0; i < 50; i++) yield row(String(i));
  });
  await using source = await database.open();
  const options: ReadOptions = { ...READ, batchRows: 1_000_000, throttleMs: 60_000 };
  assert.equal((await source.read("SELECT test", keepRows(), options)).rows, 50);
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("still waiting")), 300);
  const waiting = source.read("SELECT test", keepRows(), { ...options, batchRows: 10, signal: stop.signal });
  await assert.rejects(waiting, { message: "still waiting" });
});

Deno.test("rows split over the smallest packets, with NULLs in a bitmap, are the same rows", async () => {
  await using database = await openFakeDatabase({}, { packetBytes: 512, bitmapRows: true });
  await database.run(
    "CREATE TABLE t (id int NOT NULL PRIMARY KEY, a nvarchar(max), b decimal(30,10), c varbinary(600))",
  );
  const values: string[] = [];
  for (let i = 0; i < 40; i++) {
    values.push(
      `(${i}, ${i % 3 ? `N'${"é".repeat(i * 40)}'` : "NULL"}, ${i % 5 ? i / 2 : "NULL"}, ${i % 7 ? "0x00FB" : "NULL"})`,
    );
  }
  await database.run(`INSERT INTO t VALUES ${values.join(", ")}`);
  await using source = await database.open();
  const sink = keepRows();
  const report = await source.read("SELECT * FROM t", sink, READ);
  assert.equal(report.rows, 40);
  assert.ok(report.bytesRead > 10_000);
  assert.equal(report.statements, 1);
  const fields = sink.fields();
  for (let i = 0; i < 40; i++) {
    const [, a, b, c] = fields.slice(4 * i, 4 * i + 4);
    assert.equal(a === null ? null : new TextDecoder().decode(a), i % 3 ? "é".repeat(i * 40) : null);
    assert.equal(b === null ? null : Number(new TextDecoder().decode(b)), i % 5 ? i / 2 : null);
    assert.deepEqual(c, i % 7 ? Uint8Array.of(0, 0xfb) : null);
  }
});

Deno.test("a value above max_value_mb is refused and the session goes on", async () => {
  await using database = await openScripted(function* () {
    yield column("nvarchar(max)");
    yield row("x".repeat(3_000_000));
  });
  await using source = await database.open();
  const error = await untilMessage(source.read("SELECT test", keepRows(), { ...READ, maxValueBytes: 2 << 20 }));
  assert.equal(error.code, "RIVET_VALUE_TOO_LARGE");
  assert.equal((await source.read("SELECT test", keepRows(), { ...READ, maxValueBytes: 4 << 20 })).rows, 1);
});

Deno.test("a server that does not answer an attention loses the connection, not the program", async () => {
  await using database = await openScripted(endlessRows, {}, { deaf: true });
  await using source = await database.open();
  const stop = new AbortController();
  const sink = keepRows({ forget: true, wait: () => stop.abort(new Error("enough")) });
  await assert.rejects(source.read("SELECT test", sink, { ...READ, signal: stop.signal }), { message: "enough" });
  assert.equal((await untilMessage(source.rows("SELECT 1"))).code, "RIVET_SOURCE_CONNECTION_LOST");
});

Deno.test("a column that became another kind since it was described is refused before a row leaves", async () => {
  await using database = await openFakeDatabase();
  await database.run("CREATE TABLE t (a varbinary(9), b int)");
  await database.run("INSERT INTO t VALUES (0x61, 1)");
  await using source = await database.open();
  const sql = "SELECT [a], [b] FROM t";
  assert.equal((await source.read(sql, keepRows(), { ...READ, wires: ["bytes", "text"] })).rows, 1);
  for (const wires of [["text", "text"], ["bytes", "bytes"], ["bytes", "text", "text"]]) {
    const sink = keepRows();
    const error = await untilMessage(source.read(sql, sink, { ...READ, wires }));
    assert.equal(error.code, "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ");
    assert.equal(sink.bytes, 0);
  }
  assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
});
