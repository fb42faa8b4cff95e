// Chunks of a finished run read again by the same engine, as a run of its own: new parts beside the old ones (RR5), which the manifest
// then marks superseded. Until that manifest stands, readers have the old set whole. Cursor and committed boundary stay (RR4).

import { RivetError } from "../errors.ts";
import { removeAll } from "../destination/mod.ts";
import { commandLine } from "../config/mod.ts";
import { askBeforePicture, boundsFingerprint, buildTask, fromSliceIntent, lanesFor, type Unit } from "../plan/mod.ts";
import type { RunSummary } from "../report/mod.ts";
import { readMark, type SourceConnection } from "../source/mod.ts";
import { REPAIR_MODE, type StoredPart, type StoredRun, type StoredSlice } from "../state/mod.ts";
import type { RunContext } from "./context.ts";
import { type LeasedTools, runLeased } from "./leased.ts";
import { beginPicture, worst } from "./level.ts";
import { findQualityFaults } from "./quality.ts";
import { RunRecorder } from "./recorder.ts";
import { markRepaired, publishRepaired, sumEdges } from "./repair_publish.ts";
import { resume } from "./resume.ts";
import { attemptsMax } from "./retry.ts";
import { type Intent, repairedBy, type Run } from "./run.ts";
import { compareAcross } from "./unique.ts";

export interface RepairRequest {
  readonly unit: Unit;
  /** The completed run whose chunks are read again. */
  readonly runId: string;
  /** Chunk indexes; none writes the manifest anew from what is recorded. */
  readonly indexes: readonly number[];
}

/** Repairs one unit. Never throws: the summary carries the error. An interrupted repair of the same run is finished first. */
export async function repairUnit(context: RunContext, request: RepairRequest): Promise<RunSummary> {
  const key = { exportName: request.unit.name, source: context.config.source.identity };
  const open = await context.state.openRun(key);
  const begun = open?.mode === REPAIR_MODE && repairedBy(open) === request.runId
    ? (await context.state.slices(open.runId)).map(({ index }) => index)
    : [];
  const done = new Set(begun);
  const rest = request.indexes.filter((index) => !done.has(index));
  if (begun.length > 0) {
    const finished = await repairOnce(context, { ...request, indexes: begun });
    if (finished.status !== "success" || rest.length === 0) return finished;
  }
  return await repairOnce(context, { ...request, indexes: rest });
}

async function repairOnce(context: RunContext, request: RepairRequest): Promise<RunSummary> {
  const recorder = new RunRecorder(context, request.unit, REPAIR_MODE);
  return await runLeased(context, request.unit, recorder, {
    begin: (tools) => beginRepair(context, request, recorder, tools),
    finish: (run, connection) => finishRepair(run, connection, request.runId),
  });
}

/**
 * Before a new run of the export, or the repair of another run: a repair that only lacks its end is ended, any other is given up. What it
 * left is cleared away by the next run, which reads everything, or the next window.
 */
export async function settleRepair(
  context: RunContext,
  unit: Unit,
  recorder: RunRecorder,
  tools: LeasedTools,
): Promise<void> {
  const { state, key, lease, source } = tools;
  const open = await state.openRun(key);
  if (open?.mode !== REPAIR_MODE) return;
  const isRead = (await state.slices(open.runId)).every(({ status }) => status === "completed");
  if (isRead && await endRepair(context, unit, open, tools)) return;
  await source.end();
  await state.endRun(open.runId, "interrupted", false, null, lease);
  recorder.warn("repair", `the interrupted repair '${open.runId}' was given up`);
}

