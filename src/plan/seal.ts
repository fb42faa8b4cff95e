// Between a proposal and its lines in the artifact, and back to units that the engine runs. Pure.

import { RivetError } from "../errors.ts";
import type { Config, Export } from "../config/mod.ts";
import type { MetricRow } from "../state/mod.ts";
import { formatType } from "../types/mod.ts";
import { estimatePeakMb } from "./advise.ts";
import type { PlanArtifact, PlannedExport, PlannedTask } from "./artifact.ts";
import type { Unit } from "./build.ts";
import { countSlices, firstSlices } from "./layout.ts";
import type { CursorQuality, History, OrderInput, Recommendation } from "./order.ts";
import type { Proposal } from "./propose.ts";
import { findRules } from "./rules.ts";
import { columnNames, type SealedTask, settingsFingerprint } from "./sealed.ts";
import type { Strategy, Task } from "./task.ts";

/** Chunks whose bounds are listed for reading. */
export const RANGES_LISTED_MAX = 1000;

export interface SealInput {
  readonly proposal: Proposal;
  readonly recommendation: Recommendation;
  /** What a lane may reach. */
  readonly permissions: PlannedExport["computed"]["permissions"];
  /** Where it would be written today. */
  readonly output: string;
  readonly hide: (text: string) => string;
}

export function toPlannedExport({ proposal, recommendation, permissions, output, hide }: SealInput): PlannedExport {
  const { entry, diagnosis, planned, sample } = proposal;
  const { task, estimate, advice } = diagnosis;
  const chunks = planned.reduce((sum, one) => sum + countSlices(one.task.layout), 0);
  const ranges = firstSlices(task.layout, RANGES_LISTED_MAX).map(({ start, end }): [string | null, string | null] => [
    start,
    end,
  ]);
  const rowBytes = sample !== null && sample.rows > 0 ? Math.round(sample.bytesRead / sample.rows) : estimate.rowBytes;
  return {
    export_name: entry.name,
    strategy: strategyWord(entry, task.strategy),
    plan_fingerprint: task.planHash,
    resolved_plan: resolvedPlan(entry, task, hide),
    computed: {
      chunk_count: chunks,
      chunk_ranges: ranges,
      chunk_ranges_omitted: Math.max(0, countSlices(task.layout) - ranges.length),
      cursor_snapshot: task.window?.low ?? null,
      cursor_high: task.window?.high ?? null,
      row_estimate: estimate.rows,
      row_estimate_source: estimate.source,
      row_bytes_estimate: rowBytes,
      memory_mb_estimate: estimatePeakMb(task.lanes, rowBytes),
      output_bytes_estimate: outputBytes(proposal),
      sample: sample === null
        ? null
        : { rows: sample.rows, bytes_read: sample.bytesRead, bytes_written: sample.bytesWritten },
      lanes: task.lanes,
      consistency: proposal.consistency,
      output: hide(output),
      permissions: {
        net: permissions.net.map(hide),
        read: permissions.read.map(hide),
        write: permissions.write.map(hide),
        sys: permissions.sys,
      },
    },
    diagnostics: {
      verdict: advice.verdict,
      breach: advice.breach?.text ?? null,
      warnings: [...new Set(warningsOf(proposal))].map(hide),
      recommended_profile: advice.profile,
      recommended_parallel: advice.parallel.level,
      strategy_rationale: hide(rationale(proposal)),
      suggestion: advice.suggestion === null ? null : hide(advice.suggestion),
    },
    prioritization: { ...recommendation, reasons: [...recommendation.reasons] },
    columns: columnNames(task.columns),
    tasks: planned.map(({ unit, task }) => toPlannedTask(unit, task)),
  };
}

function toPlannedTask(unit: Unit, task: Task): PlannedTask {
  const { window } = task;
  return {
    name: task.name,
    partition: unit.partition,
    settings: settingsFingerprint(task.definition),
    strategy: task.strategy,
    strategy_label: task.strategyLabel,
    chunk_count: countSlices(task.layout),
    layout: task.layout,
    filters: [...task.filters],
    window: window === null ? null : {
      low: window.low,
      readFrom: window.readFrom,
      high: window.high,
      edgeFrom: window.edgeFrom,
      protection: [...window.protection],
      nullRows: window.nullRows,
    },
  };
}

function strategyWord(entry: Export, strategy: Strategy): PlannedExport["strategy"] {
  switch (entry.mode) {
    case "full":
    case "incremental":
      return entry.mode;
    case "chunked":
      return strategy.kind === "key" ? "keyset" : "chunked";
    case "time_window":
      return "timewindow";
    default: {
      const never: never = entry.mode;
      return never;
    }
  }
}

