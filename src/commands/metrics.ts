// `rivet metrics`: what past runs did and how long they took.

import {
  type AddCommand,
  type CommandContext,
  formatTable,
  PARAM_OPTION,
  parseCount,
  readConfigFile,
  readConfigState,
  toJson,
} from "./command.ts";

export const addMetrics: AddCommand = (program, context) => {
  program.command("metrics")
    .description("Show past runs: status, rows, duration, memory, files, bytes")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("-e, --export <name>", "only this export")
    .option("-l, --last <count>", "how many runs", parseCount, 20)
    .option("--json", "every stored column as JSON")
    .addHelpText("after", "\nExample:\n  rivet metrics -c rivet.yaml -e orders -l 5")
    .action((flags) => showMetrics(context, flags));
};

async function showMetrics(
  context: CommandContext,
  flags: {
    config: string;
    param: Record<string, string>;
    export?: string | undefined;
    last: number;
    json?: true | undefined;
  },
): Promise<void> {
  const config = await readConfigFile(context, flags.config, flags.param);
  await using state = await readConfigState(context, config.directory);
  const filter = flags.export === undefined ? { limit: flags.last } : { exportName: flags.export, limit: flags.last };
  const rows = await state.metrics(filter);
  if (flags.json) return context.terminal.out(toJson(rows));
  if (rows.length === 0) return context.terminal.out("No runs recorded yet.\n");
  const { formatBytes, formatCount, formatDuration } = await import("../report/mod.ts");
  const number = (value: unknown) => Number(value ?? 0);
  context.terminal.out(formatTable(
    ["EXPORT", "STATUS", "ROWS", "DURATION", "RSS", "FILES", "BYTES", "RUN ID", "NOTE"],
    rows.map((row) => [
      row.export_name,
      row.status,
      formatCount(row.total_rows),
      formatDuration(row.duration_ms),
      `${number(row.peak_rss_mb)} MB`,
      String(number(row.files_produced ?? row.files_committed)),
      formatBytes(number(row.bytes_written)),
      row.run_id,
      typeof row.error_message === "string" ? row.error_message : "",
    ]),
  ));
}
