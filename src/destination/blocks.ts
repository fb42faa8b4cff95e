// Cuts a body of any chunks into the blocks that stores take. Pure but for pulling the body; holds one block at most.

export interface Block {
  readonly index: number;
  /** Belongs to the reader until it gives the block back. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Nothing follows. The only block of an empty body is empty. */
  readonly isLast: boolean;
  /** The bytes are not needed any more: their memory becomes a later block. */
  release(): void;
}

/** Stores take 10,000 blocks at most and 5 GiB in each, so blocks grow: with 5 MiB at first, an object may have 7 TiB. */
const BLOCKS_PER_SIZE = 950;

const FIRST_BYTES = 64 << 10;

/** The size of the `index`-th block, counted from 0. */
export function blockBytesAt(index: number, firstBytes: number): number {
  return firstBytes * 2 ** Math.floor(index / BLOCKS_PER_SIZE);
}

/** A block is handed out once it is known whether another follows; each byte is copied once. */
export async function* toBlocks(body: AsyncIterable<Uint8Array>, firstBytes: number): AsyncGenerator<Block> {
  const free: Uint8Array<ArrayBuffer>[] = [];
  let index = 0;
  let held: Uint8Array<ArrayBuffer> | null = null;
  let filled = 0;
  const toBlock = (isLast: boolean): Block => {
    const whole = held;
    const bytes = whole?.subarray(0, filled) ?? new Uint8Array();
    return { index, bytes, isLast, release: () => whole !== null && free.push(whole) };
  };
  for await (let chunk of body) {
    while (chunk.length > 0) {
      const size = blockBytesAt(index, firstBytes);
      if (filled === size) {
        yield toBlock(false);
        index++;
        held = null;
        filled = 0;
        continue;
      }
      held ??= takeFree(free, size) ?? new Uint8Array(Math.min(size, FIRST_BYTES));
      if (filled === held.length) held = grow(held, size);
      const taken = chunk.subarray(0, held.length - filled);
      held.set(taken, filled);
      filled += taken.length;
      chunk = chunk.subarray(taken.length);
    }
  }
  yield toBlock(true);
}

/** Most objects are small: memory is taken as it is needed. */
function grow(bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(size, bytes.length * 4));
  larger.set(bytes);
  return larger;
}

/** Memory of the right size; what is left from smaller blocks is let go. */
function takeFree(free: Uint8Array<ArrayBuffer>[], size: number): Uint8Array<ArrayBuffer> | undefined {
  while (free.length > 0) {
    const bytes = free.pop()!;
    if (bytes.length === size) return bytes;
  }
}
