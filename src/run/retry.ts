// When a failed slice is tried again, and how long it waits. The error's own class decides, never its text.

import type { Tuning } from "../config/mod.ts";
import type { RivetError } from "../errors.ts";

const BACKOFF_MS_MAX = 60_000;

/** Total attempts of a slice. */
export function attemptsMax(tuning: Tuning, chunkMaxAttempts: number | null): number {
  return Math.max(1, chunkMaxAttempts ?? tuning.maxRetries + 1);
}

/** Milliseconds before attempt `attempt + 1`, or null when there is none. `fraction` in [0, 1) spreads the waits. */
export function retryDelayMs(
  error: RivetError,
  attempt: number,
  max: number,
  tuning: Tuning,
  fraction: number,
): number | null {
  if (error.retry === "never" || attempt >= max) return null;
  const backoff = Math.min(tuning.retryBackoffMs * 2 ** (attempt - 1), BACKOFF_MS_MAX);
  return Math.round(backoff * (0.75 + fraction / 2)) + error.retryDelayMs;
}

/** Whether the lane's connection must be made anew before the next attempt. */
export function needsNewLane(error: RivetError): boolean {
  return error.retry !== "destination";
}
