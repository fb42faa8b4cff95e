// Files that are there whole or not at all: written beside their place, stored, then moved there. Until that a file of the same name stays.

import { dirname, join, resolve } from "node:path";

const PIECE_LENGTH = 1 << 16;

/** Writes text where `path` or its link leads, and makes the folders above it. Throws what the system says; then nothing has changed. */
export async function writeWholeFile(path: string, pieces: Iterable<string>): Promise<void> {
  const place = await followLink(path);
  const found = await Deno.stat(place).catch(() => null);
  // A device or a pipe keeps nothing that could be lost, and nothing can take its place.
  if (found !== null && !found.isFile) return await writeInto(place, { write: true }, pieces);
  const folder = dirname(place);
  await Deno.mkdir(folder, { recursive: true });
  const beside = join(folder, `.rivet-${crypto.randomUUID().slice(0, 8)}.tmp`);
  try {
    // Nobody may read it in between who may not read the old one.
    const mode = found?.mode === null || found === null ? {} : { mode: found.mode & 0o777 };
    await writeInto(beside, { write: true, createNew: true, ...mode }, pieces, (file) => file.sync());
    if (found !== null) await takeRights(found, beside);
    await Deno.rename(beside, place);
  } catch (error) {
    await Deno.remove(beside).catch(() => {});
    throw error;
  }
}

async function writeInto(
  path: string,
  options: Deno.OpenOptions,
  pieces: Iterable<string>,
  store?: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  using file = await Deno.open(path, options);
  const encoder = new TextEncoder();
  for (const text of gather(pieces)) {
    let bytes = encoder.encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(await file.write(bytes));
  }
  await store?.(file);
}

function* gather(pieces: Iterable<string>): Generator<string> {
  let text = "";
  for (const piece of pieces) {
    text += piece;
    if (text.length < PIECE_LENGTH) continue;
    yield text;
    text = "";
  }
  yield text;
}

/** The file that a link stands for, there or not: what is replaced is the file, never the link. */
async function followLink(path: string): Promise<string> {
  const target = await Deno.readLink(path).catch(() => null);
  if (target === null) return path;
  return await Deno.realPath(path).catch(() => resolve(dirname(path), target));
}

/** Who may read the old file may read the new one. */
async function takeRights({ mode, uid, gid }: Deno.FileInfo, path: string): Promise<void> {
  if (Deno.build.os === "windows" || mode === null) return;
  // Only root may give a file away.
  await Deno.chown(path, uid, gid).catch(() => {});
  await Deno.chmod(path, mode & 0o777);
}
