// Logging in to real servers: passwords, names, the TLS matrix, and what is said when it does not work.

import assert from "node:assert/strict";
import { type RetryClass, RivetError } from "../../src/errors.ts";
import { openPostgres } from "../../src/source/postgres/mod.ts";
import type { ServerConnection, TlsOptions } from "../../src/source/mod.ts";
import { CERTS } from "../support/certs.ts";
import { openPgSink } from "../support/pg_sink.ts";
import { openPostgresServer, runSql } from "../support/postgres.ts";

const modern = await openPostgresServer(18);
const plain = await openPostgresServer(12);
const limits = { statementTimeoutS: 60, lockTimeoutS: 10, connectTimeoutMs: 30_000 };
const options = { batchRows: 10_000, batchBytes: 1 << 20, throttleMs: 0, signal: new AbortController().signal };
const ignore = modern === null || plain === null;

function over(changes: Partial<ServerConnection>): ServerConnection {
  return { ...modern!.connection, ...changes };
}

function tls(mode: TlsOptions["mode"], ca: string | null = null, acceptInvalidHostnames = false): TlsOptions {
  return { mode, ca, acceptInvalidHostnames };
}

/** Reads rows through the whole path and says whether the server saw TLS. */
async function readOver(connection: ServerConnection): Promise<string> {
  await using source = await openPostgres(connection, limits);
  const sink = openPgSink();
  const report = await source.read("SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g", sink, options);
  assert.equal(report.rows, 20_000);
  assert.equal(sink.rows, 20_000);
  assert.equal(report.bytesRead, sink.bytes);
  const rows = await source.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
  return rows[0]![0] === "t" ? "tls" : "plain";
}

async function errorOf(work: () => Promise<unknown>): Promise<RivetError> {
  const error = await work().then(() => null, (e) => e);
  assert.ok(error instanceof RivetError, `${error}`);
  return error;
}

async function refused(connection: ServerConnection, retry: RetryClass = "never"): Promise<RivetError> {
  const error = await errorOf(() => openPostgres(connection, limits));
  assert.equal(error.code, "RIVET_SOURCE_CONNECT_FAILED");
  assert.equal(error.retry, retry);
  assert.ok(!JSON.stringify([error.message, error.cure, error.where]).includes(modern!.connection.password!));
  return error;
}

const ACCEPTED: [name: string, changes: Partial<ServerConnection>, seen: string][] = [
  ["plaintext", { tls: null }, "plain"],
  ["require without any CA", { tls: tls("require") }, "tls"],
  ["require ignores a CA that signed nothing", { tls: tls("require", CERTS.otherCa) }, "tls"],
  ["verify-ca under another name", { tls: tls("verify-ca", CERTS.ca) }, "tls"],
  ["verify-full by name", { host: "localhost", tls: tls("verify-full", CERTS.ca) }, "tls"],
  [
    "verify-full by a server name that is not the host",
    { host: "127.0.0.1", tls: { ...tls("verify-full", CERTS.ca), serverName: "localhost" } },
    "tls",
  ],
  ["verify-full that accepts invalid host names", { tls: tls("verify-full", CERTS.ca, true) }, "tls"],
  ["a role that must use TLS", { user: "tls_only", tls: tls("require") }, "tls"],
  ["a role that must not use TLS", { user: "plain_only", tls: null }, "plain"],
];

for (const [name, changes, seen] of ACCEPTED) {
  Deno.test({ name: `rows are read over ${name}`, ignore }, async () => {
    assert.equal(await readOver(over(changes)), seen);
  });
}

