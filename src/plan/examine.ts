// Looks at one export before it runs: the plan it would have, how the server would read it, and what to think of that.
// Reads catalogs, plans and bounds of indexed columns; a table without an index is never scanned for advice.

import { RivetError, toRivetError } from "../errors.ts";
import type { Export } from "../config/mod.ts";
import {
  type Access,
  buildSelect,
  explainAccess,
  isInteger,
  type KeyColumn,
  readConnectionsMax,
  type Source,
  type SourceColumn,
  type TableFacts,
} from "../source/mod.ts";
import type { CursorState, MetricRow } from "../state/mod.ts";
import { applyOverrides } from "../types/mod.ts";
import { type Advice, type AdviceWarning, advise } from "./advise.ts";
import { askBeforePicture, type BeforePicture, buildTask, type PlanContext, type Unit } from "./build.ts";
import { countSlices, sliceAt } from "./layout.ts";
import { findColumn, findIndex, type KeyContext, readBounds } from "./key.ts";
import { expandUnits, NULL_PARTITION } from "./partition.ts";
import { findRelation } from "./relation.ts";
import { findRules, type Rule, toRejection } from "./rules.ts";
import type { Task } from "./task.ts";
import { cursorName, findCursor } from "./window.ts";

/** What the state remembers of the export. */
export interface Remembered {
  readonly cursor: CursorState | null;
  /** Newest first. */
  readonly metrics: readonly MetricRow[];
}

export interface RowEstimate {
  readonly rows: number | null;
  /** `catalog estimate`, `plan estimate`, `measured 2026-04-18`. */
  readonly source: string | null;
  readonly rowBytes: number | null;
}

export interface Diagnosis {
  readonly task: Task;
  /** Units of `partition_by`; null without it. `task` is one of them. */
  readonly partitions: number | null;
  readonly estimate: RowEstimate;
  /** The column that slices or windows follow. */
  readonly column: string | null;
  readonly min: string | null;
  readonly max: string | null;
  readonly access: Access | null;
  readonly usesIndex: boolean;
  readonly advice: Advice;
}

export interface Examination {
  readonly entry: Export;
  readonly rules: readonly Rule[];
  /** Null when the source could not describe them. */
  readonly columns: readonly SourceColumn[] | null;
  /** Null when there is no plan; `errors` says why. */
  readonly diagnosis: Diagnosis | null;
  readonly errors: readonly RivetError[];
}

/** Everything that is wrong with the export is in `errors`; only what is no fault of the export is thrown. */
export async function examineExport(context: PlanContext, entry: Export, memory: Remembered): Promise<Examination> {
  const rules = findRules(entry);
  const errors = rules.filter((rule) => rule.level === "rejected").map((rule) => toRejection(rule, entry));
  let columns: readonly SourceColumn[] | null = null;
  let diagnosis: Diagnosis | null = null;
  try {
    const before = await askBeforePicture(context.source, entry);
    columns = applyOverrides(before.shape, entry.columns, context.source.engine).columns;
    diagnosis = await diagnose(context, entry, memory, before);
  } catch (thrown) {
    const error = toRivetError(thrown);
    if (error.kind === "internal" || error.code === "RIVET_SOURCE_CONNECTION_LOST") throw error;
    errors.push(error);
  }
  return { entry, rules, columns, diagnosis, errors };
}

async function diagnose(
  context: PlanContext,
  entry: Export,
  memory: Remembered,
  before: BeforePicture,
): Promise<Diagnosis> {
  const units = await expandUnits(entry, context.source);
  const whole: Unit = { entry, name: entry.name, filters: [], partition: null };
  const unit = units.findLast(({ partition }) => partition !== NULL_PARTITION) ?? whole;
  const key = { exportName: unit.name, source: context.config.source.identity };
  const task = await buildTask(context, unit, key, { cursor: memory.cursor, run: null }, before);
  const partitions = entry.partition === null ? null : units.length;
  return await diagnoseTask(context, { unit, task, before, partitions, metrics: memory.metrics });
}

