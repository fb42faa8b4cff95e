// Combinations that cannot work, or not as one may think, found before anything is opened. Each rule has a name that outputs carry.

import { RivetError } from "../errors.ts";
import type { Export } from "../config/mod.ts";

export type RuleLevel = "rejected" | "warning" | "degraded";

export interface Rule {
  readonly name: string;
  readonly level: RuleLevel;
  readonly message: string;
  readonly cure: string;
}

const isStream = (entry: Export) => entry.destination.kind === "stdout";

const RULES: readonly (Rule & { readonly breaks: (entry: Export) => boolean })[] = [
  {
    name: "stdout-no-split",
    level: "rejected",
    breaks: (entry) => isStream(entry) && entry.maxFileBytes !== null,
    message: "Standard output is one stream and cannot be split by 'max_file_size'",
    cure: "Remove `max_file_size`, or write to a folder",
  },
  {
    name: "stdout-no-chunked",
    level: "rejected",
    breaks: (entry) => isStream(entry) && entry.mode === "chunked",
    message: "Standard output is one stream and cannot hold chunks",
    cure: "Use `mode: full`, or write to a folder",
  },
  {
    name: "stdout-no-parallel",
    level: "rejected",
    breaks: (entry) => isStream(entry) && entry.parallel > 1,
    message: "Standard output is one stream and cannot be written by several lanes",
    cure: "Remove `parallel`, or write to a folder",
  },
  {
    name: "stdout-no-partition",
    level: "rejected",
    breaks: (entry) => isStream(entry) && entry.partition !== null,
    message: "Standard output is one stream and cannot hold partitions",
    cure: "Remove `partition_by`, or write to a folder",
  },
  {
    name: "quality-unique-no-cap",
    level: "warning",
    breaks: ({ quality }) => quality.uniqueColumns.length > 0 && quality.uniqueMaxEntries === null,
    message: "`unique_columns` remembers every value it has seen, without a limit",
    cure: "Set `quality.unique_max_entries`",
  },
  {
    name: "stdout-manifest-phantom",
    level: "degraded",
    breaks: isStream,
    message:
      "Standard output keeps nothing: there is no manifest and no cursor, and nothing to validate, reconcile or resume",
    cure: "Write to a folder or a store when the export must be verified",
  },
];

/** Every rule that the export breaks, in the order of the table. */
export function findRules(entry: Export): Rule[] {
  return RULES.filter((rule) => rule.breaks(entry)).map(({ breaks: _, ...rule }) => rule);
}

/** Throws RIVET_PLAN_REJECTED for the first rule that stops a plan. */
export function checkRules(entry: Export): void {
  const rejected = findRules(entry).find((rule) => rule.level === "rejected");
  if (rejected !== undefined) throw toRejection(rejected, entry);
}

export function toRejection({ name, message, cure }: Rule, entry: Export): RivetError {
  return new RivetError("RIVET_PLAN_REJECTED", `[${name}] ${message}`, { where: `export '${entry.name}'`, cure });
}
