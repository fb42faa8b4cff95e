// The state in PostgreSQL, for several machines at one state. Nothing here is session state, so a transaction pooler may stand between.

import pg from "pg";
import { RivetError } from "../errors.ts";
import type { Db, Row, Sql, SqlValue, TransactionOptions } from "./db.ts";
import type { PlaceName } from "./open.ts";
import { translate } from "./postgres_error.ts";
import { describe, parseSettings } from "./postgres_settings.ts";

const TRIES_MAX = 5;
/** A server that restarts or fails over is back after so long, or it is an outage. */
const RECONNECT_MS = [250, 1_000, 2_000, 4_000];
const LOCK_TIMEOUT_S = 30;
/** A process that was stopped in the middle of a transaction must not keep the others from theirs. */
const IDLE_TIMEOUT_S = 60;
const INSERT_ROWS = 5_000;

/** The driver's own errors for a broken connection have no code; that it broke is known from its event. */
const lostClients = new WeakSet<pg.ClientBase>();

export interface PostgresOptions {
  readonly url: URL;
  /** @default "RIVET_STATE_URL" */
  readonly named?: PlaceName;
  readonly readOnly?: boolean;
}

export async function openPostgres({ url, named = "RIVET_STATE_URL", readOnly = false }: PostgresOptions): Promise<Db> {
  const settings = await parseSettings(url, named);
  const pool = new pg.Pool(settings);
  // A connection that breaks while nobody uses it is replaced; whoever uses one gets its error from the query.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => lostClients.add(client)));
  const db = new PostgresDb(pool, describe(settings));
  try {
    const [row] = await db.all("SELECT current_setting('transaction_read_only') AS read_only");
    if (row?.["read_only"] === "on" && !readOnly) {
      throw new RivetError("RIVET_STATE_NOT_WRITABLE", "The state's database is read-only", { where: db.location });
    }
    return db;
  } catch (error) {
    await db[Symbol.asyncDispose]();
    throw error;
  }
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

  /** Tried again after a deadlock, and after a connection was lost before COMMIT was sent: nothing of it can have remained. */
  async transaction<T>(body: (sql: Sql) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    for (let tries = 1;; tries++) {
      const progress = { committing: false };
      try {
        return await this.#borrow((sql) => inTransaction(sql, body, options, progress));
      } catch (error) {
        if (!(error instanceof RivetError) || error.retry === "never" || progress.committing) throw error;
        if (tries === TRIES_MAX) throw error;
        if (error.retry === "reconnect") {
          await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS[tries - 1]));
        }
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
  progress: { committing: boolean },
): Promise<T> {
  await sql.begin(options.durable ?? true);
  try {
    const result = await body(sql);
    progress.committing = true;
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

  /** Settings of this transaction alone, in the same message as its beginning. */
  async begin(durable: boolean): Promise<void> {
    const settings = [
      `SET LOCAL lock_timeout = '${LOCK_TIMEOUT_S}s'`,
      `SET LOCAL idle_in_transaction_session_timeout = '${IDLE_TIMEOUT_S}s'`,
      ...(durable ? [] : ["SET LOCAL synchronous_commit = off"]),
    ];
    await this.#translated(() => this.client.query(`BEGIN; ${settings.join("; ")}`));
  }

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

  #query(text: string, values: readonly SqlValue[]): Promise<pg.QueryResult> {
    return this.#translated(() => this.client.query(toNumbered(text), values as SqlValue[]));
  }

  async #translated<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      const translated = translate(error, this.location, lostClients.has(this.client));
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
