// A run is killed, then what it left is damaged, or the config is edited, or rows arrive: afterwards the destination equals the source,
// or the run refuses, says why, refuses again, and its named remedy works.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { RivetError } from "../../src/errors.ts";
import type { RunEvent } from "../../src/report/mod.ts";
import { runEngine } from "../support/engine.ts";
import { Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import {
  findUntracked,
  listNames,
  readManifestFile,
  readThroughAllManifests,
  readThroughManifest,
  type Row,
} from "../support/reader.ts";
import { openState, type StoredRun } from "../../src/state/mod.ts";

const ROWS = 60;

async function writeConfig(folder: string, lines: string, head = ""): Promise<string> {
  const path = join(folder, "rivet.yaml");
  await Deno.writeTextFile(
    path,
    `source:
  type: sqlite
  path: shop.db
  tuning: {profile: fast, max_retries: 0}
${head}exports:
  - name: t
    ${lines.split("\n").join("\n    ")}
`,
  );
  return path;
}

function fill(folder: string): void {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL, body TEXT); CREATE TABLE other AS SELECT 1 AS id, '' AS at, '' AS body",
  );
  const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?)");
  for (let id = 1; id <= ROWS; id++) {
    insert.run(id, `2026-01-${String(1 + id % 28).padStart(2, "0")} 00:00:00`, `row ${id}`);
  }
}

function change(folder: string, sql: string): void {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec(sql);
}

function sourceIds(folder: string): number[] {
  using db = new DatabaseSync(join(folder, "shop.db"));
  return (db.prepare("SELECT id FROM t ORDER BY id").all() as { id: number }[]).map((row) => row.id);
}

function ids(rows: readonly Row[]): number[] {
  return rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
}

const RANGE =
  "table: t\nmode: chunked\nchunk_column: id\nchunk_size: 20\nformat: parquet\ndestination: {type: local, path: out}";

/** Kills a run when `chunks` chunks are committed, and those that were committed with them. */
async function killAfter(configPath: string, chunks: number, nowMs: () => number = Date.now): Promise<void> {
  let seen = 0;
  const faults = new Faults(0, "kill");
  await runEngine({
    configPath,
    faults,
    nowMs,
    onEvent: (event) => {
      if (event.kind === "slice_completed" && ++seen === chunks) faults.dead = true;
    },
  }).catch(() => {});
}

/** Kills a run when all its chunks are committed. */
async function killBeforePublishing(configPath: string): Promise<void> {
  const faults = new Faults(0, "kill");
  const onEvent = (event: RunEvent) => faults.dead ||= event.kind === "validated";
  await runEngine({ configPath, faults, options: { validate: true }, onEvent }).catch(() => {});
  assert.ok(faults.dead, "the run came to its end");
}

async function withKilledRun(
  chunks: number,
  body: (folder: string, configPath: string) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder(inMemory());
  fill(folder.path);
  const configPath = await writeConfig(folder.path, RANGE);
  if (chunks > 0) await killAfter(configPath, chunks);
  await body(folder.path, configPath);
}

async function assertExact(folder: string, configPath: string): Promise<void> {
  const result = await runEngine({ configPath });
  assert.equal(result.failed_count, 0, JSON.stringify(result.per_export[0]?.error));
  const out = join(folder, "out");
  assert.deepEqual(ids(await readThroughManifest(out)), sourceIds(folder));
  assert.deepEqual(await findUntracked(out), []);
}

async function firstPart(folder: string): Promise<string> {
  const name = (await listNames(join(folder, "out"))).find((n) => n.includes("_chunk0"));
  assert.ok(name !== undefined, "the first chunk was committed");
  return join(folder, "out", name);
}

Deno.test("a killed run is finished under its own id and names", async () => {
  await withKilledRun(1, async (folder, configPath) => {
    const before = await storedRuns(folder);
    const result = await runEngine({ configPath });
    assert.equal(result.per_export[0]?.resumed, true);
    assert.deepEqual(ids(await readThroughManifest(join(folder, "out"))), sourceIds(folder));
    const after = await storedRuns(folder);
    assert.deepEqual(after.map((run) => run.runId), before.map((run) => run.runId));
    assert.ok((await listNames(join(folder, "out"))).includes(`manifest-${before[0]!.runId}.json`));
  });
});

async function storedRuns(folder: string): Promise<StoredRun[]> {
  await using state = await openState({ url: undefined, directory: folder });
  return await state.runs({ limit: 100 });
}

