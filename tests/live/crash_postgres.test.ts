// The n-th effect fails, or the process dies there, with a real PostgreSQL server as the source and several lanes at work; then the same
// command again, until nothing is left to break. The rows that the manifests name are the table's rows, each once.

import assert from "node:assert/strict";
import { runEngine } from "../support/engine.ts";
import { type FaultKind, Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { envOf, writeConfig } from "../support/live_postgres.ts";
import { openPostgresServer, type TestDatabase, withDatabase } from "../support/postgres.ts";
import { findUntracked, readThroughAllManifests, readThroughManifest } from "../support/reader.ts";

const server = await openPostgresServer(18);
const ROWS = 400;

interface Mode {
  readonly yaml: string;
  /** Rows of several runs add up; otherwise the last run is the whole picture. */
  readonly adds?: boolean;
  /** An undisturbed run comes first, and rows arrive after it. */
  readonly previous?: boolean;
  /** Absent = both. */
  readonly kinds?: readonly FaultKind[];
}

const MODES: Record<string, Mode> = {
  "physical pages in four lanes": { yaml: "table: wide\n    mode: full\n    parallel: 4", kinds: ["kill"] },
  "chunked by range in four lanes": {
    yaml: "table: t\n    mode: chunked\n    chunk_column: id\n    chunk_size: 100\n    parallel: 4",
  },
  "chunked by key in four lanes": {
    yaml: "table: t\n    mode: chunked\n    chunk_by_key: [grp, id]\n    chunk_size: 100\n    parallel: 4",
    kinds: ["kill"],
  },
  "incremental after a run, in the middle of a tie": {
    yaml: "table: t\n    mode: incremental\n    cursor_column: at",
    adds: true,
    previous: true,
    kinds: ["kill"],
  },
  "incremental after a run, with cursor_lag": {
    yaml: "table: t\n    mode: incremental\n    cursor_column: at\n    cursor_lag: 3d",
    adds: true,
    previous: true,
    kinds: ["kill"],
  },
};

const FILL = `DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS wide;
  CREATE TABLE t (id int PRIMARY KEY, grp text, at timestamp, body text);
  INSERT INTO t SELECT g, 'g' || g % 4, timestamp '2026-01-01' + interval '1 day' * (g / 7), 'row ' || g FROM generate_series(1, ${ROWS}) g;
  CREATE INDEX ON t (grp, id); ANALYZE t;
  CREATE TABLE wide (id int, pad text);
  ALTER TABLE wide ALTER pad SET STORAGE PLAIN;
  INSERT INTO wide SELECT g, repeat('x', 7000) FROM generate_series(1, ${ROWS}) g; ANALYZE wide`;

/** Rows on the very last value, below it and above it; one row is a new version of an old one. */
const ARRIVE =
  `INSERT INTO t SELECT ${ROWS} + g, 'n', (SELECT max(at) FROM t) + interval '1 day' * ((g - 6) / 4), 'new ' || g
  FROM generate_series(1, 12) g`;

async function breakAt(db: TestDatabase, mode: Mode, kind: FaultKind, at: number): Promise<boolean> {
  await using folder = await temporaryFolder(inMemory());
  if (mode.previous) await db.run(FILL);
  const entry = `  - name: t\n    ${mode.yaml}\n    format: parquet\n    destination: {type: local, path: out}\n`;
  const tuning = "{profile: fast, max_retries: 0}";
  const configPath = await writeConfig(folder.path, db, entry, { tuning });
  const env = envOf(db);
  if (mode.previous) {
    assert.equal((await runEngine({ configPath, env })).failed_count, 0);
    await db.run(ARRIVE);
  }
  const faults = new Faults(at, kind);
  const first = await runEngine({ configPath, env, faults }).catch((error) => error);
  if (faults.fired === null) assert.equal(first.failed_count, 0, JSON.stringify(first.per_export?.[0]?.error));
  const second = await runEngine({ configPath, env });
  const where = `${kind} at ${at} (${faults.fired})`;
  assert.equal(second.failed_count, 0, `${where}: ${JSON.stringify(second.per_export[0]?.error)}`);
  const out = join(folder.path, "out");
  const rows = mode.adds ? await readThroughAllManifests(out) : await readThroughManifest(out);
  assert.deepEqual(await findUntracked(out), [], where);
  const ids = rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
  const table = mode.yaml.includes("wide") ? "wide" : "t";
  // Without a lag, what arrives below the bound is outside of the promise.
  const inPromise = mode.previous && !mode.yaml.includes("lag")
    ? `WHERE body NOT LIKE 'new %' OR at >= (SELECT max(at) FROM t WHERE body LIKE 'row %')`
    : "";
  const expected = (await db.run(`SELECT id FROM ${table} ${inPromise} ORDER BY id`)).map(([id]) => Number(id));
  assert.deepEqual(ids, expected, where);
  return faults.fired !== null;
}

for (const [name, mode] of Object.entries(MODES)) {
  for (const kind of mode.kinds ?? ["fail", "kill"] as const) {
    Deno.test({ name: `${name} survives a ${kind} at every effect`, ignore: server === null }, async () => {
      await withDatabase(server!, async (db) => {
        await db.run(FILL);
        let points = 0;
        while (await breakAt(db, mode, kind, points + 1)) points++;
        assert.ok(points >= 20, `only ${points} points were reached`);
      });
    });
  }
}
