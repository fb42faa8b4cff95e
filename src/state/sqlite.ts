// The state in a SQLite file beside the config. One connection, one transaction at a time; other processes wait for each other in SQLite.

import { pathToFileURL } from "node:url";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { RivetError } from "../errors.ts";
import type { Db, Row, Sql, SqlValue, TransactionOptions } from "./db.ts";
import { BUSY_MS, corrupt, notWritable, translate } from "./sqlite_error.ts";

/** SQLite itself waits only this long, so that the program's other work goes on in between. */
const BUSY_STEP_MS = 20;
const PAGE_BYTES_MIN = 512;
const INSERT_VALUES = 2_000;
/** Between so many rows of a long insert the program's other work gets its turn. */
const INSERT_BREATH_ROWS = 20_000;

export interface SqliteOptions {
  /** Absolute, or `:memory:`. */
  readonly path: string;
  readonly readOnly?: boolean;
  readonly now?: () => number;
}

export async function openSqlite(options: SqliteOptions): Promise<Db> {
  const { path, readOnly = false } = options;
  const now = options.now ?? Date.now;
  if (readOnly) {
    if (isFolder(path)) throw notWritable(path, undefined, "is a folder");
    return await openForReading(path, now);
  }
  if (path !== ":memory:") checkPlace(path);
  const db = connect(path, path, false, now);
  return await orClose(db, () => db.prepareFile());
}

async function openForReading(path: string, now: () => number): Promise<Db> {
  try {
    const db = connect(path, path, true, now);
    return await orClose(db, () => db.check());
  } catch (error) {
    // A WAL database cannot be read where SQLite may not make its shared-memory file, unless it is told that nobody writes.
    // That holds when nothing waits in a WAL to be moved into the file.
    if (!(error instanceof RivetError) || error.code !== "RIVET_STATE_NOT_WRITABLE" || await hasWal(path)) throw error;
    const db = connect(`${pathToFileURL(path).href}?immutable=1`, path, true, now);
    return await orClose(db, () => db.check());
  }
}

function connect(name: string, path: string, readOnly: boolean, now: () => number): SqliteDb {
  try {
    return new SqliteDb(new DatabaseSync(name, { timeout: BUSY_STEP_MS, readOnly }), path, now);
  } catch (error) {
    const { errcode } = error as { errcode?: number };
    throw errcode === undefined ? notWritable(path, error, "cannot be opened") : translate(error, path);
  }
}

