// Tuning profiles and their merge: export over source over profile. Pure.

import type { RawTuning } from "./shape.ts";
import type { Tuning } from "./resolved.ts";

type Defaults = Omit<Tuning, "profile" | "profileLabel" | "maxBatchMemoryMb">;

const COMMON = {
  maxValueMb: 256,
  onBatchMemoryExceeded: "warn",
  adaptive: false,
  minParallel: 1,
  chunkMaxStatementS: 2,
  chunkMinRows: 1000,
} as const;

/** What each profile means where the config says nothing. */
const PROFILES: Record<Tuning["profile"], Defaults> = {
  fast: {
    ...COMMON,
    batchRows: 50_000,
    batchMemoryMb: 64,
    throttleMs: 0,
    statementTimeoutS: 0,
    maxRetries: 1,
    retryBackoffMs: 1000,
    lockTimeoutS: 0,
    memoryThresholdMb: 0,
  },
  balanced: {
    ...COMMON,
    batchRows: 10_000,
    batchMemoryMb: 32,
    throttleMs: 50,
    statementTimeoutS: 300,
    maxRetries: 3,
    retryBackoffMs: 2000,
    lockTimeoutS: 30,
    memoryThresholdMb: 4096,
  },
  safe: {
    ...COMMON,
    batchRows: 2_000,
    batchMemoryMb: null,
    throttleMs: 500,
    statementTimeoutS: 120,
    maxRetries: 10,
    retryBackoffMs: 5000,
    lockTimeoutS: 10,
    memoryThresholdMb: 2048,
  },
};

/** Both sizes of a batch in one merged tuning contradict each other. */
export function hasBatchConflict(...layers: (RawTuning | undefined)[]): boolean {
  const merged = merge(layers);
  return merged.batch_size !== undefined && merged.batch_size_memory_mb !== undefined;
}

function merge(layers: (RawTuning | undefined)[]): RawTuning {
  const merged: RawTuning = {};
  for (const layer of layers) {
    for (const [key, value] of Object.entries(layer ?? {})) {
      if (value !== undefined) Object.assign(merged, { [key]: value });
    }
  }
  return merged;
}

export function buildTuning(
  source: RawTuning | undefined,
  own: RawTuning | undefined,
  environment: "local" | "replica" | "production" | undefined,
): Tuning {
  const raw = merge([source, own]);
  const fallback = environment === "local" ? "fast" : "balanced";
  const profile = raw.profile ?? fallback;
  const defaults = PROFILES[profile];
  return {
    profile,
    profileLabel: raw.profile ??
      (environment === undefined ? "balanced (default)" : `${fallback} (default for environment: ${environment})`),
    batchRows: raw.batch_size ?? defaults.batchRows,
    // A fixed number of rows replaces the profile's size in bytes.
    batchMemoryMb: raw.batch_size_memory_mb ?? (raw.batch_size === undefined ? defaults.batchMemoryMb : null),
    throttleMs: raw.throttle_ms ?? defaults.throttleMs,
    statementTimeoutS: raw.statement_timeout_s ?? defaults.statementTimeoutS,
    lockTimeoutS: raw.lock_timeout_s ?? defaults.lockTimeoutS,
    maxRetries: raw.max_retries ?? defaults.maxRetries,
    retryBackoffMs: raw.retry_backoff_ms ?? defaults.retryBackoffMs,
    memoryThresholdMb: raw.memory_threshold_mb ?? defaults.memoryThresholdMb,
    maxBatchMemoryMb: raw.max_batch_memory_mb ?? null,
    onBatchMemoryExceeded: raw.on_batch_memory_exceeded ?? defaults.onBatchMemoryExceeded,
    adaptive: raw.adaptive ?? defaults.adaptive,
    minParallel: raw.min_parallel ?? defaults.minParallel,
    maxValueMb: raw.max_value_mb ?? defaults.maxValueMb,
    chunkMaxStatementS: raw.chunk_max_statement_s ?? defaults.chunkMaxStatementS,
    chunkMinRows: raw.chunk_min_rows ?? defaults.chunkMinRows,
  };
}
