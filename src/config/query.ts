// What an export reads: a table, or a query as written and with its `${name}` filled in.

import { isAbsolute, join, relative } from "node:path";
import { RivetError } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";
import { fillText, type Reading } from "./reading.ts";
import type { ExportQuery } from "./resolved.ts";
import type { RawExport } from "./shape.ts";

/** Throws RIVET_CONFIG_EXPORT_SOURCE_INVALID and RIVET_CONFIG_SECRET_UNSET. */
export async function toQuery(raw: RawExport, index: number, reading: Reading): Promise<ExportQuery> {
  if (raw.table !== undefined) {
    const dot = raw.table.indexOf(".");
    return dot < 0
      ? { kind: "table", schema: null, name: raw.table }
      : { kind: "table", schema: raw.table.slice(0, dot), name: raw.table.slice(dot + 1) };
  }
  if (raw.query !== undefined) {
    const written = reading.parsed.written(["exports", index, "query"]);
    return {
      kind: "query",
      text: trimQuery(raw.query),
      // Where the written text is not known, nothing that was filled in may take its place.
      template: typeof written === "string" ? trimQuery(written) : "",
      file: null,
    };
  }
  const file = raw.query_file!;
  const where = reading.parsed.where(["exports", index, "query_file"]);
  const kept = reading.queryFiles?.[file];
  const template = trimQuery(kept ?? await readQueryFile(file, reading.directory, where));
  if (template === "") throw refuse(`\`query_file\` is empty: '${file}'`, "Write a SELECT into the file", where);
  return { kind: "query", text: trimQuery(fillText(template, file, reading)), template, file };
}

/** A statement that stands inside another one must not end it. */
function trimQuery(sql: string): string {
  return sql.replace(/[\s;]+$/, "").trimStart();
}

async function readQueryFile(file: string, directory: string, where: string): Promise<string> {
  const inside = "Name a file in the config's folder or below it, without `..`";
  if (isAbsolute(file) || file.split(/[\/\\]/).includes("..")) {
    throw refuse(`\`query_file\` leaves the config's folder: '${file}'`, inside, where);
  }
  let path: string;
  let text: string;
  try {
    path = await Deno.realPath(join(directory, file));
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw refuse(
      `\`query_file\` cannot be read: '${file}' (${describeFileFault(cause)})`,
      "Create the file, or correct `query_file`",
      where,
      cause,
    );
  }
  const below = relative(await Deno.realPath(directory), path);
  if (below.startsWith("..") || isAbsolute(below)) {
    throw refuse(`\`query_file\` leads out of the config's folder: '${file}'`, inside, where);
  }
  return text;
}

function refuse(message: string, cure: string, where: string, cause?: unknown): RivetError {
  return new RivetError("RIVET_CONFIG_EXPORT_SOURCE_INVALID", message, { where, cure, cause });
}
