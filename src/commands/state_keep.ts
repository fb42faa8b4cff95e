// `rivet state copy` and `rivet state vacuum`: where the state is kept, and how much of it.

import type { Command } from "@commander-js/extra-typings";
import { type CommandContext, openConfigState, PARAM_OPTION, parseCount, readConfigFile, toJson } from "./command.ts";

export type Parent = Command<[], Record<string, unknown>>;

const KEEP_DAYS_DEFAULT = 90;

export function addCopy(parent: Parent, context: CommandContext): void {
  parent.command("copy")
    .description("copy the state to an empty place, for example from the file beside the config to PostgreSQL")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("--to <url>", "where to: postgres://…, or sqlite:<path>; RIVET_STATE_URL when left out")
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      `
Examples:
  RIVET_STATE_URL=postgres://me@db/rivet?sslmode=verify-full rivet state copy -c rivet.yaml
                                            the file beside the config to where RIVET_STATE_URL says
  rivet state copy -c rivet.yaml --to sqlite:backup/state.db
Nothing is removed at the old place. Everything is copied in one transaction, and counted before it is kept.`,
    )
    .action(async (flags) => {
      const config = await readConfigFile(context, flags.config, flags.param);
      const { copyState } = await import("../state/mod.ts");
      const report = await copyState({
        url: context.runtime.env("RIVET_STATE_URL"),
        directory: config.directory,
        to: flags.to,
      });
      if (flags.json) return context.terminal.out(toJson(report));
      const total = Object.values(report.rows).reduce((sum, rows) => sum + rows, 0);
      context.terminal.out(`Copied ${total} rows from ${report.from} to ${report.to}.\n`);
    });
}

export function addVacuum(parent: Parent, context: CommandContext): void {
  parent.command("vacuum")
    .description("forget runs, metrics and journals that are old and over; cursors and unfinished runs stay")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("--keep-days <days>", "how old is old", parseCount, KEEP_DAYS_DEFAULT)
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet state vacuum -c rivet.yaml --keep-days 30")
    .action(async (flags) => {
      const config = await readConfigFile(context, flags.config, flags.param);
      await using state = await openConfigState(context, config.directory);
      const { removed } = await state.vacuum(flags.keepDays);
      if (flags.json) return context.terminal.out(toJson({ removed_rows: removed, keep_days: flags.keepDays }));
      context.terminal.out(`Forgot ${removed} rows older than ${flags.keepDays} days.\n`);
    });
}
