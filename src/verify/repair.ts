// From what was found to what is read again: the bad chunks of an export, as a plan that the engine runs. Changes nothing itself.

import { RivetError } from "../errors.ts";
import type { Export } from "../config/mod.ts";
import { type Destination, listByKey, type ResolvedDestination, resolveDestination } from "../destination/mod.ts";
import { fromSliceIntent, type Slice, type StoredPlan, type Unit } from "../plan/mod.ts";
import type { RunSummary } from "../report/mod.ts";
import type { State, StoredRun, StoredSlice } from "../state/mod.ts";
import { type ReconcileContext, type ReconcileDepth, reconcileExport } from "./reconcile.ts";
import type { PartitionCheck, ReconcileReport } from "./reconcile_report.ts";
import { readPages } from "./recorded.ts";
import { findDamagedChunks, findManifestFault } from "./repair_evidence.ts";
import {
  type ActionResult,
  type ManifestAction,
  type RepairAction,
  type RepairPlan,
  type RepairReport,
  summarizeRepair,
} from "./repair_report.ts";
import type { GivenReport } from "./given_report.ts";
import { findStoredRuns, type Target, toUnit } from "./target.ts";

export interface RepairContext extends ReconcileContext {
  readonly openDestination: (resolved: ResolvedDestination) => Promise<Destination>;
}

export interface RepairOptions {
  /** Actions come from it alone (RR1), and nothing is asked; null compares the export with its source and its files now. */
  readonly report: GivenReport | null;
  readonly depth: ReconcileDepth;
}

/** The bad chunks of an export, and the manifests that are not what was recorded. */
export async function planRepair(
  context: RepairContext,
  entry: Export,
  options: RepairOptions,
): Promise<RepairPlan> {
  if (options.report?.kind === "validate") return await planStored(context, entry, options.report);
  const report = options.report?.report ??
    await reconcileExport(context, entry, { depth: options.depth, keysMax: null, runId: null });
  checkReport(report, entry);
  const found = new Map<string, RepairAction[]>();
  const skipped: string[] = [];
  for (const check of report.partitions) {
    if (check.status === "match") continue;
    if (check.run_id === null || check.chunk_index === null || check.chunk_id === null) {
      skipped.push(`${check.export_name}: ${check.note ?? "the report names no chunk"}`);
      continue;
    }
    const list = found.get(check.run_id) ?? [];
    list.push(toAction(check));
    found.set(check.run_id, list);
  }
  const manifests: ManifestAction[] = [];
  if (options.report === null) {
    for (const target of await findStoredRuns(context, entry)) {
      await addStored(context, target, found, manifests);
    }
  }
  const actions = await completeAll(context, entry, found, skipped);
  return {
    rivet_version: context.version,
    export_name: entry.name,
    reconcile_run_id: report.run_id,
    strategy: report.strategy,
    actions,
    manifests: manifests.filter(({ run_id }) => !found.has(run_id)),
    skipped,
  };
}

/** What the state holds of a run, read once however many of its files are wrong. */
interface RunRecord {
  readonly slices: readonly StoredSlice[];
  /** File name → chunk index. */
  readonly chunkOf: ReadonlyMap<string, number>;
  /** Chunks that are in the plan already. */
  readonly listed: Set<number>;
}

function toRecordReader(state: State): (runId: string) => Promise<RunRecord> {
  const records = new Map<string, RunRecord>();
  return async (runId) => {
    const known = records.get(runId);
    if (known !== undefined) return known;
    const chunkOf = new Map((await state.parts(runId)).map(({ fileName, sliceIndex }) => [fileName, sliceIndex]));
    const record = { slices: await state.slices(runId), chunkOf, listed: new Set<number>() };
    records.set(runId, record);
    return record;
  };
}

