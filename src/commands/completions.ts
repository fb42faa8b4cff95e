// `rivet completions`: the script that makes a shell complete rivet's commands, options, config files and export names; and the hidden
// `rivet complete`, which these scripts ask at every key press. It reads the config that is being typed, and nothing else.

import { Argument, type Command, type CommandUnknownOpts, type Option } from "@commander-js/extra-typings";
import type { OptionHandler, RootCommand } from "@bomb.sh/tab";
import type { AddCommand } from "./command.ts";

const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

const EXAMPLES = `
Examples:
  source <(rivet completions bash)                                    for this shell; put it into ~/.bashrc to keep it
  rivet completions zsh > "\${fpath[1]}/_rivet"
  rivet completions fish > ~/.config/fish/completions/rivet.fish
  rivet completions powershell | Out-String | Invoke-Expression
Bash needs the package bash-completion. The shell must find the program as \`rivet\`; if it starts otherwise, say how:
  rivet completions bash --command "deno run -A /opt/rivet/cli.ts"`;

export const addCompletions: AddCommand = (program, context) => {
  program.command("completions")
    .description("Print the completion script of a shell")
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .option("--command <text>", "how a shell starts the program", "rivet")
    .addHelpText("after", EXAMPLES)
    .action(async (shell, flags) => {
      const { script } = await import("@bomb.sh/tab");
      context.terminal.out(sourcedAgain(printed(() => script(shell, "rivet", flags.command))));
    });
  program.command("complete", { hidden: true })
    .argument("[words...]")
    .action(async (words) => (await buildTree(program as never, words)).parse([...words]));
};

/** The library knows no other place for its script than the console. */
function printed(body: () => void): string {
  const { log } = console;
  let text = "";
  console.log = (...words: unknown[]) => void (text += `${words.join(" ")}\n`);
  try {
    body();
  } finally {
    console.log = log;
  }
  return text;
}

/** A shell that reads the script anew must not trip over the constants of the first time, nor over those of another program. */
function sourcedAgain(text: string): string {
  return text.replace(/^readonly (\w+)=(\d+)$/gm, ': "${$1:=$2}"');
}

/** The commands as the library wants them, with what can be known of the values of options. */
async function buildTree(program: Command, words: readonly string[]): Promise<RootCommand> {
  const { RootCommand } = await import("@bomb.sh/tab");
  const root = new RootCommand();
  addCommands(root, program, program, [], words);
  return root;
}

function addCommands(
  root: RootCommand,
  program: Command,
  command: CommandUnknownOpts,
  path: readonly string[],
  words: readonly string[],
): void {
  for (const child of command.createHelp().visibleCommands(command as never)) {
    // The library counts `help` among the commands; each command has `--help`.
    if (child.name() === "help") continue;
    const names = [...path, child.name()];
    const added = root.command(names.join(" "), child.description());
    for (const option of [...child.options, ...program.options]) {
      const name = option.long?.slice(2);
      if (name === undefined) continue;
      const alias = option.short?.slice(1);
      const takesValue = option.required || option.optional;
      if (takesValue) added.option(name, option.description, valuesOf(option, words), alias);
      else if (alias === undefined) added.option(name, option.description);
      else added.option(name, option.description, alias);
    }
    for (const argument of child.registeredArguments) {
      const list = () => argument.argChoices ?? listFiles(words.at(-1) ?? "", /\.(json|ya?ml)$/);
      added.argument(argument.name(), (complete) => list().forEach((value) => complete(value, "")), argument.variadic);
    }
    addCommands(root, program, child, names, words);
  }
}

function valuesOf(option: Option, words: readonly string[]): OptionHandler {
  const word = words.at(-1) ?? "";
  const list = (): readonly string[] => {
    if (option.argChoices !== undefined) return option.argChoices;
    if (option.long === "--config") return listFiles(word, /\.ya?ml$/);
    if (option.long === "--export") return listExports(configIn(words));
    return /<(file|path|pem)>/.test(option.flags) ? listFiles(word, /./) : [];
  };
  return (complete) => list().forEach((value) => complete(value, ""));
}

/** Files and folders that the word may become. */
function listFiles(word: string, pattern: RegExp): string[] {
  const folder = word.slice(0, word.lastIndexOf("/") + 1);
  try {
    return [...Deno.readDirSync(folder === "" ? "." : folder)]
      .filter(({ name, isDirectory }) => !name.startsWith(".") && (isDirectory || pattern.test(name)))
      .map(({ name, isDirectory }) => `${folder}${name}${isDirectory ? "/" : ""}`)
      .sort();
  } catch {
    return [];
  }
}

function configIn(words: readonly string[]): string | undefined {
  const at = words.findLastIndex((word) => word === "-c" || word === "--config");
  return at < 0 ? words.find((word) => word.startsWith("--config="))?.slice("--config=".length) : words[at + 1];
}

/** The names as they are written: a config with unset variables is completed too, a broken one is not. */
function listExports(path: string | undefined): string[] {
  if (path === undefined) return [];
  try {
    return [...Deno.readTextFileSync(path).matchAll(/^[\s-]*(?:\{\s*)?["']?name["']?:\s*["']?([^\s"',}#]+)/gm)]
      .map(([, name]) => name!);
  } catch {
    return [];
  }
}
