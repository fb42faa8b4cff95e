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
  // Few names of a large folder may be meant: only these are sorted.
  const names = (await readNames(`${root}/${folder}`)).filter((name) => {
    const key = folder + name;
    return key.startsWith(prefix) || (name.endsWith("/") && prefix.startsWith(key));
  });
  for (const name of names.sort(compareKeys)) {
    const key = folder + name;
    if (name.endsWith("/")) yield* walk(root, prefix, key);
    else {
      const size = await sizeOf(`${root}/${key}`);
      if (size !== null) yield { key, name, size };
    }
  }
}

/** Folders end in `/`, which gives the order of the keys below them. */
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
  return names;
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
