// Files of runs that were given up, at places that the export has left since: `{date}` stood for another day. Only what the state names
// as such a run's own is taken away, never what a manifest names. What stays is said.

import { toRivetError } from "../errors.ts";
import { type Destination, listRunManifests, readManifest, removeAll } from "../destination/mod.ts";
import { MANIFEST_KEY } from "../manifest.ts";
import { dayOf, resolvePlace, type Unit } from "../plan/mod.ts";
import type { StoredRun } from "../state/mod.ts";
import type { RunContext } from "./context.ts";
import type { LeasedTools } from "./leased.ts";
import { findAbandoned } from "./leftover.ts";
import type { RunRecorder } from "./recorder.ts";
import type { Intent } from "./run.ts";

/** What a past place needs to be opened, cleared and told of. */
export interface PastPlaces {
  readonly context: RunContext;
  readonly unit: Unit;
  readonly recorder: RunRecorder;
  readonly tools: LeasedTools;
}

/** `here` is where the run that begins writes: what lies there is cleared by its own rules. */
export async function removeAbandonedElsewhere(places: PastPlaces, here: string): Promise<void> {
  const { state, key, signal } = places.tools;
  for (const run of await findAbandoned(state, key)) {
    if (run.destinationUri === here) continue;
    const files = (await state.parts(run.runId)).map(({ fileName }) => fileName);
    if (files.length === 0) continue;
    try {
      await clear(places, run, files);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toRivetError(thrown);
      if (error.code === "RIVET_STATE_LEASE_LOST") throw error;
      // A place of the past keeps nobody from today's run; the next one tries again.
      tell(places, run, files.length, `[${error.code}] ${error.message}`);
    }
  }
}

async function clear(places: PastPlaces, run: StoredRun, files: readonly string[]): Promise<void> {
  const { context, unit, tools } = places;
  const { date } = JSON.parse(run.planJson) as Intent;
  const place = resolvePlace(unit, date ?? dayOf(Date.parse(run.startedAt)), context.runtime);
  await using destination = await tools.openDestination(place);
  if (destination.uri === run.destinationUri) {
    const named = await namedFiles(destination);
    const own = files.filter((name) => !named.has(name));
    await removeAll(destination, own);
    if (own.length < files.length) tell(places, run, files.length - own.length, "a manifest there names them");
  } else tell(places, run, files.length, "the config does not lead there any more");
  // It is told once: nothing will change about what stays.
  await tools.state.forgetAbandonedParts(run.runId);
}

/** What readers of any manifest at the place are sent to. Throws where one cannot be read: it might name anything. */
async function namedFiles(destination: Destination): Promise<ReadonlySet<string>> {
  const named = new Set<string>();
  for (const key of [MANIFEST_KEY, ...await listRunManifests(destination)]) {
    const manifest = await readManifest(destination, key);
    for (const { path, status } of manifest?.parts ?? []) if (status === "committed") named.add(path);
  }
  return named;
}

function tell({ recorder }: PastPlaces, run: StoredRun, count: number, why: string): void {
  const files = count === 1 ? "1 file" : `${count} files`;
  recorder.warn("destination", `${files} of the abandoned run '${run.runId}' stay at '${run.destinationUri}': ${why}`);
}
