// Cuts a body of any chunks into the blocks that stores take. Pure but for pulling the body; holds one block at most.

export interface Block {
  readonly index: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Nothing follows. The only block of an empty body is empty. */
  readonly isLast: boolean;
}

/** Stores take 10,000 blocks at most, so blocks grow: with 8 MiB at first, an object may have 8 TiB. */
const BLOCKS_PER_SIZE = 1_000;

/** The size of the `index`-th block, counted from 0. */
export function blockBytesAt(index: number, firstBytes: number): number {
  return firstBytes * 2 ** Math.floor(index / BLOCKS_PER_SIZE);
}

/** A block is handed out once it is known whether another follows; each byte is copied once. */
export async function* toBlocks(body: AsyncIterable<Uint8Array>, firstBytes: number): AsyncGenerator<Block> {
  let index = 0;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (let chunk of body) {
    while (chunk.length > 0) {
      const room = blockBytesAt(index, firstBytes) - heldBytes;
      if (room === 0) {
        yield { index, bytes: join(held, heldBytes), isLast: false };
        index++;
        held = [];
        heldBytes = 0;
        continue;
      }
      const taken = chunk.subarray(0, room);
      held.push(taken);
      heldBytes += taken.length;
      chunk = chunk.subarray(taken.length);
    }
  }
  yield { index, bytes: join(held, heldBytes), isLast: true };
}

function join(chunks: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}
