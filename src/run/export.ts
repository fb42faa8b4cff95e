// One export from its plan to its commit: the only engine. Modes differ in their slices alone; resuming is running the slices not done.

import {
  askBeforePicture,
  boundsFingerprint,
  buildTask,
  type Slice,
  type Task,
  toSliceIntent,
  type Unit,
} from "../plan/mod.ts";
import type { RunSummary } from "../report/mod.ts";
import { type Mark, readMark } from "../source/mod.ts";
import type { SliceIntent } from "../state/mod.ts";
import { admitUnit, checkCursorPlace, isComplete, refuseFreshRun } from "./admission.ts";
import type { RunContext } from "./context.ts";
import { finishRun } from "./finish.ts";
import { type LeasedTools, runLeased } from "./leased.ts";
import { removeAbandoned, removeStrays } from "./leftover.ts";
import { beginPicture } from "./level.ts";
import { removeAbandonedElsewhere } from "./past_place.ts";
import { RunRecorder } from "./recorder.ts";
import { settleRepair } from "./repair.ts";
import { resume } from "./resume.ts";
import { attemptsMax } from "./retry.ts";
import type { Intent, Run } from "./run.ts";

/** Runs one export, or one partition of one. Never throws: the summary carries the error. */
export async function runUnit(context: RunContext, unit: Unit): Promise<RunSummary> {
  const recorder = new RunRecorder(context, unit);
  return await runLeased(context, unit, recorder, {
    async begin(tools) {
      await settleRepair(context, unit, recorder, tools);
      return await beginRun(context, unit, recorder, tools);
    },
    finish: finishRun,
  });
}

async function beginRun(
  context: RunContext,
  unit: Unit,
  recorder: RunRecorder,
  tools: LeasedTools,
): Promise<Run | null> {
  const { state, key, lease, source, signal } = tools;
  const stored = await state.openRun(key);
  const admission = await admitUnit(context, unit, state, key, stored);
  if (admission?.kind === "done") {
    recorder.alreadyApplied(admission.runId);
    return null;
  }
  if (admission?.kind === "replan" && admission.why !== null) recorder.warn("plan", `forced: ${admission.why}`);
  const before = await askBeforePicture(source, unit.entry);
  const token = await source.begin(null);
  const { strict } = context.options;
  const planContext = { config: context.config, source, runtime: context.runtime, version: context.version, strict };
  const asPlanned = admission?.kind === "as_planned";
  const progress = { cursor: await state.cursor(key), run: stored, asPlanned };
  const task = await buildTask(planContext, unit, key, progress, before);
  await recorder.checkSchema(task, unit.sealed?.columns ?? null);
  const destination = await tools.openDestination(task.destination);
  try {
    for (const message of task.warnings) recorder.warn("plan", message);
    if (source.proxy) recorder.warn("source", `${source.proxy} stands between rivet and the server`);
    const runId = stored?.runId ?? tools.runId;
    const common = { context, state, task, runId, lease, destination, recorder, signal };
    const picture = beginPicture(source, token, task.lanes, stored?.consistency);
    if (stored !== null) {
      return await resume({ ...common, picture, startedAt: stored.startedAt, resumed: true, takeovers: 0 }, stored);
    }
    if (context.options.skipComplete && await isComplete(destination)) {
      recorder.succeed(`'${destination.uri}' is complete`);
      await destination[Symbol.asyncDispose]();
      return null;
    }
    if (context.options.resume) await refuseFreshRun(context, unit, destination);
    await removeAbandoned(state, key, destination);
    await removeStrays(state, key, destination);
    await removeAbandonedElsewhere({ context, unit, recorder, tools }, destination.uri);
    await checkCursorPlace(progress.cursor, unit, destination, context.config);
    const startedAt = new Date(context.runtime.now()).toISOString();
    const intent = {
      runId,
      key,
      planHash: task.planHash,
      definition: task.definition,
      mode: unit.entry.mode,
      startedAt,
      destinationUri: destination.uri,
      consistency: picture.consistency,
      maxAttempts: attemptsMax(unit.entry.tuning, unit.entry.chunked?.maxAttempts ?? null),
      planJson: JSON.stringify(toIntent(task, context.runtime.now() * 1000, await readMark(source))),
      rivetVersion: context.version,
    };
    await state.beginRun(intent, intentsOf(task.slices), lease);
    return { ...common, picture, startedAt, resumed: false, takeovers: 0, slices: task.slices };
  } catch (error) {
    await destination[Symbol.asyncDispose]();
    throw error;
  }
}

function toIntent(task: Task, exportedAtUs: number, mark: Mark | null): Intent {
  return {
    strategyLabel: task.strategyLabel,
    window: task.window,
    filters: task.filters,
    boundsFingerprint: boundsFingerprint(task.slices),
    exportedAtUs,
    date: task.date,
    planId: task.planId,
    ...(mark === null ? {} : { mark }),
  };
}

/** One by one, as often as they are asked for: the texts of a million chunks need not be in memory together. */
function intentsOf(slices: readonly Slice[]): Iterable<SliceIntent> {
  return {
    *[Symbol.iterator]() {
      for (const slice of slices) yield toSliceIntent(slice);
    },
  };
}