const REFUSED: [name: string, changes: Partial<ServerConnection>, says: RegExp][] = [
  ["verify-ca with a CA that signed nothing", { tls: tls("verify-ca", CERTS.otherCa) }, /certificate/],
  ["verify-ca with the public roots only", { tls: tls("verify-ca") }, /certificate/],
  [
    "verify-full with a CA that signed nothing",
    { host: "localhost", tls: tls("verify-full", CERTS.otherCa) },
    /certificate/,
  ],
  [
    "verify-full by a server name that the certificate does not have",
    { host: "localhost", tls: { ...tls("verify-full", CERTS.ca), serverName: "elsewhere" } },
    /certificate/,
  ],
  ["verify-full with the public roots only", { host: "localhost", tls: tls("verify-full") }, /certificate/],
  [
    "verify-full under a name the certificate does not have",
    { host: "127.0.0.1", tls: tls("verify-full", CERTS.ca) },
    /not valid for name/,
  ],
  [
    "a lenient verify-full with a CA that signed nothing",
    { tls: tls("verify-full", CERTS.otherCa, true) },
    /certificate/,
  ],
  ["plaintext for a role that must use TLS", { user: "tls_only", tls: null }, /28000/],
  ["TLS for a role that must not use it", { user: "plain_only", tls: tls("require") }, /28000/],
  ["a wrong password", { password: "wrong" }, /28P01/],
  ["a wrong password over TLS", { password: "wrong", tls: tls("require") }, /28P01/],
  ["an empty password", { password: "" }, /asks for a password/],
  ["no password where one is asked for", { password: null }, /asks for a password/],
  ["a role that does not exist", { user: "nobody at all" }, /28P01/],
  ["a database that does not exist", { database: "nowhere" }, /3D000/],
  ["a host name that does not exist", { host: "nowhere.invalid" }, /Cannot connect/],
];

for (const [name, changes, says] of REFUSED) {
  Deno.test({ name: `a connection with ${name} is refused for good`, ignore }, async () => {
    const error = await refused(over(changes));
    assert.match(error.message, says);
    assert.notEqual(error.where, null);
  });
}

for (const mode of ["require", "verify-ca", "verify-full"] as const) {
  Deno.test({ name: `a server without TLS is named as such under ${mode}`, ignore }, async () => {
    const error = await refused({ ...plain!.connection, host: "localhost", tls: tls(mode, CERTS.ca) });
    assert.match(error.message, /does not offer TLS/);
    assert.match(error.cure, /mode: disable/);
  });
}

Deno.test({ name: "the oldest server is read in plaintext", ignore }, async () => {
  assert.equal(await readOver(plain!.connection), "plain");
});

Deno.test({ name: "a refused connection may be tried again", ignore }, async () => {
  await refused(over({ port: 1 }), "reconnect");
  await refused(over({ port: 1, tls: tls("require") }), "reconnect");
});

/** Accepts connections and does with each what it is told. */
async function withListener(
  answer: (conn: Deno.Conn) => Promise<void> | void,
  body: (port: number) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      open.push(conn);
      await answer(conn);
    }
  })();
  try {
    await body((listener.addr as Deno.NetAddr).port);
  } finally {
    listener.close();
    await accepting;
    for (const conn of open) {
      try {
        conn.close();
      } catch {
        // The answer closed it.
      }
    }
  }
}

for (const options of [null, tls("require"), tls("verify-full", CERTS.ca)]) {
  const over = options === null ? "plaintext" : options.mode;
  Deno.test({ name: `a server that never answers ends with the connect timeout (${over})`, ignore }, async () => {
    await withListener(() => {}, async (port) => {
      const connection = { ...modern!.connection, host: "localhost", port, tls: options };
      const error = await errorOf(() => openPostgres(connection, { ...limits, connectTimeoutMs: 200 }));
      assert.equal(error.code, "RIVET_SOURCE_CONNECT_FAILED");
      assert.equal(error.retry, "reconnect");
      assert.match(error.message, /in time/);
    });
  });

  Deno.test({ name: `a server that hangs up during the login may be tried again (${over})`, ignore }, async () => {
    await withListener(async (conn) => {
      await conn.read(new Uint8Array(64));
      conn.close();
    }, async (port) => {
      const connection = { ...modern!.connection, host: "localhost", port, tls: options };
      const error = await errorOf(() => openPostgres(connection, limits));
      assert.equal(error.code, "RIVET_SOURCE_CONNECT_FAILED");
      assert.equal(error.retry, "reconnect");
    });
  });
}