Deno.test("a run whose chunks are of two pictures never says that they are of one, however often it is killed", async () => {
  await withKilledRun(2, async (folder, configPath) => {
    assert.deepEqual((await storedRuns(folder)).map((run) => run.consistency), ["snapshot"]);
    // The second part is read in a new picture, and the process dies when everything is read and nothing published.
    await killBeforePublishing(configPath);
    const last = (await runEngine({ configPath })).per_export[0]!;
    assert.deepEqual([last.status, last.resumed, last.consistency], ["success", true, "slice"]);
    assert.equal((await readManifestFile(join(folder, "out")))?.source.extraction.consistency, "slice");
  });
});

Deno.test("a run that was read whole before it was killed keeps the picture it was read in", async () => {
  await withKilledRun(0, async (folder, configPath) => {
    await killBeforePublishing(configPath);
    change(folder, "UPDATE t SET body = 'changed since'");
    const last = (await runEngine({ configPath })).per_export[0]!;
    assert.deepEqual([last.status, last.resumed, last.consistency], ["success", true, "snapshot"]);
    const rows = await readThroughManifest(join(folder, "out"));
    assert.ok(rows.every((row) => String(row["body"]).startsWith("row ")));
  });
});

const DAMAGES: Record<string, (part: string, folder: string) => Promise<void>> = {
  "a missing part": (part) => Deno.remove(part),
  "a truncated part": (part) => Deno.truncate(part, 10),
  "a part with one byte flipped": async (part) => {
    const bytes = await Deno.readFile(part);
    bytes[bytes.length >> 1]! ^= 1;
    await Deno.writeFile(part, bytes);
  },
  "two parts swapped": async (part, folder) => {
    const other = join(folder, "out", (await listNames(join(folder, "out"))).find((n) => n.includes("_chunk1"))!);
    await Deno.rename(part, `${part}.x`);
    await Deno.rename(other, part);
    await Deno.rename(`${part}.x`, other);
  },
};

for (const [name, damage] of Object.entries(DAMAGES)) {
  Deno.test(`${name} of a killed run is read again`, async () => {
    await withKilledRun(2, async (folder, configPath) => {
      const part = await firstPart(folder);
      await damage(part, folder);
      const damaged = await Deno.readFile(part).catch(() => null);
      const [{ runId }] = await storedRuns(folder) as [StoredRun];
      await assertExact(folder, configPath);
      // What lay there is kept, and what was not there cannot be.
      const aside = join(folder, "out", "_quarantine", runId, part.slice(part.lastIndexOf("/") + 1));
      assert.deepEqual(await Deno.readFile(aside).catch(() => null), damaged);
    });
  });
}

const ARRIVALS: Record<string, string> = {
  "rows above the last chunk": `INSERT INTO t SELECT id + 1000, at, body FROM t`,
  "rows below the first chunk": `INSERT INTO t SELECT -id, at, body FROM t WHERE id > 50`,
};

for (const [name, sql] of Object.entries(ARRIVALS)) {
  for (const chunks of [1, 2]) {
    Deno.test(`${name} that arrive after a kill at chunk ${chunks} are exported by the resume`, async () => {
      await withKilledRun(chunks, async (folder, configPath) => {
        change(folder, sql);
        await assertExact(folder, configPath);
      });
    });
  }
}

for (
  const [mode, cut] of Object.entries({
    range: "chunk_column: id",
    key: "chunk_by_key: id",
    dense: "chunk_column: id\nchunk_dense: true",
  })
) {
  Deno.test(`rows that arrive in an empty table after a kill are exported by the resume (${mode})`, async () => {
    await using folder = await temporaryFolder(inMemory());
    fill(folder.path);
    change(folder.path, "CREATE TABLE kept AS SELECT * FROM t; DELETE FROM t");
    const configPath = await writeConfig(folder.path, RANGE.replace("chunk_column: id", cut));
    await killAfter(configPath, 1);
    assert.equal((await storedRuns(folder.path)).length, 1);
    change(folder.path, "INSERT INTO t SELECT * FROM kept");
    await assertExact(folder.path, configPath);
  });
}

Deno.test("a chunk marked done by hand is read", async () => {
  await withKilledRun(1, async (folder, configPath) => {
    using state = new DatabaseSync(join(folder, ".rivet_state.db"));
    state.exec("UPDATE chunk_task SET status = 'completed'");
    await assertExact(folder, configPath);
  });
});

