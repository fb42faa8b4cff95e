// What the engine remembers between and during runs. Every method is one transaction; nothing here decides what to write.

import type { PartObservations, SliceObservations } from "../core/mod.ts";

/** Whose progress a row is: an export's name in one source. Two configs with one export name on two sources never meet. */
export interface ExportKey {
  readonly exportName: string;
  /** Engine, host, port and database, or the file; no user and no secret. */
  readonly source: string;
}

/** Who holds a lease: shown to whoever waits for it. */
export interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Start of the process as the operating system tells it, so that a reused pid is not taken for the old process. Empty when unknown. */
  readonly processStart: string;
  /** Random, new for every lease taken. */
  readonly token: string;
  readonly runId: string | null;
}

export type LeaseResult =
  | { readonly kind: "taken"; readonly lease: Lease; readonly previous: Holder | null }
  | { readonly kind: "held"; readonly holder: Holder; readonly expiresAt: number };

export interface Lease {
  readonly key: ExportKey;
  readonly holder: Holder;
}

/** The stored cursor with what it was taken from. Strings compare equal or the run refuses. */
export interface CursorState {
  readonly value: string;
  readonly lastRunAt: string;
  readonly definition: CursorDefinition;
  /** Hashes of the rows at the upper edge that were exported already → count. */
  readonly edge: Readonly<Record<string, number>>;
}

export interface CursorDefinition {
  /** `updated_at`, or `coalesce(updated_at,created_at)`. */
  readonly column: string;
  readonly columnType: string;
  readonly mode: string;
  /** Relation or normalised query text before `${}` substitution. */
  readonly stream: string;
  /** The destination as written, placeholders unexpanded. */
  readonly destination: string;
  readonly format: string;
}

export type RunStatus = "in_progress" | "completed" | "failed" | "interrupted";
export type SliceStatus = "pending" | "running" | "completed" | "failed";

/** A run's intent, recorded before its first slice. */
export interface RunIntent {
  readonly runId: string;
  readonly key: ExportKey;
  /** Fingerprint of everything that must not change between a crash and its resume. */
  readonly planHash: string;
  /** Why two fingerprints differ can be told from this: setting → value, no secrets. */
  readonly definition: Readonly<Record<string, string>>;
  readonly mode: string;
  readonly startedAt: string;
  /** Where parts go, expanded. */
  readonly destinationUri: string;
  readonly consistency: "snapshot" | "slice" | "none";
  readonly maxAttempts: number;
  /** Plan facts the resume needs again: window bounds, cursor bounds, columns. JSON, no secrets. */
  readonly planJson: string;
  readonly rivetVersion: string;
}

export interface StoredRun extends RunIntent {
  readonly status: RunStatus;
  /** How often it was resumed. */
  readonly takeovers: number;
  readonly updatedAt: string;
}

export interface SliceIntent {
  readonly index: number;
  readonly id: string;
  /** For people: the bounds as text, null = open. */
  readonly startKey: string | null;
  readonly endKey: string | null;
  /** The bounds as data (JSON). */
  readonly boundsJson: string;
}

export interface StoredSlice extends SliceIntent {
  readonly status: SliceStatus;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly rows: number;
  readonly observations: SliceObservations | null;
  readonly updatedAt: string;
}

/** One committed file. */
export interface StoredPart {
  readonly sliceIndex: number;
  /** Key below the destination's prefix. */
  readonly fileName: string;
  readonly observations: PartObservations;
  /** Digests the store vouched for at upload. */
  readonly digests: Readonly<Record<string, string>>;
  readonly createdAt: string;
}

/** What a run has committed so far. */
export interface Committed {
  readonly slices: number;
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
}

export interface SliceCommit {
  readonly index: number;
  readonly attempt: number;
  readonly parts: readonly StoredPart[];
  readonly observations: SliceObservations;
}

/** The row of `export_metrics`; snake_case as in the table, all columns optional but these. */
export interface MetricRow {
  export_name: string;
  run_id: string;
  run_at: string;
  status: "running" | "success" | "failed" | "skipped" | "interrupted";
  duration_ms: number;
  total_rows: number;
  [column: string]: string | number | boolean | null;
}

export interface JournalEntry {
  readonly recordedAt: string;
  /** Externally tagged: `{"FileWritten": {...}}`. */
  readonly event: Readonly<Record<string, unknown>>;
}