/** A planned unit, and what was known when it was planned. */
export interface DiagnosisInput {
  readonly unit: Unit;
  readonly task: Task;
  readonly before: BeforePicture;
  readonly partitions: number | null;
  /** Newest first. */
  readonly metrics: readonly MetricRow[];
}

/** What to think of a task: how the server would read it, and the advice that follows. */
export async function diagnoseTask(context: PlanContext, input: DiagnosisInput): Promise<Diagnosis> {
  const { source } = context;
  const { unit, task, before, partitions, metrics } = input;
  const { entry } = unit;
  const keyContext: KeyContext = {
    source,
    query: task.query,
    shape: { columns: task.columns },
    filters: unit.filters,
    where: `export '${entry.name}'`,
  };
  const { facts, isPart } = await findFacts(source, task, before);
  const followed = findFollowed(keyContext, task);
  const { access, warning } = await explain(source, task);
  const isIndexed = followed !== null && followed.names.length === 1 && facts !== null &&
    findIndex(facts, followed.names) !== null;
  const usesIndex = isIndexed || task.strategy.kind === "pages" || (access?.usesIndex ?? false);
  const bounds = isIndexed && followed !== null
    ? await readBounds(keyContext, followed)
    : { min: task.window?.low ?? null, max: task.window?.high ?? null };
  const isQuery = task.query.kind === "query";
  // The plan of a slice tells nothing of the whole query.
  const isWhole = isWindow(task) || countSlices(task.layout) <= 1;
  const whole = isQuery && !isWhole ? (await explain(source, { ...task, layout: { kind: "none" } })).access : access;
  const planned = isQuery || isWhole ? whole?.rows ?? null : null;
  const rowBytes = facts?.avgRowBytes ?? whole?.rowBytes ?? null;
  const catalog = isPart ? null : facts?.rowsEstimate ?? null;
  const estimate = estimateRows(context, task, { catalog, planned, rowBytes }, metrics);
  const column = followed === null ? null : cursorName(followed);
  const advice = advise({
    engine: source.engine,
    mode: entry.mode,
    strategy: task.strategy,
    parallel: entry.parallel,
    lanes: task.lanes,
    rows: rowsRead(estimate.rows, facts, usesIndex),
    rowBytes: estimate.rowBytes,
    usesIndex,
    hasCursor: entry.mode === "incremental",
    slices: countSlices(task.layout),
    sliceRows: rowsOfSlice(task, estimate.rows),
    keySpan: keySpan(followed, bounds),
    column,
    connectionsMax: entry.parallel > 1 ? await readConnectionsMax(source).catch(() => null) : null,
  });
  return {
    task,
    partitions,
    estimate,
    column,
    ...bounds,
    access,
    usesIndex,
    advice: { ...advice, warnings: [...advice.warnings, ...warning, ...task.warnings.map(toWarning)] },
  };
}

/** The catalog's facts of the table, also of the one behind a plain query; `isPart` when that asks for some of its rows. */
async function findFacts(
  source: Source,
  { query }: Task,
  before: BeforePicture,
): Promise<{ facts: TableFacts | null; isPart: boolean }> {
  if (query.kind === "table") return { facts: before.facts, isPart: false };
  const relation = findRelation(source.engine, query.sql);
  if (relation === null) return { facts: null, isPart: false };
  return { facts: await source.facts(relation), isPart: relation.isFiltered };
}

/** A run reads some of the rows only: those of a window, or of one partition. */
function isWindow({ window, filters, export: entry }: Task): boolean {
  return window !== null || entry.timeWindow !== null || filters.length > 0;
}

function toWarning(message: string): AdviceWarning {
  return { severity: "MEDIUM", message };
}

