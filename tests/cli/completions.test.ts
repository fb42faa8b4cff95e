// `rivet completions`: scripts of four shells, and what they are told at a key press.

import assert from "node:assert/strict";
import { CLI, runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";

/** The candidates for a command line; the last word is the one that is being typed. */
async function complete(words: readonly string[], cwd?: string): Promise<string[]> {
  const { code, stdout, stderr } = await runCli(["complete", "--", ...words], cwd === undefined ? {} : { cwd });
  assert.equal(code, 0, stderr);
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.pop(), ":4");
  return lines.map((line) => line.split("\t")[0]!);
}

async function withConfig(body: (folder: string) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  await Deno.mkdir(join(folder.path, "more"));
  await Deno.writeTextFile(join(folder.path, "plan.json"), "{}");
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    "source: {type: postgres, url_env: NOT_SET_HERE}\nexports:\n  - name: orders\n    table: o\n  - {name: users, table: u}\n",
  );
  await body(folder.path);
}

Deno.test("commands, subcommands and options are completed, hidden ones and help are not", async () => {
  const commands = await complete([""]);
  for (const name of ["doctor", "check", "run", "state", "permissions", "completions"]) {
    assert.ok(commands.includes(name), name);
  }
  for (const name of ["complete", "help"]) assert.ok(!commands.includes(name), name);
  assert.deepEqual(await complete(["state", "reset-"]), ["reset-chunks"]);
  const options = await complete(["check", "--"]);
  for (const name of ["--config", "--target", "--json-errors"]) assert.ok(options.includes(name), name);
});

Deno.test("values are completed: choices, configs in this folder, the exports of the config that was typed", async () => {
  await withConfig(async (folder) => {
    assert.deepEqual(await complete(["run", "--progress", ""], folder), ["auto", "plain", "json", "none"]);
    assert.deepEqual(await complete(["run", "-c", ""], folder), ["more/", "rivet.yaml"]);
    assert.deepEqual(await complete(["run", "-c", "ri"], folder), ["rivet.yaml"]);
    assert.deepEqual(await complete(["run", "-c", "rivet.yaml", "-e", ""], folder), ["orders", "users"]);
    assert.deepEqual(await complete(["run", "--config", "rivet.yaml", "--export", "u"], folder), ["users"]);
    assert.deepEqual(await complete(["run", "-c", "gone.yaml", "-e", ""], folder), []);
    assert.deepEqual(await complete(["apply", ""], folder), ["more/", "plan.json", "rivet.yaml"]);
    assert.deepEqual(await complete(["completions", "b"]), ["bash"]);
  });
});

for (
  const [shell, mark] of [["bash", "complete -F"], ["zsh", "#compdef rivet"], ["fish", "complete -c rivet"], [
    "powershell",
    "Register-ArgumentCompleter",
  ]]
) {
  Deno.test(`the script for ${shell} asks the program that is named`, async () => {
    const { code, stdout } = await runCli(["completions", shell!, "--command", "deno run -A /opt/cli.ts"]);
    assert.equal(code, 0);
    assert.ok(stdout.includes(mark!), stdout.slice(0, 400));
    assert.match(stdout, /deno run -A \/opt\/cli\.ts complete ['"]?--/);
  });
}

Deno.test("a real bash completes with its script", async () => {
  await withConfig(async (folder) => {
    const program = `deno run -A --no-prompt --config ${join(CLI, "../deno.json")} ${CLI}`;
    const script = await runCli(["completions", "bash", "--command", program]);
    await Deno.writeTextFile(join(folder, "rivet.bash"), script.stdout);
    // bash-completion's own function, for a line that was typed to its end.
    const driver = `source rivet.bash
      _get_comp_words_by_ref() { words=(rivet run -c rivet.yaml -e or); cword=5; cur=or; prev=-e; }
      compopt() { :; }
      __rivet_complete
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-c", driver],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.equal(new TextDecoder().decode(stdout), "orders\n");
  });
});

Deno.test("a shell may read the script again, and another program's constants do not hurt", async () => {
  await using folder = await temporaryFolder();
  const { stdout: script } = await runCli(["completions", "bash"]);
  await Deno.writeTextFile(join(folder.path, "rivet.bash"), script);
  const driver =
    "readonly ShellCompDirectiveNoSpace=2; . ./rivet.bash && . ./rivet.bash && echo $ShellCompDirectiveError";
  const { code, stdout, stderr } = await new Deno.Command("bash", { args: ["-c", driver], cwd: folder.path }).output();
  assert.deepEqual([code, new TextDecoder().decode(stdout), new TextDecoder().decode(stderr)], [0, "1\n", ""]);
});

Deno.test("a shell that there is no script for is refused with the ones there are", async () => {
  const { code, stderr } = await runCli(["completions", "tcsh"]);
  assert.equal(code, 1);
  assert.match(stderr, /RIVET_CLI_VALUE_INVALID[\s\S]*bash, zsh, fish, powershell/);
});
