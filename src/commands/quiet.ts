// Standard error under `--json-errors`: for a machine, which wants one JSON object of a failure and no text beside it. Nothing that
// warns is lost: it goes into that object, or stands there as text when nothing failed.

import type { Terminal } from "./command.ts";

export interface QuietTerminal {
  readonly terminal: Terminal;
  /** What was warned of since it was asked last. */
  takeWarnings(): string[];
}

const WARNING = "warning: ";
/** `--progress json` was asked for by name, and is read by a machine too. */
const EVENT = '{"type":';

export function openQuietTerminal(terminal: Terminal): QuietTerminal {
  let warnings: string[] = [];
  return {
    terminal: {
      out: (text) => terminal.out(text),
      err(text) {
        if (text.startsWith(EVENT)) terminal.err(text);
        else if (text.startsWith(WARNING)) warnings.push(text.slice(WARNING.length).trimEnd());
      },
      isTerminal: false,
      columns: () => terminal.columns(),
    },
    takeWarnings() {
      const taken = warnings;
      warnings = [];
      return taken;
    },
  };
}
