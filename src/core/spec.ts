// What the core is told and what it answers: plain data, sent to the WASM module as JSON.

/** How rows are framed in the bytes a source writes into the core. */
export type Framing =
  /** PostgreSQL backend messages as they come from the socket; `D` messages are rows, all others are control. */
  | "pg_messages"
  /** MySQL packets as they come from the socket after COM_QUERY; column definitions and final packets are control. */
  | "mysql_packets"
  /** Bare `lenenc_text` rows, one after the other, written by the source itself. */
  | "rows";

export interface ColumnSpec {
  readonly name: string;
  /** The logical type in the spelling of `formatType`. */
  readonly type: string;
  /**
   * The wire form of a value.
   * `pg_messages`: bool int2 int4 int8 oid float4 float8 numeric date time timestamp timestamptz interval text bytea json jsonb uuid
   * and `array<…>` of these.
   * `mysql_packets`, `rows`: `text` (parsed by `type`), `bytes` (raw bytes into binary, or 16 bytes into uuid), `bits` (big-endian bits into bool, integers).
   */
  readonly wire: string;
  /** `hidden` columns are read and observed but not written. */
  readonly hidden?: boolean;
  /** Arrow and Parquet field metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What a MySQL zero date becomes. @default "fail" */
  readonly zeroDates?: "fail" | "null";
}

export interface ParquetSpec {
  readonly kind: "parquet";
  readonly codec: "zstd" | "snappy" | "gzip" | "lz4" | "none";
  /** zstd 1–22 (default 3), gzip 0–9 (default 6). */
  readonly level?: number;
  /** A row group closes when its encoded size in memory reaches this many bytes. */
  readonly rowGroupBytes: number;
  /** A row group also closes at this many rows. */
  readonly rowGroupRows?: number;
}

export interface CsvSpec {
  readonly kind: "csv";
  readonly codec: "zstd" | "gzip" | "none";
  readonly level?: number;
  /** One byte. @default "," */
  readonly delimiter?: string;
  /** @default true */
  readonly header?: boolean;
  /** The text of NULL. The default is an empty bare field, while an empty string is `""`. */
  readonly null?: string;
}

/** No file is made: rows are decoded and observed only. */
export interface NothingSpec {
  readonly kind: "none";
}

/**
 * The rows at the two edges of an incremental window.
 * The hidden int column says for each row: bit 1 = at or below the previous upper bound, so it may have been exported already and is
 * left out if its hash is in `known`; bit 2 = inside the next run's overlap, so its hash is remembered.
 */
export interface EdgeSpec {
  readonly column: string;
  /** 32 hex digits of a row's xxh3-128 → how many rows with that hash were exported already. */
  readonly known: Readonly<Record<string, number>>;
}

export interface EncoderSpec {
  readonly framing: Framing;
  /** In wire order, hidden ones included. */
  readonly columns: readonly ColumnSpec[];
  readonly format: ParquetSpec | CsvSpec | NothingSpec;
  /** Files rotate at this many bytes, measured after compression; absent = one file. */
  readonly maxFileBytes?: number;
  /** A longer value is refused from its length, before it is buffered; absent = no limit. */
  readonly maxValueBytes?: number;
  /** Adds the non-null column `_rivet_exported_at`: microseconds since the epoch. */
  readonly exportedAtUs?: number;
  /** Adds the non-null int64 column `_rivet_row_hash` over these columns. */
  readonly rowHash?: readonly string[];
  readonly edge?: EdgeSpec;
  /** Columns whose least and greatest value are observed. */
  readonly minMax?: readonly string[];
  /** Columns whose values must not repeat; counting stops at `maxEntries` distinct values. */
  readonly unique?: readonly { readonly column: string; readonly maxEntries?: number }[];
  /** Parquet `created_by`. */
  readonly createdBy: string;
}

