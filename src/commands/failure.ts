// How a failure is printed: one line what, one where, one how to cure; or one JSON object.

import type { ErrorReport } from "../errors.ts";
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
