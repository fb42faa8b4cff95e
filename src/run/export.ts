// One export from lease to commit: the only engine. Modes differ in their slices alone; resuming is running the slices not done.

import { RivetError, toRivetError, withWhere } from "../errors.ts";
import { type Destination, readOwnManifest, type ResolvedDestination, toRunTag } from "../destination/mod.ts";
import { MANIFEST_KEY, runManifestKey, SUCCESS_KEY } from "../manifest.ts";
import {
  askBeforePicture,
  boundsFingerprint,
  buildTask,
  checkBounds,
  checkRules,
  dayOf,
  fromSliceIntents,
  lanesFor,
  resolvePlace,
  type Slice,
  type StoredPlan,
  type Task,
  toSliceIntent,
  type Unit,
} from "../plan/mod.ts";
import type { RunSummary } from "../report/mod.ts";
import { type Consistency, type Mark, readMark, type Source, type SourceConnection } from "../source/mod.ts";
import type { ExportKey, Holder, Lease, SliceIntent, State, StoredRun } from "../state/mod.ts";
import { admitUnit, checkCursorPlace, isComplete, refuseFreshRun } from "./admission.ts";
import { finishRun } from "./finish.ts";
import type { RunContext } from "./context.ts";
import { keepLease, whileHeld } from "./lease.ts";
import { worst } from "./level.ts";
import { rehearse } from "./rehearse.ts";
import { namedByRepaired, settleRepair } from "./repair.ts";
import { findDamaged, findReopened } from "./resume.ts";
import { attemptsMax, retryDelayMs } from "./retry.ts";
import { runSlices, stemOf } from "./slices.ts";
import { RunRecorder } from "./recorder.ts";

/** A run under way: everything its steps share. */
export interface Run {
  readonly context: RunContext;
  readonly state: State;
  readonly task: Task;
  readonly runId: string;
  readonly startedAt: string;
  readonly slices: readonly Slice[];
  readonly lease: Lease;
  readonly destination: Destination;
  readonly recorder: RunRecorder;
  readonly signal: AbortSignal;
  readonly resumed: boolean;
  /** 0 for the process that began the run. */
  readonly takeovers: number;
  readonly picture: Picture;
}

/** The picture all lanes share, held open by the planning connection. */
export interface Picture {
  source: Source;
  token: string | null;
  consistency: Consistency;
  /** The level as the state has it; brought up to date before a part is committed. */
  recorded: Consistency;
}

/** What a run's intent remembers besides its slices. */
export interface Intent extends StoredPlan {
  readonly boundsFingerprint: string;
  readonly exportedAtUs: number;
  /** The moment of the run's first picture, where the engine tells. */
  readonly mark?: Mark | null;
  /** By chunk index: the moment of chunks that were read again in another picture; null = unknown. */
  readonly marks?: Readonly<Record<string, Mark | null>>;
  /** The run whose slices this one reads again. */
  readonly repairs?: string;
}

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

/** What is held while a unit runs, and what its steps share. */
export interface LeasedTools {
  readonly state: State;
  readonly key: ExportKey;
  /** For the run that is begun. */
  readonly runId: string;
  readonly lease: Lease;
  readonly connection: SourceConnection;
  readonly source: Source;
  readonly signal: AbortSignal;
  /** Opens a destination that only the holder of the lease can change. */
  readonly openDestination: (resolved: ResolvedDestination) => Promise<Destination>;
}

export interface LeasedWork {
  /** Null when there is nothing to read. */
  begin(tools: LeasedTools): Promise<Run | null>;
  /** All chunks are done. */
  finish(run: Run, connection: SourceConnection): Promise<void>;
}

/** Chunks read under the lease of their export, and what comes before and after. Never throws: the summary carries the error. */
export async function runLeased(
  context: RunContext,
  unit: Unit,
  recorder: RunRecorder,
  work: LeasedWork,
): Promise<RunSummary> {
  try {
    await runWithLease(context, unit, recorder, work);
  } catch (error) {
    recorder.fail(asFailure(context, unit, error));
  }
  return await recorder.finish();
}