async function orClose(db: SqliteDb, action: () => Promise<void>): Promise<Db> {
  try {
    await action();
    return db;
  } catch (error) {
    await db[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Trouble with the place is told apart here, where it has names; SQLite gives no code for it. A file that exists is not opened:
 * closing it again would drop the locks that another connection of this process has on it.
 */
function checkPlace(path: string): void {
  try {
    const { isDirectory, size } = Deno.statSync(path);
    if (isDirectory) throw notWritable(path, undefined, "is a folder");
    // SQLite takes a file below its least page size for a new one and would write over it.
    if (size > 0 && size < PAGE_BYTES_MIN) throw corrupt(path);
    return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error instanceof RivetError ? error : notWritable(path, error);
  }
  try {
    Deno.openSync(path, { write: true, createNew: true }).close();
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    if (error instanceof Deno.errors.NotFound) throw notWritable(path, error, "stands in a folder that does not exist");
    throw notWritable(path, error, "cannot be made");
  }
}

function hasWal(path: string): Promise<boolean> {
  return Deno.stat(`${path}-wal`).then((stat) => stat.size > 0, () => false);
}

class SqliteDb implements Db {
  readonly kind = "sqlite";
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #now: () => number;
  #queue: Promise<unknown> = Promise.resolve();
  #synchronous: "FULL" | "NORMAL" = "FULL";
  #isWal = false;

  constructor(database: DatabaseSync, readonly location: string, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  async check(): Promise<void> {
    await this.all("SELECT count(*) AS n FROM sqlite_master");
  }

  /** Sets the file up for writing, and finds out now whether it can be written. */
  async prepareFile(): Promise<void> {
    const mode = await this.#waiting(() => this.#get("PRAGMA journal_mode = WAL")) as { journal_mode: string };
    this.#isWal = mode.journal_mode === "wal";
    // In WAL mode NORMAL would be consistent after a power failure, but could forget the last commits: a slice that was
    // reported as committed would be pending again while its manifest already names it. FULL waits for the disk.
    this.#database.exec("PRAGMA synchronous = FULL");
    await this.#waiting(() => this.#get("BEGIN IMMEDIATE"));
    try {
      // Only a statement that writes finds a read-only file: BEGIN IMMEDIATE becomes a reading transaction there.
      this.#get("CREATE TABLE rivet_probe (x)");
    } finally {
      this.#get("ROLLBACK");
    }
  }

  all(text: string, values: readonly SqlValue[] = []): Promise<Row[]> {
    return this.#enqueue(() => this.#waiting(() => this.#rows(text, values)));
  }

  run(text: string, values: readonly SqlValue[] = []): Promise<number> {
    return this.transaction((sql) => sql.run(text, values));
  }

  insert(table: string, columns: readonly string[], rows: Iterable<readonly SqlValue[]>): Promise<void> {
    return this.transaction((sql) => sql.insert(table, columns, rows));
  }

  now(): Promise<number> {
    return Promise.resolve(this.#now());
  }

  transaction<T>(body: (sql: Sql) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return this.#enqueue(async () => {
      this.#setDurable(options.durable ?? true);
      await this.#waiting(() => this.#get("BEGIN IMMEDIATE"));
      try {
        const result = await body(this.#inside);
        this.#get("COMMIT");
        return result;
      } catch (error) {
        // Some errors make SQLite roll back by itself.
        if (this.#database.isTransaction) this.#get("ROLLBACK");
        throw error;
      }
    });
  }

  async compact(): Promise<void> {
    await this.#enqueue(() => this.#waiting(() => this.#get("VACUUM")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue;
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  /** The same connection for the body of a transaction, which already has its turn. */
  readonly #inside: Sql = {
    kind: "sqlite",
    all: (text, values = []) => attempt(() => this.#rows(text, values)),
    run: (text, values = []) => attempt(() => this.#change(text, values)),
    insert: (table, columns, rows) => this.#insert(table, columns, rows),
    now: () => this.now(),
  };

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  async #insert(table: string, columns: readonly string[], rows: Iterable<readonly SqlValue[]>): Promise<void> {
    const perStatement = Math.max(1, Math.floor(INSERT_VALUES / columns.length));
    const tuple = `(${columns.map(() => "?").join(", ")})`;
    const insertOf = (n: number) =>
      `INSERT INTO ${table} (${columns.join(", ")}) VALUES ${Array(n).fill(tuple).join(", ")}`;
    const whole = insertOf(perStatement);
    let values: SqlValue[] = [];
    let total = 0;
    for (const row of rows) {
      values.push(...row);
      total++;
      if (values.length === perStatement * columns.length) {
        this.#change(whole, values);
        values = [];
      }
      if (total % INSERT_BREATH_ROWS === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    if (values.length > 0) this.#change(insertOf(values.length / columns.length), values);
  }

  #setDurable(durable: boolean): void {
    // A file system without shared memory refuses WAL; without it NORMAL could tear the file, not only forget.
    const wanted = durable || !this.#isWal ? "FULL" : "NORMAL";
    if (this.#synchronous === wanted) return;
    this.#database.exec(`PRAGMA synchronous = ${wanted}`);
    this.#synchronous = wanted;
  }

  /** Tries again while another process has the file, without keeping this one from its other work. */
  async #waiting<T>(action: () => T): Promise<T> {
    const began = performance.now();
    for (;;) {
      try {
        return action();
      } catch (error) {
        if (!isBusy(error) || performance.now() - began > BUSY_MS) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  #get(text: string): unknown {
    return this.#translated(() => this.#database.prepare(text).get());
  }

  #rows(text: string, values: readonly SqlValue[]): Row[] {
    return this.#translated(() => this.#statement(text).all(...values.map(toSqlite)) as unknown as Row[]);
  }

  #change(text: string, values: readonly SqlValue[]): number {
    return this.#translated(() => Number(this.#statement(text).run(...values.map(toSqlite)).changes));
  }

  #statement(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      // Texts are few and fixed, but for lists of differing length.
      if (this.#statements.size > 200) this.#statements.clear();
      statement = this.#database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  #translated<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw translate(error, this.location);
    }
  }
}

function attempt<T>(action: () => T): Promise<T> {
  try {
    return Promise.resolve(action());
  } catch (error) {
    return Promise.reject(error);
  }
}

function toSqlite(value: SqlValue): string | number | null {
  return typeof value === "boolean" ? Number(value) : value;
}

function isBusy(error: unknown): boolean {
  return error instanceof RivetError && error.retry === "same_connection";
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    // What else is wrong with it, SQLite finds out.
    return false;
  }
}
