// The first runs of a config, before it has any state: one makes it, the others find it.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { findUntracked, readThroughManifest } from "../support/reader.ts";

Deno.test("first runs that begin at the same time wait for each other, and leave one complete set", async () => {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i FROM n`);
  }
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}
exports: [{name: t, table: t, format: parquet, destination: {type: local, path: out}}]`,
  );
  const runs = [1, 2, 3].map(() => runCli(["run", "-c", "rivet.yaml", "--lock-wait", "120"], { cwd: folder.path }));
  for (const { code, stderr } of await Promise.all(runs)) assert.equal(code, 0, stderr);
  const out = join(folder.path, "out");
  const ids = (await readThroughManifest(out)).map((row) => Number(row.id)).sort((a, b) => a - b);
  assert.deepEqual(ids, Array.from({ length: 5000 }, (_, i) => i + 1));
  assert.deepEqual(await findUntracked(out), []);
});
