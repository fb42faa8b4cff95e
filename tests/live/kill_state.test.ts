// Eight processes of the command line on one state in PostgreSQL, killed at random, while rows arrive: after undisturbed
// runs the rows that the manifests name are the source's rows, each once. Exports of one name and different sources share the state.
// RIVET_TEST_KILLS_S says for how many seconds they are killed.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli, startCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { openPostgresServer, withDatabase } from "../support/postgres.ts";
import { openRandom } from "../support/random.ts";
import { findUntracked, readThroughAllManifests, readThroughManifest, type Row } from "../support/reader.ts";
import { urlOf } from "../support/state.ts";

const server = await openPostgresServer(18);
const PLACES = ["north", "south", "west"];
/** Two or three of them at each place, so that some want the same export at once. */
const PROCESSES = 8;
const SECONDS = Number(Deno.env.get("RIVET_TEST_KILLS_S") ?? 8);

const CONFIG = `source: {type: sqlite, path: shop.db, tuning: {profile: fast}}
exports:
  - {name: orders, table: t, mode: incremental, cursor_column: at, format: parquet, destination: {type: local, path: out/orders}}
  - {name: items, table: t, mode: chunked, chunk_column: id, chunk_size: 400, parallel: 2, format: csv, destination: {type: local, path: out/items}}
`;

function change(folder: string, sql: string): void {
  using db = new DatabaseSync(join(folder, "shop.db"), { timeout: 30_000 });
  db.exec(sql);
}

/** Rows behind the last one; five share a time, also with those that were there before. */
function arrive(folder: string, count: number): void {
  change(
    folder,
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}), last(id) AS (SELECT coalesce(max(id), 0) FROM t)
      INSERT INTO t SELECT last.id + i, datetime('2026-01-01', '+' || ((last.id + i) / 5) || ' minutes'), 'row ' || (last.id + i) FROM n, last`,
  );
}

async function prepare(folder: string): Promise<void> {
  await Deno.mkdir(folder);
  await Deno.writeTextFile(join(folder, "rivet.yaml"), CONFIG);
  change(
    folder,
    "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL, body TEXT NOT NULL)",
  );
  arrive(folder, 2000);
}

function sourceRows(folder: string): string[] {
  using db = new DatabaseSync(join(folder, "shop.db"));
  return (db.prepare("SELECT id, body FROM t ORDER BY id").all() as Row[]).map(toText);
}

const toText = (row: Row) => `${String(row["id"]).padStart(9)} ${row["body"]}`;

function assertSame(rows: readonly Row[], expected: readonly string[], what: string): void {
  const seen = rows.map(toText);
  const once = new Set(seen);
  assert.deepEqual(seen.filter((text) => !once.delete(text)), [], `${what}: doubled`);
  const all = new Set(seen);
  assert.deepEqual(expected.filter((text) => !all.delete(text)), [], `${what}: lost`);
  assert.deepEqual([...all], [], `${what}: never there`);
}

/** Runs one command, and kills it after so many milliseconds if it still lives. */
async function runAndKill(
  folder: string,
  env: Record<string, string>,
  afterMs: number,
  args: readonly string[],
): Promise<"killed" | "ended"> {
  const child = startCli(["run", "-c", "rivet.yaml", "--progress", "none", ...args], { cwd: folder, env });
  const said = new Response(child.stderr).text();
  const timer = setTimeout(() => {
    try {
      child.kill("SIGKILL");
    } catch { /* it had ended */ }
  }, afterMs);
  const { code, signal } = await child.status;
  clearTimeout(timer);
  const text = await said;
  if (signal !== null) return "killed";
  // One that finds the other at work may only say so.
  assert.ok(code === 0 || /RIVET_STATE_RUN_IN_PROGRESS/.test(text), `exit ${code}: ${text}`);
  return "ended";
}

Deno.test({
  name: "eight processes on one PostgreSQL state are killed at random: nothing is lost, nothing is doubled",
  ignore: server === null,
}, () =>
  withDatabase(server!, async (database) => {
    const random = openRandom("kills on one state");
    await using root = await temporaryFolder();
    const folders = PLACES.map((name) => join(root.path, name));
    for (const folder of folders) await prepare(folder);
    const env = { RIVET_STATE_URL: urlOf(database) };
    const counts = { killed: 0, ended: 0 };
    const until = Date.now() + SECONDS * 1000;
    await Promise.all(Array.from({ length: PROCESSES }, async (_, n) => {
      const folder = folders[n % folders.length]!;
      while (Date.now() < until) {
        arrive(folder, random.integer(1, 40));
        const args = ["--lock-wait", random.pick(["0", "20"]), ...random.pick([[], ["-e", "orders"], ["-e", "items"]])];
        counts[await runAndKill(folder, env, random.integer(300, 9000), args)]++;
      }
    }));
    assert.ok(counts.killed > 0);
    for (const folder of folders) {
      // The first ends what a killed one began, up to the bound that one had; the second takes what arrived since.
      for (const round of ["first", "second"]) {
        const last = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder, env });
        assert.equal(last.code, 0, `${round}: ${last.stderr}`);
      }
      const [orders, items] = [join(folder, "out/orders"), join(folder, "out/items")];
      const expected = sourceRows(folder);
      assertSame(await readThroughAllManifests(orders), expected, `orders of ${folder}`);
      assertSame(await readThroughManifest(items), expected, `items of ${folder}`);
      assert.deepEqual([...await findUntracked(orders), ...await findUntracked(items)], []);
    }
    const taken = await database.run("SELECT count(*) FROM chunk_run");
    console.log(`${counts.killed} processes killed, ${counts.ended} ended, ${taken[0]?.[0]} runs recorded`);
  }));
