// Which exports to run first, and which of them not beside each other: a score with its reasons, waves, source groups. Pure; advice only.

import type { Verdict } from "./advise.ts";

export type PriorityClass = "high" | "medium" | "low";
export type CostClass = "low" | "medium" | "high" | "very_high";
export type RiskClass = "low" | "medium" | "high";
export type CursorQuality = "strong" | "weak_time" | "weak_multi" | "fallback" | "none";

/** What is known of an export; null is unknown. */
export interface OrderInput {
  readonly name: string;
  readonly sourceGroup: string | null;
  readonly rows: number | null;
  readonly mode: "full" | "incremental" | "chunked" | "time_window";
  readonly cursor: CursorQuality | null;
  readonly chunks: number;
  readonly windowDays: number | null;
  readonly isSparse: boolean;
  readonly reconcileRequired: boolean;
  readonly verdict: Verdict | null;
  readonly warnings: number;
  readonly history: History;
}

/** The newest runs, of which there may be none. */
export interface History {
  readonly runs: number;
  readonly lastFailed: boolean;
  readonly retriesPerRun: number;
  readonly durationMsAvg: number;
}

export interface Reason {
  readonly kind: string;
  readonly message: string;
}

export interface Recommendation {
  readonly export_name: string;
  readonly source_group: string | null;
  readonly priority_score: number;
  readonly priority_class: PriorityClass;
  readonly cost_class: CostClass;
  readonly risk_class: RiskClass;
  readonly recommended_wave: number;
  readonly isolate_on_source: boolean;
  /** Cheap enough to run beside others. */
  readonly parallel_safe: boolean;
  readonly reasons: readonly Reason[];
}

export interface Campaign {
  readonly ordered_exports: readonly string[];
  readonly waves: readonly { readonly wave: number; readonly exports: readonly string[] }[];
  readonly source_group_warnings: readonly {
    readonly source_group: string;
    readonly exports: readonly string[];
    readonly message: string;
  }[];
}

const SCORE_START = 50;
const ROWS_SMALL = 100_000;
const ROWS_HUGE = 10_000_000;
const CHUNKS_MANY = 8;
const ROWS_CHUNKED_MANY = 1_000_000;
const WARNINGS_MANY = 3;
const HISTORY_RUNS_MIN = 3;
const RETRIES_MANY = 0.3;
const DURATION_MS_LONG = 5 * 60_000;
const DAYS_RECENT = 7;

interface Points extends Reason {
  readonly points: number;
}

/** The score of each export, source groups taken into account, in the order to run them. */
export function orderExports(inputs: readonly OrderInput[]): { recommendations: Recommendation[]; campaign: Campaign } {
  const scored = inputs.map(scoreExport).sort(byScore);
  const groups = findGroups(scored);
  const recommendations = scored.map((one) => isolate(one, groups));
  const waves = [...new Set(recommendations.map((one) => one.recommended_wave))].sort((a, b) => a - b);
  return {
    recommendations,
    campaign: {
      ordered_exports: recommendations.map((one) => one.export_name),
      waves: waves.map((wave) => ({
        wave,
        exports: recommendations.filter((one) => one.recommended_wave === wave).map((one) => one.export_name),
      })),
      source_group_warnings: [...groups.values()].flatMap(({ warning }) => warning === null ? [] : [warning]),
    },
  };
}

function byScore(a: Recommendation, b: Recommendation): number {
  return b.priority_score - a.priority_score || (a.export_name < b.export_name ? -1 : 1);
}

export function scoreExport(input: OrderInput): Recommendation {
  const cost = costOf(input);
  const risk = riskOf(input);
  const points = [...sizePoints(input), ...modePoints(input), ...riskPoints(input, risk), ...historyPoints(input)];
  const score = Math.min(100, Math.max(0, points.reduce((sum, { points }) => sum + points, SCORE_START)));
  return {
    export_name: input.name,
    source_group: input.sourceGroup,
    priority_score: score,
    priority_class: score >= 70 ? "high" : score >= 40 ? "medium" : "low",
    cost_class: cost,
    risk_class: risk,
    recommended_wave: score >= 75 ? 1 : score >= 55 ? 2 : score >= 35 ? 3 : 4,
    isolate_on_source: false,
    parallel_safe: cost === "low" && risk !== "high",
    reasons: points.map(({ kind, message, points }) => ({
      kind,
      message: points === 0 ? message : `${message} (${points > 0 ? "+" : ""}${points})`,
    })),
  };
}

function costOf({ rows, chunks }: OrderInput): CostClass {
  if (rows === null) return "medium";
  if (rows < ROWS_SMALL) return "low";
  if (rows < ROWS_HUGE) return "medium";
  return chunks >= CHUNKS_MANY ? "very_high" : "high";
}

function riskOf({ isSparse, verdict, warnings }: OrderInput): RiskClass {
  if (isSparse || verdict === "unsafe") return "high";
  return verdict === "degraded" || warnings > WARNINGS_MANY ? "medium" : "low";
}

function sizePoints({ rows }: OrderInput): Points[] {
  if (rows === null) return [{ points: -3, kind: "low_confidence_metadata", message: "the number of rows is unknown" }];
  if (rows < ROWS_SMALL) return [{ points: 12, kind: "small_table", message: `about ${rows} rows` }];
  if (rows < ROWS_HUGE) return [{ points: 0, kind: "large_table", message: `about ${rows} rows` }];
  return [{ points: -15, kind: "huge_table", message: `about ${rows} rows` }];
}

