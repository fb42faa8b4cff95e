// Running exports for `run` and `apply`: state, progress, engine, summaries, exit code.

import { type ErrorReport, RivetError, toRivetError } from "../errors.ts";
import type { Config, Export } from "../config/mod.ts";
import type { AggregateSummary } from "../report/mod.ts";
import type { RunContext } from "../run/mod.ts";
import type { LateState } from "../state/mod.ts";
import { leaveReports, notifyOfFailure, notifyOfRuns } from "./aftermath.ts";
import { type CommandContext, openLateConfigState, openProgress, toJson } from "./command.ts";
import { buildRunContext } from "./engine.ts";

export interface ExecutionFlags {
  validate?: true | undefined;
  reconcile?: true | undefined;
  resume?: true | undefined;
  force?: true | undefined;
  strict?: true | undefined;
  summaryOutput?: string | undefined;
  json?: true | undefined;
  progress: "auto" | "plain" | "json" | "none";
}

export interface Execution {
  readonly config: Config;
  readonly exports: readonly Export[];
  readonly flags: ExecutionFlags;
  /** What the engine is told beside the flags. */
  readonly adapt?: (context: RunContext) => RunContext;
  readonly run: (context: RunContext) => Promise<AggregateSummary>;
  /** Where the reports are left; the config's folder unless given. */
  readonly reportDirectory?: string;
  /** What the summary says beside what happened. */
  readonly annotate?: (aggregate: AggregateSummary) => Annotation;
}

export interface Annotation {
  readonly apply_context?: object;
}

/** Runs exports and tells how it went; the exit code is set, not returned. */
export async function executeExports(context: CommandContext, execution: Execution): Promise<void> {
  const { config, exports, flags } = execution;
  checkStdout(exports, flags);
  if (flags.summaryOutput !== undefined) await (await import("./file.ts")).checkOutputFile(flags.summaryOutput);
  await warnOfSharedFolders(context, exports);
  const told = async <T>(attempt: () => Promise<T>): Promise<T> => {
    try {
      return await attempt();
    } catch (error) {
      await notifyOfFailure(context, config, exports, toRivetError(error));
      throw error;
    }
  };
  await using late = await told(() => openLateConfigState(context, config.directory));
  const { openNotes } = await import("../report/mod.ts");
  const notes = openNotes();
  const aggregate = await told(() => runWatched(context, execution, late, notes.events));
  const annotation = execution.annotate?.(aggregate) ?? {};
  const aftermath = { config, notes, applyContext: annotation.apply_context, directory: execution.reportDirectory };
  const folders = await leaveReports(context, aggregate.per_export, aftermath);
  if (folders.length === 1 && flags.progress !== "json") context.terminal.err(`report: ${folders[0]}/summary.md\n`);
  try {
    await writeSummaries(context, late, aggregate, annotation, flags);
  } finally {
    await notifyOfRuns(context, aggregate.per_export, aftermath);
  }
  const { aggregateExitCode } = await import("../run/mod.ts");
  const code = aggregateExitCode(aggregate);
  context.setExitCode(code);
  const worst = aggregate.per_export.find((summary) => summary.error?.exit_code === code)?.error;
  if (worst !== undefined && worst !== null) context.reportFailure(worst as ErrorReport);
}

/** Runs the exports while it is shown how far they are. */
async function runWatched(
  context: CommandContext,
  { config, flags, run, adapt }: Execution,
  late: LateState,
  note: RunContext["events"],
): Promise<AggregateSummary> {
  const watcher = await openProgress(context, flags.progress);
  const options = {
    validate: flags.validate === true || flags.reconcile === true,
    reconcile: flags.reconcile === true,
    resume: flags.resume === true,
    force: flags.force === true,
    strict: flags.strict === true,
  };
  const runContext = await buildRunContext(context, config, late, options, (event) => {
    note(event);
    watcher.events(event);
  });
  const aggregate = await run(adapt?.(runContext) ?? runContext);
  watcher.end(aggregate);
  return aggregate;
}

/** `manifest.json` and `_SUCCESS` speak of one export: of several in one folder, the last one. */
async function warnOfSharedFolders(context: CommandContext, exports: readonly Export[]): Promise<void> {
  const { writtenDestination } = await import("../destination/mod.ts");
  const owners = new Map<string, string>();
  for (const entry of exports) {
    const place = writtenDestination(entry.destination);
    const owner = owners.get(place);
    if (entry.destination.kind === "stdout" || /\{(export|table)\}/.test(place)) continue;
    if (owner === undefined) owners.set(place, entry.name);
    else {
      context.terminal.err(
        `warning: '${owner}' and '${entry.name}' share '${place}', where manifest.json speaks of the last one only; read manifest-<run_id>.json, or put {export} into the path\n`,
      );
    }
  }
}

/** Standard output takes one stream. */
function checkStdout(exports: readonly Export[], flags: ExecutionFlags): void {
  const streams = exports.filter((entry) => entry.destination.kind === "stdout");
  if (streams.length === 0) return;
  const where = `export '${streams[0]!.name}'`;
  if (exports.length > 1) {
    throw new RivetError(
      "RIVET_PLAN_REJECTED",
      `${exports.length} exports, and '${streams[0]!.name}' writes to stdout`,
      {
        where,
        cure: `Run it alone: \`-e ${streams[0]!.name}\``,
      },
    );
  }
  if (flags.json) {
    throw new RivetError("RIVET_PLAN_REJECTED", "`--json` and the export would both write to stdout", {
      where,
      cure: "Use `--summary-output FILE` instead of `--json`",
    });
  }
}

async function writeSummaries(
  context: CommandContext,
  late: LateState,
  aggregate: AggregateSummary,
  annotation: Annotation,
  flags: ExecutionFlags,
): Promise<void> {
  if (aggregate.per_export.length > 1 && await late.exists()) {
    const { per_export, resume_command: _command, ...totals } = aggregate;
    await late.state.recordAggregate({ ...totals, details_json: JSON.stringify(per_export) });
  }
  const text = toJson({ ...aggregate, ...annotation });
  if (flags.json) context.terminal.out(text);
  if (flags.summaryOutput === undefined) return;
  const { writeOutputFile } = await import("./file.ts");
  await writeOutputFile(flags.summaryOutput, text);
}
