// The engine on a real PostgreSQL with writers at work: one picture, no lost row, no row twice.

import assert from "node:assert/strict";
import { runEngine } from "../support/engine.ts";
import { join } from "../support/files.ts";
import { connect, envOf, withLiveExport, writeConfig } from "../support/live_postgres.ts";
import { openPostgresServer, type TestDatabase } from "../support/postgres.ts";
import { readManifestFile, readThroughAllManifests, readThroughManifest, type Row } from "../support/reader.ts";

const server = await openPostgresServer(18);
const ignore = server === null;

function withLive(body: (db: TestDatabase, folder: string) => Promise<void>): Promise<void> {
  return withLiveExport(server!, body);
}

const CUTS = [
  "mode: chunked\n    chunk_column: id\n    chunk_size: 250",
  "mode: chunked\n    chunk_by_key: id\n    chunk_size: 250",
  "mode: full",
];

for (const cut of CUTS) {
  Deno.test({
    name: `the sum over accounts never changes while money moves between chunks (${cut.split("\n").join(" ")})`,
    ignore,
  }, async () => {
    await withLive(async (db, folder) => {
      await db.run(`CREATE TABLE account (id int PRIMARY KEY, amount bigint NOT NULL, pad text);
        INSERT INTO account SELECT g, 1000, repeat('x', 2000) FROM generate_series(1, 2000) g; ANALYZE account`);
      const configPath = await writeConfig(
        folder,
        db,
        `  - name: account
    table: account
    ${cut}
    parallel: 4
    format: parquet
    destination: {type: local, path: out}
`,
      );
      const stop = { now: false };
      const writer = await connect(db);
      const moving = (async () => {
        for (let i = 0; !stop.now; i++) {
          const [from, to] = [1 + (i * 7919) % 2000, 1 + (i * 104729) % 2000];
          await writer.query(`BEGIN; UPDATE account SET amount = amount - 7 WHERE id = ${from};
            UPDATE account SET amount = amount + 7 WHERE id = ${to}; COMMIT`);
        }
      })();
      try {
        for (let round = 0; round < 5; round++) {
          const result = await runEngine({ configPath, env: envOf(db) });
          assert.equal(result.failed_count, 0, JSON.stringify(result.per_export[0]?.error));
          const rows = await readThroughManifest(join(folder, "out"));
          assert.equal(rows.length, 2000);
          assert.equal(rows.reduce((sum, row) => sum + Number(row["amount"]), 0), 2_000_000);
          assert.equal((await readManifestFile(join(folder, "out")))?.source.extraction.consistency, "snapshot");
        }
      } finally {
        stop.now = true;
        await moving;
        await writer.end();
      }
    });
  });
}

Deno.test({
  name: "incremental exports add up to the table while eight writers commit late, in random order and with ties",
  ignore,
}, async () => {
  await withLive(async (db, folder) => {
    await db.run(
      "CREATE TABLE event (id bigserial PRIMARY KEY, writer int, at timestamptz(2) NOT NULL, version int NOT NULL)",
    );
    const configPath = await writeConfig(
      folder,
      db,
      `  - name: event
    table: event
    mode: incremental
    cursor_column: at
    format: parquet
    destination: {type: local, path: out}
`,
    );
    const stop = { now: false };
    const seed = 20261121;
    const writers = Array.from({ length: 8 }, (_, n) => writeEvents(db, n, seed + n, stop));
    const until = Date.now() + Number(Deno.env.get("RIVET_TEST_WRITERS_S") ?? 12) * 1000;
    let runs = 0;
    while (Date.now() < until || runs < 8) {
      const result = await runEngine({ configPath, env: envOf(db) });
      assert.equal(result.failed_count, 0, JSON.stringify(result.per_export[0]?.error));
      runs++;
    }
    stop.now = true;
    await Promise.all(writers);
    await runEngine({ configPath, env: envOf(db) });
    const expected = await db.run("SELECT id::text, version::text FROM event ORDER BY id");
    const rows = await readThroughAllManifests(join(folder, "out"));
    const seen = rows.map((row) => `${row["id"]}/${row["version"]}`).sort();
    assert.equal(new Set(seen).size, seen.length, `rows exported twice (seed ${seed})`);
    const missing = expected.map(([id, version]) => `${id}/${version}`).filter((key) => !new Set(seen).has(key));
    assert.deepEqual(missing, [], `rows lost in ${runs} runs (seed ${seed})`);
    // A version that was replaced before any export saw it is in none; one that was exported is not the last.
    const versions = new Map(expected.map(([id, version]) => [id, Number(version)]));
    const unknown = rows.filter((row) => Number(row["version"]) > (versions.get(String(row["id"])) ?? 0));
    assert.deepEqual(unknown, [], `rows that were never committed (seed ${seed})`);
    assert.ok(seen.length > expected.length, "older versions were exported too");
    console.log(`${seen.length} rows of 8 writers in ${runs} runs, seed ${seed}`);
  });
});

