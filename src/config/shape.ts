// The config as written: one schema that gives the TypeScript types, the JSON Schema and the reference page. snake_case, as in YAML.

import { z } from "zod";

const count = (min: number) => z.number().int().min(min);
const name = z.string().min(1);

const TlsShape = z.strictObject({
  mode: z.enum(["disable", "require", "verify-ca", "verify-full"]).optional()
    .describe(
      "disable: plaintext. require: encrypted, nothing checked. verify-ca: chain checked. verify-full: chain and host name checked, the default.",
    ),
  ca_file: z.string().optional().describe("PEM file of a private CA."),
  accept_invalid_certs: z.boolean().optional().describe(
    "Encrypt without checking the certificate. Only without an explicit mode.",
  ),
  accept_invalid_hostnames: z.boolean().optional().describe(
    "Check the chain but not the host name. Only without an explicit mode.",
  ),
});

export const TuningShape = z.strictObject({
  profile: z.enum(["fast", "balanced", "safe"]).optional().describe("Defaults for everything below."),
  batch_size: count(1).optional().describe("Rows of a fetch."),
  batch_size_memory_mb: count(1).optional().describe("Target size of a fetch; excludes batch_size."),
  throttle_ms: count(0).optional().describe("Pause per full batch, scaled by its rows."),
  statement_timeout_s: count(0).optional().describe("Longest statement; 0 is off."),
  lock_timeout_s: count(0).optional().describe("Longest wait for a lock; 0 is off."),
  max_retries: count(0).optional().describe("Further attempts of a chunk after a transient error."),
  retry_backoff_ms: count(0).optional().describe("First wait; doubles up to a minute."),
  memory_threshold_mb: count(0).optional().describe("Wait for memory above this; 0 is off."),
  max_batch_memory_mb: count(1).optional().describe("Most memory of one batch."),
  on_batch_memory_exceeded: z.enum(["warn", "fail", "auto_shrink"]).optional(),
  adaptive: z.boolean().optional().describe("Back off while the source is under pressure."),
  min_parallel: count(1).optional().describe("Lanes that adaptive keeps at least."),
  max_value_mb: count(0).optional().describe("A longer value is refused before it is read; 0 is off."),
  chunk_max_statement_s: z.number().positive().optional().describe(
    "A chunk statement that ran longer makes the next chunks smaller.",
  ),
  chunk_min_rows: count(1).optional().describe("Chunks are not made smaller than this."),
});

export const SourceShape = z.strictObject({
  type: z.enum(["postgres", "mysql", "mssql", "sqlite"]).describe("The engine."),
  path: z.string().optional().describe("SQLite: the file, relative to the config."),
  url: z.string().optional().describe("Connection URL. Better: url_env or url_file."),
  url_env: name.optional().describe("Environment variable that holds the URL."),
  url_file: z.string().optional().describe("File that holds the URL."),
  host: z.string().optional(),
  port: count(1).max(65535).optional().describe("Default: 5432 PostgreSQL, 3306 MySQL, 1433 SQL Server."),
  user: z.string().optional(),
  password: z.string().optional().describe("Better: password_env."),
  password_env: name.optional().describe("Environment variable that holds the password."),
  database: z.string().optional(),
  environment: z.enum(["local", "replica", "production"]).optional().describe(
    "Picks the default profile: local fast, otherwise balanced.",
  ),
  zero_dates: z.enum(["fail", "null"]).optional().describe("MySQL: what 0000-00-00 becomes."),
  tuning: TuningShape.optional(),
  tls: TlsShape.optional().describe("Required for every host that is not this machine."),
});

const DestinationShape = z.strictObject({
  type: z.enum(["local", "s3", "gcs", "azure", "stdout"]),
  path: z.string().optional().describe(
    "local: folder, relative to the config. Placeholders {date}, {export}, {table}, {partition}.",
  ),
  prefix: z.string().optional().describe("Stores: object prefix. The same placeholders."),
  bucket: z.string().optional().describe("s3, gcs: bucket. azure: container."),
  region: z.string().optional(),
  endpoint: z.string().optional().describe("Own endpoint; must be this machine unless allow_anonymous."),
  credentials_file: z.string().optional().describe("gcs: key file."),
  access_key_env: name.optional().describe("s3: variable with the access key."),
  secret_key_env: name.optional().describe("s3: variable with the secret key."),
  session_token_env: name.optional().describe("s3: variable with the session token."),
  aws_profile: name.optional(),
  account_name: z.string().optional().describe("azure: storage account."),
  account_key_env: name.optional(),
  sas_token_env: name.optional(),
  allow_anonymous: z.boolean().optional(),
  oneshot_budget_mb: count(0).optional().describe("Memory for uploads in one request; 0 always streams. Default 64."),
});