Deno.test({ name: "a server out of connections may be tried again later", ignore }, async () => {
  const role = `few_${crypto.randomUUID().slice(0, 8)}`;
  await runSql(modern!.connection, `CREATE ROLE ${role} LOGIN PASSWORD 'p' CONNECTION LIMIT 1`);
  try {
    const connection = over({ user: role, password: "p" });
    await using _first = await openPostgres(connection, limits);
    const error = await errorOf(() => openPostgres(connection, limits));
    assert.equal(error.code, "RIVET_SOURCE_CONNECT_FAILED");
    assert.equal(error.retry, "reconnect");
    assert.ok(error.retryDelayMs >= 10_000);
  } finally {
    await runSql(
      modern!.connection,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'; DROP ROLE ${role}`,
    );
  }
});

const PASSWORDS = [
  Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join(""),
  "ünï¢ødé-密碼-🔑",
  " leading and trailing ",
  "%41%00%zz",
];

/** The server asks `md5_only` for an MD5 hash, as old ones do by default, and everybody else for SCRAM. */
for (const [role, method] of [["scram_only", "scram-sha-256"], ["md5_only", "md5"]]) {
  Deno.test({ name: `passwords of every kind log in (${method})`, ignore }, async () => {
    try {
      await runSql(plain!.connection, `CREATE ROLE ${role} LOGIN`);
      for (const password of PASSWORDS) {
        const literal = `E'${password.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
        await runSql(
          plain!.connection,
          `SET password_encryption = '${method}'; ALTER ROLE ${role} PASSWORD ${literal}`,
        );
        await using source = await openPostgres({ ...plain!.connection, user: role!, password }, limits);
        assert.deepEqual(await source.rows("SELECT session_user"), [[role]]);
      }
    } finally {
      await runSql(plain!.connection, `DROP ROLE ${role}`);
    }
  });
}

Deno.test({ name: "nothing in the environment changes a connection", ignore }, async () => {
  const hostile: Record<string, string> = {
    PGHOST: "nowhere.invalid",
    PGPORT: "1",
    PGUSER: "nobody at all",
    PGPASSWORD: modern!.connection.password!,
    PGDATABASE: "nowhere",
    PGOPTIONS: "-c search_path=pg_toast",
    PGAPPNAME: "other",
    PGCLIENT_ENCODING: "LATIN1",
    PGSSLMODE: "verify-full",
    PGSSLNEGOTIATION: "direct",
    PGREPLICATION: "database",
  };
  const before = new Map(Object.keys(hostile).map((name) => [name, Deno.env.get(name)]));
  for (const [name, value] of Object.entries(hostile)) Deno.env.set(name, value);
  try {
    await refused(over({ password: null }));
    await using source = await openPostgres(modern!.connection, limits);
    assert.deepEqual(
      await source.rows(
        "SELECT session_user, current_database(), current_setting('application_name'), current_setting('client_encoding'), current_setting('search_path')",
      ),
      [["postgres", "postgres", "rivet", "UTF8", '"$user", public']],
    );
  } finally {
    for (const [name, value] of before) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  }
});

Deno.test({ name: "a lane's Worker needs no right but the server's address", ignore }, async () => {
  const { host, port } = modern!.connection;
  const worker = new Worker(new URL("../support/pg_worker.ts", import.meta.url), {
    type: "module",
    deno: {
      permissions: {
        net: [`${host}:${port}`],
        read: false,
        write: false,
        env: false,
        sys: false,
        run: false,
        ffi: false,
        import: false,
      },
    },
  } as WorkerOptions);
  try {
    const answer = new Promise<unknown>((resolve, reject) => {
      worker.onmessage = (event) => resolve(event.data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
    });
    worker.postMessage({ ...modern!.connection, tls: tls("require") });
    assert.deepEqual(await answer, { rows: 1000, text: [["1"]] });
  } finally {
    worker.terminate();
  }
});
