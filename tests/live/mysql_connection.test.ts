// Logging in to real servers: passwords, names, TLS, and what is said when it does not work.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import type { ServerConnection, TlsOptions } from "../../src/source/mod.ts";
import { openMysql } from "../../src/source/mysql/mod.ts";
import { CERTS } from "../support/certs.ts";
import { openMysqlServers, testMysql } from "../support/mariadb.ts";
import { collectRows } from "../support/mysql_packets.ts";

const servers = await openMysqlServers();
const limits = { statementTimeoutS: 60, lockTimeoutS: 10, connectTimeoutMs: 30_000 };
const options = { batchRows: 10_000, batchBytes: 1 << 20, throttleMs: 0, signal: new AbortController().signal };

async function readTexts(connection: ServerConnection, sql: string): Promise<(string | null)[][]> {
  await using source = await openMysql(connection, limits);
  await source.begin(null);
  const sink = collectRows();
  const report = await source.read(sql, sink, options);
  assert.equal(report.rows, sink.rows.length);
  return sink.texts();
}

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof RivetError, `${error}`);
    return error.code;
  }
  return "no error";
}

const PASSWORDS = [
  Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join(""),
  "ünï¢ødé-密碼-🔑",
  "trailing space ",
  "%41%00%zz",
  "x",
];

testMysql(servers, "a password with every special character logs in", async (db) => {
  for (const [i, password] of PASSWORDS.entries()) {
    const user = `u${i}_${db.name.slice(2, 12)}`;
    const literal = password.replaceAll("\\", "\\\\").replaceAll("'", "''");
    await db.run(`CREATE USER ${user}@'%' IDENTIFIED BY '${literal}'; GRANT SELECT ON ${db.name}.* TO ${user}@'%'`);
    try {
      const rows = await readTexts({ ...db.connection, user, password }, "SELECT CURRENT_USER()");
      assert.deepEqual(rows, [[`${user}@%`]], `password ${i}`);
      assert.equal(
        await codeOf(() => openMysql({ ...db.connection, user, password: `${password}!` }, limits)),
        "RIVET_SOURCE_CONNECT_FAILED",
      );
    } finally {
      await db.run(`DROP USER ${user}@'%'`);
    }
  }
});

testMysql(servers, "a database name with quotes and a table named `select` are read", async (db) => {
  const name = `q'"\`; -- ${db.name}`;
  const quoted = `\`${name.replaceAll("`", "``")}\``;
  await db.run(
    `CREATE DATABASE ${quoted}; CREATE TABLE ${quoted}.\`select\` (\`fr\`\`om\` int PRIMARY KEY, \`ü "x"\` text);
    INSERT INTO ${quoted}.\`select\` VALUES (1, 'one')`,
  );
  try {
    await using source = await openMysql({ ...db.connection, database: name }, limits);
    const table = { kind: "table", schema: null, name: "select" } as const;
    const { columns } = await source.describe(table);
    assert.deepEqual(columns.map((c) => [c.name, c.select, c.nativeType, c.notNull]), [
      ["fr`om", "`fr``om`", columns[0]!.nativeType, true],
      ['ü "x"', '`ü "x"`', "text", false],
    ]);
    const facts = await source.facts(table);
    assert.equal(facts?.schema, name);
    assert.deepEqual(facts?.keys, [{
      name: "PRIMARY",
      columns: ["fr`om"],
      primary: true,
      unique: true,
      notNull: true,
    }]);
    const sink = collectRows();
    await source.begin(null);
    await source.read(`SELECT ${columns.map((c) => c.select).join(", ")} FROM \`select\``, sink, options);
    assert.deepEqual(sink.texts(), [["1", "one"]]);
  } finally {
    await db.run(`DROP DATABASE ${quoted}`);
  }
});

const TLS: { name: string; host: string; tls: TlsOptions; ok: boolean }[] = [
  { name: "require", host: "127.0.0.1", tls: { mode: "require", ca: null, acceptInvalidHostnames: false }, ok: true },
  {
    name: "require with a CA that signed nothing",
    host: "127.0.0.1",
    tls: { mode: "require", ca: CERTS.otherCa, acceptInvalidHostnames: false },
    ok: true,
  },
  {
    name: "verify-ca by address",
    host: "127.0.0.1",
    tls: { mode: "verify-ca", ca: CERTS.ca, acceptInvalidHostnames: false },
    ok: true,
  },
  {
    name: "verify-ca with another CA",
    host: "localhost",
    tls: { mode: "verify-ca", ca: CERTS.otherCa, acceptInvalidHostnames: false },
    ok: false,
  },
  {
    name: "verify-ca with the system's CAs",
    host: "localhost",
    tls: { mode: "verify-ca", ca: null, acceptInvalidHostnames: false },
    ok: false,
  },
  {
    name: "verify-full by name",
    host: "localhost",
    tls: { mode: "verify-full", ca: CERTS.ca, acceptInvalidHostnames: false },
    ok: true,
  },
  {
    // The driver alone would check the name "localhost" here and accept the certificate.
    name: "verify-full by an address the certificate does not name",
    host: "127.0.0.1",
    tls: { mode: "verify-full", ca: CERTS.ca, acceptInvalidHostnames: false },
    ok: false,
  },
  {
    name: "verify-full by a server name that is not the host",
    host: "127.0.0.1",
    tls: { mode: "verify-full", ca: CERTS.ca, acceptInvalidHostnames: false, serverName: "localhost" },
    ok: true,
  },
  {
    name: "verify-full by a server name that the certificate does not have",
    host: "localhost",
    tls: { mode: "verify-full", ca: CERTS.ca, acceptInvalidHostnames: false, serverName: "elsewhere" },
    ok: false,
  },
  {
    name: "verify-full by address, names not checked",
    host: "127.0.0.1",
    tls: { mode: "verify-full", ca: CERTS.ca, acceptInvalidHostnames: true },
    ok: true,
  },
  {
    name: "verify-full with another CA",
    host: "localhost",
    tls: { mode: "verify-full", ca: CERTS.otherCa, acceptInvalidHostnames: false },
    ok: false,
  },
  {
    name: "verify-full with the system's CAs",
    host: "localhost",
    tls: { mode: "verify-full", ca: null, acceptInvalidHostnames: false },
    ok: false,
  },
];