/** False when the repair cannot be ended as it stands: its config was edited, or its new parts are damaged. */
async function endRepair(context: RunContext, unit: Unit, open: StoredRun, tools: LeasedTools): Promise<boolean> {
  const { state, source } = tools;
  const target = await state.run(repairedBy(open));
  if (target === null) return false;
  const recorder = new RunRecorder(context, unit, REPAIR_MODE);
  let planned: Run;
  try {
    planned = await planRepair(context, unit, target, recorder, tools);
  } catch (error) {
    if (error instanceof RivetError && error.kind === "refusal") return false;
    throw error;
  }
  await using _destination = planned.destination;
  const run = await resume({ ...planned, runId: open.runId, startedAt: open.startedAt, resumed: true }, open);
  if ((await state.slices(open.runId)).some(({ status }) => status !== "completed")) return false;
  recorder.begin(run);
  await finishRepair(run, tools.connection, target.runId);
  await recorder.finish();
  await source.end();
  return true;
}

async function beginRepair(
  context: RunContext,
  request: RepairRequest,
  recorder: RunRecorder,
  tools: LeasedTools,
): Promise<Run | null> {
  const { state, key, lease } = tools;
  const { unit, indexes } = request;
  const target = await findTarget(context, request, tools);
  const found = await state.openRun(key);
  if (found !== null && found.mode !== REPAIR_MODE) throw unfinished(context, unit, found);
  const open = found !== null && repairedBy(found) === target.runId ? found : null;
  if (found !== null && open === null) await settleRepair(context, unit, recorder, tools);
  const run = await planRepair(context, unit, target, recorder, tools);
  try {
    if (open !== null) {
      return await resume({ ...run, runId: open.runId, startedAt: open.startedAt, resumed: true }, open);
    }
    if (indexes.length === 0) {
      await publishRepaired(run, target, await state.slices(target.runId), await state.parts(target.runId), []);
      await run.destination[Symbol.asyncDispose]();
      recorder.succeed(null);
      return null;
    }
    const wanted = new Set(indexes);
    const chosen = (await state.slices(target.runId)).filter(({ index }) => wanted.has(index));
    const slices = chosen.map(fromSliceIntent);
    const lanes = lanesFor(run.picture.source, unit.entry, slices.length);
    const { strategyLabel, window, filters, date } = JSON.parse(target.planJson) as Intent;
    const mark = await readMark(run.picture.source);
    const intent: Intent = {
      strategyLabel,
      window,
      filters,
      ...(date === undefined ? {} : { date }),
      boundsFingerprint: boundsFingerprint(slices),
      exportedAtUs: context.runtime.now() * 1000,
      repairs: target.runId,
      ...(mark === null ? {} : { mark }),
    };
    await state.beginRun(
      {
        runId: run.runId,
        key,
        planHash: target.planHash,
        definition: target.definition,
        mode: REPAIR_MODE,
        startedAt: run.startedAt,
        destinationUri: run.destination.uri,
        consistency: run.picture.consistency,
        maxAttempts: attemptsMax(unit.entry.tuning, unit.entry.chunked?.maxAttempts ?? null),
        planJson: JSON.stringify(intent),
        rivetVersion: context.version,
      },
      chosen,
      lease,
    );
    return { ...run, task: { ...run.task, lanes }, slices };
  } catch (error) {
    await run.destination[Symbol.asyncDispose]();
    throw error;
  }
}

/** What was planned from a report may be out of date by now; under the lease it cannot become so any more. */
async function findTarget(context: RunContext, { unit, runId }: RepairRequest, tools: LeasedTools): Promise<StoredRun> {
  const where = `export '${unit.name}'`;
  const target = await tools.state.run(runId);
  if (target === null || target.status !== "completed") {
    throw new RivetError("RIVET_STATE_CHUNK_RUN_MISSING", `Run '${runId}' is no completed run of this export`, {
      where,
    });
  }
  const { mode } = unit.entry;
  const latest = mode === "full" || mode === "chunked" ? await tools.state.latestRun(tools.key, "completed") : null;
  if (latest === null || latest.runId === runId) return target;
  throw new RivetError("RIVET_CLI_REPORT_INVALID", `Run '${runId}' was replaced by '${latest.runId}'`, {
    where,
    cure: `Make the report anew: \`${
      commandLine("reconcile", context.config, { exportName: unit.entry.name, flags: "-o FILE" })
    }\``,
  });
}

