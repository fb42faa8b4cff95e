// A store that is opened by its first request: who plans a run needs its name and what it promises, not its client, which takes a while to load.

import { CAPABILITIES } from "./capabilities.ts";
import type { Destination } from "./destination.ts";
import { describeDestination, type ResolvedDestination } from "./resolved.ts";

/** The store itself as far as callers can tell. One that could not be opened is tried again by the next request. */
export function openLater(resolved: ResolvedDestination, open: () => Promise<Destination>): Destination {
  let opening: Promise<Destination> | null = null;
  const store = () => {
    opening ??= open().catch((error) => {
      opening = null;
      throw error;
    });
    return opening;
  };
  return {
    capabilities: CAPABILITIES[resolved.kind],
    uri: describeDestination(resolved),
    put: async (key, body, options) => await (await store()).put(key, body, options),
    get: async (key, range) => await (await store()).get(key, range),
    stat: async (key) => await (await store()).stat(key),
    async *list(prefix) {
      yield* (await store()).list(prefix);
    },
    remove: async (key) => await (await store()).remove(key),
    quarantine: async (key, runId) => await (await store()).quarantine(key, runId),
    sweep: async (owns, isOwnRun) => await (await store()).sweep(owns, isOwnRun),
    async [Symbol.asyncDispose]() {
      const opened = await opening?.catch(() => null);
      await opened?.[Symbol.asyncDispose]();
    },
  };
}
