// Column types of the fake: how each declares itself in COLMETADATA and how a value of it lies on the wire.
// Values are given as text in the form SQL Server shows them, as bytes, or null.

import { Buffer } from "node:buffer";
import { magnitude, shortText, u16, u32, u64, u8, utf16 } from "./wire.ts";

export type WireValue = string | Uint8Array | null;

/** One column of a fake result. `type` is spelled as in T-SQL: `decimal(10,2)`, `nvarchar(max)`, `int not null`. */
export interface WireColumn {
  readonly name: string;
  readonly type: string;
}

export interface WireType {
  /** TYPE_INFO, from the type byte on. */
  readonly info: Buffer;
  /** TEXT, NTEXT and IMAGE name their table after TYPE_INFO. */
  readonly hasTable?: boolean;
  encode(value: WireValue): Buffer;
}

/** Latin1_General_CI_AS with code page 1252; UTF-8; Japanese with code page 932; code page 437. */
export const COLLATIONS = {
  latin: u8(0x09, 0x04, 0xd0, 0x00, 0x34),
  utf8: u8(0x09, 0x04, 0xd0, 0x04, 0x00),
  japanese: u8(0x11, 0x04, 0xd0, 0x00, 0x00),
} as const;

const DAY_MS = 86_400_000;
const DAY_ONE = Date.UTC(1, 0, 1) - (Date.UTC(1, 0, 1) - new Date("0001-01-01T00:00:00Z").getTime());

/** Days since 0001-01-01. */
export function toDays(date: string): number {
  return Math.round((new Date(`${date}T00:00:00Z`).getTime() - DAY_ONE) / DAY_MS);
}

/** Units of ten to the minus `scale` seconds in `HH:MM:SS.fffffff`. */
function toTicks(clock: string, scale: number): bigint {
  const [hours, minutes, rest] = clock.split(":");
  const [seconds, fraction = ""] = rest!.split(".");
  const whole = BigInt(hours!) * 3600n + BigInt(minutes!) * 60n + BigInt(seconds!);
  return whole * 10n ** BigInt(scale) + BigInt(fraction.padEnd(scale, "0").slice(0, scale) || "0");
}

/** The digits of a decimal text as an integer of ten to the minus `scale`. */
function toScaled(text: string, scale: number): bigint {
  const negative = text.startsWith("-");
  const [whole, fraction = ""] = text.replace("-", "").split(".");
  const value = BigInt(whole + fraction.padEnd(scale, "0").slice(0, scale));
  return negative ? -value : value;
}

const tickBytes = (scale: number): number => scale <= 2 ? 3 : scale <= 4 ? 4 : 5;

function integer(value: string, bytes: number): Buffer {
  return magnitude(BigInt.asUintN(bytes * 8, BigInt(value)), bytes);
}

function float(value: string, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 4) buffer.writeFloatLE(Number(value));
  else buffer.writeDoubleLE(Number(value));
  return buffer;
}

function money(value: string, bytes: number): Buffer {
  const scaled = toScaled(value, 4);
  if (bytes === 4) return magnitude(BigInt.asUintN(32, scaled), 4);
  const whole = BigInt.asUintN(64, scaled);
  return Buffer.concat([u32(Number(whole >> 32n)), u32(Number(whole & 0xffffffffn))]);
}

function decimal(value: string, scale: number, bytes: number): Buffer {
  const scaled = toScaled(value, scale);
  return Buffer.concat([u8(scaled < 0n ? 0 : 1), magnitude(scaled < 0n ? -scaled : scaled, bytes)]);
}

/** `2020-01-01 10:00:00.0000000 +02:00`, stored as UTC and the offset in minutes. */
function offsetTime(value: string, scale: number): Buffer {
  const [date, clock, offset = "+00:00"] = value.split(" ");
  const sign = offset.startsWith("-") ? -1 : 1;
  const minutes = sign * (Number(offset.slice(1, 3)) * 60 + Number(offset.slice(4, 6)));
  const day = 86_400n * 10n ** BigInt(scale);
  let ticks = toTicks(clock!, scale) - BigInt(minutes) * 60n * 10n ** BigInt(scale);
  let days = toDays(date!);
  if (ticks < 0n) {
    ticks += day;
    days--;
  } else if (ticks >= day) {
    ticks -= day;
    days++;
  }
  return Buffer.concat([
    magnitude(ticks, tickBytes(scale)),
    magnitude(BigInt(days), 3),
    u16(minutes & 0xffff),
  ]);
}

