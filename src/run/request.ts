// What a lane is told about a slice: its statements, how to encode it, and the names of its files.

import type { EncoderSpec } from "../core/mod.ts";
import { buildReadShape, readOptions, type ReadShape, type Slice, sliceSelect } from "../plan/mod.ts";
import type { Predicate } from "../source/mod.ts";
import type { Intent, Run } from "./run.ts";
import type { SliceRequest } from "./slice.ts";

/** What all slices of a run share. */
export interface Template {
  readonly shape: ReadShape;
  readonly encoder: Omit<EncoderSpec, "framing" | "columns">;
  readonly stem: string;
}

export async function toTemplate(run: Run): Promise<Template> {
  const { task, state, runId, context } = run;
  const stored = await state.run(runId);
  const intent = JSON.parse(stored?.planJson ?? "{}") as Partial<Intent>;
  const shape = buildReadShape(task, context.config.source.zeroDates);
  return {
    shape,
    encoder: {
      ...task.encoder,
      ...(task.encoder.rowHash === undefined || task.encoder.rowHash.length > 0
        ? {}
        : { rowHash: task.columns.map((c) => c.name) }),
      ...(task.export.meta.exportedAt ? { exportedAtUs: intent.exportedAtUs ?? context.runtime.now() * 1000 } : {}),
      ...(shape.edge === null ? {} : { edge: shape.edge }),
    },
    stem: stemOf(task.name, runId),
  };
}

/** `<export>_<YYYYMMDD>_<HHMMSS>_<mmm>_<pid>`, from the run id, so that a slice that runs again overwrites itself. */
export function stemOf(name: string, runId: string): string {
  const tag = runId.slice(name.length + 1);
  const match = /^(\d{8})T(\d{6})\.(\d{3})_(\d+)$/.exec(tag);
  const plain = match === null ? tag : match.slice(1).join("_");
  return `${name}_${plain}`.replace(/[^\p{L}\p{N}._-]/gu, "-");
}

export function toRequest(
  run: Run,
  slice: Slice,
  ranges: readonly (Predicate | null)[],
  template: Template,
  attempt: number,
): SliceRequest {
  const { task } = run;
  const { format } = task.export;
  const keyStem = keyStemOf(template.stem, slice);
  return {
    index: slice.index,
    statements: ranges.map((bounds) => sliceSelect(task, template.shape, { bounds })),
    columns: template.shape.columns,
    encoder: template.encoder,
    keyStem,
    takeover: run.takeovers,
    extension: extensionOf(format.kind, format.codec),
    contentType: contentTypeOf(format.kind, format.codec),
    // A stream without rows still tells its reader the columns.
    emptyFile: task.export.destination.kind === "stdout",
    clean: attempt > 1 || (run.resumed && (run.leftovers?.has(keyStem) ?? true)),
    read: readOptions(task),
  };
}

/** The key of a slice's first file without its extension, and without what tells takeovers apart. */
export function keyStemOf(stem: string, slice: Slice): string {
  return slice.id === "w" ? stem : `${stem}_${sliceName(slice)}`;
}

/** Ranges keep the name people know them by. */
function sliceName(slice: Slice): string {
  return slice.id.startsWith("c")
    ? `chunk${slice.index}`
    : slice.id.startsWith("k")
    ? `keyset${slice.index}`
    : slice.id;
}

function extensionOf(kind: "parquet" | "csv", codec: string): string {
  if (kind === "parquet") return ".parquet";
  return codec === "gzip" ? ".csv.gz" : codec === "zstd" ? ".csv.zst" : ".csv";
}

/** What the stored bytes are; a store must not take a compressed file for one that it should unpack on the way out. */
function contentTypeOf(kind: "parquet" | "csv", codec: string): string {
  if (kind === "parquet") return "application/vnd.apache.parquet";
  return codec === "gzip" ? "application/gzip" : codec === "zstd" ? "application/zstd" : "text/csv; charset=utf-8";
}
