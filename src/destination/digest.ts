// Digests of bytes that are on their way, in the spellings of `Digests`. Pure.

import { createHash } from "node:crypto";
import { createCRC32 } from "hash-wasm";

/** Castagnoli, reflected. */
const CRC32C_POLYNOMIAL = 0x82f63b78;

export interface ByteHash {
  update(bytes: Uint8Array): void;
  /** Base64. */
  digest(): string;
}

/** CRC32C as base64 of its big-endian bytes, which is how every store writes it. */
export async function openCrc32c(): Promise<ByteHash> {
  const hash = await createCRC32(CRC32C_POLYNOMIAL);
  hash.init();
  return { update: (bytes) => hash.update(bytes), digest: () => toBase64(hash.digest("binary")) };
}

export function openMd5(): ByteHash {
  const hash = createHash("md5");
  return { update: (bytes) => hash.update(bytes), digest: () => hash.digest("base64") };
}

export async function crc32cOf(bytes: Uint8Array): Promise<string> {
  const hash = await openCrc32c();
  hash.update(bytes);
  return hash.digest();
}

export function md5Of(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("base64");
}

/** Base64 of four big-endian bytes → decimal text. */
export function crcToDecimal(base64: string): string {
  const bytes = fromBase64(base64);
  return String(new DataView(bytes.buffer).getUint32(0));
}

/** Decimal text → base64 of four big-endian bytes. */
export function crcToBase64(decimal: string): string {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, Number(decimal));
  return toBase64(bytes);
}

export function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