function asFailure(context: RunContext, unit: Unit, error: unknown): RivetError {
  return context.signal.aborted && !(error instanceof RivetError)
    ? interrupted(unit)
    : withWhere(toRivetError(error), `export '${unit.name}'`);
}

export function interrupted(unit: Unit): RivetError {
  return new RivetError("RIVET_RUN_INTERRUPTED", "Stopped by a signal", {
    where: `export '${unit.name}'`,
    retry: "reconnect",
  });
}

/** The planning connection, and what lanes need to make theirs. */
interface Dialled {
  readonly connection: SourceConnection;
  readonly source: Source;
}

/** Lets the first lane load its code while its export is planned. What is wrong with either end is for the planning to tell. */
async function warmLane(context: RunContext, unit: Unit): Promise<Disposable | null> {
  if (context.warmLane === undefined) return null;
  try {
    const connection = await context.config.source.resolveConnection();
    return context.warmLane(connection, resolvePlace(unit, dayOf(context.runtime.now()), context.runtime));
  } catch {
    return null;
  }
}

async function runWithLease(
  context: RunContext,
  unit: Unit,
  recorder: RunRecorder,
  work: LeasedWork,
): Promise<void> {
  checkRules(unit.entry);
  // A stream keeps no promise about what its reader got, so nothing about it is remembered.
  const isStream = unit.entry.destination.kind === "stdout";
  await using memory = isStream ? await context.openMemoryState() : null;
  const state = memory ?? context.state;
  recorder.useState(state);
  const key: ExportKey = { exportName: unit.name, source: context.config.source.identity };
  using _warm = await warmLane(context, unit);
  const dial = async (): Promise<Dialled> => {
    const connection = await context.config.source.resolveConnection();
    return { connection, source: await context.openSource(connection, limitsOf(unit)) };
  };
  await using unused = new AsyncDisposableStack();
  // A plan artifact was made from a source that answered, and its unit is admitted by what the state holds.
  const isFirst = memory === null && unit.sealed === undefined && !await context.hasState();
  let rehearsed: Dialled | null = null;
  if (isFirst) {
    rehearsed = await retryPlanning(
      context,
      unit,
      recorder,
      context.signal,
      () => rehearseOn(dial, context, unit, key),
    );
    unused.defer(async () => await rehearsed?.source[Symbol.asyncDispose]());
  }
  const { runtime } = context;
  const newRunId = makeRunId(unit.name, runtime.now(), runtime.pid);
  const holder: Holder = {
    host: runtime.hostname,
    pid: runtime.pid,
    processStart: context.processStart,
    token: `${runtime.now()}-${Math.floor(runtime.random() * 2 ** 52).toString(36)}`,
    runId: newRunId,
  };
  await using kept = await keepLease(state, key, holder, runtime, {
    lockWaitS: context.options.lockWaitS,
    ttlMs: context.leaseTtlMs,
    signal: context.signal,
    events: context.events,
    isDead: context.isDead,
  });
  const signal = AbortSignal.any([context.signal, kept.lost]);
  const attempt = async () => {
    const { connection, source } = rehearsed ?? await dial();
    rehearsed = null;
    await using _source = source;
    const { lease } = kept;
    const openDestination = async (resolved: ResolvedDestination) =>
      whileHeld(await context.openDestination(resolved), state, lease, context.leaseTtlMs);
    const run = await work.begin({ state, key, runId: newRunId, lease, connection, source, signal, openDestination });
    if (run === null) return;
    await using _destination = run.destination;
    recorder.begin(run);
    await runSlices(run, connection);
    await work.finish(run, connection);
  };
  try {
    await retryPlanning(context, unit, recorder, signal, attempt);
  } catch (error) {
    // The run is ended while the lease is still ours: afterwards another process may have taken it up.
    recorder.fail(asFailure(context, unit, error));
    await recorder.endFailed(kept.lease);
  }
}

