// From an export to its task: columns, bounds, slices, window. Reads catalogs and bounds, never rows, and writes nothing.

import { RivetError } from "../errors.ts";
import type { CommandPlace, Config, Export, IncrementalConfig } from "../config/mod.ts";
import { type ResolvedDestination, resolveDestination, writtenDestination } from "../destination/mod.ts";
import type { Runtime } from "../runtime.ts";
import {
  type KeyColumn,
  oldestTransaction,
  type Predicate,
  type Query,
  type Shape,
  type Source,
  type TableFacts,
} from "../source/mod.ts";
import type { CursorState, ExportKey, StoredRun } from "../state/mod.ts";
import { applyOverrides } from "../types/mod.ts";
import { checkColumns } from "./columns.ts";
import {
  buildCursorDefinition,
  buildDefinition,
  checkCursor,
  checkSamePlan,
  fingerprint,
  type Purpose,
} from "./definition.ts";
import type { KeyContext } from "./key.ts";
import { toEncoder } from "./encoder.ts";
import { buildSlices, countSlices } from "./layout.ts";
import { checkKeys, checkSettings, type SealedTask } from "./sealed.ts";
import { cutChunked, cutWhole, type Planned } from "./strategy.ts";
import type { CursorWindow, Slice, Task } from "./task.ts";
import { planTimeWindow } from "./time_window.ts";
import { buildWindow, findCursor, isEmptyWindow, isOfOneType, windowFilter } from "./window.ts";

export interface PlanContext {
  readonly config: Config;
  readonly source: Source;
  readonly runtime: Runtime;
  readonly version: string;
  /** Columns that would lose something are refused. */
  readonly strict: boolean;
}

/** One export, or one partition of it. */
export interface Unit {
  readonly entry: Export;
  readonly name: string;
  /** Conditions of the partition. */
  readonly filters: readonly Predicate[];
  /** What `{partition}` becomes. */
  readonly partition: string | null;
  /** What a plan artifact fixed for it. */
  readonly sealed?: SealedTask;
}

export interface StoredProgress {
  readonly cursor: CursorState | null;
  /** The interrupted run to finish, with its slices. */
  readonly run: StoredRun | null;
  /** What the stored run is taken up for. @default "resume" */
  readonly purpose?: Purpose;
  /** Run what the unit's plan artifact says instead of planning. */
  readonly asPlanned?: boolean;
}

/** What a resumed run needs again, stored in its intent. */
export interface StoredPlan {
  readonly strategyLabel: string;
  readonly window: CursorWindow | null;
  readonly filters: readonly Predicate[];
  /** The day that `{date}` stands for. */
  readonly date?: string;
  /** The plan artifact the run was begun from. */
  readonly planId?: string | null;
}

/** Where a unit's files go when `{date}` stands for this day. */
export function resolvePlace(unit: Unit, date: string, runtime: Pick<Runtime, "env">): ResolvedDestination {
  const { destination, name } = unit.entry;
  return resolveDestination(destination, { date, export: name, table: name, partition: unit.partition }, runtime);
}

/**
 * Plans one unit. `askBeforePicture` must be called before the source's picture is taken, this after it.
 * With `progress.run`, the window and filters are those of the interrupted run and `slices` is empty: those of the run are in the state.
 */
export async function buildTask(
  context: PlanContext,
  unit: Unit,
  key: ExportKey,
  progress: StoredProgress,
  before: BeforePicture,
): Promise<Task> {
  const { source, config } = context;
  const { entry } = unit;
  const where = `export '${unit.name}'`;
  const query = toQuery(entry);
  const { shape, facts } = before;
  const columns = checkColumns(
    applyOverrides(shape, entry.columns, source.engine).columns,
    entry,
    where,
    context.strict,
  );
  const destinationWritten = writtenDestination(entry.destination);
  const stored = progress.run === null ? null : JSON.parse(progress.run.planJson) as StoredPlan;
  const date = stored === null
    ? unit.sealed?.date ?? dayOf(context.runtime.now())
    : stored.date ?? dayOf(Date.parse(progress.run!.startedAt));
  const destination = resolvePlace(unit, date, context.runtime);
  const definition = buildDefinition(entry, unit.name, columns, destinationWritten);
  if (unit.sealed !== undefined) checkSettings(unit.sealed, definition, where);
  if (progress.run !== null) checkSamePlan(progress.run, definition, config, progress.purpose ?? "resume");

  const keyContext: KeyContext = { source, query, shape: { columns }, filters: unit.filters, where };
  const planned = stored !== null
    ? toPlanned(stored)
    : unit.sealed !== undefined && progress.asPlanned === true
    ? fromSealed(unit, unit.sealed, keyContext, progress.cursor, config)
    : await planSlices(context, unit, keyContext, facts, progress, before, destinationWritten);
  const lanes = lanesFor(source, entry, countSlices(planned.layout));
  let slices: Slice[] | null = null;
  return {
    export: entry,
    name: unit.name,
    key,
    source: source.engine,
    query,
    columns,
    strategy: planned.strategy,
    strategyLabel: planned.label,
    filters: planned.filters,
    layout: planned.layout,
    get slices() {
      return slices ??= buildSlices(planned.layout);
    },
    window: planned.window,
    lanes,
    rowsEstimate: planned.window === null && unit.filters.length === 0 ? facts?.rowsEstimate ?? null : null,
    uniqueKeys: (facts?.keys ?? []).filter((k) => k.unique && k.columns.length === 1).map((k) => k.columns[0]!),
    avgRowBytes: facts?.avgRowBytes ?? null,
    encoder: toEncoder(entry, context.version),
    destination,
    destinationWritten,
    definition,
    planHash: fingerprint(definition),
    date,
    planId: stored === null ? unit.sealed?.planId ?? null : stored.planId ?? null,
    complete: entry.mode === "full" || entry.mode === "chunked",
    warnings: [...planned.warnings, ...columns.flatMap((c) => c.warnings.map((w) => `column '${c.name}': ${w}`))],
  };
}

