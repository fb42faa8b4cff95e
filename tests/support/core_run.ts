// Drives one encoder of the core to its end, and reads its files with programs that are not the core.

import { DuckDBInstance, type Json } from "@duckdb/node-api";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import {
  compileCore,
  type Core,
  type EncoderSpec,
  openCore,
  type PartObservations,
  type SliceObservations,
} from "../../src/core/mod.ts";

export interface Encoded {
  readonly files: Uint8Array<ArrayBuffer>[];
  readonly parts: PartObservations[];
  readonly slice: SliceObservations;
  readonly control: Uint8Array[];
}

let module: Promise<WebAssembly.Module> | null = null;

export async function testCore(): Promise<Core> {
  return await openCore(await (module ??= compileCore()));
}

export const PARQUET = { kind: "parquet", codec: "zstd", rowGroupBytes: 8 << 20 } as const;
export const CSV = { kind: "csv", codec: "none" } as const;

/** A specification of PostgreSQL rows into Parquet, unless told otherwise. */
export function specOf(columns: EncoderSpec["columns"], more: Partial<EncoderSpec> = {}): EncoderSpec {
  return { framing: "pg_messages", columns, format: PARQUET, createdBy: "rivet test", ...more };
}

/** Gives the input in pieces of `pieceBytes`. */
export async function encode(
  spec: EncoderSpec,
  input: Uint8Array,
  options: { core?: Core; pieceBytes?: number; emptyFile?: boolean } = {},
): Promise<Encoded> {
  const core = options.core ?? await testCore();
  const pieceBytes = options.pieceBytes ?? 1 << 16;
  const encoder = core.openEncoder(spec);
  const files: Uint8Array<ArrayBuffer>[] = [];
  const parts: PartObservations[] = [];
  const control: Uint8Array[] = [];
  let pieces: Uint8Array[] = [];
  const drain = () => {
    for (let message = encoder.takeControl(); message !== null; message = encoder.takeControl()) control.push(message);
    for (;;) {
      const output = encoder.takeOutput();
      if (output !== null) pieces.push(output);
      const part = output === null ? encoder.takePart() : null;
      if (part !== null) {
        parts.push(part);
        files.push(join(pieces));
        pieces = [];
      }
      if (output === null && part === null) return;
    }
  };
  try {
    for (let at = 0; at < input.length; at += pieceBytes) {
      const piece = input.subarray(at, at + pieceBytes);
      encoder.room(piece.length).set(piece);
      encoder.wrote(piece.length);
      drain();
    }
    const slice = encoder.finish(options.emptyFile ?? true);
    drain();
    return { files, parts, slice, control };
  } finally {
    encoder.close();
  }
}

export function join(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

/** Rows as hyparquet reads them; bytes stay bytes. */
export async function readWithHyparquet(file: Uint8Array<ArrayBuffer>): Promise<Record<string, unknown>[]> {
  const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
  return await parquetReadObjects({ file: buffer, compressors, utf8: false }) as Record<string, unknown>[];
}

/** Asks DuckDB; `$file` in the query stands for the file's path. Values come as DuckDB's JSON texts. */
export async function queryWithDuckdb(file: Uint8Array, sql: string, extension = "parquet"): Promise<Json[][]> {
  const path = await Deno.makeTempFile({ suffix: `.${extension}` });
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    await Deno.writeFile(path, file);
    const reader = await connection.runAndReadAll(sql.replaceAll("$file", `'${path}'`));
    return reader.getRowsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
    await Deno.remove(path);
  }
}
