// How a destination is opened. Plain data and callbacks; no secrets.

import type { ResolvedDestination } from "./resolved.ts";

export interface OpenOptions {
  /** Reads the secrets anew when they have expired. @default `withCredentials` with this process's environment */
  readonly refresh?: () => Promise<ResolvedDestination>;
  /** Told once per cause: a credential about to expire, a clock that is wrong, an upload that could not be taken back. */
  readonly onWarning?: (message: string) => void;
  /** The first blocks of a large object have this many bytes, a multiple of 256 KiB. @default 5 MiB */
  readonly blockBytes?: number;
  /** A request without an answer is given up and tried again after this time. @default 60,000 */
  readonly requestTimeoutMs?: number;
}

export const REQUEST_TIMEOUT_MS = 60_000;
