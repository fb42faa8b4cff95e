// A row sink in plain TypeScript that speaks the framing `mysql_packets`: what the core does, slowly and readably, for tests of the source.

import type { RowSink } from "../../src/source/mod.ts";

const PACKET_BYTES_MAX = 0xffffff;

export interface CollectedRows extends RowSink {
  readonly rows: (Uint8Array | null)[][];
  /** The rows as text. */
  texts(): (string | null)[][];
}

export interface CollectOptions {
  /** Called after each block; may throw or wait. */
  readonly onBlock?: (rows: number) => Promise<void> | void;
  /** Gives room for so many bytes at most, to cut packets anywhere. */
  readonly roomBytes?: number;
}

export function collectRows(options: CollectOptions = {}): CollectedRows {
  const rows: (Uint8Array | null)[][] = [];
  const control: Uint8Array[] = [];
  let pending = new Uint8Array(0);
  let view = new Uint8Array(0);
  let long: Uint8Array[] = [];
  let columns = -1;
  let definitions = 0;
  let inRows = false;

  const onPacket = (body: Uint8Array, whole: Uint8Array) => {
    const isEof = body[0] === 0xfe && body.length < 9;
    if (inRows && !isEof && body[0] !== 0xff) return void rows.push(splitRow(body));
    control.push(whole);
    if (columns < 0) columns = body[0]! < 0xfb ? body[0]! : body[1]! | (body[2]! << 8);
    else if (!isEof) definitions += 1;
    else if (definitions === columns) inRows = true;
  };

  const take = () => {
    let at = 0;
    while (pending.length - at >= 4) {
      const length = pending[at]! | (pending[at + 1]! << 8) | (pending[at + 2]! << 16);
      if (pending.length - at < 4 + length) break;
      const whole = pending.slice(at, at + 4 + length);
      at += 4 + length;
      const body = whole.subarray(4);
      if (length === PACKET_BYTES_MAX) {
        long.push(body);
        continue;
      }
      onPacket(long.length === 0 ? body : concat([...long, body]), whole);
      long = [];
    }
    pending = pending.slice(at);
  };

  return {
    rows,
    texts: () => rows.map((row) => row.map((value) => value === null ? null : new TextDecoder().decode(value))),
    room(bytes) {
      view = new Uint8Array(Math.min(bytes, options.roomBytes ?? bytes));
      return view;
    },
    wrote(bytes) {
      pending = concat([pending, view.subarray(0, bytes)]);
      take();
      return options.onBlock?.(rows.length);
    },
    control: () => control.shift() ?? null,
  };
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function splitRow(body: Uint8Array): (Uint8Array | null)[] {
  const values: (Uint8Array | null)[] = [];
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  for (let at = 0; at < body.length;) {
    const first = body[at]!;
    at += 1;
    if (first === 0xfb) {
      values.push(null);
      continue;
    }
    let length = first;
    if (first === 0xfc) {
      length = view.getUint16(at, true);
      at += 2;
    } else if (first === 0xfd) {
      length = view.getUint16(at, true) | (body[at + 2]! << 16);
      at += 3;
    } else if (first === 0xfe) {
      length = Number(view.getBigUint64(at, true));
      at += 8;
    }
    values.push(body.slice(at, at + length));
    at += length;
  }
  return values;
}