const ParquetShape = z.strictObject({
  row_group_strategy: z.enum(["auto", "fixed_rows", "fixed_memory"]).optional(),
  row_group_rows: count(1).optional(),
  target_row_group_mb: z.number().positive().optional().describe("Encoded size of a row group in memory."),
  max_row_group_mb: z.number().positive().optional(),
});

const CsvShape = z.strictObject({
  null: z.string().optional().describe("Text of NULL. Default: a bare empty field, while an empty string is quoted."),
  delimiter: z.string().length(1).optional(),
  header: z.boolean().optional(),
});

const QualityShape = z.strictObject({
  row_count_min: count(0).optional(),
  row_count_max: count(0).optional(),
  null_ratio_max: z.record(z.string(), z.number().min(0).max(1)).optional(),
  unique_columns: z.array(name).optional(),
  unique_max_entries: count(1).optional(),
});

export const ExportShape = z.strictObject({
  name: name.describe("Names files and state; unique."),
  table: z.string().optional().describe("table or schema.table."),
  query: z.string().optional(),
  query_file: z.string().optional().describe("SQL file, relative to the config and below its folder."),
  mode: z.enum(["full", "incremental", "chunked", "time_window"]).optional(),
  cursor_column: z.string().optional(),
  cursor_fallback_column: z.string().optional(),
  incremental_cursor_mode: z.enum(["single_column", "coalesce"]).optional(),
  cursor_lag: z.string().optional().describe("Read this far back for late commits: 30s, 5m, 2h, 1d."),
  settle: z.strictObject({ after: z.string(), column: z.string().optional() }).optional()
    .describe("Export a row only once it is this old."),
  on_cursor_null: z.enum(["include_once", "ignore", "fail"]).optional(),
  chunk_column: z.string().optional(),
  chunk_dense: z.boolean().optional().describe("Chunks of equal row counts along chunk_column."),
  chunk_size: count(1).optional().describe("Keys or rows of a chunk. Default 100000."),
  chunk_size_memory_mb: count(1).optional(),
  chunk_count: z.number().int().optional(),
  chunk_by_days: z.number().int().optional(),
  chunk_by_key: z.union([z.string(), z.array(z.string()).min(1)]).optional().describe(
    "Indexed column or columns of any type.",
  ),
  parallel: count(1).max(64).optional().describe("Lanes at most."),
  chunk_checkpoint: z.boolean().optional().describe("Accepted; every mode resumes."),
  chunk_max_attempts: count(1).optional(),
  keyset_incremental: z.boolean().optional(),
  wave: z.number().int().optional(),
  parallel_safe: z.boolean().optional(),
  time_column: z.string().optional(),
  days_window: count(1).optional(),
  time_column_type: z.enum(["timestamp", "unix"]).optional(),
  partition_by: z.string().optional(),
  partition_granularity: z.enum(["day", "month", "year"]).optional(),
  format: z.enum(["parquet", "csv"]),
  compression: z.enum(["zstd", "snappy", "gzip", "lz4", "none"]).optional(),
  compression_level: z.number().int().optional().describe("zstd 1–22, gzip 0–9."),
  compression_profile: z.enum(["none", "fast", "balanced", "compact"]).optional(),
  skip_empty: z.boolean().optional(),
  destination: DestinationShape,
  verify: z.enum(["size", "content"]).optional(),
  meta_columns: z.strictObject({
    exported_at: z.boolean().optional(),
    row_hash: z.union([z.boolean(), z.array(name)]).optional(),
  }).optional(),
  quality: QualityShape.optional(),
  max_file_size: z.union([z.string(), z.number()]).optional().describe(
    "512MB, 1.5GB, or bytes; counted after compression.",
  ),
  tuning: TuningShape.optional(),
  source_group: z.string().optional(),
  reconcile_required: z.boolean().optional(),
  columns: z.record(z.string(), z.string()).optional().describe(
    "Column → type, where the mapping is not what you want.",
  ),
  target: z.string().optional(),
  on_schema_drift: z.enum(["warn", "continue", "fail"]).optional(),
  shape_drift_warn_factor: z.number().min(0).optional(),
  parquet: ParquetShape.optional(),
  csv: CsvShape.optional(),
});

const WebhookShape = z.strictObject({
  webhook_url: z.string().optional(),
  webhook_url_env: name.optional(),
  on: z.array(z.enum(["failure", "schema_change", "degraded"])).optional(),
});

export const ConfigShape = z.strictObject({
  source: SourceShape,
  exports: z.array(ExportShape),
  notifications: z.strictObject({ slack: WebhookShape.optional(), webhook: WebhookShape.optional() }).optional(),
  parallel_exports: z.boolean().optional(),
  parallel_export_processes: z.boolean().optional(),
});

export type RawConfig = z.infer<typeof ConfigShape>;
export type RawSource = z.infer<typeof SourceShape>;
export type RawExport = z.infer<typeof ExportShape>;
export type RawDestination = z.infer<typeof DestinationShape>;
export type RawTuning = z.infer<typeof TuningShape>;
