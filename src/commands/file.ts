// Output files of commands: parent folders are made, trouble has a code.

import { dirname } from "node:path";
import { RivetError } from "../errors.ts";

export async function writeTextFile(path: string, text: string): Promise<void> {
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, text);
  } catch (cause) {
    throw new RivetError(
      "RIVET_CLI_OUTPUT_UNWRITABLE",
      `The output file cannot be written: ${(cause as Error).message}`,
      { where: path, cause },
    );
  }
}
