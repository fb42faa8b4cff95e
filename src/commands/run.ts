// `rivet run`: reads the exports of a config and stores them. A plain rerun finishes what an interrupted one began.

import { Option } from "@commander-js/extra-typings";
import { type ErrorReport, RivetError } from "../errors.ts";
import type { Config, Export } from "../config/mod.ts";
import type { AggregateSummary } from "../report/mod.ts";
import type { RunContext } from "../run/mod.ts";
import type { LateState } from "../state/mod.ts";
import { VERSION } from "../version.ts";
import {
  type AddCommand,
  collectParams,
  type CommandContext,
  readConfigFile,
  selectExports,
  toJson,
} from "./command.ts";

interface RunFlags {
  config: string;
  export?: string | undefined;
  param: Record<string, string>;
  validate?: true | undefined;
  reconcile?: true | undefined;
  resume?: true | undefined;
  force?: true | undefined;
  strict?: true | undefined;
  parallelExports?: true | undefined;
  parallelExportProcesses?: true | undefined;
  summaryOutput?: string | undefined;
  json?: true | undefined;
  progress: "auto" | "plain" | "json" | "none";
}

const EXAMPLES = `
Examples:
  rivet run -c rivet.yaml                      all exports, one after the other
  rivet run -c rivet.yaml -e orders --validate one export, its stored files checked before they are published
  rivet run -c rivet.yaml -p DAY=2026-04-18    with \${DAY} filled in
An interrupted run is finished by the same command.`;

export const addRun: AddCommand = (program, context) => {
  program.command("run")
    .description("Export the tables and queries of a config")
    .requiredOption("-c, --config <file>", "config file")
    .option("-e, --export <name>", "only this export")
    .option(
      "-p, --param <name=value>",
      "fill ${name} in the config; repeatable",
      collectParams,
      {} as Record<string, string>,
    )
    .option("--validate", "check every stored file before the manifest is published")
    .option("--reconcile", "count the source's rows in the same picture and compare; includes --validate")
    .option("--resume", "only finish an interrupted run, or refuse")
    .option("--force", "with --resume: also over a complete prefix")
    .option("--strict", "refuse columns that would lose something, before reading")
    .option("--parallel-exports", "run up to 16 exports at once")
    .option("--parallel-export-processes", "the same as --parallel-exports: every lane is a sandbox of its own")
    .option("--summary-output <file>", "write the summary as JSON")
    .option("--json", "print the summary as JSON on stdout")
    .addOption(
      new Option("--progress <style>", "how to show progress on stderr").choices(
        ["auto", "plain", "json", "none"] as const,
      ).default("auto" as const),
    )
    .addHelpText("after", EXAMPLES)
    .action((flags) => runCommand(context, flags));
};

async function runCommand(context: CommandContext, flags: RunFlags): Promise<void> {
  if (flags.parallelExports && flags.parallelExportProcesses) {
    throw new RivetError(
      "RIVET_CLI_VALUE_INVALID",
      "`--parallel-exports` and `--parallel-export-processes` exclude each other",
      {
        cure: "Give one of them",
      },
    );
  }
  if (flags.force && !flags.resume) context.terminal.err("warning: `--force` does nothing without `--resume`\n");
  const config = await readConfigFile(context, flags.config, flags.param);
  const exports = selectExports(config, flags.export);
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
  const runContext = await buildRunContext(context, config, late, flags, watcher.events);
  const { aggregateExitCode, EXPORTS_PARALLEL_MAX, runExports } = await import("../run/mod.ts");
  const several = flags.parallelExports || flags.parallelExportProcesses || config.parallelExports;
  const aggregate = await runExports(runContext, exports, several ? EXPORTS_PARALLEL_MAX : 1);
  watcher.end(aggregate);
  await writeSummaries(context, late, aggregate, flags);
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
function checkStdout(exports: readonly Export[], flags: RunFlags): void {
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

async function buildRunContext(
  context: CommandContext,
  config: Config,
  late: LateState,
  flags: RunFlags,
  events: RunContext["events"],
): Promise<RunContext> {
  const { runtime, signal } = context;
  const [
    { compileCore },
    { openSource },
    { openDestination },
    { LEASE_TTL_MS_DEFAULT, openWorkerLane },
    { isDead, processStart },
  ] = await Promise
    .all([
      import("../core/mod.ts"),
      import("../source/mod.ts"),
      import("../destination/mod.ts"),
      import("../run/mod.ts"),
      import("./process.ts"),
    ]);
  const { openState } = await import("../state/mod.ts");
  const ttl = runtime.env("RIVET_STATE_LEASE_TTL_S");
  return {
    config,
    options: {
      validate: flags.validate === true || flags.reconcile === true,
      reconcile: flags.reconcile === true,
      resume: flags.resume === true,
      force: flags.force === true,
      strict: flags.strict === true,
      lockWaitS: context.globals().lockWaitS,
    },
    runtime,
    version: VERSION,
    state: late.state,
    hasState: late.exists,
    events,
    signal,
    core: await compileCore(),
    leaseTtlMs: ttl === undefined || !/^\d+$/.test(ttl) ? LEASE_TTL_MS_DEFAULT : Number(ttl) * 1000,
    openSource,
    openDestination,
    openLane: openWorkerLane,
    openMemoryState: () => openState({ url: "sqlite::memory:", directory: config.directory }),
    isDead: (holder) => isDead(holder, runtime),
    processStart: processStart(runtime.pid),
  };
}

async function writeSummaries(
  context: CommandContext,
  late: LateState,
  aggregate: AggregateSummary,
  flags: RunFlags,
): Promise<void> {
  if (aggregate.per_export.length > 1 && await late.exists()) {
    const { per_export, ...totals } = aggregate;
    await late.state.recordAggregate({ ...totals, details_json: JSON.stringify(per_export) });
  }
  if (flags.json) context.terminal.out(toJson(aggregate));
  if (flags.summaryOutput === undefined) return;
  const { writeTextFile } = await import("./file.ts");
  await writeTextFile(flags.summaryOutput, toJson(aggregate));
}
