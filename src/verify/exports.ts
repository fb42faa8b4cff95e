// The exports of a config against what lies at their destinations: finds the prefixes, checks each, gathers what was found.

import { commandLine, type CommandPlace, type Config, type Export } from "../config/mod.ts";
import type { Core } from "../core/mod.ts";
import type { Destination, ResolvedDestination } from "../destination/mod.ts";
import { type ErrorReport, RivetError, toErrorReport } from "../errors.ts";
import { NULL_PARTITION, unitName } from "../plan/mod.ts";
import type { Runtime } from "../runtime.ts";
import { REPAIR_MODE, type State } from "../state/mod.ts";
import { describeFinding, type Finding, severityOf } from "./finding.ts";
import { findPlaces, type Place } from "./place.ts";
import { type CommittedRun, type Depth, type UnfinishedRun, validatePrefix, type Verification } from "./validate.ts";

export interface ValidateContext {
  readonly config: Config;
  /** What runs were recorded; looked at only. Null when it cannot be, and `stateTrouble` says why. */
  readonly state: Pick<State, "runs" | "parts" | "exportNames" | "openRun"> | null;
  readonly stateTrouble: string | null;
  readonly runtime: Pick<Runtime, "env">;
  readonly openDestination: (location: ResolvedDestination) => Promise<Destination>;
  readonly openCore: () => Promise<Core>;
  readonly signal: AbortSignal;
}

export interface ValidateQuestion {
  readonly depth: Depth;
  /** `YYYY-MM-DD`. */
  readonly date: string;
  readonly runId: string | null;
  readonly prefix: string | null;
}

/** What was found at one prefix. */
export interface CheckedPrefix {
  readonly exportName: string;
  /** The export in the config; another name than `exportName` for a partition. */
  readonly entryName: string;
  readonly uri: string;
  readonly verification: Verification;
}

export interface ValidateReport {
  readonly checked: readonly CheckedPrefix[];
  readonly warnings: readonly { readonly exportName: string; readonly warning: string }[];
  readonly errors: readonly { readonly exportName: string; readonly error: ErrorReport }[];
}

/** Checks every export. What cannot be reached is an error in the report; only RIVET_RUN_INTERRUPTED is thrown. */
export async function validateExports(
  context: ValidateContext,
  exports: readonly Export[],
  question: ValidateQuestion,
): Promise<ValidateReport> {
  const checked: CheckedPrefix[] = [];
  const warnings: { exportName: string; warning: string }[] = [];
  const errors: { exportName: string; error: ErrorReport }[] = [];
  for (const entry of exports) {
    if (entry.destination.kind === "stdout") {
      warnings.push({ exportName: entry.name, warning: "it writes to standard output: nothing is stored to check" });
      continue;
    }
    if (context.stateTrouble !== null) {
      const warning = `what the state remembers is not compared: ${context.stateTrouble}`;
      warnings.push({ exportName: entry.name, warning });
    }
    try {
      const places = await findPlaces(
        entry,
        {
          ...question,
          directory: context.config.directory,
          partitions: entry.partition === null ? [] : await rememberedPartitions(context, entry),
        },
        context.runtime,
        context.openDestination,
      );
      const ofExport: CheckedPrefix[] = [];
      for (const place of places) {
        const found = await validatePlace(context, entry, place, question);
        // A partition of another day's destination is remembered as well, and nothing was ever stored for it here.
        const isKnown = question.runId === null ? place.isFound : found.verification.manifestFound;
        if (isKnown || found.verification.findings.length > 0) ofExport.push(found);
      }
      if (question.runId !== null && ofExport.length === 0) throw unknownRun(entry, question.runId);
      checked.push(...ofExport);
      if (!places.some(({ isFound }) => isFound)) {
        warnings.push({ exportName: entry.name, warning: "no partition was found" });
      }
    } catch (error) {
      if (context.signal.aborted) {
        throw new RivetError("RIVET_RUN_INTERRUPTED", "Stopped by a signal", {
          where: `export '${entry.name}'`,
          cure: "Validate again",
          retry: "reconnect",
        });
      }
      errors.push({ exportName: entry.name, error: toErrorReport(error) });
    }
  }
  for (const { exportName, uri, verification } of checked) {
    const warning = warnOf(uri, verification);
    if (warning !== null) warnings.push({ exportName, warning });
  }
  return { checked, warnings, errors };
}

function warnOf(uri: string, verification: Verification): string | null {
  if (verification.isLegacy) return `'${uri}' holds files without a manifest: nothing is known of their content`;
  return verification.manifestFound || verification.findings.length > 0 ? null : `'${uri}' is empty`;
}