function dateTime(value: string, bytes: number): Buffer {
  const [date, clock] = value.split(" ");
  const days = toDays(date!) - toDays("1900-01-01");
  if (bytes === 4) return Buffer.concat([u16(days), u16(Number(toTicks(clock!, 0)) / 60)]);
  // Three-hundredths of a second, as the server rounds milliseconds to them.
  return Buffer.concat([u32(days), u32(Math.round(Number(toTicks(clock!, 3)) * 3 / 10))]);
}

/** `HHHHHHHH-HHHH-…`: the first three groups are little-endian on the wire. */
function uuid(value: string): Buffer {
  const raw = Buffer.from(value.replaceAll("-", ""), "hex");
  return Buffer.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map((i) => raw[i]!));
}

/** One length byte in front, 0 for NULL. */
function nullable(info: Buffer, toBytes: (text: string) => Buffer): WireType {
  return {
    info,
    encode(value) {
      if (value === null) return u8(0);
      const bytes = toBytes(String(value));
      return Buffer.concat([u8(bytes.length), bytes]);
    },
  };
}

function fixed(type: number, toBytes: (text: string) => Buffer): WireType {
  return { info: u8(type), encode: (value) => toBytes(String(value)) };
}

type ToBytes = (value: string | Uint8Array) => Buffer;
const asIs: ToBytes = (value) => Buffer.from(value as Uint8Array);
const unicode: ToBytes = (value) => utf16(value as string);

const WINDOWS_1252 = new Map(
  Array.from({ length: 256 }, (_, byte) => [new TextDecoder("windows-1252").decode(Uint8Array.of(byte)), byte]),
);

/** Windows-1252; what it does not have becomes a question mark, as on the server. Bytes go as they are. */
const latin: ToBytes = (value) =>
  typeof value === "string"
    ? Buffer.from([...value].map((char) => WINDOWS_1252.get(char) ?? 0x3f))
    : Buffer.from(value);
const utf8: ToBytes = (value) => typeof value === "string" ? Buffer.from(value, "utf8") : Buffer.from(value);

function shortValue(info: Buffer, toBytes: ToBytes): WireType {
  return {
    info,
    encode(value) {
      if (value === null) return u16(0xffff);
      const bytes = toBytes(value);
      return Buffer.concat([u16(bytes.length), bytes]);
    },
  };
}

/** A value in parts; `unknown` hides the total length, and `partBytes` says how large the parts are. */
export function inParts(info: Buffer, toBytes: ToBytes, partBytes = 8000, isUnknown = false): WireType {
  return {
    info,
    encode(value) {
      if (value === null) return u64(0xffffffffffffffffn);
      const bytes = toBytes(value);
      const parts = [u64(isUnknown ? 0xfffffffffffffffen : BigInt(bytes.length))];
      for (let at = 0; at < bytes.length; at += partBytes) {
        const part = bytes.subarray(at, at + partBytes);
        parts.push(u32(part.length), part);
      }
      return Buffer.concat([...parts, u32(0)]);
    },
  };
}

function pointed(info: Buffer, toBytes: ToBytes): WireType {
  return {
    info,
    hasTable: true,
    encode(value) {
      if (value === null) return u8(0);
      const bytes = toBytes(value);
      return Buffer.concat([u8(16), Buffer.alloc(16, 7), Buffer.alloc(8, 9), u32(bytes.length), bytes]);
    },
  };
}

/** Values are `{base type}:{text}`, as in `decimal(10,2):1.50`. */
function variant(): WireType {
  return {
    info: Buffer.concat([u8(0x62), u32(8016)]),
    encode(value) {
      if (value === null) return u32(0);
      const [, base, text] = /^(.*?):(.*)$/s.exec(String(value))!;
      const body = variantBody(base!, text!);
      return Buffer.concat([u32(body.length), body]);
    },
  };
}

