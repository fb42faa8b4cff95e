// What other extractors fell into, on a real PostgreSQL: collations, strange sessions, renamed columns, fractional and nullable keys,
// types that the first rows do not show. Every row arrives once, or the run says why not.

import assert from "node:assert/strict";
import { parquetMetadataAsync } from "hyparquet";
import { RivetError } from "../../src/errors.ts";
import { runCli } from "../support/cli.ts";
import { runEngine } from "../support/engine.ts";
import { join, walk } from "../support/files.ts";
import { envOf, withLiveExport, writeConfig } from "../support/live_postgres.ts";
import { openPostgresServer, type TestDatabase } from "../support/postgres.ts";
import { findUntracked, readManifestFile, readThroughAllManifests, readThroughManifest } from "../support/reader.ts";

const server = await openPostgresServer(18);

function live(name: string, body: (db: TestDatabase, folder: string) => Promise<void>): void {
  Deno.test({ name, ignore: server === null, fn: () => withLiveExport(server!, body) });
}

/** Runs one export a cut, each into a folder of its own, and returns the ids that each of them holds, sorted. */
async function exportCuts(
  db: TestDatabase,
  folder: string,
  from: string,
  cuts: Readonly<Record<string, string>>,
): Promise<Record<string, number[]>> {
  const exports = Object.entries(cuts).map(([name, cut]) =>
    `  - name: ${name}\n    ${from}\n    ${cut}\n    format: parquet\n    destination: {type: local, path: "out/${name}"}\n`
  ).join("");
  const configPath = await writeConfig(folder, db, exports);
  const result = await runEngine({ configPath, env: envOf(db) });
  const failed = result.per_export.filter((s) => s.status === "failed");
  assert.deepEqual(failed.map((s) => [s.export_name, s.error?.code, s.error?.error]), []);
  const found: Record<string, number[]> = {};
  for (const name of Object.keys(cuts)) {
    const rows = await readThroughManifest(join(folder, "out", name));
    found[name] = rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
  }
  return found;
}

