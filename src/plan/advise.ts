// Advice about a planned export: a verdict that names the budget it breaks, a tuning profile, a number of lanes. Pure; nothing here decides a run.

import type { Mode } from "../config/mod.ts";
import { formatCount } from "../report/mod.ts";
import type { Engine } from "../source/mod.ts";
import type { Strategy } from "./task.ts";

export type Verdict = "efficient" | "acceptable" | "degraded" | "unsafe";
export type Profile = "fast" | "balanced" | "safe";
export type Severity = "HIGH" | "MEDIUM" | "LOW";

/** What is known of an export; null is unknown. */
export interface AdviceInput {
  readonly engine: Engine;
  readonly mode: Mode;
  readonly strategy: Strategy;
  /** Lanes that the config asks for. */
  readonly parallel: number;
  /** Lanes that the plan uses. */
  readonly lanes: number;
  readonly rows: number | null;
  readonly rowBytes: number | null;
  /** Rows are found by an index, or by their physical page. */
  readonly usesIndex: boolean;
  readonly hasCursor: boolean;
  /** Slices of the plan. */
  readonly slices: number;
  /** Rows of one slice, as the plan cuts them. */
  readonly sliceRows: number | null;
  /** Keys between the least and the greatest one, both included; null where keys are not integers. */
  readonly keySpan: number | null;
  /** The column that slices or windows follow. */
  readonly column: string | null;
  readonly connectionsMax: number | null;
}

/** The limit that an export goes beyond. */
export interface Breach {
  readonly budget: "unindexed_rows" | "memory_mb";
  readonly limit: number;
  /** Null = unknown, and therefore not known to be within. */
  readonly estimate: number | null;
  readonly text: string;
}

export interface AdviceWarning {
  readonly severity: Severity;
  readonly message: string;
}

export interface Advice {
  readonly verdict: Verdict;
  /** Given for `degraded` and `unsafe`, and only for these. */
  readonly breach: Breach | null;
  readonly profile: Profile;
  readonly parallel: { readonly level: number; readonly reason: string };
  readonly warnings: readonly AdviceWarning[];
  readonly suggestion: string | null;
}

export function advise(input: AdviceInput): Advice {
  const { verdict, breach } = judge(input);
  return {
    verdict,
    breach,
    profile: recommendProfile(input),
    parallel: recommendParallel(input),
    warnings: findWarnings(input),
    suggestion: suggest(input, verdict),
  };
}

/** A read without an index is harmless up to so many rows, noticed up to the second, and a matter of memory beyond the third. */
const UNINDEXED_ROWS_SMALL = 100_000;
const UNINDEXED_ROWS_MAX = 1_000_000;
const UNINDEXED_CURSOR_ROWS_MAX = 50_000_000;
const INDEXED_ROWS_EFFICIENT = 10_000_000;
export const MEMORY_BUDGET_MB = 2048;

function judge(input: AdviceInput): { verdict: Verdict; breach: Breach | null } {
  const { rows, usesIndex, hasCursor } = input;
  if (usesIndex) {
    return { verdict: hasCursor && (rows ?? 0) <= INDEXED_ROWS_EFFICIENT ? "efficient" : "acceptable", breach: null };
  }
  if (rows !== null && rows < UNINDEXED_ROWS_SMALL) return { verdict: "acceptable", breach: null };
  const isModest = (rows ?? 0) <= (hasCursor ? UNINDEXED_CURSOR_ROWS_MAX : UNINDEXED_ROWS_MAX);
  const memoryMb = estimatePeakMb(input.lanes, input.rowBytes);
  if (isModest || memoryMb <= MEMORY_BUDGET_MB) return { verdict: "degraded", breach: unindexedBreach(rows) };
  return {
    verdict: "unsafe",
    breach: {
      budget: "memory_mb",
      limit: MEMORY_BUDGET_MB,
      estimate: memoryMb,
      text: `about ${memoryMb} MB of memory for ${input.lanes} lanes, the budget is ${MEMORY_BUDGET_MB} MB`,
    },
  };
}

function unindexedBreach(rows: number | null): Breach {
  const limit = UNINDEXED_ROWS_SMALL;
  const read = rows === null ? "an unknown number of rows is" : `${formatCount(rows)} rows are`;
  return {
    budget: "unindexed_rows",
    limit,
    estimate: rows,
    text: `${read} read without an index, the budget for that is ${formatCount(limit)}`,
  };
}

const MIB = 1 << 20;

/** Memory at the worst moment, in MB: a base, and for each lane what its widest rows make it hold. */
export function estimatePeakMb(lanes: number, rowBytes: number | null): number {
  const perLane = Math.min(128, Math.max(18, 18 + ((rowBytes ?? 0) * 87) / 4096));
  return Math.round(16 + lanes * perLane);
}

function recommendProfile({ rows, usesIndex, lanes }: AdviceInput): Profile {
  const count = rows ?? 0;
  if (usesIndex) return count <= 1_000_000 ? "fast" : count <= INDEXED_ROWS_EFFICIENT ? "balanced" : "safe";
  if (count <= UNINDEXED_ROWS_SMALL) return lanes > 1 ? "safe" : "balanced";
  return count <= UNINDEXED_ROWS_MAX ? "balanced" : "safe";
}

