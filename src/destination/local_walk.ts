// The regular files below a folder, in key order. Follows no symbolic link and lists none.

import { compareKeys } from "./key.ts";

export interface Found {
  readonly key: string;
  /** The last segment of the key. */
  readonly name: string;
  readonly size: number;
}

/** Walks files whose key starts with `prefix`; a missing folder has none. */
export async function* walk(root: string, prefix: string, folder = ""): AsyncGenerator<Found> {
  const names = await readNames(`${root}/${folder}`);
  for (const name of names) {
    const key = folder + name;
    if (name.endsWith("/")) {
      if (key.startsWith(prefix) || prefix.startsWith(key)) yield* walk(root, prefix, key);
    } else if (key.startsWith(prefix)) {
      const size = await sizeOf(`${root}/${key}`);
      if (size !== null) yield { key, name, size };
    }
  }
}

/** Sorted; folders end in `/`, which gives the order of the keys below them. */
async function readNames(path: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(path)) {
      if (entry.isDirectory) names.push(entry.name + "/");
      else if (entry.isFile) names.push(entry.name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort(compareKeys);
}

/** Null when it vanished since the folder was read. */
async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await Deno.lstat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
