// One value changed, a row deleted, a row inserted: every mode finds it, names the chunk and the key, and verifies nothing.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Lane } from "../../src/run/mod.ts";
import { openState } from "../../src/state/mod.ts";
import { reconcileEngine, repairEngine, runEngine } from "../support/engine.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { readManifestFile } from "../support/reader.ts";
import { changeShop, type ExportMode, MODES, prepareShop } from "../support/shop.ts";

async function withShop(
  mode: ExportMode,
  body: (folder: string, configPath: string) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, mode);
  assert.equal((await runEngine({ configPath })).failed_count, 0);
  await body(folder.path, configPath);
}

async function verifiedRun(folder: string, name: string): Promise<string | null> {
  await using state = await openState({ url: undefined, directory: folder });
  const rows = await state.progression(name);
  const row = rows[0];
  assert.ok(row !== undefined, "nothing is committed");
  if (row.last_verified_run_id === null) return null;
  assert.deepEqual(
    [row.last_verified_strategy, row.last_verified_cursor, row.last_verified_chunk_index, row.last_verified_run_id],
    [row.last_committed_strategy, row.last_committed_cursor, row.last_committed_chunk_index, row.last_committed_run_id],
  );
  return row.last_verified_run_id;
}

interface Damage {
  readonly name: string;
  readonly sql: string;
  readonly columns: readonly string[];
  readonly keys: { missing: string[]; extra: string[]; changed: string[] };
  readonly counted: boolean;
}

const DAMAGES: readonly Damage[] = [
  {
    name: "a changed value",
    sql: "UPDATE t SET body = 'other' WHERE id = 31",
    columns: ["body"],
    keys: { missing: [], extra: [], changed: ["31"] },
    counted: false,
  },
  {
    name: "a value that became NULL",
    sql: "UPDATE t SET body = NULL WHERE id = 31",
    columns: ["body"],
    keys: { missing: [], extra: [], changed: ["31"] },
    counted: false,
  },
  {
    name: "a deleted row",
    sql: "DELETE FROM t WHERE id = 31",
    columns: ["id", "grp", "at", "body"],
    keys: { missing: [], extra: ["31"], changed: [] },
    counted: true,
  },
  {
    name: "an inserted row",
    sql: "INSERT INTO t SELECT 1000, grp, at, 'new' FROM t WHERE id = 31",
    columns: ["id", "grp", "at", "body"],
    keys: { missing: ["1000"], extra: [], changed: [] },
    counted: true,
  },
];

for (const mode of MODES) {
  const unit = mode.folders === undefined ? "t" : "t__2026-02";
  Deno.test(`${mode.name}: an export that equals its source is verified, by count and by content`, async () => {
    await withShop(mode, async (folder, configPath) => {
      assert.equal(await verifiedRun(folder, unit), null);
      for (const depth of ["count", "content"] as const) {
        const report = await reconcileEngine({ configPath }, { depth });
        assert.deepEqual([report.summary.mismatches, report.summary.unknown, report.verified], [0, 0, true]);
        assert.equal(report.summary.total_source_rows, mode.timedOnly ? 54 : 60);
        assert.equal(report.summary.total_exported_rows, report.summary.total_source_rows);
        assert.ok(await verifiedRun(folder, unit) !== null);
      }
    });
  });

  for (const damage of DAMAGES) {
    Deno.test(`${mode.name}: ${damage.name} is found in its chunk and told by key`, async () => {
      await withShop(mode, async (folder, configPath) => {
        changeShop(folder, damage.sql);
        const counted = await reconcileEngine({ configPath }, { depth: "count" });
        assert.equal(counted.summary.mismatches, damage.counted ? 1 : 0);
        const report = await reconcileEngine({ configPath }, { keysMax: 10 });
        const bad = report.partitions.filter((check) => check.status !== "match");
        assert.equal(bad.length, 1, JSON.stringify(bad));
        const [found] = bad;
        assert.equal(found!.status, "mismatch");
        assert.equal(found!.export_name, unit);
        // The row inserted beside row 31 shares its group and its time; the chunk of its own key is another one.
        assert.deepEqual([...found!.columns].filter((name) => damage.columns.includes(name)), [...found!.columns]);
        assert.ok(found!.columns.length > 0);
        const { missing, extra, changed } = found!.keys!;
        assert.deepEqual({ missing, extra, changed }, damage.keys);
        assert.equal(report.verified, false);
        if (damage.counted) assert.equal(await verifiedRun(folder, unit), null);
      });
    });
  }
}

