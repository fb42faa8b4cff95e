// The shape of one line of `rivet check --json`. Strict: a new or a missing key must show.

import { z } from "zod";

const fidelity = z.enum(["exact", "compatible", "logical_string", "lossy", "unsupported"]);

export const ERROR_REPORT = z.strictObject({
  code: z.string().regex(/^RIVET_[A-Z_]+$/),
  kind: z.enum(["usage", "environment", "busy", "integrity", "drift", "refusal", "internal"]),
  exit_code: z.int().min(1).max(6),
  retryable: z.boolean(),
  error: z.string().min(1),
  where: z.string().nullable(),
  cure: z.string().min(1),
});

const COLUMN = z.strictObject({
  column: z.string(),
  source_type: z.string(),
  rivet_type: z.string(),
  arrow_type: z.string(),
  fidelity,
  warnings: z.array(z.string()),
  target_type: z.string().nullable().optional(),
  target_status: z.enum(["ok", "warn", "fail"]).nullable().optional(),
  target_note: z.string().nullable().optional(),
  autoload_type: z.string().nullable().optional(),
  cast_sql: z.string().nullable().optional(),
});

const RULE = z.strictObject({ rule: z.string(), message: z.string(), cure: z.string() });

const DIAGNOSTIC = z.strictObject({
  export_name: z.string(),
  strategy: z.string(),
  mode: z.enum(["full", "incremental", "chunked", "time_window"]),
  chunks: z.int(),
  partitions: z.int().nullable(),
  cursor_column: z.string().nullable(),
  range_column: z.string().nullable(),
  row_estimate: z.int().nullable(),
  row_source: z.string().nullable(),
  avg_row_bytes: z.number().nullable(),
  cursor_min: z.string().nullable(),
  cursor_max: z.string().nullable(),
  scan_type: z.string().nullable(),
  uses_index: z.boolean(),
  verdict: z.enum(["efficient", "acceptable", "degraded", "unsafe"]),
  breach: z.strictObject({
    budget: z.enum(["unindexed_rows", "memory_mb"]),
    limit: z.int(),
    estimate: z.int().nullable(),
    text: z.string(),
  }).nullable(),
  configured_profile: z.enum(["fast", "balanced", "safe"]),
  recommended_profile: z.enum(["fast", "balanced", "safe"]),
  recommended_parallel: z.strictObject({ level: z.int().min(1), reason: z.string() }),
  warnings: z.array(z.strictObject({ severity: z.enum(["HIGH", "MEDIUM", "LOW"]), message: z.string() })),
  suggestion: z.string().nullable(),
  capabilities: z.strictObject({ uses_index: z.boolean(), has_cursor: z.boolean(), can_parallel: z.boolean() }),
});

export const CHECK_LINE = z.strictObject({
  export: z.string(),
  ok: z.boolean(),
  columns: z.array(COLUMN).optional(),
  violations: z.array(
    z.strictObject({ column_name: z.string(), fidelity, message: z.string(), fatal: z.boolean() }),
  ).optional(),
  target: z.enum(["bigquery", "snowflake", "duckdb", "clickhouse"]).nullable().optional(),
  target_failures: z.array(z.string()).optional(),
  recovery_sql: z.string().nullable().optional(),
  plan: z.strictObject({ rejected: z.array(RULE), warnings: z.array(RULE), degraded: z.array(RULE) }),
  diagnostic: DIAGNOSTIC.nullable(),
  errors: z.array(ERROR_REPORT),
});

export type CheckLine = z.infer<typeof CHECK_LINE>;

/** Every line of the output, checked. */
export function parseCheckLines(stdout: string): CheckLine[] {
  return stdout.trim().split("\n").map((line) => CHECK_LINE.parse(JSON.parse(line)));
}