/** What `validate` found wrong: files by their chunk, and manifests of the runs that it looked at. */
async function planStored(
  context: RepairContext,
  entry: Export,
  report: Extract<GivenReport, { kind: "validate" }>,
): Promise<RepairPlan> {
  const found = new Map<string, RepairAction[]>();
  const manifests = new Map<string, ManifestAction>();
  const skipped: string[] = [];
  const targets = await findStoredRuns(context, entry);
  const readRecord = toRecordReader(context.state);
  const runs = new Map(targets.flatMap(({ run }) => run === null ? [] : [[run.runId, run]]));
  for (const { unitName, runIds, failure } of report.failures) {
    if (failure.severity !== "wrong") continue;
    if (failure.path === undefined || failure.run_id === undefined) {
      const run = runIds.map((id) => runs.get(id)).find((known) => known !== undefined) ??
        targets.find(({ unit, run }) => unit.name === unitName && run !== null)?.run;
      if (run === undefined || run === null) skipped.push(`${unitName}: ${failure.message}: the state has no such run`);
      else manifests.set(run.runId, { export_name: unitName, run_id: run.runId, reason: failure.message });
      continue;
    }
    const run = runs.get(failure.run_id);
    const record = run === undefined ? null : await readRecord(run.runId);
    const index = record?.chunkOf.get(failure.path);
    if (run === undefined || record === null || index === undefined) {
      skipped.push(`${unitName}: ${failure.message}: the state has no such file`);
      continue;
    }
    const list = found.get(run.runId) ?? [];
    if (!record.listed.has(index)) list.push(describe(fromSliceIntent(record.slices[index]!), run, failure.message));
    record.listed.add(index);
    found.set(run.runId, list);
  }
  const actions = await completeAll(context, entry, found, skipped);
  const newest = targets.find(({ run }) => run !== null)?.run;
  return {
    rivet_version: context.version,
    export_name: entry.name,
    reconcile_run_id: newest?.runId ?? "",
    strategy: newest === undefined || newest === null
      ? entry.mode
      : (JSON.parse(newest.planJson) as StoredPlan).strategyLabel,
    actions,
    manifests: [...manifests.values()].filter(({ run_id }) => !found.has(run_id)),
    skipped,
  };
}

function checkReport(report: ReconcileReport, entry: Export): void {
  if (report.export_name === entry.name) return;
  throw new RivetError("RIVET_CLI_REPORT_INVALID", `The report is of '${report.export_name}'`, {
    where: `export '${entry.name}'`,
  });
}

function toAction(check: PartitionCheck): RepairAction {
  const values = check.columns.length === 0 ? "" : `, columns ${check.columns.join(", ")}`;
  return {
    export_name: check.export_name,
    run_id: check.run_id!,
    chunk_index: check.chunk_index!,
    chunk_id: check.chunk_id!,
    start_key: check.start_key,
    end_key: check.end_key,
    reason: `${check.status}: source ${check.source_count ?? "?"}, exported ${check.exported_count ?? "?"}${values}`,
  };
}

/** Files that are missing or damaged, and a manifest that is. */
async function addStored(
  context: RepairContext,
  { unit, run }: Target,
  found: Map<string, RepairAction[]>,
  manifests: ManifestAction[],
): Promise<void> {
  if (run === null) return;
  await using destination = await context.openDestination(locate(context, unit, run));
  const actions = found.get(run.runId) ?? [];
  const known = new Set(actions.map(({ chunk_index }) => chunk_index));
  const objects = await listByKey(destination);
  let files = 0;
  for await (const { slices, parts } of readPages(context.state, run.runId)) {
    files += parts.length;
    const damaged = await findDamagedChunks(destination, parts, objects);
    for (const slice of slices) {
      const reason = damaged.get(slice.index);
      if (reason !== undefined && !known.has(slice.index)) actions.push(describe(fromSliceIntent(slice), run, reason));
    }
  }
  objects.clear();
  if (actions.length > 0) found.set(run.runId, actions);
  // Nothing was published for a run that found nothing new.
  if (files === 0 && (unit.entry.skipEmpty || run.mode === "incremental" || run.mode === "time_window")) return;
  const fault = await findManifestFault(destination, run.runId, () => readPages(context.state, run.runId));
  if (fault !== null) manifests.push({ export_name: unit.name, run_id: run.runId, reason: fault });
}

function locate(context: RepairContext, unit: Unit, run: StoredRun): ResolvedDestination {
  const { date } = JSON.parse(run.planJson) as StoredPlan;
  return resolveDestination(unit.entry.destination, {
    date: date ?? run.startedAt.slice(0, 10),
    export: unit.entry.name,
    table: unit.entry.name,
    partition: unit.partition,
  }, context.runtime);
}

