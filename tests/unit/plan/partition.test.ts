// `partition_by` through the engine: NULL has a folder of its own that no value can be taken for.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { RunSummary } from "../../../src/report/mod.ts";
import { runEngine } from "../../support/engine.ts";
import { join, temporaryFolder } from "../../support/files.ts";
import { listNames, readThroughManifest } from "../../support/reader.ts";

const NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__";

async function partition(
  type: string,
  values: readonly (string | null)[],
): Promise<Record<string, number[]> | RunSummary> {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, part ${type})`);
    values.forEach((value, i) => db.prepare("INSERT INTO t VALUES (?, ?)").run(i, value));
  }
  const configPath = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(
    configPath,
    `source: {type: sqlite, path: shop.db}
exports:
  - {name: t, table: t, partition_by: part, partition_granularity: month, format: parquet, destination: {type: local, path: "out/{partition}"}}
`,
  );
  const result = await runEngine({ configPath });
  const failed = result.per_export.find((summary) => summary.status === "failed");
  if (failed !== undefined) return failed;
  const found: Record<string, number[]> = {};
  for (const name of await listNames(join(folder.path, "out"))) {
    found[name] = (await readThroughManifest(join(folder.path, "out", name))).map((row) => Number(row["id"])).sort();
  }
  return found;
}

Deno.test("NULL is a folder of its own, and each month another", async () => {
  assert.deepEqual(await partition("DATE", ["2026-01-31", null, "2026-02-01", "2026-01-01", null]), {
    "2026-01": [0, 3],
    "2026-02": [2],
    [NULL_FOLDER]: [1, 4],
  });
});

Deno.test("a text column, whose values could be called as the folder of NULL is, is refused", async () => {
  const refused = await partition("TEXT", [NULL_FOLDER, null]) as RunSummary;
  assert.equal(refused.error?.code, "RIVET_CONFIG_MODE_SETTING_INVALID");
  assert.match(refused.error?.cure ?? "", /date or timestamp/);
});

for (const value of [NULL_FOLDER, "2026-13-01", "soon", ""]) {
  Deno.test(`a date column that holds '${value}' is refused, and its row is not put with those without one`, async () => {
    const refused = await partition("DATE", ["2026-01-31", value, null]) as RunSummary;
    assert.equal(refused.status, "failed", JSON.stringify(refused));
    assert.ok(refused.error?.code.startsWith("RIVET_"), refused.error?.code);
  });
}

Deno.test("a partition whose rows have all gone is empty after the next run", async () => {
  await using folder = await temporaryFolder();
  const change = (sql: string) => {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec(sql);
  };
  change(`CREATE TABLE t (id INTEGER PRIMARY KEY, part DATE NOT NULL);
    INSERT INTO t VALUES (1, '2025-11-05'), (2, '2026-01-05'), (3, '2026-02-05')`);
  const configPath = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(
    configPath,
    `source: {type: sqlite, path: shop.db}
exports:
  - {name: t, table: t, partition_by: part, partition_granularity: month, format: csv, destination: {type: local, path: "out/{partition}"}}
`,
  );
  const read = async () => {
    assert.equal((await runEngine({ configPath })).failed_count, 0);
    const found: [string, number][] = [];
    for (const name of await listNames(join(folder.path, "out"))) {
      const place = join(folder.path, "out", name);
      assert.ok((await listNames(place)).includes("_SUCCESS"), name);
      found.push([name, (await readThroughManifest(place)).length]);
    }
    return found;
  };
  assert.deepEqual(await read(), [["2025-11", 1], ["2025-12", 0], ["2026-01", 1], ["2026-02", 1]]);
  change("DELETE FROM t WHERE id <> 2");
  assert.deepEqual(await read(), [["2025-11", 0], ["2025-12", 0], ["2026-01", 1], ["2026-02", 0]]);
  change("DELETE FROM t");
  assert.deepEqual(await read(), [["2025-11", 0], ["2025-12", 0], ["2026-01", 0], ["2026-02", 0]]);
});