for (const codec of ["none", "gzip", "zstd"]) {
  Deno.test(`CSV with the compression ${codec}: rows are told by key, also when the compression was edited since`, async () => {
    await using folder = await temporaryFolder(inMemory());
    const configPath = await prepareShop(folder.path, MODES.find(({ name }) => name === "chunked by range")!);
    const text = await Deno.readTextFile(configPath);
    const write = (codec: string) =>
      Deno.writeTextFile(configPath, text.replace("format: parquet", `format: csv\n    compression: ${codec}`));
    await write(codec);
    assert.equal((await runEngine({ configPath })).failed_count, 0);
    assert.equal((await reconcileEngine({ configPath }, { keysMax: 10 })).verified, true);
    for (const { sql } of DAMAGES.slice(0, 1)) changeShop(folder.path, sql);
    for (const now of [codec, codec === "none" ? "zstd" : "none"]) {
      await write(now);
      const report = await reconcileEngine({ configPath }, { keysMax: 10 });
      const [found] = report.partitions.filter((check) => check.status !== "match");
      const { missing, extra, changed } = found!.keys!;
      assert.deepEqual({ missing, extra, changed }, { missing: [], extra: [], changed: ["31"] }, JSON.stringify(found));
    }
  });
}

Deno.test("an export that never ran is refused with the cure", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, MODES[0]!);
  await assert.rejects(reconcileEngine({ configPath }), (error: { code: string; cure: string }) => {
    assert.equal(error.code, "RIVET_STATE_CHUNK_RUN_MISSING");
    assert.match(error.cure, /rivet run -c/);
    return true;
  });
});

Deno.test("an edited chunk size is refused with a cure, an edited compression is not", async () => {
  await withShop(MODES.find(({ name }) => name === "chunked by range")!, async (_folder, configPath) => {
    const text = await Deno.readTextFile(configPath);
    await Deno.writeTextFile(configPath, text.replace("format: parquet", "format: parquet\n    compression: snappy"));
    assert.equal((await reconcileEngine({ configPath })).verified, true);
    await Deno.writeTextFile(configPath, text.replace("chunk_size: 25", "chunk_size: 30"));
    await assert.rejects(reconcileEngine({ configPath }), (error: { code: string; cure: string }) => {
      assert.equal(error.code, "RIVET_STATE_CHUNK_PLAN_CHANGED");
      assert.match(error.cure, /run the export again/);
      return true;
    });
  });
});

Deno.test("chunk bounds edited in the state are refused", async () => {
  await withShop(MODES.find(({ name }) => name === "chunked by range")!, async (folder, configPath) => {
    {
      using state = new DatabaseSync(join(folder, ".rivet_state.db"));
      state.exec("UPDATE chunk_task SET bounds_json = replace(bounds_json, '\"26\"', '\"25\"')");
    }
    await assert.rejects(reconcileEngine({ configPath }), { code: "RIVET_STATE_CHUNK_WINDOWS_BROKEN" });
  });
});

Deno.test("an incremental export is compared window by window, rows at the edge counted once", async () => {
  await withShop(MODES.find(({ name }) => name === "incremental")!, async (folder, configPath) => {
    changeShop(
      folder,
      "INSERT INTO t VALUES (61, 'g1', (SELECT max(at) FROM t), 'tie'), (62, 'g1', '2026-09-01 00:00:00', 'x')",
    );
    assert.equal((await runEngine({ configPath })).per_export[0]!.rows, 2);
    for (const depth of ["count", "content"] as const) {
      const report = await reconcileEngine({ configPath }, { depth });
      assert.deepEqual([report.summary.total_source_rows, report.verified], [2, true]);
    }
    // A run without news leaves the window before it the newest one.
    assert.equal((await runEngine({ configPath })).per_export[0]!.rows, 0);
    assert.equal((await reconcileEngine({ configPath })).summary.total_source_rows, 2);
  });
});

