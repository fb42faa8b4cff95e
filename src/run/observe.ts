// One slice read without being stored: its rows are decoded and observed, or compared by key with those in its files.

import { RivetError } from "../errors.ts";
import type { Core, CsvSpec, Encoder } from "../core/mod.ts";
import type { Destination } from "../destination/mod.ts";
import type { KeysRequest, KeysResult, ObserveRequest, ObserveResult } from "../plan/mod.ts";
import type { ReadReport, RowSink, Source } from "../source/mod.ts";
import { KeyDifference } from "./key_difference.ts";

export interface ObserveTools {
  readonly source: Source;
  readonly core: Core;
  readonly signal: AbortSignal;
  /** Called after blocks, often. */
  onProgress(progress: { rows: number; bytesRead: number; bytesWritten: number }): void;
}

/** Reads one slice; nothing is encoded and nothing is written. */
export async function observeSlice(request: ObserveRequest, tools: ObserveTools): Promise<ObserveResult> {
  return await readInto(request, tools, () => {});
}

/** Compares a slice of the source with the files that hold it. Memory grows with the rows of the slice. */
export async function compareKeys(
  request: KeysRequest,
  tools: ObserveTools & { readonly destination: Destination },
): Promise<KeysResult> {
  const difference = new KeyDifference();
  for (const part of request.parts) await readPartKeys(request, part, tools, (bytes) => difference.addStored(bytes));
  difference.endStored();
  await readInto(request.source, tools, (bytes) => difference.addSource(bytes));
  return difference.finish(request.keysMax);
}

async function readInto(
  request: ObserveRequest,
  tools: ObserveTools,
  output: (bytes: Uint8Array) => void,
): Promise<ObserveResult> {
  const { source, core } = tools;
  const encoder = core.openEncoder({ ...request.encoder, framing: source.framing, columns: request.columns });
  let bytesRead = 0;
  let control: Uint8Array[] = [];
  const sink: RowSink = {
    room: (bytes) => encoder.room(bytes),
    wrote(bytes) {
      bytesRead += bytes;
      encoder.wrote(bytes);
      for (let next = encoder.takeControl(); next !== null; next = encoder.takeControl()) control.push(next);
      drain(encoder, output);
      tools.onProgress({ rows: 0, bytesRead, bytesWritten: 0 });
    },
    control: () => control.shift() ?? null,
  };
  try {
    const wires = request.columns.map((column) => column.wire);
    const report = await source.read(request.sql, sink, { ...request.read, wires, signal: tools.signal });
    control = [];
    const observations = encoder.finish(false);
    drain(encoder, output);
    checkRows(report, observations.rows + observations.skipped);
    return { observations, report };
  } finally {
    encoder.close();
  }
}

function drain(encoder: Encoder, output: (bytes: Uint8Array) => void): void {
  for (;;) {
    const bytes = encoder.takeOutput();
    if (bytes !== null) output(bytes);
    else if (encoder.takePart() === null) return;
  }
}

function checkRows(report: ReadReport, decoded: number): void {
  if (report.rows === decoded) return;
  throw new RivetError(
    "RIVET_INTERNAL_SOURCE_INVARIANT",
    `The source sent ${report.rows} rows, ${decoded} were decoded`,
  );
}

/** The compression may have been edited since; the name of a file tells its own. */
function toCsvSpec(csv: CsvSpec | null, key: string): CsvSpec | undefined {
  if (csv === null) return undefined;
  return { ...csv, codec: key.endsWith(".gz") ? "gzip" : key.endsWith(".zst") ? "zstd" : "none" };
}

/** Streams a stored file through the core's reader, in the ranges that it asks for. */
async function readPartKeys(
  request: KeysRequest,
  part: { readonly key: string; readonly size: number },
  tools: ObserveTools & { readonly destination: Destination },
  output: (bytes: Uint8Array) => void,
): Promise<void> {
  const { destination, core, signal } = tools;
  const reader = core.openReader();
  const columns = request.source.columns.filter((column) => column.name !== request.source.encoder.edge?.column)
    .map(({ hidden: _, ...column }) => column);
  try {
    reader.open(part.size, columns, request.keys, toCsvSpec(request.csv, part.key));
    for (let need = reader.need(); need !== null; need = reader.need()) {
      signal.throwIfAborted();
      const stream = await destination.get(part.key, need);
      if (stream === null) {
        throw new RivetError("RIVET_VERIFY_PART_MISSING", `part '${part.key}' is missing`, { where: destination.uri });
      }
      for await (const bytes of stream) reader.give(bytes);
      for (let rows = reader.takeRows(); rows !== null; rows = reader.takeRows()) output(rows);
    }
    reader.finish();
    for (let rows = reader.takeRows(); rows !== null; rows = reader.takeRows()) output(rows);
  } finally {
    reader.close();
  }
}
