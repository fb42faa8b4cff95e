// One export planned to be sealed: every unit of it, the advice, and a probe of its rows when that was asked for. Writes nothing.

import type { Export } from "../config/mod.ts";
import type { Core } from "../core/mod.ts";
import { type Consistency, sharesForAMoment, type Source } from "../source/mod.ts";
import { type ExportKey, REPAIR_MODE, type State } from "../state/mod.ts";
import { askBeforePicture, type BeforePicture, buildTask, type PlanContext, type Unit } from "./build.ts";
import { diagnoseTask, type Diagnosis } from "./examine.ts";
import { expandUnits, NULL_PARTITION } from "./partition.ts";
import { checkRules } from "./rules.ts";
import { type Sample, sampleTask } from "./sample.ts";
import type { Task } from "./task.ts";

export interface ProposeOptions {
  readonly state: Pick<State, "cursor" | "metrics" | "openRun">;
  /** Rows to read for better estimates; null reads none. */
  readonly sample: { readonly rows: number; readonly core: Core } | null;
  readonly picture: PictureLevel;
  readonly signal: AbortSignal;
}

export interface Proposal {
  readonly entry: Export;
  readonly before: BeforePicture;
  /** At least one, unless a partitioned table is empty. */
  readonly planned: readonly { readonly unit: Unit; readonly task: Task }[];
  /** Of the newest partition, or of the export without its partitions. */
  readonly diagnosis: Diagnosis;
  readonly consistency: Consistency;
  readonly sample: Sample | null;
  readonly history: Awaited<ReturnType<State["metrics"]>>;
  /** Interrupted runs: one has to be finished or given up before this plan can be applied. */
  readonly unfinished: readonly string[];
}

const HISTORY_RUNS_MAX = 20;

/** Plans an export on a connection that is not in a picture. Throws what keeps it from being planned. */
export async function proposeExport(context: PlanContext, entry: Export, options: ProposeOptions): Promise<Proposal> {
  const { source } = context;
  const { state } = options;
  checkRules(entry);
  // A repair reads a few chunks: it tells nothing of how long a run takes.
  const history = (await state.metrics({ exportName: entry.name, limit: HISTORY_RUNS_MAX }))
    .filter((row) => row["mode"] !== REPAIR_MODE);
  const before = await askBeforePicture(source, entry);
  // The bounds of a window belong to one moment; everything else is an estimate or holds whatever is written meanwhile.
  const needsPicture = entry.incremental !== null;
  if (needsPicture) await source.begin(null);
  try {
    const units = await expandUnits(entry, source);
    const planned = [];
    const unfinished: string[] = [];
    for (const unit of units) {
      options.signal.throwIfAborted();
      planned.push({ unit, task: await planUnit(context, unit, state, before) });
      const open = await state.openRun({ exportName: unit.name, source: context.config.source.identity });
      if (open !== null) unfinished.push(open.runId);
    }
    const shown = planned.findLast(({ unit }) => unit.partition !== NULL_PARTITION) ?? planned[0] ??
      await planWhole(context, entry, state, before);
    const partitions = entry.partition === null ? null : units.length;
    const diagnosis = await diagnoseTask(context, { ...shown, before, partitions, metrics: history });
    const lanes = Math.max(1, ...planned.map(({ task }) => task.lanes));
    const sample = options.sample === null
      ? null
      : await sampleTask(source, shown.task, context.config.source.zeroDates, options.sample, options.signal);
    return {
      entry,
      before,
      planned,
      diagnosis,
      consistency: levelOf(options.picture, lanes),
      sample,
      history,
      unfinished,
    };
  } finally {
    if (needsPicture) await source.end();
  }
}

async function planUnit(
  context: PlanContext,
  unit: Unit,
  state: Pick<State, "cursor">,
  before: BeforePicture,
): Promise<Task> {
  const key: ExportKey = { exportName: unit.name, source: context.config.source.identity };
  return await buildTask(context, unit, key, { cursor: await state.cursor(key), run: null }, before);
}

async function planWhole(context: PlanContext, entry: Export, state: Pick<State, "cursor">, before: BeforePicture) {
  const unit: Unit = { entry, name: entry.name, filters: [], partition: null };
  return { unit, task: await planUnit(context, unit, state, before) };
}

/** What a source's picture is worth. */
export interface PictureLevel {
  /** On one connection. */
  readonly level: Consistency;
  /** Several lanes can read one picture. */
  readonly shares: boolean;
}

/** What a run will probably reach; it measures what it did reach. */
function levelOf({ level, shares }: PictureLevel, lanes: number): Consistency {
  return level === "snapshot" && lanes > 1 && !shares ? "slice" : level;
}

/** Told by taking one. */
export async function probePicture(source: Source): Promise<PictureLevel> {
  const token = await source.begin(null);
  await source.end();
  return { level: source.consistency ?? "snapshot", shares: token !== null || sharesForAMoment(source.engine) };
}

/** Plans exports on several connections at once: a catalog is asked many small questions, and each waits for its answer. */
export async function proposeAll<T>(
  exports: readonly Export[],
  sources: readonly Source[],
  propose: (source: Source, entry: Export) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  const results: PromiseSettledResult<T>[] = [];
  let next = 0;
  const work = async (source: Source) => {
    for (let index = next++; index < exports.length; index = next++) {
      try {
        results[index] = { status: "fulfilled", value: await propose(source, exports[index]!) };
      } catch (reason) {
        results[index] = { status: "rejected", reason };
      }
    }
  };
  await Promise.all(sources.map(work));
  return results;
}
