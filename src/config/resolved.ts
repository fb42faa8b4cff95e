// A config after parsing: camelCase, defaults filled, rules checked. Secrets are still references until `resolveConnection`.

import type { Engine, SourceConnection } from "../source/mod.ts";
import type { LogicalType } from "../types/mod.ts";
import type { SealedConfig } from "./seal.ts";

export interface Config {
  /** Absolute path of the file. */
  readonly path: string;
  /** Absolute folder of the file: relative paths are anchored here. */
  readonly directory: string;
  readonly source: SourceConfig;
  readonly exports: readonly Export[];
  readonly notifications: NotificationConfig | null;
  readonly parallelExports: boolean;
  /** Said once on stderr: plaintext passwords, unused parameters, overridden settings. */
  readonly warnings: readonly string[];
  /** Names of the parameters that were given; a later call needs them again. */
  readonly parameters: readonly string[];
  /** A text with every value that was filled in turned back into its `${name}`. */
  readonly hide: (text: string) => string;
  /** What a plan artifact may hold of the config. */
  readonly seal: () => SealedConfig;
}

export interface SourceConfig {
  readonly engine: Engine;
  readonly environment: "local" | "replica" | "production" | null;
  /** What a MySQL zero date becomes. */
  readonly zeroDates: "fail" | "null";
  /** Identity without secrets: `postgres://host:port/database`, `sqlite:/abs/path`. Part of the state's keys. */
  readonly identity: string;
  /** Reads the referenced secrets; throws RIVET_CONFIG_SECRET_UNSET and RIVET_CONFIG_TLS_CA_INVALID. */
  readonly resolveConnection: () => Promise<SourceConnection>;
  /** How it was written, redacted, for artifacts and messages. */
  readonly redacted: Readonly<Record<string, unknown>>;
}

export type Mode = "full" | "incremental" | "chunked" | "time_window";

export interface Export {
  readonly name: string;
  /** `config.yaml:12` — where the entry stands, for errors. */
  readonly where: string;
  readonly from: ExportQuery;
  readonly mode: Mode;
  readonly incremental: IncrementalConfig | null;
  readonly chunked: ChunkedConfig | null;
  readonly timeWindow: { readonly column: string; readonly type: "timestamp" | "unix"; readonly days: number } | null;
  readonly partition: { readonly column: string; readonly granularity: "day" | "month" | "year" } | null;
  /** Lanes at most. */
  readonly parallel: number;
  readonly format: FormatConfig;
  readonly maxFileBytes: number | null;
  readonly skipEmpty: boolean;
  readonly destination: DestinationConfig;
  readonly verify: "size" | "content";
  readonly meta: { readonly exportedAt: boolean; readonly rowHash: boolean | readonly string[] };
  readonly quality: QualityConfig;
  readonly columns: Readonly<Record<string, LogicalType>>;
  readonly target: "bigquery" | "snowflake" | "duckdb" | "clickhouse" | null;
  readonly onSchemaDrift: "warn" | "continue" | "fail";
  readonly shapeDriftWarnFactor: number;
  readonly tuning: Tuning;
  readonly wave: number | null;
  readonly parallelSafe: boolean;
  readonly sourceGroup: string | null;
  readonly reconcileRequired: boolean;
}

export type ExportQuery =
  | { readonly kind: "table"; readonly schema: string | null; readonly name: string }
  /** `text` is after substitution, `template` before it. */
  | { readonly kind: "query"; readonly text: string; readonly template: string; readonly file: string | null };

export interface IncrementalConfig {
  readonly cursorColumn: string;
  readonly cursorMode: "single_column" | "coalesce";
  readonly fallbackColumn: string | null;
  readonly cursorLagS: number;
  readonly settle: { readonly afterS: number; readonly column: string | null } | null;
  readonly onCursorNull: "include_once" | "ignore" | "fail";
}

export interface ChunkedConfig {
  readonly column: string | null;
  /** One name, or several for a composite key. */
  readonly byKey: readonly string[] | null;
  readonly dense: boolean;
  readonly size: number;
  readonly sizeIsDefault: boolean;
  readonly sizeMemoryMb: number | null;
  readonly count: number | null;
  readonly byDays: number | null;
  readonly checkpoint: boolean;
  readonly maxAttempts: number | null;
  readonly keysetIncremental: boolean;
}

export interface FormatConfig {
  readonly kind: "parquet" | "csv";
  readonly codec: "zstd" | "snappy" | "gzip" | "lz4" | "none";
  readonly level: number | null;
  readonly parquet: {
    readonly strategy: "auto" | "fixed_rows" | "fixed_memory";
    readonly rows: number | null;
    readonly targetMb: number;
    readonly maxMb: number | null;
  } | null;
  readonly csv: { readonly delimiter: string; readonly header: boolean; readonly null: string | null } | null;
}

/** Placeholders in `path` and `prefix` are not expanded yet. */
export type DestinationConfig =
  | { readonly kind: "stdout" }
  /** Absolute. */
  | { readonly kind: "local"; readonly path: string; readonly written: string }
  | {
    readonly kind: "s3";
    readonly bucket: string;
    readonly prefix: string;
    readonly region: string | null;
    readonly endpoint: string | null;
    readonly accessKeyEnv: string | null;
    readonly secretKeyEnv: string | null;
    readonly sessionTokenEnv: string | null;
    readonly profile: string | null;
    readonly allowAnonymous: boolean;
    readonly oneshotBudgetMb: number;
  }
  | {
    readonly kind: "gcs";
    readonly bucket: string;
    readonly prefix: string;
    readonly endpoint: string | null;
    readonly credentialsFile: string | null;
    readonly allowAnonymous: boolean;
    readonly oneshotBudgetMb: number;
  }
  | {
    readonly kind: "azure";
    readonly container: string;
    readonly prefix: string;
    readonly endpoint: string | null;
    readonly accountName: string | null;
    readonly accountKeyEnv: string | null;
    readonly sasTokenEnv: string | null;
    readonly allowAnonymous: boolean;
    readonly oneshotBudgetMb: number;
  };

export interface QualityConfig {
  readonly rowCountMin: number | null;
  readonly rowCountMax: number | null;
  readonly nullRatioMax: Readonly<Record<string, number>>;
  readonly uniqueColumns: readonly string[];
  readonly uniqueMaxEntries: number | null;
}

/** Merged: export over source over profile. Seconds, milliseconds and bytes as the names say; zero switches off. */
export interface Tuning {
  readonly profile: "fast" | "balanced" | "safe";
  /** `fast`, `fast (default for environment: local)`, `balanced (default)`. */
  readonly profileLabel: string;
  readonly batchRows: number;
  readonly batchMemoryMb: number | null;
  readonly throttleMs: number;
  readonly statementTimeoutS: number;
  readonly lockTimeoutS: number;
  readonly maxRetries: number;
  readonly retryBackoffMs: number;
  readonly memoryThresholdMb: number;
  readonly maxBatchMemoryMb: number | null;
  readonly onBatchMemoryExceeded: "warn" | "fail" | "auto_shrink";
  readonly adaptive: boolean;
  readonly minParallel: number;
  readonly maxValueMb: number;
  readonly chunkMaxStatementS: number;
  readonly chunkMinRows: number;
}

export interface NotificationConfig {
  readonly slack: WebhookConfig | null;
  readonly webhook: WebhookConfig | null;
}

export interface WebhookConfig {
  readonly resolveUrl: () => string;
  readonly on: readonly ("failure" | "schema_change" | "degraded")[];
}
