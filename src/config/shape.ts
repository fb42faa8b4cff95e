// The config as written: one schema that gives the TypeScript types, the JSON Schema and the reference page. snake_case, as in YAML.
// It checks one value at a time; what several keys mean together stands in the rules.

import { z } from "zod";

const count = (min: number) => z.number().int().min(min);
const text = () => z.string().min(1);
const flag = () => z.boolean();

const TlsShape = z.strictObject({
  mode: z.enum(["disable", "require", "verify-ca", "verify-full"]).optional().describe(
    "`disable`: plaintext. `require`: encrypted, nothing checked. `verify-ca`: certificate checked. `verify-full`: certificate and host name checked. Default: `verify-full`.",
  ),
  ca_file: text().optional().describe(
    "PEM file of a private certificate authority, relative to the config. Default: the system's authorities.",
  ),
  server_name: text().optional().describe(
    "The name the certificate must carry, where it is not `host`: behind a tunnel, or with an address.",
  ),
  accept_invalid_certs: flag().optional().describe(
    "Encrypt without checking the certificate. Only without `mode`. Default: false.",
  ),
  accept_invalid_hostnames: flag().optional().describe(
    "Check the certificate, but not the host name. Only without `mode`. Default: false.",
  ),
});

export const TuningShape = z.strictObject({
  profile: z.enum(["fast", "balanced", "safe"]).optional().describe(
    "Defaults for everything below. Default: `balanced`, or `fast` with `environment: local`.",
  ),
  batch_size: count(1).optional().describe("Rows of one fetch. Default: 50000, 10000 or 2000 by profile."),
  batch_size_memory_mb: count(1).optional().describe(
    "Bytes of one fetch, instead of rows; excludes `batch_size`. Default: 64, 32 or none by profile.",
  ),
  throttle_ms: count(0).optional().describe(
    "Pause after a full fetch, shorter after a partial one. Default: 0, 50 or 500 by profile.",
  ),
  statement_timeout_s: count(0).optional().describe(
    "Longest statement; 0 is off. Default: 0, 300 or 120 by profile.",
  ),
  lock_timeout_s: count(0).optional().describe(
    "Longest wait for a lock in the source; 0 is off. Default: 0, 30 or 10 by profile.",
  ),
  max_retries: count(0).optional().describe(
    "Further attempts after an error that may pass. Default: 1, 3 or 10 by profile.",
  ),
  retry_backoff_ms: count(0).optional().describe(
    "Wait before the first of them; it doubles, up to a minute. Default: 1000, 2000 or 5000 by profile.",
  ),
  memory_threshold_mb: count(0).optional().describe(
    "No chunk is begun while the process uses more; 0 is off. Default: 0, 4096 or 2048 by profile.",
  ),
  max_batch_memory_mb: count(1).optional().describe("Most memory of one batch. Default: none."),
  on_batch_memory_exceeded: z.enum(["warn", "fail", "auto_shrink"]).optional().describe(
    "What happens when a batch is larger than that. Default: `warn`.",
  ),
  adaptive: flag().optional().describe("Back off while the source is under pressure. Default: false."),
  min_parallel: count(1).optional().describe("Lanes that `adaptive` keeps. Default: 1."),
  max_value_mb: count(0).optional().describe(
    "A longer value is refused before it is read; 0 is off. Default: 256.",
  ),
  chunk_max_statement_s: z.number().positive().optional().describe(
    "MySQL and SQL Server: after a statement that took longer, the next chunks are read in several shorter ones. Default: 2.",
  ),
  chunk_min_rows: count(1).optional().describe(
    "A chunk is not read in statements of fewer rows than this. Default: 1000.",
  ),
});

