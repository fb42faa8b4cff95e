// Output files of commands: parent folders are made, trouble has a code.

import { dirname } from "node:path";
import { RivetError } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";

export async function writeTextFile(path: string, text: string | Iterable<string>): Promise<void> {
  await writing(path, async () => {
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, typeof text === "string" ? text : toStream(text));
  });
}

/** Before long work: a folder in the place of the file would be found out only when the work is done. */
export async function checkOutputFile(path: string): Promise<void> {
  if ((await Deno.stat(path).catch(() => null))?.isDirectory) throw unwritable(path, FOLDER);
}

/** Writes beside the file and takes its place at the end: whoever reads it finds the old file or the whole new one. */
export async function replaceFile(path: string, pieces: Iterable<string>): Promise<void> {
  const beside = `${path}.${Deno.pid}.tmp`;
  await writing(path, async () => {
    await Deno.mkdir(dirname(path), { recursive: true });
    const mode = (await Deno.stat(path).catch(() => null))?.mode;
    try {
      await Deno.writeTextFile(beside, toStream(pieces), mode ? { mode: mode & 0o777 } : {});
      await Deno.rename(beside, path);
    } catch (error) {
      await Deno.remove(beside).catch(() => {});
      throw error;
    }
  });
}

const PIECE_LENGTH = 1 << 16;

function toStream(pieces: Iterable<string>): ReadableStream<string> {
  const left = pieces[Symbol.iterator]();
  return new ReadableStream({
    pull(controller) {
      let text = "";
      while (text.length < PIECE_LENGTH) {
        const { value, done } = left.next();
        if (done === true) {
          controller.enqueue(text);
          return controller.close();
        }
        text += value;
      }
      controller.enqueue(text);
    },
  });
}

async function writing(path: string, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

const FOLDER = { code: "EISDIR" };

function unwritable(path: string, cause: unknown): RivetError {
  return new RivetError(
    "RIVET_CLI_OUTPUT_UNWRITABLE",
    `The output file cannot be written: ${describeFileFault(cause)}`,
    { where: path, cause },
  );
}
