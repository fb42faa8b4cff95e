// The first rows of a task, read and encoded as a run would and then forgotten: what a row weighs on the wire and in a file.

import type { Core } from "../core/mod.ts";
import type { Engine, RowSink, Source } from "../source/mod.ts";
import { buildReadShape, readOptions, sliceSelect } from "./read.ts";
import { countSlices, sliceAt } from "./layout.ts";
import type { Task } from "./task.ts";

export interface Sample {
  readonly rows: number;
  readonly bytesRead: number;
  /** After encoding and compression, headers and footers included. */
  readonly bytesWritten: number;
}

export interface SampleRequest {
  readonly rows: number;
  readonly core: Core;
}

/** Reads up to `rows` rows of the first slice on a connection that holds a picture. */
export async function sampleTask(
  source: Source,
  task: Task,
  zeroDates: "fail" | "null",
  { rows, core }: SampleRequest,
  signal: AbortSignal,
): Promise<Sample> {
  if (countSlices(task.layout) === 0) return { rows: 0, bytesRead: 0, bytesWritten: 0 };
  const shape = buildReadShape({ ...task, window: null }, zeroDates);
  const { rowHash: _rowHash, unique: _unique, ...encoderSpec } = task.encoder;
  const encoder = core.openEncoder({ ...encoderSpec, framing: source.framing, columns: shape.columns });
  const control: Uint8Array[] = [];
  let bytesRead = 0;
  let bytesWritten = 0;
  const drain = () => {
    for (let message = encoder.takeControl(); message !== null; message = encoder.takeControl()) control.push(message);
    for (let output = encoder.takeOutput(); output !== null; output = encoder.takeOutput()) {
      bytesWritten += output.length;
    }
    while (encoder.takePart() !== null);
  };
  const sink: RowSink = {
    room: (bytes) => encoder.room(bytes),
    wrote(bytes) {
      bytesRead += bytes;
      encoder.wrote(bytes);
      drain();
    },
    control: () => control.shift() ?? null,
  };
  try {
    const sql = limitRows(source.engine, sliceSelect(task, shape, sliceAt(task.layout, 0)), rows);
    const report = await source.read(sql, sink, { ...readOptions(task), throttleMs: 0, signal });
    encoder.finish(false);
    drain();
    return { rows: report.rows, bytesRead, bytesWritten };
  } finally {
    encoder.close();
  }
}

/** Our own SELECT, cut off after so many rows. */
function limitRows(engine: Engine, select: string, rows: number): string {
  return engine === "mssql" ? select.replace(/^SELECT /, `SELECT TOP (${rows}) `) : `${select} LIMIT ${rows}`;
}