export interface ObservedColumn {
  readonly name: string;
  readonly nulls: number;
  /** Bytes of the longest value as it stood on the wire. */
  readonly longest: number;
  /** NULLs that were zero dates in the source; absent = none. */
  readonly zeroDates?: number;
  /** Decimal text of the wrapping u64 sum of xxh3-64 over each non-null value's canonical little-endian bytes. */
  readonly checksum: string;
  /** Canonical text, exact; present for `minMax` columns with at least one value. */
  readonly min?: string;
  readonly max?: string;
}

/** What was seen in one finished file. */
export interface PartObservations {
  readonly rows: number;
  readonly bytes: number;
  /** 16 hex digits of the file bytes' xxh3-64. */
  readonly xxh3: string;
  /** Base64 of the file bytes' MD5. */
  readonly md5: string;
  /** Decimal text of crc32c (Castagnoli) of the file bytes. */
  readonly crc32c: string;
  /** Written columns only. */
  readonly columns: readonly ObservedColumn[];
}

/** What was seen over all files of one encoder. */
export interface SliceObservations {
  readonly rows: number;
  /** Rows left out because their hash was in `edge.known`. */
  readonly skipped: number;
  /** Over all columns, hidden ones included. */
  readonly columns: readonly ObservedColumn[];
  /** Hashes of rows inside the next run's overlap → count. */
  readonly edge: Readonly<Record<string, number>>;
  readonly unique: readonly { readonly column: string; readonly duplicates: number; readonly complete: boolean }[];
}

/**
 * Encodes the rows of one slice into one or more files. All calls are synchronous; errors are `RivetError`s.
 *
 * The order per block: `room`, fill the view, `wrote`, then drain `takeControl`, `takeOutput` and `takePart` until all are null.
 * Output bytes taken before a part belong to that part's file. `finish` ends the last file: drain once more after it.
 */
export interface Encoder {
  /** A view of the core's own input memory with at least `bytes` free bytes. Valid until the next call. */
  room(bytes: number): Uint8Array;
  /** The first `bytes` of the view were filled: complete rows are decoded and encoded. */
  wrote(bytes: number): void;
  /** The next message that is not a row, whole and copied out, in order, or null. */
  takeControl(): Uint8Array | null;
  /** The next finished file bytes, copied out, or null. */
  takeOutput(): Uint8Array | null;
  /** The next finished file's observations, or null. */
  takePart(): PartObservations | null;
  /**
   * Ends the last file. A slice without rows makes no part unless `emptyFile` is true.
   * Rows still incomplete in the input are an error.
   */
  finish(emptyFile: boolean): SliceObservations;
  /** Frees the core's memory for reuse by the next encoder. */
  close(): void;
}

export interface Core {
  openEncoder(spec: EncoderSpec): Encoder;
  openReader(): FileReader;
  /** Bytes of WASM memory in use now. */
  memoryBytes(): number;
}

/** What a file that was read back holds. */
export interface FileContent {
  readonly rows: number;
  readonly columns: readonly ObservedColumn[];
  /** Columns in which some text stands for several values (CSV: all NaNs are `NaN`), so that equal values may have other checksums. */
  readonly ambiguous: readonly string[];
}

/** Reads a finished file back, streaming: per-column checksums and row count recomputed from its values. */
export interface FileReader {
  /**
   * The whole file's length is known; `need` says which byte range the core wants next, null when it is done. Without a `format` the file
   * is Parquet.
   */
  open(
    fileBytes: number,
    columns: readonly Pick<ColumnSpec, "name" | "type">[],
    keys?: readonly string[],
    format?: CsvSpec,
  ): void;
  need(): { offset: number; length: number } | null;
  /** The bytes at the needed offset, all of them or the first of them. */
  give(bytes: Uint8Array): void;
  /**
   * When `keys` were named: lines of CSV, the key columns and then the row's hash as in `_rivet_row_hash`; null when none are ready.
   * Drain it after `finish` as well.
   */
  takeRows(): Uint8Array | null;
  /** Throws RIVET_VERIFY_CONTENT_UNMET when the file was not what it should be. */
  finish(): FileContent;
  close(): void;
}
