// The few ways to change by hand what is remembered: `rivet state reset`, `accept`, `reset-chunks` and `finish-run`. Each holds the lease
// of what it changes, so that no run begins in between.

import { RivetError } from "../errors.ts";
import type { CursorDefinition, CursorState, ExportKey, Lease, State } from "../state/mod.ts";
import {
  type CommandContext,
  openConfigState,
  PARAM_OPTION,
  readConfigFile,
  selectExports,
  toJson,
} from "./command.ts";
import type { Parent } from "./state_keep.ts";

interface Flags {
  config: string;
  param: Record<string, string>;
  export?: string | undefined;
  json?: true | undefined;
}

export function addChanges(parent: Parent, context: CommandContext): void {
  parent.command("reset")
    .description("forget an export's cursor: its next run starts over")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .requiredOption("-e, --export <name>", "the export")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet state reset -c rivet.yaml -e orders")
    .action((flags) => resetCursor(context, flags));
  parent.command("accept")
    .description(
      "keep an export's cursor after an intended edit of its query, destination or format, or a rename of its column",
    )
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .requiredOption("-e, --export <name>", "the export")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet state accept -c rivet.yaml -e orders")
    .action((flags) => acceptCursor(context, flags));
  parent.command("reset-chunks")
    .description("give an interrupted run up: its next run starts over and removes what the old one left")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("-e, --export <name>", "the export")
    .option("--stuck-checkpoints, --failed", "all interrupted runs of this state")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet state reset-chunks -c rivet.yaml -e orders")
    .action((flags) => resetChunks(context, flags));
  parent.command("finish-run")
    .description("mark a dead run as interrupted")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .requiredOption("--run-id <id>", "the run")
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      "\nExample:\n  rivet state runs -c rivet.yaml --running\n  rivet state finish-run -c rivet.yaml --run-id orders_20260418T121520.482_4711",
    )
    .action((flags) => finishRun(context, flags));
}

/** The declared export that is meant, with the state opened for writing. */
async function withState(
  context: CommandContext,
  flags: Flags,
  body: (state: State, keys: ExportKey[]) => Promise<void>,
): Promise<void> {
  const config = await readConfigFile(context, flags.config, flags.param);
  const keys = selectExports(config, flags.export).map((entry) => ({
    exportName: entry.name,
    source: config.source.identity,
  }));
  await using state = await openConfigState(context, config.directory);
  await body(state, keys);
}

/** What a live process works on is not changed under it, and no process begins while it is changed. */
async function holding<T>(
  context: CommandContext,
  state: State,
  keys: readonly ExportKey[],
  change: () => Promise<T>,
): Promise<T> {
  const { isDead, processStart } = await import("./process.ts");
  const { runtime } = context;
  const leases: Lease[] = [];
  try {
    for (const key of keys) {
      const holder = {
        host: runtime.hostname,
        pid: runtime.pid,
        processStart: processStart(runtime.pid),
        token: crypto.randomUUID(),
        runId: null,
      };
      const taken = await state.takeLease(key, holder, LEASE_MS, (other) => isDead(other, runtime));
      if (taken.kind === "taken") leases.push(taken.lease);
      else {
        const { pid, host } = taken.holder;
        throw new RivetError("RIVET_STATE_RUN_IN_PROGRESS", `process ${pid} on ${host} runs this export`, {
          where: `export '${key.exportName}'`,
        });
      }
    }
    return await change();
  } finally {
    for (const lease of leases) await state.releaseLease(lease);
  }
}

/** Longer than any of these changes takes. */
const LEASE_MS = 60_000;

function tell(context: CommandContext, flags: Flags, json: object, text: string): void {
  context.terminal.out(flags.json ? toJson(json) : `${text}\n`);
}

async function resetCursor(context: CommandContext, flags: Flags): Promise<void> {
  await withState(context, flags, async (state, [key]) => {
    const { hadCursor, givenUp } = await holding(context, state, [key!], async () => ({
      hadCursor: await state.resetCursor(key!),
      // An interrupted run would bring its window and its cursor back.
      givenUp: await state.resetChunks({ key: key!, exportName: key!.exportName }),
    }));
    const last = hadCursor ? await state.latestRun(key!) : null;
    const text = [
      hadCursor ? forgottenText(key!.exportName, last?.destinationUri ?? null) : `'${flags.export}' had no cursor.`,
      ...(givenUp.length === 0 ? [] : [`Given up: ${givenUp.join(", ")}`]),
    ].join("\n");
    tell(context, flags, { export: key!.exportName, had_cursor: hadCursor, given_up: givenUp }, text);
  });
}

