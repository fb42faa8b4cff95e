// The border: YAML in snake_case comes in, a checked `Config` in camelCase goes on. The order of the steps decides which error is seen first.

import { dirname, isAbsolute, join, resolve } from "node:path";
import { RivetError } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";
import type { Runtime } from "../runtime.ts";
import { checkMisplacedTuning, checkShape } from "./check.ts";
import { buildSource } from "./connection.ts";
import { toExport } from "./export.ts";
import { type Filled, fillIn } from "./fill.ts";
import { toNotifications } from "./notify.ts";
import { fillText, type Reading } from "./reading.ts";
import { checkRefused } from "./refused.ts";
import { checkFeatures } from "./features.ts";
import type { Config, Export } from "./resolved.ts";
import { checkRules } from "./rules.ts";
import { type SealedConfig, sealText } from "./seal.ts";
import type { RawConfig } from "./shape.ts";
import { readText } from "./text.ts";
import { parseYaml } from "./yaml.ts";

export interface ReadConfigOptions {
  /** `-p NAME=VALUE`: they win over the environment in `${NAME}`. */
  readonly params: Readonly<Record<string, string>>;
  readonly runtime: Runtime;
}

/** Reads and checks a config. Secrets are not read yet. Throws the codes `RIVET_CONFIG_…`. */
export async function readConfig(path: string, options: ReadConfigOptions): Promise<Config> {
  return await parseConfig(path, await readText(path), null, options);
}

/** A config as a plan artifact holds it; `path` is where it stood, and nothing is read from there. */
export async function readSealedConfig(
  path: string,
  sealed: SealedConfig,
  options: ReadConfigOptions,
): Promise<Config> {
  return await parseConfig(path, sealed.text, sealed.queryFiles, options);
}

/** Checks the text of a config that is to stand at this path. Throws the codes `RIVET_CONFIG_…`. */
export async function readConfigText(path: string, text: string, options: ReadConfigOptions): Promise<Config> {
  return await parseConfig(path, text, null, options);
}

async function parseConfig(
  path: string,
  text: string,
  queryFiles: Reading["queryFiles"],
  options: ReadConfigOptions,
): Promise<Config> {
  const { params, runtime } = options;
  const filled = fillIn(text, { params, runtime, file: path });
  try {
    const config = await toConfig(path, filled, queryFiles, options);
    const unused = unusedParameters(params, text, config.exports);
    return {
      ...config,
      warnings: [...unused, ...config.warnings.map(filled.hide)],
      parameters: Object.keys(params).sort(),
      hide: filled.hide,
      seal: () => ({ ...sealText(text, filled), queryFiles: templatesOf(config.exports) }),
    };
  } catch (error) {
    throw error instanceof RivetError ? hideValues(error, filled) : error;
  }
}

function templatesOf(exports: readonly Export[]): Record<string, string> {
  return Object.fromEntries(
    exports.flatMap(({ from }) => from.kind === "query" && from.file !== null ? [[from.file, from.template]] : []),
  );
}

async function toConfig(
  path: string,
  filled: Filled,
  queryFiles: Reading["queryFiles"],
  { params, runtime }: ReadConfigOptions,
): Promise<Omit<Config, "hide" | "seal" | "parameters">> {
  const absolute = resolve(path);
  const directory = dirname(absolute);
  const parsed = parseYaml(filled);
  checkRefused(parsed);
  checkFeatures(parsed);
  checkMisplacedTuning(parsed);
  const raw = checkShape(parsed);
  const warnings = checkRules(raw, parsed);
  const reading: Reading = { file: path, directory, params, runtime, parsed, warnings, queryFiles };
  await checkCredentialFiles(raw, reading);
  const source = buildSource(raw.source, { ...reading, fill: (secret) => fillText(secret, path, reading) });
  const exports = [];
  for (const [index, entry] of raw.exports.entries()) exports.push(await toExport(entry, index, raw, reading));
  return {
    path: absolute,
    directory,
    source,
    exports,
    notifications: toNotifications(raw, reading),
    parallelExports: raw.parallel_exports === true || raw.parallel_export_processes === true,
    warnings,
  };
}

/** Most messages speak of values as they are written; this catches the others, such as a key that was filled in. */
function hideValues(error: RivetError, { hide }: Filled): RivetError {
  return new RivetError(error.code, hide(error.message), {
    cure: hide(error.cure),
    cause: error.cause,
    retry: error.retry,
    ...(error.where === null ? {} : { where: error.where }),
  });
}

/** A parameter that nothing asks for is most often a misspelt one. */
function unusedParameters(
  params: Readonly<Record<string, string>>,
  text: string,
  exports: readonly Export[],
): string[] {
  const texts = [text, ...exports.map(({ from }) => from.kind === "query" && from.file !== null ? from.template : "")];
  return Object.keys(params).filter((name) => !texts.some((piece) => piece.includes(`\${${name}}`)))
    .map((name) => `the parameter '${name}' is not used: nothing holds '\${${name}}'`);
}

async function checkCredentialFiles(raw: RawConfig, { directory, parsed }: Reading): Promise<void> {
  for (const [index, { destination: d }] of raw.exports.entries()) {
    if (d.type !== "gcs" || d.credentials_file === undefined) continue;
    const path = isAbsolute(d.credentials_file) ? d.credentials_file : join(directory, d.credentials_file);
    const found = await Deno.stat(path).catch((error: unknown) => describeFileFault(error));
    if (typeof found !== "string" && found.isFile) continue;
    const fault = typeof found === "string" ? found : "it is no file";
    throw new RivetError("RIVET_CONFIG_SECRET_UNSET", `\`credentials_file\` cannot be read: '${path}' (${fault})`, {
      where: parsed.where(["exports", index, "destination", "credentials_file"]),
      cure: "Create the file, or remove `credentials_file` to use the application default credentials",
    });
  }
}
