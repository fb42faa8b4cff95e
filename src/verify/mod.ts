// The door of verify/: what lies at a destination against what its manifests say, and what was exported against its source.

export {
  type CheckedPrefix,
  validateExitCode,
  validateExports,
  validateFailure,
  type ValidateQuestion,
  type ValidateReport,
} from "./exports.ts";
export { formatValidateReport, toValidateJson, type ValidateJson, type VerificationJson } from "./report.ts";
export { findPlaces, type Place, type PlaceQuestion } from "./place.ts";
export { describeFinding, type Finding, findingCode, type PartFinding, type Severity, severityOf } from "./finding.ts";
export { checkParts, committedParts, type NamedPart, type PartCheck } from "./part.ts";
export { type NamedManifest, type Prefix, type PrefixQuestion, readPrefix } from "./prefix.ts";
export { type Depth, type ValidateOptions, validatePrefix, type Verification } from "./validate.ts";
export { checkPartValues, type PartValues, readPartValues, whyNotComparable } from "./values.ts";
export { type ReconcileContext, type ReconcileDepth, reconcileExport, type ReconcileOptions } from "./reconcile.ts";
export {
  formatReconcile,
  parseReconcileReport,
  type PartitionCheck,
  reconcileExitCode,
  type ReconcileReport,
} from "./reconcile_report.ts";
export { executeRepair, planRepair, type RepairContext, type RepairOptions } from "./repair.ts";
export {
  formatRepairPlan,
  formatRepairReport,
  type RepairAction,
  type RepairPlan,
  type RepairReport,
} from "./repair_report.ts";
export { type GivenReport, parseGivenReport } from "./given_report.ts";
