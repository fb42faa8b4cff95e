// How `rivet check` shows an export to a person.

import { formatCount } from "../report/mod.ts";
import type { Diagnosis, TypeReport } from "../plan/mod.ts";
import { redact, sanitizeTerminal } from "../redact.ts";
import type { CheckedExport } from "./check.ts";
import { formatTable } from "./command.ts";

export const LEGEND = `
Verdicts are advice. EFFICIENT: an index finds the new rows. ACCEPTABLE: an index finds the rows, or they are few.
DEGRADED, UNSAFE: the named budget is broken; the export runs all the same.
`;

export function formatChecked(checked: CheckedExport, isFollowing: boolean): string {
  const { examination, types, target, errors } = checked;
  const { entry, diagnosis, rules } = examination;
  const lines: [string, string][] = [["Export", entry.name]];
  if (diagnosis === null) lines.push(["Mode", entry.mode]);
  else lines.push(...formatDiagnosis(checked, diagnosis));
  const text = [lines.map(([name, value]) => `${`${name}:`.padEnd(14)} ${value}`).join("\n")];
  if (types !== null) text.push(formatTypes(types, target !== null));
  for (const { level, name, message } of rules) {
    text.push(`${level[0]!.toUpperCase()}${level.slice(1)}: [${name}] ${message}`);
  }
  for (const { code, message, cure } of errors) {
    text.push(`FAIL: [${code}] ${message}`, `      cure: ${cure}`);
  }
  return sanitizeTerminal(redact(`${isFollowing ? "\n" : ""}${text.join("\n")}\n`));
}

function formatDiagnosis({ examination: { entry } }: CheckedExport, diagnosis: Diagnosis): [string, string][] {
  const { task, estimate, access, advice, column } = diagnosis;
  const chunks = task.slices.length === 1 ? "1 chunk" : `${formatCount(task.slices.length)} chunks`;
  const partitions = diagnosis.partitions === null ? "" : `, in each of ${diagnosis.partitions} partitions`;
  const lines: [string, string][] = [
    ["Strategy", `${task.strategyLabel}, ${chunks}${partitions}`],
    ["Mode", entry.mode],
    ["Row estimate", estimate.rows === null ? "unknown" : `${formatCount(estimate.rows)} (${estimate.source})`],
  ];
  if (estimate.rowBytes !== null) lines.push(["Row width", `${formatCount(estimate.rowBytes)} B`]);
  if (diagnosis.max !== null) {
    lines.push([
      "Cursor range",
      diagnosis.min === null ? `up to ${diagnosis.max}` : `${diagnosis.min} … ${diagnosis.max}`,
    ]);
  }
  if (column !== null) lines.push(["Cursor col", column]);
  const index = column === null ? "" : diagnosis.usesIndex ? ", indexed" : ", no index";
  lines.push(["Access", `${access?.scan ?? "no plan from the server"}${index}`]);
  lines.push(["Verdict", advice.verdict.toUpperCase() + (advice.breach === null ? "" : `: ${advice.breach.text}`)]);
  lines.push(["Recommended", `profile ${advice.profile} (configured: ${entry.tuning.profileLabel})`]);
  lines.push([
    "Parallelism",
    `${advice.parallel.level} (configured: ${entry.parallel}): ${advice.parallel.reason}`,
  ]);
  for (const { severity, message } of advice.warnings) lines.push(["Warning", `[${severity}] ${message}`]);
  if (advice.suggestion !== null) lines.push(["Suggestion", advice.suggestion]);
  return lines;
}

const MARKS = { ok: "ok", warn: "~ warn", fail: "✗ fail" };

function formatTypes(types: TypeReport, hasTarget: boolean): string {
  const header = ["COLUMN", "SOURCE TYPE", "RIVET TYPE", "ARROW TYPE", "FIDELITY"];
  const table = formatTable(
    hasTarget ? [...header, "TARGET TYPE", "STATUS"] : header,
    types.columns.map((column) => [
      column.name,
      column.nativeType,
      column.label,
      column.arrow,
      column.fidelity,
      ...hasTarget ? [column.target?.native ?? "-", column.status === null ? "-" : MARKS[column.status]] : [],
    ]),
  ).trimEnd();
  const notes = types.columns.flatMap(({ name, target, warnings }) => [
    ...target === null || target.autoload === target.native ? [] : [`  ${name}: loads as ${target.autoload}`],
    ...target?.note ? [`  ${name}: ${target.note}`] : [],
    ...warnings.map((warning) => `  ${name}: ${warning}`),
  ]);
  const violations = types.violations.map(({ isFatal, message }) => `${isFatal ? "FAIL" : "WARN"}: ${message}`);
  const failures = types.targetFailures.length === 0
    ? []
    : [`WARN: the target cannot hold ${types.targetFailures.join(", ")}`];
  const recovery = types.recoverySql === null ? [] : ["", "After a load without a schema:", types.recoverySql];
  return ["", table, ...notes, ...violations, ...failures, ...recovery].join("\n");
}
