// `rivet plan`: what a run would do, sealed so that `rivet apply` does exactly that. It reads catalogs and bounds and writes only what it is told to.

import { Option } from "@commander-js/extra-typings";
import { RivetError } from "../errors.ts";
import type { Config, Export } from "../config/mod.ts";
import type { Campaign, PlanArtifact, PlannedExport, Proposal, Recommendation } from "../plan/mod.ts";
import type { SourceConnection } from "../source/mod.ts";
import { VERSION } from "../version.ts";
import {
  type AddCommand,
  type CommandContext,
  PARAM_OPTION,
  parseCount,
  parseDay,
  readConfigFile,
  readConfigState,
  selectExports,
} from "./command.ts";
import { gravest, surveyExports } from "./survey.ts";

interface PlanFlags {
  config: string;
  export?: string | undefined;
  param: Record<string, string>;
  output?: string | undefined;
  format: "pretty" | "json";
  json?: true | undefined;
  date?: string | undefined;
  sample?: number | undefined;
  strict?: true | undefined;
  annotateWaves?: true | undefined;
}

const EXAMPLES = `
Examples:
  rivet plan -c rivet.yaml                                what each export would do, and in which order to run them
  rivet plan -c rivet.yaml --format json -o plan.json     seal it; then: rivet apply plan.json
  rivet plan -c rivet.yaml -o plan.json --date 2026-04-18 with {date} frozen to that day
  rivet plan -c rivet.yaml --annotate-waves               write wave: and parallel_safe: into the config
A plan holds no secret and no parameter value: apply needs the same environment and the same --param.`;

export const addPlan: AddCommand = (program, context) => {
  program.command("plan")
    .description("Show what a run would do, and seal it for `rivet apply`")
    .requiredOption("-c, --config <file>", "config file")
    .option("-e, --export <name>", "only this export")
    .option(...PARAM_OPTION)
    .option("-o, --output <file>", "write the plan of all exports as one JSON file")
    .addOption(
      new Option("--format <form>", "what to print").choices(["pretty", "json"] as const).default("pretty" as const),
    )
    .option("--json", "the same as --format json")
    .option("--date <YYYY-MM-DD>", "freeze {date} to this day; without it, it is the day of `apply`", parseDay)
    .option("--sample <rows>", "read so many rows of each export to estimate sizes", parseCount)
    .option("--strict", "refuse columns that would lose something")
    .option("--annotate-waves", "write the recommended `wave:` and `parallel_safe:` into the config")
    .addHelpText("after", EXAMPLES)
    .action((flags) => planCommand(context, flags));
};

async function planCommand(context: CommandContext, flags: PlanFlags): Promise<void> {
  checkFlags(flags);
  const config = await readConfigFile(context, flags.config, flags.param);
  if (flags.output !== undefined) await (await import("./file.ts")).checkOutputFile(flags.output);
  const exports = selectExports(config, flags.export);
  if (exports.length === 0) throw new RivetError("RIVET_PLAN_NOTHING_TO_PLAN", "The config has no export to plan");
  const asJson = flags.json === true || flags.format === "json";
  if (asJson || flags.output !== undefined) checkSealable(exports);
  await using state = await readConfigState(context, config.directory);
  const sampleRows = flags.sample ?? null;
  const survey = await surveyExports(context, { config, exports, state, sampleRows, strict: flags.strict === true });
  if (survey.failures.length > 0) await refuse(context, survey.failures);
  const plan = await buildPlan(context, config, survey, flags);
  if (flags.output !== undefined) await writePlan(context, plan, flags.output);
  else if (asJson) await printPlan(context, plan);
  if (!asJson) {
    const { formatPlan } = await import("./plan_text.ts");
    context.terminal.out(formatPlan(plan, await nextSteps(plan, flags)));
  }
  if (flags.annotateWaves) await annotate(context, config, plan);
}

async function nextSteps({ parameters }: PlanArtifact, { config, output }: PlanFlags): Promise<string> {
  const { applyLine, commandLine } = await import("../config/mod.ts");
  if (output !== undefined) return applyLine(output, parameters);
  const plan = commandLine("plan", { path: config, parameters }, { flags: "-o plan.json" });
  return `${plan}, then ${applyLine("plan.json", parameters)}`;
}

function checkFlags(flags: PlanFlags): void {
  const refuseFlag = (message: string, cure: string) => new RivetError("RIVET_CLI_VALUE_INVALID", message, { cure });
  if (flags.annotateWaves && flags.export !== undefined) {
    throw refuseFlag("`--annotate-waves` orders all exports, `--export` names one", "Leave one of them out");
  }
  if (flags.sample !== undefined && (flags.sample < 1 || flags.sample > SAMPLE_ROWS_MAX)) {
    throw refuseFlag(
      `\`--sample\` is ${flags.sample}`,
      `Give a number of rows from 1 to ${SAMPLE_ROWS_MAX}`,
    );
  }
}

/** Standard output takes one export: a plan of several could not be applied. */
function checkSealable(exports: readonly Export[]): void {
  const stream = exports.find((entry) => entry.destination.kind === "stdout");
  if (stream === undefined || exports.length === 1) return;
  throw new RivetError("RIVET_PLAN_REJECTED", `${exports.length} exports, and '${stream.name}' writes to stdout`, {
    where: `export '${stream.name}'`,
    cure: `Seal it alone: \`-e ${stream.name}\``,
  });
}

