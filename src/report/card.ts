// The card a finished run ends with, and the lines for several. Pure: text in the order people ask.

import type { AggregateSummary, RunSummary } from "./event.ts";
import { cut, formatBytes, formatCount, formatDuration } from "./format.ts";

const WIDTH = 60;

/** The card of one export; only rows that mean something. */
export function formatCard(summary: RunSummary): string {
  const title = `── ${summary.export_name} `;
  const lines = [title + "─".repeat(Math.max(2, WIDTH - title.length))];
  for (const [name, value] of cardRows(summary)) lines.push(`  ${`${name}:`.padEnd(14)} ${value}`);
  return lines.join("\n");
}

function cardRows(s: RunSummary): [string, string][] {
  const rows: [string, string | null][] = [
    ["run_id", s.run_id],
    ["status", s.skip_reason === null ? s.status : `${s.status} (${s.skip_reason})`],
    ["applied by", s.answered_by_run],
    ["resumed", s.resumed ? "yes, an interrupted run was finished" : null],
    ["strategy", s.strategy === s.mode && s.run_id === null ? null : s.strategy],
    ["tuning", `profile=${s.tuning_profile}, batch_size=${s.batch_size}`],
    ["consistency", s.consistency],
    ["rows", formatCount(s.rows)],
    ["files", formatCount(s.files)],
    ["output", s.files > 0 ? s.output : null],
    ["cursor", s.cursor_high === null ? null : `${s.cursor_low ?? "start"} → ${s.cursor_high}`],
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
      s.status === "success" && s.mode !== "repair" && s.files > 0 && s.validated === null && s.reconciled === null
        ? "not run — add --validate"
        : null,
    ],
    ...s.warnings.map((warning): [string, string] => ["warning", warning]),
    ["error", s.error === null ? null : `[${s.error.code}] ${s.error.error}`],
    ["where", s.error?.where ?? null],
    ["cure", s.error === null || s.error.cure === "" ? null : s.error.cure],
    ["resume", s.resume_command],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null);
}

function rate(s: RunSummary): string {
  return s.rows > 0 && s.duration_ms > 0 ? ` (${formatCount((s.rows / s.duration_ms) * 1000)} rows/s)` : "";
}

function reconcileText(s: RunSummary): string | null {
  if (s.source_count === null) return null;
  return s.reconciled === true
    ? `MATCH (${formatCount(s.rows)}/${formatCount(s.source_count)})`
    : `MISMATCH (exported ${formatCount(s.rows)} vs source ${formatCount(s.source_count)})`;
}

/** One line an export, then the totals. */
export function formatAggregate(aggregate: AggregateSummary): string {
  const names = Math.max(6, ...aggregate.per_export.map((s) => s.export_name.length));
  const lines = aggregate.per_export.map((s) => formatLine(s, names));
  const { duration_ms: duration, total_rows: rows } = aggregate;
  lines.push(
    "",
    `  ${aggregate.success_count} succeeded, ${aggregate.failed_count} failed, ${aggregate.skipped_count} skipped` +
      ` · ${formatCount(rows)} rows · ${formatCount(aggregate.total_files)} files · ${
        formatBytes(aggregate.total_bytes)
      }` +
      ` · ${formatDuration(duration)}${
        duration > 0 && rows > 0 ? ` · ${formatCount((rows / duration) * 1000)} rows/s` : ""
      }`,
  );
  for (const s of aggregate.per_export) {
    if (s.error === null) continue;
    lines.push("", `  ${s.export_name}: [${s.error.code}] ${s.error.error}`);
    if (s.error.where !== null) lines.push(`    where: ${s.error.where}`);
    if (s.error.cure !== "") lines.push(`    cure: ${s.error.cure}`);
    if (s.resume_command !== null) lines.push(`    resume: ${s.resume_command}`);
  }
  return lines.join("\n");
}

const MARKS: Record<RunSummary["status"], string> = {
  success: "✓",
  failed: "✗",
  interrupted: "✗",
  skipped: "•",
  already_applied: "•",
};

function formatLine(s: RunSummary, names: number): string {
  const head = `${MARKS[s.status]} ${s.export_name.padEnd(names)}  ${s.mode.padEnd(11)}`;
  if (s.error !== null) return cut(`${head} ${s.error.error}`, 240);
  return `${head} ${formatCount(s.rows).padStart(13)} rows ${formatCount(s.files).padStart(4)} files ${
    formatBytes(s.bytes).padStart(9)
  }` +
    ` ${formatDuration(s.duration_ms).padStart(8)} ${String(s.peak_rss_mb).padStart(4)} MB`;
}
