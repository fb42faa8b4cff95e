// The window of an incremental run: fixed when the run is planned, open to no late row that a rule protects against.

import { RivetError } from "../errors.ts";
import type { IncrementalConfig } from "../config/mod.ts";
import {
  buildCount,
  clockExpression,
  edgeColumn,
  type Engine,
  type HiddenColumn,
  type KeyColumn,
  type Predicate,
  shiftBack,
  type Source,
} from "../source/mod.ts";
import type { CursorDefinition, CursorState } from "../state/mod.ts";
import { findColumn, type KeyContext, readBounds } from "./key.ts";
import type { CursorWindow } from "./task.ts";

/** The hidden column of incremental reads. */
export const EDGE_COLUMN = "_rivet_edge";

/** The column, or the pair of columns, that an incremental export follows. */
export function findCursor(context: Omit<KeyContext, "source">, config: IncrementalConfig): KeyColumn {
  const primary = findColumn(context, config.cursorColumn, "cursor_column");
  if (config.cursorMode === "single_column" || config.fallbackColumn === null) return primary;
  const fallback = findColumn(context, config.fallbackColumn, "cursor_fallback_column");
  return {
    names: [...primary.names, ...fallback.names],
    type: primary.type,
    nativeType: primary.nativeType,
    notNull: primary.notNull || fallback.notNull,
  };
}

/** Whether a moment of the clock can be compared with the cursor: with both columns of a pair only where they are of one type. */
export function isOfOneType(context: Omit<KeyContext, "source">, config: IncrementalConfig): boolean {
  if (config.cursorMode === "single_column" || config.fallbackColumn === null) return true;
  const primary = findColumn(context, config.cursorColumn, "cursor_column");
  return primary.nativeType === findColumn(context, config.fallbackColumn, "cursor_fallback_column").nativeType;
}

export function cursorName(column: KeyColumn): string {
  return column.names.length === 1 ? column.names[0]! : `coalesce(${column.names.join(",")})`;
}

export interface WindowInput {
  readonly context: KeyContext;
  readonly config: IncrementalConfig;
  readonly cursor: KeyColumn;
  readonly previous: CursorState | null;
  readonly definition: CursorDefinition;
  /** Start of the oldest open transaction, asked before the picture was taken; null when unknown or not comparable. */
  readonly oldestTransaction: string | null;
}

/** Fixes the bounds. Reads only least and greatest values. */
export async function buildWindow(input: WindowInput): Promise<CursorWindow> {
  const { context, config, cursor, previous } = input;
  const { source } = context;
  const protection = ["ties"];
  const low = previous?.value ?? null;
  let readFrom = low;
  if (low !== null && config.cursorLagS > 0) {
    readFrom = await shiftBack(source, cursor, low, config.cursorLagS);
    protection.push(`cursor_lag ${config.cursorLagS}s`);
  }
  const caps: Predicate[] = [];
  if (config.settle !== null) {
    caps.push(...await settleCap(input, config.settle));
    protection.push(`settle ${config.settle.afterS}s`);
  }
  if (input.oldestTransaction !== null) {
    caps.push({ kind: "compare", column: cursor, op: "<", value: input.oldestTransaction });
    protection.push(`oldest transaction ${input.oldestTransaction}`);
  }
  const from: Predicate[] = readFrom === null ? [] : [{ kind: "compare", column: cursor, op: ">=", value: readFrom }];
  const { max } = await readBounds(context, cursor, [...from, ...caps]);
  // Nothing newer: the stored bound stays, an empty run never moves a cursor.
  let high = max;
  if (max !== null && low !== null && config.cursorLagS > 0) {
    // Rows of the overlap alone must not move the bound back: what lies above it would be forgotten and read again.
    const above: Predicate = { kind: "compare", column: cursor, op: ">=", value: low };
    high = (await readBounds(context, cursor, [above, ...caps])).max ?? low;
  }
  const edgeFrom = high !== null && config.cursorLagS > 0
    ? await shiftBack(source, cursor, high, config.cursorLagS)
    : high;
  const nullRows = await countNulls(input, cursor);
  return { definition: input.definition, low, readFrom, high, edgeFrom, previous, protection, nullRows };
}

