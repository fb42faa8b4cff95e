// The report of a reconcile: the JSON that `repair` takes, and the same for people. Pure.

import { RivetError } from "../errors.ts";
import type { KeysResult } from "../plan/mod.ts";

export type CheckStatus = "match" | "mismatch" | "unknown";

/**
 * Why a chunk differs, where the engine tells. `later_writes`: the export held exactly what was there, rows were written since.
 * `export`: rows that nobody has touched since are not in it as they are. `undecided`: some were changed or deleted since.
 */
export type Cause = "later_writes" | "export" | "undecided";

/** One chunk: what the source holds now against what was recorded when it was exported. */
export interface PartitionCheck {
  readonly kind: "chunk" | "time_window" | "cursor_window";
  /** `chunk 3 [51..76]` */
  readonly identifier: string;
  /** The unit: the export, or one of its partitions. */
  readonly export_name: string;
  /** Null when the unit was never exported. */
  readonly run_id: string | null;
  readonly chunk_index: number | null;
  readonly chunk_id: string | null;
  readonly start_key: string | null;
  readonly end_key: string | null;
  readonly source_count: number | null;
  readonly exported_count: number | null;
  readonly status: CheckStatus;
  /** Columns whose values differ; empty where rows were only counted. */
  readonly columns: readonly string[];
  readonly cause: Cause | null;
  /** PostgreSQL: rows of the chunk that were written before the export, since, and while its picture was taken. */
  readonly since_export: { readonly unchanged: number; readonly written: number; readonly uncertain: number } | null;
  readonly keys: ({ readonly columns: readonly string[] } & KeysResult) | null;
  readonly note?: string;
}

export interface ReconcileSummary {
  readonly total_partitions: number;
  readonly matches: number;
  readonly mismatches: number;
  readonly unknown: number;
  /** Of the mismatches, those that later writes explain wholly. */
  readonly later_writes: number;
  readonly total_source_rows: number;
  readonly total_exported_rows: number;
}

export interface ReconcileReport {
  readonly rivet_version: string;
  readonly report: "reconcile";
  readonly export_name: string;
  /** Of several partitions, the newest run. */
  readonly run_id: string;
  readonly strategy: string;
  readonly depth: "count" | "content" | "rows";
  readonly source_engine: string;
  readonly started_at: string;
  readonly finished_at: string;
  readonly bytes_read: number;
  readonly partitions: readonly PartitionCheck[];
  readonly summary: ReconcileSummary;
  /** The verified boundary was advanced. */
  readonly verified: boolean;
  readonly warnings: readonly string[];
}

export function summarize(partitions: readonly PartitionCheck[]): ReconcileSummary {
  const count = (status: CheckStatus) => partitions.filter((check) => check.status === status).length;
  const sum = (pick: (check: PartitionCheck) => number | null) =>
    partitions.reduce((total, check) => total + (pick(check) ?? 0), 0);
  return {
    total_partitions: partitions.length,
    matches: count("match"),
    mismatches: count("mismatch"),
    unknown: count("unknown"),
    later_writes: partitions.filter((check) => check.status === "mismatch" && check.cause === "later_writes").length,
    total_source_rows: sum((check) => check.source_count),
    total_exported_rows: sum((check) => check.exported_count),
  };
}

/** 0 when all match, 3 when any differs, 1 when some could not be compared. */
export function reconcileExitCode({ summary }: Pick<ReconcileReport, "summary">): number {
  return summary.mismatches > 0 ? 3 : summary.unknown > 0 ? 1 : 0;
}

const CHUNKS_SHOWN_MAX = 20;
const KEYS_SHOWN_MAX = 10;

