// The lanes at work: each claims the next slice, runs it, commits it. A lane's death is a failed slice, not a failed program.

import { RivetError, toRivetError, withWhere } from "../errors.ts";
import { withCredentials } from "../destination/mod.ts";
import { buildReadShape, readOptions, type ReadShape, type Slice, sliceSelect, type Task } from "../plan/mod.ts";
import { type Predicate, sharesForAMoment, type SourceConnection } from "../source/mod.ts";
import type { EncoderSpec } from "../core/mod.ts";
import type { Lane } from "./lane.ts";
import { worst } from "./level.ts";
import { chooseRanges, learnFrom } from "./narrow.ts";
import { openPace, type Pace } from "./pace.ts";
import { attemptsMax, needsNewLane, retryDelayMs } from "./retry.ts";
import { type Intent, interrupted, limitsOf, type Run } from "./run.ts";
import type { SliceRequest } from "./slice.ts";

const MIB = 1 << 20;
const MEMORY_WAIT_MS_MAX = 5_000;
const MEMORY_POLL_MS = 500;

/** Runs every slice that is not done; returns when all are, throws the error that stopped the run. */
export async function runSlices(run: Run, connection: SourceConnection): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const template = await toTemplate(run);
  await sharePicture(run);
  const pace = openPace(run.task.export.tuning, { ...run.task, chunks: run.slices.length });
  // A repair holds some of its export's chunks, under the indexes that they have there.
  const slices = new Map(run.slices.map((slice) => [slice.index, slice]));
  const failures: RivetError[] = [];
  const work = async () => {
    await using lane = new LaneHolder(run, connection);
    for (;;) {
      signal.throwIfAborted();
      await waitForMemory(run, signal);
      const claimed = await run.state.claimSlice(run.runId, run.lease);
      if (claimed === null) return;
      await runOne(run, lane, slices.get(claimed.index)!, claimed.attempts, template, pace, signal);
    }
  };
  const lanes = Array.from({ length: run.task.lanes }, () =>
    work().catch((error) => {
      failures.push(toRivetError(run.signal.aborted ? run.signal.reason : error));
      // The first final failure decides; the other lanes give their slices back.
      stop.abort(error);
    }));
  await Promise.all(lanes);
  if (run.signal.aborted) throw stopReason(run);
  const first = failures[0];
  if (first !== undefined) throw first;
}

/**
 * Where a picture cannot be shared for long, it is taken again now that the lanes are about to open. What was planned in the old one
 * holds in the new one too: slices are open at their ends, and the bounds of a window were fixed before.
 */
async function sharePicture({ picture, task, slices, resumed }: Run): Promise<void> {
  const lanes = Math.min(task.lanes, slices.length);
  if (lanes < 2 || picture.token !== null || !sharesForAMoment(picture.source.engine)) return;
  picture.token = await picture.source.begin(null, lanes);
  if (picture.token !== null && !resumed) picture.consistency = picture.source.consistency ?? "snapshot";
}

/** Waits a little, not for ever: memory that is still in use then belongs to running slices. */
async function waitForMemory(run: Run, signal: AbortSignal): Promise<void> {
  const { memoryThresholdMb } = run.task.export.tuning;
  if (memoryThresholdMb === 0) return;
  for (
    let waited = 0;
    waited < MEMORY_WAIT_MS_MAX && Deno.memoryUsage().rss / MIB > memoryThresholdMb;
    waited += MEMORY_POLL_MS
  ) {
    await run.context.runtime.sleep(MEMORY_POLL_MS, signal);
  }
}

function stopReason(run: Run): RivetError {
  const { reason } = run.signal;
  return reason instanceof RivetError ? reason : interrupted(run.task);
}

/** One claimed slice until it is committed or final. */
async function runOne(
  run: Run,
  lane: LaneHolder,
  slice: Slice,
  attempts: number,
  template: Template,
  pace: Pace,
  signal: AbortSignal,
): Promise<void> {
  const { task, recorder, state } = run;
  for (let attempt = attempts;; attempt++) {
    recorder.sliceStarted(slice, attempt);
    try {
      const open = await lane.open();
      const ranges = await chooseRanges(run, slice, pace, open);
      const request = {
        ...toRequest(task, slice, ranges, template, run.resumed || attempt > 1),
        takeover: run.takeovers,
      };
      const result = await open.run(request, signal, (progress) => recorder.progress(slice, progress));
      const createdAt = new Date(run.context.runtime.now()).toISOString();
      const parts = result.parts.map((part) => ({
        sliceIndex: slice.index,
        fileName: part.key,
        observations: part.observations,
        digests: part.digests,
        createdAt,
      }));
      const format = { format: task.export.format.kind, compression: task.export.format.codec };
      await recordConsistency(run);
      await state.commitSlice(
        run.runId,
        { index: slice.index, attempt, parts, observations: result.observations },
        format,
        run.lease,
      );
      recorder.sliceCompleted(slice, result);
      return learnFrom(run, pace, result.report);
    } catch (thrown) {
      const error = withWhere(toRivetError(thrown), `export '${task.name}'`);
      if (signal.aborted) {
        await state.failSlice(run.runId, slice.index, "stopped", false, run.lease).catch(() => {});
        throw run.signal.aborted ? stopReason(run) : error;
      }
      const { tuning, chunked } = task.export;
      const max = attemptsMax(tuning, chunked?.maxAttempts ?? null);
      // What a reader of standard output got cannot be taken back: a second try would give it the rows twice.
      const { retrySafe } = run.destination.capabilities;
      const delay = retrySafe ? retryDelayMs(error, attempt, max, tuning, run.context.runtime.random()) : null;
      if (!retrySafe && error.retry !== "never") {
        recorder.warn("destination", "it cannot take back what was written: the failed read is not tried again");
      }
      recorder.sliceFailed(slice, attempt, error, delay);
      if (delay === null) {
        const shown = run.context.config.hide(error.message);
        await state.failSlice(run.runId, slice.index, shown, true, run.lease);
        throw error;
      }
      if (needsNewLane(error)) await lane.drop();
      await run.context.runtime.sleep(delay, signal);
    }
  }
}