Deno.test("rows that have exchanged values are found by comparing rows, with and without a key", async () => {
  await withShop(MODES.find(({ name }) => name === "chunked by range")!, async (folder, configPath) => {
    const whole = await reconcileEngine({ configPath }, { depth: "rows" });
    assert.deepEqual([whole.verified, whole.summary.matches], [true, 4]);
    changeShop(folder, "UPDATE t SET body = CASE id WHEN 31 THEN 'row 32' ELSE 'row 31' END WHERE id IN (31, 32)");
    assert.equal((await reconcileEngine({ configPath }, { depth: "content" })).summary.mismatches, 0);
    const report = await reconcileEngine({ configPath }, { depth: "rows", keysMax: 10 });
    const [bad, ...others] = report.partitions.filter(({ status }) => status !== "match");
    assert.deepEqual([bad?.chunk_index, bad?.status, bad?.columns, others.length], [1, "mismatch", [], 0]);
    assert.deepEqual(bad?.keys?.changed, ["31", "32"]);
    assert.match(bad?.note ?? "", /2 with other values/);
    const done = await repairEngine({ configPath }, { report });
    assert.equal(done.report.summary.remaining, 0);
    assert.equal((await reconcileEngine({ configPath }, { depth: "rows" })).verified, true);
  });
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, {
    name: "query",
    yaml: 'query: "SELECT grp, body FROM t"',
  });
  await runEngine({ configPath });
  assert.equal((await reconcileEngine({ configPath }, { depth: "rows" })).verified, true);
  changeShop(folder.path, "UPDATE t SET body = CASE id WHEN 31 THEN 'row 35' ELSE 'row 31' END WHERE id IN (31, 35)");
  const report = await reconcileEngine({ configPath }, { depth: "rows", keysMax: 10 });
  // Both are of one group: without their ids the rows are the same rows. Of two groups they are not.
  assert.equal(report.summary.mismatches, 0);
  changeShop(folder.path, "UPDATE t SET body = CASE id WHEN 31 THEN 'row 32' ELSE 'row 35' END WHERE id IN (31, 32)");
  const other = await reconcileEngine({ configPath }, { depth: "rows", keysMax: 10 });
  const { keys } = other.partitions[0]!;
  assert.deepEqual(keys?.columns, ["_rivet_row_hash"]);
  assert.deepEqual([keys?.counts.missing, keys?.counts.extra], [2, 2]);
});

Deno.test("rows of CSV files are compared as those of Parquet files", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, MODES[0]!, "csv");
  await runEngine({ configPath });
  assert.equal((await reconcileEngine({ configPath }, { depth: "rows" })).verified, true);
  changeShop(folder.path, "UPDATE t SET body = CASE id WHEN 31 THEN 'row 32' ELSE 'row 31' END WHERE id IN (31, 32)");
  const report = await reconcileEngine({ configPath }, { depth: "rows", keysMax: 10 });
  assert.deepEqual(report.partitions[0]!.keys?.changed, ["31", "32"]);
});

Deno.test("the chunks whose keys are compared share one lane, and trouble with one does not reach the others", async () => {
  await withShop(MODES.find(({ name }) => name === "chunked by range")!, async (folder, configPath) => {
    changeShop(folder, "UPDATE t SET body = 'other' WHERE id IN (1, 31, 52)");
    const asked: Lane[] = [];
    const wrapLane = (lane: Lane): Lane => ({
      ...lane,
      compareKeys: (request, signal) => {
        asked.push(lane);
        return lane.compareKeys(request, signal);
      },
    });
    const keysOf = async () =>
      (await reconcileEngine({ configPath, wrapLane }, { keysMax: 10 })).partitions
        .filter(({ status }) => status !== "match").map(({ keys, note }) => keys?.changed ?? note);
    assert.deepEqual(await keysOf(), [["1"], ["31"], ["52"]]);
    assert.deepEqual([asked.length, new Set(asked).size], [3, 1]);
    const out = join(folder, "out");
    const damaged = (await readManifestFile(out))!.parts[1]!;
    await Deno.writeTextFile(join(out, damaged.path), "x".repeat(damaged.size_bytes));
    const [first, second, third] = await keysOf();
    assert.deepEqual([first, third], [["1"], ["52"]]);
    assert.match(String(second), /keys cannot be told: \[RIVET_/);
  });
});

Deno.test("a file that is damaged is told where its rows are compared", async () => {
  await withShop(MODES.find(({ name }) => name === "chunked by range")!, async (folder, configPath) => {
    const out = join(folder, "out");
    const part = (await readManifestFile(out))!.parts[1]!;
    await Deno.remove(join(out, part.path));
    assert.equal((await reconcileEngine({ configPath })).verified, true);
    const report = await reconcileEngine({ configPath }, { depth: "rows" });
    assert.deepEqual([report.summary.unknown, report.verified], [1, false]);
    assert.match(report.partitions[1]!.note ?? "", /RIVET_VERIFY_PART_MISSING/);
    assert.equal((await repairEngine({ configPath }, { report })).report.summary.remaining, 0);
    assert.equal((await reconcileEngine({ configPath }, { depth: "rows" })).verified, true);
  });
});
