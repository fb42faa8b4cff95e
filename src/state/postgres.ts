// The state in PostgreSQL, for several machines at one state. Nothing here is session state, so a transaction pooler may stand between.

import { readFile } from "node:fs/promises";
import pg from "pg";
import { RivetError } from "../errors.ts";
import type { Db, Row, Sql, SqlValue, TransactionOptions } from "./db.ts";

const CONNECTIONS_MAX = 4;
const CONNECT_MS = 10_000;
const DEADLOCK_TRIES = 5;
const INSERT_ROWS = 5_000;

export interface PostgresOptions {
  readonly url: URL;
}

export async function openPostgres({ url }: PostgresOptions): Promise<Db> {
  const settings = await parseSettings(url);
  const pool = new pg.Pool(settings);
  // A connection that breaks while nobody uses it is replaced; whoever uses one gets its error from the query.
  pool.on("error", () => {});
  const db = new PostgresDb(pool, describe(settings));
  try {
    await db.all("SELECT 1 AS one");
    return db;
  } catch (error) {
    await db[Symbol.asyncDispose]();
    throw error;
  }
}

type Settings = pg.PoolConfig & { host: string; port: number; database: string; user: string };

async function parseSettings(url: URL): Promise<Settings> {
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname.replace(/^\[|\]$/g, ""));
  const user = decodeURIComponent(url.username) || "postgres";
  const settings = {
    host: host || "localhost",
    port: Number(url.port || "5432"),
    user,
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || user,
    application_name: "rivet state",
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    types: { getTypeParser: parserOf } as unknown as pg.CustomTypesConfig,
  };
  return { ...settings, ssl: await parseTls(url, settings.host) };
}

/** As libpq reads `sslmode`, but for the modes that may fall back to plaintext unseen. */
async function parseTls(url: URL, host: string): Promise<NonNullable<pg.PoolConfig["ssl"]>> {
  const mode = url.searchParams.get("sslmode");
  const rootCert = url.searchParams.get("sslrootcert");
  const ca = rootCert === null ? {} : { ca: await readRootCert(rootCert) };
  switch (mode) {
    case "disable":
      return false;
    case "require":
      return { rejectUnauthorized: false };
    case "verify-ca":
      return { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "verify-full":
      return { ...ca, rejectUnauthorized: true };
    default:
      if (isLocal(host)) return false;
      throw new RivetError(
        "RIVET_STATE_URL_TLS_REQUIRED",
        mode === null ? `The state at '${host}' names no 'sslmode'` : `The state at '${host}' has 'sslmode=${mode}'`,
        {
          where: "RIVET_STATE_URL",
          cure:
            "Add `?sslmode=verify-full` (or require, verify-ca), or `?sslmode=disable` to send everything in plaintext",
        },
      );
  }
}

function isLocal(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("/") || /^127\./.test(host);
}

async function readRootCert(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new RivetError("RIVET_STATE_BACKEND_FAILED", `The file '${path}' of 'sslrootcert' cannot be read`, {
      where: "RIVET_STATE_URL",
      cure: "Correct the path in `sslrootcert`",
      cause,
    });
  }
}

function describe({ host, port, database }: Settings): string {
  const shown = host.includes(":") ? `[${host}]` : host;
  return host.startsWith("/") ? `postgres:${host}/${database}` : `postgres://${shown}:${port}/${database}`;
}

const INT8 = 20;
const INT4 = 23;
const BOOL = 16;

function parserOf(oid: number): (text: string) => unknown {
  if (oid === INT8 || oid === INT4) return Number;
  if (oid === BOOL) return (text) => text === "t";
  return (text) => text;
}

class PostgresDb implements Db {
  readonly kind = "postgres";
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool, readonly location: string) {
    this.#pool = pool;
  }

  all(text: string, values: readonly SqlValue[] = []): Promise<Row[]> {
    return this.#borrow((sql) => sql.all(text, values));
  }

  run(text: string, values: readonly SqlValue[] = []): Promise<number> {
    return this.#borrow((sql) => sql.run(text, values));
  }

  insert(table: string, columns: readonly string[], rows: Iterable<readonly SqlValue[]>): Promise<void> {
    return this.transaction((sql) => sql.insert(table, columns, rows));
  }

  now(): Promise<number> {
    return this.#borrow((sql) => sql.now());
  }

  async transaction<T>(body: (sql: Sql) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#borrow((sql) => inTransaction(sql, body, options));
      } catch (error) {
        if (!(error instanceof RivetError) || error.retry !== "same_connection" || tries >= DEADLOCK_TRIES) throw error;
      }
    }
  }

  /** The server's autovacuum does it. */
  compact(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }

  async #borrow<T>(body: (sql: Session) => Promise<T>): Promise<T> {
    let client: pg.PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw translate(error, this.location);
    }
    const session = new Session(client, this.location);
    try {
      return await body(session);
    } finally {
      // A connection whose transaction could not be ended must not be lent again.
      client.release(session.broken);
    }
  }
}

