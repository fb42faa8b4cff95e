// Output files of commands: there whole or as they were, and trouble has a code.

import { RivetError } from "../errors.ts";
import { describeFileFault, isNoRoom } from "../file_fault.ts";
import type { Terminal } from "./command.ts";
import { writeWholeFile } from "../whole_file.ts";

/** Whoever reads the file finds the old one or the whole new one. Throws RIVET_CLI_OUTPUT_UNWRITABLE; then the old one is as it was. */
export async function writeOutputFile(path: string, text: string | Iterable<string>): Promise<void> {
  try {
    await writeWholeFile(path, typeof text === "string" ? [text] : text);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** How a report was asked for. */
export interface ReportFlags {
  readonly json?: true | undefined;
  readonly format: "pretty" | "json";
  readonly output?: string | undefined;
}

/** A report on stdout, as text or as JSON, and as JSON in the file of `-o`. */
export async function writeReport(
  { out }: Terminal,
  flags: ReportFlags,
  report: { readonly json: () => Iterable<string>; readonly text: () => string },
): Promise<void> {
  if (flags.json === true || (flags.format === "json" && flags.output === undefined)) {
    for (const piece of report.json()) out(piece);
  } else if (flags.format === "pretty") out(report.text());
  if (flags.output !== undefined) await writeOutputFile(flags.output, report.json());
}

/** Before long work: a folder in the place of the file would be found out only when the work is done. */
export async function checkOutputFile(path: string): Promise<void> {
  if ((await Deno.stat(path).catch(() => null))?.isDirectory) throw unwritable(path, FOLDER);
}

const FOLDER = { code: "EISDIR" };

function unwritable(path: string, cause: unknown): RivetError {
  return new RivetError(
    "RIVET_CLI_OUTPUT_UNWRITABLE",
    `The output file cannot be written: ${describeFileFault(cause)}`,
    {
      where: path,
      ...(isNoRoom(cause) ? { cure: "Make room and run the command again; the file is as it was" } : {}),
      cause,
    },
  );
}
