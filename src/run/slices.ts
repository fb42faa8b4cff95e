// The lanes at work: each claims the next slices, runs them, commits them. A lane's death is a failed slice, not a failed program.

import { RivetError, toRivetError, withWhere } from "../errors.ts";
import { withCredentials } from "../destination/mod.ts";
import { buildReadShape, readOptions, type ReadShape, type Slice, sliceSelect } from "../plan/mod.ts";
import { type Predicate, sharesForAMoment, type SourceConnection } from "../source/mod.ts";
import type { EncoderSpec } from "../core/mod.ts";
import type { Lane } from "./lane.ts";
import { worst } from "./level.ts";
import { chooseRanges, learnFrom } from "./narrow.ts";
import { openPace, type Pace } from "./pace.ts";
import { nextClaim } from "./claim.ts";
import { attemptsMax, needsNewLane, retryDelayMs } from "./retry.ts";
import { type Intent, interrupted, limitsOf, type Run } from "./run.ts";
import type { SliceRequest, SliceResult } from "./slice.ts";

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
  const isWhole = run.slices.every((slice, i) => slice.index === i);
  const byIndex = isWhole ? null : new Map(run.slices.map((slice) => [slice.index, slice]));
  const sliceOf = (index: number) => byIndex === null ? run.slices[index]! : byIndex.get(index)!;
  const failures: RivetError[] = [];
  const work = async () => {
    await using lane = new LaneHolder(run, connection);
    const tools = { run, lane, template, pace, signal };
    for (let slicesMax = 1;;) {
      signal.throwIfAborted();
      await waitForMemory(run, signal);
      const claimed = await run.state.claimSlices(run.runId, slicesMax, run.lease);
      if (claimed.length === 0) return;
      const began = performance.now();
      await runClaimed(tools, claimed.map(({ index, attempts }) => ({ slice: sliceOf(index), attempt: attempts })));
      slicesMax = nextClaim(claimed.length, performance.now() - began);
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

interface LaneTools {
  readonly run: Run;
  readonly lane: LaneHolder;
  readonly template: Template;
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

interface Attempt {
  readonly slice: Slice;
  readonly attempt: number;
}

interface FailedAttempt extends Attempt {
  readonly error: RivetError;
}

/** Claimed slices until each is committed; throws when one of them is final. What failed among others is tried again alone. */
async function runClaimed(tools: LaneTools, claimed: readonly Attempt[]): Promise<void> {
  for (const failed of await attemptAll(tools, claimed)) {
    for (let left: readonly Attempt[] = [failed]; left.length > 0;) left = await attemptAll(tools, left);
  }
}

/** One attempt at each; what is done is committed together. Returns those to try again, after the wait that they need. */
async function attemptAll(tools: LaneTools, attempts: readonly Attempt[]): Promise<Attempt[]> {
  const { recorder } = tools.run;
  for (const { slice, attempt } of attempts) recorder.sliceStarted(slice, attempt);
  const failed: FailedAttempt[] = [];
  const fail = (attempt: Attempt, thrown: unknown) => {
    const error = withWhere(toRivetError(thrown), `export '${tools.run.task.name}'`);
    failed.push({ ...attempt, error });
  };
  const done: { readonly attempt: Attempt; readonly result: SliceResult }[] = [];
  try {
    (await readAll(tools, attempts)).forEach((outcome, i) => {
      if (outcome.status === "rejected") fail(attempts[i]!, outcome.reason);
      else done.push({ attempt: attempts[i]!, result: outcome.value });
    });
  } catch (thrown) {
    for (const attempt of attempts) fail(attempt, thrown);
  }
  try {
    if (done.length > 0) await commitAll(tools.run, done);
  } catch (thrown) {
    for (const { attempt } of done.splice(0)) fail(attempt, thrown);
  }
  for (const { attempt, result } of done) {
    recorder.sliceCompleted(attempt.slice, result);
    learnFrom(tools.run, tools.pace, result.report);
  }
  return failed.length === 0 ? [] : await settle(tools, failed);
}

async function readAll(
  { run, lane, template, pace, signal }: LaneTools,
  attempts: readonly Attempt[],
): Promise<PromiseSettledResult<SliceResult>[]> {
  const open = await lane.open();
  const requests: SliceRequest[] = [];
  for (const { slice, attempt } of attempts) {
    const ranges = await chooseRanges(run, slice, pace, open);
    requests.push(toRequest(run, slice, ranges, template, attempt));
  }
  return await Promise.allSettled(
    requests.map((request, i) =>
      open.run(request, signal, (progress) => run.recorder.progress(attempts[i]!.slice, progress))
    ),
  );
}

async function commitAll(
  run: Run,
  done: readonly { readonly attempt: Attempt; readonly result: SliceResult }[],
): Promise<void> {
  const { state, task } = run;
  const createdAt = new Date(run.context.runtime.now()).toISOString();
  const commits = done.map(({ attempt: { slice: { index }, attempt }, result: { parts, observations } }) => ({
    index,
    attempt,
    parts: parts.map(({ key, observations, digests }) => ({
      sliceIndex: index,
      fileName: key,
      observations,
      digests,
      createdAt,
    })),
    observations,
  }));
  await recordConsistency(run);
  const format = { format: task.export.format.kind, compression: task.export.format.codec };
  await state.commitSlices(run.runId, commits, format, run.lease);
}

/** What becomes of failed attempts: all are tried again after a wait, or the first final one is thrown. */
async function settle({ run, lane, signal }: LaneTools, failed: readonly FailedAttempt[]): Promise<Attempt[]> {
  const { task, recorder, state, runId, lease } = run;
  const { tuning, chunked } = task.export;
  if (signal.aborted) {
    for (const { slice } of failed) await state.failSlice(runId, slice.index, "stopped", false, lease).catch(() => {});
    throw run.signal.aborted ? stopReason(run) : failed[0]!.error;
  }
  const max = attemptsMax(tuning, chunked?.maxAttempts ?? null);
  // What a reader of standard output got cannot be taken back: a second try would give it the rows twice.
  const { retrySafe } = run.destination.capabilities;
  const judged = failed.map(({ error, attempt, slice }) => {
    const delayMs = retrySafe ? retryDelayMs(error, attempt, max, tuning, run.context.runtime.random()) : null;
    if (!retrySafe && error.retry !== "never") {
      recorder.warn("destination", "it cannot take back what was written: the failed read is not tried again");
    }
    recorder.sliceFailed(slice, attempt, error, delayMs);
    return { slice, attempt, error, delayMs };
  });
  const final = judged.find(({ delayMs }) => delayMs === null);
  if (final !== undefined) {
    for (const { slice, error, delayMs } of judged) {
      await state.failSlice(runId, slice.index, run.context.config.hide(error.message), delayMs === null, lease);
    }
    throw final.error;
  }
  if (failed.some(({ error }) => needsNewLane(error))) await lane.drop();
  await run.context.runtime.sleep(Math.max(...judged.map(({ delayMs }) => delayMs ?? 0)), signal);
  return judged.map(({ slice, attempt }) => ({ slice, attempt: attempt + 1 }));
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
  run: Run,
  slice: Slice,
  ranges: readonly (Predicate | null)[],
  template: Template,
  attempt: number,
): SliceRequest {
  const { task } = run;
  const { format } = task.export;
  const keyStem = keyStemOf(template.stem, slice);
  return {
    index: slice.index,
    statements: ranges.map((bounds) => sliceSelect(task, template.shape, { bounds })),
    columns: template.shape.columns,
    encoder: template.encoder,
    keyStem,
    takeover: run.takeovers,
    extension: extensionOf(format.kind, format.codec),
    contentType: contentTypeOf(format.kind, format.codec),
    // A stream without rows still tells its reader the columns.
    emptyFile: task.export.destination.kind === "stdout",
    clean: attempt > 1 || (run.resumed && (run.leftovers?.has(keyStem) ?? true)),
    read: readOptions(task),
  };
}

/** The key of a slice's first file without its extension, and without what tells takeovers apart. */
export function keyStemOf(stem: string, slice: Slice): string {
  return slice.id === "w" ? stem : `${stem}_${sliceName(slice)}`;
}

/** Ranges keep the name people know them by. */
function sliceName(slice: Slice): string {
  return slice.id.startsWith("c")
    ? `chunk${slice.index}`
    : slice.id.startsWith("k")
    ? `keyset${slice.index}`
    : slice.id;
}

export function extensionOf(kind: "parquet" | "csv", codec: string): string {
  if (kind === "parquet") return ".parquet";
  return codec === "gzip" ? ".csv.gz" : codec === "zstd" ? ".csv.zst" : ".csv";
}

/** What the stored bytes are; a store must not take a compressed file for one that it should unpack on the way out. */
function contentTypeOf(kind: "parquet" | "csv", codec: string): string {
  if (kind === "parquet") return "application/vnd.apache.parquet";
  return codec === "gzip" ? "application/gzip" : codec === "zstd" ? "application/zstd" : "text/csv; charset=utf-8";
}
