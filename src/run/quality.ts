// Quality rules against what was observed while the rows were written: no second read, no sampling.

import type { QualityConfig } from "../config/mod.ts";
import type { SliceObservations } from "../core/mod.ts";
import { RivetError } from "../errors.ts";
import type { Across } from "./unique.ts";

export interface QualityFault {
  readonly severity: "warn" | "fail";
  readonly message: string;
}

/** Rules over columns that the export does not have are refused before anything is read. */
export function checkQualityColumns(
  rules: QualityConfig,
  columns: readonly { readonly name: string }[],
  where: string,
): void {
  const names = new Set(columns.map((c) => c.name));
  const unknown = [...Object.keys(rules.nullRatioMax), ...rules.uniqueColumns].find((name) => !names.has(name));
  if (unknown === undefined) return;
  throw new RivetError(
    "RIVET_CONFIG_QUALITY_COLUMN_UNKNOWN",
    `A quality rule names '${unknown}', which the export does not have`,
    { where },
  );
}

export function hasQualityRules(rules: QualityConfig): boolean {
  return rules.rowCountMin !== null || rules.rowCountMax !== null || Object.keys(rules.nullRatioMax).length > 0 ||
    rules.uniqueColumns.length > 0;
}

/** Everything the rows broke. */
export function findQualityFaults(
  rules: QualityConfig,
  columns: readonly { readonly name: string }[],
  slices: readonly (SliceObservations | null)[],
  rows: number,
  across: ReadonlyMap<string, Across>,
): QualityFault[] {
  const faults: QualityFault[] = [];
  const fail = (message: string) => faults.push({ severity: "fail", message });
  if (rules.rowCountMin !== null && rows < rules.rowCountMin) {
    fail(`${rows} rows, at least ${rules.rowCountMin} are required`);
  }
  if (rules.rowCountMax !== null && rows > rules.rowCountMax) {
    fail(`${rows} rows, at most ${rules.rowCountMax} are allowed`);
  }
  for (const { name } of columns) {
    const limit = rules.nullRatioMax[name];
    if (limit === undefined || rows === 0) continue;
    const nulls = slices.reduce((sum, slice) => sum + (slice?.columns.find((c) => c.name === name)?.nulls ?? 0), 0);
    if (nulls / rows > limit) {
      fail(`column '${name}' is NULL in ${nulls} of ${rows} rows, at most ${limit * 100}% are allowed`);
    }
  }
  faults.push(...findRepeats(rules, slices, across));
  return faults;
}

function findRepeats(
  rules: QualityConfig,
  slices: readonly (SliceObservations | null)[],
  across: ReadonlyMap<string, Across>,
): QualityFault[] {
  const withRows = slices.filter((slice) => (slice?.rows ?? 0) > 0);
  return rules.uniqueColumns.flatMap((column) => {
    const seen = withRows.map((slice) => slice?.unique.find((u) => u.column === column));
    const inOneChunk = seen.reduce((sum, u) => sum + (u?.duplicates ?? 0), 0);
    if (inOneChunk > 0) return [{ severity: "fail", message: `column '${column}' repeats ${inOneChunk} values` }];
    if (seen.some((u) => u === undefined)) {
      return [{ severity: "fail", message: `column '${column}' was not compared` }];
    }
    const complete = seen.every((u) => u?.complete ?? true);
    return judgeAcross(column, complete, withRows.length > 1 ? across.get(column) : { kind: "proven" });
  });
}

function judgeAcross(column: string, complete: boolean, across: Across | undefined): QualityFault[] {
  if (across === undefined) return [{ severity: "fail", message: `column '${column}' was not compared across chunks` }];
  if (across.kind === "compared" && across.duplicates > 0) {
    return [{ severity: "fail", message: `column '${column}' repeats ${across.duplicates} values across chunks` }];
  }
  if (!complete || (across.kind === "compared" && !across.complete)) {
    const message = `column '${column}' is unique as far as \`unique_max_entries\` allows to see`;
    return [{ severity: "warn", message }];
  }
  if (across.kind === "proven" || across.samePicture) return [];
  const message =
    `column '${column}' is unique within each chunk, and in the source as it is now; the chunks are of other moments`;
  return [{ severity: "warn", message }];
}
