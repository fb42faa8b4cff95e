// Combinations that cannot work, refused before anything is opened. Each rule has a name that outputs carry.

import { RivetError } from "../errors.ts";
import type { Export } from "../config/mod.ts";

interface Rule {
  readonly name: string;
  readonly breaks: (entry: Export) => boolean;
  readonly message: string;
  readonly cure: string;
}

const isStream = (entry: Export) => entry.destination.kind === "stdout";

/** What stops a plan. */
const REJECTING: readonly Rule[] = [
  {
    name: "stdout-no-split",
    breaks: (entry) => isStream(entry) && entry.maxFileBytes !== null,
    message: "Standard output is one stream and cannot be split by 'max_file_size'",
    cure: "Remove `max_file_size`, or write to a folder",
  },
  {
    name: "stdout-no-chunked",
    breaks: (entry) => isStream(entry) && entry.mode === "chunked",
    message: "Standard output is one stream and cannot hold chunks",
    cure: "Use `mode: full`, or write to a folder",
  },
  {
    name: "stdout-no-parallel",
    breaks: (entry) => isStream(entry) && entry.parallel > 1,
    message: "Standard output is one stream and cannot be written by several lanes",
    cure: "Remove `parallel`, or write to a folder",
  },
  {
    name: "stdout-no-partition",
    breaks: (entry) => isStream(entry) && entry.partition !== null,
    message: "Standard output is one stream and cannot hold partitions",
    cure: "Remove `partition_by`, or write to a folder",
  },
];

/** Throws RIVET_PLAN_REJECTED for the first rule that the export breaks. */
export function checkRules(entry: Export): void {
  const broken = REJECTING.find((rule) => rule.breaks(entry));
  if (broken === undefined) return;
  throw new RivetError("RIVET_PLAN_REJECTED", `[${broken.name}] ${broken.message}`, {
    where: `export '${entry.name}'`,
    cure: broken.cure,
  });
}
