// The door of state/.

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
  RunIntent,
  RunStatus,
  SliceCommit,
  SliceIntent,
  SliceStatus,
  State,
  StoredPart,
  StoredRun,
  StoredSlice,
  TaskCommit,
} from "./state.ts";
