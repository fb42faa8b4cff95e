// The door of plan/: pure but for the catalog.

export {
  askBeforePicture,
  type BeforePicture,
  buildTask,
  dayOf,
  lanesFor,
  type PlanContext,
  resolvePlace,
  type StoredPlan,
  type StoredProgress,
  toQuery,
  type Unit,
} from "./build.ts";
export { expandUnits, NULL_PARTITION, unitName } from "./partition.ts";
export {
  boundsFingerprint,
  checkBounds,
  describeCursor,
  fingerprint,
  isOtherCursor,
  type Purpose,
} from "./definition.ts";
export { narrowSlice } from "./narrow.ts";
export { findCursor } from "./window.ts";
export {
  buildReadShape,
  type KeysOutcome,
  type KeysRequest,
  type KeysResult,
  type ObserveRequest,
  type ObserveResult,
  readOptions,
  type ReadShape,
  type RereadInput,
  sliceSelect,
  toKeysSource,
  toObserveRequest,
} from "./read.ts";
export {
  type CursorWindow,
  fromSliceIntent,
  fromSliceIntents,
  type Slice,
  type Strategy,
  type Task,
  toSliceIntent,
} from "./task.ts";
export { buildSlices, countSlices, type Layout } from "./layout.ts";
export {
  type Admission,
  admit,
  type ColumnDrift,
  type ColumnName,
  columnNames,
  EXPIRES_AFTER_MS,
  findColumnDrift,
  planIdOf,
  type SealedTask,
  type SealedWindow,
} from "./sealed.ts";
export { checkRules, findRules, type Rule } from "./rules.ts";
export {
  type Advice,
  type AdviceInput,
  type AdviceWarning,
  advise,
  type Breach,
  estimatePeakMb,
  MEMORY_BUDGET_MB,
  type Profile,
  type Verdict,
} from "./advise.ts";
export {
  ARTIFACT_FORMAT,
  buildArtifactSchema,
  formatArtifact,
  parseArtifact,
  type PlanArtifact,
  type PlannedExport,
  sealArtifact,
} from "./artifact.ts";
export { type Campaign, orderExports, type Recommendation } from "./order.ts";
export { probePicture, type Proposal, proposeAll, proposeExport } from "./propose.ts";
export { toOrderInput, toPlannedExport, toUnits } from "./seal.ts";
export { type Diagnosis, type Examination, examineExport, type Remembered, type RowEstimate } from "./examine.ts";
export { preflight, type PreflightCheck, type PreflightContext } from "./preflight.ts";
export { buildTypeReport, type ReportedColumn, type TypeReport, type TypeViolation } from "./type_report.ts";