/** What follows from it: rows come a second time unless somebody clears the files that are there. */
function forgottenText(name: string, uri: string | null): string {
  const place = uri === null ? "the files that are there" : `the files in '${uri}'`;
  return `The cursor of '${name}' is forgotten: the next run reads everything again, and stores it beside ${place}, ` +
    "which stay. Remove those first if rows must not come twice.";
}

async function acceptCursor(context: CommandContext, flags: Flags): Promise<void> {
  const config = await readConfigFile(context, flags.config, flags.param);
  const entry = selectExports(config, flags.export)[0]!;
  const [{ describeCursor, isOtherCursor }, { openSource }] = await Promise.all([
    import("../plan/mod.ts"),
    import("../source/mod.ts"),
  ]);
  const limits = { statementTimeoutS: 60, lockTimeoutS: 30, connectTimeoutMs: 10_000 };
  await using source = await openSource(await config.source.resolveConnection(), limits);
  const definition = await describeCursor(source, entry);
  if (definition === null) {
    throw new RivetError("RIVET_CLI_OPTION_UNSUPPORTED", `'${entry.name}' has no cursor: its mode is '${entry.mode}'`, {
      cure: "Only an export with `mode: incremental` has a cursor to accept",
    });
  }
  await using state = await openConfigState(context, config.directory);
  const key = { exportName: entry.name, source: config.source.identity };
  const isKept = await holding(context, state, [key], async () => {
    const stored = await state.cursor(key);
    if (stored !== null && isOtherCursor(stored.definition, definition)) {
      context.terminal.err(`warning: ${acceptedText(stored, definition)}\n`);
    }
    return await state.acceptCursor(key, definition);
  });
  const text = isKept
    ? `The cursor of '${entry.name}' is kept for the config as it is now.`
    : `'${entry.name}' has no cursor.`;
  tell(context, flags, { export: entry.name, kept: isKept }, text);
}

/** What it means to keep a value that was taken from another column. */
function acceptedText({ value, definition: was }: CursorState, now: CursorDefinition): string {
  const cured = "is right only where the column was renamed; otherwise run `rivet state reset`";
  return `the cursor was taken from '${was.column}' (${was.columnType}), and is now compared with '${now.column}' ` +
    `(${now.columnType}): rows whose '${now.column}' is below '${value}', or NULL, are never read. That ${cured}`;
}

/** An export and the partitions of it that have runs: each partition keeps a state of its own. */
async function withPartitions(state: State, key: ExportKey): Promise<ExportKey[]> {
  const runs = await state.runs({ limit: 100_000 });
  const parts = runs.filter((run) => run.status !== "completed").map((run) => run.key)
    .filter((other) => other.source === key.source && other.exportName.startsWith(`${key.exportName}__`));
  return [key, ...new Map(parts.map((part) => [part.exportName, part])).values()];
}

async function resetChunks(context: CommandContext, flags: Flags & { failed?: true | undefined }): Promise<void> {
  if ((flags.export === undefined) === (flags.failed === undefined)) {
    throw new RivetError("RIVET_CLI_VALUE_INVALID", "Give either `--export` or `--stuck-checkpoints`");
  }
  await withState(context, flags, async (state, declared) => {
    const keys = flags.failed ? declared : await withPartitions(state, declared[0]!);
    const givenUp: string[] = [];
    await holding(context, state, keys, async () => {
      if (flags.failed) return;
      for (const key of keys) givenUp.push(...await state.resetChunks({ key, exportName: key.exportName }));
    });
    // Of all exports of this state, those that nobody holds; the leases of dead processes on this host are gone by now.
    if (flags.failed) givenUp.push(...await state.resetChunks({ stuck: true }));
    const text = givenUp.length === 0 ? "No interrupted run." : `Given up: ${givenUp.join(", ")}`;
    tell(context, flags, { given_up: givenUp }, text);
  });
}

async function finishRun(context: CommandContext, flags: Flags & { runId: string }): Promise<void> {
  await withState(context, flags, async (state) => {
    const run = await state.run(flags.runId);
    if (run === null) throw new RivetError("RIVET_CLI_RUN_ID_UNKNOWN", `There is no run '${flags.runId}'`);
    const json = (status: string, isChanged: boolean) => ({ run_id: flags.runId, status, changed: isChanged });
    if (run.status !== "in_progress") {
      const text = `Run '${flags.runId}' is not in progress: it is ${run.status}.`;
      return tell(context, flags, json(run.status, false), text);
    }
    await holding(context, state, [run.key], () => state.endRun(flags.runId, "interrupted", true, null, null));
    const text = `Run '${flags.runId}' is marked interrupted; the next run of its export finishes it.`;
    tell(context, flags, json("interrupted", true), text);
  });
}
