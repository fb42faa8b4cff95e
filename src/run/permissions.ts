// What the whole program needs for the exports of a config, as Deno permissions: the union of all lanes, the places of secrets, and the
// program itself. Nothing is opened.

import { isAbsolute, join } from "node:path";
import type { Config, Export } from "../config/mod.ts";
import { destinationNeeds, type ResolvedDestination, resolveDestination } from "../destination/mod.ts";
import type { Runtime } from "../runtime.ts";
import type { SourceConnection } from "../source/mod.ts";
import { stateNeeds } from "../state/mod.ts";
import { lanePermissions, parentFolder, sourceHosts } from "./lane.ts";

export interface ProgramPermissions {
  /** `host:port` */
  readonly net: readonly string[];
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly env: readonly string[];
  readonly sys: readonly string[];
}

export interface ExportPermissions extends ProgramPermissions {
  readonly export: string;
}

/** Variables that the program itself looks at. */
const OWN_VARIABLES = ["RIVET_CALLED_FROM", "RIVET_LOCK_WAIT", "RIVET_STATE_LEASE_TTL_S", "RIVET_STATE_URL"];
/** The name of this machine stands in leases; `uid` is asked for by node's file system calls. */
const OWN_SYSTEM = ["hostname", "uid"];

export interface PermissionInput {
  readonly config: Config;
  readonly exports: readonly Export[];
  readonly runtime: Runtime;
  /** Folders of the program's code: a lane's modules are read when it starts. None for a program that is one file. */
  readonly code: readonly string[];
}

/** Reads the variables and files that the connection refers to; throws what a run would throw when they are missing. */
export async function programPermissions(input: PermissionInput): Promise<ProgramPermissions> {
  const { config, exports, runtime, code } = input;
  const connection = await config.source.resolveConnection();
  const home = runtime.env("HOME") ?? "/";
  const state = stateNeeds(runtime.env("RIVET_STATE_URL"), config.directory);
  const needs = exports.map((entry) => destinationNeeds(placeOf(entry, runtime), home));
  const files = connection.engine === "sqlite" ? [parentFolder(connection.path)] : [];
  return {
    net: merge([...sourceHosts(connection), ...state.net, ...webhookHosts(config), ...needs.flatMap(({ net }) => net)]),
    read: mergePaths([
      ...code,
      config.directory,
      ...secretFiles(config),
      ...files,
      ...state.read,
      ...needs.flatMap(({ read }) => read),
    ]),
    write: mergePaths([...state.write, ...reportFolders(config, exports), ...needs.flatMap(({ write }) => write)]),
    env: merge([...OWN_VARIABLES, ...needs.flatMap(({ env }) => env)]),
    sys: merge([...OWN_SYSTEM, ...needs.flatMap(({ sys }) => sys)]),
  };
}

/** What the lanes of one export may reach. */
export function exportPermissions(
  entry: Export,
  connection: SourceConnection,
  runtime: Runtime,
): ExportPermissions {
  const list = (value: unknown) => Array.isArray(value) ? value.map(String) : [];
  const { net, read, write, env, sys } = lanePermissions(connection, placeOf(entry, runtime));
  return {
    export: entry.name,
    net: list(net),
    read: list(read),
    write: list(write),
    env: list(env),
    sys: list(sys),
  };
}

/** The destination above everything that changes from run to run. */
function placeOf(entry: Export, runtime: Runtime): ResolvedDestination {
  const place = resolveDestination(entry.destination, {
    date: "{date}",
    export: entry.name,
    table: entry.name,
  }, runtime);
  if (place.kind !== "local") return place;
  const varying = /\{(date|partition|run_id)\}/.exec(place.path);
  return varying === null ? place : { ...place, path: parentFolder(place.path.slice(0, varying.index)) };
}

/** Where run reports go; a stream leaves none. */
function reportFolders({ directory }: Config, exports: readonly Export[]): string[] {
  return exports.every(({ destination }) => destination.kind === "stdout") ? [] : [join(directory, ".rivet")];
}

function webhookHosts({ notifications }: Config): string[] {
  return [notifications?.slack, notifications?.webhook].flatMap((hook) => {
    if (!hook) return [];
    const text = hook.resolveUrl();
    // A message that cannot be sent fails no run.
    if (!URL.canParse(text)) return [];
    const url = new URL(text);
    return [`${url.hostname}:${url.port || (url.protocol === "http:" ? "80" : "443")}`];
  });
}

/** Files that the source refers to by name. */
function secretFiles({ source, directory }: Config): string[] {
  const { url_file: urlFile, tls } = source.redacted as { url_file?: unknown; tls?: { ca_file?: unknown } };
  return [urlFile, tls?.ca_file].filter((file) => typeof file === "string")
    .map((file) => isAbsolute(file) ? file : join(directory, file));
}

function merge(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

/** Without those that lie below another one. */
function mergePaths(paths: readonly string[]): string[] {
  const all = merge(paths.map((path) => path.length > 1 ? path.replace(/\/+$/, "") : path));
  return all.filter((path) =>
    !all.some((other) => other !== path && path.startsWith(other === "/" ? "/" : `${other}/`))
  );
}

/** The arguments of `deno run`: nothing is asked for, and variables that are not named do not exist. */
export function toDenoFlags(permissions: ProgramPermissions): string[] {
  const flag = (name: string, values: readonly string[]) =>
    // A comma separates, two are one of a name.
    values.length === 0 ? [] : [`--allow-${name}=${values.map((value) => value.replaceAll(",", ",,")).join(",")}`];
  const { net, read, write, env, sys } = permissions;
  return [
    "--no-prompt",
    "--ignore-env",
    ...flag("net", net),
    ...flag("read", read),
    ...flag("write", write),
    ...flag("env", env),
    ...flag("sys", sys),
  ];
}
