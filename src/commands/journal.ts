// `rivet journal`: what happened in a run, event by event, also in one that was killed.

import { RivetError } from "../errors.ts";
import type { JournalEntry, State, StoredEntry } from "../state/mod.ts";
import {
  type AddCommand,
  type CommandContext,
  PARAM_OPTION,
  parseCount,
  readConfigFile,
  readConfigState,
  selectExports,
  type Terminal,
} from "./command.ts";

export const addJournal: AddCommand = (program, context) => {
  program.command("journal")
    .description("Show what happened in past runs, event by event")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("-e, --export <name>", "only this export; all of the config when left out")
    .option("-l, --last <count>", "how many runs", parseCount, 5)
    .option("--run-id <id>", "one run")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet journal -c rivet.yaml -e orders -l 1")
    .action((flags) => showJournal(context, flags));
};

interface Flags {
  config: string;
  param: Record<string, string>;
  export?: string | undefined;
  last: number;
  runId?: string | undefined;
  json?: true | undefined;
}

async function showJournal(context: CommandContext, flags: Flags): Promise<void> {
  const config = await readConfigFile(context, flags.config, flags.param);
  const exports = selectExports(config, flags.export).map((entry) => entry.name);
  await using state = await readConfigState(context, config.directory);
  const runIds: string[] = [];
  if (flags.runId === undefined) {
    for (const name of exports) {
      for (const { runId } of await state.journals(name, flags.last)) runIds.push(runId);
    }
  } else {
    const run = await state.run(flags.runId);
    if (run === null) throw new RivetError("RIVET_CLI_RUN_ID_UNKNOWN", `There is no run '${flags.runId}'`);
    if (flags.export !== undefined && run.key.exportName !== flags.export) {
      throw new RivetError(
        "RIVET_CLI_RUN_ID_EXPORT_MISMATCH",
        `Run '${flags.runId}' is of '${run.key.exportName}', not of '${flags.export}'`,
      );
    }
    runIds.push(flags.runId);
  }
  if (flags.json) await printJson(context.terminal, state, runIds);
  else await printText(context.terminal, state, runIds);
}

async function* readPages(state: State, runId: string): AsyncGenerator<readonly StoredEntry[]> {
  for (let after = 0;;) {
    const page = await state.journalAfter(runId, after);
    if (page.length === 0) return;
    yield page;
    after = page.at(-1)!.id;
  }
}

async function printText({ out }: Terminal, state: State, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return out("Nothing recorded yet.\n");
  for (const runId of runIds) {
    out(`── ${runId}\n`);
    for await (const page of readPages(state, runId)) {
      out(page.map((entry) => `  ${entry.recordedAt}  ${describe(entry)}\n`).join(""));
    }
  }
}

/** As it is read: the whole may be longer than a text can be. */
async function printJson({ out }: Terminal, state: State, runIds: readonly string[]): Promise<void> {
  out("[");
  for (const [i, runId] of runIds.entries()) {
    out(`${i === 0 ? "" : ","}\n  {\n    "run_id": ${JSON.stringify(runId)},\n    "entries": [`);
    let isFirst = true;
    for await (const page of readPages(state, runId)) {
      out((isFirst ? "\n      " : ",\n      ") + page.map((entry) => JSON.stringify(toEntry(entry))).join(",\n      "));
      isFirst = false;
    }
    out(isFirst ? "]\n  }" : "\n    ]\n  }");
  }
  out(runIds.length === 0 ? "]\n" : "\n]\n");
}

function toEntry(entry: JournalEntry): Record<string, unknown> {
  return { recorded_at: entry.recordedAt, event: entry.event };
}

function describe(entry: JournalEntry): string {
  const [name, body] = Object.entries(entry.event)[0] ?? ["", {}];
  const fields = Object.entries((body ?? {}) as Record<string, unknown>)
    .filter(([, value]) => value !== null).map(([key, value]) =>
      `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`
    );
  return `${name.padEnd(16)} ${fields.join(" ")}`;
}
