// Many objects away, as fast as waiting for a store allows.

import { mapSome } from "../overlap.ts";
import type { Destination } from "./destination.ts";

const REMOVALS_AT_ONCE = 8;

/** Removes objects, some at once. The first failure is thrown when no request is under way any more; the rest stays then. */
export async function removeAll(destination: Destination, keys: readonly string[]): Promise<void> {
  await mapSome(keys, REMOVALS_AT_ONCE, (key) => destination.remove(key));
}
