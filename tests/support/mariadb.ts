// Real servers for the live MySQL tests: MariaDB from the system's package as a plain process on a free loopback port, and a real MySQL
// when RIVET_TEST_MYSQL_URL names one. One MariaDB serves the whole test process; it ends, and its folder goes, with that process.

import mysql from "mysql2/promise";
import type { ServerConnection } from "../../src/source/mod.ts";
import { CERTS } from "./certs.ts";
import { sharedHome, startWatcher, withFreePort } from "./daemon.ts";

export interface MysqlServer {
  readonly name: "mariadb" | "mysql";
  /** An account with all rights, on the database `mysql`. */
  readonly connection: ServerConnection;
  /** The server has the test certificate for `localhost`. */
  readonly tls: boolean;
}

export interface MysqlDatabase {
  readonly name: string;
  readonly server: MysqlServer;
  readonly connection: ServerConnection;
  /** Runs statements separated by `;` with all rights; the rows of the last one as text. */
  run(sql: string): Promise<(string | null)[][]>;
}

const PASSWORD = "it's a `test`";

/** The servers to test against; empty when there is none. In CI a missing MariaDB is an error. */
export async function openMysqlServers(): Promise<MysqlServer[]> {
  const servers: MysqlServer[] = [];
  const mariadb = await openMariadb();
  if (mariadb !== null) servers.push(mariadb);
  else if (Deno.env.get("CI") === "true") throw new Error("mariadbd is not installed");
  const url = Deno.env.get("RIVET_TEST_MYSQL_URL");
  if (url !== undefined) servers.push({ name: "mysql", connection: parseUrl(url), tls: false });
  return servers;
}

function parseUrl(text: string): ServerConnection {
  const url = new URL(text);
  return {
    host: url.hostname,
    port: Number(url.port === "" ? "3306" : url.port),
    user: decodeURIComponent(url.username),
    password: url.password === "" ? null : decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    tls: null,
  };
}

async function openMariadb(): Promise<MysqlServer | null> {
  if (!await isInstalled()) return null;
  const home = sharedHome("mariadb");
  const ready = `${home}/ready.json`;
  try {
    await Deno.mkdir(home);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // Another test file of this process starts it or has started it.
    for (let tries = 0; tries < 1200; tries++) {
      const text = await Deno.readTextFile(ready).catch(() => null);
      if (text !== null) return JSON.parse(text);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`MariaDB did not start in ${home}`);
  }
  let server: MysqlServer;
  try {
    server = await startMariadb(home, []);
  } catch (error) {
    // The next test file tries for itself.
    await Deno.remove(home, { recursive: true });
    throw error;
  }
  await Deno.writeTextFile(`${ready}.new`, JSON.stringify(server));
  await Deno.rename(`${ready}.new`, ready);
  return server;
}

/** A server of one's own with extra options, for benchmarks and for settings that other tests must not see. */
export async function openPrivateMariadb(options: readonly string[]): Promise<MysqlServer> {
  return await startMariadb(await Deno.makeTempDir({ prefix: "rivet-mariadb-" }), options);
}

