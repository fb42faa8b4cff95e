// What happens in a run, as data: the journal, the terminal, NDJSON and the summary are all made from these.

export type RunEvent =
  | {
    readonly kind: "run_started";
    readonly exportName: string;
    readonly runId: string;
    readonly mode: string;
    readonly strategy: string;
    readonly resumed: boolean;
    readonly slices: number;
    /** Of an interrupted run that is resumed: what need not be read again. */
    readonly slicesKept: number;
    readonly rowsKept: number;
    readonly lanes: number;
    readonly rowsEstimate: number | null;
    readonly tuningProfile: string;
    readonly batchRows: number;
    readonly destination: string;
    /** `commit_protocol=… idempotent_overwrite=… retry_safe=… partial_write_risk=…` */
    readonly capabilities: string;
  }
  | { readonly kind: "waiting"; readonly exportName: string; readonly holder: string; readonly seconds: number }
  | {
    readonly kind: "slice_started";
    readonly exportName: string;
    readonly index: number;
    readonly id: string;
    readonly startKey: string | null;
    readonly endKey: string | null;
    readonly attempt: number;
  }
  /** Sent a few times a second while rows flow; counts are of the slice so far. */
  | {
    readonly kind: "progress";
    readonly exportName: string;
    readonly index: number;
    readonly rows: number;
    readonly bytesRead: number;
    readonly bytesWritten: number;
  }
  | {
    readonly kind: "file_written";
    readonly exportName: string;
    readonly fileName: string;
    readonly rows: number;
    readonly bytes: number;
    readonly partIndex: number;
  }
  | {
    readonly kind: "slice_completed";
    readonly exportName: string;
    readonly index: number;
    readonly id: string;
    readonly rows: number;
    readonly files: number;
    readonly bytesRead: number;
    readonly bytesWritten: number;
  }
  | {
    readonly kind: "slice_failed";
    readonly exportName: string;
    readonly index: number;
    readonly id: string;
    readonly attempt: number;
    readonly code: string;
    readonly error: string;
    /** Null when it will not be tried again. */
    readonly retryInMs: number | null;
  }
  | { readonly kind: "warning"; readonly exportName: string; readonly context: string; readonly message: string }
  | {
    readonly kind: "schema_changed";
    readonly exportName: string;
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly retyped: readonly (readonly [string, string, string])[];
  }
  | {
    readonly kind: "quality";
    readonly exportName: string;
    readonly severity: "warn" | "fail";
    readonly message: string;
  }
  | { readonly kind: "validated"; readonly exportName: string; readonly passed: boolean; readonly parts: number }
  | {
    readonly kind: "reconciled";
    readonly exportName: string;
    readonly sourceCount: number | null;
    readonly exportedRows: number;
    readonly matched: boolean | null;
  }
  | { readonly kind: "run_finished"; readonly exportName: string; readonly summary: RunSummary };

/** One export's run as every output shows it. Durations in milliseconds, sizes in bytes, times RFC 3339 UTC. */
export interface RunSummary {
  readonly export_name: string;
  readonly run_id: string | null;
  readonly status: "success" | "failed" | "skipped" | "interrupted" | "already_applied";
  readonly skip_reason: string | null;
  /** The run that did what was asked for already. */
  readonly answered_by_run: string | null;
  readonly mode: string;
  readonly strategy: string;
  readonly consistency: "snapshot" | "slice" | "none" | null;
  readonly resumed: boolean;
  readonly started_at: string;
  readonly finished_at: string;
  readonly duration_ms: number;
  readonly source_engine: string;
  readonly destination_kind: string;
  readonly output: string | null;
  readonly format: string;
  readonly compression: string;
  readonly tuning_profile: string;
  readonly batch_size: number;
  readonly slices: number;
  /** Of them, those whose files are committed. */
  readonly slices_done: number;
  readonly lanes: number;
  /** Of a run that did not end, these three are what is committed so far. */
  readonly rows: number;
  /** Of the rows, those that an earlier process of the same run had committed: this one did not read them. */
  readonly rows_kept: number;
  readonly files: number;
  readonly bytes: number;
  readonly bytes_read: number;
  readonly peak_rss_mb: number;
  readonly retries: number;
  readonly longest_statement_ms: number;
  readonly cursor_low: string | null;
  readonly cursor_high: string | null;
  /** Which rules protected an incremental window against ties and late commits. */
  readonly protection: readonly string[];
  readonly validated: boolean | null;
  readonly reconciled: boolean | null;
  readonly source_count: number | null;
  readonly schema_changed: boolean;
  readonly quality_passed: boolean | null;
  readonly warnings: readonly string[];
  readonly error: SummaryError | null;
  readonly resumable: boolean;
  readonly resume_command: string | null;
}

export interface SummaryError {
  readonly code: string;
  readonly kind: string;
  readonly exit_code: number;
  readonly retryable: boolean;
  readonly error: string;
  readonly where: string | null;
  readonly cure: string;
}

/** Several exports in one call of `run` or `apply`. */
export interface AggregateSummary {
  readonly run_aggregate_id: string;
  readonly started_at: string;
  readonly finished_at: string;
  readonly duration_ms: number;
  readonly config_path: string;
  readonly parallel_mode: string;
  readonly total_exports: number;
  readonly success_count: number;
  readonly failed_count: number;
  readonly skipped_count: number;
  readonly total_rows: number;
  readonly total_files: number;
  readonly total_bytes: number;
  readonly total_bytes_read: number;
  /** The one command that goes on with all exports that a signal or a failure left; null where nothing is to be continued. */
  readonly resume_command: string | null;
  readonly per_export: readonly RunSummary[];
}

/** Takes events as they happen; must not throw and must not block the run. */
export type EventSink = (event: RunEvent) => void;
