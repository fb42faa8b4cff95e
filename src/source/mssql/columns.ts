// The COLMETADATA token: what columns a result has and how each value lies on the wire.

import { Buffer } from "node:buffer";
import { Collation } from "tedious/lib/collation.js";
import { RivetError } from "../../errors.ts";
import { PlainInto, type TextDecoderInto } from "./text.ts";
import {
  HexInto,
  putUuidBytes,
  putUuidText,
  type PutValue,
  putVariant,
  TDS,
  toFixedBytes,
  toPutValue,
  toTextDecoder,
} from "./values.ts";

/** How the values of a column lie on the wire. */
export type Layout =
  /** Always `bytes` long, never NULL. */
  | { readonly kind: "fixed"; readonly bytes: number; readonly put: PutValue | null }
  /** One length byte; 0 is NULL. */
  | { readonly kind: "byte_length"; readonly put: PutValue }
  /** Two length bytes; 0xFFFF is NULL. */
  | { readonly kind: "short_length"; readonly decoder: TextDecoderInto; readonly unitBytes: number }
  /** Parts of any size: MAX types, XML, user-defined types. */
  | { readonly kind: "parts"; readonly decoder: TextDecoderInto; readonly unitBytes: number }
  /** The old TEXT, NTEXT and IMAGE: a pointer, a timestamp, four length bytes. */
  | { readonly kind: "pointer"; readonly decoder: TextDecoderInto; readonly unitBytes: number }
  /** Four length bytes, 0 is NULL, then a value that names its own type. */
  | { readonly kind: "variant"; readonly put: PutValue };

export interface WireColumn {
  readonly name: string;
  /** What the core calls the wire form of the values: raw bytes, or text. */
  readonly wire: "bytes" | "text";
  readonly layout: Layout;
}

/** `wire`: binary and uuid values as raw bytes. `text`: as hex and hyphenated text. */
export type ValueForm = "wire" | "text";

const BINARY: ReadonlySet<number> = new Set([TDS.BIGVARBIN, TDS.BIGBINARY, TDS.IMAGE, TDS.UDT, TDS.GUID]);

class NotEnough extends Error {}

class Cursor {
  at: number;
  readonly #input: Uint8Array;
  readonly #end: number;

  constructor(input: Uint8Array, at: number, end: number) {
    this.#input = input;
    this.at = at;
    this.#end = end;
  }

