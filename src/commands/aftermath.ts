// What follows a run: its report beside what was run, and the messages to those who asked for them. Nothing here changes how a run ended.

import { type RivetError, toErrorReport } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";
import type { Config, Export } from "../config/mod.ts";
import type { Notice, RunNotes, RunSummary } from "../report/mod.ts";
import { redact } from "../redact.ts";
import { VERSION } from "../version.ts";
import type { CommandContext } from "./command.ts";

const NOTIFY_TIMEOUT_MS = 10_000;

export interface Aftermath {
  readonly config: Config;
  readonly notes: { of(exportName: string): RunNotes };
  readonly applyContext?: object | undefined;
  /** Where reports are left; the config's folder unless given. */
  readonly directory?: string | undefined;
}

/** Writes `summary.{json,md}` of every run that began; resolves to their folders. */
export async function leaveReports(
  context: CommandContext,
  summaries: readonly RunSummary[],
  { config, notes, applyContext, directory = config.directory }: Aftermath,
): Promise<string[]> {
  const { buildRunReport, isReported, writeRunReport } = await import("../report/mod.ts");
  const folders: string[] = [];
  for (const summary of summaries) {
    if (!isReported(summary)) continue;
    const report = buildRunReport(summary, notes.of(summary.export_name), {
      version: VERSION,
      hide: config.hide,
      applyContext,
    });
    try {
      folders.push(await writeRunReport(directory, report));
    } catch (error) {
      // What cannot be written once will not be writable for the next one.
      context.terminal.err(`warning: the run's report cannot be written: ${describeFileFault(error)}\n`);
      return folders;
    }
  }
  return folders;
}

/** Tells how the exports ended, unless `--no-notify` is given. */
export async function notifyOfRuns(
  context: CommandContext,
  summaries: readonly RunSummary[],
  { config, notes, applyContext }: Aftermath,
): Promise<void> {
  const { buildRunReport, chunksText, triggersOf } = await import("../report/mod.ts");
  const notices = summaries.map((summary): Notice => {
    const options = { version: VERSION, hide: config.hide, applyContext };
    const report = buildRunReport(summary, notes.of(summary.export_name), options);
    return {
      triggers: triggersOf(summary),
      runId: summary.run_id,
      exportName: summary.export_name,
      status: summary.status,
      rows: summary.rows,
      chunks: chunksText(summary),
      durationMs: summary.duration_ms,
      schemaChanged: summary.schema_changed,
      error: report.error,
      details: { ...report, run_id: summary.run_id },
    };
  });
  await send(context, config, notices);
}

/** Tells that the exports could not even begin. */
export async function notifyOfFailure(
  context: CommandContext,
  config: Config,
  exports: readonly Export[],
  failure: RivetError,
): Promise<void> {
  const found = toErrorReport(failure);
  const clean = (text: string) => redact(config.hide(text));
  const error = {
    ...found,
    error: clean(found.error),
    where: found.where === null ? null : clean(found.where),
    cure: clean(found.cure),
  };
  const exportName = exports.map(({ name }) => name).join(", ");
  const details = { rivet_version: VERSION, run_id: null, export_name: exportName, status: "failed", error };
  const nothing = { runId: null, rows: 0, chunks: null, durationMs: 0, schemaChanged: false } as const;
  await send(context, config, [{ ...nothing, triggers: ["failure"], exportName, status: "failed", error, details }]);
}

async function send(context: CommandContext, config: Config, notices: readonly Notice[]): Promise<void> {
  if (config.notifications === null || !context.globals().notify) return;
  const { sendNotices } = await import("../report/mod.ts");
  await sendNotices(config.notifications, notices, {
    timeoutMs: NOTIFY_TIMEOUT_MS,
    warn: (text) => context.terminal.err(`warning: ${text}\n`),
  });
}
