// `rivet apply`: does what a sealed plan says, or the exports of a config in the order of their waves. Doing it again finishes what was interrupted.

import { Option } from "@commander-js/extra-typings";
import { dirname, resolve } from "node:path";
import { RivetError } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";
import type { Config, Export } from "../config/mod.ts";
import type { PlanArtifact } from "../plan/mod.ts";
import type { AggregateSummary } from "../report/mod.ts";
import type { Stage } from "../run/mod.ts";
import {
  type AddCommand,
  collectParams,
  type CommandContext,
  parseCount,
  progressOption,
  readConfigFile,
} from "./command.ts";
import { executeExports, type ExecutionFlags } from "./execution.ts";

interface ApplyFlags extends ExecutionFlags {
  param: Record<string, string>;
  parallelExportProcesses?: true | undefined;
  pool?: number | undefined;
  split?: true | undefined;
}

const EXAMPLES = `
Examples:
  rivet apply plan.json                              run exactly what rivet plan sealed
  rivet apply plan.json --force                      also when it is older than a day or the cursor moved
  rivet apply rivet.yaml                             all exports, wave by wave
  rivet apply rivet.yaml --parallel-export-processes and the cheap ones of a wave beside each other
  rivet apply rivet.yaml --resume                    only what is not complete yet
Applying again finishes what was interrupted; what a plan did already is not done twice.`;

export const addApply: AddCommand = (program, context) => {
  program.command("apply")
    .description("Run a sealed plan, or a config wave by wave")
    .argument("<plan.json | config.yaml>", "what `rivet plan` wrote, or a config")
    .option(
      "-p, --param <name=value>",
      "fill ${name}; a plan needs the values it was made with; repeatable",
      collectParams,
      {} as Record<string, string>,
    )
    .option("--force", "apply a plan that is too old or whose cursor moved; with --resume also over complete prefixes")
    .option("--resume", "leave out exports whose prefix is complete, finish or run the others")
    .option("--parallel-export-processes", "run the `parallel_safe` exports of a wave beside each other")
    .option("--pool <count>", "the same with at most so many at once", parseCount)
    .addOption(new Option("--split", "accepted: `parallel` already divides a long export").hideHelp())
    .option("--validate", "check every stored file before the manifest is published")
    .option("--reconcile", "count the source's rows in the same picture and compare; includes --validate")
    .option("--strict", "refuse columns that would lose something, before reading")
    .option("--summary-output <file>", "write the summary as JSON")
    .option("--json", "print the summary as JSON on stdout")
    .addOption(progressOption())
    .addHelpText("after", EXAMPLES)
    .action((path, flags) => applyCommand(context, path, flags as ApplyFlags));
};

async function applyCommand(context: CommandContext, path: string, flags: ApplyFlags): Promise<void> {
  if (flags.split) context.terminal.err("warning: `--split` does nothing: `parallel` divides a long export\n");
  const json = await readArtifactText(path);
  if (json === null) return await applyConfig(context, path, flags);
  const { parseArtifact } = await import("../plan/mod.ts");
  await applyPlan(context, parseArtifact(json, path), path, flags);
}

/** The file's text when it is meant as a plan, null when it is a config. */
async function readArtifactText(path: string): Promise<string | null> {
  const isNamedJson = path.toLowerCase().endsWith(".json");
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    // A config that cannot be read is for its own reader to refuse.
    if (!isNamedJson) return null;
    throw new RivetError("RIVET_CLI_INPUT_UNREADABLE", `The plan cannot be read: ${describeFileFault(cause)}`, {
      where: path,
      cause,
    });
  }
  return isNamedJson || /^\s*\{\s*"/.test(text) ? text : null;
}