Deno.test("bounds edited by hand are refused twice, and the named remedy works", async () => {
  await withKilledRun(1, async (folder, configPath) => {
    {
      using state = new DatabaseSync(join(folder, ".rivet_state.db"));
      state.exec("UPDATE chunk_task SET bounds_json = replace(bounds_json, '\"41\"', '\"40\"')");
    }
    for (let i = 0; i < 2; i++) {
      const refused = (await runEngine({ configPath })).per_export[0]!;
      assert.equal(refused.error?.code, "RIVET_STATE_CHUNK_WINDOWS_BROKEN");
      assert.match(refused.error?.cure ?? "", /state reset-chunks/);
    }
    await giveUp(folder);
    await assertExact(folder, configPath);
  });
});

async function giveUp(folder: string): Promise<void> {
  await using state = await openState({ url: undefined, directory: folder });
  assert.equal((await state.resetChunks({ exportName: "t" })).length, 1);
}

/** Every setting whose edit between a crash and the next run would mix two plans. */
const VARIANTS: Record<string, string> = {
  range: RANGE,
  "other size": RANGE.replace("chunk_size: 20", "chunk_size: 7"),
  key: RANGE.replace("chunk_column: id", "chunk_by_key: id"),
  dense: RANGE.replace("chunk_size: 20", "chunk_dense: true\nchunk_size: 20"),
  "time window":
    "table: t\nmode: time_window\ntime_column: at\ndays_window: 36500\nformat: parquet\ndestination: {type: local, path: out}",
  full: "table: t\nformat: parquet\ndestination: {type: local, path: out}",
  incremental: "table: t\nmode: incremental\ncursor_column: at\nformat: parquet\ndestination: {type: local, path: out}",
  csv: RANGE.replace("parquet", "csv"),
  compression: `${RANGE}\ncompression: snappy`,
  destination: RANGE.replace("path: out", "path: elsewhere"),
  "other rows": RANGE.replace("table: t", 'query: "SELECT * FROM t WHERE id > 30"'),
  "other columns": RANGE.replace("table: t", 'query: "SELECT id, at FROM t"'),
};

for (const [was, before] of Object.entries(VARIANTS)) {
  for (const [now, after] of Object.entries(VARIANTS)) {
    if (was === now) continue;
    Deno.test(`a run killed as '${was}' is not continued as '${now}'`, async () => {
      await using folder = await temporaryFolder(inMemory());
      fill(folder.path);
      const configPath = await writeConfig(folder.path, before);
      const faults = new Faults(0, "kill");
      await runEngine({ configPath, faults, onEvent: (event) => faults.dead ||= event.kind === "slice_started" }).catch(
        () => {},
      );
      await writeConfig(folder.path, after);
      for (let i = 0; i < 2; i++) {
        const refused = (await runEngine({ configPath })).per_export[0]!;
        assert.match(refused.error?.code ?? "", /^RIVET_STATE_(INTERRUPTED_RUN_OWNER_MISMATCH|CHUNK_PLAN_CHANGED)$/);
      }
      // The named remedies: undo the edit, or give the run up.
      await writeConfig(folder.path, before);
      assert.equal((await runEngine({ configPath })).failed_count, 0);
      const out = join(folder.path, was === "destination" ? "elsewhere" : "out");
      const rows = was === "incremental" ? await readThroughAllManifests(out) : await readThroughManifest(out);
      assert.deepEqual(
        ids(rows),
        was === "other rows" ? sourceIds(folder.path).filter((id) => id > 30) : sourceIds(folder.path),
      );
    });
  }
}

/** Settings that say how a run works and not what it makes: an edit of them continues the run. */
const HARMLESS: Record<string, string> = {
  "more lanes": `${RANGE}\nparallel: 3`,
  "a checkpoint": `${RANGE}\nchunk_checkpoint: true`,
  "more attempts": `${RANGE}\nchunk_max_attempts: 9`,
  "a quality rule": `${RANGE}\nquality: {row_count_min: 1}`,
  "another tuning": `${RANGE}\ntuning: {batch_size: 100}`,
  "what a drift does": `${RANGE}\non_schema_drift: fail`,
};

for (const [name, after] of Object.entries(HARMLESS)) {
  Deno.test(`a killed run is continued under ${name}, and without it again`, async () => {
    await withKilledRun(2, async (folder, configPath) => {
      const [began] = await storedRuns(folder);
      await writeConfig(folder, after);
      await killBeforePublishing(configPath);
      await writeConfig(folder, RANGE);
      await assertExact(folder, configPath);
      assert.deepEqual((await storedRuns(folder)).map((run) => run.runId), [began!.runId]);
    });
  });
}

