// PostgreSQL as a source: describes queries, holds one repeatable-read picture that other connections can join, reads through binary cursors.
// Every setting is made with SET LOCAL inside a transaction, so nothing is left behind on a connection that a pooler shares.

import { postgresString } from "../sql.ts";
import type {
  Query,
  ReadOptions,
  ReadReport,
  RowSink,
  ServerConnection,
  SessionLimits,
  Shape,
  Source,
  TableFacts,
} from "../source.ts";
import { type Ask, describeQuery, readFacts } from "./catalog.ts";
import { openSession, type Session } from "./connect.ts";
import { describePooler, detectPooler } from "./pooler.ts";
import { readCursor } from "./read.ts";

export async function openPostgres(connection: ServerConnection, limits: SessionLimits): Promise<PostgresSource> {
  const session = await openSession(connection, limits);
  try {
    return new PostgresSource(session, limits, describePooler(await detectPooler(session)));
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

const BEGIN = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";

/** Text forms that do not depend on the server's configuration, a plan for reading to the end, and no end for having waited. */
const SETTINGS = [
  "TimeZone = 'UTC'",
  "DateStyle = 'ISO, YMD'",
  "IntervalStyle = 'iso_8601'",
  "bytea_output = 'hex'",
  "extra_float_digits = 3",
  "cursor_tuple_fraction = 1",
  "idle_in_transaction_session_timeout = 0",
];

function settingsOf(limits: SessionLimits): string {
  const bounds = [
    ...(limits.statementTimeoutS > 0 ? [`statement_timeout = '${limits.statementTimeoutS}s'`] : []),
    ...(limits.lockTimeoutS > 0 ? [`lock_timeout = '${limits.lockTimeoutS}s'`] : []),
  ];
  return [...SETTINGS, ...bounds].map((setting) => `SET LOCAL ${setting}`).join("; ");
}

export class PostgresSource implements Source {
  readonly engine = "postgres";
  readonly framing = "pg_messages";
  readonly serverVersion: string;
  readonly #session: Session;
  readonly #settings: string;
  #inPicture = false;
  #cursors = 0;

  constructor(session: Session, limits: SessionLimits, readonly proxy: string | null) {
    this.#session = session;
    this.#settings = settingsOf(limits);
    this.serverVersion = session.serverVersion;
  }

  describe(query: Query): Promise<Shape> {
    return describeQuery(this.#ask, query);
  }

  facts(table: { schema: string | null; name: string }): Promise<TableFacts | null> {
    return readFacts(this.#ask, table, this.#session.versionNumber);
  }

  async rows(sql: string): Promise<(string | null)[][]> {
    const [result] = await this.#ask(sql);
    return [...result!.rows];
  }

  /** One message: the server runs it whole or stops at the first refusal. */
  readonly #ask: Ask = async (...statements) => {
    const text = statements.map((sql) => `${sql}\n;`).join(" ");
    if (this.#inPicture) return await this.#session.query(text);
    return await this.#inTransaction(async () => {
      const before = `${BEGIN}; ${this.#settings}`;
      const results = await this.#session.query(`${before}; ${text} COMMIT`);
      return results.slice(-1 - statements.length, -1);
    });
  };

  /** After a refusal the transaction is still open and wants to be rolled back. */
  async #inTransaction<T>(body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      await this.#rollback();
      throw error;
    }
  }

  async #rollback(): Promise<void> {
    // A connection that is gone has rolled back by itself.
    if (!this.#session.closed) await this.#session.query("ROLLBACK").catch(() => {});
  }

  async begin(token: string | null): Promise<string | null> {
    const shared = await this.#inTransaction(() => token === null ? this.#beginShared() : this.#beginJoined(token));
    this.#inPicture = true;
    return shared;
  }

  async #beginJoined(token: string): Promise<string> {
    await this.#session.query(`${BEGIN}; SET TRANSACTION SNAPSHOT ${postgresString(token)}; ${this.#settings}`);
    return token;
  }

  async #beginShared(): Promise<string | null> {
    try {
      const results = await this.#session.query(`${BEGIN}; ${this.#settings}; SELECT pg_export_snapshot()`);
      return results.at(-1)?.rows[0]?.[0] ?? null;
    } catch (error) {
      if (this.#session.closed) throw error;
      // A server that cannot share its picture still has one: the first question fixes it.
      await this.#rollback();
      await this.#session.query(`${BEGIN}; ${this.#settings}; SELECT 1`);
      return null;
    }
  }

  async read(sql: string, into: RowSink, options: ReadOptions): Promise<ReadReport> {
    const cursor = `rivet_${++this.#cursors}`;
    if (this.#inPicture) return await readCursor(this.#session, cursor, sql, into, options);
    return await this.#inTransaction(async () => {
      await this.#session.query(`${BEGIN}; ${this.#settings}`);
      const report = await readCursor(this.#session, cursor, sql, into, options);
      await this.#session.query("COMMIT");
      return report;
    });
  }

  async end(): Promise<void> {
    this.#inPicture = false;
    // COMMIT ends a transaction that was refused something as well.
    if (!this.#session.closed) await this.#session.query("COMMIT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}
