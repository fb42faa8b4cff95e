// Shell scripts with `rivet` on the PATH, as an operator types them.

import { cliArgs, type CliResult } from "./cli.ts";
import { join } from "./files.ts";

export interface Shell {
  /** Runs a script of bash to its end, as `bash -euo pipefail` would. */
  run(script: string): Promise<CliResult>;
}

/** `tools` gets the program; the scripts run in `cwd`. */
export async function openShell(tools: string, cwd: string, env: Record<string, string>): Promise<Shell> {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const command = [Deno.execPath(), ...cliArgs([])].map(quote).join(" ");
  await Deno.writeTextFile(join(tools, "rivet"), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  const path = `${tools}:${Deno.env.get("PATH")}`;
  return {
    async run(script) {
      const { code, stdout, stderr } = await new Deno.Command("bash", {
        args: ["-euo", "pipefail", "-c", script],
        cwd,
        env: { NO_COLOR: "1", ...env, PATH: path },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).output();
      const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: decode(stdout), stderr: decode(stderr) };
    },
  };
}
