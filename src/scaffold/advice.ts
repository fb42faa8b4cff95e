// How each table should be read: mode, key, chunk size, lanes, each with the reason that the YAML then says. Pure.

import type { Mode } from "../config/mod.ts";
import type { Engine, ListedTable } from "../source/mod.ts";
import { type CursorCandidate, findChunkKey, findFallback, isIntegerType, rankCursors } from "./candidates.ts";
import { LARGE_ROWS, type Size } from "./probe.ts";
import { describeTarget, type LogicalType, type Target } from "../types/mod.ts";
import { formatCount, listNames } from "./text.ts";

export type Chunks =
  | { readonly kind: "range"; readonly column: string; readonly size: number }
  | { readonly kind: "key"; readonly columns: readonly string[]; readonly size: number }
  | { readonly kind: "pages"; readonly size: number };

export interface Advice {
  readonly mode: Mode;
  /** Why this mode, one sentence. */
  readonly why: string;
  readonly chunks: Chunks | null;
  /** Why cut this way and this wide. */
  readonly chunksWhy: string;
  readonly parallel: number;
  readonly parallelWhy: string;
  readonly cursors: readonly CursorCandidate[];
  readonly cursor: CursorCandidate | null;
  readonly fallback: CursorCandidate | null;
  readonly time: CursorCandidate | null;
  /** What else a reader should know, each one sentence. */
  readonly notes: readonly string[];
}

export interface AdviceContext {
  readonly engine: Engine;
  /** PostgreSQL from 14 on reads ranges of pages. */
  readonly hasPageRanges: boolean;
  /** The table can be named by `table:`; else only a query reaches it. */
  readonly isPlainName: boolean;
  /** Asked for with `--mode`. */
  readonly wanted: Mode | null;
  /** Warehouse that will read the files. */
  readonly target: Target | null;
}

export function advise(table: ListedTable, size: Size, context: AdviceContext): Advice {
  const cursors = rankCursors(table);
  const chunks = chooseChunks(table, size, context);
  const { mode, why, notes } = chooseMode(table, size, context, cursors, chunks.chunks);
  const isChunked = mode === "chunked";
  const cursor = mode === "incremental" ? cursorFor(cursors, context.wanted) : null;
  return {
    mode,
    why,
    chunks: isChunked ? chunks.chunks : null,
    chunksWhy: isChunked ? chunks.why : "",
    ...(isChunked ? chooseParallel(table, size, context.engine) : { parallel: 1, parallelWhy: "" }),
    cursors,
    cursor,
    fallback: cursor !== null && cursor === cursors[0] ? findFallback(cursors) : null,
    time: mode === "time_window" ? timeColumn(cursors) : null,
    notes: [...table.notes, ...notes, ...warnOfCursor(table, size, cursor), ...warnOfColumns(table, context.target)],
  };
}

interface ModeChoice {
  readonly mode: Mode;
  readonly why: string;
  readonly notes: readonly string[];
}

function chooseMode(
  table: ListedTable,
  size: Size,
  context: AdviceContext,
  cursors: readonly CursorCandidate[],
  chunks: Chunks | null,
): ModeChoice {
  const own = suggestMode(table, size, cursors, chunks);
  const { wanted } = context;
  if (wanted === null || wanted === own.mode) return own;
  const missing = wanted === "chunked" && chunks === null
    ? "it has no key that chunks could follow"
    : wanted === "incremental" && cursorFor(cursors, wanted) === null
    ? "it has no column that grows with every change"
    : wanted === "time_window" && timeColumn(cursors) === null
    ? "it has no timestamp column"
    : null;
  if (missing !== null) return { ...own, notes: [...own.notes, `\`mode: ${wanted}\` was asked for, but ${missing}.`] };
  return {
    mode: wanted,
    why: `${wanted}: asked for with --mode (${own.mode} would be suggested, ${sizeText(size)})`,
    notes: [],
  };
}