function variantBody(base: string, text: string): Buffer {
  const { name, first, second } = parseType(base);
  const body = (type: number, properties: Buffer, value: Buffer) =>
    Buffer.concat([u8(type, properties.length), properties, value]);
  switch (name) {
    case "int":
      return body(0x38, u8(), integer(text, 4));
    case "bigint":
      return body(0x7f, u8(), integer(text, 8));
    case "bit":
      return body(0x32, u8(), integer(text, 1));
    case "float":
      return body(0x3e, u8(), float(text, 8));
    case "money":
      return body(0x3c, u8(), money(text, 8));
    case "decimal":
      return body(0x6c, u8(first, second), decimal(text, second, 16));
    case "date":
      return body(0x28, u8(), magnitude(BigInt(toDays(text)), 3));
    case "datetime":
      return body(0x3d, u8(), dateTime(text, 8));
    case "datetime2": {
      const [date, clock] = text.split(" ");
      const value = Buffer.concat([
        magnitude(toTicks(clock!, first), tickBytes(first)),
        magnitude(BigInt(toDays(date!)), 3),
      ]);
      return body(0x2a, u8(first), value);
    }
    case "datetimeoffset":
      return body(0x2b, u8(first), offsetTime(text, first));
    case "uniqueidentifier":
      return body(0x24, u8(), uuid(text));
    case "varbinary":
      return body(0xa5, u16(8000), Buffer.from(text, "hex"));
    case "varchar":
      return body(0xa7, Buffer.concat([COLLATIONS.latin, u16(8000)]), latin(text));
    case "nvarchar":
      return body(0xe7, Buffer.concat([COLLATIONS.latin, u16(8000)]), utf16(text));
    default:
      throw new Error(`The fake has no sql_variant of '${base}'`);
  }
}

export interface TypeName {
  readonly name: string;
  /** Length, precision or scale; -1 for MAX. */
  readonly first: number;
  readonly second: number;
  readonly notNull: boolean;
  /** `utf8`, `japanese`; `latin` unless named as `varchar(10) utf8`. */
  readonly collation: keyof typeof COLLATIONS;
}

export function parseType(text: string): TypeName {
  const match = /^(\w+)\s*(?:\(\s*(\d+|max)\s*(?:,\s*(\d+)\s*)?\))?(.*)$/is.exec(text.trim());
  if (match === null) throw new Error(`The fake cannot read the type '${text}'`);
  const [, name, first, second, rest] = match;
  return {
    name: name!.toLowerCase(),
    first: first === undefined ? defaultFirst(name!.toLowerCase()) : first.toLowerCase() === "max" ? -1 : Number(first),
    second: Number(second ?? 0),
    notNull: /not null/i.test(rest!),
    collation: /utf8/i.test(rest!) ? "utf8" : /japanese/i.test(rest!) ? "japanese" : "latin",
  };
}

function defaultFirst(name: string): number {
  return /^(datetime2|datetimeoffset|time)$/.test(name) ? 7 : /^(decimal|numeric)$/.test(name) ? 18 : 1;
}

/** The wire form of a T-SQL type. `not null` picks the form without a length where there is one. */
export function toWireType(text: string): WireType {
  const type = parseType(text);
  const { name, first, second, notNull } = type;
  const number = (bytes: number, plain: number, withLength: number, toBytes: (v: string, n: number) => Buffer) =>
    notNull ? fixed(plain, (v) => toBytes(v, bytes)) : nullable(u8(withLength, bytes), (v) => toBytes(v, bytes));
  switch (name) {
    case "bit":
      return number(1, 0x32, 0x68, (v) => integer(v === "true" ? "1" : v === "false" ? "0" : v, 1));
    case "tinyint":
      return number(1, 0x30, 0x26, integer);
    case "smallint":
      return number(2, 0x34, 0x26, integer);
    case "int":
      return number(4, 0x38, 0x26, integer);
    case "bigint":
      return number(8, 0x7f, 0x26, integer);
    case "real":
      return number(4, 0x3b, 0x6d, float);
    case "float":
      return number(8, 0x3e, 0x6d, float);
    case "smallmoney":
      return number(4, 0x7a, 0x6e, money);
    case "money":
      return number(8, 0x3c, 0x6e, money);
    case "smalldatetime":
      return number(4, 0x3a, 0x6f, dateTime);
    case "datetime":
      return number(8, 0x3d, 0x6f, dateTime);
    case "decimal":
    case "numeric": {
      const bytes = first <= 9 ? 4 : first <= 19 ? 8 : first <= 28 ? 12 : 16;
      return nullable(u8(name === "decimal" ? 0x6a : 0x6c, bytes + 1, first, second), (v) => decimal(v, second, bytes));
    }
    case "date":
      return nullable(u8(0x28), (v) => magnitude(BigInt(toDays(v)), 3));
    case "time":
      return nullable(u8(0x29, first), (v) => magnitude(toTicks(v, first), tickBytes(first)));
    case "datetime2":
      return nullable(u8(0x2a, first), (v) => {
        const [date, clock] = v.split(" ");
        return Buffer.concat([
          magnitude(toTicks(clock!, first), tickBytes(first)),
          magnitude(BigInt(toDays(date!)), 3),
        ]);
      });
    case "datetimeoffset":
      return nullable(u8(0x2b, first), (v) => offsetTime(v, first));
    case "uniqueidentifier":
      return nullable(u8(0x24, 16), uuid);
    case "sql_variant":
      return variant();
    default:
      return toLongType(type);
  }
}

