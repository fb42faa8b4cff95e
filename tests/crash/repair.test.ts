// Damage in the source and at the destination, repaired: afterwards the manifest's parts are the source, value by value, and it is verified.
// Then the same with a fault at every effect of the repair: the old set or the new one is there whole, and the same command finishes it.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { RivetError } from "../../src/errors.ts";
import { openState } from "../../src/state/mod.ts";
import { planRepair } from "../../src/verify/mod.ts";
import { queryParts } from "../support/duckdb_parts.ts";
import { reconcileEngine, repairEngine, runEngine, toReconcileContext, withEngine } from "../support/engine.ts";
import { type FaultKind, Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { findUntracked, listNames, readManifestFile, readThroughManifest } from "../support/reader.ts";
import { changeShop, type ExportMode, MODES, prepareShop } from "../support/shop.ts";

const COLUMNS = ["id", "grp", "at", "body"];

function foldersOf(folder: string, mode: ExportMode): string[] {
  return (mode.folders ?? ["."]).map((name) => join(folder, "out", name));
}

function sourceRows(folder: string, mode: ExportMode): (string | null)[][] {
  using db = new DatabaseSync(join(folder, "shop.db"));
  const where = mode.timedOnly ? "WHERE at IS NOT NULL" : "";
  const rows = db.prepare(`SELECT * FROM t ${where} ORDER BY CAST(id AS TEXT)`).all() as Record<string, unknown>[];
  return rows.map((row) => COLUMNS.map((name) => row[name] === null ? null : String(row[name])));
}

/** DuckDB over the manifest's parts equals the source; no file lies beside them that no manifest names. */
async function assertSame(folder: string, mode: ExportMode, where = ""): Promise<void> {
  const found = await queryParts(foldersOf(folder, mode), COLUMNS);
  const sorted = found.sort((a, b) => a[0]! < b[0]! ? -1 : 1);
  const expected = sourceRows(folder, mode).sort((a, b) => a[0]! < b[0]! ? -1 : 1);
  assert.deepEqual(sorted, expected, where);
  for (const place of foldersOf(folder, mode)) assert.deepEqual(await findUntracked(place), [], where);
}

async function boundaries(folder: string, name: string) {
  await using state = await openState({ url: undefined, directory: folder });
  const row = (await state.progression(name))[0]!;
  const committed = [row.last_committed_run_id, row.last_committed_chunk_index, row.last_committed_cursor];
  return { committed: [...committed, row.last_committed_at], verified: row.last_verified_run_id, run: committed[0] };
}

async function dataFiles(folder: string): Promise<string[]> {
  return (await listNames(folder)).filter((name) => /\.(parquet|csv)$/.test(name));
}

const SOURCE_DAMAGE = [
  "UPDATE t SET body = 'other' WHERE id = 31",
  "UPDATE t SET body = NULL WHERE id = 32",
  "DELETE FROM t WHERE id = 33",
  "INSERT INTO t SELECT 1000, grp, at, 'new' FROM t WHERE id = 31",
];

for (const mode of MODES) {
  const unit = mode.folders === undefined ? "t" : "t__2026-02";
  Deno.test(`${mode.name}: what changed in the source is repaired, and then verified`, async () => {
    await using folder = await temporaryFolder(inMemory());
    const configPath = await prepareShop(folder.path, mode);
    await runEngine({ configPath });
    const before = await boundaries(folder.path, unit);
    for (const sql of SOURCE_DAMAGE) changeShop(folder.path, sql);
    const report = await reconcileEngine({ configPath });
    assert.ok(report.summary.mismatches > 0);
    const done = await repairEngine({ configPath }, { report });
    assert.equal(done.report.summary.remaining, 0, JSON.stringify(done.report));
    assert.equal(done.report.summary.executed, report.summary.mismatches);
    await assertSame(folder.path, mode);
    // RR4: repair is corrective, not commitment.
    assert.deepEqual((await boundaries(folder.path, unit)).committed, before.committed);
    const again = await reconcileEngine({ configPath });
    assert.deepEqual([again.summary.mismatches, again.verified], [0, true]);
    assert.equal((await boundaries(folder.path, unit)).verified, before.run);
  });

  Deno.test(`${mode.name}: parts that are missing, cut or altered are repaired without a report`, async () => {
    await using folder = await temporaryFolder(inMemory());
    const configPath = await prepareShop(folder.path, mode);
    await runEngine({ configPath });
    const place = foldersOf(folder.path, mode)[0]!;
    for (const damage of ["remove", "cut", "flip"] as const) {
      const manifest = (await readManifestFile(place))!;
      const path = join(place, manifest.parts.find(({ status }) => status === "committed")!.path);
      if (damage === "remove") await Deno.remove(path);
      else {
        const bytes = await Deno.readFile(path);
        if (damage === "flip") bytes[20]! ^= 1;
        await Deno.writeFile(path, damage === "cut" ? bytes.subarray(0, bytes.length - 9) : bytes);
      }
      const done = await repairEngine({ configPath });
      assert.deepEqual(
        [done.plan.actions.length, done.report.summary.remaining],
        [1, 0],
        `${damage}: ${JSON.stringify(done.plan)}`,
      );
      assert.ok((await readManifestFile(place))!.parts.some(({ status }) => status === "superseded"));
      await assertSame(folder.path, mode, damage);
    }
    const clean = await repairEngine({ configPath });
    assert.deepEqual([clean.report.summary.planned, clean.report.summary.remaining], [0, 0]);
  });

  Deno.test(`${mode.name}: a manifest that was lost or edited, and a marker, are made anew from what is recorded`, async () => {
    await using folder = await temporaryFolder(inMemory());
    const configPath = await prepareShop(folder.path, mode);
    await runEngine({ configPath });
    const place = foldersOf(folder.path, mode)[0]!;
    const own = (await listNames(place)).find((name) => name.startsWith("manifest-"))!;
    const read = async () => [
      // Of a manifest that is lost altogether, nobody remembers when it was finished.
      (await Deno.readTextFile(join(place, "manifest.json"))).replace(/"finished_at": "[^"]*"/, ""),
      (await Deno.readTextFile(join(place, "_SUCCESS"))).replace(/^xxh3:.*/, ""),
    ];
    const whole = await read();
    const text = await Deno.readTextFile(join(place, "manifest.json"));
    const damages: Record<string, () => Promise<void>> = {
      "manifest removed": () => Deno.remove(join(place, "manifest.json")),
      "run manifest removed": () => Deno.remove(join(place, own)),
      "both garbage": async () => {
        await Deno.writeTextFile(join(place, "manifest.json"), "{");
        await Deno.writeTextFile(join(place, own), "{");
      },
      "a row count edited": () =>
        Deno.writeTextFile(
          join(place, "manifest.json"),
          text.replace(/"rows": (\d+)/, (_, n) => `"rows": ${Number(n) + 1}`),
        ),
      "marker removed": () => Deno.remove(join(place, "_SUCCESS")),
      "marker of another manifest": () => Deno.writeTextFile(join(place, "_SUCCESS"), "xxh3:0123456789abcdef\n"),
    };
    for (const [name, damage] of Object.entries(damages)) {
      await damage();
      const done = await repairEngine({ configPath });
      assert.deepEqual([done.plan.actions, done.report.summary.remaining], [[], 0], name);
      assert.equal(done.plan.manifests.length, 1, name);
      assert.deepEqual(await read(), whole, name);
      await assertSame(folder.path, mode, name);
    }
  });
}

const RANGE = MODES.find(({ name }) => name === "chunked by range")!;

Deno.test("new parts lie beside the old ones under names of the repair, and the manifest supersedes the old", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, RANGE);
  await runEngine({ configPath });
  const out = join(folder.path, "out");
  const before = await dataFiles(out);
  const manifest = (await readManifestFile(out))!;
  changeShop(folder.path, SOURCE_DAMAGE[0]!);
  const done = await repairEngine({ configPath });
  const after = await dataFiles(out);
  const added = after.filter((name) => !before.includes(name));
  assert.ok(before.every((name) => after.includes(name)));
  assert.equal(added.length, 1);
  assert.match(added[0]!, /^t_\d{8}_\d{6}_\d{3}_\d+_chunk1\.parquet$/);
  const repaired = (await readManifestFile(out))!;
  assert.equal(repaired.run_id, manifest.run_id);
  assert.equal(repaired.part_count, manifest.part_count);
  assert.deepEqual(repaired.parts.map(({ part_id }) => part_id).sort(), [1, 2, 3, 4]);
  assert.deepEqual(repaired.parts.filter(({ status }) => status === "superseded").map(({ path }) => path), [
    manifest.parts[1]!.path,
  ]);
  assert.deepEqual(repaired.repairs?.map(({ run_id, slices }) => [run_id, slices]), [[
    done.report.repair_run_id,
    ["c00001"],
  ]]);
  assert.equal(repaired.source.extraction.consistency, "slice");
  assert.deepEqual(repaired, await readManifestFile(out, `manifest-${manifest.run_id}.json`));
  // The next run replaces the set: old and superseded parts go.
  await runEngine({ configPath });
  assert.equal((await dataFiles(out)).length, 3);
  await assertSame(folder.path, RANGE);
});

