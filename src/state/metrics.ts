// One row for every attempt at a run, written `running` when it begins and replaced when it ends. Tables export_metrics, run_aggregate.

import { count, type Db, type Row, type Sql, type SqlValue, textOrNull } from "./db.ts";
import type { ExportKey, MetricRow, RunIntent } from "./state.ts";

export interface Totals {
  readonly files: number;
  readonly rows: number;
  readonly bytes: number;
}

const TEXTS = [
  "export_name",
  "run_at",
  "status",
  "error_message",
  "tuning_profile",
  "format",
  "mode",
  "run_id",
  "skip_reason",
  "schema_fingerprint",
  "source_type",
  "destination_type",
  "rivet_version",
  "chunk_key",
  "error_class",
  "cursor_min",
  "cursor_max",
  "key_descriptor_json",
  "offending_value",
  "server_context_json",
  "source",
];
const INTEGERS = [
  "duration_ms",
  "total_rows",
  "peak_rss_mb",
  "files_produced",
  "bytes_written",
  "retries",
  "files_committed",
  "source_count",
  "pg_temp_bytes_delta",
  "batch_size",
  "batch_size_memory_mb",
  "chunk_size",
  "parallel",
  "longest_chunk_ms",
  "bytes_read",
];
const FLAGS = ["validated", "schema_changed", "reconciled", "quality_passed"];
const COLUMNS = new Set([...TEXTS, ...INTEGERS, ...FLAGS]);

/** Replaces the row of the attempt that is running, if any. */
export async function putMetric(sql: Sql, row: MetricRow): Promise<void> {
  await sql.run("DELETE FROM export_metrics WHERE run_id = ? AND status = 'running'", [row.run_id]);
  const source = row["source"] ?? await sourceOf(sql, row.run_id);
  const { columns, values } = toColumns({ ...row, source });
  await sql.insert("export_metrics", columns, [values]);
}

/** What has no column of its own is kept as JSON. */
function toColumns(row: MetricRow): { columns: string[]; values: SqlValue[] } {
  const known = Object.entries(row).filter(([name, value]) => COLUMNS.has(name) && value !== undefined);
  const other = Object.entries(row).filter(([name]) => !COLUMNS.has(name) && name !== "id");
  const columns = known.map(([name]) => name);
  const values = known.map(([name, value]) =>
    INTEGERS.includes(name) && typeof value === "number" ? Math.round(value) : value
  );
  if (other.length > 0) {
    columns.push("details_json");
    values.push(JSON.stringify(Object.fromEntries(other)));
  }
  return { columns, values };
}

async function sourceOf(sql: Sql, runId: string): Promise<string | null> {
  const [row] = await sql.all("SELECT source FROM chunk_run WHERE run_id = ?", [runId]);
  return row === undefined ? null : textOrNull(row, "source");
}

export async function beginMetric(sql: Sql, run: RunIntent): Promise<void> {
  await putMetric(sql, {
    export_name: run.key.exportName,
    source: run.key.source,
    run_id: run.runId,
    run_at: run.startedAt,
    status: "running",
    duration_ms: 0,
    total_rows: 0,
    files_committed: 0,
    bytes_written: 0,
    mode: run.mode,
    rivet_version: run.rivetVersion,
  });
}

export async function setRunningTotals(sql: Sql, runId: string, totals: Totals): Promise<void> {
  await sql.run(
    `UPDATE export_metrics SET total_rows = ?, bytes_written = ?, files_committed = ? WHERE run_id = ? AND status = 'running'`,
    [totals.rows, totals.bytes, totals.files, runId],
  );
}

export async function addRunningTotals(sql: Sql, runId: string, more: Totals): Promise<void> {
  await sql.run(
    `UPDATE export_metrics SET total_rows = total_rows + ?, bytes_written = bytes_written + ?,
      files_committed = files_committed + ? WHERE run_id = ? AND status = 'running'`,
    [more.rows, more.bytes, more.files, runId],
  );
}

/** Whoever ran this export before is gone: its rows must not say `running` for ever. */
export async function closeRunning(sql: Sql, key: ExportKey): Promise<void> {
  await sql.run(
    "UPDATE export_metrics SET status = 'interrupted' WHERE status = 'running' AND export_name = ? AND source = ?",
    [key.exportName, key.source],
  );
}

/** Newest first. */
export async function listMetrics(sql: Sql, filter: { exportName?: string; limit: number }): Promise<MetricRow[]> {
  const where = filter.exportName === undefined ? "" : "WHERE export_name = ?";
  const rows = await sql.all(
    `SELECT * FROM export_metrics ${where} ORDER BY id DESC LIMIT ?`,
    filter.exportName === undefined ? [filter.limit] : [filter.exportName, filter.limit],
  );
  return rows.map(toMetric);
}

function toMetric(row: Row): MetricRow {
  const { id: _id, details_json: details, ...rest } = row;
  const flags = Object.fromEntries(FLAGS.map((name) => [name, toFlag(row[name])]));
  const other = typeof details === "string" ? JSON.parse(details) : {};
  return {
    ...rest,
    ...flags,
    ...other,
    run_id: textOrNull(row, "run_id") ?? "",
    duration_ms: count(row, "duration_ms"),
    total_rows: count(row, "total_rows"),
  } as MetricRow;
}

function toFlag(value: SqlValue | undefined): boolean | null {
  return value === null || value === undefined ? null : value === true || value === 1;
}

const AGGREGATE_COLUMNS = [
  "run_aggregate_id",
  "started_at",
  "finished_at",
  "duration_ms",
  "config_path",
  "parallel_mode",
  "total_exports",
  "success_count",
  "failed_count",
  "skipped_count",
  "total_rows",
  "total_files",
  "total_bytes",
  "total_bytes_read",
  "details_json",
];

export async function recordAggregate(db: Db, row: Readonly<Record<string, string | number>>): Promise<void> {
  const columns = AGGREGATE_COLUMNS.filter((name) => row[name] !== undefined);
  await db.insert("run_aggregate", columns, [columns.map((name) => row[name]!)]);
}
