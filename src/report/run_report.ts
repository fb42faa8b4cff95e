// The report that a run leaves beside its config: `.rivet/runs/<run_id>/summary.{json,md}`. Never called for a run that did not begin.

import { join } from "node:path";
import { redact, sanitizeTerminal } from "../redact.ts";
import { writeWholeFile } from "../whole_file.ts";
import type { EventSink, RunSummary, SummaryError } from "./event.ts";
import { chunksText, formatBytes, formatCount, formatDuration, resumedText } from "./format.ts";

/** What happened on the way and stands in no summary. */
export interface RunNotes {
  readonly schemaChanges: readonly SchemaChange[];
  readonly warnings: readonly { readonly context: string; readonly message: string }[];
}

export interface SchemaChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly type_changed: readonly (readonly [string, string, string])[];
}

/** `summary.json`. Times RFC 3339 UTC, durations in milliseconds, sizes in bytes. */
export interface RunReport {
  readonly rivet_version: string;
  readonly run_id: string;
  readonly export_name: string;
  readonly status: RunSummary["status"];
  readonly skip_reason: string | null;
  readonly mode: string;
  readonly strategy: string;
  readonly consistency: RunSummary["consistency"];
  readonly resumed: boolean;
  readonly started_at: string;
  readonly finished_at: string;
  readonly duration_ms: number;
  readonly source_engine: string;
  readonly destination_kind: string;
  readonly output: string | null;
  readonly format: string;
  readonly compression: string;
  readonly tuning_profile: string;
  readonly batch_size: number;
  readonly chunks: number;
  /** Committed ones; of a run that did not end, rows, files and bytes written are theirs. */
  readonly chunks_done: number;
  readonly lanes: number;
  readonly total_rows: number;
  readonly files_produced: number;
  readonly bytes_written: number;
  readonly bytes_read: number;
  readonly peak_rss_mb: number;
  readonly retries: number;
  readonly longest_statement_ms: number;
  /** Not measured. */
  readonly pg_temp_bytes_delta: number | null;
  readonly cursor_low: string | null;
  readonly cursor_high: string | null;
  readonly protection: readonly string[];
  readonly validation?: { readonly passed: boolean };
  readonly reconciliation?: {
    readonly source_count: number | null;
    readonly exported_rows: number;
    readonly matched: boolean | null;
  };
  readonly quality_passed: boolean | null;
  readonly schema_changed: boolean;
  readonly schema_changes: readonly SchemaChange[];
  readonly plan_warnings: readonly { readonly rule: string; readonly message: string }[];
  readonly warnings: readonly string[];
  readonly error_message: string | null;
  readonly error: SummaryError | null;
  readonly resumable: boolean;
  readonly resume_command: string | null;
  readonly apply_context?: object;
}

/** Takes notes of every run whose events pass by. */
export function openNotes(): { readonly events: EventSink; of(exportName: string): RunNotes } {
  const notes = new Map<string, { schemaChanges: SchemaChange[]; warnings: { context: string; message: string }[] }>();
  const of = (name: string) => {
    const known = notes.get(name) ?? { schemaChanges: [], warnings: [] };
    notes.set(name, known);
    return known;
  };
  return {
    of,
    events(event) {
      if (event.kind === "warning") {
        of(event.exportName).warnings.push({ context: event.context, message: event.message });
      }
      if (event.kind !== "schema_changed") return;
      const { added, removed, retyped } = event;
      of(event.exportName).schemaChanges.push({ added, removed, type_changed: retyped });
    },
  };
}

export interface ReportOptions {
  readonly version: string;
  /** Takes filled-in values out of a text. */
  readonly hide: (text: string) => string;
  readonly applyContext?: object | undefined;
}

/** Whether the run is one that a report can be about: it has an id, and it is still this process's own. */
export function isReported(summary: RunSummary): summary is RunSummary & { readonly run_id: string } {
  return summary.run_id !== null && summary.destination_kind !== "stdout" &&
    summary.error?.code !== "RIVET_STATE_LEASE_LOST";
}

/** No secret and no filled-in value is in it. */
export function buildRunReport(summary: RunSummary, notes: RunNotes, options: ReportOptions): RunReport {
  const s = summary;
  const report: RunReport = {
    rivet_version: options.version,
    run_id: s.run_id ?? "",
    export_name: s.export_name,
    status: s.status,
    skip_reason: s.skip_reason,
    mode: s.mode,
    strategy: s.strategy,
    consistency: s.consistency,
    resumed: s.resumed,
    started_at: s.started_at,
    finished_at: s.finished_at,
    duration_ms: s.duration_ms,
    source_engine: s.source_engine,
    destination_kind: s.destination_kind,
    output: s.output,
    format: s.format,
    compression: s.compression,
    tuning_profile: s.tuning_profile,
    batch_size: s.batch_size,
    chunks: s.slices,
    chunks_done: s.slices_done,
    lanes: s.lanes,
    total_rows: s.rows,
    files_produced: s.files,
    bytes_written: s.bytes,
    bytes_read: s.bytes_read,
    peak_rss_mb: s.peak_rss_mb,
    retries: s.retries,
    longest_statement_ms: s.longest_statement_ms,
    pg_temp_bytes_delta: null,
    cursor_low: s.cursor_low,
    cursor_high: s.cursor_high,
    protection: s.protection,
    ...(s.validated === null ? {} : { validation: { passed: s.validated } }),
    ...(s.source_count === null
      ? {}
      : { reconciliation: { source_count: s.source_count, exported_rows: s.rows, matched: s.reconciled } }),
    quality_passed: s.quality_passed,
    schema_changed: s.schema_changed,
    schema_changes: notes.schemaChanges,
    plan_warnings: notes.warnings.filter(({ context }) => context === "plan")
      .map(({ context, message }) => ({ rule: context, message })),
    warnings: s.warnings,
    error_message: s.error?.error ?? null,
    error: s.error,
    resumable: s.resumable,
    resume_command: s.resume_command,
    ...(options.applyContext === undefined ? {} : { apply_context: options.applyContext }),
  };
  const clean = (key: string, value: unknown) =>
    typeof value === "string" && key !== "run_id" && key !== "export_name" ? redact(options.hide(value)) : value;
  return JSON.parse(JSON.stringify(report, clean)) as RunReport;
}