export interface StoredEntry extends JournalEntry {
  readonly id: number;
}

/** What ends a successful run, all in one transaction. */
export interface TaskCommit {
  readonly runId: string;
  readonly key: ExportKey;
  /** Null leaves the cursor as it is. */
  readonly cursor: CursorState | null;
  readonly committed:
    | { readonly strategy: string; readonly cursor: string | null; readonly chunkIndex: number | null }
    | null;
  readonly schema: readonly { readonly name: string; readonly type: string }[] | null;
  readonly shape: Readonly<Record<string, number>>;
  readonly metric: MetricRow;
}

/** What ends a repair, all in one transaction. */
export interface RepairCommit {
  /** The repair, a run of mode `repair` whose slices have the indexes of those they replace. */
  readonly runId: string;
  /** The completed run that is repaired. */
  readonly repairs: string;
  readonly key: ExportKey;
  /** The repaired run's, as it is from now on. */
  readonly planJson: string;
  readonly consistency: RunIntent["consistency"];
  /** The rows at the upper edge, where the stored cursor is the repaired run's; null leaves them. */
  readonly edge: Readonly<Record<string, number>> | null;
  readonly metric: MetricRow;
}

/** The mode under which a repair is recorded: it is found by its own id, never as the latest run of its export. */
export const REPAIR_MODE = "repair";

export interface Progression {
  readonly export_name: string;
  readonly last_committed_strategy: string | null;
  readonly last_committed_cursor: string | null;
  readonly last_committed_chunk_index: number | null;
  readonly last_committed_run_id: string | null;
  readonly last_committed_at: string | null;
  readonly last_verified_strategy: string | null;
  readonly last_verified_cursor: string | null;
  readonly last_verified_chunk_index: number | null;
  readonly last_verified_run_id: string | null;
  readonly last_verified_at: string | null;
}

/** One row of `file_log` as commands show it. */
export interface FileRow {
  run_id: string;
  export_name: string;
  file_name: string;
  row_count: number;
  bytes: number;
  format: string;
  compression: string;
  created_at: string;
}

export interface State extends AsyncDisposable {
  /** For people: a path or a URL without secrets. */
  readonly location: string;

  /** Takes the lease when it is free, expired, ours, or held by a process that is provably dead on this host (`isDead`). */
  takeLease(key: ExportKey, holder: Holder, ttlMs: number, isDead: (holder: Holder) => boolean): Promise<LeaseResult>;
  /** False when the lease is no longer ours. */
  renewLease(lease: Lease, ttlMs: number): Promise<boolean>;
  releaseLease(lease: Lease): Promise<void>;

  cursor(key: ExportKey): Promise<CursorState | null>;
  schema(key: ExportKey): Promise<{ name: string; type: string }[] | null>;
  shape(key: ExportKey): Promise<Record<string, number>>;
  /** The run that the next one finishes: in progress, or ended resumable. At most one for each export. */
  openRun(key: ExportKey): Promise<StoredRun | null>;
  run(runId: string): Promise<StoredRun | null>;
  /** Repairs are left out: they belong to the run that they repair. */
  latestRun(key: ExportKey, status?: RunStatus): Promise<StoredRun | null>;
  runs(filter: { exportName?: string; running?: boolean; limit: number }): Promise<StoredRun[]>;
  /** Names of this source that begin with a prefix and have runs: the partitions of an export. */
  exportNames(source: string, prefix: string): Promise<string[]>;

