// What earlier runs and dead processes left at a destination. Nothing that a manifest of a whole set names is ever taken away.

import { type Destination, readOwnManifest, readSoundManifest, toRunTag } from "../destination/mod.ts";
import { MANIFEST_KEY, runManifestKey, SUCCESS_KEY } from "../manifest.ts";
import { type ExportKey, REPAIR_MODE, type State, type StoredRun } from "../state/mod.ts";
import { repairedBy } from "./run.ts";
import { stemOf } from "./request.ts";

/** What a killed process of this run was writing: parts, which bear its name, and control files, which every run writes. */
export async function sweepRun(destination: Destination, name: string, runId: string): Promise<void> {
  const stem = stemOf(name, runId);
  const tag = toRunTag(runId);
  await destination.sweep((key) => key.startsWith(stem), (other) => other === tag);
}

/** Runs looked at when a new one begins; older ones were cleared by the runs in between. */
const ABANDONED_RUNS_MAX = 20;

/** No run of the export is open when one begins: every one that did not complete has been given up. */
export async function findAbandoned(state: State, key: ExportKey): Promise<StoredRun[]> {
  const runs = await state.runs({ exportName: key.exportName, limit: ABANDONED_RUNS_MAX });
  return runs.filter((run) => run.status !== "completed" && run.key.source === key.source);
}

/** Files of runs that will never finish are not part of any picture: committed, uncommitted and published ones go, markers first. */
export async function removeAbandoned(state: State, key: ExportKey, destination: Destination): Promise<void> {
  for (const abandoned of await findAbandoned(state, key)) {
    if (abandoned.destinationUri !== destination.uri) continue;
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
export async function removeStrays(state: State, key: ExportKey, destination: Destination): Promise<void> {
  const last = await state.latestRun(key, "completed");
  // A run that was never continued has no such process, and most runs need not ask the store.
  if (last === null || last.takeovers === 0 || last.destinationUri !== destination.uri) return;
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

/** Files of a repair that was given up after it was published: the repaired run's manifest names them, so they stay. */
async function namedByRepaired(destination: Destination, run: StoredRun): Promise<ReadonlySet<string>> {
  if (run.mode !== REPAIR_MODE) return new Set();
  const manifest = await readSoundManifest(destination, runManifestKey(repairedBy(run)));
  return new Set((manifest?.parts ?? []).filter(({ status }) => status === "committed").map(({ path }) => path));
}
