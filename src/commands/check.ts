// `rivet check`: what a run would do, how the server would take it, and what becomes of each column. It reads no rows and writes nothing.

import { RivetError, toExitCode, worstExitCode } from "../errors.ts";
import type { Config, Export } from "../config/mod.ts";
import type { Examination, TypeReport } from "../plan/mod.ts";
import type { State } from "../state/mod.ts";
import type { Target } from "../types/mod.ts";
import { VERSION } from "../version.ts";
import {
  type AddCommand,
  type CommandContext,
  orStopped,
  PARAM_OPTION,
  placeOf,
  readConfigFile,
  readConfigState,
  selectExports,
} from "./command.ts";
import { LIMITS, openMore } from "./survey.ts";

interface CheckFlags {
  config: string;
  export?: string | undefined;
  param: Record<string, string>;
  typeReport?: true | undefined;
  strict?: true | undefined;
  target?: string | undefined;
  json?: true | undefined;
}

const EXAMPLES = `
Examples:
  rivet check -c rivet.yaml                              strategy, estimates, index use and a verdict for each export
  rivet check -c rivet.yaml -e orders --type-report      also what each column becomes
  rivet check -c rivet.yaml --target bigquery --strict   fail on columns that the file or the warehouse cannot keep
Verdicts are advice: only an export that cannot be planned, and --strict, make the command fail.`;

export const addCheck: AddCommand = (program, context) => {
  program.command("check")
    .description("Look at the exports of a config before they run: strategy, cost, types")
    .requiredOption("-c, --config <file>", "config file")
    .option("-e, --export <name>", "only this export")
    .option(...PARAM_OPTION)
    .option("--type-report", "what each column becomes")
    .option("--target <warehouse>", "and in bigquery, snowflake, duckdb or clickhouse")
    .option("--strict", "fail when a column would lose something")
    .option("--json", "one JSON object a line, one line an export")
    .addHelpText("after", EXAMPLES)
    .action((flags) => checkCommand(context, flags));
};

/** One export as the command reports it. */
export interface CheckedExport {
  readonly examination: Examination;
  /** Null when it was not asked for, or the columns are unknown. */
  readonly types: TypeReport | null;
  readonly target: Target | null;
  readonly errors: readonly RivetError[];
}

async function checkCommand(context: CommandContext, flags: CheckFlags): Promise<void> {
  const target = await readTarget(flags.target);
  const config = await readConfigFile(context, flags.config, flags.param);
  const exports = selectExports(config, flags.export);
  const [{ formatChecked, LEGEND }, { toJsonLine }] = await Promise.all([
    import("./check_text.ts"),
    import("./check_json.ts"),
  ]);
  await using state = await readConfigState(context, config.directory);
  const failures: RivetError[] = [];
  let shown = 0;
  for await (const one of checkAll(context, config, exports, state, flags, target)) {
    failures.push(...one.errors);
    context.terminal.out(flags.json ? `${JSON.stringify(toJsonLine(one))}\n` : formatChecked(one, shown++ > 0));
  }
  if (failures.length > 0) throw representative(failures);
  if (flags.json) return;
  context.terminal.out(LEGEND);
  const { commandLine } = await import("../config/mod.ts");
  const more = { exportName: flags.export };
  const run = commandLine("run", placeOf(flags), { ...more, flags: "--validate" });
  context.terminal.out(`\nNext: ${commandLine("doctor", placeOf(flags), more)}, then ${run}\n`);
}

/** In the order of the config, on several connections where there are many exports. */
async function* checkAll(
  context: CommandContext,
  config: Config,
  exports: readonly Export[],
  state: State,
  flags: CheckFlags,
  target: Target | null,
): AsyncGenerator<CheckedExport> {
  const { openSource } = await import("../source/mod.ts");
  const connection = await config.source.resolveConnection();
  const first = await orStopped(openSource(connection, LIMITS), context.signal);
  const sources = [first];
  try {
    if (first.proxy) context.terminal.err(`warning: ${first.proxy} stands between rivet and the server\n`);
    sources.push(...await openMore(connection, exports.length));
    // One after the other on each connection: export n waits for the connection that export n - k has.
    const free = sources.map(() => Promise.resolve());
    const results = exports.map((entry, i) => {
      const source = sources[i % sources.length]!;
      const result = free[i % free.length]!.then(() =>
        context.signal.aborted
          ? Promise.reject(new Error("stopped"))
          : checkExport(context, { config, entry, state, source, flags, target })
      );
      free[i % free.length] = result.then(() => {}, () => {});
      return result;
    });
    for (const result of results) result.catch(() => {});
    for (const result of results) yield await orStopped(result, context.signal);
  } finally {
    for (const source of sources) await source[Symbol.asyncDispose]();
  }
}