const CURSOR_POINTS: Readonly<Record<CursorQuality, Points>> = {
  strong: { points: 18, kind: "cursor_strong", message: "an indexed cursor with known bounds" },
  weak_time: { points: -8, kind: "cursor_weak_time", message: "an indexed cursor without known bounds" },
  weak_multi: { points: -8, kind: "cursor_weak_multi", message: "a cursor without an index" },
  fallback: { points: -14, kind: "cursor_fallback", message: "a cursor over two columns, which no index follows" },
  none: { points: -12, kind: "cursor_none", message: "a cursor without an index and without known bounds" },
};

function modePoints({ mode, cursor, chunks, rows, windowDays }: OrderInput): Points[] {
  switch (mode) {
    case "full":
      return [{ points: 5, kind: "snapshot", message: "one pass over the table" }];
    case "incremental":
      return [CURSOR_POINTS[cursor ?? "none"]];
    case "chunked":
      return chunks > 1 || (rows ?? 0) > ROWS_CHUNKED_MANY
        ? [{ points: -10, kind: "chunking_heavy", message: `${chunks} chunks` }]
        : [];
    case "time_window":
      return windowDays !== null && windowDays <= DAYS_RECENT
        ? [{ points: 6, kind: "freshness_hint_recent", message: `a window of ${windowDays} days` }]
        : [{ points: 0, kind: "no_time_cursor", message: "a window that no cursor follows" }];
    default: {
      const never: never = mode;
      return never;
    }
  }
}

function riskPoints({ isSparse, reconcileRequired, verdict, warnings }: OrderInput, risk: RiskClass): Points[] {
  const found: Points[] = [];
  if (isSparse) found.push({ points: -18, kind: "sparse_range_risk", message: "the keys are far apart" });
  if (reconcileRequired) {
    found.push({ points: -12, kind: "reconcile_required", message: "it is to be reconciled afterwards" });
  }
  if (verdict === "unsafe") found.push({ points: -25, kind: "verdict_unsafe", message: "the verdict is unsafe" });
  if (verdict === "degraded") {
    found.push({ points: -12, kind: "verdict_degraded", message: "the verdict is degraded" });
  }
  if (verdict === "efficient") {
    found.push({ points: 8, kind: "verdict_efficient", message: "the verdict is efficient" });
  }
  if (risk === "medium") {
    found.push({
      points: -4,
      kind: "risk_medium",
      message: warnings > WARNINGS_MANY ? `${warnings} warnings` : "some risk",
    });
  }
  return found;
}

function historyPoints({ history }: OrderInput): Points[] {
  const { runs, lastFailed, retriesPerRun, durationMsAvg } = history;
  const found: Points[] = [];
  if (lastFailed) found.push({ points: -8, kind: "last_run_failed", message: "the last run failed" });
  if (runs < HISTORY_RUNS_MIN) return found;
  if (retriesPerRun > RETRIES_MANY) {
    found.push({ points: -5, kind: "retries_frequent", message: `${retriesPerRun.toFixed(1)} retries a run` });
  }
  if (durationMsAvg >= DURATION_MS_LONG) {
    found.push({ points: -4, kind: "runs_long", message: `${Math.round(durationMsAvg / 60_000)} minutes a run` });
  }
  return found;
}

type GroupWarning = Campaign["source_group_warnings"][number];

interface Group {
  readonly heavy: ReadonlySet<string>;
  readonly warning: GroupWarning | null;
}

const isHeavy = (one: Recommendation) => one.cost_class === "high" || one.cost_class === "very_high";

/** Exports of one `source_group` share a server that feels them together. */
function findGroups(scored: readonly Recommendation[]): Map<string, Group> {
  const members = new Map<string, Recommendation[]>();
  for (const one of scored) {
    if (one.source_group !== null) members.set(one.source_group, [...members.get(one.source_group) ?? [], one]);
  }
  return new Map([...members].map(([name, exports]) => [name, toGroup(name, exports)]));
}

function toGroup(name: string, members: readonly Recommendation[]): Group {
  const heavy = members.filter(isHeavy).map((one) => one.export_name);
  const warn = (exports: string[], message: string): GroupWarning => ({ source_group: name, exports, message });
  if (heavy.length >= 2) {
    return {
      heavy: new Set(heavy),
      warning: warn(heavy, `${heavy.length} heavy exports share the source group '${name}': run them one at a time`),
    };
  }
  const names = members.map((one) => one.export_name);
  const warning = names.length >= 3
    ? warn(names, `${names.length} exports share the source group '${name}': mind what it bears at once`)
    : null;
  return { heavy: new Set(), warning };
}

function isolate(one: Recommendation, groups: ReadonlyMap<string, Group>): Recommendation {
  const group = one.source_group === null ? undefined : groups.get(one.source_group);
  if (group === undefined || !group.heavy.has(one.export_name)) return one;
  const reason = {
    kind: "source_group_heavy",
    message: `other heavy exports read the source group '${one.source_group}'`,
  };
  return { ...one, isolate_on_source: true, parallel_safe: false, reasons: [...one.reasons, reason] };
}