Deno.test("a report of another run, of another export, or one that is no report is refused", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, RANGE);
  await runEngine({ configPath });
  changeShop(folder.path, SOURCE_DAMAGE[0]!);
  const report = await reconcileEngine({ configPath });
  await assert.rejects(repairEngine({ configPath }, { report: { ...report, export_name: "u" } }), {
    code: "RIVET_CLI_REPORT_INVALID",
  });
  await runEngine({ configPath });
  const stale = await repairEngine({ configPath }, { report });
  assert.deepEqual([stale.report.summary.executed, stale.report.summary.failed], [0, 1]);
  assert.equal(stale.summaries[0]!.error?.code, "RIVET_CLI_REPORT_INVALID");
  const unknown = report.partitions.map((check) => ({ ...check, run_id: "t_never" }));
  const skipped = await repairEngine({ configPath }, { report: { ...report, partitions: unknown } });
  assert.deepEqual([skipped.plan.actions.length, skipped.plan.skipped.length, skipped.report.summary.remaining], [
    0,
    1,
    1,
  ]);
  await assertSame(folder.path, RANGE);
});

Deno.test("an unfinished run is finished before anything is repaired", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, RANGE);
  await runEngine({ configPath });
  changeShop(folder.path, SOURCE_DAMAGE[0]!);
  const report = await reconcileEngine({ configPath });
  const faults = new Faults(0, "kill");
  await runEngine({ configPath, faults, onEvent: (event) => faults.dead ||= event.kind === "slice_completed" })
    .catch(() => {});
  const refused = await repairEngine({ configPath }, { report });
  assert.equal(refused.summaries[0]!.error?.code, "RIVET_STATE_CHUNK_RUN_UNFINISHED");
  assert.match(refused.summaries[0]!.error?.cure ?? "", /rivet run -c/);
  await runEngine({ configPath });
  await assertSame(folder.path, RANGE);
});

