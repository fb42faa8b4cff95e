// Slices of one lane: read one after the other, stored beside each other. A small file takes longer to become durable than to be read.

import type { ReadReport } from "../source/mod.ts";
import { runSlice, type SliceRequest, type SliceResult, type SliceTools } from "./slice.ts";

/** Slices whose files may be on their way while the next one is read. */
const STORING_MAX = 16;
/** And their bytes: a slice of some size has the lane for itself. */
const STORING_BYTES_MAX = 4 << 20;

export type RunInTurn = (request: SliceRequest, tools: SliceTools) => Promise<SliceResult>;

/** Runs slices in the order they are given. Each succeeds or fails for itself. */
export function openTurns(): RunInTurn {
  const storing = new Map<Promise<unknown>, number>();
  let turn: Promise<void> = Promise.resolve();
  const room = async () => {
    const bytes = () => storing.values().reduce((sum, n) => sum + n, 0);
    while (storing.size >= STORING_MAX || bytes() > STORING_BYTES_MAX) await Promise.race(storing.keys());
  };
  return async (request, tools) => {
    const before = turn;
    const read = Promise.withResolvers<void>();
    turn = read.promise;
    await before;
    await room();
    const stored = Promise.withResolvers<void>();
    try {
      tools.signal.throwIfAborted();
      const onRead = (report: ReadReport, bytes: number) => {
        storing.set(stored.promise, bytes);
        read.resolve();
        tools.onRead?.(report, bytes);
      };
      return await runSlice(request, { ...tools, onRead });
    } finally {
      storing.delete(stored.promise);
      stored.resolve();
      read.resolve();
    }
  };
}
