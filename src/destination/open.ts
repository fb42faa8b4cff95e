// One way to open any destination. Clients of stores load only when their store is asked for.

import type { Destination } from "./destination.ts";
import { openLocal } from "./local.ts";
import { checkLocation, type ResolvedDestination } from "./resolved.ts";
import { openStdout } from "./stdout.ts";

export interface OpenOptions {
  /** Reads the secrets anew when they have expired. @default `withCredentials` with this process's environment */
  readonly refresh?: () => Promise<ResolvedDestination>;
  /** Told once per cause: a credential about to expire, a clock that is wrong, an upload that could not be taken back. */
  readonly onWarning?: (message: string) => void;
  /** The first blocks of a large object have this many bytes. @default 8 MiB */
  readonly blockBytes?: number;
  /** A request without an answer is given up and tried again after this time. @default 60,000 */
  readonly requestTimeoutMs?: number;
}

/** Opens a destination. Does no I/O before the first call, but to read the credentials a location only refers to. */
export async function openDestination(resolved: ResolvedDestination, options: OpenOptions = {}): Promise<Destination> {
  checkLocation(resolved);
  const refresh = options.refresh ?? (() => withCredentials(resolved, systemEnv));
  switch (resolved.kind) {
    case "stdout":
      return openStdout();
    case "local":
      return openLocal(resolved.path);
    case "s3": {
      const { openS3, withS3Credentials } = await import("./s3.ts");
      return openS3(await withS3Credentials(resolved, systemEnv), refresh, options);
    }
    default:
      throw new Error(`not yet: ${resolved.kind}`);
  }
}

/**
 * Reads the secrets a location refers to, so that it can travel to a lane, which has no environment and no files.
 * Throws RIVET_CONFIG_SECRET_UNSET and RIVET_DEST_CREDENTIALS_INVALID.
 */
export async function withCredentials(
  resolved: ResolvedDestination,
  env: (name: string) => string | undefined,
): Promise<ResolvedDestination> {
  switch (resolved.kind) {
    case "stdout":
    case "local":
      return resolved;
    case "s3": {
      const { withS3Credentials } = await import("./s3.ts");
      return await withS3Credentials(resolved, env);
    }
    case "gcs":
    case "azure":
      return resolved;
  }
}

function systemEnv(name: string): string | undefined {
  return Deno.env.get(name);
}
