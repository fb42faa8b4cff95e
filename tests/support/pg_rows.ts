// PostgreSQL `D` messages made in memory: fields in binary form, for tests and benchmarks of the core.

const MICROSECONDS_TO_2000 = 946_684_800_000_000n;

/** A growing buffer of backend messages. */
export class PgRows {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  #row = 0;
  readonly #text = new TextEncoder();

  /** All messages so far. Valid until more are added. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  clear(): void {
    this.#at = 0;
  }

  begin(fields: number): this {
    this.#room(7);
    this.#row = this.#at;
    this.#bytes[this.#at] = 0x44;
    this.#view.setUint16(this.#at + 5, fields);
    this.#at += 7;
    return this;
  }

  end(): this {
    this.#view.setUint32(this.#row + 1, this.#at - this.#row - 1);
    return this;
  }

  /** Any other message. */
  message(type: string, body: Uint8Array = new Uint8Array()): this {
    this.#room(5 + body.length);
    this.#bytes[this.#at] = type.charCodeAt(0);
    this.#view.setUint32(this.#at + 1, 4 + body.length);
    this.#bytes.set(body, this.#at + 5);
    this.#at += 5 + body.length;
    return this;
  }

  null(): this {
    this.#room(4);
    this.#view.setInt32(this.#at, -1);
    this.#at += 4;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.#length(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  text(value: string): this {
    this.#room(4 + value.length * 3);
    const { written } = this.#text.encodeInto(value, this.#bytes.subarray(this.#at + 4));
    this.#view.setInt32(this.#at, written);
    this.#at += 4 + written;
    return this;
  }

  bool(value: boolean): this {
    this.#length(1);
    this.#bytes[this.#at++] = value ? 1 : 0;
    return this;
  }

  int2(value: number): this {
    this.#length(2);
    this.#view.setInt16(this.#at, value);
    this.#at += 2;
    return this;
  }

  int4(value: number): this {
    this.#length(4);
    this.#view.setInt32(this.#at, value);
    this.#at += 4;
    return this;
  }

  int8(value: bigint): this {
    this.#length(8);
    this.#view.setBigInt64(this.#at, value);
    this.#at += 8;
    return this;
  }

  float4(value: number): this {
    this.#length(4);
    this.#view.setFloat32(this.#at, value);
    this.#at += 4;
    return this;
  }

  float8(value: number): this {
    this.#length(8);
    this.#view.setFloat64(this.#at, value);
    this.#at += 8;
    return this;
  }

  /** Microseconds since 1970. */
  timestamp(us: bigint): this {
    return this.int8(us - MICROSECONDS_TO_2000);
  }

  /** Days since 1970. */
  date(days: number): this {
    return this.int4(days - 10_957);
  }

  /** A decimal text, `NaN`, `Infinity` or `-Infinity`. */
  numeric(value: string): this {
    return this.raw(encodeNumeric(value));
  }

  /** A decimal of two digits after the point, fast. */
  cents(value: number): this {
    const whole = Math.floor(value / 100);
    const groups = [Math.floor(whole / 10_000), whole % 10_000, (value % 100) * 100];
    let weight = 1;
    while (groups.length > 0 && groups[0] === 0) {
      groups.shift();
      weight--;
    }
    while (groups.length > 0 && groups.at(-1) === 0) groups.pop();
    this.#length(8 + 2 * groups.length);
    for (const field of [groups.length, groups.length === 0 ? 0 : weight, 0, 2, ...groups]) {
      this.#view.setInt16(this.#at, field);
      this.#at += 2;
    }
    return this;
  }

  #length(bytes: number): void {
    this.#room(4 + bytes);
    this.#view.setInt32(this.#at, bytes);
    this.#at += 4;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** The server's binary form of a numeric. */
export function encodeNumeric(text: string): Uint8Array<ArrayBuffer> {
  const special: Record<string, number> = { NaN: 0xc000, Infinity: 0xd000, "-Infinity": 0xf000 };
  const sign = special[text] ?? (text.startsWith("-") ? 0x4000 : 0);
  const [whole = "", fraction = ""] = text in special ? ["", ""] : text.replace("-", "").split(".");
  const digits = whole.padStart(Math.ceil(whole.length / 4) * 4, "0") +
    fraction.padEnd(Math.ceil(fraction.length / 4) * 4, "0");
  const groups = digits.match(/.{4}/g)?.map(Number) ?? [];
  let weight = Math.ceil(whole.length / 4) - 1;
  while (groups[0] === 0) {
    groups.shift();
    weight--;
  }
  while (groups.at(-1) === 0) groups.pop();
  const out = new DataView(new ArrayBuffer(8 + 2 * groups.length));
  [groups.length, groups.length === 0 ? 0 : weight, sign, fraction.length, ...groups]
    .forEach((field, index) => out.setUint16(2 * index, field & 0xffff));
  return new Uint8Array(out.buffer);
}

/** The binary form of a one-dimensional array of elements in their binary form. */
export function encodeArray(elementOid: number, elements: readonly (Uint8Array | null)[]): Uint8Array<ArrayBuffer> {
  const size = elements.reduce((sum, element) => sum + 4 + (element?.length ?? 0), 0);
  const out = new Uint8Array((elements.length === 0 ? 12 : 20) + size);
  const view = new DataView(out.buffer);
  view.setInt32(0, elements.length === 0 ? 0 : 1);
  view.setInt32(4, elements.includes(null) ? 1 : 0);
  view.setInt32(8, elementOid);
  if (elements.length === 0) return out;
  view.setInt32(12, elements.length);
  view.setInt32(16, 1);
  let at = 20;
  for (const element of elements) {
    view.setInt32(at, element?.length ?? -1);
    at += 4;
    if (element === null) continue;
    out.set(element, at);
    at += element.length;
  }
  return out;
}
