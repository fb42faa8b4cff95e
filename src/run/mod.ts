// The door of run/: the exports of a config, one after the other or several at once, through the one engine.

import { toRivetError, worstExitCode } from "../errors.ts";
import type { Export } from "../config/mod.ts";
import { expandUnits, type Unit, unitName } from "../plan/mod.ts";
import type { AggregateSummary, RunSummary } from "../report/mod.ts";
import type { RunContext } from "./context.ts";
import { runUnit } from "./export.ts";
import { RunRecorder } from "./recorder.ts";
import { limitsOf } from "./run.ts";
import { resumeAllCommand, summaryExitCode } from "./summary.ts";

export type { RunContext, RunOptions } from "./context.ts";
export { makeRunId } from "./run.ts";
export { type Lane, type LaneHost, lanePermissions, type LaneSpec, type OpenLane, workerLanes } from "./lane.ts";
export { compareKeys, observeSlice, type ObserveTools } from "./observe.ts";
export { LEASE_TTL_MS_DEFAULT } from "./lease.ts";
export { compareSliceKeys, type RereadContext, rereadSlices } from "./reread.ts";
export {
  type ExportPermissions,
  exportPermissions,
  type ProgramPermissions,
  programPermissions,
  toDenoFlags,
} from "./permissions.ts";
export { type RepairRequest, repairUnit } from "./repair.ts";
export { nextClaim } from "./claim.ts";
export { type Outcome, readOutcome } from "./outcome.ts";
export { openTurns } from "./turns.ts";
export { runSlice, type SliceProgress, type SliceRequest, type SliceResult } from "./slice.ts";
export { summaryExitCode } from "./summary.ts";

/** Exports at once, at most. */
export const EXPORTS_PARALLEL_MAX = 16;

/** Exports that run before those of the next stage, up to `parallel` at once. */
export interface Stage {
  readonly exports: readonly Export[];
  readonly parallel: number;
}

/** Runs the exports in order, up to `parallel` at once; a failed one does not stop the others, a signal does. */
export function runExports(
  context: RunContext,
  exports: readonly Export[],
  parallel: number,
): Promise<AggregateSummary> {
  return runStages(context, [{ exports, parallel }], parallel > 1 ? "parallel" : "sequential");
}

/** Runs stage after stage; `onStage` is called before each. */
export async function runStages(
  context: RunContext,
  stages: readonly Stage[],
  parallelMode: string,
  onStage: (index: number) => void = () => {},
): Promise<AggregateSummary> {
  const began = context.runtime.now();
  const done = new Map<string, Done>();
  for (const [index, { exports, parallel }] of stages.entries()) {
    onStage(index);
    const queue = [...await expandAll(context, exports, done)];
    const work = async () => {
      for (let unit = queue.shift(); unit !== undefined; unit = queue.shift()) {
        const summary = context.signal.aborted ? await skipInterrupted(context, unit) : await runUnit(context, unit);
        done.set(unit.name, { unit, summary });
      }
    };
    await Promise.all(Array.from({ length: Math.max(1, Math.min(parallel, EXPORTS_PARALLEL_MAX)) }, work));
  }
  const all = [...done.values()];
  const summaries = all.map(({ summary }) => summary);
  return aggregate(context, began, summaries, parallelMode, resumeAllCommand(context, all));
}

interface Done {
  readonly unit: Unit;
  readonly summary: RunSummary;
}

/** What a signal kept from beginning is skipped; its error makes the exit code say that something is left. */
async function skipInterrupted(context: RunContext, unit: Unit): Promise<RunSummary> {
  const recorder = new RunRecorder(context, unit);
  recorder.notStarted();
  return await recorder.finish();
}

/** Partitions that hold files of an earlier run, of exports whose every run is the whole picture. */
async function ranBefore(context: RunContext, entry: Export): Promise<string[]> {
  if ((entry.mode !== "full" && entry.mode !== "chunked") || !await context.hasState()) return [];
  return await context.state.exportNames(context.config.source.identity, unitName(entry.name, ""));
}

async function expandAll(
  context: RunContext,
  exports: readonly Export[],
  failed: Map<string, Done>,
): Promise<Unit[]> {
  const units: Unit[] = [];
  for (const entry of exports) {
    const whole: Unit = { entry, name: entry.name, filters: [], partition: null };
    const planned = context.applied?.get(entry.name);
    if (planned !== undefined) {
      units.push(...planned);
      continue;
    }
    if (entry.partition === null || context.signal.aborted) {
      units.push(whole);
      continue;
    }
    try {
      const connection = await context.config.source.resolveConnection();
      await using source = await context.openSource(connection, limitsOf(whole));
      units.push(...await expandUnits(entry, source, await ranBefore(context, entry)));
    } catch (error) {
      const recorder = new RunRecorder(context, whole);
      recorder.fail(toRivetError(error));
      failed.set(entry.name, { unit: whole, summary: await recorder.finish() });
    }
  }
  return units;
}

/** The totals of several exports. */
export function aggregate(
  context: Pick<RunContext, "config" | "runtime">,
  began: number,
  summaries: readonly RunSummary[],
  parallelMode: string,
  resumeAll: string | null = null,
): AggregateSummary {
  const ended = context.runtime.now();
  const sum = (pick: (summary: RunSummary) => number) => summaries.reduce((total, summary) => total + pick(summary), 0);
  const count = (...statuses: string[]) => summaries.filter((summary) => statuses.includes(summary.status)).length;
  const startedAt = new Date(began).toISOString();
  return {
    run_aggregate_id: `agg_${startedAt.replace(/[-:]/g, "").replace("Z", "")}_${context.runtime.pid}`,
    started_at: startedAt,
    finished_at: new Date(ended).toISOString(),
    duration_ms: Math.round(ended - began),
    config_path: context.config.path,
    parallel_mode: parallelMode,
    total_exports: summaries.length,
    success_count: count("success"),
    failed_count: count("failed", "interrupted"),
    skipped_count: count("skipped", "already_applied"),
    total_rows: sum((s) => s.rows),
    total_files: sum((s) => s.files),
    total_bytes: sum((s) => s.bytes),
    total_bytes_read: sum((s) => s.bytes_read),
    resume_command: resumeAll,
    per_export: summaries,
  };
}

/** The exit code of all exports: the most stop-worthy one. */
export function aggregateExitCode(summary: AggregateSummary): number {
  return worstExitCode(summary.per_export.map(summaryExitCode));
}
