// `rivet repair`: chunks that are not what the source holds, or whose files are damaged, read again. Without `--execute` only a plan.

import { Option } from "@commander-js/extra-typings";
import { type ErrorReport, RivetError, worstExitCode } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";
import type { Config, Export } from "../config/mod.ts";
import type { RunSummary } from "../report/mod.ts";
import type { RepairPlan } from "../verify/mod.ts";
import { leaveReports } from "./aftermath.ts";
import {
  type AddCommand,
  type CommandContext,
  jsonPieces,
  openLateConfigState,
  openProgress,
  PARAM_OPTION,
  placeOf,
  progressOption,
  readConfigFile,
  selectExports,
} from "./command.ts";
import { buildReconcileContext, withProgress } from "./reconcile.ts";

interface Flags {
  config: string;
  export: string;
  param: Record<string, string>;
  report?: string | undefined;
  execute?: true | undefined;
  depth: "count" | "content" | "rows";
  format: "pretty" | "json";
  json?: true | undefined;
  output?: string | undefined;
  progress: "auto" | "plain" | "json" | "none";
}

const EXAMPLES = `
Examples:
  rivet repair -c rivet.yaml -e orders                                    what is wrong now, and what would be read again
  rivet repair -c rivet.yaml -e orders --report reconcile.json            the same from a report; asks nothing
  rivet repair -c rivet.yaml -e orders --report reconcile.json --execute  does it
New files lie beside the old ones, which the manifest marks superseded; read through the manifest. Exit 0: nothing remains.
Exit 3: something is still wrong. An interrupted repair is finished by the same command; until then the old set is whole.`;

export const addRepair: AddCommand = (program, context) => {
  program.command("repair")
    .description("Read the bad chunks of an export again")
    .requiredOption("-c, --config <file>", "config file")
    .requiredOption("-e, --export <name>", "the export")
    .option(...PARAM_OPTION)
    .option(
      "--report <file>",
      "what `rivet reconcile -o` or `rivet validate -o` wrote; without it, source and files are compared now",
    )
    .option("--execute", "read the chunks again; without it nothing is changed")
    .addOption(
      new Option("--depth <depth>", "without --report, what is compared: see `rivet reconcile`")
        .choices(["count", "content", "rows"] as const).default("content" as const),
    )
    .option("-o, --output <file>", "write plan or result as JSON")
    .addOption(
      new Option("--format <format>", "the form on stdout; `json` with -o prints nothing")
        .choices(["pretty", "json"] as const).default("pretty" as const),
    )
    .option("--json", "print plan or result as JSON on stdout")
    .addOption(progressOption())
    .addHelpText("after", EXAMPLES)
    .action((flags) => repair(context, flags));
};

async function repair(context: CommandContext, flags: Flags): Promise<void> {
  const config = await readConfigFile(context, flags.config, flags.param);
  if (flags.output !== undefined) await (await import("./file.ts")).checkOutputFile(flags.output);
  const entry = selectExports(config, flags.export)[0]!;
  const [verify, { commandLine }] = await Promise.all([import("../verify/mod.ts"), import("../config/mod.ts")]);
  const report = flags.report === undefined ? null : verify.parseGivenReport(
    await readReport(flags.report),
    flags.report,
    entry.name,
    commandLine("reconcile", placeOf(flags), { exportName: entry.name, flags: "-o reconcile.json" }),
  );
  await using late = await openLateConfigState(context, config.directory);
  const { engine, plan } = await withProgress(context, flags.progress, async (events) => {
    const engine = await buildReconcileContext(context, config, late, events);
    return { engine, plan: await verify.planRepair(engine, entry, { report, depth: flags.depth }) };
  });
  const { formatRepairPlan, formatRepairReport } = verify;
  if (!flags.execute) return await write(context, flags, plan, formatRepairPlan(plan));
  const done = await execute(context, config, entry, flags, { engine, plan });
  await write(context, flags, done.report, formatRepairReport(done.report));
  setExit(context, done.report.summary.remaining, done.summaries);
}

/** Runs the plan while it is shown how far it is. */
async function execute(
  context: CommandContext,
  config: Config,
  entry: Export,
  flags: Flags,
  { engine, plan }: {
    engine: Awaited<ReturnType<typeof buildReconcileContext>>;
    plan: RepairPlan;
  },
) {
  const [{ executeRepair }, { aggregate, repairUnit }, { openNotes }] = await Promise.all([
    import("../verify/mod.ts"),
    import("../run/mod.ts"),
    import("../report/mod.ts"),
  ]);
  const watcher = await openProgress(context, flags.progress);
  const began = context.runtime.now();
  const notes = openNotes();
  const events: typeof watcher.events = (event) => {
    notes.events(event);
    watcher.events(event);
  };
  const done = await executeRepair(
    engine,
    entry,
    plan,
    (request) => repairUnit({ ...engine, events }, request),
  );
  watcher.end(aggregate(engine, began, done.summaries, "sequential"));
  await leaveReports(context, done.summaries, { config, notes });
  return done;
}

async function readReport(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new RivetError("RIVET_CLI_INPUT_UNREADABLE", `The report cannot be read: ${describeFileFault(cause)}`, {
      where: path,
      cause,
    });
  }
}

async function write({ terminal }: CommandContext, flags: Flags, value: object, text: string): Promise<void> {
  const { writeReport } = await import("./file.ts");
  await writeReport(terminal, flags, { json: () => jsonPieces(value), text: () => text });
}

/** What remains is wrong data; what stopped a repair says whether to try again. */
function setExit(context: CommandContext, remaining: number, summaries: readonly RunSummary[]): void {
  const errors = summaries.flatMap(({ error }) => error === null ? [] : [error]);
  const failed = worstExitCode(errors.map((error) => error.exit_code));
  const code = failed !== 0 ? failed : remaining > 0 ? 3 : 0;
  context.setExitCode(code);
  const worst = errors.find((error) => error.exit_code === code);
  if (worst !== undefined) context.reportFailure(worst as ErrorReport);
}
