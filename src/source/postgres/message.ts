// The PostgreSQL messages that are not rows, parsed. Each is whole: tag, length, body.

import type { ServerError } from "./error.ts";

export const TAG = {
  commandComplete: 0x43, // C
  error: 0x45, // E
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
} as const;

const HEADER_BYTES = 5;
const text = new TextDecoder();

/** How many rows a command says it gave; null for commands that do not say. */
export function parseRowCount(message: Uint8Array): number | null {
  const tag = text.decode(message.subarray(HEADER_BYTES, message.length - 1));
  const count = /\d+$/.exec(tag)?.[0];
  return count === undefined ? null : Number(count);
}

export function parseError(message: Uint8Array): ServerError {
  const fields = new Map<string, string>();
  let at = HEADER_BYTES;
  while (at < message.length && message[at] !== 0) {
    const end = message.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(message[at]!), text.decode(message.subarray(at + 1, end)));
    at = end + 1;
  }
  return {
    code: fields.get("C") ?? "XX000",
    message: fields.get("M") ?? "unknown error",
    detail: fields.get("D"),
    hint: fields.get("H"),
    // V is the severity that no setting translates.
    severity: fields.get("V") ?? fields.get("S"),
  };
}

/** The type of every column of a RowDescription, in order. */
export function parseColumnTypes(message: Uint8Array): number[] {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const types: number[] = [];
  let at = HEADER_BYTES + 2;
  for (let left = view.getUint16(HEADER_BYTES); left > 0; left--) {
    at = message.indexOf(0, at) + 1;
    types.push(view.getUint32(at + 6));
    at += 18;
  }
  return types;
}

/** A simple Query message. */
export function toQueryMessage(sql: string): Uint8Array {
  const body = new TextEncoder().encode(sql);
  const message = new Uint8Array(HEADER_BYTES + body.length + 1);
  message[0] = 0x51;
  new DataView(message.buffer).setUint32(1, message.length - 1);
  message.set(body, HEADER_BYTES);
  return message;
}

/** Asks for the statement that runs on another connection to stop. */
export function toCancelRequest(processId: number, secret: number): Uint8Array {
  const message = new Uint8Array(16);
  const view = new DataView(message.buffer);
  view.setUint32(0, 16);
  view.setUint32(4, 80877102);
  view.setUint32(8, processId);
  view.setUint32(12, secret);
  return message;
}

/** The first whole message with one of these tags; null when there is none yet. */
export function findMessage(bytes: Uint8Array, tags: readonly number[]): Uint8Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const end = at + 1 + view.getUint32(at + 1);
    if (end > bytes.length) return null;
    if (tags.includes(bytes[at]!)) return bytes.subarray(at, end);
    at = end;
  }
  return null;
}