function suggestMode(
  table: ListedTable,
  size: Size,
  cursors: readonly CursorCandidate[],
  chunks: Chunks | null,
): ModeChoice {
  const best = cursors[0];
  const created = best?.reasons.includes("name_suggests_created") ?? false;
  const updated = best?.reasons.includes("name_suggests_updated") ?? false;
  if (table.kind === "view") {
    return { mode: "full", why: "full: a view has no key and no statistics", notes: [] };
  }
  if (size.rows !== null && size.rows > LARGE_ROWS) {
    const next = updated
      ? [`To read changes only: \`mode: incremental\` with \`cursor_column: ${best!.column.name}\`.`]
      : [];
    if (chunks !== null) {
      return { mode: "chunked", why: `chunked: ${sizeText(size)}, more than ${formatCount(LARGE_ROWS)}`, notes: next };
    }
    const note = "It has no unique key: one statement reads all of it. A unique index would allow `mode: chunked`.";
    if (!updated) {
      return { mode: "full", why: `full: ${sizeText(size)}, and no key to cut chunks along`, notes: [note] };
    }
  }
  if (updated) {
    return {
      mode: "incremental",
      why: `incremental: '${best!.column.name}' tells which rows changed, ${sizeText(size)}`,
      notes: [],
    };
  }
  return {
    mode: "full",
    why: `full: ${sizeText(size)}${size.rows === null ? "" : ", few enough to read whole each time"}`,
    notes: created
      ? [
        `'${
          best!.column.name
        }' tells new rows, not changed ones: \`mode: incremental\` suits it only if rows never change.`,
      ]
      : [],
  };
}

function sizeText({ rows, rowSource }: Size): string {
  switch (rowSource) {
    case null:
      return "the catalog has no row count";
    case "catalog":
      return rows === 0 ? "no rows" : `about ${formatCount(rows!)} row${rows === 1 ? "" : "s"}`;
    case "key_span":
      return `at most ${formatCount(rows!)} rows by its keys`;
    case "bytes":
      return `some ${formatCount(rows!)} rows by its size, it was never analysed`;
  }
}

/** For `--mode incremental` any growing column will do, but a stamp of creation only after the key: it may be set by hand. */
function cursorFor(cursors: readonly CursorCandidate[], wanted: Mode | null): CursorCandidate | null {
  if (wanted !== "incremental") return cursors[0] ?? null;
  const named = cursors.find(({ reasons }) =>
    reasons.includes("name_suggests_updated") || reasons.includes("name_suggests_created")
  );
  return named ?? cursors.find(({ reasons }) => reasons.includes("integer_monotonic")) ?? cursors[0] ?? null;
}

function timeColumn(cursors: readonly CursorCandidate[]): CursorCandidate | null {
  return cursors.find(({ column }) => column.type?.kind === "timestamp") ?? null;
}

/** Rows of a chunk: so many that a large table does not become thousands of files. */
function rowsPerChunk(rows: number): number {
  if (rows < 1_000_000) return 100_000;
  if (rows < 10_000_000) return 250_000;
  return rows < 100_000_000 ? 1_000_000 : 2_500_000;
}

/** Below this share of used keys, equal ranges would differ too much. */
const DENSITY_MIN = 0.25;
const DENSITY_FULL = 0.8;