/** Before a part is committed: whoever finishes the run after a crash must not promise more than its parts hold. */
async function recordConsistency({ picture, state, runId, lease }: Run): Promise<void> {
  const level = picture.consistency;
  if (picture.recorded === level) return;
  await state.setConsistency(runId, level, lease);
  picture.recorded = level;
}

/** One lane's connection, made when first needed and again after it was lost. */
class LaneHolder implements AsyncDisposable {
  #lane: Lane | null = null;
  #opened = false;

  constructor(private readonly run: Run, private readonly connection: SourceConnection) {}

  async open(): Promise<Lane> {
    const { context, task, picture } = this.run;
    const refreshDestination = () => withCredentials(task.destination, (name) => context.runtime.env(name));
    if (this.#lane !== null) return this.#lane;
    // A connection that was lost took its own picture with it.
    if (this.#opened && picture.token === null && this.run.slices.length > 1) {
      picture.consistency = worst(picture.consistency, "slice");
    }
    this.#opened = true;
    this.#lane = await context.openLane({
      source: this.connection,
      limits: limitsOf({ entry: task.export }),
      destination: await refreshDestination(),
      snapshot: picture.token,
    }, { refreshDestination }).catch((error) => {
      throw picture.token === null ? error : describeJoin(toRivetError(error));
    });
    // Too late to join: this lane sees a moment of its own.
    const level = picture.token !== null && !this.#lane.joined ? "slice" : "snapshot";
    picture.consistency = worst(picture.consistency, this.#lane.consistency, level);
    return this.#lane;
  }

  async drop(): Promise<void> {
    const lane = this.#lane;
    this.#lane = null;
    await lane?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drop();
  }
}

/** The server refuses to join a picture whose holder is gone: that is an outage, not a mistake in a statement. */
function describeJoin(error: RivetError): RivetError {
  if (error.code !== "RIVET_SOURCE_QUERY_FAILED") return error;
  return new RivetError("RIVET_SOURCE_CONNECTION_LOST", "The shared picture is gone with the connection that held it", {
    ...(error.where === null ? {} : { where: error.where }),
    retry: "reconnect",
    cause: error,
  });
}

/** What all slices of a run share. */
interface Template {
  readonly shape: ReadShape;
  readonly encoder: Omit<EncoderSpec, "framing" | "columns">;
  readonly stem: string;
}

async function toTemplate(run: Run): Promise<Template> {
  const { task, state, runId, context } = run;
  const stored = await state.run(runId);
  const intent = JSON.parse(stored?.planJson ?? "{}") as Partial<Intent>;
  const shape = buildReadShape(task, context.config.source.zeroDates);
  return {
    shape,
    encoder: {
      ...task.encoder,
      ...(task.encoder.rowHash === undefined || task.encoder.rowHash.length > 0
        ? {}
        : { rowHash: task.columns.map((c) => c.name) }),
      ...(task.export.meta.exportedAt ? { exportedAtUs: intent.exportedAtUs ?? context.runtime.now() * 1000 } : {}),
      ...(shape.edge === null ? {} : { edge: shape.edge }),
    },
    stem: stemOf(task.name, runId),
  };
}

/** `<export>_<YYYYMMDD>_<HHMMSS>_<mmm>_<pid>`, from the run id, so that a slice that runs again overwrites itself. */
export function stemOf(name: string, runId: string): string {
  const tag = runId.slice(name.length + 1);
  const match = /^(\d{8})T(\d{6})\.(\d{3})_(\d+)$/.exec(tag);
  const plain = match === null ? tag : match.slice(1).join("_");
  return `${name}_${plain}`.replace(/[^\p{L}\p{N}._-]/gu, "-");
}

function toRequest(
  task: Task,
  slice: Slice,
  ranges: readonly (Predicate | null)[],
  template: Template,
  clean: boolean,
): SliceRequest {
  const { format } = task.export;
  return {
    index: slice.index,
    statements: ranges.map((bounds) => sliceSelect(task, template.shape, { bounds })),
    columns: template.shape.columns,
    encoder: template.encoder,
    keyStem: slice.id === "w" ? template.stem : `${template.stem}_${sliceName(slice)}`,
    extension: extensionOf(format.kind, format.codec),
    contentType: contentTypeOf(format.kind, format.codec),
    // A stream without rows still tells its reader the columns.
    emptyFile: task.export.destination.kind === "stdout",
    clean,
    read: readOptions(task),
  };
}

/** Ranges keep the name people know them by. */
function sliceName(slice: Slice): string {
  return slice.id.startsWith("c")
    ? `chunk${slice.index}`
    : slice.id.startsWith("k")
    ? `keyset${slice.index}`
    : slice.id;
}

function extensionOf(kind: "parquet" | "csv", codec: string): string {
  if (kind === "parquet") return ".parquet";
  return codec === "gzip" ? ".csv.gz" : codec === "zstd" ? ".csv.zst" : ".csv";
}

/** What the stored bytes are; a store must not take a compressed file for one that it should unpack on the way out. */
function contentTypeOf(kind: "parquet" | "csv", codec: string): string {
  if (kind === "parquet") return "application/vnd.apache.parquet";
  return codec === "gzip" ? "application/gzip" : codec === "zstd" ? "application/zstd" : "text/csv; charset=utf-8";
}
