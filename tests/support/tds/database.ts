// A small SQL Server behind the fake: tables kept in SQLite files, snapshots by its write-ahead log, a catalog, and typed results.

import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { sleep } from "../../../src/runtime.ts";
import type { Answer, FakeSession, Step } from "./connection.ts";
import { defineFunctions, readLiteral, splitBatch, translate } from "./tsql.ts";
import { parseType, type WireValue } from "./types.ts";

export interface DatabaseOptions {
  /** ALLOW_SNAPSHOT_ISOLATION. @default true */
  snapshot?: boolean;
  /** READ_COMMITTED_SNAPSHOT. @default false */
  rowVersions?: boolean;
  /** EngineEdition; 5 is Azure SQL. @default 3 */
  edition?: number;
  /** Every statement sees another session id. @default false */
  multiplexed?: boolean;
  /** The user lacks VIEW DATABASE STATE. @default false */
  hideStats?: boolean;
  /** Answers before the database does; null passes the statement on. */
  intercept?: (sql: string, session: FakeSession) => Answer | null;
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
}

interface Table {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
}

const CATALOG = `
  CREATE TABLE sys.objects (object_id, name, schema_id, type, is_ms_shipped DEFAULT 0);
  CREATE TABLE sys.columns (object_id, column_id, name, is_nullable, system_type_id, user_type_id, max_length, precision, scale);
  CREATE TABLE sys.indexes (object_id, index_id, name, type, is_primary_key, is_unique, is_disabled, is_hypothetical, has_filter, data_space_id);
  CREATE TABLE sys.index_columns (object_id, index_id, column_id, key_ordinal);
  CREATE TABLE sys.partition_schemes (data_space_id);
  CREATE TABLE sys.dm_db_partition_stats (object_id, index_id, row_count, used_page_count);
  CREATE TABLE sys.partitions (object_id, index_id, partition_id, hobt_id, rows);
  CREATE TABLE sys.allocation_units (container_id, type, used_pages);
  CREATE TABLE sys.databases (database_id, name, snapshot_isolation_state, is_read_committed_snapshot_on);
`;
const DESCRIBED =
  `CREATE TEMP TABLE described (column_ordinal, name, is_nullable, system_type_name, user_type_name, precision,
  scale, collation_name, error_number, error_message, is_hidden)`;
const CLR = new Set(["geometry", "geography", "hierarchyid"]);
/** Rows looked at to learn the type of an expression. */
const PEEK_ROWS = 50;

export class FakeDatabase implements Disposable {
  readonly options: DatabaseOptions;
  readonly #folder = Deno.makeTempDirSync({ prefix: "rivet-tds-" });
  readonly #admin: DatabaseSync;
  readonly #tables = new Map<string, Table>();
  readonly #sessions = new Map<number, DatabaseSync>();
  #objects = 100;
  #spids = 1000;

  constructor(options: DatabaseOptions = {}) {
    this.options = options;
    this.#admin = this.#open(0);
    this.#admin.exec("PRAGMA dbo.journal_mode = WAL; PRAGMA sys.journal_mode = WAL");
    this.#admin.exec(CATALOG);
    this.#admin.prepare("INSERT INTO sys.databases VALUES (5, 'shop', ?, ?)")
      .run(options.snapshot === false ? 0 : 1, options.rowVersions ? 1 : 0);
  }

