// Quality rules against what was observed while the rows were written: no second read, no sampling.

import type { QualityConfig } from "../config/mod.ts";
import type { SliceObservations } from "../core/mod.ts";
import { RivetError } from "../errors.ts";

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
  faults.push(...findRepeats(rules, slices));
  return faults;
}

function findRepeats(rules: QualityConfig, slices: readonly (SliceObservations | null)[]): QualityFault[] {
  const faults: QualityFault[] = [];
  const withRows = slices.filter((slice) => (slice?.rows ?? 0) > 0);
  for (const column of rules.uniqueColumns) {
    const seen = withRows.map((slice) => slice?.unique.find((u) => u.column === column));
    const duplicates = seen.reduce((sum, u) => sum + (u?.duplicates ?? 0), 0);
    if (duplicates > 0) faults.push({ severity: "fail", message: `column '${column}' repeats ${duplicates} values` });
    else if (seen.some((u) => u === undefined)) {
      faults.push({ severity: "fail", message: `column '${column}' was not compared` });
    } else if (withRows.length > 1) {
      faults.push({
        severity: "warn",
        message: `column '${column}' is unique within each chunk; across chunks it was not compared`,
      });
    } else if (seen.some((u) => u !== undefined && !u.complete)) {
      faults.push({
        severity: "warn",
        message: `column '${column}' is unique as far as \`unique_max_entries\` allows to see`,
      });
    }
  }
  return faults;
}
