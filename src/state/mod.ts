// The door of state/.

export { slicePages } from "./pages.ts";
export { type LateState, openStateLater } from "./late.ts";
export { type CopyOptions, type CopyReport, copyState } from "./copy.ts";
export { inspectState, type StateInspection } from "./inspect.ts";
export { type StateNeeds, stateNeeds } from "./needs.ts";
export { openState, type OpenStateOptions, STATE_FILE } from "./open.ts";
export { REPAIR_MODE } from "./state.ts";
export type {
  CursorDefinition,
  CursorState,
  ExportKey,
  FileRow,
  Holder,
  JournalEntry,
  Lease,
  LeaseResult,
  MetricRow,
  Progression,
  RepairCommit,
  RunIntent,
  RunStatus,
  SliceCommit,
  SliceIntent,
  SliceStatus,
  State,
  StoredEntry,
  StoredPart,
  StoredRun,
  StoredSlice,
  TaskCommit,
} from "./state.ts";
