// `rivet reconcile`: the source against what was exported. Reads the source; changes nothing but the verified boundary.

import { Option } from "@commander-js/extra-typings";
import { RivetError } from "../errors.ts";
import type { Config } from "../config/mod.ts";
import type { RunContext } from "../run/mod.ts";
import type { LateState } from "../state/mod.ts";
import {
  type AddCommand,
  type CommandContext,
  jsonPieces,
  openLateConfigState,
  openProgress,
  PARAM_OPTION,
  parseCount,
  progressOption,
  readConfigFile,
  selectExports,
} from "./command.ts";
import { buildRunContext } from "./engine.ts";

interface Flags {
  config: string;
  export: string;
  param: Record<string, string>;
  depth: "count" | "content" | "rows";
  keys?: true | undefined;
  keysMax: number;
  runId?: string | undefined;
  format: "pretty" | "json";
  json?: true | undefined;
  output?: string | undefined;
  progress: "auto" | "plain" | "json" | "none";
}

const EXAMPLES = `
Examples:
  rivet reconcile -c rivet.yaml -e orders                      every chunk read again, its values compared
  rivet reconcile -c rivet.yaml -e orders --depth count        rows alone, counted by the server
  rivet reconcile -c rivet.yaml -e orders --keys               and the keys of the rows that differ
  rivet reconcile -c rivet.yaml -e orders -o reconcile.json    the report that \`rivet repair --report\` takes
Exit 0: all chunks match, and the verified boundary has advanced. Exit 3: some differ. Exit 1: some could not be compared.`;

export const addReconcile: AddCommand = (program, context) => {
  program.command("reconcile")
    .description("Compare an export with its source, chunk by chunk")
    .requiredOption("-c, --config <file>", "config file")
    .requiredOption("-e, --export <name>", "the export")
    .option(...PARAM_OPTION)
    .addOption(
      new Option("--depth <depth>", "count: rows alone; content: column checksums; rows: every row of the files")
        .choices(["count", "content", "rows"] as const).default("content" as const),
    )
    .option("--keys", "name the keys of rows that differ; reads the files of those chunks")
    .option("--keys-max <count>", "keys to name of each sort and chunk", parseCount, 100)
    .option("--run-id <id>", "this run instead of the newest")
    .option("-o, --output <file>", "write the report as JSON, for `rivet repair --report`")
    .addOption(
      new Option("--format <format>", "the form on stdout; `json` with -o prints nothing")
        .choices(["pretty", "json"] as const).default("pretty" as const),
    )
    .option("--json", "print the report as JSON on stdout")
    .addOption(progressOption())
    .addHelpText("after", EXAMPLES)
    .action((flags) => reconcile(context, flags));
};

async function reconcile(context: CommandContext, flags: Flags): Promise<void> {
  if (flags.keys && flags.depth === "count") {
    throw new RivetError("RIVET_CLI_OPTION_UNSUPPORTED", "`--keys` needs `--depth content`", {
      cure: "Leave `--depth count` away",
    });
  }
  const config = await readConfigFile(context, flags.config, flags.param);
  if (flags.output !== undefined) await (await import("./file.ts")).checkOutputFile(flags.output);
  const entry = selectExports(config, flags.export)[0]!;
  const { formatReconcile, reconcileExitCode, reconcileExport } = await import("../verify/mod.ts");
  await using late = await openLateConfigState(context, config.directory);
  const report = await withProgress(context, flags.progress, async (events) => {
    const engine = await buildReconcileContext(context, config, late, events);
    return await reconcileExport(engine, entry, {
      depth: flags.depth,
      keysMax: flags.keys ? flags.keysMax : null,
      runId: flags.runId ?? null,
    });
  });
  const { writeReport } = await import("./file.ts");
  await writeReport(context.terminal, flags, { json: () => jsonPieces(report), text: () => formatReconcile(report) });
  context.setExitCode(reconcileExitCode(report));
}

/** Shows how far the reading is; what comes of it is for the caller to tell. */
export async function withProgress<T>(
  context: CommandContext,
  style: Flags["progress"],
  body: (events: RunContext["events"]) => Promise<T>,
): Promise<T> {
  const watcher = await openProgress(context, style);
  try {
    return await body(watcher.events);
  } finally {
    watcher.end(null);
  }
}

/** The engine's lanes, for reading only. A state that does not exist is refused and not made. */
export async function buildReconcileContext(
  context: CommandContext,
  config: Config,
  late: LateState,
  events: RunContext["events"],
) {
  if (!await late.exists()) {
    const { commandLine } = await import("../config/mod.ts");
    throw new RivetError("RIVET_STATE_CHUNK_RUN_MISSING", "There is no state beside the config", {
      where: config.path,
      cure: `Run the export with \`${
        commandLine("run", config)
      }\`; if it ran elsewhere, point RIVET_STATE_URL to that state`,
    });
  }
  const { compareSliceKeys, rereadSlices } = await import("../run/mod.ts");
  const engine = await buildRunContext(context, config, late, {}, events);
  return {
    ...engine,
    reread: (input: Parameters<typeof rereadSlices>[1]) => rereadSlices(engine, input),
    compareKeys: (
      input: Parameters<typeof compareSliceKeys>[1],
      requests: Parameters<typeof compareSliceKeys>[2],
    ) => compareSliceKeys(engine, input, requests),
  };
}
