// The lanes at work: each claims the next slices, runs them, commits them. A lane's death is a failed slice, not a failed program.

import { RivetError, toRivetError, withWhere } from "../errors.ts";
import type { Slice } from "../plan/mod.ts";
import { sharesForAMoment, type SourceConnection } from "../source/mod.ts";
import { CLAIM_MS, nextClaim } from "./claim.ts";
import { LaneHolder } from "./lane_holder.ts";
import { chooseRanges, learnFrom } from "./narrow.ts";
import { openPace, type Pace } from "./pace.ts";
import { type Template, toRequest, toTemplate } from "./request.ts";
import { attemptsMax, needsNewLane, retryDelayMs } from "./retry.ts";
import { interrupted, type Run } from "./run.ts";
import type { SliceResult } from "./slice.ts";

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
  const holding = new Set<Promise<void>>();
  const work = async () => {
    await using lane = new LaneHolder(run, connection);
    const tools = { run, lane, template, pace, signal, holding };
    for (let slicesMax = 1;;) {
      signal.throwIfAborted();
      await waitForMemory(run, signal);
      const claimed = await run.state.claimSlices(run.runId, slicesMax, run.lease);
      if (claimed.length === 0) {
        if (holding.size === 0) return;
        await Promise.race(holding);
        continue;
      }
      const began = performance.now();
      const attempts = claimed.map(({ index, attempts }) => ({ slice: sliceOf(index), attempt: attempts }));
      slicesMax = nextClaim(await runClaimed(tools, attempts), performance.now() - began);
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
  /** Lanes that hold slices which they may yet give back. */
  readonly holding: Set<Promise<void>>;
}

interface Attempt {
  readonly slice: Slice;
  readonly attempt: number;
}

interface FailedAttempt extends Attempt {
  readonly error: RivetError;
}

interface DoneAttempt extends Attempt {
  readonly result: SliceResult;
}

type Outcome = FailedAttempt | DoneAttempt;

/**
 * Claimed slices until each is committed or given back; throws when one of them is final. What failed among others is tried again
 * alone. Returns how many were read.
 */
async function runClaimed(tools: LaneTools, claimed: readonly Attempt[]): Promise<number> {
  const { outcomes, givenBack } = await readAll(tools, claimed);
  const failed = await settleAll(tools, outcomes);
  await givenBack;
  for (const one of failed) {
    for (let left: readonly Attempt[] = [one]; left.length > 0;) {
      left = await settleAll(tools, (await readAll(tools, left)).outcomes);
    }
  }
  return outcomes.length;
}

/**
 * Reads one after the other while earlier ones are being stored. What is slow, or fails, is the last: the rest is given back, unread
 * and with its attempts, to whichever lane is free.
 */
async function readAll(
  tools: LaneTools,
  attempts: readonly Attempt[],
): Promise<{ outcomes: Outcome[]; givenBack: Promise<void> }> {
  const { state, runId, lease } = tools.run;
  const waiting = [...attempts];
  const outcomes: Promise<Outcome>[] = [];
  let givenBack = Promise.resolve();
  const held = Promise.withResolvers<void>();
  if (attempts.length > 1) tools.holding.add(held.promise);
  const letGo = () => {
    tools.holding.delete(held.promise);
    held.resolve();
  };
  const giveBack = () => {
    const indexes = waiting.splice(0).map(({ slice }) => slice.index);
    if (indexes.length === 0) return;
    givenBack = state.returnSlices(runId, indexes, lease);
    givenBack.then(letGo, letGo);
  };
  const late = setTimeout(giveBack, CLAIM_MS);
  try {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (outcomes.length > 0 && tools.signal.aborted) break;
      const read = Promise.withResolvers<void>();
      const outcome = attemptOnce(tools, next, read.resolve);
      outcomes.push(outcome);
      await Promise.race([read.promise, outcome.then((ended) => "error" in ended ? giveBack() : undefined)]);
    }
  } finally {
    clearTimeout(late);
    givenBack.then(letGo, letGo);
  }
  return { outcomes: await Promise.all(outcomes), givenBack };
}

/** Never rejects. `onRead` is called when the lane is free for the next one, or before it returns. */
async function attemptOnce(
  { run, lane, template, pace, signal }: LaneTools,
  attempt: Attempt,
  onRead: () => void,
): Promise<Outcome> {
  const { slice } = attempt;
  run.recorder.sliceStarted(slice, attempt.attempt);
  try {
    const open = await lane.open();
    const ranges = await chooseRanges(run, slice, pace, open);
    const result = await open.run(toRequest(run, slice, ranges, template, attempt.attempt), signal, {
      onProgress: (progress) => run.recorder.progress(slice, progress),
      onRead(report) {
        learnFrom(run, pace, report);
        onRead();
      },
    });
    return { ...attempt, result };
  } catch (thrown) {
    return { ...attempt, error: asFailure(run, thrown) };
  }
}

function asFailure({ task }: Run, thrown: unknown): RivetError {
  return withWhere(toRivetError(thrown), `export '${task.name}'`);
}

/** What is done is committed together. Returns those to try again, after the wait that they need. */
async function settleAll(tools: LaneTools, outcomes: readonly Outcome[]): Promise<Attempt[]> {
  const { run } = tools;
  const failed = outcomes.filter((outcome) => "error" in outcome);
  const done = outcomes.filter((outcome) => "result" in outcome);
  try {
    if (done.length > 0) await commitAll(run, done);
    for (const { slice, result } of done) run.recorder.sliceCompleted(slice, result);
  } catch (thrown) {
    for (const { slice, attempt } of done) failed.push({ slice, attempt, error: asFailure(run, thrown) });
  }
  return failed.length === 0 ? [] : await settle(tools, failed);
}

async function commitAll(run: Run, done: readonly DoneAttempt[]): Promise<void> {
  const { state, task } = run;
  const createdAt = new Date(run.context.runtime.now()).toISOString();
  const commits = done.map(({ slice: { index }, attempt, result: { parts, observations } }) => ({
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
  // The end of the run gives back what it stopped.
  if (signal.aborted) throw run.signal.aborted ? stopReason(run) : failed[0]!.error;
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
