// Proves that a destination takes an object, gives it back, lists it and lets it go: what a run will ask of it, with nothing left behind.

import { RivetError } from "../errors.ts";
import type { Destination } from "./destination.ts";
import type { ResolvedDestination } from "./resolved.ts";

export const PROBE_PREFIX = ".rivet_doctor_probe";

/**
 * Writes, reads, lists and removes one small object below the destination. Throws what the first failed step threw; the object is
 * removed all the same, and where that fails too the cure says so.
 */
export async function probeDestination(destination: Destination, token: string, signal: AbortSignal): Promise<void> {
  const key = `${PROBE_PREFIX}_${token}`;
  const content = new TextEncoder().encode("rivet doctor\n");
  let failure: { readonly error: unknown } | null = null;
  try {
    await destination.put(key, once(content), { contentType: "text/plain", signal, size: content.length });
    await orAborted(readBack(destination, key, content), signal);
  } catch (error) {
    failure = { error };
  }
  try {
    await destination.remove(key);
  } catch (error) {
    // An object that could not be written is not there to be removed.
    throw failure === null ? leftBehind(destination, key, error) : failure.error;
  }
  if (failure !== null) throw failure.error;
  if (await destination.stat(key) !== null) throw leftBehind(destination, key, null);
}

/** A store that does not answer must not keep the probe from being removed. */
async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const stop = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  work.catch(() => {});
  try {
    signal.throwIfAborted();
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

async function readBack(destination: Destination, key: string, content: Uint8Array): Promise<void> {
  const stream = await destination.get(key);
  const found = stream === null ? null : new Uint8Array(await new Response(stream).arrayBuffer());
  if (found === null || found.length !== content.length || found.some((byte, i) => byte !== content[i])) {
    throw new RivetError("RIVET_DEST_READ_FAILED", "An object that was just written reads back as another one", {
      where: destination.uri,
      cure: "Check that nothing rewrites or hides objects there",
    });
  }
  for await (const object of destination.list(key)) if (object.key === key) return;
  throw new RivetError("RIVET_DEST_PREFIX_UNLISTABLE", "An object that was just written is not listed", {
    where: destination.uri,
  });
}

function leftBehind(destination: Destination, key: string, cause: unknown): RivetError {
  const given = cause instanceof RivetError ? cause : null;
  const why = given === null ? "" : `: ${given.message}`;
  return new RivetError(given?.code ?? "RIVET_DEST_WRITE_FAILED", `The probe '${key}' could not be removed${why}`, {
    where: given?.where ?? destination.uri,
    cure: `Grant the right to delete objects, then remove '${key}' by hand`,
    ...cause === null ? {} : { cause },
  });
}

/** The place above `{partition}`, which only a run knows the values of. */
export function placeToProbe(resolved: ResolvedDestination): ResolvedDestination {
  const above = (text: string) => {
    const at = text.indexOf("{partition}");
    return at < 0 ? text : text.slice(0, text.lastIndexOf("/", at) + 1);
  };
  switch (resolved.kind) {
    case "stdout":
      return resolved;
    case "local":
      return { ...resolved, path: above(resolved.path) };
    case "s3":
    case "gcs":
    case "azure":
      return { ...resolved, prefix: above(resolved.prefix) };
    default: {
      const never: never = resolved;
      return never;
    }
  }
}

/** Remembers which folders of local destinations do not exist yet, and removes them again when they are still empty. */
export async function keepFolders(places: readonly ResolvedDestination[]): Promise<AsyncDisposable> {
  const missing = new Set<string>();
  for (const place of places) {
    if (place.kind !== "local") continue;
    let path = place.path.replace(/\/+$/, "");
    while (path !== "" && !missing.has(path) && !await exists(path)) {
      missing.add(path);
      path = path.slice(0, path.lastIndexOf("/"));
    }
  }
  return {
    async [Symbol.asyncDispose]() {
      // The deepest first; a folder that somebody uses by now is not empty and stays.
      const deepest = [...missing].sort((a, b) => b.length - a.length);
      for (const path of deepest) await Deno.remove(path).catch(() => {});
    },
  };
}

function exists(path: string): Promise<boolean> {
  return Deno.lstat(path).then(() => true, (error) => !(error instanceof Deno.errors.NotFound));
}
