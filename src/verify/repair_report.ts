// What a repair would do and what it did, as JSON and for people. Pure.

export interface RepairAction {
  /** The unit: the export, or one of its partitions. */
  readonly export_name: string;
  readonly run_id: string;
  readonly chunk_index: number;
  readonly chunk_id: string;
  readonly start_key: string | null;
  readonly end_key: string | null;
  readonly reason: string;
}

/** A manifest or marker that is made anew from what is recorded; no row is read for it. */
export interface ManifestAction {
  readonly export_name: string;
  readonly run_id: string;
  readonly reason: string;
}

export interface RepairPlan {
  readonly rivet_version: string;
  readonly export_name: string;
  readonly reconcile_run_id: string;
  readonly strategy: string;
  readonly actions: readonly RepairAction[];
  readonly manifests: readonly ManifestAction[];
  /** What cannot be repaired, and why. */
  readonly skipped: readonly string[];
}

export type ActionResult =
  | { readonly executed: { readonly rows_written: number } }
  | { readonly skipped: { readonly reason: string } }
  | { readonly failed: { readonly error: string } };

export interface RepairReport {
  readonly plan: RepairPlan;
  /** Null when nothing was read. Of several partitions, the first one's. */
  readonly repair_run_id: string | null;
  readonly results: readonly (readonly [RepairAction, ActionResult])[];
  readonly manifests: readonly (readonly [ManifestAction, ActionResult])[];
  readonly summary: {
    readonly planned: number;
    readonly executed: number;
    readonly skipped: number;
    readonly failed: number;
    readonly rows_written: number;
    /** Actions that were not executed, and what no action can repair. */
    readonly remaining: number;
  };
}

export function summarizeRepair(
  plan: RepairPlan,
  results: readonly (readonly [unknown, ActionResult])[],
): RepairReport["summary"] {
  const count = (key: "executed" | "skipped" | "failed") => results.filter(([, result]) => key in result).length;
  const executed = count("executed");
  return {
    planned: plan.actions.length + plan.manifests.length,
    executed,
    skipped: count("skipped") + plan.skipped.length,
    failed: count("failed"),
    rows_written: results.reduce(
      (total, [, result]) => total + ("executed" in result ? result.executed.rows_written : 0),
      0,
    ),
    remaining: plan.actions.length + plan.manifests.length - executed + plan.skipped.length,
  };
}

export function formatRepairPlan(plan: RepairPlan): string {
  const lines = [
    `Export:   ${plan.export_name}`,
    `Run:      ${plan.reconcile_run_id}`,
    `Strategy: ${plan.strategy}`,
    `Actions:  ${plan.actions.length + plan.manifests.length}`,
    ...plan.actions.map((action) => `  read again: ${nameOf(action)}: ${action.reason}`),
    ...plan.manifests.map((action) => `  write again: the manifest of ${action.run_id}: ${action.reason}`),
    ...plan.skipped.map((text) => `  cannot be repaired: ${text}`),
  ];
  const nothing = plan.actions.length + plan.manifests.length === 0;
  lines.push(nothing ? "Nothing to repair." : "Nothing was changed: add --execute to do it.");
  return `${lines.join("\n")}\n`;
}

export function formatRepairReport({ plan, results, manifests, summary }: RepairReport): string {
  const lines = [
    `Export:   ${plan.export_name}`,
    `Run:      ${plan.reconcile_run_id}`,
    ...results.map(([action, result]) => `  ${nameOf(action)}: ${resultText(result)}`),
    ...manifests.map(([action, result]) => `  the manifest of ${action.run_id}: ${resultText(result)}`),
    ...plan.skipped.map((text) => `  cannot be repaired: ${text}`),
    `Repaired: ${summary.executed} of ${summary.planned}, ${summary.rows_written} rows written`,
  ];
  if (summary.remaining > 0) lines.push(`Remaining: ${summary.remaining}`);
  else if (summary.executed > 0) lines.push("Verify it with `rivet reconcile`.");
  return `${lines.join("\n")}\n`;
}

function nameOf({ export_name, chunk_index, start_key, end_key }: RepairAction): string {
  const range = start_key === null && end_key === null ? "" : ` [${start_key ?? "-∞"}..${end_key ?? "∞"}]`;
  return `${export_name}, chunk ${chunk_index}${range}`;
}

function resultText(result: ActionResult): string {
  if ("executed" in result) return `repaired, ${result.executed.rows_written} rows`;
  return "skipped" in result ? `skipped: ${result.skipped.reason}` : `failed: ${result.failed.error}`;
}