Deno.test("a run given up leaves nothing behind when the next one has run", async () => {
  await withKilledRun(2, async (folder, configPath) => {
    await giveUp(folder);
    const before = new Set((await listNames(join(folder, "out"))).filter((name) => name.includes("_chunk")));
    await assertExact(folder, configPath);
    const after = await listNames(join(folder, "out"));
    assert.ok([...before].every((name) => !after.includes(name)));
  });
});

const NOON = Date.UTC(2026, 3, 18, 12);
const DAY_MS = 86_400_000;
const dayNames = (folder: string, day: string) => listNames(join(folder, "out", day));

/** A run of one day dies after two chunks or more, or at its very end, and is given up before the next day's. */
async function withYesterday(
  body: (folder: string, configPath: string) => Promise<void>,
  die: (configPath: string, nowMs: () => number) => Promise<unknown>,
): Promise<void> {
  await using folder = await temporaryFolder(inMemory());
  fill(folder.path);
  const configPath = await writeConfig(folder.path, RANGE.replace("path: out", "path: 'out/{date}'"));
  await die(configPath, () => NOON);
  await giveUp(folder.path);
  await body(folder.path, configPath);
}

const nextDay = async (configPath: string, day = 1) =>
  (await runEngine({ configPath, nowMs: () => NOON + day * DAY_MS })).per_export[0]!;

Deno.test("files of a run given up yesterday go from yesterday's prefix, and no others", async () => {
  await withYesterday(async (folder, configPath) => {
    const before = await dayNames(folder, "2026-04-18");
    assert.ok(before.length >= 2, before.join());
    const stranger = before[0]!.replace("chunk0", "chunk7");
    await Deno.writeTextFile(join(folder, "out/2026-04-18", stranger), "recorded by nobody");
    const summary = await nextDay(configPath);
    assert.deepEqual([summary.status, summary.warnings], ["success", []]);
    assert.deepEqual(await dayNames(folder, "2026-04-18"), [stranger]);
    assert.deepEqual(ids(await readThroughManifest(join(folder, "out/2026-04-19"))), sourceIds(folder));
  }, (configPath, nowMs) => killAfter(configPath, 2, nowMs));
});

Deno.test("a set that was published before its run was given up stays at yesterday's prefix, and that is said once", async () => {
  const die = (configPath: string, nowMs: () => number) =>
    runEngine({ configPath, nowMs, faults: new DiesUnrecorded(0, "kill") }).catch(() => {});
  await withYesterday(async (folder, configPath) => {
    const before = await dayNames(folder, "2026-04-18");
    const { status, warnings } = await nextDay(configPath);
    assert.equal(status, "success");
    assert.match(
      warnings.join(),
      /files of the abandoned run 't_20260418T.*' stay at .*: a manifest there names them$/,
    );
    assert.deepEqual(await dayNames(folder, "2026-04-18"), before);
    assert.deepEqual(ids(await readThroughManifest(join(folder, "out/2026-04-18"))), sourceIds(folder));
    assert.deepEqual((await nextDay(configPath, 2)).warnings, []);
  }, die);
});

Deno.test("files at a place that the config left, or whose manifests cannot be read, stay and are named", async () => {
  const die = (configPath: string, nowMs: () => number) => killAfter(configPath, 2, nowMs);
  await withYesterday(async (folder, configPath) => {
    const before = await dayNames(folder, "2026-04-18");
    const manifest = join(folder, "out/2026-04-18/manifest.json");
    await Deno.writeTextFile(manifest, "{");
    const first = await nextDay(configPath);
    assert.equal(first.status, "success");
    const stay = `${before.length} files of .* stay at .*2026-04-18'`;
    assert.match(first.warnings.join(), new RegExp(`${stay}: \\[RIVET_DEST_CONTROL_ARTIFACT_INVALID\\]`));
    await Deno.remove(manifest);
    await writeConfig(folder, RANGE.replace("path: out", "path: 'elsewhere/{date}'"));
    const second = await nextDay(configPath, 2);
    assert.match(second.warnings.join(), new RegExp(`${stay}: the config does not lead there any more$`));
    assert.deepEqual(await dayNames(folder, "2026-04-18"), before);
  }, die);
});

