// A row sink that understands the PostgreSQL wire by itself, for tests of the reader without the core.

import type { RowSink } from "../../src/source/mod.ts";

export interface PgSink extends RowSink {
  readonly rows: number;
  readonly bytes: number;
  /** Field values as they were sent, when kept. */
  readonly values: (Uint8Array | null)[][];
}

/** Counts rows and, with `keep`, keeps their fields. `onWrote` runs after each block. */
export function openPgSink(options: { keep?: boolean; onWrote?: (sink: PgSink) => Promise<void> | void } = {}): PgSink {
  let buffer = new Uint8Array(1 << 16);
  let filled = 0;
  const control: Uint8Array[] = [];
  const sink = {
    rows: 0,
    bytes: 0,
    values: [] as (Uint8Array | null)[][],
    room(bytes: number): Uint8Array {
      if (buffer.length - filled < bytes) {
        const larger = new Uint8Array(Math.max(buffer.length * 2, filled + bytes));
        larger.set(buffer.subarray(0, filled));
        buffer = larger;
      }
      return buffer.subarray(filled, filled + bytes);
    },
    wrote(bytes: number): Promise<void> | void {
      filled += bytes;
      sink.bytes += bytes;
      let at = 0;
      const view = new DataView(buffer.buffer);
      while (filled - at >= 5) {
        const end = at + 1 + view.getUint32(at + 1);
        if (end > filled) break;
        if (buffer[at] === 0x44) {
          sink.rows++;
          if (options.keep) sink.values.push(fields(buffer.slice(at, end)));
        } else control.push(buffer.slice(at, end));
        at = end;
      }
      buffer.copyWithin(0, at, filled);
      filled -= at;
      return options.onWrote?.(sink);
    },
    control: () => control.shift() ?? null,
  };
  return sink;
}

function fields(message: Uint8Array): (Uint8Array | null)[] {
  const view = new DataView(message.buffer);
  let at = 7;
  return Array.from({ length: view.getUint16(5) }, () => {
    const length = view.getInt32(at);
    at += 4;
    if (length < 0) return null;
    at += length;
    return message.subarray(at - length, at);
  });
}
