// One checked entry of `exports:` as an `Export`: camelCase, defaults filled, relative paths anchored.

import { isAbsolute, join } from "node:path";
import { parseTarget, parseTypeName } from "../types/mod.ts";
import { toQuery } from "./query.ts";
import type { Reading } from "./reading.ts";
import type { ChunkedConfig, DestinationConfig, Export, FormatConfig, IncrementalConfig } from "./resolved.ts";
import type { RawConfig, RawDestination, RawExport } from "./shape.ts";
import { buildTuning } from "./tuning.ts";
import { parseDuration, parseSize } from "./units.ts";

export async function toExport(
  raw: RawExport,
  index: number,
  { source }: RawConfig,
  reading: Reading,
): Promise<Export> {
  // A key that is followed from run to run is a cursor.
  const mode = raw.keyset_incremental === true ? "incremental" : raw.mode ?? "full";
  return {
    name: raw.name,
    where: reading.parsed.where(["exports", index]),
    from: await toQuery(raw, index, reading),
    mode,
    incremental: mode === "incremental" ? toIncremental(raw) : null,
    chunked: mode === "chunked" ? toChunked(raw) : null,
    timeWindow: mode === "time_window"
      ? { column: raw.time_column!, type: raw.time_column_type ?? "timestamp", days: raw.days_window! }
      : null,
    partition: raw.partition_by === undefined
      ? null
      : { column: raw.partition_by, granularity: raw.partition_granularity ?? "day" },
    parallel: raw.parallel ?? 1,
    format: toFormat(raw),
    maxFileBytes: raw.max_file_size === undefined ? null : parseSize(raw.max_file_size),
    skipEmpty: raw.skip_empty ?? false,
    destination: toDestination(raw.destination, reading.directory),
    verify: raw.verify ?? "size",
    meta: { exportedAt: raw.meta_columns?.exported_at ?? false, rowHash: raw.meta_columns?.row_hash ?? false },
    quality: {
      rowCountMin: raw.quality?.row_count_min ?? null,
      rowCountMax: raw.quality?.row_count_max ?? null,
      nullRatioMax: raw.quality?.null_ratio_max ?? {},
      uniqueColumns: raw.quality?.unique_columns ?? [],
      uniqueMaxEntries: raw.quality?.unique_max_entries ?? null,
    },
    columns: toColumns(raw.columns ?? {}),
    target: raw.target === undefined ? null : parseTarget(raw.target),
    onSchemaDrift: raw.on_schema_drift ?? "warn",
    shapeDriftWarnFactor: raw.shape_drift_warn_factor ?? 2,
    tuning: buildTuning(source.tuning, raw.tuning, source.environment),
    wave: raw.wave ?? null,
    parallelSafe: raw.parallel_safe ?? false,
    sourceGroup: raw.source_group ?? null,
    reconcileRequired: raw.reconcile_required ?? false,
  };
}

/** Bare names; an entry that names the table wins over one that does not. */
function toColumns(columns: Readonly<Record<string, string>>): Export["columns"] {
  const entries = Object.entries(columns).sort(([a], [b]) => Number(a.includes(".")) - Number(b.includes(".")));
  return Object.fromEntries(
    entries.map(([name, type]) => [name.slice(name.lastIndexOf(".") + 1), parseTypeName(type)!]),
  );
}

function toIncremental(raw: RawExport): IncrementalConfig {
  return {
    cursorColumn: raw.cursor_column ?? [raw.chunk_by_key!].flat()[0]!,
    cursorMode: raw.incremental_cursor_mode ?? "single_column",
    fallbackColumn: raw.cursor_fallback_column ?? null,
    cursorLagS: raw.cursor_lag === undefined ? 0 : parseDuration(raw.cursor_lag)!,
    settle: raw.settle === undefined
      ? null
      : { afterS: parseDuration(raw.settle.after)!, column: raw.settle.column ?? null },
    onCursorNull: raw.on_cursor_null ?? "include_once",
  };
}

function toChunked(raw: RawExport): ChunkedConfig {
  return {
    column: raw.chunk_column ?? null,
    byKey: raw.chunk_by_key === undefined ? null : [raw.chunk_by_key].flat(),
    dense: raw.chunk_dense ?? false,
    size: raw.chunk_size ?? 100_000,
    sizeIsDefault: raw.chunk_size === undefined,
    sizeMemoryMb: raw.chunk_size_memory_mb ?? null,
    count: raw.chunk_count ?? null,
    byDays: raw.chunk_by_days ?? null,
    checkpoint: raw.chunk_checkpoint ?? false,
    maxAttempts: raw.chunk_max_attempts ?? null,
    keysetIncremental: raw.keyset_incremental ?? false,
  };
}

const PROFILES = {
  none: { codec: "none", level: null },
  fast: { codec: "snappy", level: null },
  balanced: { codec: "zstd", level: 3 },
  compact: { codec: "zstd", level: 9 },
} as const;

function toFormat(raw: RawExport): FormatConfig {
  const profile = raw.compression_profile === undefined ? null : PROFILES[raw.compression_profile];
  const isCsv = raw.format === "csv";
  const { parquet = {}, csv = {} } = raw;
  return {
    kind: raw.format,
    codec: profile?.codec ?? raw.compression ?? (isCsv ? "none" : "zstd"),
    level: profile === null ? raw.compression_level ?? null : profile.level,
    parquet: isCsv || raw.parquet === undefined ? null : {
      strategy: parquet.row_group_strategy ?? "auto",
      rows: parquet.row_group_rows ?? null,
      targetMb: parquet.target_row_group_mb ?? 128,
      maxMb: parquet.max_row_group_mb ?? null,
    },
    csv: isCsv && raw.csv !== undefined
      ? { delimiter: csv.delimiter ?? ",", header: csv.header ?? true, null: csv.null ?? null }
      : null,
  };
}

function toDestination(d: RawDestination, directory: string): DestinationConfig {
  const anchor = (path: string) => isAbsolute(path) ? path : join(directory, path);
  const store = {
    prefix: d.prefix ?? "",
    endpoint: d.endpoint ?? null,
    allowAnonymous: d.allow_anonymous ?? false,
    oneshotBudgetMb: d.oneshot_budget_mb ?? 64,
  };
  switch (d.type) {
    case "stdout":
      return { kind: "stdout" };
    case "local": {
      const written = join(d.path ?? ".", d.prefix ?? "");
      return { kind: "local", path: anchor(written), written };
    }
    case "s3":
      return {
        kind: "s3",
        bucket: d.bucket!,
        region: d.region ?? null,
        accessKeyEnv: d.access_key_env ?? null,
        secretKeyEnv: d.secret_key_env ?? null,
        sessionTokenEnv: d.session_token_env ?? null,
        profile: d.aws_profile ?? null,
        ...store,
      };
    case "gcs":
      return {
        kind: "gcs",
        bucket: d.bucket!,
        credentialsFile: d.credentials_file === undefined ? null : anchor(d.credentials_file),
        ...store,
      };
    case "azure":
      return {
        kind: "azure",
        container: d.bucket!,
        accountName: d.account_name ?? null,
        accountKeyEnv: d.account_key_env ?? null,
        sasTokenEnv: d.sas_token_env ?? null,
        ...store,
      };
    default: {
      const never: never = d.type;
      return never;
    }
  }
}
