// The program in this process: arguments in, exit code and what it printed out. For what needs no process of its own.

import { buildProgram } from "../../src/commands/mod.ts";
import { systemRuntime } from "../../src/runtime.ts";
import type { CliResult } from "./cli.ts";

/** Runs a command with these variables in front of the real ones. */
export async function runProgram(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  const run = buildProgram({
    terminal: { out: (text) => stdout += text, err: (text) => stderr += text, isTerminal: false, columns: () => 120 },
    runtime: { ...systemRuntime(), env: (name) => env[name] ?? Deno.env.get(name) },
    signal: new AbortController().signal,
  });
  const code = await run(args);
  return { code, stdout, stderr };
}
