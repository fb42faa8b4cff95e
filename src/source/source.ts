// What every engine must offer: describe a query, hold one consistent picture, read slices as raw bytes, answer small questions.

import type { Framing } from "../core/mod.ts";
import type { Fidelity, LogicalType } from "../types/mod.ts";

export type Engine = "postgres" | "mysql" | "mssql" | "sqlite";

/** Everything needed to connect, secrets resolved. Lives in memory only and travels to lanes by message. */
export type SourceConnection =
  | ServerConnection & { readonly engine: "postgres" | "mysql" | "mssql" }
  | { readonly engine: "sqlite"; readonly path: string };

export interface ServerConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | null;
  readonly database: string;
  /** Null means plaintext, which is only ever resolved for loopback hosts or `mode: disable`. */
  readonly tls: TlsOptions | null;
}

export interface TlsOptions {
  readonly mode: "require" | "verify-ca" | "verify-full";
  /** PEM text of the private CA. */
  readonly ca: string | null;
  readonly acceptInvalidHostnames: boolean;
  /** The name the certificate must carry, where it is not the host. */
  readonly serverName?: string;
}

/** Per-session bounds. Zero means off. */
export interface SessionLimits {
  readonly statementTimeoutS: number;
  readonly lockTimeoutS: number;
  readonly connectTimeoutMs: number;
}

/** What is read: a table by name, or a query text without a trailing semicolon. */
export type Query =
  | { readonly kind: "table"; readonly schema: string | null; readonly name: string }
  | { readonly kind: "query"; readonly sql: string };

/** One result column, and how it will be selected, decoded and written. */
export interface SourceColumn {
  readonly name: string;
  /** The engine's own spelling, as in its catalog: `numeric(10,2)`, `timestamp with time zone`. */
  readonly nativeType: string;
  /** Null when nothing fits; `fidelity` is then `unsupported`. */
  readonly type: LogicalType | null;
  /** The core's wire form for what `select` yields. */
  readonly wire: string;
  /** The SQL expression that reads the column, e.g. `"x"` or `"x"::text`. It refers to the column by its bare quoted name. */
  readonly select: string;
  readonly fidelity: Fidelity;
  readonly warnings: readonly string[];
  /** Null when the engine cannot tell, as for expressions. */
  readonly notNull: boolean | null;
}

export interface Shape {
  readonly columns: readonly SourceColumn[];
}

export interface TableKey {
  readonly name: string;
  readonly columns: readonly string[];
  readonly primary: boolean;
  readonly unique: boolean;
  /** Every column of the key is NOT NULL. */
  readonly notNull: boolean;
}

/** Catalog facts about one table; nothing here scans it. */
export interface TableFacts {
  readonly schema: string | null;
  readonly name: string;
  readonly kind: "table" | "partitioned" | "view" | "other";
  /** Null when the catalog has none. */
  readonly rowsEstimate: number | null;
  readonly bytes: number | null;
  readonly avgRowBytes: number | null;
  /** PostgreSQL heap pages; null elsewhere. */
  readonly pages: number | null;
  /** Usable, valid, non-partial indexes, primary key first, then unique, then by name. */
  readonly keys: readonly TableKey[];
}

/** Where the rows of a slice go: the core's own memory. Back-pressure is the promise. */
export interface RowSink {
  room(bytes: number): Uint8Array;
  /** Resolves when more may come. Returns nothing when there is no reason to wait. */
  wrote(bytes: number): Promise<void> | void;
  /** The next message of the wire protocol that was not a row. */
  control(): Uint8Array | null;
}

/** How one slice is read. */
export interface ReadOptions {
  /** Rows per fetch at first; the engine adapts it to the bytes it sees. */
  readonly batchRows: number;
  /** Target bytes of one fetch. */
  readonly batchBytes: number;
  /** Wait after each full batch of `batchRows`, scaled by its rows, in milliseconds. */
  readonly throttleMs: number;
  /** A longer value is refused before it is held; absent = no limit. Sources that pass values on in pieces leave it to the core. */
  readonly maxValueBytes?: number;
  /** Wire forms of the statement's first columns, as described: where the engine can tell, a statement that now yields others is refused. */
  readonly wires?: readonly string[];
  readonly signal: AbortSignal;
}

export interface ReadReport {
  /** Rows the server says it sent; the core's own count must equal it. */
  readonly rows: number;
  /** Bytes received on the wire. */
  readonly bytesRead: number;
  readonly longestStatementMs: number;
  readonly statements: number;
}

/** How well the parts of an export fit together in time. */
export type Consistency = "snapshot" | "slice" | "none";

export interface Source extends AsyncDisposable {
  readonly engine: Engine;
  readonly framing: Framing;
  /** The server's version as it tells it, for the journal. */
  readonly serverVersion: string;
  /** What stands between us and the server, for one warning: `a multiplexing proxy`, `an Azure SQL gateway`. Null or absent = nothing known. */
  readonly proxy?: string | null;
  /** What `begin` achieves on this connection alone; absent = `snapshot`. Never better afterwards, worse when a retry lost the picture. */
  readonly consistency?: Consistency;
  /** Result columns of a query, in order. Reads no rows. */
  describe(query: Query): Promise<Shape>;
  /** Null for a table that does not exist. */
  facts(table: { schema: string | null; name: string }): Promise<TableFacts | null>;
  /** Small results as text, for probes and catalogs; NULL is null. */
  rows(sql: string): Promise<(string | null)[][]>;
  /**
   * Begins the one consistent picture of this connection. With a token, joins the picture another connection of the same server exported.
   * Returns the token others can join, or null when the engine cannot share one, or when this connection came too late to join and
   * has a picture of its own. `lanes` says how many will join at once: an engine that must hold writers back for it does so only then.
   */
  begin(token: string | null, lanes?: number): Promise<string | null>;
  /** Streams the rows of one statement into the sink. */
  read(sql: string, into: RowSink, options: ReadOptions): Promise<ReadReport>;
  /** Ends the picture; the next `begin` sees newer data. */
  end(): Promise<void>;
}
