// The real entry point as a process, and what it left behind.

import { fromFileUrl, join } from "./files.ts";

export const CLI = fromFileUrl(new URL("../../cli.ts", import.meta.url));

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/** Another build of the program, to be tested in place of the sources: `dist/rivet.js`. */
const BUILT = Deno.env.get("RIVET_TEST_PROGRAM");
/** What a bundled program needs, as its command starts it. */
const BUILT_FLAGS = ["--no-prompt", "--no-config", "--cached-only", "--unstable-worker-options"] as const;

/** Arguments of a Deno process that runs the command line. */
export function cliArgs(args: readonly string[], allowed: readonly string[] = ["-A", "--no-prompt"]): string[] {
  return BUILT === undefined
    ? ["run", ...allowed, "--config", join(CLI, "../deno.json"), CLI, ...args]
    : builtArgs(BUILT, args, allowed);
}

/** The same for a bundled program. */
export function builtArgs(built: string, args: readonly string[], allowed: readonly string[] = ["-A"]): string[] {
  return ["run", ...BUILT_FLAGS, ...allowed, built, ...args];
}

/** Runs a command to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: cliArgs(args),
    env: { NO_COLOR: "1", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

/** Starts a command without waiting for it. */
export function startCli(args: readonly string[], options: CliOptions = {}): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: cliArgs(args),
    env: { NO_COLOR: "1", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
}
