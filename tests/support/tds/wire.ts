// Bytes of the tabular data stream, written by hand: little-endian numbers, UTF-16 text, tokens, packets.

import { Buffer } from "node:buffer";

export const u8 = (...values: number[]): Buffer => Buffer.from(values);

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

/** A little-endian magnitude in exactly `size` bytes. */
export function magnitude(value: bigint, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let rest = value;
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return bytes;
}

export const utf16 = (text: string): Buffer => Buffer.from(text, "utf16le");
/** Text with a one-byte, or two-byte, count of UTF-16 units. */
export const shortText = (text: string): Buffer => Buffer.concat([u8(text.length), utf16(text)]);
export const longText = (text: string): Buffer => Buffer.concat([u16(text.length), utf16(text)]);

/** A token with a two-byte length. */
function sized(type: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([u8(type), u16(body.length), body]);
}

export const DONE = { FINAL: 0, MORE: 1, ERROR: 2, COUNT: 0x10, ATTENTION: 0x20 } as const;

export function doneToken(status: number, rows = 0): Buffer {
  return Buffer.concat([u8(0xfd), u16(status), u16(0xc1), u64(BigInt(rows))]);
}

/** ERROR, or INFO when the class is 10 or below. */
export function messageToken(number: number, message: string, severity = 16): Buffer {
  return sized(
    severity > 10 ? 0xaa : 0xab,
    u32(number),
    u8(1, severity),
    longText(message),
    shortText("fake"),
    shortText(""),
    u32(1),
  );
}

export function loginToken(): Buffer {
  return sized(0xad, u8(1, 0x74, 0, 0, 4), shortText("Microsoft SQL Server"), u8(16, 0, 0x10, 0));
}

export const ENV = { DATABASE: 1, PACKET_SIZE: 4, BEGIN: 8, COMMIT: 9, ROLLBACK: 10, ROUTING: 20 } as const;

export function environmentToken(type: number, now: Buffer, before: Buffer): Buffer {
  return sized(0xe3, u8(type), now, before);
}

export function packetSizeToken(size: number): Buffer {
  return environmentToken(ENV.PACKET_SIZE, shortText(String(size)), shortText("4096"));
}

/** A transaction begins or ends; its descriptor is eight bytes. */
export function transactionToken(type: number, descriptor: bigint): Buffer {
  const now = Buffer.concat([u8(8), u64(descriptor)]);
  return type === ENV.BEGIN ? environmentToken(type, now, u8(0)) : environmentToken(type, u8(0), now);
}

export function routingToken(host: string, port: number): Buffer {
  const target = Buffer.concat([u8(0), u16(port), longText(host)]);
  return environmentToken(ENV.ROUTING, Buffer.concat([u16(target.length), target]), u16(0));
}

export const PACKET = { BATCH: 1, RPC: 3, RESPONSE: 4, ATTENTION: 6, LOGIN7: 0x10, PRELOGIN: 0x12 } as const;
export const HEADER_BYTES = 8;

export function packet(type: number, body: Uint8Array, isLast: boolean): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = type;
  header[1] = isLast ? 1 : 0;
  header.writeUInt16BE(body.length + HEADER_BYTES, 2);
  header[6] = 1;
  return Buffer.concat([header, body]);
}

/** Puts the packets of incoming bytes together into messages. */
export class MessageReader {
  #pending: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];

  *feed(bytes: Buffer): Generator<{ type: number; body: Buffer }> {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    while (this.#pending.length >= HEADER_BYTES) {
      const length = this.#pending.readUInt16BE(2);
      if (this.#pending.length < length) return;
      const type = this.#pending[0]!;
      const isLast = (this.#pending[1]! & 1) === 1;
      this.#parts.push(Buffer.from(this.#pending.subarray(HEADER_BYTES, length)));
      this.#pending = this.#pending.subarray(length);
      if (!isLast) continue;
      const body = Buffer.concat(this.#parts);
      this.#parts = [];
      yield { type, body };
    }
  }
}