function describe(slice: Slice, run: StoredRun, reason: string): RepairAction {
  return {
    export_name: run.key.exportName,
    run_id: run.runId,
    chunk_index: slice.index,
    chunk_id: slice.id,
    start_key: slice.start,
    end_key: slice.end,
    reason,
  };
}

async function completeAll(
  context: RepairContext,
  entry: Export,
  found: ReadonlyMap<string, RepairAction[]>,
  skipped: string[],
): Promise<RepairAction[]> {
  const actions: RepairAction[] = [];
  for (const [runId, list] of found) {
    // All chunks of a run may be among them: too many to be arguments of a call.
    for (const action of await completeActions(context, entry, runId, list, skipped)) actions.push(action);
  }
  return actions;
}

/** Checks actions against the recorded chunks (RR6), and adds chunks that only make sense together. */
async function completeActions(
  context: RepairContext,
  entry: Export,
  runId: string,
  actions: readonly RepairAction[],
  skipped: string[],
): Promise<RepairAction[]> {
  const run = await context.state.run(runId);
  const isOwn = run !== null && run.status === "completed" && toUnit(entry, run).name === actions[0]!.export_name;
  if (!isOwn) {
    for (const action of actions) skipped.push(`${action.export_name}, chunk ${action.chunk_index}: no run '${runId}'`);
    return [];
  }
  const slices = (await context.state.slices(runId)).map(fromSliceIntent);
  const known: RepairAction[] = [];
  for (const action of actions) {
    const slice = slices[action.chunk_index];
    if (slice?.id === action.chunk_id) known.push(action);
    else skipped.push(`${action.export_name}, chunk ${action.chunk_index}: run '${runId}' has no such chunk`);
  }
  // Rows move between pages: one chunk of pages read later than the others could hold a row twice or not at all.
  const pages = known.find((action) => slices[action.chunk_index]!.bounds?.kind === "pages");
  if (pages !== undefined) {
    const listed = new Set(known.map(({ chunk_index }) => chunk_index));
    for (const slice of slices) {
      if (slice.bounds?.kind !== "pages" || listed.has(slice.index)) continue;
      known.push(describe(slice, run, `chunks of pages are read together, and chunk ${pages.chunk_index} is`));
    }
  }
  return known.sort((a, b) => a.chunk_index - b.chunk_index);
}

/** Runs a plan, unit after unit; a unit that fails keeps its old set whole. */
export async function executeRepair(
  context: RepairContext,
  entry: Export,
  plan: RepairPlan,
  repair: (request: { unit: Unit; runId: string; indexes: readonly number[] }) => Promise<RunSummary>,
): Promise<{ report: RepairReport; summaries: readonly RunSummary[] }> {
  const results: [RepairAction, ActionResult][] = [];
  const manifests: [ManifestAction, ActionResult][] = [];
  const summaries: RunSummary[] = [];
  const runIds = new Set([...plan.actions, ...plan.manifests].map(({ run_id }) => run_id));
  for (const runId of runIds) {
    const run = (await context.state.run(runId))!;
    const actions = plan.actions.filter(({ run_id }) => run_id === runId);
    const summary = await repair({
      unit: toUnit(entry, run),
      runId,
      indexes: actions.map(({ chunk_index }) => chunk_index),
    });
    summaries.push(summary);
    const slices = await context.state.slices(runId);
    const toResult = (rows: number): ActionResult =>
      summary.status === "success" ? { executed: { rows_written: rows } } : {
        failed: { error: summary.error === null ? summary.status : `[${summary.error.code}] ${summary.error.error}` },
      };
    for (const action of actions) results.push([action, toResult(slices[action.chunk_index]?.rows ?? 0)]);
    for (const action of plan.manifests) if (action.run_id === runId) manifests.push([action, toResult(0)]);
  }
  const report = {
    plan,
    repair_run_id: summaries.find(({ run_id }) => run_id !== null)?.run_id ?? null,
    results,
    manifests,
    summary: summarizeRepair(plan, [...results, ...manifests]),
  };
  return { report, summaries };
}