async function validatePlace(
  context: ValidateContext,
  entry: Export,
  place: Place,
  question: ValidateQuestion,
): Promise<CheckedPrefix> {
  await using destination = await context.openDestination(place.location);
  const verification = await validatePrefix(destination, {
    exportName: place.unitName,
    isFamily: place.isFamily,
    additive: entry.mode === "incremental" || entry.mode === "time_window",
    runId: question.runId,
  }, {
    depth: question.depth,
    requireContent: entry.verify === "content",
    requireManifest: question.prefix !== null,
    committed: question.runId === null ? await findCommitted(context, place.unitName, destination.uri) : null,
    unfinished: question.runId === null ? await findUnfinished(context, entry, place.unitName, destination.uri) : null,
    openCore: context.openCore,
    signal: context.signal,
  });
  return { exportName: place.unitName, entryName: entry.name, uri: destination.uri, verification };
}

async function rememberedPartitions({ config, state }: ValidateContext, entry: Export): Promise<string[]> {
  if (state === null) return [];
  const stem = unitName(entry.name, "");
  const others = new Set(config.exports.map(({ name }) => name));
  const names = await state.exportNames(config.source.identity, stem);
  const own = names.filter((name) => name.startsWith(stem) && !others.has(name));
  return own.map((name) => name === unitName(entry.name, NULL_PARTITION) ? NULL_PARTITION : name.slice(stem.length));
}

/** How far back runs without files are passed over. */
const RUNS_MAX = 50;

/** The newest run that stored files at exactly this place, as the state remembers it; null when there is none. */
async function findCommitted(context: ValidateContext, unitName: string, uri: string): Promise<CommittedRun | null> {
  if (context.state === null) return null;
  const runs = await context.state.runs({ exportName: unitName, limit: RUNS_MAX });
  const ours = runs.filter((run) =>
    run.status === "completed" && run.mode !== REPAIR_MODE && run.destinationUri === uri &&
    run.key.source === context.config.source.identity
  );
  const newer: string[] = [];
  for (const run of ours.sort((a, b) => a.startedAt < b.startedAt ? 1 : -1)) {
    newer.push(run.runId);
    const files = (await context.state.parts(run.runId)).length;
    if (files > 0) return { runId: run.runId, startedAt: run.startedAt, files, newer };
  }
  return null;
}

/** The run that the next one finishes, where it stores its files at exactly this place. */
async function findUnfinished(
  { config, state }: ValidateContext,
  entry: Export,
  unitName: string,
  uri: string,
): Promise<UnfinishedRun | null> {
  const run = await state?.openRun({ exportName: unitName, source: config.source.identity }) ?? null;
  if (state === null || run === null || run.destinationUri !== uri) return null;
  const files = (await state.parts(run.runId)).map(({ fileName }) => fileName);
  const command = run.mode === REPAIR_MODE
    ? commandLine("repair", config, { exportName: entry.name, flags: "--execute" })
    : commandLine("run", config, { exportName: entry.name });
  return { runId: run.runId, files, command };
}

function unknownRun(entry: Export, runId: string): RivetError {
  return new RivetError("RIVET_CLI_RUN_ID_UNKNOWN", `The destination holds no manifest of run '${runId}'`, {
    where: `export '${entry.name}'`,
    cure: "A later run may have replaced it; list the runs with `rivet state runs`",
  });
}

/** 3 when anything is wrong, else 1 when anything could not be checked, else 0. */
export function validateExitCode(report: ValidateReport): 0 | 1 | 3 {
  const findings = report.checked.flatMap(({ verification }) => verification.findings);
  if (findings.some((finding) => severityOf(finding) === "wrong")) return 3;
  if (report.errors.length > 0 || findings.some((finding) => severityOf(finding) === "unverified")) return 1;
  return 0;
}

/** What ends the command when not all is well; null when it is. `config` is for the cure. */
export function validateFailure(report: ValidateReport, config: CommandPlace): RivetError | null {
  const code = validateExitCode(report);
  if (code === 0) return null;
  const severity = code === 3 ? "wrong" : "unverified";
  const isGrave = (finding: Finding) => severityOf(finding) === severity;
  const prefixes = report.checked.filter(({ verification }) => verification.findings.some(isGrave));
  const findings = prefixes.flatMap(({ verification }) => verification.findings.filter(isGrave));
  const first = prefixes[0];
  if (first === undefined) {
    const { exportName, error } = report.errors[0]!;
    const where = error.where ?? `export '${exportName}'`;
    return new RivetError("RIVET_VALIDATE_UNVERIFIED", error.error, { where, cure: error.cure });
  }
  const more = findings.length > 1 ? ` (and ${findings.length - 1} more)` : "";
  return new RivetError(
    code === 3 ? "RIVET_VALIDATE_FAILED" : "RIVET_VALIDATE_UNVERIFIED",
    `${describeFinding(findings[0]!)}${more}`,
    {
      where: `export '${first.exportName}', ${first.uri}`,
      ...(code === 3
        ? {
          cure: `Run \`${
            commandLine("repair", config, { exportName: first.entryName, flags: "--execute" })
          }\`, or the export again`,
        }
        : {}),
    },
  );
}
