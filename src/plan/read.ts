// How a slice is read: one statement and one set of decoded columns, the same for the export and for every later check of it.

import type { RivetError } from "../errors.ts";
import type { ColumnSpec, CsvSpec, EdgeSpec, EncoderSpec, SliceObservations } from "../core/mod.ts";
import {
  buildSelect,
  type Engine,
  type HiddenColumn,
  type ReadOptions,
  type ReadReport,
  type Source,
  type SourceConnection,
} from "../source/mod.ts";
import { formatType } from "../types/mod.ts";
import type { Slice, Task } from "./task.ts";
import { EDGE_COLUMN, edgeOf, findCursor } from "./window.ts";

const MIB = 1 << 20;

/** What all slices of a task share when they are read. */
export interface ReadShape {
  /** In wire order, the hidden edge column last. */
  readonly columns: readonly ColumnSpec[];
  readonly hidden: readonly HiddenColumn[];
  readonly edge: EdgeSpec | null;
}

export function buildReadShape(task: Task, zeroDates: "fail" | "null"): ReadShape {
  const columns: ColumnSpec[] = task.columns.map((column) => ({
    name: column.name,
    type: column.type === null ? "string" : formatType(column.type),
    wire: column.wire,
    ...(task.source === "mysql" ? { zeroDates } : {}),
    metadata: {
      "rivet.native_type": column.nativeType,
      "rivet.fidelity": column.fidelity,
      ...logicalName(column.type?.kind ?? ""),
    },
  }));
  const hidden = edgeFor(task, task.source);
  if (hidden === null) return { columns, hidden: [], edge: null };
  const wire = task.source === "postgres" ? "int4" : "text";
  columns.push({ name: EDGE_COLUMN, type: "int32", wire, hidden: true });
  return { columns, hidden: [hidden], edge: { column: EDGE_COLUMN, known: task.window?.previous?.edge ?? {} } };
}

function edgeFor(task: Task, engine: Engine): HiddenColumn | null {
  if (task.window === null || task.export.incremental === null) return null;
  const context = { query: task.query, shape: { columns: task.columns }, filters: [], where: "" };
  return edgeOf(engine, findCursor(context, task.export.incremental), task.window);
}

/** Only types that the file's own type does not tell are named. */
function logicalName(kind: string): Record<string, string> {
  return ["json", "uuid", "enum", "interval"].includes(kind) ? { "rivet.logical_type": kind } : {};
}

/** The statement that reads one slice. */
export function sliceSelect(task: Task, shape: ReadShape, slice: Pick<Slice, "bounds">): string {
  return buildSelect(task.source, {
    query: task.query,
    columns: task.columns,
    hidden: shape.hidden,
    where: slice.bounds === null ? task.filters : [...task.filters, slice.bounds],
  });
}

export function readOptions(task: Task): Omit<ReadOptions, "signal"> {
  const { tuning } = task.export;
  const { maxValueBytes } = task.encoder;
  return {
    batchRows: tuning.batchRows,
    batchBytes: (tuning.batchMemoryMb ?? 32) * MIB,
    throttleMs: tuning.throttleMs,
    // The core refuses such a value too, but a driver that hands values over whole would hold it by then.
    ...(maxValueBytes === undefined ? {} : { maxValueBytes }),
  };
}

/** A slice to be read without being stored. Structured-clonable. */
export interface ObserveRequest {
  readonly index: number;
  readonly sql: string;
  readonly columns: readonly ColumnSpec[];
  readonly encoder: Omit<EncoderSpec, "framing" | "columns">;
  readonly read: Omit<ReadOptions, "signal">;
}

export interface ObserveResult {
  readonly observations: SliceObservations;
  readonly report: ReadReport;
}

/** The slice read as the export read it, its rows only observed. */
export function toObserveRequest(task: Task, shape: ReadShape, slice: Slice): ObserveRequest {
  const { maxValueBytes } = task.encoder;
  return {
    index: slice.index,
    sql: sliceSelect(task, shape, slice),
    columns: shape.columns,
    encoder: {
      format: { kind: "none" },
      ...(maxValueBytes === undefined ? {} : { maxValueBytes }),
      ...(shape.edge === null ? {} : { edge: shape.edge }),
      createdBy: task.encoder.createdBy,
    },
    read: readOptions(task),
  };
}

/** Slices of a finished run to be read again in one picture. */
export interface RereadInput {
  readonly task: Task;
  readonly slices: readonly Slice[];
  readonly connection: SourceConnection;
  /** Holds the picture open; `token` is what lanes join. */
  readonly source: Source;
  readonly token: string | null;
  readonly onSlice: (slice: Slice, result: ObserveResult) => void;
}

/** The rows of a slice in the source against those in its files, by key. */
export interface KeysRequest {
  /** Reads the slice and writes, as CSV without a header, the key columns and the row's hash. */
  readonly source: ObserveRequest;
  readonly keys: readonly string[];
  readonly parts: readonly { readonly key: string; readonly size: number }[];
  /** How the parts were written where they are CSV; null for Parquet. */
  readonly csv: CsvSpec | null;
  /** Keys told of each sort, at most. */
  readonly keysMax: number;
}

/** Keys as the fields of one CSV line. `changed` are in both, with other values. */
export interface KeysResult {
  readonly missing: readonly string[];
  readonly extra: readonly string[];
  readonly changed: readonly string[];
  readonly counts: { readonly missing: number; readonly extra: number; readonly changed: number };
}

/** What became of one request: trouble with one slice does not undo the others. */
export type KeysOutcome =
  | { readonly kind: "compared"; readonly result: KeysResult }
  | { readonly kind: "failed"; readonly error: RivetError };

/** The slice read as CSV lines of its keys and each row's hash. `keys` are in the order of the columns. */
export function toKeysSource(task: Task, shape: ReadShape, slice: Slice, keys: readonly string[]): ObserveRequest {
  const plain = toObserveRequest(task, shape, slice);
  return {
    ...plain,
    columns: shape.columns.map((column) => ({ ...column, hidden: !keys.includes(column.name) })),
    encoder: {
      ...plain.encoder,
      format: { kind: "csv", codec: "none", header: false },
      rowHash: task.columns.map((column) => column.name),
    },
  };
}
