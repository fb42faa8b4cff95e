// Where rows are built: one growable buffer of `lenenc_text` fields. Nothing here knows SQL Server.

const NULL_FIELD = 0xfb;
const FIRST_BYTES = 256 * 1024;
/** A server's word about a length is believed up to this many bytes, which cost nothing before they are written. */
const GUESS_MAX = 512 << 20;
/** Writers ask for the most that a piece could become; without this the last piece of a long value would double the buffer. */
const SLACK_BYTES = 64 * 1024;

/** Length-encoded fields, one after the other. Writers call `ensure` first and then write into `bytes` at `at`. */
export class FieldBytes {
  bytes: Uint8Array = new Uint8Array(FIRST_BYTES);
  at = 0;

  ensure(count: number): void {
    if (this.at + count > this.bytes.length) this.#grow(this.at + count);
  }

  putNull(): void {
    this.ensure(1);
    this.bytes[this.at++] = NULL_FIELD;
  }

  /** The length prefix of a field whose length is known before its content. */
  putLength(length: number): void {
    this.ensure(9);
    this.at += writeLength(this.bytes, this.at, length);
  }

  /** Content as it is, without a prefix. */
  putBytes(from: Uint8Array, start: number, end: number): void {
    this.ensure(end - start);
    if (end - start < 32) {
      for (let i = start; i < end; i++) this.bytes[this.at++] = from[i]!;
    } else {
      this.bytes.set(from.subarray(start, end), this.at);
      this.at += end - start;
    }
  }

  /** Opens a field whose length is only guessed; returns its start for `closeField`. */
  openField(lengthGuess: number): number {
    const start = this.at;
    this.ensure(9 + Math.min(lengthGuess, GUESS_MAX) + SLACK_BYTES);
    this.at += lengthSize(lengthGuess);
    return start;
  }

  /** Closes the field: the prefix is written, and the content moved when the guess had another prefix size. */
  closeField(start: number, lengthGuess: number): void {
    const guessed = lengthSize(lengthGuess);
    const length = this.at - start - guessed;
    const size = lengthSize(length);
    if (size !== guessed) {
      this.ensure(size);
      this.bytes.copyWithin(start + size, start + guessed, this.at);
      this.at = start + size + length;
    }
    writeLength(this.bytes, start, length);
  }

  /** Drops the first `count` bytes, which have left. The buffer keeps its size: the next large value needs it again. */
  drop(count: number): void {
    const rest = Math.max(0, this.at - count);
    if (rest > 0) this.bytes.copyWithin(0, count, this.at);
    this.at = rest;
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, Math.min(2 * this.bytes.length, this.bytes.length + (64 << 20))));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
  }
}

function lengthSize(length: number): number {
  if (length < 251) return 1;
  if (length < 0x10000) return 3;
  return length < 0x1000000 ? 4 : 9;
}

function writeLength(bytes: Uint8Array, at: number, length: number): number {
  if (length < 251) {
    bytes[at] = length;
    return 1;
  }
  const size = lengthSize(length);
  bytes[at] = size === 3 ? 0xfc : size === 4 ? 0xfd : 0xfe;
  let rest = length;
  for (let i = 1; i < size; i++) {
    bytes[at + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return size;
}

/** Reads fields back into values: the counterpart for small results. Each value is a view into `bytes`; null is NULL. */
export function* readFields(bytes: Uint8Array): Generator<Uint8Array | null> {
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at++]!;
    if (first === NULL_FIELD) {
      yield null;
      continue;
    }
    let length = first;
    const size = first < 251 ? 0 : first === 0xfc ? 2 : first === 0xfd ? 3 : 8;
    if (size > 0) {
      length = 0;
      for (let i = size - 1; i >= 0; i--) length = length * 256 + bytes[at + i]!;
      at += size;
    }
    yield bytes.subarray(at, at + length);
    at += length;
  }
}
