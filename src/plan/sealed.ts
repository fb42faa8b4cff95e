// What a plan artifact fixes for one task, and how the engine takes it up again: nothing here asks the source where to cut.

import { RivetError } from "../errors.ts";
import { commandLine, type CommandPlace } from "../config/mod.ts";
import type { KeyColumn, Predicate, SourceColumn } from "../source/mod.ts";
import type { CursorState, StoredRun } from "../state/mod.ts";
import { formatType } from "../types/mod.ts";
import { fingerprint } from "./definition.ts";
import type { Layout } from "./layout.ts";
import type { CursorWindow, Strategy } from "./task.ts";

/** A column by its name and the type it is written with. */
export interface ColumnName {
  readonly name: string;
  readonly type: string;
}

/** The bounds of an incremental task; what the cursor is bound to and its edge come from the state again. */
export type SealedWindow = Pick<
  CursorWindow,
  "low" | "readFrom" | "high" | "edgeFrom" | "protection" | "nullRows"
>;

export interface SealedTask {
  readonly planId: string;
  /** The artifact's file: what is applied again after a crash. */
  readonly planPath: string;
  readonly createdAtMs: number;
  /** Age and a cursor that moved are accepted. */
  readonly forced: boolean;
  /** `YYYY-MM-DD` that `{date}` was frozen to; null resolves it on the day of the run. */
  readonly date: string | null;
  /** Fingerprint of the settings, the columns left out. */
  readonly settings: string;
  readonly columns: readonly ColumnName[];
  readonly strategy: Strategy;
  readonly strategyLabel: string;
  readonly layout: Layout;
  readonly filters: readonly Predicate[];
  readonly window: SealedWindow | null;
}

/** Of the definition, what an edit of the source's columns does not change. */
export function settingsFingerprint(definition: Readonly<Record<string, string>>): string {
  return fingerprint({ ...definition, columns: "" });
}

export function columnNames(columns: readonly SourceColumn[]): ColumnName[] {
  return columns.map(({ name, type, nativeType }) => ({ name, type: type === null ? nativeType : formatType(type) }));
}

/** What a run's intent says about the plan it was begun from; null for a plain run. */
export function planIdOf(run: Pick<StoredRun, "planJson">): string | null {
  const { planId } = JSON.parse(run.planJson) as { planId?: string | null };
  return planId ?? null;
}

export type Admission =
  /** Runs what was planned. */
  | { readonly kind: "as_planned" }
  /** Plans its window anew: an incremental plan is a description that can be applied again and again. */
  | { readonly kind: "replan"; readonly why: string | null }
  /** This run already did it. */
  | { readonly kind: "done"; readonly runId: string };

/** From this age on a plan is applied only when it is forced, unless it is incremental. */
export const EXPIRES_AFTER_MS = 24 * 3_600_000;

export interface AdmissionInput {
  readonly sealed: SealedTask;
  /** `export 'orders'`, for errors. */
  readonly where: string;
  readonly config: CommandPlace;
  /** The export as the config names it. */
  readonly exportName: string;
  readonly nowMs: number;
  readonly open: StoredRun | null;
  /** Completed runs of the export, newest first. */
  readonly completed: readonly StoredRun[];
  readonly cursor: CursorState | null;
}

/** Decides what applying a task does now. An interrupted run of the same plan is finished whatever its age. */
export function admit(input: AdmissionInput): Admission {
  const { sealed, where, config, exportName, nowMs, open, completed, cursor } = input;
  if (open !== null) {
    if (planIdOf(open) === sealed.planId) return { kind: "as_planned" };
    throw new RivetError("RIVET_STATE_CHUNK_RUN_UNFINISHED", `Run '${open.runId}' was interrupted before this plan`, {
      where,
      cure: `Finish it with \`${commandLine("run", config, { exportName })}\`, or give it up with ` +
        `\`${commandLine("state reset-chunks", config, { exportName })}\`; then apply the plan again`,
    });
  }
  if (sealed.window === null) {
    const done = completed.find((run) => planIdOf(run) === sealed.planId);
    if (done !== undefined) return { kind: "done", runId: done.runId };
    if (nowMs - sealed.createdAtMs >= EXPIRES_AFTER_MS && !sealed.forced) throw tooOld(sealed, where, nowMs);
    return { kind: "as_planned" };
  }
  const now = cursor?.value ?? null;
  const last = completed[0];
  if (last !== undefined && planIdOf(last) === sealed.planId) return { kind: "replan", why: null };
  if (now === sealed.window.low) return { kind: "as_planned" };
  const moved = `the cursor was ${show(sealed.window.low)} when planned and is ${show(now)}`;
  if (sealed.forced) return { kind: "replan", why: moved };
  throw new RivetError("RIVET_PLAN_ARTIFACT_STALE", `Another run came between: ${moved}`, {
    where,
    cure: "Plan again, or go on from the cursor as it is now with `--force`",
  });
}

