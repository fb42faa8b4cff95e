// One value of each SQL Server type, from its bytes on the wire to text or raw bytes.

import type { FieldBytes } from "./bytes.ts";
import { NUMBER_TEXT_MAX, putDecimal, putFloat, putInteger, putMoney, putWhole } from "./numbers.ts";
import { PlainInto, SingleByteInto, type TextDecoderInto, Utf16Into } from "./text.ts";
import { putDate, putDateTime, putDateTime2, putInstant, putOffsetText, putTime } from "./times.ts";

/** Writes the content of one value of `length` bytes at `at`; it never writes more than `SHORT_TEXT_MAX` bytes. */
export type PutValue = (out: FieldBytes, input: Uint8Array, at: number, length: number) => void;

export const SHORT_TEXT_MAX = NUMBER_TEXT_MAX;

/** The type bytes of MS-TDS 2.2.5.4. */
export const TDS = {
  NULL: 0x1f,
  INT1: 0x30,
  BIT: 0x32,
  INT2: 0x34,
  INT4: 0x38,
  DATETIM4: 0x3a,
  FLT4: 0x3b,
  MONEY: 0x3c,
  DATETIME: 0x3d,
  FLT8: 0x3e,
  MONEY4: 0x7a,
  INT8: 0x7f,
  GUID: 0x24,
  INTN: 0x26,
  DATEN: 0x28,
  TIMEN: 0x29,
  DATETIME2N: 0x2a,
  DATETIMEOFFSETN: 0x2b,
  DECIMAL: 0x37,
  NUMERIC: 0x3f,
  BITN: 0x68,
  DECIMALN: 0x6a,
  NUMERICN: 0x6c,
  FLTN: 0x6d,
  MONEYN: 0x6e,
  DATETIMN: 0x6f,
  IMAGE: 0x22,
  TEXT: 0x23,
  VARIANT: 0x62,
  NTEXT: 0x63,
  BIGVARBIN: 0xa5,
  BIGVARCHR: 0xa7,
  BIGBINARY: 0xad,
  BIGCHAR: 0xaf,
  NVARCHAR: 0xe7,
  NCHAR: 0xef,
  UDT: 0xf0,
  XML: 0xf1,
  JSON: 0xf4,
} as const;

/** The value writer of a type with a short value, or null for text, binary and unknown types. */
export function toPutValue(type: number, scale: number): PutValue | null {
  switch (type) {
    case TDS.BIT:
    case TDS.BITN:
      return (out, input, at) => putWhole(out, input[at]! === 0 ? 0 : 1);
    case TDS.INT1:
    case TDS.INT2:
    case TDS.INT4:
    case TDS.INT8:
    case TDS.INTN:
      return putInteger;
    case TDS.FLT4:
    case TDS.FLT8:
    case TDS.FLTN:
      return putFloat;
    case TDS.MONEY:
    case TDS.MONEY4:
    case TDS.MONEYN:
      return putMoney;
    case TDS.DECIMAL:
    case TDS.NUMERIC:
    case TDS.DECIMALN:
    case TDS.NUMERICN:
      return (out, input, at, length) => putDecimal(out, input, at, length, scale);
    case TDS.DATETIME:
    case TDS.DATETIM4:
    case TDS.DATETIMN:
      return putDateTime;
    case TDS.DATEN:
      return putDate;
    case TDS.TIMEN:
      return (out, input, at, length) => putTime(out, input, at, length, scale);
    case TDS.DATETIME2N:
      return (out, input, at, length) => putDateTime2(out, input, at, length, scale);
    case TDS.DATETIMEOFFSETN:
      return (out, input, at, length) => putInstant(out, input, at, length, scale);
    default:
      return null;
  }
}

const FIXED_BYTES: Readonly<Record<number, number>> = {
  [TDS.NULL]: 0,
  [TDS.INT1]: 1,
  [TDS.BIT]: 1,
  [TDS.INT2]: 2,
  [TDS.INT4]: 4,
  [TDS.DATETIM4]: 4,
  [TDS.FLT4]: 4,
  [TDS.MONEY4]: 4,
  [TDS.MONEY]: 8,
  [TDS.DATETIME]: 8,
  [TDS.FLT8]: 8,
  [TDS.INT8]: 8,
};

/** Bytes of a type that is sent without a length, or undefined. */
export function toFixedBytes(type: number): number | undefined {
  return FIXED_BYTES[type];
}

/** Where the bytes of a uniqueidentifier stand in the order its text shows: the first three groups are little-endian. */
const UUID_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;

/** The 16 bytes in the order of the text. */
export function putUuidBytes(out: FieldBytes, input: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++) out.bytes[out.at++] = input[at + UUID_ORDER[i]!]!;
}

export function putUuidText(out: FieldBytes, input: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) out.bytes[out.at++] = 0x2d;
    putHexByte(out, input[at + UUID_ORDER[i]!]!);
  }
}

const HEX = new TextEncoder().encode("0123456789abcdef");

function putHexByte(out: FieldBytes, byte: number): void {
  out.bytes[out.at++] = HEX[byte >> 4]!;
  out.bytes[out.at++] = HEX[byte & 15]!;
}

/** Binary values as lower-case hex, for small results that are text. */
export class HexInto implements TextDecoderInto {
  put(out: FieldBytes, input: Uint8Array, from: number, to: number): void {
    out.ensure(2 * (to - from));
    for (let i = from; i < to; i++) putHexByte(out, input[i]!);
  }

  end(): void {}
}

/** The decoder of a text type; `codePage` is the collation's, as the driver names it. */
export function toTextDecoder(type: number, codePage: string): TextDecoderInto {
  switch (type) {
    case TDS.NVARCHAR:
    case TDS.NCHAR:
    case TDS.NTEXT:
    case TDS.XML:
      return new Utf16Into();
    case TDS.JSON:
      return new PlainInto();
    default:
      return codePage === "utf-8" ? new PlainInto() : new SingleByteInto(codePage);
  }
}

/**
 * The content of a sql_variant as text: base type, its properties, then the value. Every base type keeps all its digits;
 * binary is `0x…` and a datetimeoffset keeps its offset.
 */
export function putVariant(
  out: FieldBytes,
  input: Uint8Array,
  at: number,
  length: number,
  toCodePage: (input: Uint8Array, at: number) => string,
): void {
  const type = input[at]!;
  const properties = at + 2;
  const value = properties + input[at + 1]!;
  const end = at + length;
  const scale = type === TDS.DECIMALN || type === TDS.NUMERICN ? input[properties + 1]! : input[properties] ?? 0;
  out.ensure(SHORT_TEXT_MAX + 3 * (end - value));
  if (type === TDS.GUID) return putUuidText(out, input, value);
  if (type === TDS.DATETIMEOFFSETN) return putOffsetText(out, input, value, end - value, scale);
  if (type === TDS.BIGVARBIN || type === TDS.BIGBINARY) {
    out.bytes[out.at++] = 0x30;
    out.bytes[out.at++] = 0x78;
    return new HexInto().put(out, input, value, end);
  }
  const put = toPutValue(type, scale);
  if (put !== null) return put(out, input, value, end - value);
  const decoder = toTextDecoder(type, toCodePage(input, properties));
  decoder.put(out, input, value, end);
  decoder.end();
}
