// How `rivet check` shows an export to a machine: one object a line, its keys as they are documented.

import { type ErrorReport, toErrorReport } from "../errors.ts";
import type { Examination, TypeReport } from "../plan/mod.ts";
import { redact } from "../redact.ts";
import type { Target } from "../types/mod.ts";
import type { CheckedExport } from "./check.ts";

/** One line of `--json`. */
export function toJsonLine({ examination, types, target, errors }: CheckedExport): Record<string, unknown> {
  const { entry, rules } = examination;
  const byLevel = (level: string) =>
    rules.filter((rule) => rule.level === level).map(({ name, message, cure }) => ({ rule: name, message, cure }));
  return {
    export: entry.name,
    ok: errors.length === 0,
    ...types === null ? {} : typesToJson(types, target),
    plan: { rejected: byLevel("rejected"), warnings: byLevel("warning"), degraded: byLevel("degraded") },
    diagnostic: diagnosticToJson(examination),
    errors: errors.map(toErrorReport).map((report): ErrorReport => ({ ...report, error: redact(report.error) })),
  };
}

function typesToJson(types: TypeReport, target: Target | null): Record<string, unknown> {
  return {
    columns: types.columns.map((column) => ({
      column: column.name,
      source_type: column.nativeType,
      rivet_type: column.label,
      arrow_type: column.arrow,
      fidelity: column.fidelity,
      warnings: column.warnings,
      ...target === null ? {} : {
        target_type: column.target?.native ?? null,
        target_status: column.status,
        target_note: column.target?.note ?? null,
        autoload_type: column.target?.autoload ?? null,
        cast_sql: column.target?.cast?.replaceAll("{col}", () => column.name) ?? null,
      },
    })),
    violations: types.violations.map(({ column, fidelity, message, isFatal }) => ({
      column_name: column,
      fidelity,
      message,
      fatal: isFatal,
    })),
    target,
    target_failures: types.targetFailures,
    recovery_sql: types.recoverySql,
  };
}

function diagnosticToJson({ entry, diagnosis }: Examination): Record<string, unknown> | null {
  if (diagnosis === null) return null;
  const { task, estimate, access, advice, usesIndex } = diagnosis;
  return {
    export_name: entry.name,
    strategy: task.strategyLabel,
    mode: entry.mode,
    chunks: task.slices.length,
    partitions: diagnosis.partitions,
    cursor_column: entry.incremental === null ? null : diagnosis.column,
    range_column: diagnosis.column,
    row_estimate: estimate.rows,
    row_source: estimate.source,
    avg_row_bytes: estimate.rowBytes,
    cursor_min: diagnosis.min,
    cursor_max: diagnosis.max,
    scan_type: access?.scan ?? null,
    uses_index: usesIndex,
    verdict: advice.verdict,
    breach: advice.breach,
    configured_profile: entry.tuning.profile,
    recommended_profile: advice.profile,
    recommended_parallel: advice.parallel,
    warnings: advice.warnings,
    suggestion: advice.suggestion,
    capabilities: {
      uses_index: usesIndex,
      has_cursor: entry.incremental !== null,
      can_parallel: task.source !== "sqlite" && task.slices.length > 1,
    },
  };
}
