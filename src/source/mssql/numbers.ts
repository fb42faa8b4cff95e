// Numbers as SQL Server sends them, written as exact decimal text. No value passes through a lossy JavaScript number.

import type { FieldBytes } from "./bytes.ts";

const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;
/** The longest text of a number here: 38 digits, sign, point and a leading zero. */
export const NUMBER_TEXT_MAX = 48;

const digits = new Uint8Array(48);
const limbs = new Float64Array(4);
const view = new DataView(new ArrayBuffer(8));

/** A whole number below 2^53, without sign. */
export function putWhole(out: FieldBytes, value: number): void {
  let from = digits.length;
  let rest = value;
  while (rest >= 0x7fffffff) {
    const next = Math.floor(rest / 10);
    digits[--from] = ZERO + (rest - next * 10);
    rest = next;
  }
  let small = rest | 0;
  do {
    const next = (small / 10) | 0;
    digits[--from] = ZERO + (small - next * 10);
    small = next;
  } while (small !== 0);
  copyDigits(out, from);
}

function copyDigits(out: FieldBytes, from: number): void {
  const { bytes } = out;
  let at = out.at;
  for (let i = from; i < digits.length; i++) bytes[at++] = digits[i]!;
  out.at = at;
}

/** A whole number with exactly `width` digits, zeros in front. */
export function putPadded(out: FieldBytes, value: number, width: number): void {
  let rest = value;
  for (let at = out.at + width - 1; at >= out.at; at--) {
    const next = Math.floor(rest / 10);
    out.bytes[at] = ZERO + (rest - next * 10);
    rest = next;
  }
  out.at += width;
}

/** Signed little-endian integer of 1 (unsigned, as TINYINT is), 2, 4 or 8 bytes. */
export function putInteger(out: FieldBytes, input: Uint8Array, at: number, length: number): void {
  if (length === 8) return putScaled64(out, readUint32(input, at), readUint32(input, at + 4), 0);
  let value: number;
  if (length === 1) value = input[at]!;
  else if (length === 2) value = ((input[at]! | (input[at + 1]! << 8)) << 16) >> 16;
  else value = readUint32(input, at) | 0;
  if (value < 0) {
    out.bytes[out.at++] = MINUS;
    value = -value;
  }
  putWhole(out, value);
}

/** MONEY (8 bytes, high word first) and SMALLMONEY (4 bytes): ten-thousandths. */
export function putMoney(out: FieldBytes, input: Uint8Array, at: number, length: number): void {
  if (length === 8) return putScaled64(out, readUint32(input, at + 4), readUint32(input, at), 4);
  const value = readUint32(input, at);
  putScaled64(out, value, value >= 0x80000000 ? 0xffffffff : 0, 4);
}

/** DECIMAL and NUMERIC: a sign byte (1 is positive) and a little-endian magnitude of up to 16 bytes. */
export function putDecimal(out: FieldBytes, input: Uint8Array, at: number, length: number, scale: number): void {
  const end = at + length;
  limbs.fill(0);
  for (let i = 0, from = at + 1; from < end; i++, from += 4) limbs[i] = readUint32(input, from);
  putLimbs(out, input[at] === 0, scale);
}

/** A two's complement 64-bit number times ten to the minus `scale`. */
function putScaled64(out: FieldBytes, low: number, high: number, scale: number): void {
  const negative = high >= 0x80000000;
  limbs.fill(0);
  if (negative) {
    limbs[0] = low === 0 ? 0 : 0x100000000 - low;
    limbs[1] = 0xffffffff - high + (low === 0 ? 1 : 0);
  } else {
    limbs[0] = low;
    limbs[1] = high;
  }
  putLimbs(out, negative, scale);
}

/** The magnitude in `limbs`, base 2^32, least first. */
function putLimbs(out: FieldBytes, negative: boolean, scale: number): void {
  let from = digits.length;
  let top = 3;
  while (top > 0 && limbs[top] === 0) top--;
  // Six digits at a time: the remainder times 2^32 plus a limb stays below 2^53.
  while (top > 0 && !(top === 1 && limbs[1]! < 0x200000)) {
    let rest = 0;
    for (let i = top; i >= 0; i--) {
      const part = rest * 0x100000000 + limbs[i]!;
      const quotient = Math.floor(part / 1e6);
      rest = part - quotient * 1e6;
      limbs[i] = quotient;
    }
    from = pushDigits(from, rest, 6);
    while (top > 0 && limbs[top] === 0) top--;
  }
  from = pushDigits(from, limbs[1]! * 0x100000000 + limbs[0]!, 1);
  const count = digits.length - from;
  if (count <= scale) from = pushDigits(from, 0, scale + 1 - count);
  // Only an exact zero has no digit but 0, and it has no sign.
  if (negative && !isZero(from)) out.bytes[out.at++] = MINUS;
  if (scale === 0) return copyDigits(out, from);
  const { bytes } = out;
  const point = digits.length - scale;
  let at = out.at;
  for (let i = from; i < point; i++) bytes[at++] = digits[i]!;
  bytes[at++] = POINT;
  for (let i = point; i < digits.length; i++) bytes[at++] = digits[i]!;
  out.at = at;
}

/** Puts `value` in front of the digits so far, with at least `width` digits. */
function pushDigits(from: number, value: number, width: number): number {
  let at = from;
  let rest = value;
  let left = width;
  while (rest > 0 || left > 0) {
    const next = Math.floor(rest / 10);
    digits[--at] = ZERO + (rest - next * 10);
    rest = next;
    left--;
  }
  return at;
}

function isZero(from: number): boolean {
  for (let i = from; i < digits.length; i++) if (digits[i] !== ZERO) return false;
  return true;
}

/** FLOAT (8 bytes) and REAL (4 bytes): the shortest text that reads back to the same bits. */
export function putFloat(out: FieldBytes, input: Uint8Array, at: number, length: number): void {
  for (let i = 0; i < length; i++) view.setUint8(i, input[at + i]!);
  const value = length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
  if (Object.is(value, -0)) out.bytes[out.at++] = MINUS;
  const text = String(value);
  for (let i = 0; i < text.length; i++) out.bytes[out.at++] = text.charCodeAt(i);
}

export function readUint32(input: Uint8Array, at: number): number {
  return (input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16) | (input[at + 3]! << 24)) >>> 0;
}
