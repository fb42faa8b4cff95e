// A local folder: each object is written beside its place under a hidden name, synced, then renamed. Never writes or reads through
// a symbolic link below the folder.

import { createHash } from "node:crypto";
import { RivetError } from "../errors.ts";
import { CAPABILITIES } from "./capabilities.ts";
import type { Destination, PutOptions, StoredObject } from "./destination.ts";
import { checkKey, QUARANTINE, quarantineKey } from "./key.ts";
import { openRange, syncFolder, toReadError, toWriteError, writeGathered } from "./local_file.ts";
import { type Found, walk } from "./local_walk.ts";

export function openLocal(path: string): Destination {
  const root = path.length > 1 ? path.replace(/\/+$/, "") : path;
  return {
    capabilities: CAPABILITIES.local,
    uri: `file://${root.split("/").map(encodeURIComponent).join("/")}`,
    put: (key, body, options) => putLocal(root, key, body, options),
    get: (key, range) => getLocal(root, key, range),
    stat: (key) => statLocal(root, key),
    list: (prefix) => listLocal(root, prefix),
    remove: (key) => removeLocal(root, key),
    quarantine: (key, runId) => quarantineLocal(root, key, runId),
    sweep: (owns, isOwnRun) => sweepLocal(root, owns, isOwnRun ?? (() => false)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** `.name.<8 hex>.tmp` beside the object it will become; `.name.<8 hex>-<run tag>.tmp` where several runs write that object. */
const TEMPORARY = /^\.(.+)\.[0-9a-f]{8}(?:-([0-9a-f]{8}))?\.tmp$/;

function temporaryPath(path: string, runId: string | undefined): string {
  const slash = path.lastIndexOf("/") + 1;
  const tag = runId === undefined ? "" : `-${toRunTag(runId)}`;
  return `${path.slice(0, slash)}.${path.slice(slash)}.${crypto.randomUUID().slice(0, 8)}${tag}.tmp`;
}

/** What stands for a run in the name of a temporary file: eight hex digits. */
export function toRunTag(runId: string): string {
  return createHash("sha256").update(runId).digest("hex").slice(0, 8);
}

async function putLocal(
  root: string,
  key: string,
  body: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<StoredObject> {
  const path = pathOf(root, key);
  const temporary = temporaryPath(path, options.runId);
  let created = false;
  try {
    options.signal.throwIfAborted();
    using file = await createFile(root, key, temporary);
    created = true;
    const size = await writeGathered(file, body, options.signal, options.release);
    await file.sync();
    options.signal.throwIfAborted();
    Deno.renameSync(temporary, path);
    created = false;
    await syncFolder(folderOf(path));
    return { key, size, digests: {} };
  } catch (error) {
    if (created) await Deno.remove(temporary).catch(() => {});
    throw toWriteError(error, path);
  }
}

/**
 * A new file beside the place of a key. What only touches names is done at once here and at the rename: handing it to another thread
 * takes several times as long as doing it. What waits for the disk, `sync`, is handed over.
 */
async function createFile(root: string, key: string, path: string): Promise<Deno.FsFile> {
  const options = { write: true, createNew: true };
  if (!key.includes("/")) {
    try {
      return Deno.openSync(path, options);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  await makeFolder(root, key);
  return Deno.openSync(path, options);
}

/** Makes the folders above a key, durably, and refuses any that is a symbolic link. */
async function makeFolder(root: string, key: string): Promise<void> {
  if (await lstat(root) === null) {
    await Deno.mkdir(root, { recursive: true });
    // The folder above may be outside of what a lane may open; the commit of the first part does not depend on it.
    await syncFolder(folderOf(root)).catch(() => {});
  }
  let folder = root;
  for (const name of key.split("/").slice(0, -1)) {
    const parent = folder;
    folder = `${parent}/${name}`;
    const found = await lstat(folder);
    if (found === null) {
      await Deno.mkdir(folder).catch((error) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      });
      await syncFolder(parent);
    } else checkNoLink(found, folder);
  }
}

/** The path of a key, after making sure that no symbolic link stands on the way; null when there is nothing. */
async function findFile(root: string, key: string): Promise<{ path: string; info: Deno.FileInfo } | null> {
  let path = root;
  let info: Deno.FileInfo | null = null;
  checkKey(key);
  for (const name of key.split("/")) {
    path += `/${name}`;
    info = await lstat(path);
    if (info === null) return null;
    checkNoLink(info, path);
  }
  return info === null || !info.isFile ? null : { path, info };
}

function checkNoLink(info: Deno.FileInfo, path: string): void {
  if (!info.isSymlink) return;
  throw new RivetError("RIVET_CONFIG_PATH_UNSAFE", `'${path}' is a symbolic link inside the destination`, {
    where: path,
    cure: "Replace the link by a folder, or make its target the destination",
  });
}

async function getLocal(
  root: string,
  key: string,
  range?: { offset: number; length: number },
): Promise<ReadableStream<Uint8Array> | null> {
  try {
    const found = await findFile(root, key);
    return found === null ? null : await openRange(found.path, range);
  } catch (error) {
    throw toReadError(error, pathOf(root, key));
  }
}

async function statLocal(root: string, key: string): Promise<StoredObject | null> {
  try {
    const found = await findFile(root, key);
    return found === null ? null : { key, size: found.info.size, digests: {} };
  } catch (error) {
    throw toReadError(error, pathOf(root, key));
  }
}

async function* listLocal(root: string, prefix: string): AsyncIterable<StoredObject> {
  try {
    for await (const { key, name, size } of walk(root, prefix)) {
      if (!key.startsWith(QUARANTINE) && !TEMPORARY.test(name)) yield { key, size, digests: {} };
    }
  } catch (error) {
    throw toReadError(error, root);
  }
}

async function removeLocal(root: string, key: string): Promise<void> {
  try {
    const found = await findFile(root, key);
    if (found === null) return;
    await Deno.remove(found.path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await syncFolder(folderOf(found.path));
  } catch (error) {
    throw toWriteError(error, pathOf(root, key));
  }
}

async function quarantineLocal(root: string, key: string, runId: string): Promise<void> {
  try {
    const found = await findFile(root, key);
    if (found === null) return;
    let attempt = 0;
    while (await lstat(pathOf(root, quarantineKey(key, runId, attempt))) !== null) attempt++;
    const aside = quarantineKey(key, runId, attempt);
    await makeFolder(root, aside);
    await Deno.rename(found.path, pathOf(root, aside));
    await syncFolder(folderOf(pathOf(root, aside)));
    await syncFolder(folderOf(found.path));
  } catch (error) {
    throw toWriteError(error, pathOf(root, key));
  }
}

async function sweepLocal(
  root: string,
  owns: (key: string) => boolean,
  isOwnRun: (tag: string) => boolean,
): Promise<number> {
  const isOwn = ({ key, name }: Found) => {
    const [, meant, tag] = TEMPORARY.exec(name) ?? [];
    if (meant === undefined) return false;
    return owns(key.slice(0, key.length - name.length) + meant) || (tag !== undefined && isOwnRun(tag));
  };
  let swept = 0;
  try {
    for await (const found of walk(root, "")) {
      if (!isOwn(found)) continue;
      await Deno.remove(`${root}/${found.key}`);
      swept++;
    }
    return swept;
  } catch (error) {
    throw toWriteError(error, root);
  }
}

function pathOf(root: string, key: string): string {
  checkKey(key);
  return `${root}/${key}`;
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

async function lstat(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}
