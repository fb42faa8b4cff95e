// Standard output moves no state: whatever a run wrote there, the next one knows nothing of it.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { cliArgs, runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";

Deno.test("an incremental run to standard output keeps no cursor, no file, no journal and no run, and says so", async () => {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
  }
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}
exports:
  - {name: t, table: t, mode: incremental, cursor_column: id, format: csv, compression: none, destination: {type: stdout}}
`,
  );
  const cli = (...args: string[]) => runCli([...args, "-c", "rivet.yaml"], { cwd: folder.path });
  for (const flags of [[], ["--validate"]]) {
    const run = await cli("run", ...flags);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.stdout, "id,body\n1,a\n2,b\n");
    assert.match(run.stderr, /cursor: +start → 2 \(not kept\)/);
    assert.match(run.stderr, /verify: +not possible on standard output/);
  }
  const events = await cli("run", "--progress", "json");
  assert.match(events.stderr, /"capabilities":"commit_protocol=streaming idempotent_overwrite=false retry_safe=false/);
  const shown = await cli("state", "show");
  assert.match(shown.stdout, /^t +- +-$/m);
  for (
    const [args, nothing] of [
      [["state", "files"], "No files recorded yet."],
      [["state", "progression"], "Nothing committed yet."],
      [["journal"], "Nothing recorded yet."],
    ] as const
  ) {
    const { stdout, stderr } = await cli(...args);
    assert.ok((stdout + stderr).includes(nothing), stdout + stderr);
  }
  assert.deepEqual((await Array.fromAsync(Deno.readDir(folder.path))).map(({ name }) => name).sort(), [
    "rivet.yaml",
    "shop.db",
  ]);
});

Deno.test({
  name:
    "standard output that leads to a full disk is named, by every command and by an export, and is no mistake of ours",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using folder = await temporaryFolder();
    {
      using db = new DatabaseSync(join(folder.path, "shop.db"));
      db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    }
    const entry = (name: string, destination: string) =>
      `  - {name: ${name}, table: t, format: csv, destination: ${destination}}\n`;
    await Deno.writeTextFile(
      join(folder.path, "rivet.yaml"),
      `source: {type: sqlite, path: shop.db}\nexports:\n${entry("file", "{type: local, path: out}")}${
        entry("stream", "{type: stdout}")
      }`,
    );
    const toFull = async (...args: string[]) => {
      const { code, stderr } = await new Deno.Command("bash", {
        args: ["-c", `exec "$0" "$@" >/dev/full`, Deno.execPath(), ...cliArgs([...args, "--json-errors"])],
        cwd: folder.path,
        env: { NO_COLOR: "1" },
        stdin: "null",
      }).output();
      const text = new TextDecoder().decode(stderr);
      return {
        exit: code,
        ...JSON.parse(text.trim().split("\n").at(-1)!) as { code: string; error: string; cure: string },
      };
    };
    const config = ["-c", "rivet.yaml"];
    for (
      const args of [["--version"], ["--help"], ["schema", "config"], ["metrics", "--json", ...config], [
        "run",
        "--json",
        ...config,
        "-e",
        "file",
      ]]
    ) {
      const { exit, code, error } = await toFull(...args);
      assert.deepEqual([exit, code], [1, "RIVET_CLI_OUTPUT_UNWRITABLE"], args.join(" "));
      assert.equal(error, "Standard output cannot be written: the disk is full");
    }
    const { exit, code, error, cure } = await toFull("run", ...config, "-e", "stream");
    assert.deepEqual([exit, code], [1, "RIVET_DEST_DISK_FULL"]);
    assert.equal(error, "Standard output cannot be written: the disk is full");
    assert.ok(!cure.includes("pipe"), cure);
    // A log that takes no more is no reason to stop.
    const muted = await new Deno.Command("bash", {
      args: ["-c", `exec "$0" "$@" 2>/dev/full`, Deno.execPath(), ...cliArgs(["run", ...config, "-e", "stream"])],
      cwd: folder.path,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    assert.deepEqual([muted.code, new TextDecoder().decode(muted.stdout)], [0, "id,body\n1,a\n2,b\n"]);
  },
});
