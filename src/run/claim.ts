// How many slices a lane claims, and commits, at once. Each time costs a transaction or two that wait for the disk.

/** Slices that are read sooner than this are taken together, so that what they share is done so often at the most. */
export const CLAIM_MS = 100;
const CLAIM_SLICES_MAX = 64;

/** After so many were done in so long. What a crash makes a lane read again grows with it, so it grows slowly and falls at once. */
export function nextClaim(slices: number, tookMs: number): number {
  const fitting = Math.floor(CLAIM_MS / Math.max(tookMs / slices, 0.01));
  return Math.max(1, Math.min(fitting, slices * 2, CLAIM_SLICES_MAX));
}
