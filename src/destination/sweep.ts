// Clearing up after a killed process is no reason to fail where the right to it is not given.

import { RivetError } from "../errors.ts";
import type { OpenOptions } from "./options.ts";

/** What was cleared, by number. A refusal that `isDenied` knows by the store's own error is a warning. */
export async function sweepIfAllowed(
  sweep: () => Promise<number>,
  isDenied: (cause: unknown) => boolean,
  onWarning: OpenOptions["onWarning"],
): Promise<number> {
  try {
    return await sweep();
  } catch (error) {
    if (!(error instanceof RivetError) || !isDenied(error.cause)) throw error;
    onWarning?.(`unfinished uploads were not cleared: ${error.cure}`);
    return 0;
  }
}