Deno.test("repaired rows at the edge of an incremental window are not exported again", async () => {
  await using folder = await temporaryFolder(inMemory());
  const mode = MODES.find(({ name }) => name === "incremental")!;
  const configPath = await prepareShop(folder.path, mode);
  await runEngine({ configPath });
  changeShop(folder.path, "UPDATE t SET body = 'at the edge' WHERE at = (SELECT max(at) FROM t)");
  assert.equal((await repairEngine({ configPath })).report.summary.remaining, 0);
  assert.equal((await runEngine({ configPath })).per_export[0]!.rows, 0);
  await assertSame(folder.path, mode);
});

Deno.test("files of earlier windows are repaired too, and their manifest alone is written", async () => {
  await using folder = await temporaryFolder(inMemory());
  const mode = MODES.find(({ name }) => name === "incremental")!;
  const configPath = await prepareShop(folder.path, mode);
  await runEngine({ configPath });
  changeShop(folder.path, "INSERT INTO t VALUES (61, 'g1', '2026-09-01 00:00:00', 'later')");
  await runEngine({ configPath });
  const out = join(folder.path, "out");
  const shown = await Deno.readTextFile(join(out, "manifest.json"));
  const first = (await listNames(out)).filter((name) => name.startsWith("manifest-")).sort()[0]!;
  await Deno.remove(join(out, (await readManifestFile(out, first))!.parts[0]!.path));
  const done = await repairEngine({ configPath });
  assert.deepEqual([done.plan.actions.length, done.report.summary.remaining], [1, 0]);
  assert.equal(await Deno.readTextFile(join(out, "manifest.json")), shown);
  const manifests = (await listNames(out)).filter((name) => name.startsWith("manifest-"));
  const found = (await queryParts([out], COLUMNS, manifests)).sort((a, b) => a[0]! < b[0]! ? -1 : 1);
  assert.deepEqual(found, sourceRows(folder.path, mode).sort((a, b) => a[0]! < b[0]! ? -1 : 1));
});