async function inTransaction<T>(
  sql: Session,
  body: (sql: Sql) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  await sql.run("BEGIN");
  try {
    if (options.durable === false) await sql.run("SET LOCAL synchronous_commit = off");
    const result = await body(sql);
    await sql.run("COMMIT");
    return result;
  } catch (error) {
    await sql.run("ROLLBACK").catch(() => {
      sql.broken = true;
    });
    throw error;
  }
}

class Session implements Sql {
  readonly kind = "postgres";
  broken = false;

  constructor(private readonly client: pg.PoolClient, private readonly location: string) {}

  async all(text: string, values: readonly SqlValue[] = []): Promise<Row[]> {
    return (await this.#query(text, values)).rows as Row[];
  }

  async run(text: string, values: readonly SqlValue[] = []): Promise<number> {
    return (await this.#query(text, values)).rowCount ?? 0;
  }

  /** The rows travel as one JSON text: a parameter for each value would be slow and is limited to 65,535. */
  async insert(table: string, columns: readonly string[], rows: Iterable<readonly SqlValue[]>): Promise<void> {
    const list = columns.join(", ");
    const text = `INSERT INTO ${table} (${list}) SELECT ${list} FROM json_populate_recordset(NULL::${table}, ?::json)`;
    let objects: Record<string, SqlValue>[] = [];
    const flush = async () => {
      await this.run(text, [JSON.stringify(objects)]);
      objects = [];
    };
    for (const row of rows) {
      objects.push(Object.fromEntries(columns.map((name, i) => [name, row[i]!])));
      if (objects.length === INSERT_ROWS) await flush();
    }
    if (objects.length > 0) await flush();
  }

  async now(): Promise<number> {
    const [row] = await this.all("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now");
    return Number(row?.["now"]);
  }

  async #query(text: string, values: readonly SqlValue[]): Promise<pg.QueryResult> {
    try {
      return await this.client.query(toNumbered(text), values as SqlValue[]);
    } catch (error) {
      const translated = translate(error, this.location);
      if (translated.retry === "reconnect") this.broken = true;
      throw translated;
    }
  }
}

const numbered = new Map<string, string>();

/** `?` becomes `$1`, `$2` …; no statement of the state has a question mark of its own. */
function toNumbered(text: string): string {
  let found = numbered.get(text);
  if (found === undefined) {
    let n = 0;
    found = text.replaceAll("?", () => `$${++n}`);
    if (numbered.size > 500) numbered.clear();
    numbered.set(text, found);
  }
  return found;
}

/** SQLSTATE and system codes after which a new connection may succeed. */
const CONNECTION_LOST = new Set([
  "57P01",
  "57P02",
  "57P03",
  "53300",
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
]);
const SAME_CONNECTION = new Set(["40001", "40P01", "55P03"]);
const NOT_WRITABLE = new Set(["42501", "25006"]);

function translate(error: unknown, location: string): RivetError {
  if (error instanceof RivetError) return error;
  const code = (error as { code?: unknown }).code;
  const message = error instanceof Error ? error.message : String(error);
  const options = { where: location, cause: error };
  if (typeof code !== "string") {
    return new RivetError("RIVET_STATE_BACKEND_FAILED", `The state failed: ${message}`, options);
  }
  if (SAME_CONNECTION.has(code)) {
    return new RivetError("RIVET_STATE_BACKEND_FAILED", `The state is contended: ${message}`, {
      ...options,
      retry: "same_connection",
    });
  }
  if (CONNECTION_LOST.has(code) || code.startsWith("08")) {
    return new RivetError("RIVET_STATE_BACKEND_FAILED", `The state cannot be reached: ${message}`, {
      ...options,
      retry: "reconnect",
    });
  }
  if (NOT_WRITABLE.has(code)) {
    return new RivetError("RIVET_STATE_NOT_WRITABLE", `The state refuses writing: ${message}`, options);
  }
  return new RivetError("RIVET_STATE_BACKEND_FAILED", `The state failed: ${message} (${code})`, options);
}
