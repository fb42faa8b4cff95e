// Paths and folders for tests, from node's own modules.

export { dirname, join, normalize, relative } from "node:path";
export { fileURLToPath as fromFileUrl } from "node:url";
import { join } from "node:path";

/** Every file below a folder. */
export async function* walk(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}

/** A folder that is removed when the test ends. */
export async function temporaryFolder(parent: { dir?: string } = {}): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "rivet-test-", ...parent });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/**
 * For tests that count effects, which would wait for thousands of syncs: a folder in memory where the system has one. Not for tests with
 * real lanes: below /dev no sandbox may read.
 */
export function inMemory(): { dir?: string } {
  try {
    return Deno.statSync("/dev/shm").isDirectory ? { dir: "/dev/shm" } : {};
  } catch {
    return {};
  }
}
