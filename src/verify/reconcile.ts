// The source against what was exported, slice by slice: the same statements again, in one picture, compared with what the export saw.
// Writes nothing but the verified boundary, and that only when everything matches.

import { RivetError } from "../errors.ts";
import type { Export } from "../config/mod.ts";
import {
  askBeforePicture,
  buildTask,
  checkBounds,
  fromSliceIntent,
  type KeysRequest,
  type KeysResult,
  lanesFor,
  type ObserveResult,
  type RereadInput,
  type Slice,
  type StoredPlan,
  type Task,
} from "../plan/mod.ts";
import type { Runtime } from "../runtime.ts";
import {
  buildCount,
  type Mark,
  type SessionLimits,
  type Source,
  type SourceConnection,
  type TableFacts,
} from "../source/mod.ts";
import { REPAIR_MODE, type StoredRun, type StoredSlice } from "../state/mod.ts";
import { explainDifferences, type Explanation } from "./reconcile_cause.ts";
import { compareContent, compareCount, type Comparison, sameInAll } from "./reconcile_compare.ts";
import { drillDown, type Found } from "./reconcile_keys.ts";
import { type PartitionCheck, type ReconcileReport, summarize } from "./reconcile_report.ts";
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
  ) => Promise<KeysResult[]>;
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
  if (verified) { for (const one of checked) await recordVerified(context, one); }
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
  readonly slices: readonly StoredSlice[];
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
    const stored = await context.state.slices(run.runId);
    const slices = stored.map(fromSliceIntent);
    checkBounds(run, slices, (JSON.parse(run.planJson) as { boundsFingerprint: string }).boundsFingerprint);
    const task = { ...planned, lanes: lanesFor(source, unit.entry, slices.length) };
    const input = { task, connection: reading.connection, source, token };
    const check = new SliceChecks(context, run, input, stored, slices, before.facts);
    const partitions = await check.run(options);
    const open = await context.state.openRun(key);
    const what = open?.mode === REPAIR_MODE ? "repair" : "run";
    const warnings = open === null ? [] : [`${what} '${open.runId}' is not finished: this is about '${run.runId}'`];
    return { run, slices: stored, partitions, bytesRead: check.bytesRead, warnings };
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

/** The slices of one run against the source. */
class SliceChecks {
  bytesRead = 0;

  constructor(
    private readonly context: ReconcileContext,
    private readonly stored: StoredRun,
    private readonly input: Omit<RereadInput, "slices" | "onSlice">,
    private readonly recorded: readonly StoredSlice[],
    private readonly slices: readonly Slice[],
    private readonly facts: TableFacts | null,
  ) {}

  async run(options: ReconcileOptions): Promise<PartitionCheck[]> {
    const comparisons = options.depth === "count" ? await this.#count() : await this.#compare();
    const differing = () =>
      new Set([...comparisons].flatMap(([index, { status }]) => status === "mismatch" ? [index] : []));
    // Sums are what later writes are told by: rows that differ under equal sums have no cause that they could show.
    const causes = await this.#explain(differing(), comparisons, options.depth === "count" ? "count" : "content");
    const rows = options.depth === "rows" ? await this.#compareRows(comparisons, options) : null;
    const bad = differing();
    const wanted = this.slices.filter((slice) => bad.has(slice.index));
    const keys = options.keysMax === null || wanted.length === 0
      ? new Map<number, Found>()
      : rows ?? await this.#drillDown(wanted, options.keysMax);
    return this.slices.map((slice) => {
      const check = toCheck(this.input.task, this.stored, slice, comparisons.get(slice.index)!);
      const found = bad.has(slice.index) ? keys.get(slice.index) : undefined;
      const cause = causes.get(slice.index);
      return {
        ...check,
        cause: cause?.cause ?? null,
        since_export: cause?.since ?? null,
        keys: found?.kind === "keys" ? found.keys : null,
        ...(found?.kind === "none" ? { note: found.why } : {}),
      };
    });
  }

