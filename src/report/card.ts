// The card a finished run ends with, and the lines for several. Pure: text in the order people ask.

import type { AggregateSummary, RunSummary } from "./event.ts";
import { sanitizeTerminal } from "../redact.ts";
import { chunksText, cut, formatBytes, formatCount, formatDuration, formatNumber, resumedText } from "./format.ts";

const WIDTH = 60;

/** The card of one export; only rows that mean something. */
export function formatCard(summary: RunSummary): string {
  const title = `── ${summary.export_name} `;
  const lines = [title + "─".repeat(Math.max(2, WIDTH - title.length))];
  for (const [name, value] of cardRows(summary)) lines.push(`  ${`${name}:`.padEnd(14)} ${value}`);
  return lines.join("\n");
}

function cardRows(s: RunSummary): [string, string][] {
  // Nothing is remembered of standard output, and nothing of it can be checked.
  const isStream = s.destination_kind === "stdout";
  const rows: [string, string | null][] = [
    ["run_id", s.run_id],
    ["status", statusText(s)],
    ["applied by", s.answered_by_run],
    ["resumed", s.resumed ? resumedText(s.status) : null],
    ["strategy", s.strategy === s.mode && s.run_id === null ? null : s.strategy],
    ["tuning", `profile=${s.tuning_profile}, batch_size=${s.batch_size}`],
    ["consistency", s.consistency],
    ["committed", committedText(s)],
    ["rows", formatCount(s.rows)],
    ["files", formatCount(s.files)],
    ["output", s.files > 0 ? s.output : null],
    [
      "cursor",
      s.cursor_high === null ? null : `${s.cursor_low ?? "start"} → ${s.cursor_high}${isStream ? " (not kept)" : ""}`,
    ],
    ["protected by", s.protection.length === 0 ? null : s.protection.join(", ")],
    ["bytes read", s.bytes_read > 0 ? formatBytes(s.bytes_read) : null],
    ["bytes written", s.bytes > 0 ? formatBytes(s.bytes) : null],
    ["duration", `${formatDuration(s.duration_ms)}${rate(s)}`],
    ["longest query", s.longest_statement_ms > 0 ? formatDuration(s.longest_statement_ms) : null],
    ["peak RSS", `${s.peak_rss_mb} MB`],
    ["compression", s.format === "parquet" && s.compression !== "zstd" ? s.compression : null],
    ["retries", s.retries > 0 ? String(s.retries) : null],
    ["validated", s.validated === null ? null : s.validated ? "pass" : "FAIL"],
    ["schema", s.schema_changed ? "CHANGED" : null],
    ["quality", s.quality_passed === null ? null : s.quality_passed ? "pass" : "FAIL"],
    ["reconcile", reconcileText(s)],
    [
      "verify",
      s.status !== "success" || s.mode === "repair" || s.files === 0 || s.validated !== null || s.reconciled !== null
        ? null
        : isStream
        ? "not possible on standard output"
        : "not run — add --validate",
    ],
    ...s.warnings.map((warning): [string, string] => ["warning", warning]),
    ["error", s.error === null ? null : `[${s.error.code}] ${s.error.error}`],
    ["where", s.error?.where ?? null],
    ["cure", s.error === null || s.error.cure === "" ? null : s.error.cure],
    ["resume", s.resume_command],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null);
}

/** What it came to; of an export that did nothing, why. */
function statusText({ status, skip_reason: reason }: RunSummary): string {
  if (status === "already_applied") return "already applied";
  return reason === null ? status : `${status} (${reason})`;
}

/** Of an export that did not run, what stands in the place of its numbers. What ran without rows may have failed a check. */
function idleText(s: RunSummary): string | null {
  if (s.status === "already_applied") return statusText(s);
  if (s.error !== null && s.run_id !== null) return null;
  return s.status === "skipped" ? s.skip_reason : null;
}

function committedText(s: RunSummary): string | null {
  const chunks = chunksText(s);
  return chunks === null ? null : `${chunks} ${s.slices === 1 ? "chunk" : "chunks"}`;
}

function rate(s: RunSummary): string {
  const rows = s.rows - s.rows_kept;
  return rows > 0 && s.duration_ms > 0 ? ` (${formatCount((rows / s.duration_ms) * 1000)} rows/s)` : "";
}