const withTls = servers.filter((server) => server.tls);

for (const { name, host, tls, ok } of TLS) {
  testMysql(withTls, `TLS ${name} is ${ok ? "accepted and encrypts" : "refused"}`, async (db) => {
    const connection = { ...db.connection, host, tls };
    if (!ok) return assert.equal(await codeOf(() => openMysql(connection, limits)), "RIVET_SOURCE_CONNECT_FAILED");
    await using source = await openMysql(connection, limits);
    const [status] = await source.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
    assert.notEqual(status?.[1], "");
    // Rows larger than any buffer on the way.
    const sink = collectRows();
    await source.read("SELECT REPEAT('x', 1000000), 1 UNION ALL SELECT REPEAT('y', 1000000), 2", sink, options);
    assert.deepEqual(sink.rows.map((row) => row[0]?.length), [1_000_000, 1_000_000]);
    assert.deepEqual(await source.rows("SELECT 'still there'"), [["still there"]]);
  });
}

testMysql(withTls, "a certificate of the system's CAs is accepted for its own name only", async (db) => {
  const door = new URL("../../src/source/mysql/mod.ts", import.meta.url).href;
  const script = `
    import { openMysql } from ${JSON.stringify(door)};
    const connection = ${JSON.stringify(db.connection)};
    const tls = { mode: "verify-full", ca: null, acceptInvalidHostnames: false };
    for (const host of ["localhost", "127.0.0.1"]) {
      try {
        await using source = await openMysql({ ...connection, host, tls }, ${JSON.stringify(limits)});
        console.log(host, (await source.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))[0][1] !== "");
      } catch (error) {
        console.log(host, error.code);
      }
    }`;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--cached-only", "--config", config, "-"],
    env: { DENO_CERT: new URL("../support/certs/ca.pem", import.meta.url).pathname, NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  const { stdout } = await child.output();
  assert.equal(new TextDecoder().decode(stdout), "localhost true\n127.0.0.1 RIVET_SOURCE_CONNECT_FAILED\n");
});

testMysql(withTls, "an account that demands TLS is refused in plaintext", async (db) => {
  const user = `s_${db.name.slice(2, 12)}`;
  await db.run(`CREATE USER ${user}@'%' IDENTIFIED BY 'p' REQUIRE SSL`);
  try {
    const connection = { ...db.connection, user, password: "p", database: "" };
    assert.equal(await codeOf(() => openMysql(connection, limits)), "RIVET_SOURCE_CONNECT_FAILED");
    const tls = { mode: "require", ca: null, acceptInvalidHostnames: false } as const;
    await using source = await openMysql({ ...connection, tls }, limits);
    assert.equal((await source.rows("SELECT 1"))[0]?.[0], "1");
  } finally {
    await db.run(`DROP USER ${user}@'%'`);
  }
});

testMysql(servers, "what cannot be reached or logged in to says so", async (db) => {
  const { connection } = db;
  const attempts: [string, ServerConnection][] = [
    ["unknown database", { ...connection, database: `no_${db.name}` }],
    ["unknown user", { ...connection, user: "nobody_here" }],
    ["no password", { ...connection, password: null }],
    ["nothing listens", { ...connection, port: 1 }],
    ["no such host", { ...connection, host: "no-such-host.invalid" }],
  ];
  for (const [name, wrong] of attempts) {
    assert.equal(await codeOf(() => openMysql(wrong, limits)), "RIVET_SOURCE_CONNECT_FAILED", name);
  }
});

Deno.test("a server that never greets is given up in time", async () => {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const accepted = listener.accept();
  const connection = {
    host: "127.0.0.1",
    port: listener.addr.port,
    user: "u",
    password: null,
    database: "",
    tls: null,
  };
  const error = await openMysql(connection, { ...limits, connectTimeoutMs: 100 }).then(() => null, (e) => e);
  assert.ok(error instanceof RivetError);
  assert.equal(error.code, "RIVET_SOURCE_CONNECT_FAILED");
  assert.equal(error.retry, "reconnect");
  (await accepted).close();
});

Deno.test("TLS is demanded of a server that offers none", async () => {
  // A greeting without the TLS flag, as a server with TLS switched off sends it.
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const served = listener.accept().then(async (conn) => {
    const text = (s: string) => new TextEncoder().encode(s);
    const body = [10, ...text("8.0.0"), 0, 1, 0, 0, 0, ...text("abcdefgh"), 0, 0xff, 0xf7, 45, 2, 0, 0xff, 0x80, 21];
    body.push(...new Array(10).fill(0), ...text("ijklmnopqrst"), 0, ...text("mysql_native_password"), 0);
    await conn.write(new Uint8Array([body.length, 0, 0, 0, ...body]));
    const rest = await conn.read(new Uint8Array(1000)).catch(() => null);
    conn.close();
    return rest;
  });
  const tls = { mode: "require", ca: null, acceptInvalidHostnames: false } as const;
  const connection = { host: "127.0.0.1", port: listener.addr.port, user: "u", password: "secret", database: "", tls };
  assert.equal(await codeOf(() => openMysql(connection, limits)), "RIVET_SOURCE_CONNECT_FAILED");
  // Not a byte was answered, so no password in the clear either.
  assert.equal(await served, null);
});
