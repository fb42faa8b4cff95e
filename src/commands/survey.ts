// Exports planned against their source for `plan` and `apply`: several connections, so that many small questions do not wait for each other.

import { RivetError, toExitCode, toRivetError, worstExitCode } from "../errors.ts";
import type { Config, Export } from "../config/mod.ts";
import type { Proposal } from "../plan/mod.ts";
import type { Source, SourceConnection } from "../source/mod.ts";
import type { State } from "../state/mod.ts";
import { VERSION } from "../version.ts";
import type { CommandContext } from "./command.ts";

/** Connections that plan at once, at most. */
const CONNECTIONS_MAX = 4;
export const LIMITS = { statementTimeoutS: 60, lockTimeoutS: 30, connectTimeoutMs: 10_000 };

export interface SurveyOptions {
  readonly config: Config;
  readonly exports: readonly Export[];
  readonly state: State;
  readonly sampleRows: number | null;
  readonly strict: boolean;
}

export interface Survey {
  readonly proposals: readonly Proposal[];
  readonly failures: readonly RivetError[];
  readonly connection: SourceConnection;
}

/** Throws when the source cannot be reached; what keeps a single export from being planned is a failure. */
export async function surveyExports(context: CommandContext, options: SurveyOptions): Promise<Survey> {
  const { config, exports, state, sampleRows, strict } = options;
  const [{ probePicture, proposeAll, proposeExport }, { openSource }] = await Promise.all([
    import("../plan/mod.ts"),
    import("../source/mod.ts"),
  ]);
  const connection = await config.source.resolveConnection();
  const sample = sampleRows === null ? null : { rows: sampleRows, core: await openPlanningCore() };
  const first = await openSource(connection, LIMITS);
  const sources = [first];
  try {
    if (first.proxy) context.terminal.err(`warning: ${first.proxy} stands between rivet and the server\n`);
    const picture = await probePicture(first);
    sources.push(...await openMore(connection, exports.length));
    const results = await proposeAll(exports, sources, async (source, entry) => {
      context.signal.throwIfAborted();
      const planContext = { config, source, runtime: context.runtime, version: VERSION, strict };
      return await proposeExport(planContext, entry, { state, sample, picture, signal: context.signal });
    });
    if (context.signal.aborted) {
      throw new RivetError("RIVET_RUN_INTERRUPTED", "Stopped by a signal", { retry: "reconnect" });
    }
    return {
      connection,
      proposals: results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []),
      failures: results.flatMap((result, index) =>
        result.status === "rejected" ? [placed(toRivetError(result.reason), exports[index]!, config.hide)] : []
      ),
    };
  } finally {
    for (const source of sources) await source[Symbol.asyncDispose]();
  }
}

async function openPlanningCore() {
  const { openCore } = await import("../core/mod.ts");
  return await openCore();
}

/** Further connections are a convenience: a server that has none to spare is planned on one. */
export async function openMore(connection: SourceConnection, exports: number): Promise<Source[]> {
  const { openSource } = await import("../source/mod.ts");
  const wanted = connection.engine === "sqlite" ? 0 : Math.min(CONNECTIONS_MAX, Math.ceil(exports / 4)) - 1;
  const opened = await Promise.allSettled(Array.from({ length: wanted }, () => openSource(connection, LIMITS)));
  return opened.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
}

/** In its export, and without the values that were filled into the config. */
function placed(error: RivetError, entry: Export, hide: (text: string) => string): RivetError {
  return new RivetError(error.code, hide(error.message), {
    where: error.where ?? `export '${entry.name}'`,
    cure: error.cure,
    retry: error.retry,
    cause: error.cause,
  });
}

/** The failure that decides the exit code. */
export function gravest(failures: readonly RivetError[]): RivetError {
  const worst = worstExitCode(failures.map(toExitCode));
  return failures.find((error) => toExitCode(error) === worst)!;
}
