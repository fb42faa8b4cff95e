// Slices of a finished run read again through the same statements, in one picture: nothing is stored. The lanes are those of a run.

import { toRivetError } from "../errors.ts";
import { withCredentials } from "../destination/mod.ts";
import {
  buildReadShape,
  type KeysOutcome,
  type KeysRequest,
  type ObserveRequest,
  type ObserveResult,
  type RereadInput,
  type Task,
  toObserveRequest,
} from "../plan/mod.ts";
import { sharesForAMoment, type Source } from "../source/mod.ts";
import type { RunContext } from "./context.ts";
import type { Lane } from "./lane.ts";
import { attemptsMax, needsNewLane, retryDelayMs } from "./retry.ts";
import { interrupted, limitsOf } from "./run.ts";
import type { SliceProgress } from "./slice.ts";

export type RereadContext = Pick<RunContext, "config" | "runtime" | "signal" | "openLane" | "events">;

/** Observes every slice; lanes are as many as the export may have. The first final failure ends it. */
export async function rereadSlices(context: RereadContext, input: RereadInput): Promise<void> {
  const { task, slices, source } = input;
  const shape = buildReadShape(task, context.config.source.zeroDates);
  const count = Math.max(1, Math.min(task.lanes, slices.length));
  const token = await shareToken(source, input.token, count);
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  // Shared by the lanes: each takes the next one.
  const queue = slices.values();
  const failures: unknown[] = [];
  tellBegin(context, task, slices.length, count);
  const work = async () => {
    await using lanes = new ReadingLane(context, { ...input, token });
    for (const slice of queue) {
      const { index, id, start, end } = slice;
      const request = toObserveRequest(task, shape, slice);
      const exportName = task.name;
      context.events({ kind: "slice_started", exportName, index, id, startKey: start, endKey: end, attempt: 1 });
      const onProgress = (progress: SliceProgress) =>
        context.events({ kind: "progress", exportName, index, ...progress });
      const result = await lanes.attempt(signal, (lane) => lane.observe(request, signal, onProgress));
      const { rows } = result.observations;
      const { bytesRead } = result.report;
      context.events({ kind: "slice_completed", exportName, index, id, rows, files: 0, bytesRead, bytesWritten: 0 });
      input.onSlice(slice, result);
    }
  };
  await Promise.all(Array.from({ length: count }, () =>
    work().catch((error) => {
      failures.push(error);
      stop.abort(error);
    })));
  if (failures.length > 0) throw context.signal.aborted ? interrupted(task) : failures[0];
}

function tellBegin({ events }: RereadContext, task: Task, slices: number, lanes: number): void {
  events({
    kind: "run_started",
    exportName: task.name,
    runId: "",
    mode: task.export.mode,
    strategy: task.strategyLabel,
    resumed: false,
    slices,
    slicesKept: 0,
    rowsKept: 0,
    lanes,
    rowsEstimate: task.rowsEstimate,
    tuningProfile: task.export.tuning.profileLabel,
    batchRows: task.export.tuning.batchRows,
    destination: "",
    capabilities: "",
  });
}

/** One statement of a run's own columns, observed in a lane that may only read. */
export async function readOnce(
  context: RereadContext,
  input: Omit<RereadInput, "slices" | "onSlice">,
  request: ObserveRequest,
): Promise<ObserveResult> {
  await using lanes = new ReadingLane(context, input);
  return await lanes.attempt(context.signal, (lane) => lane.observe(request, context.signal, () => {}));
}

/** Compares slices with their files by key, one after the other in one lane; outcomes in the order of the requests. */
export async function* compareSliceKeys(
  context: RereadContext,
  input: Omit<RereadInput, "slices" | "onSlice">,
  requests: readonly KeysRequest[],
): AsyncGenerator<KeysOutcome> {
  await using lanes = new ReadingLane(context, input, true);
  for (const request of requests) {
    let outcome: KeysOutcome;
    try {
      const result = await lanes.attempt(context.signal, (lane) => lane.compareKeys(request, context.signal));
      outcome = { kind: "compared", result };
    } catch (thrown) {
      context.signal.throwIfAborted();
      const error = toRivetError(thrown);
      // Nothing that the failure left open may reach the next slice.
      await lanes.drop();
      outcome = { kind: "failed", error };
    }
    yield outcome;
  }
}

/** Where a picture cannot be shared for long, it is taken again now that the lanes are about to open. */
async function shareToken(source: Source, token: string | null, lanes: number): Promise<string | null> {
  if (lanes < 2 || token !== null || !sharesForAMoment(source.engine)) return token;
  return await source.begin(null, lanes);
}

/** One lane that only reads, opened when it is first needed and again after it was lost. */
class ReadingLane implements AsyncDisposable {
  #lane: Lane | null = null;

  constructor(
    private readonly context: RereadContext,
    private readonly input: Omit<RereadInput, "slices" | "onSlice">,
    private readonly withDestination = false,
  ) {}

  /** Tries again what may pass by itself, as often as a slice of a run is tried. */
  async attempt<T>(signal: AbortSignal, act: (lane: Lane) => Promise<T>): Promise<T> {
    const { tuning, chunked } = this.input.task.export;
    const max = attemptsMax(tuning, chunked?.maxAttempts ?? null);
    for (let attempt = 1;; attempt++) {
      try {
        return await act(await this.#open());
      } catch (thrown) {
        signal.throwIfAborted();
        const error = toRivetError(thrown);
        const delay = retryDelayMs(error, attempt, max, tuning, this.context.runtime.random());
        if (delay === null) throw error;
        if (needsNewLane(error)) await this.drop();
        await this.context.runtime.sleep(delay, signal);
      }
    }
  }

  async #open(): Promise<Lane> {
    const { task, connection, token } = this.input;
    const refreshDestination = () => withCredentials(task.destination, (name) => this.context.runtime.env(name));
    return this.#lane ??= await this.context.openLane({
      source: connection,
      limits: limitsOf({ entry: task.export }),
      destination: this.withDestination ? await refreshDestination() : null,
      snapshot: token,
    }, { refreshDestination });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drop();
  }

  async drop(): Promise<void> {
    const lane = this.#lane;
    this.#lane = null;
    await lane?.close();
  }
}
