// `rivet validate`: stored files against what their manifests say. Reads the destination only; changes nothing, asks no source.

import { Option } from "@commander-js/extra-typings";
import { RivetError, toErrorReport } from "../errors.ts";
import type { Depth } from "../verify/mod.ts";
import {
  type AddCommand,
  type CommandContext,
  PARAM_OPTION,
  parseDay,
  placeOf,
  readConfigFile,
  selectExports,
  toJson,
} from "./command.ts";

interface Flags {
  config: string;
  export?: string | undefined;
  param: Record<string, string>;
  depth: Depth;
  date?: string | undefined;
  runId?: string | undefined;
  prefix?: string | undefined;
  output?: string | undefined;
  format: "pretty" | "json";
  json?: true | undefined;
}

const EXAMPLES = `
Examples:
  rivet validate -c rivet.yaml                          every export, every part, every value
  rivet validate -c rivet.yaml -e orders --depth sample content by the store's checksums, without a download
  rivet validate -c rivet.yaml --date 2026-04-18        what {date} was on that day
  rivet validate -c rivet.yaml -o validate.json         the report that \`rivet repair --report\` takes
  rivet validate -c rivet.yaml --json | jq '.exports[].verification.failures'
Exit 3: the data is not what was written. Exit 1: it could not be checked. Exit 0: it is, or nothing is known of it.`;

export const addValidate: AddCommand = (program, context) => {
  program.command("validate")
    .description("Check stored files against their manifests: presence, size, content, values")
    .requiredOption("-c, --config <file>", "config file")
    .option("-e, --export <name>", "only this export")
    .option(...PARAM_OPTION)
    .addOption(
      new Option("--depth <depth>", "light: presence and size; sample: content by digests; full: values as well")
        .choices(["light", "sample", "full"] as const).default("full" as const),
    )
    .option("--date <YYYY-MM-DD>", "the day that {date} stands for; today in UTC unless given", parseDay)
    .option("--run-id <id>", "only this run; also what {run_id} stands for")
    .option("--prefix <prefix>", "another folder or prefix than the config's; a manifest must be there", parsePrefix)
    .option("-o, --output <file>", "write the report as JSON, for `rivet repair --report`")
    .addOption(
      new Option("--format <format>", "the form on stdout; `json` with -o prints nothing")
        .choices(["pretty", "json"] as const).default("pretty" as const),
    )
    .option("--json", "print the report as JSON on stdout")
    .addHelpText("after", EXAMPLES)
    .action((flags) => validate(context, flags));
};

function parsePrefix(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text;
  throw new RivetError("RIVET_CLI_VALUE_INVALID", `'--prefix ${text}' is a URL`, {
    cure: "Give the path of the folder, or the prefix inside the bucket",
  });
}

async function validate(context: CommandContext, flags: Flags): Promise<void> {
  const config = await readConfigFile(context, flags.config, flags.param);
  if (flags.output !== undefined) await (await import("./file.ts")).checkOutputFile(flags.output);
  const exports = selectExports(config, flags.export);
  if (flags.prefix !== undefined && exports.length !== 1) {
    throw new RivetError("RIVET_CLI_VALUE_INVALID", `\`--prefix\` needs one export, the config has ${exports.length}`, {
      cure: "Name it with `-e`",
    });
  }
  const [verify, { openDestination }, { openState }, { openCore }] = await Promise.all([
    import("../verify/mod.ts"),
    import("../destination/mod.ts"),
    import("../state/mod.ts"),
    import("../core/mod.ts"),
  ]);
  const { runtime, signal } = context;
  let stateTrouble: string | null = null;
  await using state = await openState({
    url: runtime.env("RIVET_STATE_URL"),
    directory: config.directory,
    readOnly: true,
  }).catch((error) => {
    const { code, error: message } = toErrorReport(error);
    stateTrouble = `[${code}] ${message}`;
    return null;
  });
  const report = await verify.validateExports(
    {
      config,
      state,
      stateTrouble,
      runtime,
      openDestination: (location) => openDestination(location),
      openCore: () => openCore(),
      signal,
    },
    exports,
    {
      depth: flags.depth,
      date: flags.date ?? new Date(runtime.now()).toISOString().slice(0, 10),
      runId: flags.runId ?? null,
      prefix: flags.prefix ?? null,
    },
  );
  await (await import("./file.ts")).writeReport(context.terminal, flags, {
    json: () => [toJson(verify.toValidateJson(report))],
    text: () => verify.formatValidateReport(report),
  });
  const failure = verify.validateFailure(report, placeOf(flags));
  if (failure !== null) throw failure;
}
