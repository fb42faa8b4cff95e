// What the journal keeps of an event. Pure.

import type { RunEvent } from "../report/mod.ts";

/** An event in the journal's form, one key naming it; null for what the journal does not keep. */
export function toJournal(event: RunEvent): Record<string, unknown> | null {
  switch (event.kind) {
    case "run_started":
      return {
        PlanResolved: {
          mode: event.mode,
          strategy: event.strategy,
          chunks: event.slices,
          lanes: event.lanes,
          resumed: event.resumed,
          destination: event.destination,
          capabilities: event.capabilities,
        },
      };
    case "slice_started":
      return {
        ChunkStarted: {
          chunk_index: event.index,
          start_key: event.startKey,
          end_key: event.endKey,
          attempt: event.attempt,
        },
      };
    case "slice_completed":
      return { ChunkCompleted: { chunk_index: event.index, rows: event.rows, files: event.files } };
    case "slice_failed":
      return {
        ChunkFailed: {
          chunk_index: event.index,
          error: event.error,
          code: event.code,
          attempt: event.attempt,
          retry_in_ms: event.retryInMs,
        },
      };
    case "file_written":
      return {
        FileWritten: { file_name: event.fileName, rows: event.rows, bytes: event.bytes, part_index: event.partIndex },
      };
    case "schema_changed":
      return { SchemaChanged: { added: event.added, removed: event.removed, type_changed: event.retyped } };
    case "quality":
      return { QualityIssue: { severity: event.severity, message: event.message } };
    case "warning":
      return { Warning: { context: event.context, message: event.message } };
    case "validated":
      return { ValidationResult: { passed: event.passed } };
    case "reconciled":
      return {
        ReconciliationResult: {
          source_count: event.sourceCount,
          exported_rows: event.exportedRows,
          matched: event.matched,
        },
      };
    case "run_finished":
      return {
        RunCompleted: {
          status: event.summary.status,
          error_message: event.summary.error?.error ?? null,
          duration_ms: event.summary.duration_ms,
        },
      };
    case "waiting":
    case "progress":
      return null;
    default: {
      const never: never = event;
      return never;
    }
  }
}
