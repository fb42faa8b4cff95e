// The command line: parses, runs one command, prints, exits. Nothing else in the program exits.

import { buildProgram } from "./src/commands/mod.ts";
import { systemRuntime } from "./src/runtime.ts";
import { openProcessTerminal, stopSignal } from "./src/commands/terminal.ts";

if (import.meta.main) {
  const stop = stopSignal();
  const code = await buildProgram({ terminal: openProcessTerminal(), runtime: systemRuntime(), signal: stop.signal })(
    Deno.args,
  );
  stop.release();
  Deno.exit(code);
}
