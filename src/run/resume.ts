// Which slices of an interrupted run still hold: nothing is continued on trust.

import { type Destination, findDamages, listByKey } from "../destination/mod.ts";
import { checkBounds, fromSliceIntents, lanesFor, type Slice } from "../plan/mod.ts";
import type { StoredPart, StoredRun, StoredSlice } from "../state/mod.ts";
import { sweepRun } from "./leftover.ts";
import { levelOf, worst } from "./level.ts";
import type { RunRecorder } from "./recorder.ts";
import type { Intent, Run } from "./run.ts";
import { toKeyStems } from "./slice.ts";
import { keyStemOf, stemOf } from "./slices.ts";

/** Takes an interrupted run up again: checks what it left, and marks for reading what cannot be trusted. */
export async function resume(run: Omit<Run, "slices">, opened: StoredRun): Promise<Run> {
  const { state, lease, destination, runId } = run;
  const takeovers = await state.resumeRun(runId, lease);
  const storedSlices = await state.slices(runId);
  const slices = fromSliceIntents(storedSlices);
  const open = storedSlices.filter((slice) => slice.status !== "completed").length;
  const lanes = lanesFor(run.picture.source, run.task.export, Math.max(open, 1));
  run.picture.consistency = levelOf(run.picture.source, run.picture.token, lanes);
  const intent = JSON.parse(opened.planJson) as Intent;
  checkBounds(opened, slices, intent.boundsFingerprint, run.context.config);
  const { damaged, others } = await findDamaged(destination, storedSlices, await state.parts(runId));
  warnOfDamage(run.recorder, slices, damaged);
  const kept = new Set(
    storedSlices.filter((s) => s.status === "completed" && !damaged.has(s.index)).map((s) => s.index),
  );
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
  const rows = storedSlices.reduce(
    (sum, slice) => sum + (kept.has(slice.index) ? slice.observations?.rows ?? 0 : 0),
    0,
  );
  const stem = stemOf(run.task.name, runId);
  const leftovers = new Set(others.filter((key) => key.startsWith(stem)).flatMap(toKeyStems));
  for (const slice of slices) if (again.has(slice.index)) leftovers.add(keyStemOf(stem, slice));
  return { ...run, task: { ...run.task, lanes }, slices, takeovers, leftovers, kept: { slices: kept.size, rows } };
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

/** Completed slices whose parts are not what was committed, each with the reason; and the keys of objects that are no such part. */
async function findDamaged(
  destination: Destination,
  slices: readonly StoredSlice[],
  parts: readonly StoredPart[],
): Promise<{ damaged: Map<number, string>; others: string[] }> {
  const damaged = new Map<number, string>();
  const stored = await listByKey(destination);
  for (const { file, reason } of await findDamages(destination, parts, stored)) damaged.set(file.sliceIndex, reason);
  for (const { fileName } of parts) stored.delete(fileName);
  const rows = new Map<number, number>();
  for (const part of parts) rows.set(part.sliceIndex, (rows.get(part.sliceIndex) ?? 0) + part.observations.rows);
  for (const slice of slices) {
    if (slice.status !== "completed" || damaged.has(slice.index)) continue;
    if (slice.observations === null) damaged.set(slice.index, "it was never committed");
    else if (slice.observations.rows !== (rows.get(slice.index) ?? 0) || slice.rows !== slice.observations.rows) {
      damaged.set(slice.index, "its recorded rows and parts differ");
    }
  }
  return { damaged, others: [...stored.keys()] };
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
