// A process stands still, longer than its lease lives, before its n-th effect; another one takes the run over, finishes it and goes;
// then the first one goes on as if nothing had happened. What the other one published stays whole, whatever n was.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { fingerprintBytes, type Manifest, parseMarker } from "../../src/manifest.ts";
import type { RunEvent } from "../../src/report/mod.ts";
import { runEngine } from "../support/engine.ts";
import { Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { findUntracked, readManifestFile, readThroughAllManifests, readThroughManifest } from "../support/reader.ts";

const ROWS = 40;

interface Mode {
  readonly yaml: string;
  /** Rows of several runs add up. */
  readonly adds?: boolean;
  /** The run was interrupted before: the process that stalls has taken it over itself. */
  readonly resumed?: boolean;
}

const MODES: Record<string, Mode> = {
  full: { yaml: "table: t" },
  "chunked by range": { yaml: "table: t\n    mode: chunked\n    chunk_column: id\n    chunk_size: 15" },
  "chunked by range, taken over": {
    yaml: "table: t\n    mode: chunked\n    chunk_column: id\n    chunk_size: 15",
    resumed: true,
  },
  incremental: { yaml: "table: t\n    mode: incremental\n    cursor_column: at", adds: true },
};

/** Stalls once, before effect number `at`, while `meanwhile` happens. */
class Stall extends Faults {
  stalledAt: string | null = null;
  /** A change of marker or manifest that was already allowed: nothing can call it back. */
  isOnItsWay = false;
  #effects = 0;
  /** Changes that may be made because the lease was asked for just now: two that go beside each other ask first, both. */
  #allowed = 0;

  constructor(private readonly effect: number, private readonly meanwhile: () => Promise<void>) {
    super(0, "fail");
  }

  override pause(name: string): Promise<void> | void {
    // The journal is written beside the run: while it waits, the run goes on.
    if (name === "state.record") return;
    const isAllowed = this.#allowed > 0 && name.startsWith("destination.");
    this.#allowed = name === "state.renewLease" ? this.#allowed + 1 : isAllowed ? this.#allowed - 1 : 0;
    if (++this.#effects !== this.effect) return;
    this.stalledAt = name;
    this.isOnItsWay = isAllowed;
    return this.meanwhile();
  }
}

async function prepare(folder: string, yaml: string): Promise<string> {
  using db = new DatabaseSync(join(folder, "shop.db"));
  // The stalled process may be in the middle of reading.
  db.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL, body TEXT)");
  const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?)");
  for (let id = 1; id <= ROWS; id++) {
    insert.run(id, `2026-01-${String(1 + Math.floor(id / 3)).padStart(2, "0")} 00:00:00`, "old");
  }
  const path = join(folder, "rivet.yaml");
  await Deno.writeTextFile(
    path,
    `source: {type: sqlite, path: shop.db, tuning: {profile: fast, max_retries: 0}}
exports:
  - name: t
    ${yaml}
    format: csv
    compression: none
    destination: {type: local, path: out}
`,
  );
  return path;
}

/** The manifest at the destination tells the truth about every file it names, and the marker about the manifest. */
async function assertSound(out: string, where: string): Promise<void> {
  await assertParts(out, await readManifestFile(out), where);
  const marker = parseMarker(await Deno.readTextFile(join(out, "_SUCCESS")));
  assert.equal(marker, await fingerprintBytes(await Deno.readFile(join(out, "manifest.json"))), where);
}

async function assertParts(out: string, manifest: Manifest | null, where: string): Promise<void> {
  assert.ok(manifest !== null, where);
  for (const part of manifest.parts) {
    const md5 = createHash("md5").update(await Deno.readFile(join(out, part.path))).digest("base64");
    assert.equal(md5, part.content_md5, `${where}: ${part.path}`);
  }
}

async function stallAt(mode: Mode, effect: number): Promise<boolean> {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepare(folder.path, mode.yaml);
  const out = join(folder.path, "out");
  if (mode.resumed) {
    const faults = new Faults(0, "kill");
    const onEvent = (event: RunEvent) => faults.dead ||= event.kind === "slice_completed" && event.index === 1;
    await runEngine({ configPath, faults, onEvent }).catch(() => {});
  }
  let published: Manifest | null = null;
  const stall = new Stall(effect, async () => {
    {
      using db = new DatabaseSync(join(folder.path, "shop.db"));
      // What the stalled process holds in its hands is no longer what the table has.
      db.exec("UPDATE t SET body = 'new'");
    }
    const other = await runEngine({ configPath });
    assert.equal(other.failed_count, 0, JSON.stringify(other.per_export[0]?.error));
    published = await readManifestFile(out);
  });
  const first = (await runEngine({ configPath, faults: stall })).per_export[0]!;
  const where = `stalled at ${effect} (${stall.stalledAt})`;
  if (stall.stalledAt === null) return false;
  if (first.status === "failed") {
    assert.equal(first.error?.code, "RIVET_STATE_LEASE_LOST", `${where}: ${JSON.stringify(first.error)}`);
    assert.deepEqual([first.resumable, first.resume_command], [false, null], where);
    await assertParts(out, published, where);
  }
  if (!stall.isOnItsWay) {
    await assertSound(out, where);
    if (first.status === "failed") assert.deepEqual(await readManifestFile(out), published, where);
  }
  const ids = async () =>
    (mode.adds ? await readThroughAllManifests(out) : await readThroughManifest(out))
      .map((row) => Number(row["id"])).sort((a, b) => a - b);
  const everyId = Array.from({ length: ROWS }, (_, i) => i + 1);
  const seen = await ids();
  // An incremental run that was still to begin reads the changed rows of the last tie once more: versions of their own.
  if (!stall.isOnItsWay) assert.deepEqual([...new Set(seen)], everyId, where);
  const next = await runEngine({ configPath });
  assert.equal(next.failed_count, 0, `${where}: ${JSON.stringify(next.per_export[0]?.error)}`);
  assert.deepEqual(await findUntracked(out), [], `${where}: the next run leaves no stray file`);
  await assertSound(out, `${where}, after the next run`);
  assert.deepEqual([...new Set(await ids())], everyId, where);
  return true;
}

for (const [name, mode] of Object.entries(MODES)) {
  Deno.test(`${name}: a process that stalls before any effect and wakes up after its successor has finished damages nothing`, async () => {
    let points = 0;
    while (await stallAt(mode, points + 1)) points++;
    assert.ok(points >= 20, `only ${points} points were reached`);
  });
}
