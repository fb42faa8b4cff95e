// Bodies for destinations: bytes that are the same for the same seed, in chunks of any size.

/** `size` bytes that follow from `seed`. */
export function bytesOf(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let x = seed * 2654435761 >>> 0 || 1;
  for (let i = 0; i < size; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x;
  }
  return bytes;
}

/** The bytes in chunks of `chunkBytes`, and what happens between them. */
export async function* bodyOf(
  bytes: Uint8Array,
  chunkBytes = 10_000,
  between?: (sent: number) => Promise<void> | void,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    yield bytes.slice(at, at + chunkBytes);
    await between?.(Math.min(bytes.length, at + chunkBytes));
  }
}

export async function collect(stream: ReadableStream<Uint8Array> | null): Promise<Uint8Array | null> {
  return stream === null
    ? null
    : new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

export async function collectKeys(list: AsyncIterable<{ key: string }>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of list) keys.push(key);
  return keys;
}
