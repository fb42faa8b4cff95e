// `rivet state`: what is remembered about exports, and the few ways to change it by hand.

import type { Command } from "@commander-js/extra-typings";
import { RivetError } from "../errors.ts";
import type { ExportKey, State } from "../state/mod.ts";
import {
  type AddCommand,
  type CommandContext,
  formatTable,
  openConfigState,
  parseCount,
  readConfigFile,
  readConfigState,
  selectExports,
  toJson,
} from "./command.ts";
import { addCopy, addVacuum } from "./state_keep.ts";

export const addState: AddCommand = (program, context) => {
  const state = program.command("state").description("Show or reset what is remembered about exports");
  addShow(state, context);
  addFiles(state, context);
  addChunks(state, context);
  addRuns(state, context);
  addProgression(state, context);
  addResets(state, context);
  addCopy(state, context);
  addVacuum(state, context);
};

type Parent = Command<[], Record<string, unknown>>;

interface Flags {
  config: string;
  export?: string | undefined;
  json?: true | undefined;
}

async function withState<T>(
  context: CommandContext,
  flags: Flags,
  body: (state: State, keys: ExportKey[]) => Promise<T>,
  open: typeof openConfigState = readConfigState,
): Promise<T> {
  const config = await readConfigFile(context, flags.config, {});
  const keys = selectExports(config, flags.export).map((entry) => ({
    exportName: entry.name,
    source: config.source.identity,
  }));
  await using state = await open(context, config.directory);
  return await body(state, keys);
}

function changeState<T>(
  context: CommandContext,
  flags: Flags,
  body: (state: State, keys: ExportKey[]) => Promise<T>,
): Promise<T> {
  return withState(context, flags, body, openConfigState);
}

function addShow(parent: Parent, context: CommandContext): void {
  parent.command("show")
    .description("the cursor of each declared export")
    .requiredOption("-c, --config <file>", "config file")
    .option("-e, --export <name>", "only this export")
    .option("--json", "as JSON")
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
    .option("-e, --export <name>", "only this export")
    .option("-l, --last <count>", "how many files", parseCount, 50)
    .option("--json", "as JSON")
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
    .requiredOption("-e, --export <name>", "the export")
    .option("--json", "as JSON")
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
          return context.terminal.out(
            toJson({ run_id: run.runId, status: run.status, plan_hash: run.planHash, chunks: rows }),
          );
        }
        context.terminal.out(`run ${run.runId}: ${run.status}, ${rows.length} chunks\n`);
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
    .option("-e, --export <name>", "only this export")
    .option("--running", "only runs in progress")
    .option("-l, --last <count>", "how many runs", parseCount, 20)
    .option("--json", "as JSON")
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
        if (rows.length === 0) return context.terminal.out("No runs recorded yet.\n");
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
    .option("-e, --export <name>", "only this export")
    .option("--json", "as JSON")
    .action((flags) =>
      withState(context, flags, async (state) => {
        const rows = await state.progression(flags.export);
        if (flags.json) return context.terminal.out(toJson(rows));
        if (rows.length === 0) return context.terminal.out("Nothing committed yet.\n");
        const place = (cursor: string | null, chunk: number | null) =>
          cursor ?? (chunk === null ? "-" : `chunk #${chunk}`);
        const time = (text: string | null) => text === null ? "-" : `${text.slice(0, 19).replace("T", " ")} UTC`;
        context.terminal.out(formatTable(
          ["EXPORT", "COMM MODE", "COMMITTED", "COMMITTED AT", "VERI MODE", "VERIFIED"],
          rows.map((r) => [
            r.export_name,
            r.last_committed_strategy ?? "-",
            place(r.last_committed_cursor, r.last_committed_chunk_index),
            time(r.last_committed_at),
            r.last_verified_strategy ?? "-",
            place(r.last_verified_cursor, r.last_verified_chunk_index),
          ]),
        ));
      })
    );
}

