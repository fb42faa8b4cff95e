// Text as SQL Server sends it, written as UTF-8: UTF-16, UTF-8 and the single-byte code pages. A character that has no exact
// counterpart is refused, never replaced.

import type { FieldBytes } from "./bytes.ts";

/** Why a text cannot be written; the reader adds the column. */
export class UnrepresentableText extends Error {
  override readonly name = "UnrepresentableText";
}

/** Feeds the parts of one text value into the buffer as UTF-8. */
export interface TextDecoderInto {
  put(out: FieldBytes, input: Uint8Array, from: number, to: number): void;
  /** The value is complete; throws when it ended inside a character. */
  end(): void;
}

/** UTF-16LE in parts of any size. */
export class Utf16Into implements TextDecoderInto {
  #oddByte = -1;
  #high = 0;

  put(out: FieldBytes, input: Uint8Array, from: number, to: number): void {
    out.ensure(3 * ((to - from + 2) >> 1) + 4);
    let i = from;
    if (this.#oddByte >= 0 && i < to) {
      this.#unit(out, this.#oddByte | (input[i++]! << 8));
      this.#oddByte = -1;
    }
    const even = i + ((to - i) & ~1);
    const { bytes } = out;
    while (i < even) {
      const low = input[i]!;
      if (low < 0x80 && input[i + 1] === 0 && this.#high === 0) bytes[out.at++] = low;
      else this.#unit(out, low | (input[i + 1]! << 8));
      i += 2;
    }
    if (i < to) this.#oddByte = input[i]!;
  }

  #unit(out: FieldBytes, unit: number): void {
    if (this.#high !== 0) {
      if (unit < 0xdc00 || unit > 0xdfff) this.#refuse();
      putCodePoint(out, 0x10000 + ((this.#high - 0xd800) << 10) + (unit - 0xdc00));
      this.#high = 0;
    } else if (unit >= 0xd800 && unit <= 0xdfff) {
      if (unit >= 0xdc00) this.#refuse();
      this.#high = unit;
    } else {
      putCodePoint(out, unit);
    }
  }

  end(): void {
    if (this.#high !== 0 || this.#oddByte >= 0) this.#refuse();
  }

  #refuse(): never {
    this.#high = 0;
    this.#oddByte = -1;
    throw new UnrepresentableText("half of a surrogate pair, which UTF-8 cannot hold");
  }
}

/** A code page with one byte a character. Above ASCII, `table` holds code points; 0xFFFD marks bytes without a character. */
export class SingleByteInto implements TextDecoderInto {
  readonly #table: Uint16Array | null;
  readonly #codePage: string;

  constructor(codePage: string) {
    this.#codePage = codePage;
    this.#table = openTable(codePage);
  }

  put(out: FieldBytes, input: Uint8Array, from: number, to: number): void {
    out.ensure(3 * (to - from));
    const { bytes } = out;
    for (let i = from; i < to; i++) {
      const byte = input[i]!;
      if (byte < 0x80) {
        bytes[out.at++] = byte;
        continue;
      }
      const point = this.#table === null ? 0xfffd : this.#table[byte - 0x80]!;
      if (point === 0xfffd) {
        throw new UnrepresentableText(`the byte 0x${byte.toString(16)} of the code page '${this.#codePage}'`);
      }
      putCodePoint(out, point);
    }
  }

  end(): void {}
}

/** Bytes as they are: UTF-8 collations and binary values. */
export class PlainInto implements TextDecoderInto {
  put(out: FieldBytes, input: Uint8Array, from: number, to: number): void {
    out.putBytes(input, from, to);
  }

  end(): void {}
}

const tables = new Map<string, Uint16Array>();

/** Null for code pages that this file does not decode beyond ASCII. */
function openTable(codePage: string): Uint16Array | null {
  const number = /^CP(874|125[0-8])$/i.exec(codePage)?.[1];
  if (number === undefined) return null;
  let table = tables.get(number);
  if (table === undefined) {
    const decoder = new TextDecoder(`windows-${number}`);
    table = Uint16Array.from({ length: 128 }, (_, i) => decoder.decode(Uint8Array.of(0x80 + i)).charCodeAt(0));
    tables.set(number, table);
  }
  return table;
}

/** Whether text of this Windows code page is decoded here; any other must be converted to Unicode by the server. */
export function isDecodedCodePage(codePage: number): boolean {
  return codePage === 65001 || codePage === 874 || (codePage >= 1250 && codePage <= 1258);
}

/** The room must have been ensured: at most four bytes. */
function putCodePoint(out: FieldBytes, point: number): void {
  const { bytes } = out;
  if (point < 0x80) {
    bytes[out.at++] = point;
  } else if (point < 0x800) {
    bytes[out.at++] = 0xc0 | (point >> 6);
    bytes[out.at++] = 0x80 | (point & 0x3f);
  } else if (point < 0x10000) {
    bytes[out.at++] = 0xe0 | (point >> 12);
    bytes[out.at++] = 0x80 | ((point >> 6) & 0x3f);
    bytes[out.at++] = 0x80 | (point & 0x3f);
  } else {
    bytes[out.at++] = 0xf0 | (point >> 18);
    bytes[out.at++] = 0x80 | ((point >> 12) & 0x3f);
    bytes[out.at++] = 0x80 | ((point >> 6) & 0x3f);
    bytes[out.at++] = 0x80 | (point & 0x3f);
  }
}