async function isInstalled(): Promise<boolean> {
  try {
    return (await new Deno.Command("mariadbd", { args: ["--version"], stdout: "null", stderr: "null" }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function startMariadb(home: string, options: readonly string[]): Promise<MysqlServer> {
  const data = `${home}/data`;
  const user = Deno.uid() === 0 ? ["--user=mysql"] : [];
  await Deno.mkdir(data);
  await Deno.writeTextFile(`${home}/server.pem`, CERTS.serverCert);
  await Deno.writeTextFile(`${home}/server.key`, CERTS.serverKey, { mode: 0o600 });
  if (user.length > 0) await must("chown", ["-R", "mysql", home]);
  await must("mariadb-install-db", [
    "--no-defaults",
    ...user,
    `--datadir=${data}`,
    "--auth-root-authentication-method=normal",
  ]);
  const connection = await withFreePort((port) => startOnPort(home, data, port, [...user, ...options]));
  await runSql(
    connection,
    `DELETE FROM mysql.global_priv WHERE User = ''; FLUSH PRIVILEGES;
    CREATE USER tester@'%' IDENTIFIED BY '${
      PASSWORD.replaceAll("'", "''")
    }'; GRANT ALL ON *.* TO tester@'%' WITH GRANT OPTION`,
  );
  return { name: "mariadb", connection: { ...connection, user: "tester", password: PASSWORD }, tls: true };
}

async function startOnPort(
  home: string,
  data: string,
  port: number,
  options: readonly string[],
): Promise<ServerConnection> {
  const args = [
    "--no-defaults",
    `--datadir=${data}`,
    `--socket=${data}/s`,
    `--pid-file=${data}/pid`,
    `--log-error=${home}/server.log`,
    `--port=${port}`,
    "--bind-address=127.0.0.1",
    `--ssl-cert=${home}/server.pem`,
    `--ssl-key=${home}/server.key`,
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=256M",
    "--character-set-server=utf8mb4",
    // Far from UTC, so that a session that forgot to set its zone shows.
    "--default-time-zone=+03:00",
    ...options,
  ];
  const ended = `${home}/ended-${port}`;
  // The shell outlives us by a second: it ends the server once this process is gone, however it went.
  await startWatcher(
    `mariadbd "$@" & p=$!
    while kill -0 ${Deno.pid} 2>/dev/null && kill -0 $p 2>/dev/null; do sleep 1; done
    touch '${ended}'; kill $p 2>/dev/null; wait $p
    while kill -0 ${Deno.pid} 2>/dev/null; do sleep 1; done; rm -rf '${home}'`,
    args,
  );
  const connection = { host: "127.0.0.1", port, user: "root", password: null, database: "mysql", tls: null };
  for (let tries = 0; tries < 1200 && !await Deno.stat(ended).then(() => true, () => false); tries++) {
    if (await runSql(connection, "SELECT 1").then(() => true, () => false)) return connection;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`MariaDB did not start, see ${home}/server.log`);
}

/** Gives `body` a database of its own and drops it afterwards. */
export async function withMysqlDatabase(
  server: MysqlServer,
  body: (db: MysqlDatabase) => Promise<void>,
): Promise<void> {
  const name = `t_${crypto.randomUUID().replaceAll("-", "")}`;
  await runSql(server.connection, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  const connection = { ...server.connection, database: name };
  try {
    await body({ name, server, connection, run: (sql) => runSql(connection, sql) });
  } finally {
    await runSql(server.connection, `DROP DATABASE ${name}`);
  }
}

/** Runs statements on a connection of their own; the rows of the last one, every value as text. */
export async function runSql(connection: ServerConnection, sql: string): Promise<(string | null)[][]> {
  const client = await mysql.createConnection({
    host: connection.host,
    port: connection.port,
    user: connection.user,
    database: connection.database,
    ...(connection.password === null ? {} : { password: connection.password }),
    charset: "UTF8MB4_GENERAL_CI",
    multipleStatements: true,
    rowsAsArray: true,
    disableEval: true,
    typeCast: (field) => field.string(),
  });
  try {
    const [result] = await client.query(sql);
    const last = Array.isArray(result) && isMany(result) ? result.at(-1) : result;
    return Array.isArray(last) ? last as (string | null)[][] : [];
  } finally {
    await client.end();
  }
}

/** Several statements give a list of results; one gives its rows, each a list of values. */
function isMany(result: unknown[]): boolean {
  return result.some((one) => !Array.isArray(one) || Array.isArray(one[0]));
}

async function must(command: string, args: string[]): Promise<void> {
  const output = await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output();
  if (!output.success) throw new Error(`${command} ${args.join(" ")} ended with ${output.code}`);
}

/** One test per server, in a database of its own; without any server one ignored test says so. */
export function testMysql(
  servers: readonly MysqlServer[],
  name: string,
  body: (db: MysqlDatabase) => Promise<void>,
): void {
  if (servers.length === 0) Deno.test({ name: `mysql: ${name}`, ignore: true, fn() {} });
  for (const server of servers) {
    Deno.test(`${server.name}: ${name}`, () => withMysqlDatabase(server, body));
  }
}
