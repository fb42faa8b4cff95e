// A report file that a repair is given: one of `reconcile`, or one of `validate`. Pure.

import { RivetError } from "../errors.ts";
import { parseReconcileReport, type ReconcileReport } from "./reconcile_report.ts";
import type { FindingJson, ValidateJson } from "./report.ts";

/** A finding as the JSON of `validate` has it. */
export interface StoredFailure {
  /** The export, or one of its partitions. */
  readonly unitName: string;
  readonly runIds: readonly string[];
  readonly failure: FindingJson & { readonly path?: string; readonly run_id?: string };
}

export type GivenReport =
  | { readonly kind: "reconcile"; readonly report: ReconcileReport }
  | { readonly kind: "validate"; readonly failures: readonly StoredFailure[] };

/**
 * Reads a report file; `where` is its path, `maker` the command line that makes a report of this export. Of a report of `validate`, only
 * what is about this export counts.
 */
export function parseGivenReport(text: string, where: string, exportName: string, maker: string): GivenReport {
  const cure = `Make one with \`${maker}\``;
  const validate = parseValidate(text);
  if (validate === null) return { kind: "reconcile", report: parseReconcileReport(text, where, cure) };
  const own = validate.exports.filter(({ export_name: name }) =>
    name === exportName || name.startsWith(`${exportName}__`)
  );
  if (own.length === 0) {
    throw new RivetError("RIVET_CLI_REPORT_INVALID", `The report says nothing of export '${exportName}'`, {
      where,
      cure,
    });
  }
  return {
    kind: "validate",
    failures: own.flatMap(({ export_name: unitName, verification }) =>
      verification.failures.map((failure) => ({
        unitName,
        runIds: verification.run_ids,
        failure: failure as StoredFailure["failure"],
      }))
    ),
  };
}

/** Null for what is no report of `validate`. */
function parseValidate(text: string): ValidateJson | null {
  try {
    const value = JSON.parse(text) as Partial<ValidateJson> | null;
    const isReport = typeof value === "object" && value !== null && Array.isArray(value.exports) &&
      value.exports.every((entry) => Array.isArray(entry?.verification?.failures));
    return isReport ? value as ValidateJson : null;
  } catch {
    return null;
  }
}