  /** Records the run and all its slices together, or nothing. RIVET_STATE_CHUNK_RUN_UNFINISHED while the export has an open run. */
  beginRun(intent: RunIntent, slices: Iterable<SliceIntent>, lease: Lease): Promise<void>;
  /** Takes an open run over: running and failed slices become pending again, attempts start anew. Returns its new `takeovers`. */
  resumeRun(runId: string, lease: Lease): Promise<number>;
  /** What the parts committed so far and from now on are to each other, for whoever finishes the run. */
  setConsistency(runId: string, level: RunIntent["consistency"], lease: Lease): Promise<void>;
  slices(runId: string): Promise<StoredSlice[]>;
  /** The next page of them after an index, in order; none at the end. The first comes after -1. */
  slicesAfter(runId: string, index: number): Promise<StoredSlice[]>;
  parts(runId: string): Promise<StoredPart[]>;
  /** Those of the slices from one index to another, both included. */
  partsBetween(runId: string, first: number, last: number): Promise<StoredPart[]>;
  /** What the parts of a run come to, without reading them one by one. */
  committed(runId: string): Promise<Committed>;
  /** The lowest pending slices, or failed ones with attempts left, now running; none when there are none. Safe between processes. */
  claimSlices(runId: string, slicesMax: number, lease: Lease): Promise<StoredSlice[]>;
  /** Ledger rows and slices done together, only while the lease is held: RIVET_STATE_LEASE_LOST otherwise. Replaces earlier commits of the slices. */
  commitSlices(
    runId: string,
    commits: readonly SliceCommit[],
    format: { format: string; compression: string },
    lease: Lease,
  ): Promise<void>;
  /** Claimed slices that nobody began to read, back to pending; the claim is not counted as an attempt. */
  returnSlices(runId: string, indexes: readonly number[], lease: Lease): Promise<void>;
  /** `final` means no further attempt. */
  failSlice(runId: string, index: number, error: string, final: boolean, lease: Lease): Promise<void>;
  /** Back to pending, its parts forgotten. */
  resetSlices(runId: string, indexes: readonly number[], lease: Lease): Promise<void>;
  /** Slices that were added to a run while it was resumed. */
  addSlices(runId: string, slices: readonly SliceIntent[], lease: Lease): Promise<void>;

  /** Repeating it for a run that is completed already changes nothing. */
  commitTask(commit: TaskCommit, lease: Lease): Promise<void>;
  /** Ends a repair: its slices and parts replace those of the run it repairs. Cursor value and committed boundary stay. */
  commitRepair(commit: RepairCommit, lease: Lease): Promise<void>;
  /**
   * Ends a run without success; a completed one stays completed. One that is not `resumable` is never resumed: the parts it left are
   * listed by `abandonedParts`. Without a metric, the row of the attempt under way gets this status.
   */
  endRun(
    runId: string,
    status: "failed" | "interrupted",
    resumable: boolean,
    metric: MetricRow | null,
    lease: Lease | null,
  ): Promise<void>;
  /** Keys of files that runs which will never finish committed to exactly this destination. */
  abandonedParts(destinationUri: string): Promise<{ runId: string; fileName: string }[]>;
  forgetAbandonedParts(runId: string): Promise<void>;

  /** Appends events while the run goes on, so that a killed run has a journal. */
  record(runId: string, exportName: string, events: readonly JournalEntry[]): Promise<void>;
  /** The next page of a run's journal after an entry, in order; none at the end. The first comes after 0. */
  journalAfter(runId: string, id: number): Promise<StoredEntry[]>;
  /** Newest run first; `finishedAt` is null for a run that was killed or still goes on. */
  journals(exportName: string, limit: number): Promise<{ runId: string; finishedAt: string | null }[]>;

  /** Replaces the `running` row of this run, which `beginRun` and `resumeRun` write. What has no column is kept as JSON. */
  putMetric(row: MetricRow): Promise<void>;
  metrics(filter: { exportName?: string; limit: number }): Promise<MetricRow[]>;
  files(filter: { exportName?: string; limit: number }): Promise<FileRow[]>;
  progression(exportName?: string): Promise<Progression[]>;
  /**
   * RIVET_STATE_CHUNK_RUN_MISSING unless the run is a completed one of this export. An older run never takes the place of the last
   * committed one.
   */
  recordVerified(
    key: ExportKey,
    verified: { strategy: string; cursor: string | null; chunkIndex: number | null; runId: string },
  ): Promise<void>;
  /** The run was found to differ from its source: where it is the one that was verified last, nothing is. */
  withdrawVerified(runId: string): Promise<void>;
  cursors(exportName?: string): Promise<({ key: ExportKey } & CursorState)[]>;

  resetCursor(key: ExportKey): Promise<boolean>;
  /** Rebinds the stored cursor to a new definition; the value stays. */
  acceptCursor(key: ExportKey, definition: CursorDefinition): Promise<boolean>;
  /** Marks open runs abandoned and returns their ids; `stuck` spares those whose lease is alive. */
  resetChunks(filter: { key?: ExportKey; exportName?: string; stuck?: boolean }): Promise<string[]>;
  recordAggregate(row: Readonly<Record<string, string | number>>): Promise<void>;
  /** Forgets what is older and over; open runs, the last completed run of each export and abandoned parts stay. */
  vacuum(keepDays: number): Promise<{ removed: number }>;
}
