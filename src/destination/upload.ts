// One body into one object: small ones in one request, larger ones block by block while they are still being made.
// When it rejects, no request is under way any more and the store holds nothing of the object.

import { type Block, toBlocks } from "./blocks.ts";
import type { PutOptions, StoredObject } from "./destination.ts";
import type { OpenOptions } from "./options.ts";

/** How a store takes an object. */
export interface BlockStore<Part> {
  /** The whole object in one request. */
  putWhole(bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<StoredObject>;
  begin(signal: AbortSignal): Promise<BlockUpload<Part>>;
}

/** An upload under way. Blocks may be sent beside each other. */
export interface BlockUpload<Part> {
  putBlock(block: Block, signal: AbortSignal): Promise<Part>;
  /** Makes the object visible; `parts` in the order of the blocks. */
  complete(parts: readonly Part[], size: number, signal: AbortSignal): Promise<StoredObject>;
  /** Leaves nothing behind; never rejects. */
  abort(): Promise<void>;
}

export interface UploadOptions {
  readonly signal: AbortSignal;
  readonly blockBytes: number;
  /** Objects up to this size go in one request. */
  readonly wholeBytesMax: number;
  /** Shared by the uploads of one opened store. */
  readonly slots: BlockSlots;
  /** How long the answer to a begun upload is waited for when it is not wanted any more: only with its id can it be aborted. @default 5,000 */
  readonly beginPatienceMs?: number;
}

/** The least that S3 takes. */
export const BLOCK_BYTES = 5 << 20;

/** Control files are small and their size is known: they always go in one request. */
export function uploadOptions(
  put: PutOptions,
  oneshotBudgetMb: number,
  open: OpenOptions,
  slots: BlockSlots,
): UploadOptions {
  const blockBytes = open.blockBytes ?? BLOCK_BYTES;
  return {
    signal: put.signal,
    slots,
    blockBytes,
    wholeBytesMax: put.size === undefined ? oneshotBudgetMb * 2 ** 20 : blockBytes,
  };
}

/** Memory of an opened store is bounded by this many blocks, and one that is gathered for each file under way. */
const BLOCKS_IN_FLIGHT_MAX = 3;

/** Which blocks may be under way to a store: of all its files, since a lane ends one while it begins the next. */
export class BlockSlots {
  #free = BLOCKS_IN_FLIGHT_MAX;
  readonly #waiting: (() => void)[] = [];

  /** Whoever took a slot gives it back. First come, first served. */
  async take(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

/** A call to the store whose errors become ours. */
export type Translate = <T>(call: () => Promise<T>) => Promise<T>;

/** What the body throws and why the caller aborts passes as it is; what the store says is translated. */
export async function upload<Part>(
  body: AsyncIterable<Uint8Array>,
  store: BlockStore<Part>,
  translate: Translate,
  options: UploadOptions,
): Promise<StoredObject> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const blocks = toBlocks(body, options.blockBytes);
  try {
    const first = await nextBlock(blocks, signal);
    const isWhole = first.isLast && (first.bytes.length === 0 || first.bytes.length <= options.wholeBytesMax);
    if (isWhole) return await translate(() => store.putWhole(first.bytes, signal));
    const begun = translate(() => beginUpload(store, signal, options.beginPatienceMs));
    return await uploadBlocks(first, blocks, begun, translate, stop, signal, options.slots);
  } catch (error) {
    options.signal.throwIfAborted();
    throw error;
  } finally {
    // The body may be waiting for bytes that never come: it is told to end, but not waited for.
    blocks.return(undefined).catch(() => {});
  }
}

/** Blocks are gathered while the store still answers that the upload has begun. */
async function uploadBlocks<Part>(
  first: Block,
  blocks: AsyncGenerator<Block>,
  begun: Promise<BlockUpload<Part>>,
  translate: Translate,
  stop: AbortController,
  signal: AbortSignal,
  slots: BlockSlots,
): Promise<StoredObject> {
  // No block may wait for it yet: all slots can be taken by other files.
  begun.catch((error) => stop.abort(error));
  const sent: Promise<Part>[] = [];
  try {
    let size = 0;
    for (let block = first;; block = await nextBlock(blocks, signal)) {
      size += block.bytes.length;
      await slots.take();
      const part = begun.then((target) => {
        signal.throwIfAborted();
        return translate(() => target.putBlock(block, signal));
      });
      sent.push(part);
      part.catch((error) => stop.abort(error)).finally(() => {
        // Only when the store has answered: a client that gave up may still read it.
        if (!signal.aborted) block.release();
        slots.give();
      });
      if (block.isLast) break;
    }
    const parts = await Promise.all(sent);
    const target = await begun;
    return await translate(() => target.complete(parts, size, signal));
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(sent);
    await begun.then((target) => target.abort(), () => {});
    // A failed block is why the rest was given up.
    throw signal.reason ?? error;
  }
}

const BEGIN_PATIENCE_MS = 5_000;

/** Not stopped by the signal at once, see `beginPatienceMs`. */
async function beginUpload<Part>(
  store: BlockStore<Part>,
  signal: AbortSignal,
  patienceMs = BEGIN_PATIENCE_MS,
): Promise<BlockUpload<Part>> {
  const late = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => timer = setTimeout(() => late.abort(signal.reason), patienceMs);
  signal.addEventListener("abort", wait, { once: true });
  if (signal.aborted) wait();
  try {
    return await store.begin(late.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", wait);
  }
}

/** The next block, or the reason why there will be none. */
async function nextBlock(blocks: AsyncGenerator<Block>, signal: AbortSignal): Promise<Block> {
  signal.throwIfAborted();
  const stopped = Promise.withResolvers<never>();
  const stop = () => stopped.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const next = blocks.next();
    next.catch(() => {});
    return (await Promise.race([next, stopped.promise])).value;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
