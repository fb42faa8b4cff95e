// `rivet doctor`: can the config be read, the source reached and read, every destination written, the state kept. One line a check.

import { RivetError, toRivetError } from "../errors.ts";
import type { Config } from "../config/mod.ts";
import type { PreflightCheck } from "../plan/mod.ts";
import { redact, sanitizeTerminal } from "../redact.ts";
import {
  type AddCommand,
  type CommandContext,
  orStopped,
  PARAM_OPTION,
  placeOf,
  selectExports,
  toJson,
} from "./command.ts";

interface DoctorFlags {
  config: string;
  export?: string | undefined;
  param: Record<string, string>;
  json?: true | undefined;
}

const EXAMPLES = `
Examples:
  rivet doctor -c rivet.yaml             config, TLS, source, privileges, destinations, state, clock, poolers
  rivet doctor -c rivet.yaml -e orders   only what one export needs
  rivet doctor -c rivet.yaml --json      the same as one JSON object
At every destination a small object is written, read, listed and removed again; nothing else is changed.
Exit 0: all is well, warnings included. Exit 1: something failed. Exit 2: it may work when tried again.`;

export const addDoctor: AddCommand = (program, context) => {
  program.command("doctor")
    .description("Prove that source, destinations and state can be used, before a run depends on it")
    .requiredOption("-c, --config <file>", "config file")
    .option("-e, --export <name>", "only this export")
    .option(...PARAM_OPTION)
    .option("--json", "as one JSON object")
    .addHelpText("after", EXAMPLES)
    .action((flags) => doctorCommand(context, flags));
};

const CLEANUP_MS = 5_000;

async function doctorCommand(context: CommandContext, flags: DoctorFlags): Promise<void> {
  const checks: PreflightCheck[] = [];
  const found = examine(context, flags);
  for (;;) {
    const next = found.next();
    const { done, value: check } = await orStopped(next, context.signal).catch(async (error) => {
      // A probe that was written is removed before the program ends, unless its store does not answer.
      const cleaned = next.then(() => found.return(undefined)).catch(() => {});
      await Promise.race([cleaned, context.runtime.sleep(CLEANUP_MS)]);
      throw error;
    });
    if (done) break;
    checks.push(check);
    if (!flags.json) context.terminal.out(formatCheck(check));
  }
  const failed = checks.filter(({ status }) => status === "fail");
  if (flags.json) {
    context.terminal.out(
      toJson({ config_path: flags.config, all_ok: failed.length === 0, checks: checks.map(toJsonCheck) }),
    );
  }
  if (failed.length > 0) throw summarize(failed);
  if (flags.json) return;
  const { commandLine } = await import("../config/mod.ts");
  const next = commandLine("run", placeOf(flags), { exportName: flags.export, flags: "--validate" });
  context.terminal.out(`\nAll is well. Next: ${next}\n`);
}

async function* examine(context: CommandContext, flags: DoctorFlags): AsyncGenerator<PreflightCheck> {
  const { runtime, signal } = context;
  const [{ readConfig }, { preflight }, { openSource }, { openDestination }, { inspectState }] = await Promise.all([
    import("../config/mod.ts"),
    import("../plan/mod.ts"),
    import("../source/mod.ts"),
    import("../destination/mod.ts"),
    import("../state/mod.ts"),
  ]);
  let config: Config;
  try {
    config = await readConfig(flags.config, { params: flags.param, runtime });
  } catch (thrown) {
    const error = toRivetError(thrown);
    const where = error.where === null ? "" : ` (${error.where})`;
    const detail = `[${error.code}] ${error.message}${where}`;
    return yield { name: "config", status: "fail", detail, hint: error.cure, error };
  }
  const exports = selectExports(config, flags.export);
  const count = `${config.exports.length} ${config.exports.length === 1 ? "export" : "exports"}`;
  const notes = config.warnings.join("; ");
  yield notes === ""
    ? { name: "config", status: "ok", detail: count, hint: null, error: null }
    : { name: "config", status: "warn", detail: `${count}; ${notes}`, hint: null, error: null };
  yield* preflight({
    config,
    exports,
    runtime,
    signal,
    openSource,
    openDestination,
    inspectState: () => inspectState({ url: runtime.env("RIVET_STATE_URL"), directory: config.directory }),
  });
}

function formatCheck({ name, status, detail, hint }: PreflightCheck): string {
  const mark = { ok: "[OK]  ", warn: "[WARN]", fail: "[FAIL]" }[status];
  const line = `${mark} ${name}${status === "fail" ? ":" : " —"} ${detail}`;
  return `${sanitizeTerminal(redact(hint === null ? line : `${line}\n       Hint: ${hint}`))}\n`;
}

function toJsonCheck({ name, status, detail, hint, error }: PreflightCheck): Record<string, unknown> {
  return {
    name,
    ok: status !== "fail",
    status,
    detail: redact(detail),
    hint: hint === null ? null : redact(hint),
    code: error?.code ?? null,
  };
}

/** Trouble that may pass by itself makes the command worth another try. */
function summarize(failed: readonly PreflightCheck[]): RivetError {
  const names = failed.map(({ name }) => name).join(", ");
  const checks = failed.length === 1 ? "1 check failed" : `${failed.length} checks failed`;
  const isTransient = failed.some(({ error }) => error !== null && (error.retry !== "never" || error.kind === "busy"));
  return isTransient
    ? new RivetError("RIVET_CLI_PREFLIGHT_UNVERIFIED", `${checks}: ${names}`, { retry: "reconnect" })
    : new RivetError("RIVET_CLI_PREFLIGHT_FAILED", `${checks}: ${names}`);
}
