// Splits a response into tokens: rows become `lenenc_text` fields, everything else is passed on whole for the driver to handle.
// It takes the bytes in pieces of any size and keeps no more than one incomplete short value of them.

import { invariant, RivetError } from "../../errors.ts";
import { FieldBytes } from "./bytes.ts";
import { type Layout, parseColumns, type ValueForm, type WireColumn } from "./columns.ts";
import { readUint32 } from "./numbers.ts";
import { UnrepresentableText } from "./text.ts";
import { join, TOKEN, toTokenBytes } from "./tokens.ts";
import { SHORT_TEXT_MAX } from "./values.ts";

type Streamed = Extract<Layout, { kind: "parts" | "pointer" }>;

/** A value that arrives in parts: where its field began and how many bytes the part at hand still has. */
interface OpenValue {
  readonly layout: Streamed;
  start: number;
  readonly guess: number;
  left: number;
}

export class ResponseReader {
  /** Columns of the last result set. */
  columns: readonly WireColumn[] = [];
  /** Result sets and rows so far. */
  results = 0;
  rows = 0;

  readonly #form: ValueForm;
  readonly #maxValueBytes: number;
  readonly #out = new FieldBytes();
  /** What is being read, from `#at` to `#end`: a chunk itself, or `#joined` when the chunk before it left a rest. */
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #joined: Uint8Array = new Uint8Array(64 * 1024);
  #passed: Uint8Array[] = [];
  /** The column being read; -1 between rows. */
  #column = -1;
  /** One bit a column, set for NULL, in rows that have it. */
  #nulls: Uint8Array | null = null;
  #bitmap: Uint8Array = new Uint8Array(0);
  #open: OpenValue | null = null;

  constructor(form: ValueForm, maxValueBytes: number) {
    this.#form = form;
    this.#maxValueBytes = maxValueBytes;
  }