/** The settings as they were resolved, for reading. A query stands there as it was written. */
function resolvedPlan(entry: Export, task: Task, hide: (text: string) => string): Record<string, unknown> {
  const { from, format } = entry;
  return {
    mode: entry.mode,
    source_table: from.kind === "table" ? hide(task.definition["stream"] ?? "") : null,
    base_query: from.kind === "query" && from.template !== "" ? from.template : null,
    strategy: task.strategyLabel,
    parallel: entry.parallel,
    format: format.kind,
    compression: format.codec,
    compression_level: format.level,
    parquet: format.parquet === null ? null : snakeKeys(format.parquet),
    csv: format.csv,
    max_file_size_bytes: entry.maxFileBytes,
    skip_empty: entry.skipEmpty,
    meta_columns: { exported_at: entry.meta.exportedAt, row_hash: entry.meta.rowHash },
    destination_written: hide(task.destinationWritten),
    partition_by: entry.partition,
    quality: snakeKeys(entry.quality),
    tuning: snakeKeys(entry.tuning),
    tuning_profile_label: entry.tuning.profileLabel,
    verify: entry.verify,
    column_overrides: Object.fromEntries(Object.entries(entry.columns).map(([name, type]) => [name, formatType(type)])),
    schema_drift_policy: entry.onSchemaDrift,
    shape_drift_warn_factor: entry.shapeDriftWarnFactor,
  };
}

/** Settings in the config's own spelling. */
function snakeKeys(settings: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`), value]),
  );
}

function warningsOf({ entry, diagnosis, planned, unfinished }: Proposal): string[] {
  return [
    ...findRules(entry).map(({ name, message }) => `[${name}] ${message}`),
    ...diagnosis.advice.warnings.map(({ message }) => message),
    ...planned.flatMap(({ task }) => task.warnings),
    ...unfinished.map((runId) =>
      `run '${runId}' was interrupted: \`rivet run\` finishes it, and only then can this be applied`
    ),
  ];
}

function rationale({ diagnosis }: Proposal): string {
  const { task, column, usesIndex, advice } = diagnosis;
  const how = usesIndex ? "by an index" : "by a scan";
  const followed = column === null ? "" : ` over '${column}'`;
  return `${task.strategyLabel}${followed}, read ${how}; ${advice.parallel.reason}`;
}

function outputBytes({ sample, diagnosis }: Proposal): number | null {
  const { rows } = diagnosis.estimate;
  if (sample === null || sample.rows === 0 || rows === null) return null;
  return Math.round((sample.bytesWritten / sample.rows) * rows);
}

/** What the order of exports is made of. */
export function toOrderInput({ entry, diagnosis, planned, history }: Proposal): OrderInput {
  const { advice, estimate } = diagnosis;
  return {
    name: entry.name,
    sourceGroup: entry.sourceGroup,
    rows: estimate.rows,
    mode: entry.mode,
    cursor: entry.incremental === null ? null : cursorQuality(entry.incremental.cursorMode, diagnosis),
    chunks: planned.reduce((sum, { task }) => sum + countSlices(task.layout), 0),
    windowDays: entry.timeWindow?.days ?? null,
    isSparse: advice.warnings.some(({ message }) => message.includes(" are sparse: ")),
    reconcileRequired: entry.reconcileRequired,
    verdict: advice.verdict,
    warnings: advice.warnings.length,
    history: toHistory(history),
  };
}

function cursorQuality(mode: "single_column" | "coalesce", { usesIndex, max }: Proposal["diagnosis"]): CursorQuality {
  if (mode === "coalesce") return "fallback";
  if (usesIndex) return max === null ? "weak_time" : "strong";
  return max === null ? "none" : "weak_multi";
}

function toHistory(metrics: readonly MetricRow[]): History {
  const done = metrics.filter(({ status }) => status === "success");
  const average = (list: readonly number[]) => list.reduce((sum, n) => sum + n, 0) / Math.max(1, list.length);
  return {
    runs: metrics.length,
    lastFailed: metrics[0]?.status === "failed",
    retriesPerRun: average(metrics.map((row) => Number(row["retries"] ?? 0))),
    durationMsAvg: average(done.map((row) => row.duration_ms)),
  };
}

export interface UnsealOptions {
  /** The artifact's file. */
  readonly path: string;
  readonly forced: boolean;
}

/** What the engine runs, by export name. Throws RIVET_PLAN_ARTIFACT_INVALID where config and tasks do not belong together. */
export function toUnits(plan: PlanArtifact, config: Config, options: UnsealOptions): Map<string, Unit[]> {
  const entries = new Map(config.exports.map((entry) => [entry.name, entry]));
  return new Map(plan.exports.map((planned) => {
    const entry = entries.get(planned.export_name);
    if (entry === undefined) {
      throw new RivetError("RIVET_PLAN_ARTIFACT_INVALID", `The plan's config has no export '${planned.export_name}'`, {
        where: options.path,
      });
    }
    return [entry.name, planned.tasks.map((task) => toUnit(plan, planned, task, entry, options))];
  }));
}

function toUnit(
  plan: PlanArtifact,
  planned: PlannedExport,
  task: PlannedTask,
  entry: Export,
  { path, forced }: UnsealOptions,
): Unit {
  const sealed: SealedTask = {
    planId: plan.plan_id,
    planPath: path,
    createdAtMs: Date.parse(plan.created_at),
    forced,
    date: plan.date,
    settings: task.settings,
    columns: planned.columns,
    strategy: task.strategy,
    strategyLabel: task.strategy_label,
    layout: task.layout,
    filters: task.filters,
    window: task.window,
  };
  // A window that is planned anew must not be looked for inside the old one.
  const filters = task.window === null ? task.filters : [];
  return { entry, name: task.name, filters, partition: task.partition, sealed };
}