function toLongType({ name, first, collation }: TypeName): WireType {
  const text = COLLATIONS[collation];
  const encode = collation === "utf8" ? utf8 : latin;
  const size = (bytes: number) => u16(first === -1 ? 0xffff : bytes);
  const long = (type: number, bytes: number, more: Buffer, toBytes: ToBytes) => {
    const info = Buffer.concat([u8(type), size(bytes), more]);
    return first === -1 ? inParts(info, toBytes) : shortValue(info, toBytes);
  };
  switch (name) {
    case "varchar":
      return long(0xa7, first, text, encode);
    case "char":
      return long(0xaf, first, text, encode);
    case "nvarchar":
    case "sysname":
      return long(0xe7, 2 * first, text, unicode);
    case "nchar":
      return long(0xef, 2 * first, text, unicode);
    case "varbinary":
      return long(0xa5, first, u8(), asIs);
    case "binary":
      return long(0xad, first, u8(), asIs);
    case "timestamp":
    case "rowversion":
      return shortValue(Buffer.concat([u8(0xad), u16(8)]), asIs);
    case "text":
      return pointed(Buffer.concat([u8(0x23), u32(0x7fffffff), text]), encode);
    case "ntext":
      return pointed(Buffer.concat([u8(0x63), u32(0x7ffffffe), text]), unicode);
    case "image":
      return pointed(Buffer.concat([u8(0x22), u32(0x7fffffff)]), asIs);
    case "xml":
      return inParts(u8(0xf1, 0), unicode);
    case "json":
      return inParts(u8(0xf4), utf8);
    case "geometry":
    case "geography":
    case "hierarchyid":
      return inParts(
        Buffer.concat([
          u8(0xf0),
          u16(0xffff),
          shortText("master"),
          shortText("sys"),
          shortText(name),
          u16(3),
          utf16("asm"),
        ]),
        asIs,
      );
    default:
      throw new Error(`The fake has no type '${name}'`);
  }
}

/** COLMETADATA. */
export function columnsToken(columns: readonly { name: string; wire: WireType }[]): Buffer {
  return Buffer.concat([
    u8(0x81),
    u16(columns.length),
    ...columns.flatMap(({ name, wire }) => [
      u32(0),
      u16(0x09),
      wire.info,
      ...(wire.hasTable ? [u8(1), u16(1), utf16("t")] : []),
      shortText(name),
    ]),
  ]);
}

export function rowToken(types: readonly WireType[], values: readonly WireValue[]): Buffer {
  return Buffer.concat([u8(0xd1), ...types.map((type, i) => type.encode(values[i]!))]);
}

/** A row with a bitmap of its NULLs, which then take no bytes. */
export function bitmapRowToken(types: readonly WireType[], values: readonly WireValue[]): Buffer {
  const bitmap = Buffer.alloc((types.length + 7) >> 3);
  values.forEach((value, i) => value === null && (bitmap[i >> 3]! |= 1 << (i & 7)));
  return Buffer.concat([
    u8(0xd2),
    bitmap,
    ...types.flatMap((type, i) => values[i] === null ? [] : [type.encode(values[i]!)]),
  ]);
}