  /** Reads as far as the bytes go. The chunk may be kept until the next call. */
  feed(chunk: Uint8Array): void {
    const rest = this.#end - this.#at;
    if (rest === 0) {
      this.#input = chunk;
    } else {
      const needed = rest + chunk.length;
      const joined = this.#joined.length >= needed ? this.#joined : new Uint8Array(2 * needed);
      joined.set(this.#input.subarray(this.#at, this.#end));
      joined.set(chunk, rest);
      this.#joined = this.#input = joined;
    }
    this.#at = 0;
    this.#end = rest + chunk.length;
    while (this.#at < this.#end && (this.#column >= 0 ? this.#readRow() : this.#readToken()));
  }

  /** The response has ended. */
  end(): void {
    invariant(this.#column < 0 && this.#at === this.#end, "A response ended inside a token");
  }

  /** No field leaves any more, also not to a sink that was still waiting. Nothing may be fed after this. */
  abandon(): void {
    this.#open = null;
    this.#out.drop(this.#out.at);
  }

  /** Whole tokens that were not rows, in order, or null. */
  takePassed(): Uint8Array | null {
    const [first] = this.#passed;
    if (first === undefined) return null;
    const passed = this.#passed.length === 1 ? first : join(this.#passed);
    this.#passed = [];
    return passed;
  }

  /** Finished fields. The view is valid until `dropFields`; a row may end in a later one. */
  viewFields(): Uint8Array {
    return this.#out.bytes.subarray(0, this.#open === null ? this.#out.at : this.#open.start);
  }

  /** The first `bytes` of the view have left. */
  dropFields(bytes: number): void {
    if (bytes === 0) return;
    this.#out.drop(bytes);
    if (this.#open !== null) this.#open.start -= bytes;
  }

  /** False when the bytes do not suffice. */
  #readToken(): boolean {
    const input = this.#input;
    const type = input[this.#at]!;
    if (type === TOKEN.ROW) {
      this.#at++;
      this.#nulls = null;
      this.#column = 0;
      return true;
    }
    if (type === TOKEN.NBCROW) {
      const bytes = (this.columns.length + 7) >> 3;
      if (this.#at + 1 + bytes > this.#end) return false;
      this.#bitmap.set(input.subarray(this.#at + 1, this.#at + 1 + bytes));
      this.#nulls = this.#bitmap;
      this.#at += 1 + bytes;
      this.#column = 0;
      return true;
    }
    if (type === TOKEN.COLMETADATA) {
      const parsed = parseColumns(input, this.#at + 1, this.#end, this.#form);
      if (parsed === null) return false;
      this.columns = parsed.columns;
      this.#bitmap = new Uint8Array((parsed.columns.length + 7) >> 3);
      this.results++;
      this.#at = parsed.at;
      return true;
    }
    return this.#passToken(type);
  }

  #passToken(type: number): boolean {
    const input = this.#input;
    const from = this.#at;
    const length = toTokenBytes(input, from, this.#end, type);
    if (length === null || from + length > this.#end) return false;
    this.#passed.push(input.slice(from, from + length));
    this.#at = from + length;
    return true;
  }

  /** False when the bytes do not suffice. */
  #readRow(): boolean {
    const { columns } = this;
    try {
      while (this.#column < columns.length) {
        if (!this.#readField(columns[this.#column]!.layout)) return false;
        this.#column++;
      }
    } catch (error) {
      throw toColumnError(error, columns[this.#column]!.name);
    }
    this.#column = -1;
    this.rows++;
    return true;
  }

  #readField(layout: Layout): boolean {
    const input = this.#input;
    const at = this.#at;
    const end = this.#end;
    const out = this.#out;
    if (this.#open !== null) return this.#readParts(this.#open);
    if (this.#nulls !== null && (this.#nulls[this.#column >> 3]! & (1 << (this.#column & 7))) !== 0) {
      out.putNull();
      return true;
    }
    switch (layout.kind) {
      case "byte_length": {
        if (at + 1 > end) return false;
        const length = input[at]!;
        if (at + 1 + length > end) return false;
        if (length === 0) out.putNull();
        else this.#putShort(layout.put, at + 1, length);
        this.#at = at + 1 + length;
        return true;
      }
      case "fixed":
        if (at + layout.bytes > end) return false;
        if (layout.put === null) out.putNull();
        else this.#putShort(layout.put, at, layout.bytes);
        this.#at = at + layout.bytes;
        return true;
      case "short_length":
        return this.#readText(layout);
      case "variant":
        return this.#readVariant(layout);
      case "parts":
        return this.#openParts(layout);
      case "pointer":
        return this.#openPointer(layout);
    }
  }

  #readText(layout: Extract<Layout, { kind: "short_length" }>): boolean {
    const input = this.#input;
    const out = this.#out;
    const from = this.#at + 2;
    if (from > this.#end) return false;
    const length = input[from - 2]! | (input[from - 1]! << 8);
    if (length === 0xffff) {
      out.putNull();
      this.#at = from;
      return true;
    }
    if (from + length > this.#end) return false;
    const guess = length / layout.unitBytes | 0;
    const start = out.openField(guess);
    layout.decoder.put(out, input, from, from + length);
    layout.decoder.end();
    out.closeField(start, guess);
    this.#at = from + length;
    return true;
  }

  #readVariant(layout: Extract<Layout, { kind: "variant" }>): boolean {
    const out = this.#out;
    const from = this.#at + 4;
    if (from > this.#end) return false;
    const length = readUint32(this.#input, this.#at);
    if (from + length > this.#end) return false;
    if (length === 0) {
      out.putNull();
    } else {
      const start = out.openField(length);
      layout.put(out, this.#input, from, length);
      out.closeField(start, length);
    }
    this.#at = from + length;
    return true;
  }

  #putShort(put: Extract<Layout, { kind: "byte_length" }>["put"], at: number, length: number): void {
    const out = this.#out;
    out.ensure(SHORT_TEXT_MAX + 1);
    const start = out.at++;
    put(out, this.#input, at, length);
    out.bytes[start] = out.at - start - 1;
  }

  #openParts(layout: Streamed): boolean {
    const at = this.#at;
    if (at + 8 > this.#end) return false;
    const low = readUint32(this.#input, at);
    const high = readUint32(this.#input, at + 4);
    this.#at = at + 8;
    if (low === 0xffffffff && high === 0xffffffff) {
      this.#out.putNull();
      return true;
    }
    // 0xFFFFFFFFFFFFFFFE: the server does not know the length.
    const total = high === 0xffffffff ? 0 : high * 0x100000000 + low;
    this.#openValue(layout, total, 0);
    return this.#readParts(this.#open!);
  }

  #openPointer(layout: Streamed): boolean {
    const at = this.#at;
    const input = this.#input;
    if (at + 1 > this.#end) return false;
    const pointer = input[at]!;
    if (pointer === 0) {
      this.#out.putNull();
      this.#at = at + 1;
      return true;
    }
    const lengthAt = at + 1 + pointer + 8;
    if (lengthAt + 4 > this.#end) return false;
    const total = readUint32(input, lengthAt);
    this.#at = lengthAt + 4;
    this.#openValue(layout, total, total);
    return this.#readParts(this.#open!);
  }

  #openValue(layout: Streamed, total: number, left: number): void {
    // No character takes fewer UTF-8 bytes than it has units on the wire.
    const guess = Math.floor(total / layout.unitBytes);
    this.#refuseAbove(guess);
    this.#open = { layout, start: this.#out.openField(guess), guess, left };
  }

  #readParts(open: OpenValue): boolean {
    const { layout } = open;
    const input = this.#input;
    for (;;) {
      if (open.left > 0) {
        const to = Math.min(this.#end, this.#at + open.left);
        layout.decoder.put(this.#out, input, this.#at, to);
        open.left -= to - this.#at;
        this.#at = to;
        this.#refuseAbove(this.#out.at - open.start);
        if (open.left > 0) return false;
      }
      if (layout.kind === "pointer") break;
      if (this.#at + 4 > this.#end) return false;
      open.left = readUint32(input, this.#at);
      this.#at += 4;
      if (open.left === 0) break;
    }
    layout.decoder.end();
    this.#out.closeField(open.start, open.guess);
    this.#open = null;
    return true;
  }

  #refuseAbove(bytes: number): void {
    if (bytes <= this.#maxValueBytes) return;
    throw new RivetError(
      "RIVET_VALUE_TOO_LARGE",
      `Column '${this.columns[this.#column]!.name}' holds a value above ${
        Math.round(this.#maxValueBytes / 1048576)
      } MiB`,
      { where: `column '${this.columns[this.#column]!.name}'` },
    );
  }
}

function toColumnError(error: unknown, name: string): unknown {
  if (!(error instanceof UnrepresentableText)) return error;
  return new RivetError("RIVET_SOURCE_VALUE_UNREPRESENTABLE", `A value holds ${error.message}`, {
    where: `column '${name}'`,
    cure: "Correct the row, or use `query:` and convert the column, for example with CONVERT(varbinary(max), …)",
  });
}
