// The program in this process: its arguments in, what it prints and its exit code out. For commands that need no process of their own.

import { buildProgram } from "../../src/commands/mod.ts";
import { systemRuntime } from "../../src/runtime.ts";
import type { CliResult } from "./cli.ts";

export async function runProgram(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  const system = systemRuntime();
  const written = { out: "", err: "" };
  const code = await buildProgram({
    terminal: {
      out: (text) => void (written.out += text),
      err: (text) => void (written.err += text),
      isTerminal: false,
      columns: () => 100,
    },
    runtime: { ...system, env: (name) => env[name] ?? system.env(name) },
    signal: new AbortController().signal,
  })(args);
  return { code, stdout: written.out, stderr: written.err };
}
