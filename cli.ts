// The command line: parses, runs one command, prints, exits. Nothing else in the program exits.

import { printStoppedAtOnce } from "./src/commands/failure.ts";
import { buildProgram } from "./src/commands/mod.ts";
import { systemRuntime } from "./src/runtime.ts";
import { openProcessTerminal, stopSignal } from "./src/commands/terminal.ts";

if (import.meta.main) {
  // `deno task` changes into its own folder; paths are meant from where the command was typed.
  const typedIn = Deno.env.get("RIVET_CALLED_FROM");
  if (typedIn) Deno.chdir(typedIn);
  const terminal = openProcessTerminal();
  const stop = stopSignal(() => printStoppedAtOnce(terminal, Deno.args.includes("--json-errors")));
  const { signal, beforeExit } = stop;
  const code = await buildProgram({ terminal, runtime: systemRuntime(), signal, beforeExit })(Deno.args);
  stop.release();
  Deno.exit(code);
}
