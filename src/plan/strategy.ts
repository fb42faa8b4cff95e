// Which way an export is cut: the resolution order, the refusals, and the labels people see.

import { RivetError } from "../errors.ts";
import type { ChunkedConfig, Export } from "../config/mod.ts";
import { isInteger, type KeyColumn, type Predicate, type TableFacts } from "../source/mod.ts";
import { findColumn, findIndex, type KeyContext, readBounds, readIntegerBounds, sampleCuts } from "./key.ts";
import { countSlices, keyLayout, type Layout, openIntegers } from "./layout.ts";
import { dayNumber, sizeForCount } from "./slices.ts";
import type { CursorWindow, Strategy } from "./task.ts";

export interface Cut {
  readonly strategy: Strategy;
  readonly label: string;
  readonly layout: Layout;
  readonly warnings: readonly string[];
}

/** A cut of the rows that belong to the export. */
export interface Planned extends Cut {
  readonly filters: readonly Predicate[];
  readonly window: CursorWindow | null;
}

export interface CutContext extends KeyContext {
  readonly entry: Export;
  readonly facts: TableFacts | null;
}

const MIB = 1 << 20;
const ROW_BYTES_UNKNOWN = 512;
/** Below this a second lane costs more than it brings. */
const PAGES_PARALLEL_MIN = 256;

/** Slices of an export that is read whole: one, or physical pages when several lanes may work on one PostgreSQL table. */
export function cutWhole(context: CutContext): Cut {
  const { entry, facts } = context;
  if (entry.parallel > 1 && facts !== null && hasPageRanges(context) && (facts.pages ?? 0) >= PAGES_PARALLEL_MIN) {
    // Four slices a lane even the work out; all of them read one shared picture.
    const pagesPerSlice = Math.ceil((facts.pages ?? 0) / (entry.parallel * 4));
    return pages(facts, pagesPerSlice, `full-parallel(${entry.parallel})`);
  }
  return { strategy: { kind: "whole" }, label: "full-scan", layout: { kind: "whole" }, warnings: [] };
}

/** Slices of a chunked export. */
export async function cutChunked(context: CutContext, chunked: ChunkedConfig): Promise<Cut> {
  const cut = await cutAsAsked(context, chunked);
  if (chunked.sizeMemoryMb === null || (context.facts?.avgRowBytes ?? null) !== null) return cut;
  const warning = `the size of a row is not known: \`chunk_size_memory_mb\` takes ${ROW_BYTES_UNKNOWN} bytes for one`;
  return { ...cut, warnings: [...cut.warnings, warning] };
}

async function cutAsAsked(context: CutContext, chunked: ChunkedConfig): Promise<Cut> {
  if (chunked.byKey !== null) return await cutByKey(context, chunked.byKey, sizeOf(context, chunked), true);
  if (chunked.byDays !== null) return await cutByDays(context, requireColumn(context, chunked), chunked.byDays);
  if (chunked.dense) return await cutDense(context, requireColumn(context, chunked), sizeOf(context, chunked));
  // A setting that cannot work is refused while the table is small, not on the day that it has grown.
  const column = chunked.column === null ? null : findRangeColumn(context, chunked.column);
  if (isSmall(context, chunked)) {
    return { strategy: { kind: "whole" }, label: "full-scan", layout: { kind: "whole" }, warnings: [] };
  }
  if (column !== null) return await cutByRange(context, column, chunked, true);
  return await cutAutomatically(context, chunked);
}

/** A table that fits one chunk is read whole, unless the config asks for a shape. */
function isSmall(context: CutContext, chunked: ChunkedConfig): boolean {
  if (chunked.count !== null || chunked.checkpoint) return false;
  const rows = context.facts?.rowsEstimate ?? null;
  return rows !== null && rows > 0 && rows <= sizeOf(context, chunked);
}

