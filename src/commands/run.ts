// `rivet run`: reads the exports of a config and stores them. A plain rerun finishes what an interrupted one began.

import { RivetError } from "../errors.ts";
import {
  type AddCommand,
  type CommandContext,
  PARAM_OPTION,
  progressOption,
  readConfigFile,
  selectExports,
} from "./command.ts";
import { executeExports } from "./execution.ts";

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
    .option(...PARAM_OPTION)
    .option("--validate", "check every stored file before the manifest is published")
    .option("--reconcile", "count the source's rows in the same picture and compare; includes --validate")
    .option("--resume", "only finish an interrupted run, or refuse")
    .option("--force", "with --resume: also over a complete prefix")
    .option("--strict", "refuse columns that would lose something, before reading")
    .option("--parallel-exports", "run up to 16 exports at once")
    .option("--parallel-export-processes", "the same as --parallel-exports: every lane is a sandbox of its own")
    .option("--summary-output <file>", "write the summary as JSON")
    .option("--json", "print the summary as JSON on stdout")
    .addOption(progressOption())
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
  const { EXPORTS_PARALLEL_MAX, runExports } = await import("../run/mod.ts");
  const several = flags.parallelExports || flags.parallelExportProcesses || config.parallelExports;
  await executeExports(context, {
    config,
    exports,
    flags,
    run: (runContext) => runExports(runContext, exports, several ? EXPORTS_PARALLEL_MAX : 1),
  });
}