/** The column that the plan's slices or its window follow. */
function findFollowed(context: KeyContext, { export: entry, strategy }: Task): KeyColumn | null {
  if (entry.incremental !== null) return findCursor(context, entry.incremental);
  if (entry.timeWindow !== null) return findColumn(context, entry.timeWindow.column, "time_column");
  switch (strategy.kind) {
    case "whole":
    case "pages":
      return null;
    case "range":
    case "days":
    case "dense":
      return findColumn(context, strategy.column, "chunk_column");
    case "key":
      return findColumn(context, strategy.columns[0]!, "chunk_by_key");
    default: {
      const never: never = strategy;
      return never;
    }
  }
}

/** The plan of the statement that reads the middle slice. A right that only EXPLAIN needs is a note, not a fault. */
async function explain(source: Source, task: Task): Promise<{ access: Access | null; warning: AdviceWarning[] }> {
  const count = countSlices(task.layout);
  const slice = count === 0 ? null : sliceAt(task.layout, count >> 1);
  const where = [...task.filters, ...(slice?.bounds ? [slice.bounds] : [])];
  const sql = buildSelect(source.engine, { query: task.query, columns: task.columns, hidden: [], where });
  try {
    return { access: await explainAccess(source, sql), warning: [] };
  } catch (error) {
    if (!(error instanceof RivetError) || error.code !== "RIVET_SOURCE_QUERY_FAILED") throw error;
    return { access: null, warning: [{ severity: "LOW", message: `no plan from the server: ${error.message}` }] };
  }
}

const MEASURED_FRESH_MS = 14 * 86_400_000;

/** Rows as the catalog and the server's planner reckon them; null where they do not. */
interface Reckoned {
  readonly catalog: number | null;
  readonly planned: number | null;
  readonly rowBytes: number | null;
}

function estimateRows(
  context: PlanContext,
  task: Task,
  { catalog, planned, rowBytes }: Reckoned,
  metrics: readonly MetricRow[],
): RowEstimate {
  const isPart = isWindow(task);
  const estimated: RowEstimate = catalog !== null && !isPart
    ? { rows: catalog, source: "catalog estimate", rowBytes }
    : planned !== null
    ? { rows: planned, source: "plan estimate", rowBytes }
    : { rows: null, source: null, rowBytes };
  if (isPart) return estimated;
  const last = metrics.find((m) =>
    m.status === "success" && m["source"] === task.key.source && m["mode"] === task.export.mode
  );
  if (last === undefined) return estimated;
  const isOld = context.runtime.now() - Date.parse(last.run_at) > MEASURED_FRESH_MS;
  const differs = estimated.rows !== null &&
    Math.max(estimated.rows, last.total_rows) >= 2 * Math.max(1, Math.min(estimated.rows, last.total_rows));
  if (isOld && differs) return estimated;
  return { rows: last.total_rows, source: `measured ${last.run_at.slice(0, 10)}`, rowBytes };
}

/** Without an index the server reads the table to find the rows of a window. */
function rowsRead(rows: number | null, facts: TableFacts | null, usesIndex: boolean): number | null {
  const all = facts?.rowsEstimate ?? null;
  if (usesIndex || all === null) return rows;
  return Math.max(rows ?? 0, all);
}

function rowsOfSlice({ strategy, layout }: Task, rows: number | null): number | null {
  const count = countSlices(layout);
  switch (strategy.kind) {
    case "key":
    case "dense":
    // A window of keys holds at most its width in rows where keys are unique, and seldom more.
    case "range":
      return rows === null ? strategy.size : Math.min(strategy.size, rows);
    default:
      return rows === null || count === 0 ? null : Math.ceil(rows / count);
  }
}

function keySpan(column: KeyColumn | null, { min, max }: { min: string | null; max: string | null }): number | null {
  if (column === null || !isInteger(column.type) || min === null || max === null) return null;
  return Number(BigInt(max) - BigInt(min) + 1n);
}