Deno.test("rows refused by a quality rule are judged again by every run, and nothing is published", async () => {
  await using folder = await temporaryFolder(inMemory());
  fill(folder.path);
  const configPath = await writeConfig(folder.path, `${RANGE}\nquality: {row_count_min: 100}`);
  for (let i = 0; i < 3; i++) {
    const result = (await runEngine({ configPath })).per_export[0]!;
    assert.equal(result.error?.code, "RIVET_QUALITY_FAILED");
    assert.equal(result.error?.exit_code, 3);
    assert.equal(result.resumable, false);
    const names = await listNames(join(folder.path, "out"));
    assert.ok(!names.includes("_SUCCESS") && !names.includes("manifest.json"));
  }
});

Deno.test("a rerun replaces the set: fewer files later leave none of the old ones", async () => {
  await using folder = await temporaryFolder(inMemory());
  fill(folder.path);
  const configPath = await writeConfig(folder.path, RANGE);
  await assertExact(folder.path, configPath);
  change(folder.path, "DELETE FROM t WHERE id > 15");
  await assertExact(folder.path, configPath);
  const names = await listNames(join(folder.path, "out"));
  assert.equal(names.filter((name) => name.endsWith(".parquet")).length, 1);
  change(folder.path, "DELETE FROM t");
  await assertExact(folder.path, configPath);
});

Deno.test("an empty incremental run moves nothing and takes nothing away", async () => {
  await using folder = await temporaryFolder(inMemory());
  fill(folder.path);
  const configPath = await writeConfig(folder.path, VARIANTS["incremental"]!);
  await runEngine({ configPath });
  const before = await listNames(join(folder.path, "out"));
  const again = (await runEngine({ configPath })).per_export[0]!;
  assert.deepEqual([again.status, again.rows], ["success", 0]);
  assert.deepEqual(await listNames(join(folder.path, "out")), before);
  await using state = await openState({ url: undefined, directory: folder.path });
  const [cursor] = await state.cursors("t");
  assert.equal(cursor?.value, "2026-01-28 00:00:00");
});

/** Dies when the new set is published and the state does not know yet. */
class DiesUnrecorded extends Faults {
  override point(name: string): void {
    if (name === "state.commitTask before") this.dead = true;
    super.point(name);
  }
}

/** Manifests cannot be read at the moment. */
class ManifestsAway extends Faults {
  override point(name: string): void {
    if (name === "destination.get before") throw new RivetError("RIVET_DEST_READ_FAILED", "The store is away");
    super.point(name);
  }
}

Deno.test("a published set of a run that was given up is not taken apart while its manifest cannot be read", async () => {
  await withKilledRun(0, async (folder, configPath) => {
    await runEngine({ configPath, faults: new DiesUnrecorded(0, "kill") }).catch(() => {});
    {
      await using state = await openState({ url: undefined, directory: folder });
      assert.equal((await state.resetChunks({ exportName: "t" })).length, 1);
    }
    const refused = (await runEngine({ configPath, faults: new ManifestsAway(0, "fail") })).per_export[0]!;
    assert.equal(refused.error?.code, "RIVET_DEST_READ_FAILED");
    assert.deepEqual(ids(await readThroughManifest(join(folder, "out"))), sourceIds(folder));
    await assertExact(folder, configPath);
  });
});

Deno.test("the journal of a run tells what was found while it was planned", async () => {
  await withKilledRun(0, async (folder, configPath) => {
    await assertExact(folder, configPath);
    change(folder, "ALTER TABLE t ADD COLUMN extra TEXT");
    const { run_id } = (await runEngine({ configPath })).per_export[0]!;
    await using state = await openState({ url: undefined, directory: folder });
    const kinds = (await state.journalAfter(run_id!, 0)).map(({ event }) => Object.keys(event as object)[0]);
    assert.deepEqual(kinds.slice(0, 2), ["PlanResolved", "SchemaChanged"]);
    assert.equal(kinds.at(-1), "RunCompleted");
  });
});

Deno.test("many damaged chunks are read again, the first ones named and the rest counted", async () => {
  await using folder = await temporaryFolder(inMemory());
  fill(folder.path);
  const configPath = await writeConfig(folder.path, RANGE.replace("chunk_size: 20", "chunk_size: 2"));
  await killBeforePublishing(configPath);
  for (const name of await listNames(join(folder.path, "out"))) await Deno.remove(join(folder.path, "out", name));
  const { warnings } = (await runEngine({ configPath })).per_export[0]!;
  assert.deepEqual([warnings.length, warnings.at(-1)], [21, "10 more damaged chunks are read again"]);
  assert.deepEqual(ids(await readThroughManifest(join(folder.path, "out"))), sourceIds(folder.path));
});