/** The process dies where a repair is published and only lacks its end. */
class KilledAtTheEnd extends Faults {
  override point(name: string): void {
    if (name === "state.commitRepair before") {
      this.dead = true;
      this.fired = name;
    }
    super.point(name);
  }
}

Deno.test("a repair that only lacks its end is ended by the repair of another run too", async () => {
  await using folder = await temporaryFolder(inMemory());
  const mode = MODES.find(({ name }) => name === "incremental")!;
  const configPath = await prepareShop(folder.path, mode);
  const first = (await runEngine({ configPath })).per_export[0]!.run_id!;
  changeShop(folder.path, "INSERT INTO t VALUES (61, 'g1', '2026-09-01 00:00:00', 'later')");
  const second = (await runEngine({ configPath })).per_export[0]!.run_id!;
  changeShop(folder.path, "UPDATE t SET body = 'other' WHERE id IN (31, 61)");
  const faults = new KilledAtTheEnd(0, "kill");
  const early = await reconcileEngine({ configPath }, { runId: first });
  await assert.rejects(repairEngine({ configPath, faults }, { report: early }));
  assert.notEqual(faults.fired, null);
  const late = await reconcileEngine({ configPath }, { runId: second });
  const done = await repairEngine({ configPath }, { report: late });
  assert.deepEqual([done.report.summary.remaining, done.summaries[0]!.warnings], [0, []]);
  await using state = await openState({ url: undefined, directory: folder.path });
  const repairs = (await state.runs({ exportName: "t", limit: 10 })).filter((run) => run.mode === "repair");
  assert.deepEqual(repairs.map(({ status }) => status), ["completed", "completed"]);
  const out = join(folder.path, "out");
  const manifests = (await listNames(out)).filter((name) => name.startsWith("manifest-"));
  const found = (await queryParts([out], COLUMNS, manifests)).sort((a, b) => a[0]! < b[0]! ? -1 : 1);
  assert.deepEqual(found, sourceRows(folder.path, mode).sort((a, b) => a[0]! < b[0]! ? -1 : 1));
  for (const runId of [first, second]) {
    assert.equal((await reconcileEngine({ configPath }, { runId })).summary.mismatches, 0);
  }
});

Deno.test("a quality rule judges the repaired set, and a refused repair leaves the old one", async () => {
  await using folder = await temporaryFolder(inMemory());
  const mode = { ...RANGE, yaml: `${RANGE.yaml}\n    quality: {row_count_min: 60}` };
  const configPath = await prepareShop(folder.path, mode);
  await runEngine({ configPath });
  const out = join(folder.path, "out");
  const manifest = await Deno.readTextFile(join(out, "manifest.json"));
  changeShop(folder.path, "DELETE FROM t WHERE id = 31");
  const done = await repairEngine({ configPath });
  assert.equal(done.summaries[0]!.error?.code, "RIVET_QUALITY_FAILED");
  assert.equal(done.report.summary.remaining, 1);
  assert.equal(await Deno.readTextFile(join(out, "manifest.json")), manifest);
  assert.deepEqual(await findUntracked(out), []);
});

