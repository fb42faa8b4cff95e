// A config with parameters: every command that reads it takes them.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";

Deno.test("commands that look at past runs take the parameters that the run took", async () => {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
  }
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}
exports: [{name: t, query: "SELECT * FROM t WHERE id <= \${MOST}", format: csv, destination: {type: local, path: out}}]`,
  );
  for (const command of [["run"], ["metrics"], ["journal"], ["state", "files"], ["state", "show"], ["state", "runs"]]) {
    const args = [...command, "-c", "rivet.yaml"];
    const given = await runCli([...args, "-p", "MOST=2"], { cwd: folder.path });
    assert.equal(given.code, 0, `${command}: ${given.stderr}`);
    const missing = await runCli(args, { cwd: folder.path });
    assert.equal(missing.code, 1, String(command));
    assert.match(missing.stderr, /RIVET_CONFIG_SECRET_UNSET.*'\$\{MOST\}' has no value/);
  }
});
