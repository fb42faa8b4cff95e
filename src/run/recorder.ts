// What a run tells: events as they happen into the journal and to whoever watches, and the summary at its end.

import { RivetError, toErrorReport } from "../errors.ts";
import type { QualityConfig } from "../config/mod.ts";
import { formatCapabilities } from "../destination/mod.ts";
import type { Manifest } from "../manifest.ts";
import {
  type ColumnDrift,
  type ColumnName,
  columnNames,
  findColumnDrift,
  type Slice,
  type Task,
  type Unit,
} from "../plan/mod.ts";
import type { RunEvent, RunSummary } from "../report/mod.ts";
import type { JournalEntry, Lease, MetricRow, State } from "../state/mod.ts";
import type { RunContext } from "./context.ts";
import { toJournal } from "./journal.ts";
import { checkQualityColumns, hasQualityRules } from "./quality.ts";
import type { Run } from "./run.ts";
import type { SliceProgress, SliceResult } from "./slice.ts";
import { emptySummary, type Mutable, NOT_STARTED, resumeCommand, toMetricRow } from "./summary.ts";

/** Events that come faster are written together. So much of what happened, a killed run may not have told. */
const JOURNAL_EVERY_MS = 200;
const JOURNAL_EVENTS_MAX = 1_000;
/** Asking for the memory in use takes longer than reading a tiny chunk. */
const MEASURE_EVERY_MS = 100;

export class RunRecorder {
  hasBegun = false;
  readonly #summary: Mutable<RunSummary>;
  readonly #warnings: string[] = [];
  #state: State;
  #run: Run | null = null;
  #error: RivetError | null = null;
  #refused = false;
  /** Chunks that this process committed. */
  #committed = 0;
  #writes: Promise<void> = Promise.resolve();
  #untold: JournalEntry[] = [];
  #toldAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #measuredAt = -Infinity;
  /** What was told before the run had an id to keep it under. */
  readonly #early: RunEvent[] = [];
  readonly #began: number;

  /** `mode` is the export's own, or `repair`. */
  constructor(
    private readonly context: RunContext,
    private readonly unit: Unit,
    private readonly mode: string = unit.entry.mode,
  ) {
    this.#state = context.state;
    this.#began = context.runtime.monotonic();
    this.#summary = { ...emptySummary(context, unit), mode, warnings: this.#warnings };
  }

  useState(state: State): void {
    this.#state = state;
  }

