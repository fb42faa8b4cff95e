// Dates and times as SQL Server sends them, written as ISO text with every digit the type has. Zoned values are written in UTC.

import type { FieldBytes } from "./bytes.ts";
import { putPadded, readUint32 } from "./numbers.ts";

const DASH = 0x2d;
const COLON = 0x3a;
const POINT = 0x2e;
const BLANK = 0x20;
const PLUS = 0x2b;
/** Days from 0001-01-01 to 1900-01-01, where DATETIME and SMALLDATETIME count from. */
const DAYS_TO_1900 = 693_595;

/** Days since 0001-01-01 as `YYYY-MM-DD`. */
export function putDays(out: FieldBytes, days: number): void {
  // Counted from 0000-03-01, so that the leap day ends the year.
  const z = days + 306;
  const era = Math.floor(z / 146_097);
  const ofEra = z - era * 146_097;
  const year = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100));
  const shifted = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  putPadded(out, year + era * 400 + (month <= 2 ? 1 : 0), 4);
  out.bytes[out.at++] = DASH;
  putPadded(out, month, 2);
  out.bytes[out.at++] = DASH;
  putPadded(out, day, 2);
}

/** `HH:MM:SS` and, when the scale is not 0, a point and `scale` digits. `ticks` are units of ten to the minus `scale` seconds. */
export function putClock(out: FieldBytes, ticks: number, scale: number): void {
  const unit = 10 ** scale;
  const seconds = Math.floor(ticks / unit);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  putPadded(out, hours, 2);
  out.bytes[out.at++] = COLON;
  putPadded(out, minutes - hours * 60, 2);
  out.bytes[out.at++] = COLON;
  putPadded(out, seconds - minutes * 60, 2);
  if (scale === 0) return;
  out.bytes[out.at++] = POINT;
  putPadded(out, ticks - seconds * unit, scale);
}

/** DATE: three bytes of days since 0001-01-01. */
export function putDate(out: FieldBytes, input: Uint8Array, at: number): void {
  putDays(out, readUint24(input, at));
}

/** TIME(scale): three to five bytes of ticks. */
export function putTime(out: FieldBytes, input: Uint8Array, at: number, length: number, scale: number): void {
  putClock(out, readTicks(input, at, length), scale);
}

/** DATETIME2(scale): ticks, then days. */
export function putDateTime2(out: FieldBytes, input: Uint8Array, at: number, length: number, scale: number): void {
  putDays(out, readUint24(input, at + length - 3));
  out.bytes[out.at++] = BLANK;
  putClock(out, readTicks(input, at, length - 3), scale);
}

/** DATETIMEOFFSET(scale): a DATETIME2 in UTC, then minutes of offset, which an instant does not have. */
export function putInstant(out: FieldBytes, input: Uint8Array, at: number, length: number, scale: number): void {
  putDateTime2(out, input, at, length - 2, scale);
}

/** DATETIMEOFFSET(scale) as its own wall clock and offset: `2020-01-01 10:00:00 +02:00`. */
export function putOffsetText(out: FieldBytes, input: Uint8Array, at: number, length: number, scale: number): void {
  const minutes = ((input[at + length - 2]! | (input[at + length - 1]! << 8)) << 16) >> 16;
  const unit = 10 ** scale;
  const day = 86_400 * unit;
  let days = readUint24(input, at + length - 5);
  let ticks = readTicks(input, at, length - 5) + minutes * 60 * unit;
  if (ticks < 0) {
    ticks += day;
    days--;
  } else if (ticks >= day) {
    ticks -= day;
    days++;
  }
  putDays(out, days);
  out.bytes[out.at++] = BLANK;
  putClock(out, ticks, scale);
  out.bytes[out.at++] = BLANK;
  out.bytes[out.at++] = minutes < 0 ? DASH : PLUS;
  const size = Math.abs(minutes);
  putPadded(out, Math.floor(size / 60), 2);
  out.bytes[out.at++] = COLON;
  putPadded(out, size % 60, 2);
}

/**
 * DATETIME (8 bytes: days since 1900, three-hundredths of a second) and SMALLDATETIME (4 bytes: days, minutes).
 * The server itself shows a DATETIME's ticks rounded to milliseconds: .000, .003, .007.
 */
export function putDateTime(out: FieldBytes, input: Uint8Array, at: number, length: number): void {
  if (length === 4) {
    putDays(out, DAYS_TO_1900 + (input[at]! | (input[at + 1]! << 8)));
    out.bytes[out.at++] = BLANK;
    putClock(out, (input[at + 2]! | (input[at + 3]! << 8)) * 60, 0);
    return;
  }
  putDays(out, DAYS_TO_1900 + (readUint32(input, at) | 0));
  out.bytes[out.at++] = BLANK;
  putClock(out, Math.round(readUint32(input, at + 4) * 10 / 3), 3);
}

function readTicks(input: Uint8Array, at: number, length: number): number {
  let ticks = 0;
  for (let i = length - 1; i >= 0; i--) ticks = ticks * 256 + input[at + i]!;
  return ticks;
}

function readUint24(input: Uint8Array, at: number): number {
  return input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16);
}