function recommendParallel(input: AdviceInput): { level: number; reason: string } {
  const { engine, rows, usesIndex, strategy, parallel, slices } = input;
  const count = rows ?? 0;
  if (engine === "sqlite") return { level: 1, reason: "SQLite gives one picture on one connection" };
  if (strategy.kind === "key") {
    return { level: Math.max(1, parallel), reason: "keyset chunks: as configured" };
  }
  if (strategy.kind === "whole") return { level: 1, reason: "the export is one chunk" };
  if (slices <= 1) return { level: 1, reason: "the plan has one chunk" };
  if (rows !== null && count < 50_000) return { level: 1, reason: "fewer than 50,000 rows" };
  if (!usesIndex) {
    return count > 5_000_000
      ? { level: 1, reason: "no index, and every chunk of more than 5,000,000 rows would scan" }
      : { level: 2, reason: "no index: more lanes would scan the table at once" };
  }
  return count < 500_000 ? { level: 2, reason: "fewer than 500,000 rows" } : { level: 4, reason: "indexed chunks" };
}

const CHUNK_BYTES_MAX = 256 * MIB;
const DENSITY_MIN = 0.1;
const WINDOWS_SPARSE_MIN = 10;
const PARALLEL_ROWS_MANY = 5_000_000;

function findWarnings(input: AdviceInput): AdviceWarning[] {
  return [
    ...connectionWarnings(input),
    ...scanWarnings(input),
    ...sparseWarnings(input),
    ...chunkWarnings(input),
    ...input.strategy.kind === "dense"
      ? [{
        severity: "LOW" as const,
        message: `\`chunk_dense\` walks the keys of '${input.strategy.column}' in order while planning`,
      }]
      : [],
  ];
}

function connectionWarnings({ engine, parallel, connectionsMax, rows }: AdviceInput): AdviceWarning[] {
  if (parallel <= 1 || engine === "sqlite") return [];
  const found: AdviceWarning[] = [];
  if (connectionsMax === null) {
    found.push({
      severity: "HIGH",
      message: `the server's limit of connections cannot be read; ${parallel} lanes may use it up`,
    });
  } else if (parallel >= connectionsMax) {
    found.push({
      severity: "HIGH",
      message: `\`parallel: ${parallel}\` takes all of the server's ${connectionsMax} connections`,
    });
  }
  if ((rows ?? 0) > PARALLEL_ROWS_MANY) {
    found.push({
      severity: "HIGH",
      message: `${parallel} lanes read ${formatCount(rows ?? 0)} rows at once: run it off-peak or against a replica`,
    });
  }
  return found;
}

/** Without an index every slice of a column reads the whole table. */
function scanWarnings({ strategy, usesIndex, slices, rows, column }: AdviceInput): AdviceWarning[] {
  const followsColumn = strategy.kind === "range" || strategy.kind === "days" || strategy.kind === "dense";
  if (!followsColumn || usesIndex || slices <= 1) return [];
  const total = rows === null ? "" : `, ${formatCount(rows * slices)} rows in all`;
  return [{
    severity: "HIGH",
    message: `no index on '${column}': each of ${formatCount(slices)} chunks scans the whole table${total}`,
  }];
}

function sparseWarnings({ strategy, rows, keySpan, slices, column }: AdviceInput): AdviceWarning[] {
  if (strategy.kind !== "range" || rows === null || keySpan === null || slices <= WINDOWS_SPARSE_MIN) return [];
  const density = rows / keySpan;
  if (density >= DENSITY_MIN) return [];
  return [{
    severity: "MEDIUM",
    message: `the keys of '${column}' are sparse: ${formatCount(rows)} rows over ${formatCount(keySpan)} keys in ` +
      `${formatCount(slices)} chunks, most of them nearly empty`,
  }];
}

function chunkWarnings({ strategy, sliceRows, rowBytes, mode }: AdviceInput): AdviceWarning[] {
  if (mode !== "chunked" || strategy.kind === "whole" || sliceRows === null || rowBytes === null) return [];
  const bytes = sliceRows * rowBytes;
  if (bytes <= CHUNK_BYTES_MAX) return [];
  const size = Math.max(1000, Math.floor(CHUNK_BYTES_MAX / rowBytes / 1000) * 1000);
  return [{
    severity: "MEDIUM",
    message: `a chunk reads about ${Math.round(bytes / MIB)} MB; \`chunk_size: ${size}\` keeps it below 256 MB`,
  }];
}

function suggest(input: AdviceInput, verdict: Verdict): string | null {
  if (verdict === "efficient" || verdict === "acceptable") return null;
  const { mode, column, usesIndex } = input;
  const off = verdict === "unsafe" ? "; until then lower `parallel`, and run it off-peak" : "";
  switch (mode) {
    case "full":
      return `Use \`mode: chunked\` over an indexed key, or \`mode: incremental\` when the table only grows${off}`;
    case "chunked":
      return usesIndex ? null : `Create an index on '${column}', or chunk by an indexed column${off}`;
    case "incremental":
    case "time_window":
      return `Create an index on '${column}', so that a run reads only the rows it exports${off}`;
    default: {
      const never: never = mode;
      return never;
    }
  }
}
