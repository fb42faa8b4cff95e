// Running exports for `run` and `apply`: state, progress, engine, summaries, exit code.

import { type ErrorReport, RivetError } from "../errors.ts";
import type { Config, Export } from "../config/mod.ts";
import type { AggregateSummary } from "../report/mod.ts";
import type { RunContext } from "../run/mod.ts";
import type { LateState } from "../state/mod.ts";
import { type CommandContext, toJson } from "./command.ts";
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
  /** What the summary says beside what happened. */
  readonly annotate?: (aggregate: AggregateSummary) => object;
}

/** Runs exports and tells how it went; the exit code is set, not returned. */
export async function executeExports(context: CommandContext, execution: Execution): Promise<void> {
  const { config, exports, flags } = execution;
  checkStdout(exports, flags);
  await warnOfSharedFolders(context, exports);
  const { openStateLater } = await import("../state/mod.ts");
  await using late = await openStateLater({
    url: context.runtime.env("RIVET_STATE_URL"),
    directory: config.directory,
  });
  const { openWatcher } = await import("../report/mod.ts");
  const { terminal, runtime } = context;
  const watcher = openWatcher({
    write: (text) => terminal.err(text),
    isTerminal: terminal.isTerminal,
    columns: () => terminal.columns(),
    nowMs: () => runtime.monotonic(),
  }, flags.progress);
  const runContext = await buildRunContext(context, config, late, {
    validate: flags.validate === true || flags.reconcile === true,
    reconcile: flags.reconcile === true,
    resume: flags.resume === true,
    force: flags.force === true,
    strict: flags.strict === true,
  }, watcher.events);
  const { aggregateExitCode } = await import("../run/mod.ts");
  const aggregate = await execution.run(execution.adapt?.(runContext) ?? runContext);
  watcher.end(aggregate);
  await writeSummaries(context, late, aggregate, execution);
  const code = aggregateExitCode(aggregate);
  context.setExitCode(code);
  const worst = aggregate.per_export.find((summary) => summary.error?.exit_code === code)?.error;
  if (worst === undefined || worst === null || !context.globals().jsonErrors) return;
  const { printFailure } = await import("./failure.ts");
  printFailure(context.terminal, worst as ErrorReport, true);
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
  { flags, annotate }: Execution,
): Promise<void> {
  if (aggregate.per_export.length > 1 && await late.exists()) {
    const { per_export, ...totals } = aggregate;
    await late.state.recordAggregate({ ...totals, details_json: JSON.stringify(per_export) });
  }
  const text = toJson({ ...aggregate, ...annotate?.(aggregate) });
  if (flags.json) context.terminal.out(text);
  if (flags.summaryOutput === undefined) return;
  const { writeTextFile } = await import("./file.ts");
  await writeTextFile(flags.summaryOutput, text);
}
