// A validate report as JSON and as text. Pure.

import type { ErrorReport } from "../errors.ts";
import type { CheckedPrefix, ValidateReport } from "./exports.ts";
import { describeFinding, type Finding, findingCode, severityOf } from "./finding.ts";
import type { Verification } from "./validate.ts";

/** The JSON form; keys are only ever added. */
export interface ValidateJson {
  exports: { export_name: string; resolved_prefix: string; verification: VerificationJson }[];
  warnings: { export_name: string; warning: string }[];
  errors: ({ export_name: string } & ErrorReport)[];
}

export interface VerificationJson {
  manifest_found: boolean;
  legacy_run: boolean;
  run_ids: readonly string[];
  rows: number;
  bytes: number;
  parts_total: number;
  parts_verified: number;
  parts_content_verified: number;
  parts_md5_verified: number;
  parts_size_only: number;
  parts_values_verified: number;
  parts_failed: number;
  untracked_objects: number;
  success_marker_consistent: boolean | null;
  manifest_self_consistent: boolean | null;
  passed: boolean;
  failures: FindingJson[];
  depth_level: string;
}

/** And the fields of the finding's kind. */
export type FindingJson = { kind: string; code: string; severity: string; message: string } & Record<string, unknown>;

export function toValidateJson(report: ValidateReport): ValidateJson {
  return {
    exports: report.checked.map(({ exportName, uri, verification }) => ({
      export_name: exportName,
      resolved_prefix: uri,
      verification: toVerificationJson(verification),
    })),
    warnings: report.warnings.map(({ exportName, warning }) => ({ export_name: exportName, warning })),
    errors: report.errors.map(({ exportName, error }) => ({ export_name: exportName, ...error })),
  };
}

function toVerificationJson(v: Verification): VerificationJson {
  return {
    manifest_found: v.manifestFound,
    legacy_run: v.isLegacy,
    run_ids: v.runIds,
    rows: v.rows,
    bytes: v.bytes,
    parts_total: v.partsTotal,
    parts_verified: v.partsVerified,
    parts_content_verified: v.partsContentVerified,
    parts_md5_verified: v.partsMd5Verified,
    parts_size_only: v.partsSizeOnly,
    parts_values_verified: v.partsValuesVerified,
    parts_failed: v.partsFailed,
    untracked_objects: v.untrackedObjects,
    success_marker_consistent: v.markerConsistent,
    manifest_self_consistent: v.selfConsistent,
    passed: v.passed,
    failures: v.findings.map(toFindingJson),
    depth_level: v.depth,
  };
}

function toFindingJson(finding: Finding): FindingJson {
  const { kind, ...fields } = finding;
  return {
    kind,
    code: findingCode(finding),
    severity: severityOf(finding),
    message: describeFinding(finding),
    ...fields,
  };
}

export function formatValidateReport(report: ValidateReport): string {
  const lines = report.checked.flatMap(formatPrefix);
  for (const { exportName, warning } of report.warnings) lines.push(`warning: ${exportName}: ${warning}`);
  if (report.errors.length > 0) lines.push("── errors ──");
  for (const { exportName, error } of report.errors) lines.push(`  ${exportName}: [${error.code}] ${error.error}`);
  return `${lines.join("\n")}\n`;
}

function formatPrefix({ exportName, uri, verification: v }: CheckedPrefix): string[] {
  const line = (name: string, value: string) => `  ${name.padEnd(10)} ${value}`;
  const known = `${v.partsContentVerified} by content, ${v.partsSizeOnly} by size only`;
  const values = v.depth === "full" ? `, ${v.partsValuesVerified} by values` : "";
  return [
    `── ${exportName} ──`,
    line("prefix", uri),
    line("depth", v.depth),
    line("status", statusOf(v)),
    ...(v.manifestFound
      ? [
        line("parts", `${v.partsVerified} verified (${known}${values}), ${v.partsFailed} failed`),
        line("rows", String(v.rows)),
      ]
      : []),
    line(
      "_SUCCESS",
      v.markerConsistent === null ? "absent (no signal)" : v.markerConsistent ? "consistent" : "INCONSISTENT",
    ),
    line("manifest", v.selfConsistent === null ? "none" : v.selfConsistent ? "consistent" : "INCONSISTENT"),
    ...v.findings.map((finding) =>
      `  ${severityOf(finding) === "advisory" ? "warning" : "failure"}: [${findingCode(finding)}] ${
        describeFinding(finding)
      }`
    ),
    ...unnamed(v),
  ];
}

/** Files that nothing names are named up to a limit; how many more there are is said. */
function unnamed(v: Verification): string[] {
  const told = v.findings.reduce(
    (sum, finding) =>
      sum + (finding.kind === "run_unfinished" ? finding.files : finding.kind === "untracked_object" ? 1 : 0),
    0,
  );
  const more = v.untrackedObjects - told;
  return more > 0 ? [`  warning: and ${more} more that no manifest names`] : [];
}

function statusOf(v: Verification): string {
  if (v.passed) return "PASSED";
  if (v.findings.some((finding) => severityOf(finding) !== "advisory")) return "FAILED";
  return v.isLegacy ? "NO MANIFEST (legacy files, nothing is known of their content)" : "NO MANIFEST";
}
