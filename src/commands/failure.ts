// How a failure is printed: one line what, one where, one how to cure; or one JSON object.

import { type ErrorReport, RivetError, toErrorReport } from "../errors.ts";
import { redact, sanitizeTerminal } from "../redact.ts";
import type { Terminal } from "./command.ts";

/** As text, or as JSON with what was warned of before. */
export function printFailure(terminal: Terminal, report: ErrorReport, warnings: readonly string[] | null): void {
  if (warnings !== null) {
    const clean = {
      ...report,
      error: redact(report.error),
      where: report.where === null ? null : redact(report.where),
      exit_class: report.exit_code,
      ...(warnings.length === 0 ? {} : { warnings: warnings.map((text) => redact(text)) }),
    };
    terminal.err(`${JSON.stringify(clean)}\n`);
    return;
  }
  const lines = [`Error: [${report.code}] ${report.error}`];
  if (report.where !== null) lines.push(`  where: ${report.where}`);
  if (report.cure !== "") lines.push(`  cure:  ${report.cure}`);
  terminal.err(`${sanitizeTerminal(redact(lines.join("\n")))}\n`);
}

/** What a second signal ends has no time for more than this. */
export function printStoppedAtOnce(terminal: Terminal, asJson: boolean): void {
  const cure = "The same command does what is left";
  if (!asJson) return terminal.err(`Stopped at once; ${cure.replace("The", "the")}\n`);
  const report = toErrorReport(
    new RivetError("RIVET_RUN_INTERRUPTED", "Stopped at once", { cure, retry: "reconnect" }),
  );
  printFailure(terminal, { ...report, exit_code: STOPPED_EXIT_CODE }, []);
}

/** As shells count a program that Ctrl-C ended. */
export const STOPPED_EXIT_CODE = 130;
