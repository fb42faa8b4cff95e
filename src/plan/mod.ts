// The door of plan/: pure but for the catalog.

export {
  askBeforePicture,
  type BeforePicture,
  buildTask,
  lanesFor,
  type PlanContext,
  type StoredPlan,
  type StoredProgress,
  toQuery,
  type Unit,
} from "./build.ts";
export { expandUnits, NULL_PARTITION } from "./partition.ts";
export { describeCursor, fingerprint } from "./definition.ts";
export { EDGE_COLUMN, edgeOf, findCursor } from "./window.ts";
export { type CursorWindow, fromSliceIntent, type Slice, type Strategy, type Task, toSliceIntent } from "./task.ts";
export { checkRules } from "./rules.ts";
export { buildSlices, countSlices, type Layout } from "./layout.ts";
export {
  type Admission,
  admit,
  type ColumnDrift,
  type ColumnName,
  columnNames,
  findColumnDrift,
  planIdOf,
  type SealedTask,
  type SealedWindow,
} from "./sealed.ts";