function show(cursor: string | null): string {
  return cursor === null ? "not set" : `'${cursor}'`;
}

function tooOld({ createdAtMs }: SealedTask, where: string, nowMs: number): RivetError {
  const hours = Math.floor((nowMs - createdAtMs) / 3_600_000);
  return new RivetError("RIVET_PLAN_ARTIFACT_STALE", `The plan is ${hours} hours old`, { where });
}

/** Refuses to run a plan under settings that were filled in with other values. */
export function checkSettings(sealed: SealedTask, definition: Readonly<Record<string, string>>, where: string): void {
  if (settingsFingerprint(definition) === sealed.settings) return;
  throw new RivetError(
    "RIVET_PLAN_ARTIFACT_STALE",
    "A `${name}` of the config has another value than when it was planned",
    {
      where,
      cure: "Give the same `--param` and environment values, or plan again",
    },
  );
}

/**
 * Refuses cuts and filters that were made for a column as it is no more: where NULL has become possible, or values compare otherwise,
 * rows would be left out or read twice.
 */
export function checkKeys({ layout, filters }: SealedTask, columns: readonly SourceColumn[], where: string): void {
  const now = new Map(columns.map((column) => [column.name, column]));
  for (const key of keysOf([layout, filters])) {
    const found = key.names.flatMap((name) => now.get(name) ?? []);
    const name = key.names.join(", ");
    const notNull = found.some((column) => column.notNull === true);
    const change = found.length < key.names.length
      ? `'${name}' is gone`
      : found[0]?.nativeType !== key.nativeType
      ? `'${name}' was '${key.nativeType}' and is '${found[0]?.nativeType}'`
      : key.notNull && !notNull
      ? `'${name}' may be NULL now`
      : null;
    if (change === null) continue;
    throw new RivetError("RIVET_PLAN_ARTIFACT_STALE", `The plan was cut along another column: ${change}`, {
      where,
      cure: "Plan again",
    });
  }
}

/** Every key column in a layout or filter, however deep. */
function* keysOf(value: unknown): Generator<KeyColumn> {
  if (Array.isArray(value)) {
    // A list of cuts holds no columns.
    if (typeof value[0] === "object" && !Array.isArray(value[0])) { for (const item of value) yield* keysOf(item); }
  } else if (typeof value === "object" && value !== null) {
    if ("names" in value && "nativeType" in value) yield value as KeyColumn;
    else for (const inner of Object.values(value)) yield* keysOf(inner);
  }
}

export interface ColumnDrift {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly retyped: readonly (readonly [name: string, was: string, is: string])[];
}

/** How the columns differ; null when they do not. */
export function findColumnDrift(was: readonly ColumnName[], is: readonly ColumnName[]): ColumnDrift | null {
  const before = new Map(was.map((c) => [c.name, c.type]));
  const after = new Map(is.map((c) => [c.name, c.type]));
  const added = [...after.keys()].filter((name) => !before.has(name));
  const removed = [...before.keys()].filter((name) => !after.has(name));
  const retyped = [...after].flatMap(([name, type]) => {
    const old = before.get(name);
    return old === undefined || old === type ? [] : [[name, old, type] as const];
  });
  return added.length + removed.length + retyped.length === 0 ? null : { added, removed, retyped };
}
