// The little SQL that both databases of the state speak; nothing here knows a table. Text uses `?` for parameters on both.

/** What goes into a column. Booleans become 0 and 1 where the database has no such type. */
export type SqlValue = string | number | boolean | null;
export type Row = Readonly<Record<string, SqlValue>>;

export interface Sql {
  readonly kind: "sqlite" | "postgres";
  all(text: string, values?: readonly SqlValue[]): Promise<Row[]>;
  /** The number of rows that were changed. */
  run(text: string, values?: readonly SqlValue[]): Promise<number>;
  /** Appends many rows quickly: a million in seconds. */
  insert(table: string, columns: readonly string[], rows: Iterable<readonly SqlValue[]>): Promise<void>;
  /** Milliseconds since the epoch on the clock that leases expire by: the server's, or this machine's for a file. */
  now(): Promise<number>;
}

export interface TransactionOptions {
  /**
   * False lets a power failure forget this transaction (never tear it): for what is only told, or is found out again.
   * @default true
   */
  readonly durable?: boolean;
}

export interface Db extends Sql, AsyncDisposable {
  /** For people: a path, or a URL without secrets. */
  readonly location: string;
  /** All of the body or nothing. On PostgreSQL the body may run again after a deadlock, so it must not have other effects. */
  transaction<T>(body: (sql: Sql) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Gives room that deleted rows took back to the disk, where that is ours to do. */
  compact(): Promise<void>;
}

export async function first(sql: Sql, text: string, values: readonly SqlValue[] = []): Promise<Row | null> {
  return (await sql.all(text, values))[0] ?? null;
}

/** A column that is never NULL and holds text. */
export function text(row: Row, column: string): string {
  return String(row[column]);
}

export function textOrNull(row: Row, column: string): string | null {
  const value = row[column];
  return value === null || value === undefined ? null : String(value);
}

export function count(row: Row | null, column: string): number {
  return Number(row?.[column] ?? 0);
}

/** `?, ?, ?` */
export function marks(values: readonly unknown[]): string {
  return values.map(() => "?").join(", ");
}

/** Lists cut so that each piece fits into one statement's parameters. */
export function* pieces<T>(items: readonly T[], size = 500): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