export function limitsOf(unit: Pick<Unit, "entry">) {
  const { statementTimeoutS, lockTimeoutS } = unit.entry.tuning;
  return { statementTimeoutS, lockTimeoutS, connectTimeoutMs: 10_000 };
}

/** Rehearses on a connection that the run then goes on with. */
async function rehearseOn(
  dial: () => Promise<Dialled>,
  context: RunContext,
  unit: Unit,
  key: ExportKey,
): Promise<Dialled> {
  const dialled = await dial();
  try {
    await rehearse(context, unit, key, dialled.source);
    return dialled;
  } catch (error) {
    await dialled.source[Symbol.asyncDispose]();
    throw error;
  }
}

/** Retries what fails before the first slice; once slices run, each has its own attempts. */
async function retryPlanning<T>(
  context: RunContext,
  unit: Unit,
  recorder: RunRecorder,
  signal: AbortSignal,
  attemptOnce: () => Promise<T>,
): Promise<T> {
  const { tuning } = unit.entry;
  const max = attemptsMax(tuning, null);
  for (let attempt = 1;; attempt++) {
    try {
      return await attemptOnce();
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toRivetError(thrown);
      // A first connection that cannot be made is a mistake to report, not an outage to wait for.
      const isFirstDial = attempt === 1 && error.code === "RIVET_SOURCE_CONNECT_FAILED";
      const delay = recorder.hasBegun || isFirstDial
        ? null
        : retryDelayMs(error, attempt, max, tuning, context.runtime.random());
      if (delay === null) throw error;
      recorder.warn("retry", `${error.message}; trying again in ${delay} ms`);
      await context.runtime.sleep(delay, signal);
    }
  }
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
    await checkCursorPlace(progress.cursor, unit, destination, context.config.path);
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

/** The picture that was just begun, at the level it can have. `recorded` is the level as the state has it already. */
export function beginPicture(source: Source, token: string | null, lanes: number, recorded?: Consistency): Picture {
  const level = levelOf(source, token, lanes);
  return { source, token, consistency: level, recorded: recorded ?? level };
}

/** Several lanes see one moment only where they share a picture. */
function levelOf(source: Source, token: string | null, lanes: number): Consistency {
  const own = source.consistency ?? "snapshot";
  return own === "snapshot" && lanes > 1 && token === null ? "slice" : own;
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

/** Takes an interrupted run up again: checks what it left, and marks for reading what cannot be trusted. */
export async function resume(run: Omit<Run, "slices">, stored: StoredRun): Promise<Run> {
  const { state, lease, destination, runId } = run;
  const takeovers = await state.resumeRun(runId, lease);
  const storedSlices = await state.slices(runId);
  const slices = fromSliceIntents(storedSlices);
  const open = storedSlices.filter((slice) => slice.status !== "completed").length;
  const lanes = lanesFor(run.picture.source, run.task.export, Math.max(open, 1));
  run.picture.consistency = levelOf(run.picture.source, run.picture.token, lanes);
  const intent = JSON.parse(stored.planJson) as Intent;
  checkBounds(stored, slices, intent.boundsFingerprint);
  const damaged = await findDamaged(destination, storedSlices, await state.parts(runId));
  warnOfDamage(run.recorder, slices, damaged);
  const kept = new Set(
    storedSlices.filter((s) => s.status === "completed" && !damaged.has(s.index)).map((s) => s.index),
  );
  const again = new Set(damaged.keys());
  if (kept.size === slices.length) run.picture.consistency = stored.consistency;
  else {
    // The rest is read in a new picture; only slices bounded on both sides still fit to it.
    const reopened = intent.window === null ? findReopened(slices, (index) => kept.has(index)) : [];
    for (const index of reopened) {
      again.add(index);
      kept.delete(index);
    }
    if (kept.size > 0) run.picture.consistency = worst(run.picture.consistency, stored.consistency, "slice");
  }
  if (again.size > 0) await state.resetSlices(runId, [...again], lease);
  await sweepRun(destination, run.task.name, runId);
  return { ...run, task: { ...run.task, lanes }, slices, takeovers };
}

/** Damaged chunks that are named one by one; the rest is counted. */
const DAMAGED_TOLD_MAX = 20;

function warnOfDamage(recorder: RunRecorder, slices: readonly Slice[], damaged: ReadonlyMap<number, string>): void {
  const told = [...damaged].slice(0, DAMAGED_TOLD_MAX);
  for (const [index, reason] of told) {
    const id = slices.find((slice) => slice.index === index)?.id ?? index;
    recorder.warn("resume", `chunk ${id} is read again: ${reason}`);
  }
  const others = damaged.size - told.length;
  if (others > 0) recorder.warn("resume", `${others} more damaged chunks are read again`);
}

/** What a killed process of this run was writing: parts, which bear its name, and control files, which every run writes. */
async function sweepRun(destination: Destination, name: string, runId: string): Promise<void> {
  const stem = stemOf(name, runId);
  const tag = toRunTag(runId);
  await destination.sweep((key) => key.startsWith(stem), (other) => other === tag);
}

/** Runs looked at when a new one begins; older ones were cleared by the runs in between. */
const ABANDONED_RUNS_MAX = 20;

/** Files of runs that will never finish are not part of any picture: committed, uncommitted and published ones go, markers first. */
async function removeAbandoned(state: State, key: ExportKey, destination: Destination): Promise<void> {
  // No run of the export is open here: every one that did not complete has been given up.
  const runs = (await state.runs({ exportName: key.exportName, limit: ABANDONED_RUNS_MAX }))
    .filter((run) =>
      run.status !== "completed" && run.key.source === key.source && run.destinationUri === destination.uri
    );
  for (const abandoned of runs) {
    const { runId } = abandoned;
    const stem = stemOf(key.exportName, runId);
    const named = await namedByRepaired(destination, abandoned);
    const current = await readOwnManifest(destination, MANIFEST_KEY);
    if (current?.run_id === runId) {
      await destination.remove(SUCCESS_KEY);
      await destination.remove(MANIFEST_KEY);
    }
    await destination.remove(runManifestKey(runId));
    for await (const stored of destination.list(stem)) {
      if (/^[._]/.test(stored.key.slice(stem.length)) && !named.has(stored.key)) await destination.remove(stored.key);
    }
    await sweepRun(destination, key.exportName, runId);
    await state.forgetAbandonedParts(runId);
  }
}

const DATA_FILE = /^(?:_[^/]+)?\.(?:parquet|csv|csv\.gz|csv\.zst)$/;

/** What a process still sent after it had lost the last run to another one: files under that run's name that nobody recorded. */
async function removeStrays(state: State, key: ExportKey, destination: Destination): Promise<void> {
  const last = await state.latestRun(key, "completed");
  if (last === null || last.destinationUri !== destination.uri) return;
  const manifest = await readOwnManifest(destination, runManifestKey(last.runId));
  if (manifest === null) return;
  const known = new Set([
    ...manifest.parts.map((part) => part.path),
    ...(await state.parts(last.runId)).map((part) => part.fileName),
  ]);
  const stem = stemOf(key.exportName, last.runId);
  for await (const stored of destination.list(stem)) {
    if (DATA_FILE.test(stored.key.slice(stem.length)) && !known.has(stored.key)) await destination.remove(stored.key);
  }
}

/** `<export>_<YYYYMMDDTHHMMSS.mmm>_<pid>` */
export function makeRunId(exportName: string, nowMs: number, pid: number): string {
  const iso = new Date(nowMs).toISOString();
  return `${exportName}_${iso.slice(0, 10).replaceAll("-", "")}T${iso.slice(11, 23).replaceAll(":", "")}_${pid}`;
}
