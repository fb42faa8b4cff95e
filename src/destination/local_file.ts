// Bytes to and from one local file, and what the operating system's refusals mean.

import { access, constants } from "node:fs/promises";
import { type ErrorCode, type RetryClass, RivetError } from "../errors.ts";
import { faultCode } from "../file_fault.ts";

/** Smaller chunks are gathered until a write is worth its system call. */
const WRITE_BYTES_MIN = 256 << 10;
const READ_BYTES = 256 << 10;

/**
 * Writes a body in blocks of at least `WRITE_BYTES_MIN`; each byte is copied at most once, those of a small body never. Returns the
 * bytes written.
 */
export async function writeGathered(
  file: Deno.FsFile,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  release: (chunk: Uint8Array) => void = () => {},
): Promise<number> {
  let first: Uint8Array | null = null;
  let block: Uint8Array<ArrayBuffer> | null = null;
  let filled = 0;
  let size = 0;
  const gather = (chunk: Uint8Array) => {
    block ??= new Uint8Array(WRITE_BYTES_MIN);
    block.set(chunk, filled);
    filled += chunk.length;
    release(chunk);
  };
  for await (const chunk of body) {
    signal.throwIfAborted();
    const isFirst = size === 0;
    size += chunk.length;
    if (isFirst && chunk.length < WRITE_BYTES_MIN) {
      first = chunk;
      continue;
    }
    if (first !== null) gather(first);
    first = null;
    if (filled + chunk.length > WRITE_BYTES_MIN) {
      if (filled > 0) await writeAll(file, block!.subarray(0, filled));
      filled = 0;
    }
    if (chunk.length < WRITE_BYTES_MIN) gather(chunk);
    else {
      await writeAll(file, chunk);
      release(chunk);
    }
  }
  signal.throwIfAborted();
  if (first !== null) {
    for (let done = 0; done < first.length;) done += file.writeSync(first.subarray(done));
    release(first);
  }
  if (filled > 0) await writeAll(file, block!.subarray(0, filled));
  return size;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

interface Syncing {
  running: Promise<void>;
  /** For those who came while one ran: it may have begun before their names were there. */
  next: Promise<void> | null;
}

const syncing = new Map<string, Syncing>();

/** Makes the names in a folder durable. Those who ask while it is being done share the next time. */
export function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return Promise.resolve();
  const found = syncing.get(path);
  if (found !== undefined) {
    return found.next ??= found.running.then(() => {}, () => {}).then(() => begin(path));
  }
  return begin(path);
}

function begin(path: string): Promise<void> {
  const own: Syncing = { running: syncNow(path), next: null };
  syncing.set(path, own);
  const end = () => {
    // Whoever waits for the next one begins it right away.
    if (own.next === null) syncing.delete(path);
  };
  own.running.then(end, end);
  return own.running;
}

async function syncNow(path: string): Promise<void> {
  using folder = Deno.openSync(path, { read: true });
  await folder.sync();
}

/** Throws what a first write below this folder would throw, as far as it can be known without writing. */
export async function checkFolder(path: string): Promise<void> {
  for (let folder = path;; folder = folder.slice(0, Math.max(1, folder.lastIndexOf("/")))) {
    try {
      // The blank component makes the system refuse a file that stands where a folder is needed.
      await access(`${folder}/.`, constants.W_OK | constants.X_OK);
      return;
    } catch (error) {
      // Where the program itself may not look, the write will tell.
      if (error instanceof Deno.errors.NotCapable) return;
      const isMissing = (error as { code?: string }).code === "ENOENT";
      if (!isMissing || folder === "/") throw toWriteError(error, path);
    }
  }
}

