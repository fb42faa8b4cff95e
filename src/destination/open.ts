// One way to open any destination. Clients of stores load only when their store is asked for.

import type { Destination } from "./destination.ts";
import { openLocal } from "./local.ts";
import { openLater } from "./late.ts";
import { checkFolder } from "./local_file.ts";
import type { OpenOptions } from "./options.ts";
import { checkLocation, type ResolvedDestination } from "./resolved.ts";
import { openStdout } from "./stdout.ts";

/** Loads a store's client, so that the first request need not wait for it. */
export async function loadDestination(kind: ResolvedDestination["kind"]): Promise<void> {
  switch (kind) {
    case "stdout":
    case "local":
      return;
    case "s3":
      return void await import("./s3.ts");
    case "gcs":
      return void await import("./gcs.ts");
    case "azure":
      return void await import("./azure.ts");
    default: {
      const never: never = kind;
      return never;
    }
  }
}

/** Opens a destination. Does no I/O before the first call, but to read the credentials a location only refers to. */
export async function openDestination(resolved: ResolvedDestination, options: OpenOptions = {}): Promise<Destination> {
  checkLocation(resolved);
  const ready = await withCredentials(resolved, systemEnv);
  const refresh = options.refresh ?? (() => withCredentials(resolved, systemEnv));
  switch (ready.kind) {
    case "stdout":
      return openStdout();
    case "local":
      return openLocal(ready.path);
    case "s3":
      return openLater(ready, async () => (await import("./s3.ts")).openS3(ready, refresh, options));
    case "gcs":
      return (await import("./gcs.ts")).openGcs(ready, refresh, options);
    case "azure":
      return (await import("./azure.ts")).openAzure(ready, refresh, options);
    default: {
      const never: never = ready;
      return never;
    }
  }
}

/** Finds out without writing whether a folder can be written; a store says so at its first write. */
export async function checkWritable(resolved: ResolvedDestination): Promise<void> {
  checkLocation(resolved);
  if (resolved.kind === "local") await checkFolder(resolved.path);
}

/**
 * Reads the secrets a location refers to, so that it can travel to a lane, which has no environment and no files. One that holds its
 * secrets already stays as it is. Throws RIVET_CONFIG_SECRET_UNSET and RIVET_DEST_CREDENTIALS_INVALID.
 */
export async function withCredentials(
  resolved: ResolvedDestination,
  env: (name: string) => string | undefined,
): Promise<ResolvedDestination> {
  switch (resolved.kind) {
    case "stdout":
    case "local":
      return resolved;
    case "s3":
      return await (await import("./s3_credentials.ts")).withS3Credentials(resolved, env);
    case "gcs":
      return await (await import("./gcs_credentials.ts")).withGcsCredentials(resolved, env);
    case "azure":
      return (await import("./azure_client.ts")).withAzureCredentials(resolved, env, Date.now());
    default: {
      const never: never = resolved;
      return never;
    }
  }
}

function systemEnv(name: string): string | undefined {
  return Deno.env.get(name);
}