  take(count: number): number {
    const at = this.at;
    if (at + count > this.#end) throw new NotEnough();
    this.at = at + count;
    return at;
  }

  byte(): number {
    return this.#input[this.take(1)]!;
  }

  short(): number {
    const at = this.take(2);
    return this.#input[at]! | (this.#input[at + 1]! << 8);
  }

  /** UTF-16 text of `units` code units. */
  text(units: number): string {
    const at = this.take(2 * units);
    return Buffer.from(this.#input.buffer, this.#input.byteOffset + at, 2 * units).toString("utf16le");
  }

  codePage(): string {
    return toCodePage(this.#input, this.take(5));
  }
}

function toCodePage(input: Uint8Array, at: number): string {
  return Collation.fromBuffer(Buffer.from(input.buffer, input.byteOffset + at, 5)).codepage ?? "unknown";
}

/** Columns of the token whose type byte stands before `at`, and where it ends; null when it is not complete yet. */
export function parseColumns(
  input: Uint8Array,
  at: number,
  end: number,
  form: ValueForm,
): { columns: WireColumn[]; at: number } | null {
  const cursor = new Cursor(input, at, end);
  try {
    const count = cursor.short();
    const columns: WireColumn[] = [];
    // 0xFFFF says that there is no metadata.
    for (let i = 0; i < count && count !== 0xffff; i++) columns.push(parseColumn(cursor, form));
    return { columns, at: cursor.at };
  } catch (error) {
    if (error instanceof NotEnough) return null;
    throw error;
  }
}

function parseColumn(cursor: Cursor, form: ValueForm): WireColumn {
  cursor.take(6);
  const type = cursor.byte();
  const layout = parseLayout(cursor, type, form);
  if (type === TDS.TEXT || type === TDS.NTEXT || type === TDS.IMAGE) {
    for (let parts = cursor.byte(); parts > 0; parts--) cursor.text(cursor.short());
  }
  return { name: cursor.text(cursor.byte()), wire: BINARY.has(type) ? "bytes" : "text", layout };
}

function parseLayout(cursor: Cursor, type: number, form: ValueForm): Layout {
  const bytes = toFixedBytes(type);
  if (bytes !== undefined) return { kind: "fixed", bytes, put: toPutValue(type, 0) };
  switch (type) {
    case TDS.GUID:
      cursor.byte();
      return { kind: "byte_length", put: form === "wire" ? putUuidBytes : putUuidText };
    case TDS.INTN:
    case TDS.BITN:
    case TDS.FLTN:
    case TDS.MONEYN:
    case TDS.DATETIMN:
      cursor.byte();
      return { kind: "byte_length", put: toPutValue(type, 0)! };
    case TDS.DATEN:
      return { kind: "byte_length", put: toPutValue(type, 0)! };
    case TDS.TIMEN:
    case TDS.DATETIME2N:
    case TDS.DATETIMEOFFSETN:
      return { kind: "byte_length", put: toPutValue(type, cursor.byte())! };
    case TDS.DECIMAL:
    case TDS.NUMERIC:
    case TDS.DECIMALN:
    case TDS.NUMERICN:
      cursor.take(2);
      return { kind: "byte_length", put: toPutValue(type, cursor.byte())! };
    default:
      return parseLongLayout(cursor, type, form);
  }
}

function parseLongLayout(cursor: Cursor, type: number, form: ValueForm): Layout {
  const binary = () => form === "wire" ? new PlainInto() : new HexInto();
  switch (type) {
    case TDS.BIGVARBIN:
    case TDS.BIGBINARY:
      return { kind: toLengthKind(cursor.short()), decoder: binary(), unitBytes: 1 };
    case TDS.BIGVARCHR:
    case TDS.BIGCHAR:
    case TDS.NVARCHAR:
    case TDS.NCHAR: {
      const kind = toLengthKind(cursor.short());
      const unitBytes = type === TDS.NVARCHAR || type === TDS.NCHAR ? 2 : 1;
      return { kind, decoder: toTextDecoder(type, cursor.codePage()), unitBytes };
    }
    case TDS.IMAGE:
      cursor.take(4);
      return { kind: "pointer", decoder: binary(), unitBytes: 1 };
    case TDS.TEXT:
    case TDS.NTEXT:
      cursor.take(4);
      return {
        kind: "pointer",
        decoder: toTextDecoder(type, cursor.codePage()),
        unitBytes: type === TDS.NTEXT ? 2 : 1,
      };
    case TDS.XML:
      if (cursor.byte() === 1) {
        cursor.text(cursor.byte());
        cursor.text(cursor.byte());
        cursor.text(cursor.short());
      }
      return { kind: "parts", decoder: toTextDecoder(type, ""), unitBytes: 2 };
    case TDS.UDT:
      cursor.take(2);
      for (let i = 0; i < 3; i++) cursor.text(cursor.byte());
      cursor.text(cursor.short());
      return { kind: "parts", decoder: binary(), unitBytes: 1 };
    case TDS.JSON:
      return { kind: "parts", decoder: toTextDecoder(type, ""), unitBytes: 1 };
    case TDS.VARIANT:
      cursor.take(4);
      return { kind: "variant", put: (out, input, at, length) => putVariant(out, input, at, length, toCodePage) };
    default:
      throw new RivetError(
        "RIVET_SOURCE_QUERY_FAILED",
        `The server sent a column of the unknown type 0x${type.toString(16)}`,
        { cure: "Convert the column in `query:`, for example with CONVERT(nvarchar(max), …)" },
      );
  }
}

/** A declared length of 0xFFFF is a MAX type. */
function toLengthKind(declared: number): "short_length" | "parts" {
  return declared === 0xffff ? "parts" : "short_length";
}