function assertAll(found: Record<string, number[]>, ids: readonly number[]): void {
  for (const [name, seen] of Object.entries(found)) assert.deepEqual(seen, ids, name);
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

async function refusal(db: TestDatabase, folder: string, entry: string): Promise<string> {
  const configPath = await writeConfig(
    folder,
    db,
    `  - name: t\n    ${entry}\n    format: parquet\n    destination: {type: local, path: out}\n`,
  );
  const [summary] = (await runEngine({ configPath, env: envOf(db) })).per_export;
  assert.equal(summary?.status, "failed", entry);
  return summary.error?.code ?? "";
}

live("text keys that a collation holds equal are chunked and followed, each row once", async (db, folder) => {
  await db.run(`CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE t (id int NOT NULL, code text COLLATE any_case, at timestamp);
    INSERT INTO t SELECT g, CASE WHEN g % 2 = 0 THEN upper('k-' || g / 6) ELSE 'K_' || g / 6 END FROM generate_series(1, 600) g;
    CREATE INDEX ON t (code); ANALYZE t`);
  const found = await exportCuts(db, folder, "table: t", {
    key: "mode: chunked\n    chunk_by_key: code\n    chunk_size: 40",
    dense: "mode: chunked\n    chunk_column: code\n    chunk_dense: true\n    chunk_size: 7",
  });
  assertAll(found, upTo(600));
  const configPath = await writeConfig(
    folder,
    db,
    `  - {name: inc, table: t, mode: incremental, cursor_column: code, format: parquet, destination: {type: local, path: out/inc}}\n`,
  );
  const run = async () => (await runEngine({ configPath, env: envOf(db) })).per_export[0]?.rows;
  await run();
  // Equal to the last value under the collation, but not the same text.
  await db.run("INSERT INTO t SELECT 600 + g, lower(max(code)) FROM t, generate_series(1, 3) g GROUP BY g");
  assert.deepEqual([await run(), await run()], [3, 0]);
  const ids = (await readThroughAllManifests(join(folder, "out/inc"))).map((row) => Number(row["id"]));
  assert.deepEqual(ids.sort((a, b) => a - b), upTo(603));
});

live("bounds hold in a database with another zone, another date style and other digits", async (db, folder) => {
  await db.run(
    `ALTER DATABASE ${db.name} SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE ${db.name} SET DateStyle = 'German';
    ALTER DATABASE ${db.name} SET IntervalStyle = 'postgres_verbose'; ALTER DATABASE ${db.name} SET extra_float_digits = -5;
    ALTER DATABASE ${db.name} SET standard_conforming_strings = off`,
  );
  await db.run(`CREATE TABLE t (id int NOT NULL, at timestamptz, local timestamp, day date, ratio double precision);
    INSERT INTO t SELECT g, now() - interval '10 days' + interval '37 minutes 3.000417 seconds' * g,
      localtimestamp - interval '10 days' + interval '37 minutes 3.000417 seconds' * g, current_date - g % 10, sqrt(g)
      FROM generate_series(1, 380) g; CREATE INDEX ON t (at); CREATE INDEX ON t (ratio); ANALYZE t`);
  const found = await exportCuts(db, folder, "table: t", {
    days: "mode: chunked\n    chunk_column: at\n    chunk_by_days: 2",
    local_days: "mode: chunked\n    chunk_column: local\n    chunk_by_days: 2",
    dates: "mode: chunked\n    chunk_column: day\n    chunk_by_days: 3",
    key: "mode: chunked\n    chunk_by_key: at\n    chunk_size: 50",
    ratio: "mode: chunked\n    chunk_by_key: ratio\n    chunk_size: 50",
    window: "mode: time_window\n    time_column: at\n    days_window: 20",
    local_window: "mode: time_window\n    time_column: local\n    days_window: 20",
    at: "mode: incremental\n    cursor_column: at\n    settle: {after: 1s}",
    ratio_cursor: "mode: incremental\n    cursor_column: ratio",
    local: "mode: incremental\n    cursor_column: local\n    cursor_lag: 2d",
  });
  const { at, local, ...others } = found;
  assertAll(others, upTo(380));
  // Both stay below the start of the oldest transaction, which is later than all rows.
  assertAll({ at: at!, local: local! }, upTo(380));
});

live("a query's own columns are what its chunks follow, whatever the table calls them", async (db, folder) => {
  await db.run(`CREATE TABLE t (id int PRIMARY KEY, other int NOT NULL, body text);
    INSERT INTO t SELECT g, 10000 - g, 'row ' || g FROM generate_series(1, 500) g; ANALYZE t`);
  const range = "mode: chunked\n    chunk_column: id\n    chunk_size: 40\n    parallel: 2";
  const renamed = await exportCuts(db, folder, `query: "SELECT other AS id, id AS other FROM t"`, { range });
  assertAll(renamed, upTo(500).map((id) => 9499 + id));
  const shifted = await exportCuts(db, folder, `query: "SELECT id + 5000 AS id, body FROM t"`, {
    range,
    dense: `${range}\n    chunk_dense: true`,
    count: "mode: chunked\n    chunk_column: id\n    chunk_count: 6",
  });
  assertAll(shifted, upTo(500).map((id) => 5000 + id));
  const distinct = await exportCuts(db, folder, `query: "SELECT DISTINCT id % 100 AS id FROM t"`, { range });
  assertAll(distinct, upTo(100).map((id) => id - 1));
  const limited = await exportCuts(db, folder, `query: "SELECT id FROM t ORDER BY id DESC LIMIT 130"`, { range });
  assertAll(limited, upTo(130).map((id) => 370 + id));
});

live("every type of key is read by the planner: none is taken for an empty table", async (db, folder) => {
  const types = ["smallint", "integer", "bigint", "oid"];
  const keys = [
    "text",
    "varchar(9)",
    "char(9)",
    "name",
    "numeric(9,2)",
    "numeric",
    "real",
    "double precision",
    "uuid",
    "bytea",
    "date",
  ];
  const cast = (type: string) =>
    type === "uuid"
      ? "md5(g::text)::uuid"
      : type === "bytea"
      ? "decode(md5(g::text), 'hex')"
      : type === "date"
      ? "date '2026-01-01' + g"
      : type === "real" || type.startsWith("double")
      ? `(1.0 / g)::${type}`
      : `g::${type}`;
  await db.run(
    [...types, ...keys].map((type, i) =>
      `CREATE TABLE t${i} (id int, k ${type}); INSERT INTO t${i} SELECT g, ${cast(type)} FROM generate_series(1, 300) g;
     CREATE INDEX ON t${i} (k); ANALYZE t${i}`
    ).join(";"),
  );
  const exports = [...types, ...keys].map((_, i) => {
    const cut = i < types.length ? "chunk_column: k" : "chunk_by_key: k";
    return `  - {name: e${i}, table: t${i}, mode: chunked, ${cut}, chunk_size: 30, format: parquet, destination: {type: local, path: "out/${i}"}}\n`;
  }).join("");
  const configPath = await writeConfig(folder, db, exports);
  const result = await runEngine({ configPath, env: envOf(db) });
  for (const [i, type] of [...types, ...keys].entries()) {
    const summary = result.per_export[i]!;
    assert.equal(summary.status, "success", `${type}: ${JSON.stringify(summary.error)}`);
    assert.ok(summary.slices >= 10, `${type}: ${summary.slices} chunks`);
    const ids = (await readThroughManifest(join(folder, "out", String(i)))).map((row) => Number(row["id"]));
    assert.deepEqual(ids.sort((a, b) => a - b), upTo(300), type);
  }
});

live(
  "whole-numbered ranges over a fractional or unreadable key are refused, also through a query",
  async (db, folder) => {
    await db.run(`CREATE TABLE t (id double precision PRIMARY KEY, price numeric(9,2), doc json);
    INSERT INTO t SELECT g / 4.0, g / 4.0, '{}' FROM generate_series(1, 100) g; ANALYZE t`);
    const cuts = ["chunk_size: 10", "chunk_count: 4"];
    for (const cut of cuts) {
      for (const column of ["id", "price"]) {
        for (const from of ["table: t", 'query: "SELECT id, price FROM t"']) {
          const code = await refusal(db, folder, `${from}\n    mode: chunked\n    chunk_column: ${column}\n    ${cut}`);
          assert.equal(code, "RIVET_CONFIG_CHUNK_COLUMN_NOT_INTEGER", `${from} ${column} ${cut}`);
        }
      }
    }
    assert.notEqual(await refusal(db, folder, "table: t\n    mode: incremental\n    cursor_column: doc"), "");
  },
);

live("a unique index whose second column may be NULL is no key of its first column", async (db, folder) => {
  await db.run(`CREATE TABLE t (id int NOT NULL, a int NOT NULL, b int, pad text); CREATE UNIQUE INDEX ON t (a, b);
    INSERT INTO t SELECT g, g / 40, nullif(g % 40, 7), repeat('x', 300) FROM generate_series(1, 2000) g; ANALYZE t`);
  const found = await exportCuts(db, folder, "table: t", {
    automatic: "mode: chunked\n    chunk_size: 100",
    first: "mode: chunked\n    chunk_by_key: a\n    chunk_size: 15",
    both: "mode: chunked\n    chunk_by_key: [a, b]\n    chunk_size: 15",
  });
  assertAll(found, upTo(2000));
});

live("the columns are those of the catalog, however the first rows and the first chunk look", async (db, folder) => {
  await db.run(`CREATE TABLE t (id int PRIMARY KEY, amount numeric(30,10), note text, at timestamptz);
    INSERT INTO t SELECT g, CASE WHEN g > 300 THEN 12345678901234567890.0123456789 WHEN g > 200 THEN 1 END,
      CASE WHEN g > 200 THEN repeat('long ', 500) END, CASE WHEN g > 399 THEN now() END FROM generate_series(1, 400) g; ANALYZE t`);
  const found = await exportCuts(db, folder, "table: t", {
    range: "mode: chunked\n    chunk_column: id\n    chunk_size: 100",
    small: "mode: full\n    tuning: {batch_size: 10}",
  });
  assertAll(found, upTo(400));
  const schemas = new Set<string>();
  for (const name of ["range", "small"]) {
    const out = join(folder, "out", name);
    for (const part of (await readManifestFile(out))!.parts) {
      const bytes = await Deno.readFile(join(out, part.path));
      schemas.add(JSON.stringify((await parquetMetadataAsync(bytes.buffer as ArrayBuffer)).schema.slice(1)));
    }
  }
  assert.equal(schemas.size, 1, [...schemas].join("\n"));
  const last = (await readThroughManifest(join(folder, "out", "range"))).find((row) => Number(row["id"]) === 400);
  assert.equal(String(last?.["note"]).length, 2500);
});

live(
  "files of one run have names of their own and hold what their counters say, also after an attempt that failed late",
  async (db, folder) => {
    await db.run(`CREATE TABLE t (id int PRIMARY KEY, body text);
    INSERT INTO t SELECT g, md5(g::text) || md5((g * 7)::text) FROM generate_series(1, 40000) g; ANALYZE t`);
    const configPath = await writeConfig(
      folder,
      db,
      `  - name: t
    table: t
    mode: chunked
    chunk_column: id
    chunk_size: 10000
    parallel: 4
    max_file_size: 128KB
    parquet: {row_group_strategy: fixed_rows, row_group_rows: 1000}
    format: parquet
    destination: {type: local, path: out}
`,
      { tuning: "{profile: fast, max_retries: 2}" },
    );
    let failures = 0;
    const result = await runEngine({
      configPath,
      env: envOf(db),
      wrapLane: (lane) => ({
        ...lane,
        run: async (request, signal, watcher) => {
          const outcome = await lane.run(request, signal, watcher);
          if (failures >= 2 || outcome.parts.length < 2) return outcome;
          failures++;
          throw new RivetError("RIVET_SOURCE_CONNECTION_LOST", "The connection broke after all files", {
            retry: "reconnect",
          });
        },
      }),
    });
    assert.equal(result.failed_count, 0, JSON.stringify(result.per_export[0]?.error));
    assert.equal(failures, 2);
    const out = join(folder, "out");
    const manifest = (await readManifestFile(out))!;
    assert.ok(manifest.parts.length > 8, `${manifest.parts.length} files`);
    assert.equal(new Set(manifest.parts.map((part) => part.path)).size, manifest.parts.length);
    let rows = 0;
    for (const part of manifest.parts) {
      const bytes = await Deno.readFile(join(out, part.path));
      const footer = Number((await parquetMetadataAsync(bytes.buffer as ArrayBuffer)).num_rows);
      assert.equal(footer, part.rows, part.path);
      rows += footer;
    }
    assert.deepEqual([rows, manifest.row_count, result.per_export[0]?.rows], [40000, 40000, 40000]);
    assert.deepEqual(await findUntracked(out), []);
  },
);

live("no piece of a password reaches state, files or output, whatever characters it has", async (db, folder) => {
  const role = `secret_${crypto.randomUUID().replaceAll("-", "")}`;
  const pieces = ["Kw7zq", "Xv3jm", "Bn9tr", "Gh5yp"];
  const password = pieces.join("?#@");
  await db.run(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'; CREATE TABLE t (id int PRIMARY KEY);
    INSERT INTO t SELECT generate_series(1, 50); GRANT SELECT ON t TO ${role}`);
  try {
    const { host, port, database } = db.connection;
    const encoded = encodeURIComponent(password);
    const sources: Record<string, string> = {
      encoded: `{type: postgres, url: "postgres://${role}:${encoded}@${host}:${port}/${database}"}`,
      fields:
        `{type: postgres, host: ${host}, port: ${port}, database: ${database}, user: ${role}, password: "${password}"}`,
      refused: `{type: postgres, url: "postgres://${role}:${encoded}wrong@${host}:${port}/${database}"}`,
      raw: `{type: postgres, url: "postgres://${role}:${password}@${host}:${port}/${database}"}`,
    };
    let said = "";
    for (const [name, source] of Object.entries(sources)) {
      const config = `source: ${source}
exports:
  - {name: t, table: t, mode: chunked, chunk_column: id, chunk_size: 10, format: csv, destination: {type: local, path: out/${name}}}
  - {name: gone, table: not_there, mode: full, format: csv, destination: {type: local, path: out/${name}}}
`;
      await Deno.writeTextFile(join(folder, "rivet.yaml"), config);
      for (
        const args of [["plan"], ["run"], ["run", "--json"], ["doctor"], ["check"], ["state", "runs"], [
          "journal",
          "-e",
          "t",
        ]]
      ) {
        const { stdout, stderr } = await runCli([...args, "-c", "rivet.yaml"], { cwd: folder });
        said += stdout + stderr;
      }
      await Deno.remove(join(folder, "rivet.yaml"));
    }
    assert.match(said, /password authentication failed/);
    const places: [string, string][] = [["the output", said]];
    for await (const path of walk(folder)) {
      places.push([path, new TextDecoder("latin1").decode(await Deno.readFile(path))]);
    }
    assert.ok(places.some(([path]) => path.endsWith(".rivet_state.db")), places.map(([path]) => path).join("\n"));
    for (const [path, text] of places) {
      for (const piece of pieces) assert.ok(!text.includes(piece), `${piece} in ${path}`);
    }
  } finally {
    await db.run(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});