const SAMPLE_ROWS_MAX = 1_000_000;

/** Every failure is shown, the gravest is thrown: a plan of the rest would not be the plan of the config. */
async function refuse(context: CommandContext, failures: readonly RivetError[]): Promise<never> {
  const worst = gravest(failures);
  const { printFailure } = await import("./failure.ts");
  const { toErrorReport } = await import("../errors.ts");
  for (const error of failures) {
    if (error !== worst && !context.globals().jsonErrors) printFailure(context.terminal, toErrorReport(error), null);
  }
  throw worst;
}

interface Surveyed {
  readonly proposals: readonly Proposal[];
  readonly connection: SourceConnection;
}

async function buildPlan(
  context: CommandContext,
  config: Config,
  { proposals, connection }: Surveyed,
  flags: PlanFlags,
): Promise<PlanArtifact> {
  const { ARTIFACT_FORMAT, EXPIRES_AFTER_MS, orderExports, sealArtifact, toOrderInput } = await import(
    "../plan/mod.ts"
  );
  const { recommendations, campaign } = orderExports(proposals.map(toOrderInput));
  const recommended = new Map(recommendations.map((one) => [one.export_name, one]));
  const nowMs = context.runtime.now();
  const { text, queryFiles, redacted } = config.seal();
  for (const key of redacted) {
    const effect = key.startsWith("source.") ? "it cannot be applied" : "nobody will be notified";
    context.terminal.err(`warning: a plan does not hold the secret in \`${key}\`: ${effect}\n`);
  }
  const exports: PlannedExport[] = [];
  for (const proposal of proposals) {
    const recommendation = recommended.get(proposal.entry.name)!;
    exports.push(await plannedExport(context, config, connection, proposal, recommendation, flags.date ?? null));
  }
  return sealArtifact({
    rivet_plan: ARTIFACT_FORMAT,
    rivet_version: VERSION,
    plan_id: crypto.randomUUID().replaceAll("-", ""),
    created_at: new Date(nowMs).toISOString(),
    expires_at: new Date(nowMs + EXPIRES_AFTER_MS).toISOString(),
    config_path: config.path,
    date: flags.date ?? null,
    parameters: Object.keys(flags.param).sort(),
    source: {
      type: config.source.engine,
      identity: config.hide(config.source.identity),
      written: { ...config.source.redacted },
    },
    config: { text, query_files: { ...queryFiles }, redacted: [...redacted] },
    exports,
    campaign: toPlain(campaign),
  });
}

function toPlain(campaign: Campaign): PlanArtifact["campaign"] {
  return structuredClone(campaign) as PlanArtifact["campaign"];
}

async function plannedExport(
  context: CommandContext,
  config: Config,
  connection: SourceConnection,
  proposal: Proposal,
  recommendation: Recommendation,
  date: string | null,
): Promise<PlannedExport> {
  const [{ toPlannedExport }, { lanePermissions }, { describeDestination, resolveDestination }] = await Promise.all([
    import("../plan/mod.ts"),
    import("../run/mod.ts"),
    import("../destination/mod.ts"),
  ]);
  const { entry } = proposal;
  // What is only known when it is applied stays a placeholder.
  const values = { date: date ?? "{date}", export: entry.name, table: entry.name, partition: null, runId: null };
  const destination = resolveDestination(entry.destination, values, context.runtime);
  const { net, read, write, sys } = lanePermissions(connection, destination);
  const list = (value: unknown): string[] => Array.isArray(value) ? value.map(String) : [];
  return toPlannedExport({
    proposal,
    recommendation,
    permissions: { net: list(net), read: list(read), write: list(write), sys: list(sys) },
    output: describeDestination(destination),
    hide: config.hide,
  });
}

async function writePlan(context: CommandContext, plan: PlanArtifact, path: string): Promise<void> {
  const { formatArtifact } = await import("../plan/mod.ts");
  const [{ writeOutputFile }, { applyLine }] = await Promise.all([import("./file.ts"), import("../config/mod.ts")]);
  await writeOutputFile(path, formatArtifact(plan));
  context.terminal.err(`The plan is written to ${path}; run it with \`${applyLine(path, plan.parameters)}\`\n`);
}

async function printPlan(context: CommandContext, plan: PlanArtifact): Promise<void> {
  const { formatArtifact } = await import("../plan/mod.ts");
  let piece = "";
  for (const token of formatArtifact(plan)) {
    piece += token;
    if (piece.length < 1 << 16) continue;
    context.terminal.out(piece);
    piece = "";
  }
  context.terminal.out(piece);
}

async function annotate(context: CommandContext, config: Config, plan: PlanArtifact): Promise<void> {
  const [{ annotateWaves }, { writeOutputFile }] = await Promise.all([import("../config/mod.ts"), import("./file.ts")]);
  const notes = new Map(plan.exports.map(({ export_name: name, prioritization }) => [name, {
    wave: prioritization.recommended_wave,
    parallelSafe: prioritization.parallel_safe,
  }]));
  const text = await Deno.readTextFile(config.path);
  const annotated = annotateWaves(text, notes, config.path);
  if (annotated !== text) await writeOutputFile(config.path, annotated);
  const what = notes.size === 1 ? "1 export is" : `${notes.size} exports are`;
  context.terminal.err(`wave and parallel_safe of ${what} written into ${config.path}\n`);
}