/** For people: the verdict, and a line for each chunk that does not match. */
export function formatReconcile(report: ReconcileReport): string {
  const { summary: s } = report;
  const bad = report.partitions.filter((check) => check.status !== "match");
  const lines = [
    `Export:     ${report.export_name}`,
    `Run:        ${report.run_id}`,
    `Strategy:   ${report.strategy}`,
    `Depth:      ${report.depth}`,
    `Partitions: ${s.total_partitions} (${s.matches} match, ${s.mismatches} mismatch, ${s.unknown} unknown)`,
    `Rows:       source ${s.total_source_rows}, exported ${s.total_exported_rows}`,
    `Evidence:   ${EVIDENCE[report.depth]}`,
    ...bad.slice(0, CHUNKS_SHOWN_MAX).flatMap(formatCheck),
    ...(bad.length > CHUNKS_SHOWN_MAX ? [`  … and ${bad.length - CHUNKS_SHOWN_MAX} more; \`--json\` lists them`] : []),
    ...report.warnings.map((warning) => `Warning:    ${warning}`),
    `Status:     ${statusText(report)}`,
  ];
  return `${lines.join("\n")}\n`;
}

const EVIDENCE: Record<ReconcileReport["depth"], string> = {
  count: "every chunk was counted as it was exported; values were not compared",
  content: "every chunk was read again as it was exported, and its column checksums compared with those seen then",
  rows: "every chunk was read again as it was exported, and its rows compared with those in its files, one by one",
};

function formatCheck(check: PartitionCheck): string[] {
  const name = check.export_name === "" ? check.identifier : `${check.export_name}, ${check.identifier}`;
  const counts = `source ${check.source_count ?? "?"}, exported ${check.exported_count ?? "?"}`;
  const lines = [`  ${check.status.toUpperCase()}  ${name}: ${counts}`];
  if (check.columns.length > 0) lines.push(`    columns that differ: ${check.columns.join(", ")}`);
  if (check.cause !== null) lines.push(`    ${CAUSES[check.cause]}${formatSince(check)}`);
  if (check.keys !== null) lines.push(...formatKeys(check.keys));
  if (check.note !== undefined) lines.push(`    ${check.note}`);
  return lines;
}

const CAUSES: Record<Cause, string> = {
  later_writes: "written after the export: the export held exactly what was there",
  export: "not explained by later writes: rows that are older than the export are not in it as they are",
  undecided: "rows were changed or deleted after the export; what they were then cannot be read any more",
};

function formatSince({ since_export: since }: PartitionCheck): string {
  if (since === null) return "";
  const uncertain = since.uncertain > 0 ? `, ${since.uncertain} while it was taken` : "";
  return ` (${since.unchanged} rows older than it, ${since.written} newer${uncertain})`;
}

function formatKeys(keys: NonNullable<PartitionCheck["keys"]>): string[] {
  const name = keys.columns.join(",");
  const line = (what: string, list: readonly string[], count: number) =>
    count === 0
      ? []
      : [`    ${what} (${name}): ${list.slice(0, KEYS_SHOWN_MAX).join(" ")}${count > KEYS_SHOWN_MAX ? " …" : ""}`];
  return [
    ...line(`${keys.counts.missing} not in the files`, keys.missing, keys.counts.missing),
    ...line(`${keys.counts.extra} only in the files`, keys.extra, keys.counts.extra),
    ...line(`${keys.counts.changed} with other values`, keys.changed, keys.counts.changed),
  ];
}

function statusText({ summary, verified }: ReconcileReport): string {
  if (summary.mismatches + summary.unknown === 0) return verified ? "match, verified" : "match";
  const candidates = summary.mismatches + summary.unknown;
  return `${candidates} chunks to repair: save the report with \`-o FILE\`, then \`rivet repair --report FILE\``;
}

/** Reads a report that `reconcile` wrote; `where` is its path. */
export function parseReconcileReport(text: string, where: string, cure: string): ReconcileReport {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RivetError("RIVET_CLI_REPORT_INVALID", "The report is not JSON", { where, cure, cause });
  }
  const report = value as Partial<ReconcileReport> | null;
  const isReport = typeof report === "object" && report !== null && typeof report.export_name === "string" &&
    typeof report.run_id === "string" && Array.isArray(report.partitions);
  if (isReport) return report as ReconcileReport;
  throw new RivetError("RIVET_CLI_REPORT_INVALID", "The file is no report of `rivet reconcile` or `rivet validate`", {
    where,
    cure,
  });
}
