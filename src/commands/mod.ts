// The program: one file a command, in the order of `rivet --help`.

import { Command, CommanderError, Help, Option, type OutputConfiguration } from "@commander-js/extra-typings";
import { type ErrorReport, RivetError, toErrorReport, toExitCode, toRivetError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { VERSION } from "../version.ts";
import { type CommandContext, type GlobalOptions, parseCount, type Terminal } from "./command.ts";
import { openQuietTerminal } from "./quiet.ts";
import { addApply } from "./apply.ts";
import { addCheck } from "./check.ts";
import { addInit } from "./init.ts";
import { addCompletions } from "./completions.ts";
import { addDoctor } from "./doctor.ts";
import { addJournal } from "./journal.ts";
import { addMetrics } from "./metrics.ts";
import { addReconcile } from "./reconcile.ts";
import { addPlan } from "./plan.ts";
import { addPermissions } from "./permissions.ts";
import { addRepair } from "./repair.ts";
import { addRun } from "./run.ts";
import { addSchema } from "./schema.ts";
import { addState } from "./state.ts";
import { addValidate } from "./validate.ts";

export interface ProgramOptions {
  readonly terminal: Terminal;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  readonly beforeExit?: (end: () => void) => void;
}

const LOCK_WAIT_S_DEFAULT = 600;
const LOCK_WAIT_EMPTY = "'--lock-wait' has no value";
const LOCK_WAIT_CURE = "Write the seconds after it, for example `--lock-wait 0`";

/** In the order of `rivet --help`: that in which they are used. */
const COMMANDS = [
  addInit,
  addDoctor,
  addCheck,
  addPlan,
  addApply,
  addRun,
  addValidate,
  addReconcile,
  addRepair,
  addState,
  addMetrics,
  addJournal,
  addPermissions,
  addSchema,
  addCompletions,
];

/** Parses the arguments, runs the command, prints what went wrong; resolves to the exit code. */
export function buildProgram(options: ProgramOptions): (args: readonly string[]) => Promise<number> {
  const { runtime } = options;
  return async (args) => {
    let exitCode = 0;
    let reported: ErrorReport | null = null;
    const asJson = args.includes("--json-errors");
    const quiet = asJson ? openQuietTerminal(options.terminal) : null;
    const terminal = quiet?.terminal ?? options.terminal;
    const tell = async (report: ErrorReport) => {
      const { printFailure } = await import("./failure.ts");
      const shown = { ...report, error: hide(report.error) };
      printFailure(options.terminal, shown, quiet === null ? null : quiet.takeWarnings().map((text) => hide(text)));
    };
    const program = new Command("rivet")
      .description("Get tables out of operational databases into files a warehouse can trust")
      .version(VERSION)
      .addOption(new Option("--json-errors", "print a failure as one JSON object on stderr, and no text beside it"))
      .addOption(
        new Option(
          "--lock-wait <seconds>",
          `how long to wait for a run of the same export (default: RIVET_LOCK_WAIT, else ${LOCK_WAIT_S_DEFAULT})`,
        ).argParser(parseCount),
      )
      .addOption(new Option("--no-notify", "send no notifications"))
      .configureOutput(outputOf(terminal))
      .configureHelp({ optionDescription: describeOption })
      .addHelpText(
        "after",
        "\n`rivet <command> --help` has examples. An interrupted run is finished by the same command.",
      )
      .exitOverride();
    const globals = (): GlobalOptions => {
      const flags = program.opts();
      const waitS = flags.lockWait ?? Number(runtime.env("RIVET_LOCK_WAIT") ?? LOCK_WAIT_S_DEFAULT);
      return {
        jsonErrors: flags.jsonErrors === true,
        lockWaitS: Number.isFinite(waitS) ? waitS : LOCK_WAIT_S_DEFAULT,
        notify: flags.notify,
      };
    };
    let hide = (text: string) => text;
    const context: CommandContext = {
      ...options,
      terminal,
      globals,
      onConfig: (config) => hide = config.hide,
      setExitCode: (code) => exitCode = code,
      reportFailure: (report) => reported = report,
    };
    for (const add of COMMANDS) add(program as never, context);
    for (const command of allCommands(program as never)) {
      command.exitOverride().configureOutput(outputOf(terminal));
    }
    try {
      const { own, rest } = liftGlobals(args);
      await program.parseAsync([...own, ...rest], { from: "user" });
      if (asJson && reported !== null) await tell(reported);
      for (const text of quiet?.takeWarnings() ?? []) options.terminal.err(`warning: ${text}\n`);
      return exitCode;
    } catch (error) {
      const failure = toFailure(error, asJson);
      if (failure === null) return (error as CommanderError).exitCode;
      await tell(toErrorReport(failure));
      return toExitCode(failure);
    }
  };
}

/** A group without a command shows its help as an error; messages are printed once, with their code, further down. */
function outputOf(terminal: Terminal): OutputConfiguration {
  return { writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text), outputError: () => {} };
}

/** An empty list as a default tells nothing. */
function describeOption(this: Help, option: Option): string {
  return Help.prototype.optionDescription.call(this, option).replace(/ \(default: (\[\]|\{\})\)$/, "");
}

function* allCommands(command: Command): Generator<Command> {
  for (const child of command.commands as readonly Command[]) {
    yield child;
    yield* allCommands(child);
  }
}

/** Global options are accepted before and after the command. */
function liftGlobals(args: readonly string[]): { own: string[]; rest: string[] } {
  const own: string[] = [];
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") return { own, rest: [...rest, ...args.slice(i)] };
    if (arg === "--json-errors" || arg === "--no-notify" || arg.startsWith("--lock-wait=")) own.push(arg);
    else if (arg === "--lock-wait") {
      const seconds = args[++i];
      if (seconds === undefined) {
        throw new RivetError("RIVET_CLI_VALUE_INVALID", LOCK_WAIT_EMPTY, { cure: LOCK_WAIT_CURE });
      }
      own.push(arg, seconds);
    } else rest.push(arg);
  }
  return { own, rest };
}

/** Null for help and version, which are no failures. */
function toFailure(error: unknown, asJson: boolean): RivetError | null {
  if (!(error instanceof CommanderError)) return toRivetError(error);
  if (asJson && error.code === "commander.help" && error.exitCode !== 0) {
    return new RivetError("RIVET_CLI_VALUE_INVALID", "The command is missing", {
      cure: "Run it with --help to see which there are",
    });
  }
  if (error.exitCode === 0 || error.code === "commander.help") return null;
  const [message, ...more] = error.message.replace(/^error: /, "").trim().split("\n");
  return new RivetError("RIVET_CLI_VALUE_INVALID", message ?? "Unusable arguments", {
    cure: more.length > 0 ? more.join(" ").replace(/[()]/g, "") : "Run the command with --help to see what it takes",
  });
}
