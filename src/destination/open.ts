// One way to open any destination. Clients of stores load only when their store is asked for.

import type { Destination } from "./destination.ts";
import { openLocal } from "./local.ts";
import { checkLocation, type ResolvedDestination } from "./resolved.ts";
import { openStdout } from "./stdout.ts";

export interface OpenOptions {
  /** Reads the secrets anew when they have expired. @default `withCredentials` with this process's environment */
  readonly refresh?: () => Promise<ResolvedDestination>;
  /** Told once per cause: a credential about to expire, a clock that is wrong. */
  readonly onWarning?: (message: string) => void;
}

/** Opens a destination. Does no I/O before the first call, but to read the credentials a location only refers to. */
// deno-lint-ignore require-await
export async function openDestination(resolved: ResolvedDestination, _options: OpenOptions = {}): Promise<Destination> {
  checkLocation(resolved);
  switch (resolved.kind) {
    case "stdout":
      return openStdout();
    case "local":
      return openLocal(resolved.path);
    default:
      throw new Error(`not yet: ${resolved.kind}`);
  }
}