function reconcileText(s: RunSummary): string | null {
  if (s.source_count === null) return null;
  return s.reconciled === true
    ? `MATCH (${formatCount(s.rows)}/${formatCount(s.source_count)})`
    : `MISMATCH (exported ${formatCount(s.rows)} vs source ${formatCount(s.source_count)})`;
}

/** One line an export, no wider than the screen; then the totals, and in full what failed. */
export function formatAggregate(aggregate: AggregateSummary, columns = Infinity): string {
  const { duration_ms: duration, total_rows: rows } = aggregate;
  const read = rows - aggregate.per_export.reduce((sum, s) => sum + s.rows_kept, 0);
  const counts =
    `${aggregate.success_count} succeeded, ${aggregate.failed_count} failed, ${aggregate.skipped_count} skipped`;
  const totals = [
    formatNumber(rows, "row"),
    formatNumber(aggregate.total_files, "file"),
    formatBytes(aggregate.total_bytes),
    formatDuration(duration),
    ...(duration > 0 && read > 0 ? [`${formatCount((read / duration) * 1000)} rows/s`] : []),
  ].join(" · ");
  const fits = counts.length + totals.length + 5 <= columns;
  const lines = [...formatLines(aggregate.per_export, columns), ""];
  lines.push(...(fits ? [`  ${counts} · ${totals}`] : [`  ${counts}`, `  ${totals}`]));
  for (const s of aggregate.per_export) {
    if (s.error === null || idleText(s) !== null) continue;
    lines.push("", `  ${s.export_name}: [${s.error.code}] ${s.error.error}`);
    const committed = committedText(s);
    if (committed !== null) {
      const sizes = `${formatNumber(s.rows, "row")} · ${formatNumber(s.files, "file")} · ${formatBytes(s.bytes)}`;
      lines.push(`    committed: ${committed} · ${sizes}`);
    }
    if (s.error.where !== null) lines.push(`    where: ${s.error.where}`);
    if (s.error.cure !== "") lines.push(`    cure: ${s.error.cure}`);
    if (s.resume_command !== null) lines.push(`    resume: ${s.resume_command}`);
  }
  lines.push(...resumeLines(aggregate));
  return lines.join("\n");
}

/** The command for all that is left, where it does not stand above already. */
function resumeLines({ resume_command: command, per_export, success_count: done }: AggregateSummary): string[] {
  const told = new Set(per_export.map((s) => s.resume_command).filter((text) => text !== null));
  if (command === null || (told.size === 1 && told.has(command))) return [];
  const note = told.size > 0 && done > 0 ? "  # what succeeded runs again, too" : "";
  return ["", `  ${told.size > 0 ? "resume all" : "resume"}: ${command}${note}`];
}

const MARKS: Record<RunSummary["status"], string> = {
  success: "✓",
  failed: "✗",
  interrupted: "✗",
  skipped: "•",
  already_applied: "•",
};

const NAME_WIDTH_MIN = 16;

function formatLines(summaries: readonly RunSummary[], columns: number): string[] {
  const cells = summaries.map((s) => [
    s.mode,
    `${formatCount(s.rows)} ${s.rows === 1 ? "row " : "rows"}`,
    `${formatCount(s.files)} ${s.files === 1 ? "file " : "files"}`,
    formatBytes(s.bytes),
    formatDuration(s.duration_ms),
    `${s.peak_rss_mb} MB`,
  ]);
  const widths = cells[0]?.map((_, i) =>
    // An error takes the place of the numbers, and so does why an export did not run.
    Math.max(...cells.map((row, at) => i > 0 && wordsOf(summaries[at]!) !== null ? 0 : row[i]!.length))
  ) ?? [];
  const rest = widths.reduce((sum, width) => sum + 2 + width, 0);
  const longest = Math.max(6, ...summaries.map((s) => s.export_name.length));
  const names = Math.min(longest, Math.max(NAME_WIDTH_MIN, columns - rest - 2));
  return summaries.map((s, at) => {
    const [mode, ...numbers] = cells[at]!.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[i]!)
    );
    const head = `${MARKS[s.status]} ${cut(s.export_name, names).padEnd(names)}  ${mode}  `;
    const line = head + sanitizeTerminal(wordsOf(s) ?? numbers.join("  "));
    return cut(line, Math.min(columns, LINE_WIDTH_MAX));
  });
}

function wordsOf(s: RunSummary): string | null {
  return idleText(s) ?? s.error?.error ?? null;
}

const LINE_WIDTH_MAX = 240;