function chooseChunks(
  table: ListedTable,
  size: Size,
  { hasPageRanges, isPlainName }: AdviceContext,
): { chunks: Chunks | null; why: string } {
  const perChunk = rowsPerChunk(size.rows ?? 0);
  const rowsWhy = `${formatCount(perChunk)} rows a chunk for a table of this size`;
  const key = findChunkKey(table);
  const single = key?.length === 1 ? key[0]! : null;
  if (single !== null && isIntegerType(single.type)) {
    const density = size.keySpan === null || size.keySpan === 0 || size.rows === null ? 1 : size.rows / size.keySpan;
    if (density >= DENSITY_MIN || !isPlainName) {
      const width = density >= DENSITY_FULL ? perChunk : roundUp(perChunk / density);
      const share = density >= DENSITY_FULL
        ? ""
        : `; ${Math.max(1, Math.round(density * 100))} % of the keys are used, so chunks are wider`;
      return {
        chunks: { kind: "range", column: single.name, size: width },
        why: `'${single.name}' is the integer key; ${rowsWhy}${share}`,
      };
    }
    return {
      chunks: { kind: "key", columns: [single.name], size: perChunk },
      why: `only ${
        Math.max(1, Math.round(density * 100))
      } % of the key range of '${single.name}' is used, so chunks follow the key itself; ${rowsWhy}`,
    };
  }
  if (key !== null && isPlainName) {
    const what = single === null ? "the key has several columns" : `'${single.name}' is the key and no integer`;
    return {
      chunks: { kind: "key", columns: key.map((column) => column.name), size: perChunk },
      why: `${what}: chunks follow its index; ${rowsWhy}`,
    };
  }
  if (hasPageRanges && isPlainName && table.kind === "table") {
    return {
      chunks: { kind: "pages", size: perChunk },
      why: `no key: chunks are ranges of physical pages; ${rowsWhy}`,
    };
  }
  return { chunks: null, why: "" };
}

/** Two digits that are not zero, upwards: 123,456 becomes 130,000. */
function roundUp(value: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 1);
  return Math.ceil(value / unit) * unit;
}

const WIDE_ROW_BYTES = 1024;

function chooseParallel(
  table: ListedTable,
  { rows }: Size,
  engine: Engine,
): { parallel: number; parallelWhy: string } {
  if (engine === "sqlite") return { parallel: 1, parallelWhy: "" };
  if (engine === "mssql") {
    return { parallel: 1, parallelWhy: "several connections would each see a moment of their own" };
  }
  if (engine === "mysql" && (table.avgRowBytes ?? 0) >= WIDE_ROW_BYTES) {
    return { parallel: 1, parallelWhy: "wide rows: one connection is gentler" };
  }
  if (rows === null || rows < 500_000) return { parallel: 1, parallelWhy: "" };
  return { parallel: rows < 5_000_000 ? 2 : 4, parallelWhy: "connections at the same time, all in one snapshot" };
}

function warnOfCursor(table: ListedTable, { rows }: Size, cursor: CursorCandidate | null): string[] {
  if (cursor === null || (rows ?? 0) <= LARGE_ROWS) return [];
  const { name } = cursor.column;
  if (table.keys.some((key) => key.columns[0] === name)) return [];
  return [`No index begins with '${name}': every run reads the whole table to find what is new.`];
}

/** What the warehouse cannot hold, or not all values of. `check --target` tells the rest. */
function warnOfTarget(type: LogicalType, target: Target): string[] {
  const { status, note } = describeTarget(target, type);
  const matters = status === "fail" || (status === "warn" && type.kind === "uint64");
  return matters ? [`${target}: ${note ?? "it cannot hold this type"}`] : [];
}

/** Each warning once, with the columns that it is about. */
function warnOfColumns(table: ListedTable, target: Target | null): string[] {
  const byWarning = new Map<string, string[]>();
  for (const { name, type, nativeType, warnings, isOpenDecimal } of table.columns) {
    // Those have their place beside the suggestion.
    if (isOpenDecimal) continue;
    const own = type === null ? [`${nativeType} cannot be exported, select it as text in a \`query:\``] : warnings;
    for (const warning of type === null || target === null ? [] : warnOfTarget(type, target)) {
      byWarning.set(warning, [...byWarning.get(warning) ?? [], `'${name}'`]);
    }
    for (const warning of own) byWarning.set(warning, [...byWarning.get(warning) ?? [], `'${name}'`]);
  }
  return [...byWarning].map(([warning, names]) => `${listNames(names)}: ${warning}.`);
}