/** Inserts rows and changes older ones, with the transaction's own start as their time, and commits some time later. */
async function writeEvents(db: TestDatabase, writer: number, seed: number, stop: { now: boolean }): Promise<void> {
  const client = await connect(db);
  let state = seed;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  while (!stop.now) {
    await client.query("BEGIN");
    // The column keeps hundredths of a second, so that many rows tie across writers.
    const rows = 1 + Math.floor(random() * 5);
    await client.query(
      `INSERT INTO event (writer, at, version) SELECT ${writer}, now(), 1 FROM generate_series(1, ${rows})`,
    );
    if (random() < 0.4) {
      await client.query(
        `UPDATE event SET version = version + 1, at = now() WHERE id IN (SELECT id FROM event WHERE writer = ${writer}
          ORDER BY id DESC OFFSET ${Math.floor(random() * 20)} LIMIT 2)`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, random() * 150));
    await client.query(random() < 0.1 ? "ROLLBACK" : "COMMIT");
  }
  await client.end();
}

Deno.test({ name: "rows that tie on the last value arrive with a later run, each once", ignore }, async () => {
  await withLive(async (db, folder) => {
    await db.run(
      "CREATE TABLE t (id int, at timestamp); INSERT INTO t VALUES (1, '2026-01-01'), (2, '2026-01-02'), (3, '2026-01-02')",
    );
    const configPath = await writeConfig(
      folder,
      db,
      `  - name: t
    table: t
    mode: incremental
    cursor_column: at
    format: parquet
    destination: {type: local, path: out}
`,
    );
    await runEngine({ configPath, env: envOf(db) });
    await db.run("INSERT INTO t VALUES (4, '2026-01-02'), (2, '2026-01-02')");
    await runEngine({ configPath, env: envOf(db) });
    await runEngine({ configPath, env: envOf(db) });
    await db.run("INSERT INTO t VALUES (5, '2026-01-02')");
    await runEngine({ configPath, env: envOf(db) });
    const ids = (await readThroughAllManifests(join(folder, "out"))).map((row: Row) => Number(row["id"])).sort();
    assert.deepEqual(ids, [1, 2, 2, 3, 4, 5]);
  });
});

Deno.test({ name: "physical pages, keys of every kind and NULL keys cover a table exactly", ignore }, async () => {
  await withLive(async (db, folder) => {
    await db.run(`CREATE TABLE wide (id int, code text COLLATE "C", u uuid, pad text);
      INSERT INTO wide SELECT nullif(g % 97, 5), 'K' || (g * 7919 % 5000), md5(g::text)::uuid, repeat('p', 200) FROM generate_series(1, 20000) g;
      CREATE INDEX ON wide (id); CREATE INDEX ON wide (code, u); CREATE INDEX ON wide (u); ANALYZE wide`);
    const cuts: Record<string, string> = {
      pages: "mode: full\n    parallel: 3",
      range: "mode: chunked\n    chunk_column: id\n    chunk_size: 10",
      text: "mode: chunked\n    chunk_by_key: [code, u]\n    chunk_size: 3000\n    parallel: 2",
      uuid: "mode: chunked\n    chunk_by_key: u\n    chunk_size: 1000\n    parallel: 2",
      count: "mode: chunked\n    chunk_column: id\n    chunk_count: 7",
      dense: "mode: chunked\n    chunk_column: id\n    chunk_dense: true\n    chunk_size: 1500",
    };
    const exports = Object.entries(cuts).map(([name, cut]) =>
      `  - name: ${name}\n    table: wide\n    ${cut}\n    format: parquet\n    destination: {type: local, path: "out/${name}"}\n`
    ).join("");
    const configPath = await writeConfig(folder, db, exports);
    const result = await runEngine({ configPath, env: envOf(db) });
    assert.equal(result.failed_count, 0, JSON.stringify(result.per_export.map((s) => s.error)));
    const [expected] = await db.run(
      "SELECT count(*), sum(id), count(id), sum(('x' || left(md5(u::text || code), 8))::bit(32)::bigint) FROM wide",
    );
    for (const summary of result.per_export) {
      assert.ok(summary.slices > 1, `${summary.export_name} has ${summary.slices} slices`);
      const rows = await readThroughManifest(join(folder, "out", summary.export_name));
      const ids = rows.map((row) => row["id"]).filter((id) => id !== null && id !== undefined);
      assert.deepEqual(
        [rows.length, ids.reduce((sum: number, id) => sum + Number(id), 0), ids.length].map(String),
        expected!.slice(0, 3),
        summary.export_name,
      );
      assert.equal(new Set(rows.map((row) => `${row["u"]}`)).size, 20000, summary.export_name);
    }
  });
});
