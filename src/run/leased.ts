// Chunks read under the lease of their export, whatever begins and ends them. What fails before the first chunk is tried again.

import { RivetError, toRivetError, withWhere } from "../errors.ts";
import { type Destination, loadDestination, type ResolvedDestination } from "../destination/mod.ts";
import { checkRules, dayOf, lanesFor, resolvePlace, type Unit } from "../plan/mod.ts";
import type { RunSummary } from "../report/mod.ts";
import type { Source, SourceConnection } from "../source/mod.ts";
import type { ExportKey, Holder, Lease, State } from "../state/mod.ts";
import type { RunContext } from "./context.ts";
import { keepLease, whileHeld } from "./lease.ts";
import type { WarmedLanes } from "./lane.ts";
import type { RunRecorder } from "./recorder.ts";
import { rehearse } from "./rehearse.ts";
import { attemptsMax, retryDelayMs } from "./retry.ts";
import { interrupted, limitsOf, makeRunId, type Run } from "./run.ts";
import { runSlices } from "./slices.ts";

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

/** The planning connection, and what lanes need to make theirs. */
interface Dialled {
  readonly connection: SourceConnection;
  readonly source: Source;
}

/** Lets the lanes load their code while their export is planned. What is wrong with either end is for the planning to tell. */
async function warmLanes(context: RunContext, unit: Unit): Promise<WarmedLanes | null> {
  if (context.warmLanes === undefined) return null;
  try {
    const connection = await context.config.source.resolveConnection();
    const destination = resolvePlace(unit, dayOf(context.runtime.now()), context.runtime);
    return context.warmLanes(connection, destination, lanesFor(connection, unit.entry, slicesMax(connection, unit)));
  } catch {
    return null;
  }
}

/** Before the plan is made: what is not cut has one slice. */
function slicesMax({ engine }: SourceConnection, { entry }: Unit): number {
  return entry.mode === "chunked" || (entry.mode === "full" && engine === "postgres") ? Infinity : 1;
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
  using warm = await warmLanes(context, unit);
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
  const onWarning = (message: string) => recorder.warnOnce("destination", message);
  const attempt = async () => {
    const { connection, source } = rehearsed ?? await dial();
    rehearsed = null;
    await using _source = source;
    const { lease } = kept;
    const openDestination = async (resolved: ResolvedDestination) =>
      whileHeld(await context.openDestination(resolved, { onWarning }), state, lease, context.leaseTtlMs);
    const run = await work.begin({ state, key, runId: newRunId, lease, connection, source, signal, openDestination });
    if (run === null) return;
    await using _destination = run.destination;
    recorder.begin(run);
    // The end of the run asks the store for the first time: its client is loaded while the lanes work.
    loadDestination(run.task.destination.kind).catch(() => {});
    warm?.keep(connection, run.task.destination, Math.min(run.task.lanes, run.slices.length));
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
