// The config's file, read as text.

import { RivetError } from "../errors.ts";

const BYTES_MAX = 4 * 1024 * 1024;

export async function readText(path: string): Promise<string> {
  try {
    const { size } = await Deno.stat(path);
    if (size <= BYTES_MAX) return await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw unreadable("There is no such config file", path, "Check the path given with `-c`", cause);
    }
    throw unreadable(`The config file cannot be read: ${(cause as Error).message}`, path, undefined, cause);
  }
  throw unreadable(`The config file is larger than ${BYTES_MAX} bytes`, path, "Check that this is a config file");
}

function unreadable(message: string, where: string, cure?: string, cause?: unknown): RivetError {
  return new RivetError("RIVET_CONFIG_FILE_UNREADABLE", message, {
    where,
    cause,
    ...(cure === undefined ? {} : { cure }),
  });
}
