// Files that a command is told to write, where there is no room for them: the command fails, and what was there stays.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { cliArgs, runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { listNames } from "../support/reader.ts";

const CONFIG = `source: {type: sqlite, path: shop.db}
exports:
  - {name: t, table: t, format: csv, destination: {type: local, path: out}}
`;

/** A user who may write nothing to any file: each write is refused like one to a full disk. */
async function withoutRoom(args: readonly string[], cwd: string): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", `trap '' XFSZ; ulimit -f 0; exec "$0" "$@"`, Deno.execPath(), ...cliArgs(args)],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

Deno.test({
  name: "an output file for which there is no room fails the command and leaves the old file, byte for byte",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using folder = await temporaryFolder();
    {
      using db = new DatabaseSync(join(folder.path, "shop.db"));
      db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    }
    const config = join(folder.path, "rivet.yaml");
    await Deno.writeTextFile(config, CONFIG);
    assert.equal((await runCli(["plan", "-c", "rivet.yaml", "-o", "plan.json"], { cwd: folder.path })).code, 0);
    await Deno.writeTextFile(join(folder.path, "old.txt"), "old");
    const names = await listNames(folder.path);
    const cases: [file: string, ...args: string[]][] = [
      ["plan.json", "plan", "-c", "rivet.yaml", "-o", "plan.json"],
      ["rivet.yaml", "plan", "-c", "rivet.yaml", "--annotate-waves"],
      ["old.txt", "validate", "-c", "rivet.yaml", "-o", "old.txt"],
      ["rivet.yaml", "init", "--source", "sqlite:shop.db", "--force", "-o", "rivet.yaml"],
    ];
    for (const [file, ...args] of cases) {
      const before = await Deno.readTextFile(join(folder.path, file));
      const { code, text } = await withoutRoom(args, folder.path);
      assert.equal(code, 1, `${args.join(" ")}: ${text}`);
      assert.match(text, /\[RIVET_CLI_OUTPUT_UNWRITABLE\] .*: it is larger than the disk or `ulimit -f` allows/);
      assert.match(text, new RegExp(`where: .*${file}`));
      assert.equal(await Deno.readTextFile(join(folder.path, file)), before, args.join(" "));
    }
    assert.deepEqual(await listNames(folder.path), names);
  },
});
