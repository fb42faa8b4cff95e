// A query from a source through the core into the bytes of one file, without engine, state or destination.

import { compileCore, type EncoderSpec, openCore, type SliceObservations } from "../../src/core/mod.ts";
import { buildSelect, type Query, type ReadReport, type Source, type SourceColumn } from "../../src/source/mod.ts";
import { applyOverrides, formatType, type LogicalType } from "../../src/types/mod.ts";

export interface EncodeOptions {
  readonly overrides?: Readonly<Record<string, LogicalType>>;
  readonly zeroDates?: "fail" | "null";
  readonly format?: EncoderSpec["format"];
  readonly maxValueBytes?: number;
}

export interface Encoded {
  readonly file: Uint8Array;
  readonly columns: readonly SourceColumn[];
  readonly observations: SliceObservations;
  readonly report: ReadReport;
}

const PARQUET = { kind: "parquet", codec: "zstd", rowGroupBytes: 8 << 20 } as const;

/** Reads all rows in the order the server gives them. The file has its columns even when there is no row. */
export async function encodeQuery(source: Source, query: Query, options: EncodeOptions = {}): Promise<Encoded> {
  const core = await openCore(await compileCore());
  const shape = await source.describe(query);
  const { columns } = applyOverrides(shape, options.overrides ?? {}, source.engine);
  const encoder = core.openEncoder({
    framing: source.framing,
    columns: columns.map(({ name, type, wire }) => {
      if (type === null) throw new Error(`no type for '${name}'`);
      return {
        name,
        type: formatType(type),
        wire,
        ...(options.zeroDates === undefined ? {} : { zeroDates: options.zeroDates }),
      };
    }),
    format: options.format ?? PARQUET,
    createdBy: "test",
    ...(options.maxValueBytes === undefined ? {} : { maxValueBytes: options.maxValueBytes }),
  });
  try {
    const parts: Uint8Array[] = [];
    const drain = () => {
      for (let out = encoder.takeOutput(); out !== null; out = encoder.takeOutput()) parts.push(out);
    };
    const report = await source.read(buildSelect(source.engine, { query, columns, hidden: [], where: [] }), {
      room: (bytes) => encoder.room(bytes),
      wrote(bytes) {
        encoder.wrote(bytes);
        drain();
      },
      control: () => encoder.takeControl(),
    }, { batchRows: 10_000, batchBytes: 4 << 20, throttleMs: 0, signal: new AbortController().signal });
    const observations = encoder.finish(true);
    drain();
    return { file: join(parts), columns, observations, report };
  } finally {
    encoder.close();
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