async function cutAutomatically(context: CutContext, chunked: ChunkedConfig): Promise<Cut> {
  const { facts } = context;
  if (facts === null) {
    throw new RivetError("RIVET_PLAN_CHUNK_KEY_UNUSABLE", "A chunked query needs to be told its key", {
      where: context.where,
      cure: "Set `chunk_column` to an integer column of the query, or export a `table:`",
    });
  }
  const primary = facts.keys.find((key) => key.primary);
  if (primary?.columns.length === 1) {
    const column = findColumn(context, primary.columns[0]!, "chunk_column");
    if (isInteger(column.type)) {
      const cut = await cutByRange(context, column, chunked, false);
      if (!isSparse(context, cut, sizeOf(context, chunked))) return cut;
    }
  }
  const key = facts.keys.find((k) => k.unique && k.notNull);
  if (key !== undefined) return await cutByKey(context, key.columns, sizeOf(context, chunked), false);
  if (hasPageRanges(context)) {
    const perPage = Math.max(1, (facts.rowsEstimate ?? 0) / Math.max(1, facts.pages ?? 1));
    return pages(facts, Math.max(1, Math.ceil(sizeOf(context, chunked) / perPage)), "chunked(pages)");
  }
  throw new RivetError("RIVET_PLAN_CHUNK_KEY_UNUSABLE", `Table '${facts.name}' has no key that chunks could follow`, {
    where: context.where,
    cure: "Set `chunk_column` or `chunk_by_key`, or use `mode: full`",
  });
}

function requireColumn(context: CutContext, chunked: ChunkedConfig): KeyColumn {
  if (chunked.column !== null) return findColumn(context, chunked.column, "chunk_column");
  const primary = context.facts?.keys.find((key) => key.primary && key.columns.length === 1);
  if (primary !== undefined) return findColumn(context, primary.columns[0]!, "chunk_column");
  throw new RivetError("RIVET_CONFIG_MODE_SETTING_INVALID", "`chunk_column` is missing", { where: context.where });
}

function findRangeColumn(context: CutContext, name: string): KeyColumn {
  const column = findColumn(context, name, "chunk_column");
  if (isInteger(column.type)) return column;
  throw new RivetError(
    "RIVET_CONFIG_CHUNK_COLUMN_NOT_INTEGER",
    `\`chunk_column\` '${name}' has the type '${column.nativeType}'`,
    {
      where: context.where,
      cure: `Use \`chunk_by_key: ${name}\` instead, it takes any indexed type`,
    },
  );
}

async function cutByRange(
  context: CutContext,
  column: KeyColumn,
  chunked: ChunkedConfig,
  refuseSparse: boolean,
): Promise<Cut> {
  const bounds = await readIntegerBounds(context, column);
  const size = chunked.count !== null && bounds !== null
    ? sizeForCount(bounds.min, bounds.max, chunked.count)
    : BigInt(sizeOf(context, chunked));
  const layout: Layout = bounds === null
    ? openIntegers(column)
    : { kind: "integers", column, min: String(bounds.min), max: String(bounds.max), size: String(size) };
  const name = column.names[0]!;
  const cut: Cut = {
    strategy: { kind: "range", column: name, size: Number(size), count: chunked.count },
    label: parallelLabel("chunked", context.entry, `${name}, size=${size}`),
    layout,
    warnings: [],
  };
  const count = countSlices(layout);
  if (chunked.count !== null || !isSparse(context, cut, Number(size))) return cut;
  if (!refuseSparse) return cut;
  throw new RivetError(
    "RIVET_PLAN_CHUNK_KEY_SPARSE",
    `${count} chunks for about ${context.facts?.rowsEstimate} rows: the keys of '${name}' are far apart`,
    { where: context.where, cure: `Use \`chunk_by_key: ${name}\`, \`chunk_count\`, or a larger \`chunk_size\`` },
  );
}

function isSparse({ facts }: CutContext, cut: Cut, size: number): boolean {
  const rows = facts?.rowsEstimate ?? null;
  const count = countSlices(cut.layout);
  return rows !== null && count >= 64 && count >= 4 * Math.ceil(Math.max(rows, 1) / size);
}

