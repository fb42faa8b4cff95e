// `rivet journal`: what happened in a run, event by event, also in one that was killed.

import { RivetError } from "../errors.ts";
import type { JournalEntry } from "../state/mod.ts";
import {
  type AddCommand,
  type CommandContext,
  PARAM_OPTION,
  parseCount,
  readConfigFile,
  readConfigState,
  selectExports,
  toJson,
} from "./command.ts";

export const addJournal: AddCommand = (program, context) => {
  program.command("journal")
    .description("Show what happened in past runs, event by event")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("-e, --export <name>", "the export; may be left out where the config has one")
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
  const journals = [];
  if (flags.runId === undefined) {
    for (const name of exports) journals.push(...await state.journals(name, flags.last));
  } else {
    const run = await state.run(flags.runId);
    if (run === null) throw new RivetError("RIVET_CLI_RUN_ID_UNKNOWN", `There is no run '${flags.runId}'`);
    if (flags.export !== undefined && run.key.exportName !== flags.export) {
      throw new RivetError(
        "RIVET_CLI_RUN_ID_EXPORT_MISMATCH",
        `Run '${flags.runId}' is of '${run.key.exportName}', not of '${flags.export}'`,
      );
    }
    journals.push({ runId: flags.runId, finishedAt: null, entries: await state.journal(flags.runId) });
  }
  if (flags.json) {
    return context.terminal.out(toJson(journals.map((j) => ({ run_id: j.runId, entries: j.entries.map(toEntry) }))));
  }
  if (journals.length === 0) return context.terminal.out("Nothing recorded yet.\n");
  for (const journal of journals) {
    context.terminal.out(`── ${journal.runId}\n`);
    for (const entry of journal.entries) context.terminal.out(`  ${entry.recordedAt}  ${describe(entry)}\n`);
  }
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