/** `summary.md`: only the sections that have something to say. */
export function formatRunReport(r: RunReport): string {
  const sections: [string, (string | null)[]][] = [
    ["", [
      row("export", r.export_name),
      row("status", r.skip_reason === null ? r.status : `${r.status} (${r.skip_reason})`),
      row("resumed", r.resumed ? resumedText(r.status) : null),
      row("started", r.started_at),
      row("finished", r.finished_at),
      row("rivet", r.rivet_version),
    ]],
    ["Plan", [
      row("strategy", r.strategy),
      row("consistency", r.consistency),
      row("chunks", formatCount(r.chunks)),
      row("lanes", String(r.lanes)),
      row("tuning", `profile=${r.tuning_profile}, batch_size=${r.batch_size}`),
      row("source", r.source_engine),
      row("output", r.output),
      row("format", `${r.format}, ${r.compression}`),
      row("cursor", r.cursor_high === null ? null : `${r.cursor_low ?? "start"} → ${r.cursor_high}`),
      row("protected by", r.protection.length === 0 ? null : r.protection.join(", ")),
      row("applied from", r.apply_context === undefined ? null : JSON.stringify(r.apply_context)),
    ]],
    ["Throughput", [
      row("chunks committed", chunksText({ ...r, slices: r.chunks, slices_done: r.chunks_done })),
      row("rows", formatCount(r.total_rows)),
      row("files", formatCount(r.files_produced)),
      row("bytes read", formatBytes(r.bytes_read)),
      row("bytes written", formatBytes(r.bytes_written)),
      row("duration", formatDuration(r.duration_ms)),
      row("longest query", formatDuration(r.longest_statement_ms)),
      row("peak RSS", `${r.peak_rss_mb} MB`),
      row("retries", String(r.retries)),
    ]],
    ["Verdicts", [
      row("validated", r.validation === undefined ? "not run" : r.validation.passed ? "pass" : "FAIL"),
      row("reconciled", reconciledText(r)),
      row("quality", r.quality_passed === null ? null : r.quality_passed ? "pass" : "FAIL"),
    ]],
    ["Schema", r.schema_changes.map((change) => `- ${shown(describeChange(change))}`)],
    ["Warnings", r.warnings.map((text) => `- ${shown(text)}`)],
    [
      "Error",
      r.error === null ? [] : [
        row("code", r.error.code),
        row("what", r.error.error),
        row("where", r.error.where),
        row("cure", r.error.cure),
      ],
    ],
    ["Resume", r.resume_command === null ? [] : [`    ${shown(r.resume_command)}`]],
  ];
  const text = sections.flatMap(([title, lines]) => {
    const said = lines.filter((line): line is string => line !== null);
    return said.length === 0 ? [] : [[...(title === "" ? [] : [`## ${title}`, ""]), ...said].join("\n")];
  });
  return `# Run ${shown(r.run_id)}\n\n${text.join("\n\n")}\n`;
}

function row(name: string, value: string | null): string | null {
  return value === null || value === "" ? null : `- ${name}: ${shown(value)}`;
}

/** On one line, without what a terminal would obey. */
function shown(text: string): string {
  return sanitizeTerminal(text).replace(/\s*\n\s*/g, " ");
}

function reconciledText({ reconciliation }: RunReport): string {
  if (reconciliation === undefined) return "not run";
  const { source_count: count, exported_rows: rows, matched } = reconciliation;
  return `${matched === true ? "MATCH" : "MISMATCH"} (exported ${formatCount(rows)}, source ${
    count === null ? "unknown" : formatCount(count)
  })`;
}

function describeChange({ added, removed, type_changed: retyped }: SchemaChange): string {
  return [
    ...added.map((name) => `added ${name}`),
    ...removed.map((name) => `removed ${name}`),
    ...retyped.map(([name, was, now]) => `${name} was ${was} and is ${now}`),
  ].join("; ");
}

/** Writes both files below `directory`; whoever reads one finds a whole one. Resolves to their folder. */
export async function writeRunReport(directory: string, report: RunReport): Promise<string> {
  const folder = join(directory, ".rivet", "runs", encodeURIComponent(report.run_id));
  await writeWholeFile(join(folder, "summary.json"), [JSON.stringify(report, null, 2), "\n"]);
  await writeWholeFile(join(folder, "summary.md"), [formatRunReport(report)]);
  return folder;
}