function unfinished(context: RunContext, unit: Unit, open: StoredRun): RivetError {
  return new RivetError("RIVET_STATE_CHUNK_RUN_UNFINISHED", `Run '${open.runId}' is not finished`, {
    where: `export '${unit.name}'`,
    cure: `Finish it with \`${
      commandLine("run", context.config, { exportName: unit.entry.name })
    }\`, then repair what is still wrong`,
  });
}

async function planRepair(
  context: RunContext,
  unit: Unit,
  target: StoredRun,
  recorder: RunRecorder,
  tools: LeasedTools,
): Promise<Run> {
  const { source, state, key, lease, signal, runId } = tools;
  const before = await askBeforePicture(source, unit.entry);
  const token = await source.begin(null);
  const { config, runtime, version, options: { strict } } = context;
  const planContext = { config, source, runtime, version, strict };
  const task = await buildTask(planContext, unit, key, { cursor: null, run: target, purpose: "repair" }, before);
  const picture = beginPicture(source, token, task.lanes);
  const destination = await tools.openDestination(task.destination);
  const startedAt = new Date(runtime.now()).toISOString();
  return {
    context,
    state,
    task,
    runId,
    startedAt,
    slices: [],
    lease,
    destination,
    recorder,
    signal,
    resumed: false,
    takeovers: 0,
    picture,
  };
}

/** Publishes the repaired set, then grafts the new chunks onto the run that they belong to. Doing it again gives the same result. */
export async function finishRepair(run: Run, connection: SourceConnection, targetId: string): Promise<void> {
  const { state, runId, recorder, task, lease } = run;
  const target = (await state.run(targetId))!;
  const repaired = await state.slices(runId);
  const fresh = await state.parts(runId);
  const replaced = new Map(repaired.map((slice) => [slice.index, slice]));
  const slices = (await state.slices(targetId)).map((slice) => replaced.get(slice.index) ?? slice);
  const old = await state.parts(targetId);
  const parts = [...old.filter(({ sliceIndex }) => !replaced.has(sliceIndex)), ...fresh]
    .sort((a, b) => a.sliceIndex - b.sliceIndex);
  recorder.totals(await state.committed(runId));
  await passQuality(run, connection, slices, fresh, parts);
  const consistency = await publishRepaired(run, target, slices, parts, old, repaired);
  await state.commitRepair({
    runId,
    repairs: targetId,
    key: task.key,
    planJson: JSON.stringify(await markRepaired(run, target, repaired)),
    consistency,
    edge: task.window === null ? null : sumEdges(slices),
    metric: recorder.toMetric("success", fresh.reduce((sum, part) => sum + part.observations.rows, 0)),
  }, lease);
  recorder.succeed(null);
}

/** The whole set with its new chunks is judged as a run's rows are. */
async function passQuality(
  run: Run,
  connection: SourceConnection,
  slices: readonly StoredSlice[],
  fresh: readonly StoredPart[],
  parts: readonly StoredPart[],
): Promise<void> {
  const { task, recorder, destination } = run;
  const rows = parts.reduce((sum, part) => sum + part.observations.rows, 0);
  const observations = slices.map((slice) => slice.observations);
  // Chunks of several moments are never one picture: values are compared in the source as it is now.
  const picture = { ...run.picture, consistency: worst(run.picture.consistency, "slice") };
  const whole = { ...run, slices: slices.map(fromSliceIntent), resumed: true, picture };
  const across = await compareAcross(whole, connection, observations);
  const faults = findQualityFaults(task.export.quality, task.columns, observations, rows, across);
  for (const fault of faults) recorder.quality(fault.severity, fault.message);
  const failed = faults.filter(({ severity }) => severity === "fail");
  recorder.qualityPassed(task.export.quality, failed.length === 0);
  if (failed.length === 0) return;
  await removeAll(destination, fresh.map(({ fileName }) => fileName));
  recorder.refused();
  throw new RivetError("RIVET_QUALITY_FAILED", failed.map(({ message }) => message).join("; "), {
    where: `export '${task.name}'`,
  });
}