async function readTarget(text: string | undefined): Promise<Target | null> {
  if (text === undefined) return null;
  const { parseTarget, TARGETS } = await import("../types/mod.ts");
  const target = parseTarget(text);
  if (target !== null) return target;
  throw new RivetError("RIVET_CONFIG_TARGET_UNKNOWN", `There is no target '${text}'`, {
    where: "--target",
    cure: `Choose one of: ${TARGETS.join(", ")}`,
  });
}

interface CheckInput {
  readonly config: Config;
  readonly entry: Export;
  readonly state: State;
  readonly source: Awaited<ReturnType<typeof import("../source/mod.ts").openSource>>;
  readonly flags: CheckFlags;
  readonly target: Target | null;
}

async function checkExport(context: CommandContext, input: CheckInput): Promise<CheckedExport> {
  const { config, entry, state, source, flags } = input;
  const { buildTypeReport, examineExport } = await import("../plan/mod.ts");
  const memory = {
    cursor: await state.cursor({ exportName: entry.name, source: config.source.identity }),
    metrics: await state.metrics({ exportName: entry.name, limit: 20 }),
  };
  const planContext = { config, source, runtime: context.runtime, version: VERSION, strict: false };
  const examination = await examineExport(planContext, entry, memory);
  const errors = examination.errors.map((error) => placed(error, entry, config.hide));
  await checkDestination(examination, errors);
  const target = input.target ?? entry.target;
  const isWanted = flags.typeReport || flags.strict || flags.json || input.target !== null;
  const types = isWanted && examination.columns !== null
    ? buildTypeReport(entry.name, examination.columns, target, flags.strict === true)
    : null;
  if (types !== null && errors.length === 0) errors.push(...typeErrors(entry, types, flags));
  return { examination, types, target, errors };
}

/**
 * With the export in its place, for of several one cannot tell otherwise which it was, and without the values that were filled into
 * the config: a server repeats them.
 */
function placed(error: RivetError, entry: Export, hide: (text: string) => string): RivetError {
  const name = `export '${entry.name}'`;
  const { code, message, cure, retry, cause } = error;
  const where = error.where === null ? name : error.where.includes(name) ? error.where : `${name}, ${error.where}`;
  return new RivetError(code, hide(message), { where, cure, retry, cause });
}

/** Reads the credentials and looks at the place's form; writes nothing. */
async function checkDestination({ diagnosis }: Examination, errors: RivetError[]): Promise<void> {
  if (diagnosis === null) return;
  const { openDestination } = await import("../destination/mod.ts");
  try {
    await using _destination = await openDestination(diagnosis.task.destination);
  } catch (error) {
    if (!(error instanceof RivetError)) throw error;
    errors.push(error);
  }
}

function typeErrors(entry: Export, types: TypeReport, flags: CheckFlags): RivetError[] {
  const where = `export '${entry.name}'`;
  const fatal = types.violations.filter((violation) => violation.isFatal);
  if (fatal.length > 0) {
    return [
      new RivetError("RIVET_TYPE_UNSAFE_MAPPING", fatal.map(({ message }) => message).join("; "), { where }),
    ];
  }
  if (!flags.strict || types.targetFailures.length === 0) return [];
  const columns = types.targetFailures.map((name) => `'${name}'`).join(", ");
  return [new RivetError("RIVET_TYPE_UNSAFE_MAPPING", `The target cannot hold ${columns}`, { where })];
}

/** The most stop-worthy failure; the others are named with it. */
function representative(failures: readonly RivetError[]): RivetError {
  const exit = worstExitCode(failures.map(toExitCode));
  const worst = failures.find((failure) => toExitCode(failure) === exit)!;
  const others = failures.filter((failure) => failure !== worst);
  if (others.length === 0) return worst;
  const also = others.map(({ code, where }) => `${code}${where === null ? "" : ` in ${where}`}`).join(", ");
  return new RivetError(worst.code, `${worst.message} (also: ${also})`, {
    ...(worst.where === null ? {} : { where: worst.where }),
    cure: worst.cure,
    retry: worst.retry,
    cause: worst,
  });
}
