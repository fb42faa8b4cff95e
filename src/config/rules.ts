// Rules across keys, in the order a reader would check them. The first that is broken throws its own code and says what to change.

import { RivetError } from "../errors.ts";
import { checkChunks } from "./chunk_rules.ts";
import { checkColumns } from "./column_rules.ts";
import { checkDestination, checkPartition } from "./destination_rules.ts";
import { checkFormat } from "./format_rules.ts";
import { checkMode } from "./mode_rules.ts";
import { describeExport, openPlace, type Place } from "./place.ts";
import type { RawConfig, RawExport } from "./shape.ts";
import { hasBatchConflict } from "./tuning.ts";
import type { Parsed } from "./yaml.ts";

/** Throws for what cannot work; returns what works otherwise than it reads. */
export function checkRules(raw: RawConfig, parsed: Parsed): string[] {
  const warnings: string[] = [];
  if (raw.exports.length === 0) {
    throw new RivetError("RIVET_CONFIG_NO_EXPORTS", "`exports` is empty", { where: parsed.where(["exports"]) });
  }
  checkDuplicates(raw, parsed);
  if (hasBatchConflict(raw.source.tuning)) {
    throw new RivetError("RIVET_CONFIG_VALUE_OUT_OF_RANGE", BATCH_CONFLICT, {
      where: parsed.where(["source", "tuning", "batch_size_memory_mb"]),
      cure: "Keep one of them",
    });
  }
  raw.exports.forEach((entry, index) => {
    const place = openPlace(index, parsed, warnings);
    checkName(entry, place);
    checkFrom(entry, place);
    checkMode(entry, place);
    checkChunks(entry, place);
    checkFormat(entry, place);
    checkDestination(entry, place);
    checkPartition(entry, place);
    checkColumns(entry, raw.source.type, place);
    if (hasBatchConflict(raw.source.tuning, entry.tuning)) {
      place.fail(
        "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
        "tuning",
        BATCH_CONFLICT,
        "Keep one of them, also counting `source.tuning`",
      );
    }
  });
  return warnings;
}

const BATCH_CONFLICT = "`batch_size` and `batch_size_memory_mb` exclude each other";

function checkDuplicates({ exports }: RawConfig, parsed: Parsed): void {
  const seen = new Set<string>();
  for (const [index, { name }] of exports.entries()) {
    if (seen.has(name)) {
      throw new RivetError("RIVET_CONFIG_DUPLICATE_EXPORT", `There is a second ${describeExport(index, parsed)}`, {
        where: parsed.where(["exports", index, "name"]),
      });
    }
    seen.add(name);
  }
}

/** File names end at 255 bytes, and parts add the run, the chunk and the extension. */
const NAME_BYTES_MAX = 150;

function checkName({ name }: RawExport, { fail }: Place): void {
  // deno-lint-ignore no-control-regex
  if (name.startsWith(".") || name.includes("..") || /[\/\\\x00-\x1f\x7f]/.test(name)) {
    fail(
      "RIVET_CONFIG_PATH_UNSAFE",
      "name",
      "The name cannot be part of a file name",
      "Use letters, digits, `_` and `-`",
    );
  }
  if (new TextEncoder().encode(name).length > NAME_BYTES_MAX) {
    fail(
      "RIVET_CONFIG_PATH_UNSAFE",
      "name",
      "The name is too long for a file name",
      `Use at most ${NAME_BYTES_MAX} characters`,
    );
  }
  if (/#\d+$/.test(name)) {
    fail(
      "RIVET_CONFIG_EXPORT_NAME_RESERVED",
      "name",
      "A name that ends in # and digits is reserved",
      "Rename the export",
    );
  }
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$/;

function checkFrom(entry: RawExport, { fail, quote }: Place): void {
  const given = (["table", "query", "query_file"] as const).filter((key) => entry[key] !== undefined);
  if (given.length !== 1) {
    const found = given.map((key) => `\`${key}\``).join(" and ");
    fail(
      "RIVET_CONFIG_EXPORT_SOURCE_INVALID",
      given[1] ?? null,
      given.length === 0 ? "Nothing says what to read" : `${found} exclude each other`,
      "Give exactly one of `table`, `query` and `query_file`",
    );
  }
  if (entry.table !== undefined && !IDENTIFIER.test(entry.table)) {
    fail(
      "RIVET_CONFIG_EXPORT_SOURCE_INVALID",
      "table",
      `${quote("table")} is no plain table name`,
      "Write `table` or `schema.table`, or select from it in `query`, quoted as the engine wants it",
    );
  }
  if (entry.query !== undefined && entry.query.replace(/;\s*$/, "").trim() === "") {
    fail("RIVET_CONFIG_EXPORT_SOURCE_INVALID", "query", "The query is empty", "Write a SELECT, or name a `table`");
  }
}
