// Standard output moves no state: whatever a run wrote there, the next one knows nothing of it.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
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
