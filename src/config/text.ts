// The config's file, read as text.

import { RivetError } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";

const BYTES_MAX = 4 * 1024 * 1024;

export async function readText(path: string): Promise<string> {
  try {
    const { size } = await Deno.stat(path);
    if (size <= BYTES_MAX) return await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw unreadable("There is no such config file", path, "Check the path given with `-c`", cause);
    }
    throw unreadable(`The config file cannot be read: ${describeFileFault(cause)}`, path, cureOf(cause), cause);
  }
  throw unreadable(`The config file is larger than ${BYTES_MAX} bytes`, path, "Check that this is a config file");
}

/** A folder is easily given in place of the file in it. */
function cureOf(cause: unknown): string | undefined {
  return cause instanceof Deno.errors.IsADirectory ? "Name the config file itself, with `-c`" : undefined;
}

function unreadable(message: string, where: string, cure?: string, cause?: unknown): RivetError {
  return new RivetError("RIVET_CONFIG_FILE_UNREADABLE", message, {
    where,
    cause,
    ...(cure === undefined ? {} : { cure }),
  });
}
