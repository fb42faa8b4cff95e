// The program under exactly the permissions that it names itself.

import assert from "node:assert/strict";
import { z } from "zod";
import { cliArgs, type CliResult, runCli } from "./cli.ts";

const LISTS = {
  net: z.array(z.string()),
  read: z.array(z.string()),
  write: z.array(z.string()),
  env: z.array(z.string()),
  sys: z.array(z.string()),
};

export const PERMISSIONS = z.strictObject({
  flags: z.array(z.string().regex(/^--(no-prompt|ignore-env|allow-(net|read|write|env|sys)=.+)$/)),
  ...LISTS,
  lanes: z.array(z.strictObject({ export: z.string(), ...LISTS })),
});

export async function askPermissions(
  folder: string,
  env: Record<string, string>,
): Promise<z.infer<typeof PERMISSIONS>> {
  const { code, stdout, stderr } = await runCli(["permissions", "-c", "rivet.yaml", "--json"], { cwd: folder, env });
  assert.equal(code, 0, stderr);
  return PERMISSIONS.parse(JSON.parse(stdout));
}

/** Runs a command with these arguments of `deno run` and no other permission. */
export async function runConfined(
  flags: readonly string[],
  args: readonly string[],
  options: { readonly cwd: string; readonly env: Record<string, string> },
): Promise<CliResult> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: cliArgs(args, flags),
    cwd: options.cwd,
    env: { NO_COLOR: "1", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}
