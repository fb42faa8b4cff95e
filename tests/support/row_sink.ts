// A sink that keeps what it is given, for sources whose framing is `rows`: no core, no file.

import type { RowSink } from "../../src/source/mod.ts";

export type Field = Uint8Array | null;

export interface KeptRows extends RowSink {
  /** Fields in order, NULL as null; throws when the last one is not complete. */
  fields(): Field[];
  /** Rows of `width` columns, fields as UTF-8 text. */
  texts(width: number): (string | null)[][];
  bytes: number;
}

export interface KeepOptions {
  /** What `wrote` answers. @default nothing: never wait */
  wait?: (bytes: number) => Promise<void> | void;
  /** Throw the bytes away. @default false */
  forget?: boolean;
}

export function keepRows(options: KeepOptions = {}): KeptRows {
  const parts: Uint8Array[] = [];
  let view: Uint8Array | null = null;
  return {
    bytes: 0,
    room(bytes) {
      view = new Uint8Array(bytes);
      return view;
    },
    wrote(bytes) {
      if (view === null) throw new Error("wrote without room");
      if (!options.forget) parts.push(view.subarray(0, bytes));
      view = null;
      this.bytes += bytes;
      return options.wait?.(bytes);
    },
    control: () => null,
    fields: () => [...splitFields(join(parts))],
    texts(width) {
      const decoder = new TextDecoder("utf-8", { fatal: true });
      const rows: (string | null)[][] = [];
      for (const field of this.fields()) {
        const row = rows.at(-1);
        const text = field === null ? null : decoder.decode(field);
        if (row === undefined || row.length === width) rows.push([text]);
        else row.push(text);
      }
      if (rows.length > 0 && rows.at(-1)!.length !== width) throw new Error("the last row is not complete");
      return rows;
    },
  };
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

/** Length-encoded fields as MySQL frames them. Prefixes longer than needed are an error. */
function* splitFields(bytes: Uint8Array): Generator<Field> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at++]!;
    if (first === 0xfb) {
      yield null;
      continue;
    }
    let length = first;
    if (first === 0xfc) length = view.getUint16(at, true);
    else if (first === 0xfd) length = view.getUint32(at - 1, true) >>> 8;
    else if (first === 0xfe) length = Number(view.getBigUint64(at, true));
    else if (first === 0xff) throw new Error("no field begins with 0xFF");
    const least = first < 0xfb ? 0 : first === 0xfc ? 251 : first === 0xfd ? 0x10000 : 0x1000000;
    if (length < least) throw new Error("the length prefix is longer than needed");
    at += first < 0xfb ? 0 : first === 0xfc ? 2 : first === 0xfd ? 3 : 8;
    if (at + length > bytes.length) throw new Error("a field is not complete");
    yield bytes.subarray(at, at + length);
    at += length;
  }
}