/** A file's bytes, or a range of them, read as they are asked for. */
export async function openRange(
  path: string,
  range?: { offset: number; length: number },
): Promise<ReadableStream<Uint8Array>> {
  const file = await Deno.open(path, { read: true });
  let left = range?.length ?? Infinity;
  try {
    if (range !== undefined) await file.seek(range.offset, Deno.SeekMode.Start);
  } catch (error) {
    file.close();
    throw error;
  }
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const block = new Uint8Array(Math.min(READ_BYTES, left));
        const count = block.length === 0 ? null : await file.read(block);
        if (count === null) {
          file.close();
          return controller.close();
        }
        left -= count;
        controller.enqueue(block.subarray(0, count));
      } catch (error) {
        file.close();
        throw toReadError(error, path);
      }
    },
    cancel: () => file.close(),
  }, { highWaterMark: 0 });
}

interface Meaning {
  readonly code: ErrorCode;
  readonly message: string;
  readonly cure: string;
  readonly retry?: RetryClass;
}

const REFUSALS: Readonly<Record<string, Meaning>> = {
  ENOSPC: full("The file system is full"),
  EDQUOT: full("The disk quota is used up"),
  EFBIG: {
    code: "RIVET_DEST_WRITE_FAILED",
    message: "The file is larger than the file system or 'ulimit -f' allows",
    cure: "Set 'max_file_size', or raise the limit",
  },
  EACCES: denied("The folder may not be written by this user"),
  EPERM: denied("The operating system does not permit the write"),
  EROFS: denied("The file system is mounted read-only"),
  ENOTDIR: {
    code: "RIVET_DEST_WRITE_FAILED",
    message: "A file stands where a folder is needed",
    cure: "Move the file away, or choose another 'destination.path'",
  },
  EISDIR: {
    code: "RIVET_DEST_WRITE_FAILED",
    message: "A folder stands where a file is to be written",
    cure: "Move the folder away, or choose another 'destination.path'",
  },
  ENAMETOOLONG: {
    code: "RIVET_DEST_WRITE_FAILED",
    message: "The file name is longer than the file system allows",
    cure: "Shorten the export's name or 'destination.path'",
  },
  EIO: { code: "RIVET_DEST_WRITE_FAILED", message: "The disk reports an error", cure: "Check the disk" },
  ESTALE: {
    code: "RIVET_DEST_WRITE_FAILED",
    message: "The network file system lost the file",
    cure: "Check the mount",
    retry: "destination",
  },
  EMFILE: {
    code: "RIVET_DEST_WRITE_FAILED",
    message: "Too many files are open",
    cure: "Raise 'ulimit -n', or lower 'parallel'",
    retry: "destination",
  },
};

function full(message: string): Meaning {
  return {
    code: "RIVET_DEST_DISK_FULL",
    message,
    cure: "Free space there, then run the same command again: it continues",
  };
}

function denied(message: string): Meaning {
  return {
    code: "RIVET_DEST_WRITE_FAILED",
    message,
    cure:
      "Give the user that runs rivet write and search permission on the folder, or choose another 'destination.path'",
  };
}

/** What a refused write means, by the operating system's code. Our own errors and aborts pass as they are. */
export function toWriteError(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (code === null) return error;
  const meaning = REFUSALS[code];
  return new RivetError(
    meaning?.code ?? "RIVET_DEST_WRITE_FAILED",
    meaning?.message ?? `The write failed with ${code}`,
    {
      where: path,
      ...(meaning === undefined ? {} : { cure: meaning.cure }),
      ...(meaning?.retry === undefined ? {} : { retry: meaning.retry }),
      cause: error,
    },
  );
}

/** The same for reads. */
export function toReadError(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (code === null) return error;
  return new RivetError("RIVET_DEST_READ_FAILED", `The file cannot be read: ${code}`, {
    where: path,
    cure: "Give the user that runs rivet read and search permission on the folder",
    cause: error,
  });
}

function codeOf(error: unknown): string | null {
  if (error instanceof RivetError || !(error instanceof Error)) return null;
  if (error instanceof Deno.errors.NotCapable) return "EPERM";
  return faultCode(error);
}
