// The source against what was exported, slice by slice: the same statements again, in one picture, compared with what the export saw.
// Writes nothing but the verified boundary, and that only when everything matches.

import { RivetError } from "../errors.ts";
import type { Export } from "../config/mod.ts";
import {
  askBeforePicture,
  buildTask,
  checkBounds,
  type KeysOutcome,
  type KeysRequest,
  lanesFor,
  type RereadInput,
  type Slice,
  type StoredPlan,
} from "../plan/mod.ts";
import type { Runtime } from "../runtime.ts";
import { buildCount, type SessionLimits, type Source, type SourceConnection } from "../source/mod.ts";
import { REPAIR_MODE, type StoredRun } from "../state/mod.ts";
import { type PartitionCheck, type ReconcileReport, summarize } from "./reconcile_report.ts";
import { readRecorded } from "./recorded.ts";
import { SliceChecks } from "./reconcile_slices.ts";
import { findTargets, type Target, type TargetContext } from "./target.ts";

/** `rows` compares the files' own rows with the source's, beside what `content` does. */
export type ReconcileDepth = "count" | "content" | "rows";
type Depth = ReconcileDepth;

export interface ReconcileContext extends TargetContext {
  readonly runtime: Runtime;
  readonly version: string;
  readonly signal: AbortSignal;
  readonly openSource: (connection: SourceConnection, limits: SessionLimits) => Promise<Source>;
  /** Reads slices again in the lanes of a run. */
  readonly reread: (input: RereadInput) => Promise<void>;
  readonly compareKeys: (
    input: Omit<RereadInput, "slices" | "onSlice">,
    requests: readonly KeysRequest[],
  ) => AsyncIterable<KeysOutcome>;
}

export interface ReconcileOptions {
  readonly depth: Depth;
  /** Name the keys that differ, this many of each sort at most; null = not. */
  readonly keysMax: number | null;
  /** One run instead of the newest. */
  readonly runId: string | null;
}

/** Compares an export with its source. The report says what differs; only what cannot be asked at all throws. */
export async function reconcileExport(
  context: ReconcileContext,
  entry: Export,
  options: ReconcileOptions,
): Promise<ReconcileReport> {
  if (entry.destination.kind === "stdout") {
    throw new RivetError("RIVET_STATE_CHUNK_RUN_MISSING", "What went to standard output is not recorded", {
      where: `export '${entry.name}'`,
      cure: "Reconcile exports that are stored",
    });
  }
  const startedAt = new Date(context.runtime.now()).toISOString();
  const connection = await context.config.source.resolveConnection();
  const { statementTimeoutS, lockTimeoutS } = entry.tuning;
  await using source = await context.openSource(connection, {
    statementTimeoutS,
    lockTimeoutS,
    connectTimeoutMs: 10_000,
  });
  const targets = await findTargets(context, entry, source, options.runId);
  const checked: Checked[] = [];
  for (const target of targets) {
    context.signal.throwIfAborted();
    const one = await checkTarget(context, target, { source, connection, options });
    if (one !== null) checked.push(one);
  }
  const partitions = checked.flatMap((one) => one.partitions);
  const summary = summarize(partitions);
  // PG5: everything matches, or nothing is verified.
  const verified = summary.matches > 0 && summary.mismatches + summary.unknown === 0;
  for (const one of checked) {
    if (verified) await recordVerified(context, one);
    else if (one.run !== null && one.partitions.some(({ status }) => status === "mismatch")) {
      await context.state.withdrawVerified(one.run.runId);
    }
  }
  const newest = checked.map(({ run }) => run).filter((run) => run !== null)
    .sort((a, b) => a.startedAt < b.startedAt ? 1 : -1)[0]!;
  return {
    rivet_version: context.version,
    report: "reconcile",
    export_name: entry.name,
    run_id: newest.runId,
    strategy: (JSON.parse(newest.planJson) as StoredPlan).strategyLabel,
    depth: options.depth,
    source_engine: source.engine,
    started_at: startedAt,
    finished_at: new Date(context.runtime.now()).toISOString(),
    bytes_read: checked.reduce((total, one) => total + one.bytesRead, 0),
    partitions,
    summary,
    verified,
    warnings: checked.flatMap((one) => one.warnings),
  };
}

interface Checked {
  readonly run: StoredRun | null;
  readonly slices: readonly Slice[];
  readonly partitions: readonly PartitionCheck[];
  readonly bytesRead: number;
  readonly warnings: readonly string[];
}

interface Reading {
  readonly source: Source;
  readonly connection: SourceConnection;
  readonly options: ReconcileOptions;
}

async function checkTarget(context: ReconcileContext, target: Target, reading: Reading): Promise<Checked | null> {
  const { source, options } = reading;
  const { unit, run } = target;
  const before = await askBeforePicture(source, unit.entry);
  const token = await source.begin(null);
  try {
    if (run === null) return await checkUnexported(target, source);
    const key = { exportName: unit.name, source: context.config.source.identity };
    const planContext = { ...context, source, strict: false };
    const purpose = options.depth === "count" ? "count" as const : "reconcile" as const;
    const planned = await buildTask(planContext, unit, key, { cursor: null, run, purpose }, before);
    const { slices, recorded } = await readRecorded(context.state, run.runId, { values: options.depth !== "count" });
    const { boundsFingerprint } = JSON.parse(run.planJson) as { boundsFingerprint: string };
    checkBounds(run, slices, boundsFingerprint, context.config);
    const task = { ...planned, lanes: lanesFor(source, unit.entry, slices.length) };
    const input = { task, connection: reading.connection, source, token };
    const check = new SliceChecks(context, run, input, recorded, slices, before.facts);
    const partitions = await check.run(options);
    const open = await context.state.openRun(key);
    const what = open?.mode === REPAIR_MODE ? "repair" : "run";
    const warnings = open === null ? [] : [`${what} '${open.runId}' is not finished: this is about '${run.runId}'`];
    return { run, slices, partitions, bytesRead: check.bytesRead, warnings };
  } finally {
    await source.end();
  }
}

/** A partition that was never exported is a difference exactly when it has rows. */
async function checkUnexported({ unit }: Target, source: Source): Promise<Checked | null> {
  const { entry } = unit;
  const query = entry.from.kind === "table" ? entry.from : { kind: "query" as const, sql: entry.from.text };
  const rows = Number((await source.rows(buildCount(source.engine, query, unit.filters)))[0]?.[0] ?? 0);
  if (rows === 0) return null;
  const partition: PartitionCheck = {
    kind: "chunk",
    identifier: "never exported",
    export_name: unit.name,
    run_id: null,
    chunk_index: null,
    chunk_id: null,
    start_key: null,
    end_key: null,
    source_count: rows,
    exported_count: 0,
    status: "mismatch",
    columns: [],
    cause: null,
    since_export: null,
    keys: null,
    note: "the partition was never exported: run the export",
  };
  return { run: null, slices: [], partitions: [partition], bytesRead: 0, warnings: [] };
}

/** PG6: what is verified is what this very run committed. */
async function recordVerified(context: ReconcileContext, { run, slices }: Checked): Promise<void> {
  if (run === null) return;
  const { window } = JSON.parse(run.planJson) as StoredPlan;
  const chunks = slices.filter((slice) => slice.id !== "null");
  await context.state.recordVerified(run.key, {
    strategy: run.mode,
    cursor: window === null ? null : window.high ?? window.low,
    chunkIndex: window === null ? chunks.at(-1)?.index ?? 0 : null,
    runId: run.runId,
  });
}