  [Symbol.dispose](): void {
    for (const db of this.#sessions.values()) db.close();
    this.#admin.close();
    Deno.removeSync(this.#folder, { recursive: true });
  }

  /** The handler for `openFakeTds`. */
  readonly answer = (sql: string, session: FakeSession): Answer =>
    this.options.intercept?.(sql, session) ?? this.#answer(sql, session);

  #open(spid: number): DatabaseSync {
    const db = new DatabaseSync(":memory:");
    for (const schema of ["dbo", "sys"]) db.exec(`ATTACH '${this.#folder}/${schema}.db' AS ${schema}`);
    db.exec("PRAGMA busy_timeout = 2000");
    db.exec(DESCRIBED);
    defineFunctions(
      db,
      (name) =>
        name === "SPID" ? BigInt(this.options.multiplexed ? ++this.#spids : spid) : name === "TRANCOUNT" ? 1n : null,
      (name) => this.#property(name),
      (name) => this.#findTable(name)?.id ?? null,
    );
    return db;
  }

  #property(name: string): SQLInputValue {
    const edition = BigInt(this.options.edition ?? 3);
    return { ProductVersion: "16.0.4000.1", Edition: "Fake Edition", EngineEdition: edition }[name] ?? null;
  }

  /** `[dbo].[t]`, `dbo.t`, `[t]`. */
  #findTable(name: string): Table | undefined {
    const parts = name.match(/\[(?:[^\]]|\]\])*\]|[^.]+/g) ?? [];
    const plain = parts.map((part) => part.replace(/^\[|\]$/g, "").replaceAll("]]", "]").toLowerCase());
    return this.#tables.get(plain.length === 1 ? `dbo.${plain[0]}` : plain.join("."));
  }

  #session(spid: number): DatabaseSync {
    let db = this.#sessions.get(spid);
    if (db === undefined) {
      db = this.#open(spid);
      this.#sessions.set(spid, db);
    }
    return db;
  }

  *#answer(sql: string, session: FakeSession): Generator<Step> {
    const db = this.#session(session.spid);
    try {
      for (const statement of splitBatch(sql)) yield* this.#run(db, statement, session.signal);
    } catch (error) {
      yield toMessage(error as Error);
    }
  }

  *#run(db: DatabaseSync, sql: string, signal: AbortSignal): Generator<Step> {
    const plain = sql.replace(/^IF @@TRANCOUNT > 0\s+/i, "");
    if (/^SET\s/i.test(plain)) return;
    const delay = /^WAITFOR DELAY '(\d+):(\d+):(\d+)'$/i.exec(plain);
    if (delay !== null) return yield { kind: "wait", until: toTimer(delay, signal) };
    if (/^BEGIN TRAN/i.test(plain)) {
      db.exec("BEGIN");
      yield { kind: "transaction", change: "BEGIN" };
    } else if (/^(COMMIT|ROLLBACK)/i.test(plain)) {
      if (!db.isTransaction) return;
      db.exec("COMMIT");
      yield { kind: "transaction", change: "COMMIT" };
    } else if (/^CREATE TABLE/i.test(plain)) this.#createTable(plain);
    else if (/^CREATE (UNIQUE )?INDEX/i.test(plain)) this.#createIndex(plain);
    else if (/^DROP TABLE/i.test(plain)) this.#dropTable(plain);
    else if (/^INSERT/i.test(plain)) this.#insert(db, plain);
    else if (/^(UPDATE|DELETE)/i.test(plain)) db.exec(translate(plain));
    else yield* this.#select(db, plain);
  }

  #createTable(sql: string): void {
    const [, name, body] = /^CREATE TABLE\s+((?:\[(?:[^\]]|\]\])*\]|[\w.])+)\s*\((.*)\)$/is.exec(sql)!;
    const [schema, table] = splitName(name!);
    const columns: Column[] = [];
    const primary: string[] = [];
    for (const line of splitList(body!)) {
      const keys = /^(?:CONSTRAINT\s+\S+\s+)?PRIMARY KEY.*?\((.*)\)$/i.exec(line)?.[1];
      if (keys !== undefined) {
        primary.push(...splitList(keys).map(unquote));
        continue;
      }
      const [, column, type] = /^(\[(?:[^\]]|\]\])*\]|\w+)\s+(.*)$/s.exec(line)!;
      const isPrimary = /primary key/i.test(type!);
      if (isPrimary) primary.push(unquote(column!));
      const bare = type!.replace(/\s+(not null|null|primary key|identity.*)/gi, "").replace(
        /\s+COLLATE\s+(\w+)/i,
        toCollation,
      );
      columns.push({ name: unquote(column!), type: bare.trim(), notNull: isPrimary || /not null/i.test(type!) });
    }
    const notNull = columns.map((c) => primary.includes(c.name) ? { ...c, notNull: true } : c);
    const id = ++this.#objects;
    const list = notNull.map((c) =>
      `${quote(c.name)}${isText(c.type) || /^uniqueidentifier/i.test(c.type) ? " COLLATE NOCASE" : ""}${
        c.notNull ? " NOT NULL" : ""
      }`
    );
    const key = primary.length === 0 ? "" : `, UNIQUE (${primary.map(quote).join(", ")})`;
    this.#admin.exec(`CREATE TABLE ${quote(schema)}.${quote(table)} (${list.join(", ")}${key})`);
    this.#tables.set(`${schema}.${table}`.toLowerCase(), { id, schema, name: table, columns: notNull });
    this.#admin.prepare("INSERT INTO sys.objects VALUES (?, ?, ?, 'U ', 0)").run(id, table, `1:${schema}`);
    const insert = this.#admin.prepare("INSERT INTO sys.columns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    notNull.forEach((c, i) => {
      const type = parseType(c.type);
      const isDecimal = type.name === "decimal" || type.name === "numeric";
      const scale = isDecimal ? type.second : /time|offset/.test(type.name) ? type.first : 0;
      insert.run(
        id,
        i + 1,
        c.name,
        c.notNull ? 0 : 1,
        CLR.has(type.name) ? null : type.name,
        type.name,
        /^n(var)?char$/.test(type.name) ? type.first * 2 : type.first,
        isDecimal ? type.first : 0,
        scale,
      );
    });
    this.#addIndex(id, primary.length === 0 ? null : `PK_${table}`, primary, true, true);
  }

  #createIndex(sql: string): void {
    const [, unique, index, table, list, filter] =
      /^CREATE (UNIQUE )?INDEX\s+(\S+)\s+ON\s+((?:\[(?:[^\]]|\]\])*\]|[\w.])+)\s*\((.*?)\)\s*(WHERE.*)?$/is.exec(sql)!;
    const found = this.#findTable(table!)!;
    this.#addIndex(
      found.id,
      unquote(index!),
      splitList(list!).map(unquote),
      false,
      unique !== undefined,
      filter !== undefined,
    );
  }

  #addIndex(
    id: number,
    name: string | null,
    columns: readonly string[],
    primary: boolean,
    unique: boolean,
    filter = false,
  ): void {
    const { next } = this.#admin.prepare("SELECT COUNT(*) AS next FROM sys.indexes WHERE object_id = ?").get(id) as {
      next: number;
    };
    const index = primary && name === null ? 0 : next + 1;
    this.#admin.prepare("INSERT INTO sys.indexes VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?, 1)")
      .run(
        id,
        index,
        name,
        index === 0 ? 0 : index === 1 ? 1 : 2,
        primary && index > 0 ? 1 : 0,
        unique && index > 0 ? 1 : 0,
        filter ? 1 : 0,
      );
    const table = [...this.#tables.values()].find((t) => t.id === id)!;
    columns.forEach((column, i) =>
      this.#admin.prepare("INSERT INTO sys.index_columns VALUES (?, ?, ?, ?)")
        .run(id, index, table.columns.findIndex((c) => c.name.toLowerCase() === column.toLowerCase()) + 1, i + 1)
    );
  }

  #dropTable(sql: string): void {
    const [, ifExists, name] = /^DROP TABLE\s+(IF EXISTS\s+)?(.*)$/is.exec(sql)!;
    const table = this.#findTable(name!.trim());
    if (table === undefined) {
      if (ifExists === undefined) throw new Error(`tsql:3701:Cannot drop the table '${name}'`);
      return;
    }
    this.#admin.exec(`DROP TABLE ${quote(table.schema)}.${quote(table.name)}`);
    for (const part of ["objects", "columns", "indexes", "index_columns"]) {
      this.#admin.prepare(`DELETE FROM sys.${part} WHERE object_id = ?`).run(table.id);
    }
    this.#tables.delete(`${table.schema}.${table.name}`.toLowerCase());
  }

  #insert(db: DatabaseSync, sql: string): void {
    const name = /^INSERT INTO\s+((?:\[(?:[^\]]|\]\])*\]|[\w.])+)/i.exec(sql)?.[1] ?? "";
    const table = this.#findTable(name);
    if (table === undefined) throw new Error(`tsql:208:Invalid object name '${name}'`);
    const target = `${quote(table.schema)}.${quote(table.name)}`;
    const { last } = db.prepare(`SELECT ifnull(max(rowid), 0) AS last FROM ${target}`).get() as { last: number };
    db.exec(translate(sql));
    const sets = table.columns.map((c) => `${quote(c.name)} = tsql_store('${c.type}', ${quote(c.name)})`);
    db.prepare(`UPDATE ${target} SET ${sets.join(", ")} WHERE rowid > ?`).run(last);
  }

  *#select(db: DatabaseSync, sql: string): Generator<Step> {
    let text = sql;
    const described = /sys\.dm_exec_describe_first_result_set\((N'(?:[^']|'')*'), NULL, 0\)/.exec(text);
    if (described !== null) {
      this.#describe(db, readLiteral(described[1]!));
      text = text.replace(described[0], () => "temp.described");
    }
    if (/sys\.(dm_db_partition_stats|partitions)\b/.test(text)) this.#countRows(text);
    const statement = this.#prepare(db, text);
    const items = splitList(/^SELECT\s+(.*?)\s+FROM\s/is.exec(text)?.[1] ?? "");
    const columns = statement.columns().map(({ name, column, table, database }, i) => ({
      name: name ?? "",
      origin: this.#tables.get(`${database}.${table}`.toLowerCase())?.columns.find((c) => c.name === column) ??
        this.#findAggregated(items[i] ?? "", text),
    }));
    const rows = statement.iterate() as unknown as Iterator<SQLOutputValue[]>;
    const peeked: SQLOutputValue[][] = [];
    if (columns.some((c) => c.origin === undefined)) {
      for (let next = rows.next(); !next.done; next = rows.next()) {
        peeked.push(next.value);
        if (peeked.length === PEEK_ROWS) break;
      }
    }
    const types = columns.map(({ origin }, i) =>
      origin === undefined
        ? guessType(peeked, i)
        : `${origin.type}${origin.notNull && !peeked.some((r) => r[i] === null) ? " not null" : ""}`
    );
    yield { kind: "columns", columns: columns.map(({ name }, i) => ({ name, type: types[i]! })) };
    const toRow = (row: SQLOutputValue[]): Step => ({
      kind: "row",
      values: row.map((value, i) => toWire(value, types[i]!)),
    });
    for (const row of peeked) yield toRow(row);
    for (let next = rows.next(); !next.done; next = rows.next()) yield toRow(next.value);
  }

  /** The column whose least or greatest value this is: it keeps its type. */
  #findAggregated(item: string, sql: string): Column | undefined {
    const name = /^(?:MIN|MAX)\s*\(\s*(\[(?:[^\]]|\]\])*\]|\w+)\s*\)$/i.exec(item)?.[1];
    if (name === undefined) return undefined;
    const table = [...this.#tables.values()].find((t) => new RegExp(`\\b${t.name}\\b`, "i").test(sql));
    const found = table?.columns.find((c) => c.name === unquote(name));
    return found === undefined ? undefined : { ...found, notNull: false };
  }

  #prepare(db: DatabaseSync, sql: string): StatementSync {
    if (/\(\s*WITH\b/i.test(sql)) throw new Error("tsql:156:Incorrect syntax near the keyword 'WITH'");
    // An ORDER BY inside a subquery needs TOP or OFFSET.
    const inner = /\((SELECT(?:(?!\bTOP\b|\bOFFSET\b)[\s\S])*\bORDER BY(?:(?!\bOFFSET\b)[\s\S])*)\n\) AS _rivet/i.exec(
      sql,
    );
    if (inner !== null) throw new Error("tsql:1033:The ORDER BY clause is invalid in subqueries");
    const statement = db.prepare(translate(sql));
    statement.setReadBigInts(true);
    // Not in the types yet.
    (statement as StatementSync & { setReturnArrays(on: boolean): void }).setReturnArrays(true);
    return statement;
  }

  #describe(db: DatabaseSync, sql: string): void {
    db.exec("DELETE FROM temp.described");
    const insert = db.prepare("INSERT INTO temp.described VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)");
    try {
      const statement = this.#prepare(db, `SELECT * FROM (${sql}\n) AS _described`);
      const sample = [...statement.iterate()] as unknown as SQLOutputValue[][];
      statement.columns().forEach(({ name, column, table, database }, i) => {
        const origin = this.#tables.get(`${database}.${table}`.toLowerCase())?.columns.find((c) => c.name === column);
        const type = parseType(origin?.type ?? guessType(sample.slice(0, PEEK_ROWS), i));
        const isClr = CLR.has(type.name);
        const spelled = (origin?.type ?? guessType(sample, i)).replace(/ (utf8|japanese)$/, "");
        const collation = isText(type.name) || /char|text/.test(type.name) ? type.collation : null;
        const scale = /^(decimal|numeric)$/.test(type.name)
          ? type.second
          : /time|offset/.test(type.name)
          ? type.first
          : 0;
        insert.run(
          i + 1,
          name ?? null,
          origin?.notNull ? 0 : 1,
          isClr ? null : spelled,
          isClr ? type.name : null,
          type.first,
          type.name === "datetime" || type.name === "smalldatetime" ? 3 : scale,
          collation,
          null,
          null,
        );
      });
    } catch (error) {
      insert.run(0, null, null, null, null, 0, 0, null, 11529, (error as Error).message);
    }
  }

  #countRows(sql: string): void {
    if (this.options.hideStats && sql.includes("dm_db_partition_stats")) {
      throw new Error("tsql:262:VIEW DATABASE STATE permission denied in database 'shop'");
    }
    this.#admin.exec(
      "DELETE FROM sys.dm_db_partition_stats; DELETE FROM sys.partitions; DELETE FROM sys.allocation_units",
    );
    for (const { id, schema, name } of this.#tables.values()) {
      const { n } = this.#admin.prepare(`SELECT COUNT(*) AS n FROM ${quote(schema)}.${quote(name)}`).get() as {
        n: number;
      };
      const pages = Math.ceil(n / 80) + 1;
      this.#admin.prepare("INSERT INTO sys.dm_db_partition_stats VALUES (?, 1, ?, ?)").run(id, n, pages);
      this.#admin.prepare("INSERT INTO sys.partitions VALUES (?, 1, ?, ?, ?)").run(id, id, id, n);
      this.#admin.prepare("INSERT INTO sys.allocation_units VALUES (?, 1, ?)").run(id, pages);
    }
  }
}

