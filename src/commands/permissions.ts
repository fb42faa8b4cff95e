// `rivet permissions`: the `--allow-…` list under which the whole program can run the exports of a config, and nothing else.

import { fileURLToPath } from "node:url";
import { type AddCommand, type CommandContext, PARAM_OPTION, selectExports, toJson } from "./command.ts";

interface PermissionFlags {
  config: string;
  export?: string | undefined;
  param: Record<string, string>;
  json?: true | undefined;
}

const EXAMPLES = `
Examples:
  rivet permissions -c rivet.yaml
  RIVET_DENO_FLAGS="$(rivet permissions -c rivet.yaml)" rivet run -c rivet.yaml     rivet as an installed command
  deno run $(rivet permissions -c rivet.yaml) cli.ts run -c rivet.yaml
  rivet permissions -c rivet.yaml --json   also what the lanes of each export may reach
Every variable that is not named does not exist for the program. The lanes, which touch the data, have less: no
environment, their own source and destination. After a change of the config ask again.`;

const BLANK =
  'a path holds a blank, where an unquoted `$(…)` splits it; `RIVET_DENO_FLAGS="$(…)"` does not, nor does the list of `--json`';

export const addPermissions: AddCommand = (program, context) => {
  program.command("permissions")
    .description("Print the deno permissions that running a config needs")
    .requiredOption("-c, --config <file>", "config file")
    .option("-e, --export <name>", "only this export")
    .option(...PARAM_OPTION)
    .option("--json", "as one JSON object")
    .addHelpText("after", EXAMPLES)
    .action((flags) => permissionsCommand(context, flags));
};

async function permissionsCommand(context: CommandContext, flags: PermissionFlags): Promise<void> {
  const asked = new Set<string>();
  const runtime = {
    ...context.runtime,
    env(name: string) {
      asked.add(name);
      return context.runtime.env(name);
    },
  };
  const [{ readConfig }, { exportPermissions, programPermissions, toDenoFlags }] = await Promise.all([
    import("../config/mod.ts"),
    import("../run/mod.ts"),
  ]);
  const config = await readConfig(flags.config, { params: flags.param, runtime });
  const exports = selectExports(config, flags.export);
  const found = await programPermissions({ config, exports, runtime, code: codeFolders() });
  // What the config asks for, and the client of a store, beside what the program itself looks at.
  asked.delete("HOME");
  const permissions = { ...found, env: [...new Set([...found.env, ...asked])].sort() };
  const deno = toDenoFlags(permissions);
  if (!flags.json) {
    if (deno.some((flag) => /\s/.test(flag))) {
      context.terminal.err(`warning: ${BLANK}\n`);
    }
    return context.terminal.out(`${deno.join("\n")}\n`);
  }
  const connection = await config.source.resolveConnection();
  const lanes = exports.map((entry) => exportPermissions(entry, connection, runtime));
  context.terminal.out(toJson({ flags: deno, ...permissions, lanes }));
}

/** Where the program's code lies, told from this file. */
const CODE = ["../../src", "../../node_modules"];

/** None where the program is not files of its own. */
function codeFolders(): string[] {
  const { url } = import.meta;
  return url.startsWith("file:") ? CODE.map((place) => fileURLToPath(new URL(place, url)).replace(/\/$/, "")) : [];
}