async function cutByDays(context: CutContext, column: KeyColumn, days: number): Promise<Cut> {
  if (column.type.kind !== "date" && column.type.kind !== "timestamp") {
    throw new RivetError(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      `\`chunk_by_days\` needs a date or timestamp, '${column.names[0]}' is '${column.nativeType}'`,
      {
        where: context.where,
      },
    );
  }
  const { min, max } = await readBounds(context, column);
  const first = min === null ? "1970-01-01" : min.slice(0, 10);
  if (min !== null) dayNumber(min);
  const layout: Layout = { kind: "days", column, first, last: max === null ? first : max.slice(0, 10), days };
  countSlices(layout);
  const name = column.names[0]!;
  return {
    strategy: { kind: "days", column: name, days },
    label: parallelLabel("date-chunked", context.entry, `${name}, ${days}d`),
    layout,
    warnings: [],
  };
}

async function cutByKey(
  context: CutContext,
  names: readonly string[],
  size: number,
  checkIndex: boolean,
): Promise<Cut> {
  const columns = names.map((name) => findColumn(context, name, "chunk_by_key"));
  if (checkIndex) requireIndex(context, names);
  const cuts = await sampleCuts(context, columns, size, context.facts);
  return {
    strategy: { kind: "key", columns: names, size },
    label: parallelLabel("keyset", context.entry, `${names.join(", ")}, size=${size}`),
    layout: keyLayout(columns, cuts),
    warnings: [],
  };
}

function requireIndex(context: CutContext, names: readonly string[]): void {
  const { facts } = context;
  if (facts === null) {
    throw new RivetError("RIVET_PLAN_CHUNK_KEY_UNUSABLE", "`chunk_by_key` needs a `table:` whose indexes can be seen", {
      where: context.where,
    });
  }
  if (findIndex(facts, names) !== null) return;
  const have = facts.keys.map((key) => `[${key.columns.join(", ")}]`).join(" ");
  throw new RivetError("RIVET_PLAN_CHUNK_KEY_UNUSABLE", `No index of '${facts.name}' begins with ${names.join(", ")}`, {
    where: context.where,
    cure: have === "" ? "The table has no usable index: use `mode: full`" : `Choose one of its indexes: ${have}`,
  });
}

/** Chunks of equal row counts by rank. The ranks become key bounds at planning, so that a slice never counts rows again. */
async function cutDense(context: CutContext, column: KeyColumn, size: number): Promise<Cut> {
  const cuts = await sampleCuts(context, [column], size, null);
  const name = column.names[0]!;
  return {
    strategy: { kind: "dense", column: name, size },
    label: parallelLabel("chunked", context.entry, `${name}, dense, size=${size}`),
    layout: keyLayout([column], cuts),
    warnings: [],
  };
}

function pages(facts: TableFacts, pagesPerSlice: number, label: string): Cut {
  return {
    strategy: { kind: "pages", pagesPerSlice },
    label,
    layout: { kind: "pages", pages: facts.pages ?? 0, pagesPerSlice },
    warnings: [],
  };
}

/** PostgreSQL reads page ranges directly from version 14 on; before that each would scan the whole table. */
function hasPageRanges({ source, query, facts }: CutContext): boolean {
  return source.engine === "postgres" && query.kind === "table" && facts?.kind === "table" &&
    Number.parseInt(source.serverVersion, 10) >= 14;
}

/** Rows a slice. */
function sizeOf({ facts }: CutContext, chunked: ChunkedConfig): number {
  if (chunked.sizeMemoryMb === null) return chunked.size;
  const rowBytes = facts?.avgRowBytes ?? ROW_BYTES_UNKNOWN;
  return Math.min(5_000_000, Math.max(10_000, Math.floor((chunked.sizeMemoryMb * MIB) / Math.max(1, rowBytes))));
}

function parallelLabel(name: string, entry: Export, inside: string): string {
  return entry.parallel > 1 ? `${name}-parallel(${inside}, p=${entry.parallel})` : `${name}(${inside})`;
}