/** Ends early when the statement is stopped, so that no timer is left. */
function toTimer([, hours, minutes, seconds]: RegExpExecArray, signal: AbortSignal): Promise<void> {
  const ms = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return sleep(ms, signal).catch(() => {});
}

function toMessage(error: Error): Step {
  const own = /^tsql:(\d+):(.*)$/s.exec(error.message);
  if (own !== null) return { kind: "message", number: Number(own[1]), message: own[2]!.slice(0, 1000) };
  const number = /^no such table/.test(error.message) ? 208 : /^no such column/.test(error.message) ? 207 : 102;
  return { kind: "message", number, message: `Fake: ${error.message.slice(0, 1000)}` };
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function unquote(name: string): string {
  const bare = name.trim().replace(/\s+(ASC|DESC)$/i, "");
  return bare.startsWith("[") ? bare.slice(1, -1).replaceAll("]]", "]") : bare;
}

function splitName(name: string): [string, string] {
  const parts = (name.match(/\[(?:[^\]]|\]\])*\]|[^.]+/g) ?? []).map(unquote);
  return parts.length === 1 ? ["dbo", parts[0]!] : [parts[0]!, parts[1]!];
}

/** Splits at commas outside of parentheses and delimited names. */
function splitList(text: string): string[] {
  return (text.match(/(?:\[(?:[^\]]|\]\])*\]|\([^()]*\)|[^,[(])+/g) ?? []).map((part) => part.trim());
}

function toCollation(_found: string, name: string): string {
  return /UTF8/i.test(name) ? " utf8" : /japanese/i.test(name) ? " japanese" : "";
}

function isText(type: string): boolean {
  return /^n?(char|varchar|text)\b|^sysname/i.test(type);
}

function guessType(rows: readonly SQLOutputValue[][], column: number): string {
  const value = rows.map((row) => row[column]).find((found) => found !== null);
  if (typeof value === "bigint") return "bigint";
  if (typeof value === "number") return "float";
  return value instanceof Uint8Array ? "varbinary(max)" : "nvarchar(max)";
}

function toWire(value: SQLOutputValue, type: string): WireValue {
  if (value === null || value instanceof Uint8Array) return value;
  if (typeof value === "number") {
    const { name, second } = parseType(type);
    if (name === "decimal" || name === "numeric") return value.toFixed(second);
    return name.endsWith("money") ? value.toFixed(4) : String(value);
  }
  return String(value);
}
