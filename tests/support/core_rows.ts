// A sink that is the real core: rows go in as a source sends them and come out as the texts of a CSV file.

import { type Core, openCore } from "../../src/core/mod.ts";
import { compileCore } from "../../src/core/mod.ts";
import type { ReadOptions, ReadReport, RowSink, Source, SourceColumn } from "../../src/source/mod.ts";
import { formatType } from "../../src/types/mod.ts";
import { parseCsv } from "./reader.ts";

export interface CoreRowsOptions {
  /** Called after each block; what it returns is waited for. */
  readonly wait?: (bytes: number) => Promise<void> | void;
  readonly read?: Partial<ReadOptions>;
  readonly maxValueBytes?: number;
}

export interface CoreRows {
  readonly report: ReadReport;
  /** NULL is null, an empty text is empty. */
  readonly rows: (string | null)[][];
}

const READ: ReadOptions = {
  batchRows: 1000,
  batchBytes: 1 << 20,
  throttleMs: 0,
  signal: new AbortController().signal,
};

let module: Promise<WebAssembly.Module> | null = null;

/** One core of this test process's module. */
export async function openTestCore(): Promise<Core> {
  return await openCore(await (module ??= compileCore()));
}

/** Reads one statement to its end; the columns must be those that it selects. */
export async function readThroughCore(
  source: Source,
  sql: string,
  columns: readonly SourceColumn[],
  options: CoreRowsOptions = {},
): Promise<CoreRows> {
  const core = await openTestCore();
  const encoder = core.openEncoder({
    framing: source.framing,
    columns: columns.map((c) => ({ name: c.name, type: formatType(c.type!), wire: c.wire })),
    format: { kind: "csv", codec: "none", header: false },
    ...(options.maxValueBytes === undefined ? {} : { maxValueBytes: options.maxValueBytes }),
    createdBy: "test",
  });
  const output: Uint8Array[] = [];
  const control: Uint8Array[] = [];
  const drain = () => {
    for (let message = encoder.takeControl(); message !== null; message = encoder.takeControl()) control.push(message);
    for (let bytes = encoder.takeOutput(); bytes !== null; bytes = encoder.takeOutput()) output.push(bytes);
    while (encoder.takePart() !== null);
  };
  const sink: RowSink = {
    room: (bytes) => encoder.room(bytes),
    wrote(bytes) {
      encoder.wrote(bytes);
      drain();
      return options.wait?.(bytes);
    },
    control: () => control.shift() ?? null,
  };
  try {
    const report = await source.read(sql, sink, { ...READ, ...options.read });
    encoder.finish(false);
    drain();
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await new Blob(output as BlobPart[]).arrayBuffer());
    return { report, rows: parseCsv(text) };
  } finally {
    encoder.close();
  }
}
