// `rivet state`: what is remembered about exports, shown.

import type { ExportKey, Progression, State } from "../state/mod.ts";
import {
  type AddCommand,
  type CommandContext,
  formatTable,
  jsonPieces,
  PARAM_OPTION,
  parseCount,
  readConfigFile,
  readConfigState,
  selectExports,
  toJson,
} from "./command.ts";
import { addChanges } from "./state_change.ts";
import { addCopy, addVacuum, type Parent } from "./state_keep.ts";

const GROUP_EXAMPLES = `
Examples:
  rivet state runs -c rivet.yaml --running      what is running now, or died
  rivet state chunks -c rivet.yaml -e orders    how far the latest run of an export came
  rivet state show -c rivet.yaml                where each incremental export goes on`;

export const addState: AddCommand = (program, context) => {
  const state = program.command("state").description("Show or reset what is remembered about exports")
    .addHelpText("after", GROUP_EXAMPLES);
  addShow(state, context);
  addFiles(state, context);
  addChunks(state, context);
  addRuns(state, context);
  addProgression(state, context);
  addChanges(state, context);
  addCopy(state, context);
  addVacuum(state, context);
};

interface Flags {
  config: string;
  param: Record<string, string>;
  export?: string | undefined;
  json?: true | undefined;
}

async function withState<T>(
  context: CommandContext,
  flags: Flags,
  body: (state: State, keys: ExportKey[]) => Promise<T>,
): Promise<T> {
  const config = await readConfigFile(context, flags.config, flags.param);
  const keys = selectExports(config, flags.export).map((entry) => ({
    exportName: entry.name,
    source: config.source.identity,
  }));
  await using state = await readConfigState(context, config.directory);
  return await body(state, keys);
}

function addShow(parent: Parent, context: CommandContext): void {
  parent.command("show")
    .description("the cursor of each declared export")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("-e, --export <name>", "only this export")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet state show -c rivet.yaml")
    .action((flags) =>
      withState(context, flags, async (state, keys) => {
        const rows = [];
        for (const key of keys) {
          const cursor = await state.cursor(key);
          rows.push({
            export_name: key.exportName,
            last_cursor_value: cursor?.value ?? null,
            last_run_at: cursor?.lastRunAt ?? null,
          });
        }
        if (flags.json) return context.terminal.out(toJson(rows));
        context.terminal.out(formatTable(
          ["EXPORT", "LAST CURSOR", "LAST RUN"],
          rows.map((row) => [row.export_name, row.last_cursor_value ?? "-", row.last_run_at ?? "-"]),
        ));
      })
    );
}

function addFiles(parent: Parent, context: CommandContext): void {
  parent.command("files")
    .description("the files that were committed")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("-e, --export <name>", "only this export")
    .option("-l, --last <count>", "how many files", parseCount, 50)
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet state files -c rivet.yaml -e orders -l 10")
    .action((flags) =>
      withState(context, flags, async (state) => {
        const rows = await state.files(
          flags.export === undefined ? { limit: flags.last } : { exportName: flags.export, limit: flags.last },
        );
        if (flags.json) return context.terminal.out(toJson(rows));
        if (rows.length === 0) return context.terminal.out("No files recorded yet.\n");
        const { formatBytes, formatCount } = await import("../report/mod.ts");
        context.terminal.out(formatTable(
          ["RUN ID", "FILE", "ROWS", "BYTES", "CREATED"],
          rows.map((
            row,
          ) => [row.run_id, row.file_name, formatCount(row.row_count), formatBytes(row.bytes), row.created_at]),
        ));
      })
    );
}