/** Rows younger than the settle time wait; with a column of its own, the cursor stays below the least cursor of a waiting row. */
async function settleCap(input: WindowInput, settle: { afterS: number; column: string | null }): Promise<Predicate[]> {
  const { context, cursor } = input;
  const column = settle.column === null ? cursor : findColumn(context, settle.column, "settle.column");
  if (column.type.kind !== "timestamp" && column.type.kind !== "date") {
    throw new RivetError(
      "RIVET_CONFIG_SETTLE_COLUMN_NOT_TEMPORAL",
      `The settle column '${cursorName(column)}' is '${column.nativeType}'`,
      {
        where: context.where,
      },
    );
  }
  const bound = await scalar(context.source, `SELECT ${clockExpression(context.source.engine, column, settle.afterS)}`);
  if (settle.column === null) return [{ kind: "compare", column, op: "<", value: bound }];
  const young = await readBounds(context, cursor, [{ kind: "compare", column, op: ">=", value: bound }]);
  return young.min === null ? [] : [{ kind: "compare", column: cursor, op: "<", value: young.min }];
}

async function scalar(source: Source, sql: string): Promise<string> {
  const value = (await source.rows(sql))[0]?.[0];
  if (value === null || value === undefined) {
    throw new RivetError("RIVET_SOURCE_PROBE_UNREADABLE", "The source's clock could not be read", {
      cure: "Check that the database's time zone is set, then run again",
    });
  }
  return value;
}

async function countNulls({ context, config }: WindowInput, cursor: KeyColumn): Promise<number | null> {
  if (cursor.notNull || config.onCursorNull === "include_once") return null;
  const nulls: Predicate = { kind: "null", columns: [cursor] };
  const count = Number(
    (await context.source.rows(buildCount(context.source.engine, context.query, [...context.filters, nulls])))[0]
      ?.[0] ?? 0,
  );
  if (config.onCursorNull === "fail" && count > 0) {
    throw new RivetError(
      "RIVET_PLAN_CHUNK_KEY_NULL",
      `${count} rows have no value in the cursor '${cursorName(cursor)}'`,
      {
        where: context.where,
        cure: "Fill the column, use `incremental_cursor_mode: coalesce`, or set `on_cursor_null: include_once`",
      },
    );
  }
  return count;
}

/** The rows of a window. */
export function windowFilter(cursor: KeyColumn, window: CursorWindow, config: IncrementalConfig): Predicate {
  const bounds: Predicate[] = [];
  if (window.readFrom !== null) bounds.push({ kind: "compare", column: cursor, op: ">=", value: window.readFrom });
  if (window.high !== null) bounds.push({ kind: "compare", column: cursor, op: "<=", value: window.high });
  const inside: Predicate = { kind: "all", of: [...bounds, { kind: "not_null", column: cursor }] };
  const wantsNulls = !cursor.notNull && window.previous === null && config.onCursorNull === "include_once";
  return wantsNulls ? { kind: "any", of: [inside, { kind: "null", columns: [cursor] }] } : inside;
}

/** Whether the window has anything to read. Rows without a cursor wait for the first row that has one: only then can a run be told from the first. */
export function isEmptyWindow(window: CursorWindow): boolean {
  return window.high === null;
}

/** Marks rows that may have been exported before, and rows the next run will meet again. */
export function edgeOf(engine: Engine, cursor: KeyColumn, window: CursorWindow): HiddenColumn {
  const at = (op: "<=" | ">=", value: string | null): Predicate | null =>
    value === null ? null : { kind: "compare", column: cursor, op, value };
  return edgeColumn(engine, EDGE_COLUMN, at("<=", window.low), at(">=", window.edgeFrom));
}
