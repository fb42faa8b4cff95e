// The summary of an export: as it begins, the command that finishes what it left, and the exit code that it means.

import { applyLine, commandLine } from "../config/mod.ts";
import type { Unit } from "../plan/mod.ts";
import type { RunSummary } from "../report/mod.ts";
import { type MetricRow, REPAIR_MODE } from "../state/mod.ts";
import type { RunContext } from "./context.ts";

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Of an export that has not begun. */
export function emptySummary(context: RunContext, unit: Unit): Mutable<RunSummary> {
  const { entry } = unit;
  return {
    export_name: unit.name,
    run_id: null,
    status: "failed",
    skip_reason: null,
    answered_by_run: null,
    mode: entry.mode,
    strategy: entry.mode,
    consistency: null,
    resumed: false,
    started_at: new Date(context.runtime.now()).toISOString(),
    finished_at: "",
    duration_ms: 0,
    source_engine: context.config.source.engine,
    destination_kind: entry.destination.kind,
    output: null,
    format: entry.format.kind,
    compression: entry.format.codec,
    tuning_profile: entry.tuning.profileLabel,
    batch_size: entry.tuning.batchRows,
    slices: 0,
    slices_done: 0,
    lanes: 0,
    rows: 0,
    rows_kept: 0,
    files: 0,
    bytes: 0,
    bytes_read: 0,
    peak_rss_mb: 0,
    retries: 0,
    longest_statement_ms: 0,
    cursor_low: null,
    cursor_high: null,
    protection: [],
    validated: null,
    reconciled: null,
    source_count: null,
    schema_changed: false,
    quality_passed: null,
    warnings: [],
    error: null,
    resumable: false,
    resume_command: null,
  };
}

/** The exit code of a finished export. */
export function summaryExitCode(summary: RunSummary): number {
  return summary.error?.exit_code ?? (summary.reconciled === false ? 3 : 0);
}

/** The command that finishes an interrupted run. */
export function resumeCommand(context: RunContext, unit: Unit, mode: string): string {
  const { config } = context;
  const exportName = unit.entry.name;
  if (mode === REPAIR_MODE) return commandLine("repair", config, { exportName, flags: "--execute" });
  if (unit.sealed !== undefined) return applyLine(unit.sealed.planPath, config.parameters);
  return commandLine("run", config, { exportName });
}

/** The one command that goes on with all that was left: of a single export its own, of several that of the whole config. */
export function resumeAllCommand(
  context: RunContext,
  done: readonly { readonly unit: Unit; readonly summary: RunSummary }[],
): string | null {
  const left = done.filter(({ summary }) => isLeft(summary)).map(({ unit }) => unit);
  const [first] = left;
  if (first === undefined) return null;
  const isOne = left.every(({ entry }) => entry.name === first.entry.name);
  return isOne || first.sealed !== undefined
    ? resumeCommand(context, first, first.entry.mode)
    : commandLine("run", context.config);
}

/** Whether the same command would go on with it, or begin it. */
function isLeft({ status, skip_reason: reason, resume_command: command }: RunSummary): boolean {
  return command !== null || status === "interrupted" || reason === NOT_STARTED;
}

/** Why an export was left out that a signal kept from beginning. */
export const NOT_STARTED = "not started";

/** A summary as a row of the metrics. */
export function toMetricRow(
  s: RunSummary,
  { status, rows, durationMs, rivetVersion }: {
    readonly status: MetricRow["status"];
    readonly rows: number;
    readonly durationMs: number;
    readonly rivetVersion: string;
  },
): MetricRow {
  return {
    export_name: s.export_name,
    run_id: s.run_id ?? "",
    run_at: s.started_at,
    status,
    duration_ms: durationMs,
    total_rows: rows,
    peak_rss_mb: s.peak_rss_mb,
    error_message: s.error?.error ?? null,
    error_class: s.error?.code ?? null,
    tuning_profile: s.tuning_profile,
    batch_size: s.batch_size,
    format: s.format,
    mode: s.mode,
    files_produced: s.files,
    files_committed: s.files,
    chunks: s.slices,
    chunks_done: s.slices_done,
    bytes_written: s.bytes,
    bytes_read: s.bytes_read,
    retries: s.retries,
    validated: s.validated,
    reconciled: s.reconciled,
    source_count: s.source_count,
    quality_passed: s.quality_passed,
    schema_changed: s.schema_changed,
    skip_reason: s.skip_reason,
    cursor_min: s.cursor_low,
    cursor_max: s.cursor_high,
    parallel: s.lanes,
    source_type: s.source_engine,
    destination_type: s.destination_kind,
    longest_chunk_ms: s.longest_statement_ms,
    rivet_version: rivetVersion,
  };
}