export const SourceShape = z.strictObject({
  type: z.enum(["postgres", "mysql", "mssql", "sqlite"]).describe("The engine. MariaDB is `mysql`."),
  path: text().optional().describe("SQLite: the database file, relative to the config."),
  url: text().optional().describe(
    "Connection URL: `scheme://user:password@host:port/database`. `url_env` and `url_file` keep it out of the config.",
  ),
  url_env: text().optional().describe("Environment variable that holds the URL."),
  url_file: text().optional().describe("File that holds the URL, relative to the config."),
  host: text().optional().describe("Instead of a URL: host name or address, without the port."),
  port: count(1).max(65535).optional().describe("Default: 5432 PostgreSQL, 3306 MySQL, 1433 SQL Server."),
  user: text().optional().describe("Instead of a URL: user name."),
  password: z.string().optional().describe("Password. `password_env` keeps it out of the config."),
  password_env: text().optional().describe("Environment variable that holds the password."),
  database: text().optional().describe("Instead of a URL: database."),
  environment: z.enum(["local", "replica", "production"]).optional().describe(
    "What the source is. `local` makes `fast` the default profile.",
  ),
  zero_dates: z.enum(["fail", "null"]).optional().describe(
    "MySQL: what `0000-00-00` becomes. `fail` stops the run. Default: `fail`.",
  ),
  tuning: TuningShape.optional().describe("How gently all exports read; an export's own `tuning` wins key by key."),
  tls: TlsShape.optional().describe("How the connection is protected. Required unless the source is on this machine."),
});

const PLACEHOLDERS = "Placeholders: `{date}`, `{export}`, `{table}`, `{partition}`.";

const DestinationShape = z.strictObject({
  type: z.enum(["local", "s3", "gcs", "azure", "stdout"]).describe("Where the files go."),
  path: z.string().optional().describe(
    `local: folder, relative to the config. ${PLACEHOLDERS} Default: the config's folder.`,
  ),
  prefix: z.string().optional().describe(`s3, gcs, azure: what all object names begin with. ${PLACEHOLDERS}`),
  bucket: text().optional().describe("s3, gcs: bucket. azure: container."),
  region: text().optional().describe("s3: region. Default: `AWS_REGION`, the profile's, or us-east-1."),
  endpoint: text().optional().describe(
    "Another endpoint than the provider's; on this machine unless `allow_anonymous`.",
  ),
  credentials_file: text().optional().describe(
    "gcs: key file of a service account, relative to the config. Default: the application default credentials.",
  ),
  access_key_env: text().optional().describe("s3: environment variable with the access key. Default: the AWS chain."),
  secret_key_env: text().optional().describe("s3: environment variable with the secret key."),
  session_token_env: text().optional().describe("s3: environment variable with the session token."),
  aws_profile: text().optional().describe("s3: profile of the AWS configuration."),
  account_name: text().optional().describe("azure: storage account."),
  account_key_env: text().optional().describe("azure: environment variable with the account key."),
  sas_token_env: text().optional().describe("azure: environment variable with a SAS token."),
  allow_anonymous: flag().optional().describe("Send no credentials. Default: false."),
  oneshot_budget_mb: count(0).optional().describe(
    "A data file that ends within its first 5 MiB and within this size is put in one request; 0 always uploads in blocks. Default: 64.",
  ),
});

const ParquetShape = z.strictObject({
  row_group_strategy: z.enum(["auto", "fixed_rows", "fixed_memory"]).optional().describe(
    "What closes a row group. Default: `auto`.",
  ),
  row_group_rows: count(1).optional().describe("Rows of a row group with `fixed_rows`."),
  target_row_group_mb: z.number().positive().optional().describe("Size of a row group in memory. Default: 128."),
  max_row_group_mb: z.number().positive().optional().describe("Most memory of a row group. Default: none."),
});

const CsvShape = z.strictObject({
  null: z.string().optional().describe(
    'Text that stands for NULL. Default: an empty field, while an empty text is `""`.',
  ),
  delimiter: z.string().length(1).optional().describe("One character between fields. Default: `,`."),
  header: flag().optional().describe("Column names in the first line. Default: true."),
});

const QualityShape = z.strictObject({
  row_count_min: count(0).optional().describe("Fewer rows fail the run."),
  row_count_max: count(0).optional().describe("More rows fail the run."),
  null_ratio_max: z.record(z.string(), z.number().min(0).max(1)).optional().describe(
    "Column → largest share of NULL, from 0 to 1.",
  ),
  unique_columns: z.array(text()).optional().describe("Columns whose values must not repeat. NULL is no value."),
  unique_max_entries: count(1).optional().describe("Values kept to find out; beyond that the check only warns."),
});