async function applyPlan(context: CommandContext, plan: PlanArtifact, path: string, flags: ApplyFlags): Promise<void> {
  const secret = plan.config.redacted.find((key) => key.startsWith("source."));
  if (secret !== undefined) {
    throw new RivetError(
      "RIVET_PLAN_ARTIFACT_NO_CREDENTIALS",
      `The plan was made from the secret in \`${secret}\`, which it does not hold`,
      { where: path },
    );
  }
  const ageMs = context.runtime.now() - Date.parse(plan.created_at);
  if (ageMs >= WARN_AGE_MS) {
    context.terminal.err(`warning: the plan is ${Math.floor(ageMs / 60_000)} minutes old\n`);
  }
  const config = await readPlanConfig(context, plan, path, flags.param);
  const { toUnits } = await import("../plan/mod.ts");
  const applied = toUnits(plan, config, { path, forced: flags.force === true });
  const byName = new Map(config.exports.map((entry) => [entry.name, entry]));
  // A plan says in which order its exports run.
  const exports = plan.campaign.ordered_exports.flatMap((name) => byName.get(name) ?? []);
  const waves = new Map(plan.exports.map((one) => [one.export_name, {
    wave: one.prioritization.recommended_wave,
    parallelSafe: one.prioritization.parallel_safe,
  }]));
  const stages = toStages(exports, (entry) => waves.get(entry.name) ?? null, flags);
  await executeExports(context, {
    config,
    exports,
    // `--force` means age and cursor here; nothing of the kind is asked of the engine.
    flags: { ...flags, resume: undefined, force: undefined },
    adapt: (runContext) => ({ ...runContext, applied }),
    run: (runContext) => runStagesOf(context, runContext, stages, flags),
    // A plan may be applied far from where its config lies: its reports stay with it.
    reportDirectory: dirname(resolve(path)),
    annotate: (aggregate) => ({ apply_context: toApplyContext(plan, aggregate, ageMs, flags) }),
  });
}

const WARN_AGE_MS = 3_600_000;
const DAY_MS = 24 * 3_600_000;

function toApplyContext(plan: PlanArtifact, aggregate: AggregateSummary, ageMs: number, flags: ApplyFlags) {
  const forced = flags.force === true;
  const hasAged = plan.exports.some(({ strategy }) => strategy !== "incremental") && ageMs >= DAY_MS;
  const hasMoved = aggregate.per_export.some(({ warnings }) => warnings.some((text) => text.startsWith("forced: ")));
  return {
    plan_id: plan.plan_id,
    forced,
    force_bypassed: [...(forced && hasAged ? ["staleness"] : []), ...(hasMoved ? ["cursor_drift"] : [])],
  };
}