/** The UTC day of a moment, as `YYYY-MM-DD`. */
export function dayOf(nowMs: number): string {
  return new Date(nowMs).toISOString().slice(0, 10);
}

/** A run that is taken up: its slices are in the state. */
function toPlanned({ strategyLabel: label, window, filters }: StoredPlan): Planned {
  return { label, window, filters, layout: { kind: "none" }, strategy: { kind: "whole" }, warnings: [] };
}

/** The task as it was sealed, bound to the cursor as it is stored now. */
function fromSealed(
  { entry, name }: Unit,
  sealed: SealedTask,
  keyContext: KeyContext,
  previous: CursorState | null,
  config: CommandPlace,
): Planned {
  const { strategy, strategyLabel: label, layout, filters } = sealed;
  checkKeys(sealed, keyContext.shape.columns, keyContext.where);
  const fixed = { strategy, label, layout, filters, warnings: [] };
  if (sealed.window === null || entry.incremental === null) return { ...fixed, window: null };
  const cursor = findCursor(keyContext, entry.incremental);
  const definition = buildCursorDefinition(entry, cursor, writtenDestination(entry.destination));
  checkCursor(previous, definition, name, config);
  return { ...fixed, window: { ...sealed.window, definition, previous } };
}

/** What must be asked before the picture is taken. */
export interface BeforePicture {
  readonly shape: Shape;
  readonly facts: TableFacts | null;
  readonly oldestTransaction: string | null;
}

export async function askBeforePicture(source: Source, entry: Export): Promise<BeforePicture> {
  const query = toQuery(entry);
  const facts = query.kind === "table" ? await source.facts(query) : null;
  const shape = await source.describe(query);
  const where = `export '${entry.name}'`;
  const keyContext = { query, shape, filters: [], where };
  const needed = entry.incremental !== null && isOfOneType(keyContext, entry.incremental)
    ? findCursor(keyContext, entry.incremental)
    : null;
  return { shape, facts, oldestTransaction: needed === null ? null : await oldestTransaction(source, needed) };
}

export function toQuery(entry: Export): Query {
  return entry.from.kind === "table" ? entry.from : { kind: "query", sql: entry.from.text };
}

async function planSlices(
  context: PlanContext,
  unit: Unit,
  keyContext: KeyContext,
  facts: TableFacts | null,
  progress: StoredProgress,
  before: BeforePicture,
  destinationWritten: string,
): Promise<Planned> {
  const { entry } = unit;
  const cutContext = { ...keyContext, entry, facts };
  switch (entry.mode) {
    case "full":
      return { ...cutWhole(cutContext), filters: unit.filters, window: null };
    case "chunked":
      if (entry.chunked === null) throw missing("chunked", keyContext);
      return { ...await cutChunked(cutContext, entry.chunked), filters: unit.filters, window: null };
    case "time_window":
      if (entry.timeWindow === null) throw missing("time_window", keyContext);
      return await planTimeWindow(keyContext, entry.timeWindow);
    case "incremental": {
      if (entry.incremental === null) throw missing("incremental", keyContext);
      const cursor = findCursor(keyContext, entry.incremental);
      const definition = buildCursorDefinition(entry, cursor, destinationWritten);
      checkCursor(progress.cursor, definition, unit.name, context.config);
      const window = await buildWindow({
        context: keyContext,
        config: entry.incremental,
        cursor,
        previous: progress.cursor,
        definition,
        oldestTransaction: before.oldestTransaction,
      });
      const empty = isEmptyWindow(window);
      return {
        strategy: { kind: "whole" },
        label: `incremental(${definition.column})`,
        layout: empty ? { kind: "none" } : { kind: "whole" },
        warnings: [
          ...nullWarnings(window, definition.column),
          ...lateWarnings(keyContext, entry.incremental, cursor, window),
        ],
        filters: [windowFilter(cursor, window, entry.incremental)],
        window,
      };
    }
    default: {
      const never: never = entry.mode;
      return never;
    }
  }
}

function nullWarnings(window: CursorWindow, column: string): string[] {
  return window.nullRows === null || window.nullRows === 0
    ? []
    : [`${window.nullRows} rows have no value in the cursor '${column}' and are not exported (on_cursor_null: ignore)`];
}

/** A guard that is not there is said, where the engine usually has one. */
function lateWarnings(
  context: KeyContext,
  config: IncrementalConfig,
  cursor: KeyColumn,
  window: CursorWindow,
): string[] {
  if (context.source.engine !== "postgres" || cursor.type.kind !== "timestamp" || window.protection.length > 1) {
    return [];
  }
  const missed = "rows of transactions that commit late may be missed";
  return [
    isOfOneType(context, config)
      ? `${missed}: open transactions cannot be seen from here (a replica, or a user without pg_read_all_stats); ` +
        "read the primary with that right, or set `cursor_lag`"
      : `${missed}: the two columns of the cursor have different types; set \`cursor_lag\``,
  ];
}

function missing(mode: string, context: KeyContext): RivetError {
  return new RivetError("RIVET_CONFIG_MODE_SETTING_INVALID", `\`mode: ${mode}\` lacks its settings`, {
    where: context.where,
  });
}

/** Lanes at most: SQLite gives one picture on one connection only. */
export function lanesFor({ engine }: Pick<Source, "engine">, entry: Export, slices: number): number {
  if (engine === "sqlite") return 1;
  return Math.max(1, Math.min(entry.parallel, Math.max(1, slices)));
}