const MetaShape = z.strictObject({
  exported_at: flag().optional().describe("Add `_rivet_exported_at`. Default: false."),
  row_hash: z.union([flag(), z.array(text())]).optional().describe(
    "Add `_rivet_row_hash` over all columns, or over those of a list. Default: false.",
  ),
});

const SettleShape = z.strictObject({
  after: text().describe("Age: a whole number and s, m, h or d."),
  column: text().optional().describe("Date or timestamp that tells the age. Default: the cursor."),
});

export const ExportShape = z.strictObject({
  name: text().describe("Unique name; state and files are kept by it."),
  table: text().optional().describe("What to read: `table` or `schema.table`."),
  query: z.string().optional().describe("What to read: a SELECT."),
  query_file: text().optional().describe("What to read: a file with a SELECT, in the config's folder or below it."),
  mode: z.enum(["full", "incremental", "chunked", "time_window"]).optional().describe("How to read. Default: `full`."),
  cursor_column: text().optional().describe("incremental: column that grows with every new or changed row."),
  cursor_fallback_column: text().optional().describe(
    "incremental: stands in where the cursor is NULL, with `coalesce`.",
  ),
  incremental_cursor_mode: z.enum(["single_column", "coalesce"]).optional().describe(
    "incremental: one cursor column, or the first of two that is not NULL. Default: `single_column`.",
  ),
  cursor_lag: z.string().optional().describe(
    "incremental: read this far back again for late commits, leaving out what was exported: `30s`, `5m`, `2h`, `1d`. Default: none.",
  ),
  settle: SettleShape.optional().describe("incremental: export a row only once it is this old."),
  on_cursor_null: z.enum(["include_once", "ignore", "fail"]).optional().describe(
    "incremental: what happens to rows whose cursor is NULL. Default: `include_once`.",
  ),
  chunk_column: text().optional().describe(
    "chunked: integer column, or date or timestamp with `chunk_by_days`. Default: the primary key.",
  ),
  chunk_dense: flag().optional().describe(
    "chunked: chunks of equal row counts along `chunk_column`, where one snapshot covers all of them. Default: false.",
  ),
  chunk_size: count(1).optional().describe(
    "chunked: width of a chunk in key values; rows with `chunk_by_key` and `chunk_dense`. Default: 100000.",
  ),
  chunk_size_memory_mb: count(1).optional().describe(
    "chunked: size of a chunk in bytes, from the table's statistics; excludes `chunk_size`.",
  ),
  chunk_count: count(1).optional().describe("chunked: number of chunks of equal width."),
  chunk_by_days: count(1).optional().describe("chunked: days of a chunk along `chunk_column`."),
  chunk_by_key: z.union([text(), z.array(text()).min(1)]).optional().describe(
    "chunked: an indexed column of any type, or the columns of an index in order.",
  ),
  parallel: count(1).max(256).optional().describe("Connections that read at the same time. Default: 1."),
  chunk_checkpoint: flag().optional().describe("chunked: accepted; every run can be resumed. Default: false."),
  chunk_max_attempts: count(1).optional().describe("chunked: attempts for one chunk. Default: `max_retries` + 1."),
  keyset_incremental: flag().optional().describe(
    "chunked: read only keys above those of the last run; needs `chunk_by_key`. Default: false.",
  ),
  wave: z.number().int().optional().describe(
    "Order in which `apply` runs exports; written by `plan --annotate-waves`.",
  ),
  parallel_safe: flag().optional().describe(
    "Whether `apply` may run it beside others; written by `plan --annotate-waves`. Default: false.",
  ),
  time_column: text().optional().describe("time_window: column that the window is measured on."),
  days_window: count(1).optional().describe("time_window: days back from today, UTC."),
  time_column_type: z.enum(["timestamp", "unix"]).optional().describe(
    "time_window: a timestamp, or seconds since 1970. Default: `timestamp`.",
  ),
  partition_by: text().optional().describe(
    "Date or timestamp column; one set of files for each day, month or year. Needs `{partition}` in the destination.",
  ),
  partition_granularity: z.enum(["day", "month", "year"]).optional().describe("Length of a partition. Default: `day`."),
  format: z.enum(["parquet", "csv"]).describe("Format of the files."),
  compression: z.enum(["zstd", "snappy", "gzip", "lz4", "none"]).optional().describe(
    "Codec. CSV takes `gzip`, `zstd` and `none`. Default: `zstd` for Parquet, `none` for CSV.",
  ),
  compression_level: z.number().int().optional().describe("zstd: 1 to 22, default 3. gzip: 0 to 9, default 6."),
  compression_profile: z.enum(["none", "fast", "balanced", "compact"]).optional().describe(
    "Instead of the two: no compression, snappy, zstd 3, zstd 9.",
  ),
  skip_empty: flag().optional().describe("Write nothing when there are no rows. Default: false."),
  destination: DestinationShape.describe("Where the files go."),
  verify: z.enum(["size", "content"]).optional().describe("How deep `validate` must look. Default: `size`."),
  meta_columns: MetaShape.optional().describe("Columns that rivet adds."),
  quality: QualityShape.optional().describe("What the rows must fulfil before they are published."),
  max_file_size: z.union([z.string(), z.number()]).optional().describe(
    "A file is closed once it has this size, its footer included: `512MB`, `1.5GB`, or bytes. It is larger by what was read meanwhile, at most one row group. Default: none.",
  ),
  tuning: TuningShape.optional().describe("How gently this export reads."),
  source_group: text().optional().describe(
    "Exports of one group load the same part of the source; advice for planning.",
  ),
  reconcile_required: flag().optional().describe(
    "Advice for planning: this export should be reconciled. Default: false.",
  ),
  columns: z.record(z.string(), z.string()).optional().describe(
    "Column → type, where the source's own type is not what you want. `table.column` means one table's.",
  ),
  target: z.string().optional().describe(
    "Warehouse that will read the files, for advice: `bigquery`, `snowflake`, `duckdb`, `clickhouse`.",
  ),
  on_schema_drift: z.enum(["warn", "continue", "fail"]).optional().describe(
    "What happens when the columns changed since the last run. Default: `warn`.",
  ),
  shape_drift_warn_factor: z.number().min(0).optional().describe(
    "Warn when a column's longest value grew by this factor; 0 is off. Default: 2.",
  ),
  parquet: ParquetShape.optional().describe("Layout of Parquet files."),
  csv: CsvShape.optional().describe("Layout of CSV files."),
});

