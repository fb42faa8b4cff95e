// Ranges inside one slice, for a reader that must keep its statements short. Their union is the slice, and no two of them share a row.

import { type Engine, isInteger, type KeyColumn, type Predicate } from "../source/mod.ts";
import { walkKeys } from "./key.ts";
import { dayNumber, dayText } from "./slices.ts";
import type { Slice, Task } from "./task.ts";

type Range = Extract<Predicate, { kind: "range" }>;

export interface Narrowing {
  readonly task: Pick<Task, "source" | "query" | "filters" | "strategy">;
  /** All slices of the run. */
  readonly slices: readonly Slice[];
  /** Rows of one range. */
  readonly rowsMax: number;
  readonly rowsMin: number;
  /** Rows that a slice is expected to hold. */
  readonly sliceRows: number;
  /** Small questions to the source. */
  readonly ask: (sql: string) => Promise<(string | null)[][]>;
}

/** The slice's own bounds alone where it cannot be cut, or need not be. */
export async function narrowSlice(slice: Slice, narrowing: Narrowing): Promise<readonly (Predicate | null)[]> {
  const { bounds } = slice;
  if (bounds?.kind !== "range") return [bounds];
  const cuts = await findCuts(slice, bounds, narrowing);
  const edges = [bounds.from, ...cuts, bounds.to];
  return edges.slice(1).map((to, i): Predicate => ({ ...bounds, from: edges[i]!, to }));
}

/** Cut points strictly inside the slice, in order. */
async function findCuts(slice: Slice, bounds: Range, narrowing: Narrowing): Promise<(readonly string[])[]> {
  const { task, rowsMax, ask } = narrowing;
  // Sampled keys lie anywhere between their bounds; they have an index, which is walked.
  if (slice.id.startsWith("k")) {
    const source: { engine: Engine; rows: Narrowing["ask"] } = { engine: task.source, rows: ask };
    const context = { source, query: task.query, filters: [...task.filters, bounds] };
    const cuts = await walkKeys(context, bounds.columns, rowsMax);
    return cuts.filter((cut) => !isSame(cut, bounds.from));
  }
  const [column] = bounds.columns;
  const scale = column === undefined ? null : scaleOf(column);
  return scale === null ? [] : cutEvenly(bounds, scale, narrowing).map((cut) => [cut]);
}

function isSame(cut: readonly string[], from: readonly string[] | null): boolean {
  return from !== null && cut.every((value, i) => value === from[i]);
}

/** Values as numbers that can be divided. */
interface Scale {
  readonly most: bigint | null;
  parse(text: string): bigint;
  format(value: bigint): string;
}

const DAY_S = 86_400;
const DAY_LAST = BigInt(dayNumber("9999-12-31"));

const INTEGERS: Scale = { most: null, parse: BigInt, format: String };
const DAYS: Scale = {
  most: DAY_LAST,
  parse: (text) => BigInt(dayNumber(text)),
  format: (value) => dayText(Number(value)),
};
const SECONDS: Scale = {
  most: DAY_LAST * BigInt(DAY_S),
  parse: (text) => BigInt(dayNumber(text) * DAY_S),
  format: (value) => new Date(Number(value) * 1000).toISOString().slice(0, 19).replace("T", " "),
};

function scaleOf({ names, type }: KeyColumn): Scale | null {
  if (names.length > 1) return null;
  if (isInteger(type)) return INTEGERS;
  return type.kind === "date" ? DAYS : type.kind === "timestamp" ? SECONDS : null;
}

/** Windows of equal width. An open end is cut as far as a slice reaches. */
function cutEvenly(bounds: Range, scale: Scale, narrowing: Narrowing): string[] {
  const { rowsMax, rowsMin, sliceRows } = narrowing;
  const width = widthOf(narrowing, scale);
  const pieces = Math.min(Math.ceil(sliceRows / rowsMax), Math.floor(sliceRows / rowsMin));
  if (width === null || pieces < 2) return [];
  const at = (end: readonly string[] | null) => end === null ? null : scale.parse(end[0]!);
  const to = at(bounds.to);
  const from = at(bounds.from) ?? (to === null ? null : to - width);
  if (from === null) return [];
  const step = (width + BigInt(pieces) - 1n) / BigInt(pieces);
  const cuts: string[] = [];
  for (let cut = bounds.from === null ? from : from + step; cut < (to ?? from + width); cut += step) {
    if (scale.most !== null && cut > scale.most) break;
    cuts.push(scale.format(cut));
  }
  return cuts;
}

/** How wide the slices are, all alike; null where neither the plan nor a slice bounded on both sides tells. */
function widthOf({ task, slices }: Narrowing, scale: Scale): bigint | null {
  for (const { bounds } of slices) {
    if (bounds?.kind !== "range" || bounds.from === null || bounds.to === null) continue;
    return scale.parse(bounds.to[0]!) - scale.parse(bounds.from[0]!);
  }
  switch (task.strategy.kind) {
    case "range":
      return BigInt(task.strategy.size);
    case "days":
      return BigInt(task.strategy.days) * (scale === SECONDS ? BigInt(DAY_S) : 1n);
    default:
      return null;
  }
}
