// A plan as people read it: one export in full, several as a table in the order to run them. Pure; chunks are summed up, never listed to the end.

import { formatBytes, formatCount } from "../report/mod.ts";
import type { PlanArtifact, PlannedExport } from "../plan/mod.ts";
import { formatTable } from "./command.ts";

/** Chunks whose bounds are shown. */
const RANGES_SHOWN_MAX = 5;

/** `next`: the command lines that come after this one. */
export function formatPlan(plan: PlanArtifact, next: string): string {
  const header = [
    ["Plan ID", plan.plan_id],
    ["Created", plan.created_at],
    ["Expires", `${plan.expires_at} (incremental exports do not)`],
    ["Source", plan.source.identity],
    ["{date}", plan.date === null ? "the day of apply" : `${plan.date}, frozen`],
  ] as [string, string][];
  const [only] = plan.exports;
  const body = plan.exports.length === 1 && only !== undefined
    ? `${formatRows([...header, ...exportRows(only)])}${formatRanges(only)}`
    : `${formatRows(header)}\n${formatSeveral(plan)}`;
  return `${body}\nNext: ${next}\n`;
}

function formatRows(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, value]) => `${(name === "" ? "" : `${name}:`).padEnd(14)} ${value}\n`).join("");
}

function exportRows(planned: PlannedExport): [string, string][] {
  const { computed, diagnostics, prioritization: p, resolved_plan: settings } = planned;
  const rows: [string, string | null][] = [
    ["Export", planned.export_name],
    ["Strategy", labelOf(planned)],
    ["Fingerprint", planned.plan_fingerprint],
    ["Chunks", chunksOf(planned)],
    ["Row est.", rowsOf(planned)],
    ["Cursor", planned.strategy === "incremental" ? cursorOf(planned) : null],
    ["Consistency", `${computed.consistency}${consistencyNote(planned)}`],
    ["Lanes", `${computed.lanes}; each may reach ${permissionsOf(planned)}, and nothing else`],
    ["Verdict", diagnostics.verdict.toUpperCase() + (diagnostics.breach === null ? "" : `: ${diagnostics.breach}`)],
    ["Profile", `${String(settings["tuning_profile_label"])}; recommended: ${diagnostics.recommended_profile}`],
    ["Why", diagnostics.strategy_rationale],
    ["Resources", resourcesOf(planned)],
    ["Output", computed.output],
    ["Format", `${String(settings["format"])}, ${String(settings["compression"])}`],
    [
      "Priority",
      `${p.priority_score} (${p.priority_class}), wave ${p.recommended_wave}, cost ${p.cost_class}, risk ${p.risk_class}`,
    ],
    ...p.reasons.map((reason): [string, string] => ["", `${reason.kind}: ${reason.message}`]),
    ["Isolate", p.isolate_on_source ? "yes: not beside the other heavy exports of its source group" : null],
    ["Next", diagnostics.suggestion],
    ...diagnostics.warnings.map((warning): [string, string] => ["Warning", warning]),
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null).map(([name, value]) => [name, value]);
}

function permissionsOf({ computed }: PlannedExport): string {
  const permitted = (["net", "read", "write", "sys"] as const).filter((kind) => computed.permissions[kind].length > 0)
    .map((kind) => `${kind} ${computed.permissions[kind].join(", ")}`);
  return permitted.length === 0 ? "nothing" : permitted.join("; ");
}

function labelOf({ strategy, tasks, resolved_plan: settings }: PlannedExport): string {
  const partitions = settings["partition_by"] === null ? "" : `, ${formatCount(tasks.length)} partitions`;
  return `${strategy}: ${String(settings["strategy"])}${partitions}`;
}

function chunksOf({ computed }: PlannedExport): string {
  return computed.chunk_count === 0 ? "0, there is nothing new to read" : formatCount(computed.chunk_count);
}

function rowsOf({ computed }: PlannedExport): string {
  if (computed.row_estimate === null) return "unknown";
  return `~${formatCount(computed.row_estimate)} (${computed.row_estimate_source ?? "estimate"})`;
}