/** The config that the plan holds; the file it was made from is not read again. */
async function readPlanConfig(
  context: CommandContext,
  plan: PlanArtifact,
  path: string,
  params: Record<string, string>,
): Promise<Config> {
  const missing = plan.parameters.filter((name) =>
    params[name] === undefined && context.runtime.env(name) === undefined
  );
  if (missing.length > 0) {
    throw new RivetError("RIVET_CONFIG_SECRET_UNSET", `The plan needs the value of '${missing[0]}' again`, {
      where: path,
      cure: `Give ${missing.map((name) => `\`--param ${name}=VALUE\``).join(" ")} as when it was made`,
    });
  }
  const { readSealedConfig } = await import("../config/mod.ts");
  const home = await homeOf(context, plan, path);
  const { text, query_files: queryFiles, redacted } = plan.config;
  const options = { params, runtime: context.runtime };
  const config = await readSealedConfig(home, { text, queryFiles, redacted }, options);
  for (const warning of config.warnings) context.terminal.err(`warning: ${warning}\n`);
  const identity = config.hide(config.source.identity);
  if (identity !== plan.source.identity) {
    throw new RivetError(
      "RIVET_PLAN_ARTIFACT_FOREIGN",
      `The plan was made for '${plan.source.identity}', the source is now '${identity}'`,
      { where: path },
    );
  }
  // A webhook whose URL stood in the config is not in the plan, and nobody is told.
  return redacted.length > 0 ? { ...config, notifications: null } : config;
}

/** Relative paths and the state belong to the folder of the config; where that is gone, to the plan's. */
async function homeOf(context: CommandContext, plan: PlanArtifact, path: string): Promise<string> {
  const folder = dirname(plan.config_path);
  if (await Deno.stat(folder).then((info) => info.isDirectory, () => false)) return plan.config_path;
  const here = resolve(dirname(path), plan.config_path.slice(folder.length + 1));
  context.terminal.err(
    `warning: the config's folder '${folder}' is not here: paths and state are in the plan's folder\n`,
  );
  return here;
}

async function applyConfig(context: CommandContext, path: string, flags: ApplyFlags): Promise<void> {
  if (flags.force && !flags.resume) context.terminal.err("warning: `--force` does nothing without `--resume`\n");
  const config = await readConfigFile(context, path, flags.param);
  const waveOf = config.exports.every((entry) => entry.wave === null)
    ? await workOutWaves(context, config)
    : (entry: Export) => entry.wave === null ? null : { wave: entry.wave, parallelSafe: entry.parallelSafe };
  const stages = toStages(config.exports, waveOf, flags);
  await executeExports(context, {
    config,
    exports: config.exports,
    flags: { ...flags, resume: undefined, force: undefined },
    adapt: (runContext) => ({
      ...runContext,
      options: { ...runContext.options, skipComplete: flags.resume === true && flags.force !== true },
    }),
    run: (runContext) => runStagesOf(context, runContext, stages, flags),
  });
}

interface Wave {
  readonly wave: number;
  readonly parallelSafe: boolean;
}

type WaveOf = (entry: Export) => Wave | null;

/** What `plan` would recommend. An export that cannot be planned comes last and fails as it would have. */
async function workOutWaves(context: CommandContext, config: Config): Promise<WaveOf> {
  if (config.exports.length < 2) return (entry) => ({ wave: 1, parallelSafe: entry.parallelSafe });
  const [{ orderExports, toOrderInput }, { surveyExports }, { readConfigState }] = await Promise.all([
    import("../plan/mod.ts"),
    import("./survey.ts"),
    import("./command.ts"),
  ]);
  await using state = await readConfigState(context, config.directory);
  const { exports } = config;
  const { proposals } = await surveyExports(context, { config, exports, state, sampleRows: null, strict: false });
  const { recommendations } = orderExports(proposals.map(toOrderInput));
  const found = new Map(recommendations.map((one) => [one.export_name, {
    wave: one.recommended_wave,
    parallelSafe: one.parallel_safe,
  }]));
  return (entry) => found.get(entry.name) ?? null;
}

interface LabelledStage extends Stage {
  /** Null continues the wave before. */
  readonly title: string | null;
}

/** Lowest wave first, the unscheduled last. Side by side run only those that are safe to; the heavy ones go before them, one by one. */
function toStages(exports: readonly Export[], waveOf: WaveOf, flags: ApplyFlags): LabelledStage[] {
  const waves = new Map<number, Export[]>();
  for (const entry of exports) {
    const wave = waveOf(entry)?.wave ?? Infinity;
    waves.set(wave, [...waves.get(wave) ?? [], entry]);
  }
  const limit = flags.pool ?? (flags.parallelExportProcesses ? EXPORTS_BESIDE_MAX : 1);
  return [...waves].sort(([a], [b]) => a - b).flatMap(([wave, members]): LabelledStage[] => {
    const name = wave === Infinity ? "unscheduled" : `wave ${wave}`;
    const title = `── ${name} · ${members.length} export(s) ──`;
    if (limit <= 1) return [{ title, exports: members, parallel: 1 }];
    const isSafe = (entry: Export) => waveOf(entry)?.parallelSafe === true;
    const heavy = members.filter((entry) => !isSafe(entry));
    const safe = members.filter(isSafe);
    const stages = [{ title, exports: heavy, parallel: 1 }, { title: null, exports: safe, parallel: limit }]
      .filter((stage) => stage.exports.length > 0);
    return stages.map((stage, index) => ({ ...stage, title: index === 0 ? title : null }));
  });
}

const EXPORTS_BESIDE_MAX = 16;

type RunContext = Parameters<typeof import("../run/mod.ts").runStages>[0];

async function runStagesOf(
  context: CommandContext,
  runContext: RunContext,
  stages: readonly LabelledStage[],
  flags: ApplyFlags,
): Promise<AggregateSummary> {
  const { runStages } = await import("../run/mod.ts");
  const beside = flags.pool !== undefined || flags.parallelExportProcesses === true;
  const mode = beside ? "wave-parallel-processes" : "wave-sequential";
  // One wave alone needs no heading, and standard output may be the summary's or an export's.
  const isQuiet = flags.json === true || stages.filter(({ title }) => title !== null).length < 2;
  return await runStages(runContext, stages, mode, (index) => {
    const { title } = stages[index]!;
    if (title !== null && !isQuiet) context.terminal.out(`${title}\n`);
  });
}
