// Down to the rows: the keys of a slice that are missing, too many or changed, from the source and the stored files themselves.

import {
  buildReadShape,
  type KeysOutcome,
  type KeysRequest,
  type RereadInput,
  type Slice,
  type Task,
  toKeysSource,
} from "../plan/mod.ts";
import type { Predicate, TableFacts } from "../source/mod.ts";
import type { StoredPart } from "../state/mod.ts";
import type { ReconcileContext } from "./reconcile.ts";
import type { PartitionCheck } from "./reconcile_report.ts";

export interface DrillDownInput extends Omit<RereadInput, "onSlice"> {
  readonly facts: TableFacts | null;
  readonly keysMax: number;
  readonly parts: readonly StoredPart[];
}

export type Found =
  | { readonly kind: "keys"; readonly keys: NonNullable<PartitionCheck["keys"]> }
  | { readonly kind: "none"; readonly why: string };

/** By slice index. What keeps the keys of a slice from being told is said, and does not undo the comparison. */
export async function drillDown(context: ReconcileContext, input: DrillDownInput): Promise<Map<number, Found>> {
  const { task, slices } = input;
  const { format } = task.encoder;
  const keys = findKey(task, input.facts, slices[0]!);
  const shape = buildReadShape(task, context.config.source.zeroDates);
  const found = new Map<number, Found>();
  const partsOf = Map.groupBy(input.parts, (part) => part.sliceIndex);
  const firstPages = slices.find((slice) => slice.bounds?.kind === "pages");
  const asked: { readonly slice: Slice; readonly request: KeysRequest }[] = [];
  for (const slice of slices) {
    if (slice.bounds?.kind === "pages" && slice !== firstPages) {
      found.set(slice.index, { kind: "none", why: `its rows are among the keys of chunk ${firstPages?.index}` });
      continue;
    }
    // One chunk of pages alone says nothing: their rows are the table's, wherever they lie.
    const isPages = slice.bounds?.kind === "pages";
    const request: KeysRequest = {
      source: toKeysSource(task, shape, isPages ? { ...slice, bounds: null } : slice, keys),
      keys,
      parts: (isPages ? input.parts : partsOf.get(slice.index) ?? [])
        .map((part) => ({ key: part.fileName, size: part.observations.bytes })),
      csv: format.kind === "csv" ? format : null,
      keysMax: input.keysMax,
    };
    asked.push({ slice, request });
  }
  const columns = keys.length === 0 ? [ROW_HASH] : keys;
  let at = 0;
  for await (const outcome of context.compareKeys(input, asked.map(({ request }) => request))) {
    found.set(asked[at++]!.slice.index, toFound(outcome, columns));
  }
  return found;
}

function toFound(outcome: KeysOutcome, columns: readonly string[]): Found {
  switch (outcome.kind) {
    case "compared":
      return { kind: "keys", keys: { columns, ...outcome.result } };
    case "failed": {
      const { code, message } = outcome.error;
      return { kind: "none", why: `keys cannot be told: [${code}] ${message}` };
    }
    default:
      return outcome satisfies never;
  }
}

/** What rows without a key are named by. */
const ROW_HASH = "_rivet_row_hash";

/** The primary key, a unique one, or what the export is cut by; in the order of the columns. Empty where there is none. */
export function findKey(task: Task, facts: TableFacts | null, slice: Slice): string[] {
  const names = task.columns.map((column) => column.name);
  const exported = (columns: readonly string[]) => columns.length > 0 && columns.every((name) => names.includes(name));
  const unique = facts?.keys.find((key) => (key.primary || (key.unique && key.notNull)) && exported(key.columns));
  const wanted = unique?.columns ?? boundColumns(slice.bounds) ?? task.export.incremental?.cursorColumn;
  const list = typeof wanted === "string" ? [wanted] : wanted;
  return list === undefined || !exported(list) ? [] : names.filter((name) => list.includes(name));
}

function boundColumns(bounds: Predicate | null): string[] | undefined {
  if (bounds?.kind !== "range" && bounds?.kind !== "null") return undefined;
  return bounds.columns.flatMap((column) => column.names);
}
