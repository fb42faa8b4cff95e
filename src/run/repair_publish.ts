// The manifest of a repaired run, and what its record says from then on. One picture for readers at every moment: old set or new set.

import { putManifest, putRunManifest, readSoundManifest } from "../destination/mod.ts";
import { MANIFEST_KEY, runManifestKey, toManifestText } from "../manifest.ts";
import type { StoredPart, StoredRun, StoredSlice } from "../state/mod.ts";
import { buildManifest } from "./commit.ts";
import type { Intent, Run } from "./run.ts";
import { worst } from "./level.ts";
import { supersede } from "./supersede.ts";

/** Writes the manifest of the repaired run; `replaced` are the ledger's parts before it. Returns how well the set fits together now. */
export async function publishRepaired(
  run: Run,
  target: StoredRun,
  slices: readonly StoredSlice[],
  parts: readonly StoredPart[],
  replaced: readonly StoredPart[],
  repaired: readonly StoredSlice[] = [],
): Promise<StoredRun["consistency"]> {
  const { destination, context, task, signal } = run;
  const own = await readSoundManifest(destination, runManifestKey(target.runId));
  const shown = await readSoundManifest(destination, MANIFEST_KEY);
  const before = own?.run_id === target.runId ? own : shown?.run_id === target.runId ? shown : null;
  const isWhole = repaired.length === slices.length;
  const consistency = repaired.length === 0
    ? target.consistency
    : isWhole
    ? run.picture.consistency
    : worst(target.consistency, run.picture.consistency, "slice");
  const now = new Date(context.runtime.now()).toISOString();
  const manifest = await buildManifest({
    task,
    engine: task.source,
    runId: target.runId,
    startedAt: target.startedAt,
    finishedAt: before?.finished_at ?? target.updatedAt,
    status: "success",
    consistency,
    destinationUri: destination.uri,
    sourceRowCount: repaired.length === 0 ? before?.source.extraction.source_row_count ?? null : null,
  }, { slices, parts });
  const repair = repaired.length === 0
    ? null
    : { run_id: run.runId, finished_at: now, slices: repaired.map(({ id }) => id) };
  const whole = toManifestText(supersede(manifest, before, replaced, slices, repair));
  signal.throwIfAborted();
  // The prefix may show a newer run, or another export that shares the folder: theirs stays.
  if (shown === null || shown.run_id === target.runId) await putManifest(destination, whole, signal);
  else await putRunManifest(destination, whole, signal);
  return consistency;
}

/** Chunks of a later picture have their own moment; of one that was taken up again, none is known. */
export async function markRepaired(run: Run, target: StoredRun, repaired: readonly StoredSlice[]): Promise<Intent> {
  const intent = JSON.parse(target.planJson) as Intent;
  const own = JSON.parse((await run.state.run(run.runId))!.planJson) as Intent;
  const mark = run.resumed ? null : own.mark ?? null;
  if (intent.mark === undefined && mark === null) return intent;
  const marks = { ...intent.marks };
  for (const { index } of repaired) marks[String(index)] = mark;
  return { ...intent, marks };
}

export function sumEdges(slices: readonly StoredSlice[]): Record<string, number> {
  const edge: Record<string, number> = {};
  for (const { observations } of slices) {
    for (const [hash, count] of Object.entries(observations?.edge ?? {})) edge[hash] = (edge[hash] ?? 0) + count;
  }
  return edge;
}
