// Rows in `lenenc_text` form, written straight into the sink's memory: 0xFB = NULL, else a length and that many bytes.
// Many rows go in one block, and a row that is larger than a block goes in pieces, so that no second copy of it exists.

import { RivetError } from "../../errors.ts";
import type { RowSink } from "../source.ts";
import type { SqliteValue } from "./rows.ts";
import { formatReal } from "./text.ts";

export const BLOCK_BYTES = 256 * 1024;

const NULL = 0xfb;
/** Up to this many bytes the length is one byte. */
const SHORT_MAX = 250;
const HEADER_MAX = 9;
/** Room for the longest text of a number, with its length. */
const NUMBER_MAX = 128;

export interface RowWriter {
  /** Resolves when the sink takes more; undefined when there is no reason to wait. */
  write(row: readonly SqliteValue[]): Promise<void> | undefined;
  flush(): Promise<void> | void;
  bytes(): number;
}

export function openRowWriter(sink: RowSink, columns: readonly string[]): RowWriter {
  const encoder = new TextEncoder();
  let view: Uint8Array | null = null;
  let at = 0;
  let total = 0;

  function flush(): Promise<void> | void {
    const filled = at;
    at = 0;
    view = null;
    if (filled === 0) return;
    total += filled;
    return sink.wrote(filled);
  }

  function writeText(into: Uint8Array, text: string, column: number): void {
    const length = text.length;
    let i = 0;
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) break;
      into[at + 1 + i] = unit;
    }
    if (i === length && length <= SHORT_MAX) {
      into[at] = length;
      at += 1 + length;
      return;
    }
    // The SELECT sends text with a real U+FFFD as bytes, so here it can only stand for bytes that were no UTF-8.
    if (text.includes("\ufffd")) throw notUtf8(columns[column]!);
    writeBytes(into, encoder.encode(text));
  }

  function writeBytes(into: Uint8Array, bytes: Uint8Array): void {
    at = writeLength(into, at, bytes.length);
    into.set(bytes, at);
    at += bytes.length;
  }

  function writeRow(into: Uint8Array, row: readonly SqliteValue[]): void {
    for (let i = 0; i < row.length; i++) {
      const value = row[i]!;
      if (value === null) into[at++] = NULL;
      else if (typeof value === "string") writeText(into, value, i);
      else if (typeof value === "bigint") writeText(into, formatInteger(value), i);
      else if (typeof value === "number") writeText(into, formatReal(value), i);
      else writeBytes(into, value);
    }
  }

  async function writeLarge(row: readonly SqliteValue[]): Promise<void> {
    const scratch = new Uint8Array(HEADER_MAX);
    for (let i = 0; i < row.length; i++) {
      const value = row[i]!;
      if (value === null) {
        await writePiece(Uint8Array.of(NULL));
        continue;
      }
      if (typeof value === "string" && value.includes("\ufffd")) throw notUtf8(columns[i]!);
      const bytes = value instanceof Uint8Array ? value : encoder.encode(
        typeof value === "string" ? value : typeof value === "number" ? formatReal(value) : formatInteger(value),
      );
      await writePiece(scratch.subarray(0, writeLength(scratch, 0, bytes.length)));
      // The core refuses a value that is too large from its length, before its bytes are passed on.
      if (bytes.length > BLOCK_BYTES) await flush();
      await writePiece(bytes);
    }
  }

  async function writePiece(bytes: Uint8Array): Promise<void> {
    let from = 0;
    while (from < bytes.length) {
      view ??= sink.room(BLOCK_BYTES);
      const count = Math.min(bytes.length - from, view.length - at);
      view.set(bytes.subarray(from, from + count), at);
      at += count;
      from += count;
      if (at === view.length) await flush();
    }
  }

  return {
    write(row) {
      const most = longestRow(row);
      if (view !== null && at + most <= view.length) {
        writeRow(view, row);
        return undefined;
      }
      const wait = flush();
      const write = () => {
        if (most > BLOCK_BYTES) return writeLarge(row);
        view = sink.room(BLOCK_BYTES);
        writeRow(view, row);
      };
      return wait === undefined ? write() : wait.then(write);
    },
    flush,
    bytes: () => total,
  };
}

/** No row takes more bytes than this. */
function longestRow(row: readonly SqliteValue[]): number {
  let bytes = 0;
  for (let i = 0; i < row.length; i++) {
    const value = row[i]!;
    if (value === null) bytes += 1;
    else if (typeof value === "string") bytes += HEADER_MAX + 3 * value.length;
    else if (typeof value === "object") bytes += HEADER_MAX + value.length;
    else bytes += NUMBER_MAX;
  }
  return bytes;
}

function writeLength(into: Uint8Array, at: number, length: number): number {
  if (length <= SHORT_MAX) {
    into[at] = length;
    return at + 1;
  }
  const size = length < 0x10000 ? 2 : length < 0x1000000 ? 3 : 8;
  into[at] = size === 2 ? 0xfc : size === 3 ? 0xfd : 0xfe;
  let rest = length;
  for (let i = 1; i <= size; i++) {
    into[at + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return at + 1 + size;
}

function formatInteger(value: bigint): string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? String(number) : String(value);
}

function notUtf8(column: string): RivetError {
  return new RivetError("RIVET_SOURCE_VALUE_UNREPRESENTABLE", `A text value in column '${column}' is not UTF-8`, {
    where: `column '${column}'`,
    cure: `Correct the row, or write its bytes as they are with \`columns: {${column}: binary}\``,
  });
}