  async #drillDown(slices: readonly Slice[], keysMax: number): Promise<Map<number, Found>> {
    const parts = await this.context.state.parts(this.stored.runId);
    return await drillDown(this.context, { ...this.input, facts: this.facts, keysMax, slices, parts });
  }

  /** Every row of every file against the source: finds what sums cannot, such as two rows that exchanged a value. */
  async #compareRows(
    comparisons: Map<number, Comparison>,
    { keysMax }: ReconcileOptions,
  ): Promise<Map<number, Found>> {
    // Rows move between pages: the chunks of pages are compared as one.
    const pages = this.slices.filter((slice) => slice.bounds?.kind === "pages");
    const found = await this.#drillDown(pages.length > 0 ? pages.slice(0, 1) : this.slices, keysMax ?? 0);
    for (const slice of this.slices) {
      const of = found.get(pages.length > 0 ? pages[0]!.index : slice.index);
      const comparison = comparisons.get(slice.index)!;
      if (of === undefined || comparison.status === "mismatch") continue;
      if (of.kind === "none") comparisons.set(slice.index, { ...comparison, status: "unknown", note: of.why });
      else if (Object.values(of.keys.counts).some((count) => count > 0)) {
        const { missing, extra, changed } = of.keys.counts;
        const note = `rows of the files: ${missing} missing, ${extra} too many, ${changed} with other values`;
        comparisons.set(slice.index, { ...comparison, status: "mismatch", note });
      }
    }
    return found;
  }

  async #count(): Promise<Map<number, Comparison>> {
    const { task, source } = this.input;
    const found = new Map<number, Comparison>();
    for (const [at, slice] of this.slices.entries()) {
      this.context.signal.throwIfAborted();
      const where = slice.bounds === null ? task.filters : [...task.filters, slice.bounds];
      const rows = Number((await source.rows(buildCount(task.source, task.query, where)))[0]?.[0] ?? 0);
      found.set(slice.index, compareCount(this.recorded[at]!, rows));
    }
    return found;
  }

  async #compare(): Promise<Map<number, Comparison>> {
    const seen = new Map<number, ObserveResult>();
    await this.#reread({
      ...this.input,
      slices: this.slices,
      onSlice: (slice, result) => seen.set(slice.index, result),
    });
    const pairs = this.recorded.map((stored) => ({
      stored,
      then: stored.observations,
      now: seen.get(stored.index)!.observations,
    }));
    const found = new Map(pairs.map(({ stored, now }) => [stored.index, compareContent(stored, now)]));
    // Rows that an engine moves between pages are the same rows.
    const pages = pairs.filter((_, at) => this.slices[at]!.bounds?.kind === "pages");
    if (pages.length > 1 && sameInAll(pages)) {
      for (const { stored } of pages) {
        const comparison = found.get(stored.index)!;
        if (comparison.status === "match") continue;
        found.set(stored.index, {
          ...comparison,
          status: "match",
          columns: [],
          note: "rows have moved between pages; over all pages they are the same",
        });
      }
    }
    return found;
  }

  async #reread(input: RereadInput): Promise<void> {
    await this.context.reread({
      ...input,
      onSlice: (slice, result) => {
        this.bytesRead += result.report.bytesRead;
        input.onSlice(slice, result);
      },
    });
  }

  async #explain(
    bad: ReadonlySet<number>,
    comparisons: ReadonlyMap<number, Comparison>,
    depth: "count" | "content",
  ): Promise<Map<number, Explanation>> {
    const intent = JSON.parse(this.stored.planJson) as { mark?: Mark; marks?: Record<string, Mark | null> };
    const hasVersions = this.facts?.kind === "table" || this.facts?.kind === "partitioned";
    if (!hasVersions) return new Map();
    const differing = this.slices.flatMap((slice, at) => {
      const own = intent.marks?.[String(slice.index)];
      const mark = own === undefined ? intent.mark : own;
      if (!bad.has(slice.index) || mark === undefined || mark === null) return [];
      return [{ slice, mark, stored: this.recorded[at]!, rowsNow: comparisons.get(slice.index)!.sourceRows ?? 0 }];
    });
    if (differing.length === 0) return new Map();
    const { consistency, takeovers } = this.stored;
    return await explainDifferences(
      { ...this.input, severalPictures: consistency !== "snapshot" || takeovers > 0, depth },
      differing,
      (input) => this.#reread(input),
    );
  }
}

function toCheck(task: Task, run: StoredRun, slice: Slice, comparison: Comparison): PartitionCheck {
  const range = `[${slice.start ?? "-∞"}..${slice.end ?? "∞"}]`;
  const mode = task.export.mode;
  return {
    kind: mode === "time_window" ? "time_window" : mode === "incremental" ? "cursor_window" : "chunk",
    identifier: slice.bounds === null ? `chunk ${slice.index}` : `chunk ${slice.index} ${range}`,
    export_name: task.name,
    run_id: run.runId,
    chunk_index: slice.index,
    chunk_id: slice.id,
    start_key: slice.start,
    end_key: slice.end,
    source_count: comparison.sourceRows,
    exported_count: comparison.exportedRows,
    status: comparison.status,
    columns: comparison.columns,
    cause: null,
    since_export: null,
    keys: null,
    ...(comparison.note === undefined ? {} : { note: comparison.note }),
  };
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