/** Rows through the manifest, as text; a warehouse reads the same, only slower. */
async function manifestRows(places: readonly string[]): Promise<string> {
  const rows = (await Promise.all(places.map((place) => readThroughManifest(place)))).flat();
  const texts = rows.map((row) => COLUMNS.map((name) => toText(row[name])));
  return JSON.stringify(texts.sort((a, b) => a[0]! < b[0]! ? -1 : 1));
}

function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return value instanceof Date ? value.toISOString().slice(0, 19).replace("T", " ") : String(value);
}

/** One fault in a repair, then the same command until it succeeds, or a plain run. Returns whether the fault was reached. */
async function breakAt(mode: ExportMode, kind: FaultKind, at: number, then: "repair" | "run"): Promise<boolean> {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, mode);
  await runEngine({ configPath });
  const places = foldersOf(folder.path, mode);
  const old = await manifestRows(places);
  for (const sql of SOURCE_DAMAGE) changeShop(folder.path, sql);
  const fresh = JSON.stringify(sourceRows(folder.path, mode));
  const report = await reconcileEngine({ configPath });
  const faults = new Faults(at, kind);
  const first = await repairEngine({ configPath, faults }, { report }).catch((error: RivetError) => error);
  const where = `${mode.name}, ${kind} at ${at} (${faults.fired}), then ${then}`;
  if (faults.fired === null) assert.ok(!(first instanceof Error) && first.report.summary.remaining === 0, where);
  // In between, a reader finds the old set or the new one.
  assert.ok([old, fresh].includes(await manifestRows(places)), where);
  if (then === "repair") {
    const second = await repairEngine({ configPath });
    assert.equal(second.report.summary.remaining, 0, `${where}: ${JSON.stringify(second.summaries[0]?.error)}`);
    assert.equal(await manifestRows(places), fresh, where);
    assert.equal((await reconcileEngine({ configPath })).verified, true, where);
  }
  const next = await runEngine({ configPath });
  assert.equal(next.failed_count, 0, `${where}: ${JSON.stringify(next.per_export[0]?.error)}`);
  // A window adds nothing here; the repaired one is whole whatever became of its repair.
  if (mode.adds) assert.ok([old, fresh].includes(await manifestRows(places)), where);
  else assert.equal(await manifestRows(places), fresh, where);
  for (const place of places) assert.deepEqual(await findUntracked(place), [], where);
  return faults.fired !== null;
}

for (const mode of MODES.filter(({ name }) => ["chunked by range", "incremental"].includes(name))) {
  for (const kind of ["fail", "kill"] as const) {
    for (const then of ["repair", "run"] as const) {
      Deno.test(`${mode.name}: a repair survives a ${kind} at every effect, a ${then} follows`, async () => {
        let points = 0;
        while (await breakAt(mode, kind, points + 1, then)) points++;
        assert.ok(points >= 20, `only ${points} points were reached`);
      });
    }
  }
}

/** Counts how often a run's slices and parts are read from the state. */
class CountsReads extends Faults {
  reads = 0;

  override point(name: string): void {
    if (name === "state.parts before" || name === "state.slices before") this.reads++;
    super.point(name);
  }
}

Deno.test("a report of validate reads what is recorded once, however many files are wrong", async () => {
  const mode = MODES.find(({ name }) => name === "chunked by range")!;
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, { ...mode, yaml: mode.yaml.replace("25", "4") });
  const { run_id } = (await runEngine({ configPath })).per_export[0]!;
  const out = join(folder.path, "out");
  const reportOf = (files: readonly string[]) => ({
    kind: "validate" as const,
    failures: files.map((path) => ({
      unitName: "t",
      runIds: [run_id!],
      failure: { kind: "part_missing", code: "", severity: "wrong", message: "missing", path, run_id: run_id! },
    })),
  });
  const files = await dataFiles(out);
  const reads: number[] = [];
  for (const count of [1, 10]) {
    const faults = new CountsReads(0, "fail");
    const given = reportOf(files.slice(0, count));
    const plan = await withEngine(
      { configPath, faults },
      (context) =>
        planRepair(toReconcileContext(context), context.config.exports[0]!, { report: given, depth: "content" }),
    );
    assert.equal(plan.actions.length, count);
    reads.push(faults.reads);
  }
  assert.equal(reads[0], reads[1]);
});
