// The slices of one run against its source: counted, observed, or compared row by row, and what explains a difference. Writes nothing.

import type { SliceObservations } from "../core/mod.ts";
import type { RereadInput, Slice, Task } from "../plan/mod.ts";
import { buildCount, type Mark, type TableFacts } from "../source/mod.ts";
import type { StoredRun } from "../state/mod.ts";
import type { ReconcileContext, ReconcileOptions } from "./reconcile.ts";
import { explainDifferences, type Explanation } from "./reconcile_cause.ts";
import { compareContent, compareCount, type Comparison, sameInAll } from "./reconcile_compare.ts";
import { drillDown, type Found } from "./reconcile_keys.ts";
import type { PartitionCheck } from "./reconcile_report.ts";
import type { RecordedSlice } from "./recorded.ts";

/** The slices of one run against the source. */
export class SliceChecks {
  bytesRead = 0;

  constructor(
    private readonly context: ReconcileContext,
    private readonly stored: StoredRun,
    private readonly input: Omit<RereadInput, "slices" | "onSlice">,
    private readonly recorded: readonly RecordedSlice[],
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
    const byIndex = new Map(this.recorded.map((recorded) => [recorded.index, recorded]));
    const found = new Map<number, Comparison>();
    const seen = new Map<number, { then: SliceObservations | null; now: SliceObservations }>();
    await this.#reread({
      ...this.input,
      slices: this.slices,
      onSlice: (slice, { observations: now }) => {
        const stored = byIndex.get(slice.index)!;
        found.set(slice.index, compareContent(stored, now));
        if (slice.bounds?.kind === "pages") seen.set(slice.index, { then: stored.observations, now });
      },
    });
    // Rows that an engine moves between pages are the same rows.
    if (seen.size > 1 && sameInAll([...seen.values()])) {
      for (const index of seen.keys()) {
        const comparison = found.get(index)!;
        if (comparison.status === "match") continue;
        found.set(index, {
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