function cursorOf({ computed, tasks }: PlannedExport): string {
  const protection = tasks[0]?.window?.protection ?? [];
  const to = computed.cursor_high ?? "nothing new";
  return `${computed.cursor_snapshot ?? "start"} → ${to}${
    protection.length === 0 ? "" : `, protected by ${protection.join(", ")}`
  }`;
}

function consistencyNote({ computed }: PlannedExport): string {
  switch (computed.consistency) {
    case "snapshot":
      return ": all rows of one moment";
    case "slice":
      return ": each chunk of one moment, chunks of different ones";
    case "none":
      return ": the source gives no such promise";
  }
}

function resourcesOf({ computed }: PlannedExport): string {
  const row = computed.row_bytes_estimate === null
    ? "row size unknown"
    : `~${formatBytes(computed.row_bytes_estimate)} a row`;
  const sampled = computed.sample === null ? "" : `, ${formatCount(computed.sample.rows)} rows sampled`;
  const files = computed.output_bytes_estimate === null
    ? ""
    : `, ~${formatBytes(computed.output_bytes_estimate)} of files`;
  return `~${computed.memory_mb_estimate} MB of memory, ${row}${sampled}${files}`;
}

function formatRanges({ computed }: PlannedExport): string {
  const { chunk_ranges: ranges, chunk_count: count } = computed;
  if (count <= 1) return "";
  const shown = ranges.slice(0, RANGES_SHOWN_MAX);
  const lines = shown.map(([from, to]) => `  ${from ?? "start"} … ${to ?? "end"}`);
  const more = count - shown.length;
  return [...lines, ...more > 0 ? [`  and ${formatCount(more)} more`] : []].join("\n") + "\n";
}

function formatSeveral(plan: PlanArtifact): string {
  const order = new Map(plan.campaign.ordered_exports.map((name, index) => [name, index]));
  const sorted = [...plan.exports].sort((a, b) =>
    a.prioritization.recommended_wave - b.prioritization.recommended_wave ||
    (order.get(a.export_name) ?? 0) - (order.get(b.export_name) ?? 0)
  );
  const table = formatTable(
    ["WAVE", "EXPORT", "STRATEGY", "CHUNKS", "ROWS", "CONSISTENCY", "LANES", "VERDICT", "SCORE", "BESIDE OTHERS"],
    sorted.map((planned) => [
      String(planned.prioritization.recommended_wave),
      planned.export_name,
      labelOf(planned),
      formatCount(planned.computed.chunk_count),
      planned.computed.row_estimate === null ? "?" : `~${formatCount(planned.computed.row_estimate)}`,
      planned.computed.consistency,
      String(planned.computed.lanes),
      planned.diagnostics.verdict.toUpperCase(),
      String(planned.prioritization.priority_score),
      planned.prioritization.parallel_safe ? "yes" : planned.prioritization.isolate_on_source ? "no, isolate" : "no",
    ]),
  );
  const campaign = plan.campaign.waves.map(({ wave, exports }) => `  wave ${wave}: ${summed(exports)}`);
  const groups = plan.campaign.source_group_warnings.map(({ message }) => `warning: ${message}`);
  const warnings = sorted.flatMap((planned) =>
    planned.diagnostics.warnings.map((warning) => `warning: ${planned.export_name}: ${warning}`)
  );
  const lanes = sorted.slice(0, LANES_SHOWN_MAX).map((planned) =>
    `  ${planned.export_name}: ${permissionsOf(planned)}`
  );
  if (sorted.length > lanes.length) {
    lanes.push(`  and ${formatCount(sorted.length - lanes.length)} more in the plan file`);
  }
  return [table, "Campaign:", ...campaign, ...groups, ...warnings, "A lane may reach, and nothing else:", ...lanes]
    .join("\n") + "\n";
}

const NAMES_SHOWN_MAX = 8;
const LANES_SHOWN_MAX = 20;

function summed(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN_MAX;
  return names.slice(0, NAMES_SHOWN_MAX).join(", ") + (more > 0 ? ` and ${formatCount(more)} more` : "");
}
