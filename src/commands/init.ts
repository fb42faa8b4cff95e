// `rivet init`: a config for a database that nobody has described yet, with the reasons in it; or the same as JSON.

import { dirname, resolve } from "node:path";
import { Option } from "@commander-js/extra-typings";
import { RivetError } from "../errors.ts";
import type { DestinationGiven, ScaffoldRequest, SourceGiven } from "../scaffold/mod.ts";
import { VERSION } from "../version.ts";
import { type AddCommand, type CommandContext, orStopped, toJson } from "./command.ts";
import { writeOutputFile } from "./file.ts";

const MODES = ["full", "incremental", "chunked", "time_window"] as const;
const TLS_MODES = ["disable", "require", "verify-ca", "verify-full"] as const;

const EXAMPLES = `
Examples:
  rivet init --source-env DATABASE_URL --schema public -o rivet.yaml
  rivet init --source-env DATABASE_URL --schema public --discover -o discovery.json
  rivet init --source-env DATABASE_URL --include 'sales_*' --exclude '*_archive' --s3-bucket lake -o rivet.yaml
  rivet init --source sqlite:shop.db --table orders

A URL is postgresql://user:password@host:5432/database, mysql://…, sqlserver://…, or sqlite:FILE. Give it in a variable
or a file: what stands on the command line is seen by everybody on this machine. Tables whose names look temporary,
like tests or like backups are left out, and the config says so; an --include that matches brings them in.`;

export const addInit: AddCommand = (program, context) => {
  program.command("init")
    .description("Write a config for a database: every table with a mode, a key and the reasons")
    .option("--source <url>", "connection URL; its password stays out of the config")
    .option("--source-env <name>", "environment variable that holds the connection URL")
    .option("--source-file <path>", "file that holds the connection URL")
    .option("--table <name>", "one table: name or schema.name")
    .option("--schema <name>", "all tables of this schema (default: the one that plain names mean)")
    .option("--include <globs...>", "only tables that match, with * and ?", collectGlobs, [])
    .option("--exclude <globs...>", "no tables that match; wins over --include", collectGlobs, [])
    .option("-o, --output <file>", "write to this file instead of standard output")
    .option("--force", "overwrite the file")
    .option("--discover", "JSON about tables, cursors and keys instead of a config")
    .option("--json", "the same as --discover")
    .option("--mode <mode>", `for all tables: ${MODES.join(", ")}`)
    .option("--gcs-bucket <name>", "files go to this Google Cloud Storage bucket")
    .option("--gcs-credentials-file <path>", "key file of a service account")
    .option("--s3-bucket <name>", "files go to this S3 bucket")
    .option("--s3-region <name>", "region of the bucket")
    .option("--azure-container <name>", "files go to this Azure container")
    .option("--azure-account <name>", "storage account of the container")
    .option("--azure-endpoint <url>", "another endpoint than Azure's own")
    .option("--target <warehouse>", "warehouse that will read the files: bigquery, snowflake, duckdb, clickhouse")
    .addOption(
      new Option("--tls <mode>", "how the connection is protected (default: verify-full to another machine)")
        .choices(TLS_MODES),
    )
    .option("--tls-ca <file>", "PEM file of a private certificate authority")
    .addHelpText("after", EXAMPLES)
    .action((flags) => init(context, flags));
};

interface Flags {
  source?: string | undefined;
  sourceEnv?: string | undefined;
  sourceFile?: string | undefined;
  table?: string | undefined;
  schema?: string | undefined;
  include: string[];
  exclude: string[];
  output?: string | undefined;
  force?: true | undefined;
  discover?: true | undefined;
  json?: true | undefined;
  mode?: string | undefined;
  gcsBucket?: string | undefined;
  gcsCredentialsFile?: string | undefined;
  s3Bucket?: string | undefined;
  s3Region?: string | undefined;
  azureContainer?: string | undefined;
  azureAccount?: string | undefined;
  azureEndpoint?: string | undefined;
  target?: string | undefined;
  tls?: typeof TLS_MODES[number] | undefined;
  tlsCa?: string | undefined;
}

async function init(context: CommandContext, flags: Flags): Promise<void> {
  const request = toRequest(context, flags);
  const asJson = flags.discover === true || flags.json === true;
  if (flags.output !== undefined && flags.force !== true) await refuseExisting(flags.output);
  const { buildScaffold } = await import("../scaffold/mod.ts");
  const { yaml, discovery, summary, hints } = await orStopped(buildScaffold(request, VERSION), context.signal);
  const text = asJson ? toJson(discovery) : yaml;
  const { terminal } = context;
  if (flags.output === undefined) terminal.out(text);
  else await writeOutputFile(flags.output, text);
  const say = (line: string) => terminal.err(`${line}\n`);
  for (const hint of hints) say(`note: ${hint}`);
  if (asJson) return say(`${flags.output === undefined ? "" : `${flags.output}: `}${discovery.tables.length} tables`);
  if (flags.output === undefined) return say(`${summary}. Save it as rivet.yaml, then: rivet check -c rivet.yaml`);
  say(`${flags.output}: ${summary}`);
  say(`next: rivet doctor -c ${flags.output}, rivet check -c ${flags.output}, rivet run -c ${flags.output} --validate`);
}