function addChunks(parent: Parent, context: CommandContext): void {
  parent.command("chunks")
    .description("the chunks of an export's latest run")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .requiredOption("-e, --export <name>", "the export")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet state chunks -c rivet.yaml -e orders")
    .action((flags) =>
      withState(context, flags, async (state, keys) => {
        const run = await state.latestRun(keys[0]!);
        if (run === null) return context.terminal.out(flags.json ? "null\n" : "No run recorded yet.\n");
        const slices = await state.slices(run.runId);
        const rows = slices.map((s) => ({
          chunk_index: s.index,
          chunk_id: s.id,
          status: s.status,
          start_key: s.startKey,
          end_key: s.endKey,
          attempts: s.attempts,
          rows_written: s.rows,
          last_error: s.lastError,
        }));
        if (flags.json) {
          const json = { run_id: run.runId, status: run.status, plan_hash: run.planHash, chunks: rows };
          for (const piece of jsonPieces(json)) context.terminal.out(piece);
          return;
        }
        const { formatNumber } = await import("../report/mod.ts");
        context.terminal.out(`run ${run.runId}: ${run.status}, ${formatNumber(rows.length, "chunk")}\n`);
        context.terminal.out(formatTable(
          ["IDX", "ID", "STATUS", "START", "END", "ATT", "ROWS", "ERROR"],
          rows.map((r) => [
            String(r.chunk_index),
            r.chunk_id,
            r.status,
            r.start_key ?? "-",
            r.end_key ?? "-",
            String(r.attempts),
            String(r.rows_written),
            r.last_error ?? "",
          ]),
        ));
      })
    );
}

function addRuns(parent: Parent, context: CommandContext): void {
  parent.command("runs")
    .description("runs, newest first")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("-e, --export <name>", "only this export")
    .option("--running", "only runs in progress")
    .option("-l, --last <count>", "how many runs", parseCount, 20)
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet state runs -c rivet.yaml --running")
    .action((flags) =>
      withState(context, flags, async (state) => {
        const runs = await state.runs({
          ...(flags.export === undefined ? {} : { exportName: flags.export }),
          ...(flags.running ? { running: true } : {}),
          limit: flags.last,
        });
        const rows = runs.map((r) => ({
          run_id: r.runId,
          export_name: r.key.exportName,
          status: r.status,
          mode: r.mode,
          started_at: r.startedAt,
          updated_at: r.updatedAt,
          destination: r.destinationUri,
        }));
        if (flags.json) return context.terminal.out(toJson(rows));
        if (rows.length === 0) {
          return context.terminal.out(flags.running ? "No run is under way.\n" : "No runs recorded yet.\n");
        }
        context.terminal.out(formatTable(
          ["RUN ID", "EXPORT", "STATUS", "MODE", "STARTED", "UPDATED"],
          rows.map((r) => [r.run_id, r.export_name, r.status, r.mode, r.started_at, r.updated_at]),
        ));
      })
    );
}

function addProgression(parent: Parent, context: CommandContext): void {
  parent.command("progression")
    .description("what is committed at the destination, and what is verified against the source")
    .requiredOption("-c, --config <file>", "config file")
    .option(...PARAM_OPTION)
    .option("-e, --export <name>", "only this export")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  rivet state progression -c rivet.yaml")
    .action((flags) =>
      withState(context, flags, async (state) => {
        const rows = await state.progression(flags.export);
        if (flags.json) return context.terminal.out(toJson(rows));
        if (rows.length === 0) return context.terminal.out("Nothing committed yet.\n");
        const place = (cursor: string | null, chunk: number | null) =>
          cursor ?? (chunk === null ? "-" : `chunk #${chunk}`);
        const time = (text: string | null) => text === null ? "-" : `${text.slice(0, 19).replace("T", " ")} UTC`;
        // Of another run than the last one that committed: what lies at the destination now is not verified.
        const verified = (r: Progression) => {
          const at = place(r.last_verified_cursor, r.last_verified_chunk_index);
          if (r.last_verified_run_id === r.last_committed_run_id || r.last_verified_at === null) return at;
          return `not yet (${at} of an earlier run, ${time(r.last_verified_at)})`;
        };
        context.terminal.out(formatTable(
          ["EXPORT", "COMMITTED MODE", "COMMITTED", "COMMITTED AT", "VERIFIED MODE", "VERIFIED"],
          rows.map((r) => [
            r.export_name,
            r.last_committed_strategy ?? "-",
            place(r.last_committed_cursor, r.last_committed_chunk_index),
            time(r.last_committed_at),
            r.last_verified_strategy ?? "-",
            verified(r),
          ]),
        ));
      })
    );
}
