// What every command shares: where it writes, how it reads a config and opens a state. Heavy modules load when a command runs.

import { type Command, Option } from "@commander-js/extra-typings";
import { type ErrorReport, RivetError } from "../errors.ts";
import type { CommandPlace, Config, Export } from "../config/mod.ts";
import type { Runtime } from "../runtime.ts";
import type { ProgressStyle, Watcher } from "../report/mod.ts";
import type { LateState, State } from "../state/mod.ts";

/** Standard streams and the process, passed in so that tests need no process. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly isTerminal: boolean;
  columns(): number;
}

export interface GlobalOptions {
  readonly jsonErrors: boolean;
  readonly lockWaitS: number;
  readonly notify: boolean;
}

export interface CommandContext {
  readonly terminal: Terminal;
  readonly runtime: Runtime;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Registers what is to be done when a second signal ends the process at once. */
  readonly beforeExit?: (end: () => void) => void;
  readonly globals: () => GlobalOptions;
  /** Told of the config that is worked on: the values that were filled into it are shown by their names from then on. */
  onConfig(config: Config): void;
  /** The exit code of a command that ended without throwing. */
  setExitCode(code: number): void;
  /** What a command that did not throw failed of, for `--json-errors`; as text it has told it itself. */
  reportFailure(report: ErrorReport): void;
}

export type AddCommand = (program: Command<[], Record<string, unknown>>, context: CommandContext) => void;

/** `-p K=V`, repeatable. */
export function collectParams(value: string, previous: Record<string, string>): Record<string, string> {
  const at = value.indexOf("=");
  if (at < 1) {
    throw new RivetError("RIVET_CLI_VALUE_INVALID", `'--param ${value}' has no '='`, {
      cure: "Write `--param NAME=VALUE`",
    });
  }
  return { ...previous, [value.slice(0, at)]: value.slice(at + 1) };
}

/** For every command that reads a config. */
export const PARAM_OPTION = [
  "-p, --param <name=value>",
  "fill ${name} in the config; repeatable",
  collectParams,
  {} as Record<string, string>,
] as const;

/** The config as it was named, and the parameters that were given: what a command line to type next has to repeat. */
export function placeOf(flags: { readonly config: string; readonly param: Record<string, string> }): CommandPlace {
  return { path: flags.config, parameters: Object.keys(flags.param).sort() };
}

/** For every command that reads rows. */
export function progressOption() {
  return new Option("--progress <style>", "how to show progress on stderr")
    .choices(["auto", "plain", "json", "none"] as const).default("auto" as const);
}

/** Shows on stderr how far runs are. */
export async function openProgress(
  { terminal, runtime, beforeExit }: CommandContext,
  style: ProgressStyle,
): Promise<Watcher> {
  const { openWatcher } = await import("../report/mod.ts");
  const watcher = openWatcher({
    write: (text) => terminal.err(text),
    isTerminal: terminal.isTerminal,
    columns: () => terminal.columns(),
    nowMs: () => runtime.monotonic(),
  }, style);
  beforeExit?.(() => watcher.end(null));
  return watcher;
}

export async function readConfigFile(
  context: CommandContext,
  path: string,
  params: Record<string, string>,
): Promise<Config> {
  const { readConfig } = await import("../config/mod.ts");
  const config = await readConfig(path, { params, runtime: context.runtime });
  context.onConfig(config);
  for (const warning of config.warnings) context.terminal.err(`warning: ${warning}\n`);
  return config;
}

/** The state that belongs to a config, `RIVET_STATE_URL` or the file beside it, to change something in it. */
export async function openConfigState(context: CommandContext, directory: string): Promise<State> {
  const { openState } = await import("../state/mod.ts");
  return await openState({ url: context.runtime.env("RIVET_STATE_URL"), directory });
}

/** The same to look at: one that does not exist is an empty one, and none is made. */
export async function readConfigState(context: CommandContext, directory: string): Promise<State> {
  const { openState } = await import("../state/mod.ts");
  return await openState({ url: context.runtime.env("RIVET_STATE_URL"), directory, readOnly: true });
}

/** The same, made only when something is written to it. */
export async function openLateConfigState(context: CommandContext, directory: string): Promise<LateState> {
  const { openStateLater } = await import("../state/mod.ts");
  return await openStateLater({ url: context.runtime.env("RIVET_STATE_URL"), directory });
}

/** A question to a database may wait for long; a signal does not wait for the answer. Nothing was written that it would leave half done. */
export async function orStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const stop = () =>
    stopped.reject(new RivetError("RIVET_RUN_INTERRUPTED", "Stopped by a signal", { retry: "reconnect" }));
  signal.addEventListener("abort", stop, { once: true });
  work.catch(() => {});
  try {
    if (signal.aborted) stop();
    return await Promise.race([work, stopped.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** All exports, or the named one. */
export function selectExports(config: Config, name: string | undefined): readonly Export[] {
  if (name === undefined) return config.exports;
  const found = config.exports.filter((entry) => entry.name === name);
  if (found.length === 0) throw unknownExport(name, config.exports.map((entry) => entry.name));
  return found;
}

export function unknownExport(name: string, known: readonly string[]): RivetError {
  return new RivetError("RIVET_CLI_EXPORT_UNKNOWN", `There is no export '${name}'`, {
    cure: `Choose one of: ${known.join(", ")}`,
  });
}

export function parseCount(value: string): number {
  if (!/^\d+$/.test(value)) {
    throw new RivetError("RIVET_CLI_VALUE_INVALID", `'${value}' is not a whole number`, {
      cure: "Give a whole number of 0 or more",
    });
  }
  return Number(value);
}

/** `YYYY-MM-DD` that the calendar has. */
export function parseDay(text: string): string {
  const time = Date.parse(`${text}T00:00:00Z`);
  if (/^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(time) && new Date(time).toISOString().startsWith(text)) {
    return text;
  }
  throw new RivetError("RIVET_CLI_VALUE_INVALID", `'--date ${text}' is not a day`, {
    cure: "Write it as YYYY-MM-DD, for example 2026-04-18",
  });
}

/** Rows as aligned columns with a header. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, i) => rows.reduce((max, row) => Math.max(max, row[i]?.length ?? 0), name.length));
  const line = (cells: readonly string[]) => cells.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd();
  return [line(header), ...rows.map(line)].join("\n") + "\n";
}

export function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** A longer list is written with one item a line. */
const LIST_SPREAD_MAX = 10_000;
const ITEMS_PER_PIECE = 1_000;

/** The text of `toJson`, but for long lists, in pieces: with a million chunks it may be longer than a text can be. */
export function* jsonPieces(value: object): Generator<string> {
  yield* toPieces(value, "\n");
  yield "\n";
}

function* toPieces(value: unknown, newline: string): Generator<string> {
  const inner = `${newline}  `;
  if (Array.isArray(value) && value.length > LIST_SPREAD_MAX) {
    for (let i = 0; i < value.length; i += ITEMS_PER_PIECE) {
      const items = value.slice(i, i + ITEMS_PER_PIECE).map((item) => JSON.stringify(item) ?? "null");
      yield (i === 0 ? "[" : ",") + inner + items.join(`,${inner}`);
    }
    yield `${newline}]`;
  } else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    for (const [i, [key, item]] of entries.entries()) {
      yield `${i === 0 ? "{" : ","}${inner}${JSON.stringify(key)}: `;
      yield* toPieces(item, inner);
    }
    yield entries.length === 0 ? "{}" : `${newline}}`;
  } else yield JSON.stringify(value, null, 2).replaceAll("\n", newline);
}