/** Throws RIVET_INIT_CONFIG_EXISTS. */
async function refuseExisting(path: string): Promise<void> {
  const found = await Deno.lstat(path).catch(() => null);
  if (found === null) return;
  throw new RivetError("RIVET_INIT_CONFIG_EXISTS", `'${path}' already exists`, {
    where: path,
    cure: "Choose another name, or overwrite it with `--force`",
  });
}

function toRequest(context: CommandContext, flags: Flags): ScaffoldRequest {
  if (flags.table !== undefined && (flags.include.length > 0 || flags.exclude.length > 0)) {
    throw invalid(
      "'--include' and '--exclude' choose tables of a schema, '--table' names one",
      "Leave one of them out",
    );
  }
  if (flags.tlsCa !== undefined && (flags.tls === "disable" || flags.tls === "require")) {
    throw invalid(`'--tls ${flags.tls}' checks no certificate, so '--tls-ca' does nothing`, "Use `--tls verify-full`");
  }
  const folder = Deno.cwd();
  return {
    source: toSource(flags),
    table: flags.table ?? null,
    schema: flags.schema ?? null,
    include: flags.include,
    exclude: flags.exclude,
    mode: toMode(flags.mode),
    destination: toDestination(flags),
    target: flags.target ?? null,
    tls: flags.tls ?? null,
    tlsCa: flags.tlsCa ?? null,
    configPath: flags.output === undefined || flags.discover || flags.json
      ? resolve(folder, "rivet.yaml")
      : resolve(folder, dirname(flags.output), "rivet.yaml"),
    folder,
    runtime: context.runtime,
  };
}

function toSource({ source, sourceEnv, sourceFile }: Flags): SourceGiven {
  const given: SourceGiven[] = [
    ...(source === undefined ? [] : [{ kind: "url", url: source } as const]),
    ...(sourceEnv === undefined ? [] : [{ kind: "env", name: sourceEnv } as const]),
    ...(sourceFile === undefined ? [] : [{ kind: "file", path: sourceFile } as const]),
  ];
  if (given.length === 1) return given[0]!;
  throw invalid(
    given.length === 0 ? "Nothing says which database to look at" : "The database is named more than once",
    "Give exactly one of `--source-env NAME`, `--source-file PATH` and `--source URL`",
  );
}

function toMode(mode: string | undefined): ScaffoldRequest["mode"] {
  if (mode === undefined) return null;
  const found = MODES.find((one) => one === mode);
  if (found !== undefined) return found;
  if (mode === "cdc") {
    throw new RivetError("RIVET_CONFIG_SOURCE_MODE_UNSUPPORTED", "Change data capture (`cdc`) is not a mode of rivet", {
      where: "--mode",
      cure: "Use `--mode incremental`, or a change data capture tool such as Debezium for deletes",
    });
  }
  throw invalid(`'${mode}' is no mode`, `Choose one of: ${MODES.join(", ")}`);
}

function toDestination(flags: Flags): DestinationGiven {
  const buckets = [flags.s3Bucket, flags.gcsBucket, flags.azureContainer].filter((name) => name !== undefined);
  if (buckets.length > 1) throw invalid("More than one bucket is given", "Give one of them");
  checkBelongs(flags.s3Region, flags.s3Bucket, "--s3-region", "--s3-bucket");
  checkBelongs(flags.gcsCredentialsFile, flags.gcsBucket, "--gcs-credentials-file", "--gcs-bucket");
  checkBelongs(flags.azureAccount, flags.azureContainer, "--azure-account", "--azure-container");
  checkBelongs(flags.azureEndpoint, flags.azureContainer, "--azure-endpoint", "--azure-container");
  if (flags.s3Bucket !== undefined) return { kind: "s3", bucket: flags.s3Bucket, region: flags.s3Region ?? null };
  if (flags.gcsBucket !== undefined) {
    return { kind: "gcs", bucket: flags.gcsBucket, credentialsFile: flags.gcsCredentialsFile ?? null };
  }
  if (flags.azureContainer === undefined) return { kind: "local" };
  if (flags.azureAccount === undefined) {
    throw invalid("'--azure-container' needs '--azure-account'", "Give `--azure-account NAME`");
  }
  return {
    kind: "azure",
    container: flags.azureContainer,
    account: flags.azureAccount,
    endpoint: flags.azureEndpoint ?? null,
  };
}

function checkBelongs(value: string | undefined, owner: string | undefined, flag: string, ownerFlag: string): void {
  if (value === undefined || owner !== undefined) return;
  throw invalid(`'${flag}' does nothing without '${ownerFlag}'`, `Give \`${ownerFlag}\` too, or leave it out`);
}

function collectGlobs(glob: string, previous: string[]): string[] {
  return [...previous, glob];
}

function invalid(message: string, cure: string): RivetError {
  return new RivetError("RIVET_CLI_VALUE_INVALID", message, { cure });
}