const WebhookShape = z.strictObject({
  webhook_url: text().optional().describe(
    "URL that messages are posted to. `webhook_url_env` keeps it out of the config.",
  ),
  webhook_url_env: text().optional().describe("Environment variable that holds the URL."),
  on: z.array(z.enum(["failure", "schema_change", "degraded"])).optional().describe(
    "What is reported: an export that failed, one whose columns changed, one that ended well but with warnings or retries. Default: `failure`.",
  ),
});

export const ConfigShape = z.strictObject({
  source: SourceShape.describe("Where the rows come from."),
  exports: z.array(ExportShape.describe("One entry for each set of files.")).describe("What is exported."),
  notifications: z.strictObject({
    slack: WebhookShape.optional().describe("Messages in Slack's form."),
    webhook: WebhookShape.optional().describe("Messages as JSON."),
  }).optional().describe("Whom to tell."),
  parallel_exports: flag().optional().describe("Run exports at the same time. Default: false."),
  parallel_export_processes: flag().optional().describe("Accepted; the same as `parallel_exports`. Default: false."),
});

export type RawConfig = z.infer<typeof ConfigShape>;
export type RawSource = z.infer<typeof SourceShape>;
export type RawExport = z.infer<typeof ExportShape>;
export type RawDestination = z.infer<typeof DestinationShape>;
export type RawTuning = z.infer<typeof TuningShape>;
export type RawWebhook = z.infer<typeof WebhookShape>;
