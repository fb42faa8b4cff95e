// The help teaches: every command says what it does and shows an example that its own parser takes.

import assert from "node:assert/strict";
import { runProgram } from "../support/program.ts";

/** Every command that does something, by its words. */
async function listCommands(path: readonly string[] = []): Promise<string[][]> {
  const { code, stdout } = await runProgram([...path, "--help"]);
  assert.equal(code, 0, stdout);
  const listed = stdout.split("\nCommands:\n")[1]?.split("\n\n")[0]?.split("\n") ?? [];
  const names = listed.filter((line) => /^ {2}\S/.test(line)).map((line) => line.trim().split(/[\s|]/)[0]!);
  const children = names.filter((name) => name !== "help").map((name) => [...path, name]);
  if (children.length === 0) return [[...path]];
  return (await Promise.all(children.map((child) => listCommands(child)))).flat();
}

const commands = await listCommands();

Deno.test("the commands are found", () => {
  const names = commands.map((words) => words.join(" "));
  for (const name of ["run", "check", "doctor", "state show", "state vacuum", "schema errors", "completions"]) {
    assert.ok(names.includes(name), `${name} in ${names.join(", ")}`);
  }
});

for (const words of commands) {
  const name = `rivet ${words.join(" ")}`;
  Deno.test(`the help of \`${name}\` teaches with an example`, async () => {
    const { stdout } = await runProgram([...words, "--help"]);
    const [usage, description] = stdout.split("\n\n");
    assert.ok(usage!.startsWith(`Usage: ${name}`), usage);
    assert.ok(description!.trim().length > 15, description);
    assert.doesNotMatch(stdout, /\(default: *(\[\]|\{\})/, "an empty list tells nothing");
    const examples = stdout.split(/\nExamples?:\n/)[1] ?? "";
    assert.ok(examples.includes(name), `no example in the help of \`${name}\``);
    // An option that an example uses is one that the command has.
    const known = new Set(stdout.match(/(?<=[ ,])--?[a-z][a-z-]*/g));
    const line = examples.split("\n").find((text) => text.includes(name))!;
    const used =
      line.slice(line.indexOf(name) + name.length).split(/ {2,}|[|>)]/)[0]!.match(/(?<= )--?[a-z][a-z-]*/g) ?? [];
    for (const option of used) assert.ok(known.has(option), `${option} in \`${line.trim()}\``);
  });
}

for (const words of [[], ["state"], ["schema"]]) {
  const name = ["rivet", ...words].join(" ");
  Deno.test(`\`${name}\` alone shows its help as an error, nothing on stdout`, async () => {
    const { code, stdout, stderr } = await runProgram(words);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.ok(stderr.startsWith(`Usage: ${name} `), stderr);
    assert.ok(stderr.includes("\nCommands:\n"), stderr);
  });
}

for (const group of ["state", "schema"]) {
  Deno.test(`the help of the group \`rivet ${group}\` has an example`, async () => {
    const { stdout } = await runProgram([group, "--help"]);
    assert.match(stdout, new RegExp(`\nExamples?:\n  rivet ${group} `));
  });
}

Deno.test("a usage error is printed once", async () => {
  const { stderr } = await runProgram(["run"]);
  assert.equal(stderr.split("required option").length, 2, stderr);
});

Deno.test("a --lock-wait without seconds says so", async () => {
  const { code, stderr } = await runProgram(["run", "-c", "rivet.yaml", "--lock-wait"]);
  assert.equal(code, 1);
  assert.match(stderr, /RIVET_CLI_VALUE_INVALID.*'--lock-wait' has no value/);
});

for (const command of ["validate", "plan"]) {
  for (const day of ["2026-13-45", "2026-02-30", "tomorrow"]) {
    Deno.test(`\`rivet ${command} --date ${day}\` is refused as no day`, async () => {
      const { code, stderr } = await runProgram([command, "-c", "rivet.yaml", "--date", day]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /RIVET_CLI_VALUE_INVALID.*is not a day/);
    });
  }
}

Deno.test("what is not there is refused with what is near", async () => {
  const { code, stderr } = await runProgram(["chek"]);
  assert.equal(code, 1);
  assert.match(stderr, /RIVET_CLI_VALUE_INVALID.*chek[\s\S]*check/);
});

Deno.test("the version is one line", async () => {
  const { code, stdout } = await runProgram(["--version"]);
  assert.equal(code, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});