function addResets(parent: Parent, context: CommandContext): void {
  parent.command("reset")
    .description("forget an export's cursor: its next run starts over")
    .requiredOption("-c, --config <file>", "config file")
    .requiredOption("-e, --export <name>", "the export")
    .action((flags) =>
      changeState(context, flags, async (state, keys) => {
        await refuseLiveRun(context, state, keys[0]!);
        const was = await state.resetCursor(keys[0]!);
        // An interrupted run would bring its window and its cursor back.
        await state.resetChunks({ key: keys[0]!, exportName: keys[0]!.exportName });
        context.terminal.out(
          was ? `The cursor of '${flags.export}' is forgotten.\n` : `'${flags.export}' had no cursor.\n`,
        );
      })
    );
  parent.command("accept")
    .description("keep an export's cursor after an intended edit of its query, destination or format")
    .requiredOption("-c, --config <file>", "config file")
    .requiredOption("-e, --export <name>", "the export")
    .action((flags) => acceptCursor(context, flags));
  parent.command("reset-chunks")
    .description("give an interrupted run up: its next run starts over and removes what the old one left")
    .requiredOption("-c, --config <file>", "config file")
    .option("-e, --export <name>", "the export")
    .option("--stuck-checkpoints, --failed", "all interrupted runs of this state")
    .action((flags) => resetChunks(context, flags));
  parent.command("finish-run")
    .description("mark a dead run as interrupted")
    .requiredOption("-c, --config <file>", "config file")
    .requiredOption("--run-id <id>", "the run")
    .action((flags) =>
      changeState(context, flags, async (state) => {
        const run = await state.run(flags.runId);
        if (run === null) throw new RivetError("RIVET_CLI_RUN_ID_UNKNOWN", `There is no run '${flags.runId}'`);
        if (run.status !== "in_progress") {
          return context.terminal.out(`Run '${flags.runId}' is not in progress: it is ${run.status}.\n`);
        }
        await refuseLiveRun(context, state, run.key);
        await state.endRun(flags.runId, "interrupted", true, null, null);
        context.terminal.out(`Run '${flags.runId}' is marked interrupted; the next run of its export finishes it.\n`);
      })
    );
}

async function acceptCursor(context: CommandContext, flags: Flags): Promise<void> {
  const config = await readConfigFile(context, flags.config, {});
  const entry = selectExports(config, flags.export)[0]!;
  const [{ describeCursor }, { openSource }] = await Promise.all([
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
  await refuseLiveRun(context, state, key);
  const kept = await state.acceptCursor(key, definition);
  context.terminal.out(
    kept ? `The cursor of '${entry.name}' is kept for the config as it is now.\n` : `'${entry.name}' has no cursor.\n`,
  );
}

/** An export and the partitions of it that have runs: each partition keeps a state of its own. */
async function withPartitions(state: State, key: ExportKey): Promise<ExportKey[]> {
  const runs = await state.runs({ limit: 100_000 });
  const parts = runs.filter((run) => run.status !== "completed").map((run) => run.key)
    .filter((other) => other.source === key.source && other.exportName.startsWith(`${key.exportName}__`));
  return [key, ...new Map(parts.map((part) => [part.exportName, part])).values()];
}

/** What a live process works on is not changed under it. */
async function refuseLiveRun(context: CommandContext, state: State, key: ExportKey): Promise<void> {
  const { isDead, processStart } = await import("./process.ts");
  const { runtime } = context;
  const holder = {
    host: runtime.hostname,
    pid: runtime.pid,
    processStart: processStart(runtime.pid),
    token: crypto.randomUUID(),
    runId: null,
  };
  const taken = await state.takeLease(key, holder, 10_000, (other) => isDead(other, runtime));
  if (taken.kind === "taken") return await state.releaseLease(taken.lease);
  throw new RivetError(
    "RIVET_STATE_RUN_IN_PROGRESS",
    `process ${taken.holder.pid} on ${taken.holder.host} runs this export`,
    {
      where: `export '${key.exportName}'`,
    },
  );
}

async function resetChunks(context: CommandContext, flags: Flags & { failed?: true | undefined }): Promise<void> {
  if ((flags.export === undefined) === (flags.failed === undefined)) {
    throw new RivetError("RIVET_CLI_VALUE_INVALID", "Give either `--export` or `--stuck-checkpoints`");
  }
  await changeState(context, flags, async (state, declared) => {
    const keys = flags.failed ? declared : await withPartitions(state, declared[0]!);
    for (const key of keys) await refuseLiveRun(context, state, key);
    const given: string[] = [];
    if (flags.failed) given.push(...await state.resetChunks({ stuck: true }));
    else for (const key of keys) given.push(...await state.resetChunks({ key, exportName: key.exportName }));
    context.terminal.out(given.length === 0 ? "No interrupted run.\n" : `Given up: ${given.join(", ")}\n`);
  });
}
