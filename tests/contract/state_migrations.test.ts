// Opening and migrating on both backends: fresh, again, older, newer, at the same time, and failing half-way.

import assert from "node:assert/strict";
import type { Db } from "../../src/state/db.ts";
import { migrate, type Migration, MIGRATIONS, readVersion } from "../../src/state/migrations.ts";
import { backends, codeOf, completeRun, cursorOf, dump, KEY, mustTake, type StatePlace } from "../support/state.ts";

const each = await backends();
const NEWEST = MIGRATIONS.at(-1)!.version;
const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const NEXT: readonly Migration[] = [
  ...MIGRATIONS,
  {
    version: NEWEST + 1,
    statements: ["ALTER TABLE export_state ADD COLUMN added {int}", "CREATE TABLE added_table (id {id}, flag {flag})"],
  },
];

function versionTable(db: Db): string {
  return db.kind === "sqlite" ? "schema_version" : "rivet_schema_version";
}

async function withProgress(place: StatePlace): Promise<void> {
  await using state = await place.open();
  const lease = await mustTake(state);
  await completeRun(state, "r1", lease, { cursor: cursorOf("41") });
  await state.releaseLease(lease);
}

each("a fresh place gets the newest version, once", async (place) => {
  await using db = await place.openDb();
  assert.equal(await readVersion(db), null);
  await (await place.open())[Symbol.asyncDispose]();
  const rows = await db.all(`SELECT version FROM ${versionTable(db)}`);
  assert.deepEqual(rows.map((r) => r["version"]), [NEWEST]);
});

each("opening again changes nothing", async (place) => {
  await withProgress(place);
  const before = await dump(place);
  await (await place.open())[Symbol.asyncDispose]();
  assert.equal(await dump(place), before);
});

each("a state newer than the program is refused and left as it is", async (place) => {
  await withProgress(place);
  const before = await dump(place);
  {
    await using db = await place.openDb();
    await db.run(`UPDATE ${versionTable(db)} SET version = ?`, [NEWEST + 1]);
  }
  assert.equal(await codeOf(place.open()), "RIVET_STATE_SCHEMA_NEWER");
  assert.equal(await dump(place), before);
});

each("the state of another program is refused and left as it is", async (place) => {
  await using db = await place.openDb();
  await db.run(`CREATE TABLE ${versionTable(db)} (version INTEGER NOT NULL)`);
  await db.run(`INSERT INTO ${versionTable(db)} VALUES (38)`);
  await db.run("CREATE TABLE export_state (export_name TEXT PRIMARY KEY, last_cursor_value TEXT)");
  assert.equal(await codeOf(place.open()), "RIVET_STATE_BACKEND_FAILED");
  assert.equal(await readVersion(db), 38);
  await db.run("INSERT INTO export_state VALUES ('orders', '41')");
});

each("an older state is migrated, its rows stay, and a copy of what it was is kept", async (place) => {
  await withProgress(place);
  await using db = await place.openDb();
  await migrate(db, NOW_MS, NEXT);
  assert.equal(await readVersion(db), NEWEST + 1);
  const [row] = await db.all("SELECT last_cursor_value, added FROM export_state");
  assert.deepEqual({ ...row }, { last_cursor_value: "41", added: null });
  await db.run("INSERT INTO added_table (flag) VALUES (?)", [true]);
  if (db.kind === "sqlite") {
    const name = `.rivet_state.db.v${NEWEST}.20260102T030405.678Z.bak`;
    const { openSqlite } = await import("../../src/state/sqlite.ts");
    await using copy = await openSqlite({ path: `${place.directory}/${name}`, readOnly: true });
    assert.equal(await readVersion(copy), NEWEST);
    assert.equal((await copy.all("SELECT last_cursor_value FROM export_state"))[0]!["last_cursor_value"], "41");
  } else {
    const copy = await db.all(`SELECT last_cursor_value FROM rivet_state_backup_v${NEWEST}.export_state`);
    assert.deepEqual(copy.map((r) => r["last_cursor_value"]), ["41"]);
  }
});

each("a migration that fails half-way leaves the old version whole", async (place) => {
  await withProgress(place);
  const before = await dump(place);
  await using db = await place.openDb();
  const broken = [...NEXT, {
    version: NEWEST + 2,
    statements: ["CREATE TABLE half (x {int})", "CREATE TABLE half (x {int})"],
  }];
  assert.equal(await codeOf(migrate(db, NOW_MS, broken)), "RIVET_STATE_BACKEND_FAILED");
  assert.equal(await readVersion(db), NEWEST);
  assert.equal(await dump(place), before);
  await migrate(db, NOW_MS + 1, NEXT);
  assert.equal(await readVersion(db), NEWEST + 1);
});

each("a state is not migrated under a live run", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await using db = await place.openDb();
  assert.equal(await codeOf(migrate(db, NOW_MS, NEXT)), "RIVET_STATE_UPGRADE_BESIDE_LIVE_RUN");
  assert.equal(await readVersion(db), NEWEST);
  await state.releaseLease(lease);
  await migrate(db, NOW_MS + 1, NEXT);
});

each("eight processes that open a fresh place at once all can use it", async (place) => {
  const states = await Promise.all(Array.from({ length: 8 }, () => place.open()));
  for (const [i, state] of states.entries()) {
    await mustTake(state, { exportName: `e${i}`, source: KEY.source });
    await state[Symbol.asyncDispose]();
  }
});