  begin(run: Run): void {
    this.hasBegun = true;
    this.#run = run;
    const { task } = run;
    Object.assign(this.#summary, {
      run_id: run.runId,
      strategy: task.strategyLabel,
      resumed: run.resumed,
      output: run.destination.uri,
      slices: run.slices.length,
      slices_done: run.kept?.slices ?? 0,
      rows_kept: run.kept?.rows ?? 0,
      lanes: task.lanes,
      cursor_low: task.window?.low ?? null,
      cursor_high: task.window?.high ?? null,
      protection: task.window?.protection ?? [],
    });
    this.#emit({
      kind: "run_started",
      exportName: this.unit.name,
      runId: run.runId,
      mode: task.export.mode,
      strategy: task.strategyLabel,
      resumed: run.resumed,
      slices: run.slices.length,
      slicesKept: run.kept?.slices ?? 0,
      rowsKept: run.kept?.rows ?? 0,
      lanes: task.lanes,
      rowsEstimate: task.rowsEstimate,
      tuningProfile: task.export.tuning.profileLabel,
      batchRows: task.export.tuning.batchRows,
      destination: run.destination.uri,
      capabilities: formatCapabilities(run.destination.capabilities),
    });
    for (const event of this.#early.splice(0)) this.#keep(run, event);
  }

  /** Compares the columns with the stored ones before anything is read; `on_schema_drift: fail` stops here. */
  async checkSchema(task: Task, planned: readonly ColumnName[] | null = null): Promise<void> {
    checkQualityColumns(task.export.quality, task.columns, `export '${task.name}'`);
    // A plan was read by people: what changed since then counts, also where nothing was ever exported.
    if (planned !== null) this.#judgeDrift(task, planned, "since they were planned");
    const stored = await this.#state.schema(task.key);
    if (stored !== null && !this.#summary.schema_changed) this.#judgeDrift(task, stored, "");
  }

  #judgeDrift(task: Task, was: readonly ColumnName[], since: string): void {
    const drift = findColumnDrift(was, columnNames(task.columns));
    if (drift === null) return;
    this.#summary.schema_changed = true;
    this.#emit({ kind: "schema_changed", exportName: task.name, ...drift });
    const text = describeDrift(drift, since);
    if (task.export.onSchemaDrift === "warn") this.warn("schema", text);
    if (task.export.onSchemaDrift !== "fail") return;
    throw new RivetError("RIVET_SCHEMA_DRIFT", text, { where: `export '${task.name}'` });
  }

  /** The columns as the next run will compare them; a run without rows stores none. */
  schemaToStore(task: Task, rows: number): { name: string; type: string }[] | null {
    return rows === 0 ? null : columnNames(task.columns);
  }

  /** What several lanes may notice. */
  warnOnce(context: string, message: string): void {
    if (!this.#warnings.includes(this.context.config.hide(message))) this.warn(context, message);
  }

  warn(context: string, message: string): void {
    const shown = this.context.config.hide(message);
    this.#warnings.push(shown);
    this.#emit({ kind: "warning", exportName: this.unit.name, context, message: shown });
  }

  sliceStarted(slice: Slice, attempt: number): void {
    this.#emit({
      kind: "slice_started",
      exportName: this.unit.name,
      index: slice.index,
      id: slice.id,
      startKey: slice.start,
      endKey: slice.end,
      attempt,
    });
  }

  progress(slice: Slice, progress: SliceProgress): void {
    this.context.events({ kind: "progress", exportName: this.unit.name, index: slice.index, ...progress });
    this.#measure();
  }

  sliceCompleted(slice: Slice, result: SliceResult): void {
    this.#committed++;
    this.#summary.slices_done++;
    const bytesWritten = result.parts.reduce((sum, part) => sum + part.observations.bytes, 0);
    this.#summary.bytes_read += result.report.bytesRead;
    this.#summary.longest_statement_ms = Math.max(
      this.#summary.longest_statement_ms,
      Math.round(result.report.longestStatementMs),
    );
    result.parts.forEach((part, partIndex) =>
      this.#emit({
        kind: "file_written",
        exportName: this.unit.name,
        fileName: part.key,
        rows: part.observations.rows,
        bytes: part.observations.bytes,
        partIndex,
      })
    );
    this.#emit({
      kind: "slice_completed",
      exportName: this.unit.name,
      index: slice.index,
      id: slice.id,
      rows: result.observations.rows,
      files: result.parts.length,
      bytesRead: result.report.bytesRead,
      bytesWritten,
    });
    this.#measure();
  }

  sliceFailed(slice: Slice, attempt: number, error: RivetError, retryInMs: number | null): void {
    if (retryInMs !== null) this.#summary.retries++;
    this.#emit({
      kind: "slice_failed",
      exportName: this.unit.name,
      index: slice.index,
      id: slice.id,
      attempt,
      code: error.code,
      error: this.context.config.hide(error.message),
      retryInMs,
    });
  }

  totals({ rows, files, bytes }: { readonly rows: number; readonly files: number; readonly bytes: number }): void {
    this.#summary.consistency = this.#run?.picture.consistency ?? null;
    Object.assign(this.#summary, { rows, files, bytes });
  }

  quality(severity: "warn" | "fail", message: string): void {
    if (severity === "warn") this.#warnings.push(message);
    this.#emit({ kind: "quality", exportName: this.unit.name, severity, message });
  }

  qualityPassed(rules: QualityConfig, passed: boolean): void {
    this.#summary.quality_passed = hasQualityRules(rules) ? passed : null;
  }

  validated(passed: boolean, parts: number): void {
    this.#summary.validated = passed;
    this.#emit({ kind: "validated", exportName: this.unit.name, passed, parts });
  }

  reconciled(sourceCount: number | null, exportedRows: number): void {
    const matched = sourceCount === null ? null : sourceCount === exportedRows;
    this.#summary.source_count = sourceCount;
    this.#summary.reconciled = matched;
    this.#emit({ kind: "reconciled", exportName: this.unit.name, sourceCount, exportedRows, matched });
  }

  /** What was asked for and could not be had, of a run that is committed. */
  unverified(error: RivetError): void {
    this.#summary.error = this.#toShown(error);
  }

  /** For the manifest; null where nothing was asked for. */
  verdicts(): NonNullable<Manifest["verdicts"]> | null {
    const { validated, reconciled, quality_passed } = this.#summary;
    if (validated === null && reconciled === null && quality_passed === null) return null;
    return { validated, reconciled, quality_passed };
  }

  succeed(skipReason: string | null): void {
    this.#summary.status = skipReason === null ? "success" : "skipped";
    this.#summary.skip_reason = skipReason;
  }

  /** An earlier run of the same plan did all there is to do. */
  alreadyApplied(runId: string): void {
    this.#summary.status = "already_applied";
    this.#summary.answered_by_run = runId;
  }

  /** A signal came before it could begin. */
  notStarted(): void {
    const where = `export '${this.unit.name}'`;
    const cure = "Run the same command again";
    this.#summary.status = "skipped";
    this.#summary.skip_reason = NOT_STARTED;
    this.#summary.error = this.#toShown(
      new RivetError("RIVET_RUN_INTERRUPTED", "Stopped by a signal before it began", {
        where,
        cure,
        retry: "reconnect",
      }),
    );
  }

  /** The run was judged and will not be continued. */
  refused(): void {
    this.#refused = true;
  }

  fail(error: RivetError): void {
    this.#error = error;
    this.#summary.status = error.code === "RIVET_RUN_INTERRUPTED" ? "interrupted" : "failed";
    this.#summary.error = this.#toShown(error);
  }

  /** What the server says of a query may repeat the values that were filled into it. */
  #toShown(error: RivetError): NonNullable<RunSummary["error"]> {
    const report = toErrorReport(error);
    return { ...report, error: this.context.config.hide(report.error) };
  }

  toMetric(status: MetricRow["status"], rows: number): MetricRow {
    this.#measure();
    const durationMs = Math.round(this.context.runtime.monotonic() - this.#began);
    return toMetricRow(this.#summary, { status, rows, durationMs, rivetVersion: this.context.version });
  }

  /** Ends the journal; returns the summary. */
  async finish(): Promise<RunSummary> {
    const s = this.#summary;
    s.finished_at = new Date(this.context.runtime.now()).toISOString();
    s.duration_ms = Math.round(this.context.runtime.monotonic() - this.#began);
    s.peak_rss_mb = Math.max(s.peak_rss_mb, highWaterMb());
    this.#emit({ kind: "run_finished", exportName: this.unit.name, summary: s });
    if (this.#run !== null) this.#tell(this.#run);
    await this.#writes;
    return s;
  }

  /** Ends a run that failed, under the lease that it ran under. */
  async endFailed(lease: Lease): Promise<void> {
    const run = this.#run;
    const error = this.#error;
    if (run === null || error === null) return;
    const isStream = run.task.export.destination.kind === "stdout";
    if (!this.#refused) await this.#countCommitted(run);
    // Whoever took the run over finishes it.
    if (error.code === "RIVET_STATE_LEASE_LOST") return;
    // Where nothing was committed there is nothing to continue: the next run may be another one.
    this.#summary.resumable = !this.#refused && !isStream && (run.resumed || this.#committed > 0);
    if (this.#summary.resumable) this.#summary.resume_command = resumeCommand(this.context, this.unit, this.mode);
    if (isStream) return;
    const status = this.#summary.status === "interrupted" ? "interrupted" : "failed";
    try {
      await run.state.endRun(
        run.runId,
        status,
        this.#summary.resumable,
        this.toMetric(status, this.#summary.rows),
        lease,
      );
    } catch (cause) {
      // The run's own error is what the reader must see; the intent stays and the next run finds it.
      this.warn("state", `the end of the run could not be recorded: ${(cause as Error).message}`);
    }
  }

  /** What a run that did not end left, for the next one to go on from. */
  async #countCommitted(run: Run): Promise<void> {
    const s = this.#summary;
    try {
      const { slices, ...totals } = await run.state.committed(run.runId);
      Object.assign(s, totals, { slices_done: slices });
    } catch (cause) {
      this.warn("state", `what the run committed could not be counted: ${(cause as Error).message}`);
    }
  }

  #measure(): void {
    const now = performance.now();
    if (now - this.#measuredAt < MEASURE_EVERY_MS) return;
    this.#measuredAt = now;
    this.#summary.peak_rss_mb = Math.max(this.#summary.peak_rss_mb, Math.round(Deno.memoryUsage().rss / (1 << 20)));
  }

  #emit(event: RunEvent): void {
    this.context.events(event);
    if (event.kind === "progress") return;
    if (this.#run === null) this.#early.push(event);
    else this.#keep(this.#run, event);
  }

  /** Into the journal; a stream has none. */
  #keep(run: Run, event: RunEvent): void {
    const entry = run.task.export.destination.kind === "stdout" ? null : toJournal(event);
    if (entry === null) return;
    this.#untold.push({ recordedAt: new Date(this.context.runtime.now()).toISOString(), event: entry });
    const waitMs = this.#toldAt + JOURNAL_EVERY_MS - performance.now();
    if (waitMs <= 0 || this.#untold.length >= JOURNAL_EVENTS_MAX) this.#tell(run);
    else this.#timer ??= setTimeout(() => this.#tell(run), waitMs);
  }

  /** Writes what came since the last time. */
  #tell(run: Run): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#toldAt = performance.now();
    const events = this.#untold;
    if (events.length === 0) return;
    this.#untold = [];
    this.#writes = this.#writes.then(() => run.state.record(run.runId, this.unit.name, events)).catch(() => {
      // A journal that cannot be written must not fail sound data; the next state write will say why.
    });
  }
}

function describeDrift({ added, removed, retyped }: ColumnDrift, since: string): string {
  const parts = [
    added.length > 0 ? `added ${added.join(", ")}` : "",
    removed.length > 0 ? `removed ${removed.join(", ")}` : "",
    ...retyped.map(([name, was, now]) => `${name} was ${was} and is ${now}`),
  ];
  return `The columns changed${since === "" ? "" : ` ${since}`}: ${parts.filter((p) => p !== "").join("; ")}`;
}

/** The most memory this process ever held, as the kernel counts it, in MB; 0 where it does not tell. */
function highWaterMb(): number {
  try {
    const line = /^VmHWM:\s+(\d+) kB/m.exec(Deno.readTextFileSync("/proc/self/status"));
    return Math.round(Number(line?.[1] ?? 0) / 1024);
  } catch {
    return 0;
  }
}
