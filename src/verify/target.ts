// Which finished runs a check is about: the newest whole one of an export, or of each of its partitions.

import { RivetError } from "../errors.ts";
import { commandLine, type Config, type Export } from "../config/mod.ts";
import { expandUnits, NULL_PARTITION, type StoredPlan, type Unit, unitName } from "../plan/mod.ts";
import type { Source } from "../source/mod.ts";
import { REPAIR_MODE, type State, type StoredRun } from "../state/mod.ts";

/** A unit and the run that exported it; no run when it never was. */
export interface Target {
  readonly unit: Unit;
  readonly run: StoredRun | null;
}

export interface TargetContext {
  readonly config: Config;
  readonly state: State;
}

/** Runs looked at for the newest one that read anything. */
const RUNS_MAX = 1000;

/** `runId` chooses one run; else each unit's newest. Throws RIVET_STATE_CHUNK_RUN_MISSING when there is none at all. */
export async function findTargets(
  context: TargetContext,
  entry: Export,
  source: Source | null,
  runId: string | null,
): Promise<Target[]> {
  if (runId !== null) return [await findNamed(context, entry, runId)];
  const units = entry.partition === null
    ? [{ entry, name: entry.name, filters: [], partition: null }]
    : await findPartitions(context, entry, source);
  const targets: Target[] = [];
  for (const unit of units) targets.push({ unit, run: await newestRun(context, unit.name) });
  if (targets.some(({ run }) => run !== null)) return targets;
  throw new RivetError("RIVET_STATE_CHUNK_RUN_MISSING", "The state has no finished run of this export", {
    where: `export '${entry.name}', ${context.state.location}`,
    cure: `Run it with \`${
      commandLine("run", context.config, { exportName: entry.name })
    }\`; if it ran elsewhere, point RIVET_STATE_URL to that state`,
  });
}

async function findNamed({ config, state }: TargetContext, entry: Export, runId: string): Promise<Target> {
  const where = `export '${entry.name}'`;
  const run = await state.run(runId);
  if (run === null) throw new RivetError("RIVET_CLI_RUN_ID_UNKNOWN", `The state has no run '${runId}'`, { where });
  const isOwn = run.key.exportName === entry.name ||
    (entry.partition !== null && run.key.exportName.startsWith(unitName(entry.name, "")));
  if (!isOwn || run.key.source !== config.source.identity) {
    throw new RivetError("RIVET_CLI_RUN_ID_EXPORT_MISMATCH", `Run '${runId}' is of '${run.key.exportName}'`, { where });
  }
  if (run.status !== "completed" || run.mode === REPAIR_MODE) {
    throw new RivetError("RIVET_STATE_CHUNK_RUN_MISSING", `Run '${runId}' is no finished run of the export`, {
      where,
      cure: "Choose a completed one from `rivet state runs`",
    });
  }
  return { unit: toUnit(entry, run), run };
}

/** Every finished run whose files are still a part of the export: all of an export that adds a set a run, else the newest. */
export async function findStoredRuns(context: TargetContext, entry: Export): Promise<Target[]> {
  const newest = await findTargets(context, entry, null, null);
  if (entry.mode !== "incremental" && entry.mode !== "time_window") return newest;
  const all: Target[] = [];
  for (const { unit } of newest) {
    for (const run of await completedRuns(context, unit.name)) all.push({ unit, run });
  }
  return all;
}

async function completedRuns({ config, state }: TargetContext, exportName: string): Promise<StoredRun[]> {
  return (await state.runs({ exportName, limit: RUNS_MAX })).filter((run) =>
    run.status === "completed" && run.mode !== REPAIR_MODE && run.key.source === config.source.identity
  );
}

/** The newest completed run; of a window that added nothing, the one before it. */
async function newestRun(context: TargetContext, exportName: string): Promise<StoredRun | null> {
  const { state } = context;
  const runs = await completedRuns(context, exportName);
  for (const run of runs) {
    if (run.mode !== "incremental" || (await state.slices(run.runId)).some(({ rows }) => rows > 0)) return run;
  }
  return runs[0] ?? null;
}

/** Partitions that the source has now, and those that were exported and are gone. */
async function findPartitions(
  { config, state }: TargetContext,
  entry: Export,
  source: Source | null,
): Promise<Unit[]> {
  const units = new Map<string, Unit>();
  if (source !== null) { for (const unit of await expandUnits(entry, source)) units.set(unit.name, unit); }
  const others = new Set(config.exports.map(({ name }) => name));
  for (const name of await state.exportNames(config.source.identity, unitName(entry.name, ""))) {
    if (units.has(name) || others.has(name)) continue;
    const run = await newestRun({ config, state }, name);
    if (run !== null) units.set(name, toUnit(entry, run));
  }
  return [...units.values()];
}

/** The unit as its run stored it. */
export function toUnit(entry: Export, run: StoredRun): Unit {
  const { exportName } = run.key;
  if (exportName === entry.name) return { entry, name: entry.name, filters: [], partition: null };
  const label = exportName.slice(entry.name.length + 2);
  const { filters } = JSON.parse(run.planJson) as StoredPlan;
  const partition = exportName === unitName(entry.name, NULL_PARTITION) ? NULL_PARTITION : label;
  return { entry, name: exportName, filters, partition };
}
