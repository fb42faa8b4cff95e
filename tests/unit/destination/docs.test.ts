// The pages about destinations say what the code does.

import assert from "node:assert/strict";
import { CAPABILITIES } from "../../../src/destination/mod.ts";
import { runProgram } from "../../support/program.ts";
import { BLOCK_BYTES } from "../../../src/destination/upload.ts";

function read(path: string): Promise<string> {
  return Deno.readTextFile(new URL(`../../../docs/${path}`, import.meta.url));
}

/** Cells of every row whose first cell is a name in backticks. */
function rowsOf(page: string, width: number): Map<string, string[]> {
  const rows = page.split("\n").filter((line) => line.startsWith("| `"))
    .map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim()));
  return new Map(
    rows.filter((row) => row.length === width).map(([name, ...cells]) => [name!.replaceAll("`", ""), cells]),
  );
}

Deno.test("the table of capabilities is the code's", async () => {
  const rows = rowsOf(await read("concepts/destinations.md"), 5);
  assert.deepEqual([...rows.keys()], ["local", "s3", "gcs", "azure", "stdout"]);
  for (
    const [name, { commitProtocol, idempotentOverwrite, retrySafe, partialWriteRisk }] of Object.entries(CAPABILITIES)
  ) {
    assert.deepEqual(rows.get(name), [commitProtocol, idempotentOverwrite, retrySafe, partialWriteRisk].map(String));
  }
});

Deno.test("the sizes in the text are the code's", async () => {
  const page = await read("concepts/destinations.md");
  assert.equal(BLOCK_BYTES, 5 << 20);
  assert.match(page, /blocks of 5 MiB/);
});

Deno.test("the table of permissions has every command, and no other", async () => {
  const page = await read("operating/permissions.md");
  const table = page.slice(0, page.indexOf("\n## ")).split("\n").filter((line) => line.startsWith("| `"));
  const told = table.flatMap((line) => [...line.matchAll(/`([a-z]+)[^`]*`/g)].map(([, name]) => name!));
  const help = (await runProgram(["--help"])).stdout.split("\nCommands:\n")[1]!.split("\n\n")[0]!;
  const commands = [...help.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!).filter((name) => name !== "help");
  assert.ok(commands.includes("run"), help);
  assert.deepEqual([...new Set(told)].sort(), commands.sort());
});
