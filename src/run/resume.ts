// Which slices of an interrupted run still hold: nothing is continued on trust.

import { RivetError } from "../errors.ts";
import { findDamages, listByKey } from "../destination/mod.ts";
import { checkBounds, fromSliceIntents, lanesFor, type Slice } from "../plan/mod.ts";
import { slicePages, type StoredRun } from "../state/mod.ts";
import { sweepRun } from "./leftover.ts";
import { levelOf, worst } from "./level.ts";
import { readParts } from "./parts.ts";
import type { RunRecorder } from "./recorder.ts";
import type { Intent, Run } from "./run.ts";
import { toKeyStems } from "./slice.ts";
import { keyStemOf, stemOf } from "./request.ts";

/** Takes an interrupted run up again: checks what it left, and marks for reading what cannot be trusted. */
export async function resume(run: Omit<Run, "slices">, opened: StoredRun): Promise<Run> {
  const { state, lease, destination, runId } = run;
  const takeovers = await state.resumeRun(runId, lease);
  const { slices, rows: kept, damaged } = await readStored(run);
  const lanes = lanesFor(run.picture.source, run.task.export, Math.max(slices.length - kept.size - damaged.size, 1));
  run.picture.consistency = levelOf(run.picture.source, run.picture.token, lanes);
  const intent = JSON.parse(opened.planJson) as Intent;
  checkBounds(opened, slices, intent.boundsFingerprint, run.context.config);
  const others = await checkParts(run, slices, kept, damaged);
  warnOfDamage(run.recorder, slices, damaged);
  const again = new Set(damaged.keys());
  if (kept.size === slices.length) run.picture.consistency = opened.consistency;
  else {
    // The rest is read in a new picture; only slices bounded on both sides still fit to it.
    const reopened = intent.window === null ? findReopened(slices, (index) => kept.has(index)) : [];
    for (const index of reopened) {
      again.add(index);
      kept.delete(index);
    }
    if (kept.size > 0) run.picture.consistency = worst(run.picture.consistency, opened.consistency, "slice");
  }
  if (again.size > 0) await state.resetSlices(runId, [...again], lease);
  await sweepRun(destination, run.task.name, runId);
  const stem = stemOf(run.task.name, runId);
  const leftovers = new Set(others.filter((key) => key.startsWith(stem)).flatMap(toKeyStems));
  for (const slice of slices) if (again.has(slice.index)) leftovers.add(keyStemOf(stem, slice));
  const rows = kept.values().reduce((sum, n) => sum + n, 0);
  return { ...run, task: { ...run.task, lanes }, slices, takeovers, leftovers, kept: { slices: kept.size, rows } };
}

/** What the state holds of an interrupted run, page by page: of a million chunks, what each observed need not be in memory together. */
interface StoredWork {
  readonly slices: Slice[];
  /** Rows of each completed slice. */
  readonly rows: Map<number, number>;
  /** Completed slices that cannot be what was committed, each with the reason. */
  readonly damaged: Map<number, string>;
}

async function readStored({ state, runId }: Pick<Run, "state" | "runId">): Promise<StoredWork> {
  const work: StoredWork = { slices: [], rows: new Map(), damaged: new Map() };
  for await (const page of slicePages(state, runId)) {
    for (const slice of fromSliceIntents(page)) work.slices.push(slice);
    for (const { index, status, rows, observations } of page) {
      if (status !== "completed") continue;
      if (observations === null) work.damaged.set(index, "it was never committed");
      else if (rows !== observations.rows) work.damaged.set(index, DIFFERING);
      else work.rows.set(index, rows);
    }
  }
  return work;
}

const DIFFERING = "its recorded rows and parts differ";

/** Moves completed slices whose parts are not what was committed from `kept` to `damaged`. Returns the keys of objects that are no part. */
async function checkParts(
  run: Pick<Run, "state" | "runId" | "destination" | "recorder">,
  slices: readonly Slice[],
  kept: Map<number, number>,
  damaged: Map<number, string>,
): Promise<string[]> {
  const { state, runId, destination } = run;
  const stored = await listByKey(destination);
  for await (const { slices: some, parts } of readParts({ state, runId, slices })) {
    for (const { file, reason } of await findDamages(destination, parts, stored)) {
      damaged.set(file.sliceIndex, reason);
      if (stored.has(file.fileName)) await setAside(run, file.fileName);
    }
    const rows = new Map<number, number>();
    for (const { fileName, sliceIndex, observations } of parts) {
      stored.delete(fileName);
      rows.set(sliceIndex, (rows.get(sliceIndex) ?? 0) + observations.rows);
    }
    for (const { index } of some) {
      const recorded = kept.get(index);
      if (recorded === undefined) continue;
      if (!damaged.has(index) && recorded !== (rows.get(index) ?? 0)) damaged.set(index, DIFFERING);
      if (damaged.has(index)) kept.delete(index);
    }
  }
  return [...stored.keys()];
}

/** What somebody put in the place of a part may be all that is left of something: it is kept, where it can be (M9). */
async function setAside(
  { destination, runId, recorder }: Pick<Run, "destination" | "runId" | "recorder">,
  key: string,
): Promise<void> {
  try {
    await destination.quarantine(key, runId);
  } catch (error) {
    if (!(error instanceof RivetError) || error.code === "RIVET_STATE_LEASE_LOST") throw error;
    recorder.warn("resume", `'${key}' could not be moved to '_quarantine/' and is written over: ${error.message}`);
  }
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

/**
 * Completed slices that a run which still has to read must read again in its new picture: rows may have moved between pages,
 * and rows added since the crash belong to a range that is open on one side, or have no key.
 */
export function findReopened(slices: readonly Slice[], completed: (index: number) => boolean): number[] {
  return slices.filter((slice) =>
    completed(slice.index) &&
    (slice.bounds?.kind === "pages" || slice.start === null || slice.end === null || slice.id === "null")
  )
    .map((slice) => slice.index);
}
