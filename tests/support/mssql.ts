// Databases for the live SQL Server tests: the fake always, and a real server when RIVET_TEST_MSSQL_URL names one.

import { openMssql } from "../../src/source/mssql/mod.ts";
import type { ReadOptions, ServerConnection, SessionLimits, Source } from "../../src/source/mod.ts";
import { type DatabaseOptions, FakeDatabase, type FakeOptions, type FakeServer, openFakeTds } from "./tds_fake.ts";

export const LIMITS: SessionLimits = { statementTimeoutS: 30, lockTimeoutS: 5, connectTimeoutMs: 10_000 };
export const READ: ReadOptions = {
  batchRows: 1000,
  batchBytes: 1 << 20,
  throttleMs: 0,
  signal: new AbortController().signal,
};

export interface MssqlDatabase extends AsyncDisposable {
  readonly connection: ServerConnection;
  open(limits?: Partial<SessionLimits>): Promise<Source>;
  /** Runs one batch on a connection of its own. */
  run(sql: string): Promise<(string | null)[][]>;
}

export interface MssqlServer {
  readonly name: "fake" | "real";
  /** A database of one's own, with ALLOW_SNAPSHOT_ISOLATION on. */
  openDatabase(): Promise<MssqlDatabase>;
}

export function listMssqlServers(): MssqlServer[] {
  const servers: MssqlServer[] = [{ name: "fake", openDatabase: () => openFakeDatabase() }];
  const url = Deno.env.get("RIVET_TEST_MSSQL_URL");
  if (url !== undefined) servers.push({ name: "real", openDatabase: () => openRealDatabase(url) });
  return servers;
}

function toDatabase(connection: ServerConnection, close: () => Promise<void>): MssqlDatabase {
  const open = (limits: Partial<SessionLimits> = {}) => openMssql(connection, { ...LIMITS, ...limits });
  return {
    connection,
    open,
    async run(sql) {
      await using source = await open();
      return await source.rows(sql);
    },
    [Symbol.asyncDispose]: close,
  };
}

export interface FakeMssql extends MssqlDatabase {
  readonly server: FakeServer;
}

/** The fake server with its small database behind it. */
export async function openFakeDatabase(
  database: DatabaseOptions = {},
  server: Partial<FakeOptions> = {},
): Promise<FakeMssql> {
  const model = new FakeDatabase(database);
  const fake = await openFakeTds({ answer: model.answer, ...server });
  const connection: ServerConnection = {
    host: "127.0.0.1",
    port: fake.port,
    user: "rivet",
    password: 'it\'s [a] "test" @ße',
    database: "it's [a] db",
    tls: null,
  };
  const close = async () => {
    await fake[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  };
  return Object.assign(toDatabase(connection, close), { server: fake });
}

async function openRealDatabase(url: string): Promise<MssqlDatabase> {
  const admin = parseUrl(url);
  const name = `rivet's [test] ${crypto.randomUUID().slice(0, 8)}`;
  const quoted = `[${name.replaceAll("]", "]]")}]`;
  {
    await using source = await openMssql(admin, LIMITS);
    await source.rows(`CREATE DATABASE ${quoted}`);
    await source.rows(`ALTER DATABASE ${quoted} SET ALLOW_SNAPSHOT_ISOLATION ON`);
  }
  return toDatabase({ ...admin, database: name }, async () => {
    await using source = await openMssql(admin, LIMITS);
    await source.rows(`ALTER DATABASE ${quoted} SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE ${quoted}`);
  });
}

/** `mssql://user:password@host:port/database`; TLS as it comes, unchecked. */
function parseUrl(text: string): ServerConnection {
  const url = new URL(text);
  return {
    host: url.hostname,
    port: Number(url.port === "" ? "1433" : url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: url.pathname.length > 1 ? decodeURIComponent(url.pathname.slice(1)) : "master",
    tls: { mode: "require", ca: null, acceptInvalidHostnames: true },
  };
}
