// Cursors on a real PostgreSQL: every type that has an order can be one, and late commits are guarded by what the user may see.

import assert from "node:assert/strict";
import { runEngine } from "../support/engine.ts";
import { join } from "../support/files.ts";
import { connect, envOf, withLiveExport, writeConfig } from "../support/live_postgres.ts";
import { openPostgresServer, type TestDatabase } from "../support/postgres.ts";
import { readThroughAllManifests } from "../support/reader.ts";

const servers = [await openPostgresServer(18), await openPostgresServer(12)] as const;

/** Three values of each type in ascending order; the last two may be one. */
const TYPES: Record<string, readonly [string, string, string]> = {
  smallint: ["-1", "0", "7"],
  integer: ["-10", "9", "10"],
  bigint: ["9007199254740992", "9007199254740993", "9007199254740994"],
  "numeric(20,5)": ["1.00001", "1.00002", "10"],
  numeric: ["0.1", "0.10000000000000000000000000000000000001", "1e30"],
  real: ["0.1", "0.2", "16777217"],
  "double precision": ["0.1", "0.30000000000000004", "1e300"],
  money: ["1.00", "9.99", "10.00"],
  oid: ["1", "2", "4294967295"],
  text: ["A'\\", "a", "é"],
  "character varying(9)": ["A", "B", "a"],
  "character(5)": ["a", "b", "c"],
  name: ["a", "b", "c"],
  uuid: [
    "00000000-0000-0000-0000-00000000000a",
    "7fffffff-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
  ],
  bytea: ["\\x00", "\\x005c27", "\\xff"],
  boolean: ["false", "true", "true"],
  date: ["0001-01-01", "2026-01-02", "2026-02-01"],
  "time without time zone": ["00:00", "12:00:00.000001", "23:59"],
  "time with time zone": ["00:00+00", "12:00+00", "12:00-02"],
  "timestamp(3) without time zone": ["2026-01-01", "2026-01-01 00:00:00.001", "2026-01-02"],
  "timestamp with time zone": ["2026-01-01 00:00+02", "2026-01-01 00:00:00.000001+00", "2026-01-01 00:00-02"],
  interval: ["1 day", "1 month", "1 year"],
  inet: ["10.0.0.1", "10.0.0.2", "fe80::1"],
  macaddr: ["00:00:00:00:00:01", "00:00:00:00:00:02", "ff:00:00:00:00:00"],
  "bit varying(8)": ["0", "01", "1"],
  mood: ["sad", "ok", "glad"],
  code: [
    "00000000-0000-0000-0000-00000000000a",
    "00000000-0000-0000-0000-00000000000b",
    "00000000-0000-0000-0000-00000000000c",
  ],
  int4range: ["[1,2)", "[1,3)", "[2,3)"],
  "integer[]": ["{1}", "{1,2}", "{2}"],
  jsonb: ["1", "2", "[1]"],
};

const DOMAINS = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad'); CREATE DOMAIN code AS uuid;";

async function exportTypes(db: TestDatabase, folder: string): Promise<void> {
  const names = Object.keys(TYPES);
  const quote = (value: string) => `E'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
  await db.run(
    DOMAINS + names.map((type, i) => {
      const [low, high] = TYPES[type]!;
      return `CREATE TABLE t${i} (id int, v ${type}); INSERT INTO t${i} VALUES (1, ${quote(low)}), (2, ${
        quote(high)
      }), (3, ${quote(high)})`;
    }).join(";"),
  );
  const exports = names.map((_, i) =>
    `  - {name: e${i}, table: t${i}, mode: incremental, cursor_column: v, format: parquet, destination: {type: local, path: "out/${i}"}}\n`
  ).join("");
  const configPath = await writeConfig(folder, db, exports);
  const run = async () => {
    const result = await runEngine({ configPath, env: envOf(db) });
    const failed = result.per_export.filter((s) => s.status === "failed");
    assert.deepEqual(failed.map((s) => [names[Number(s.export_name.slice(1))], s.error?.code, s.error?.error]), []);
    return result.per_export.map((s) => s.rows);
  };
  assert.deepEqual(await run(), names.map(() => 3));
  await db.run(
    names.map((type, i) => {
      const [, high, above] = TYPES[type]!;
      return `INSERT INTO t${i} VALUES (4, ${quote(high)}), (5, ${quote(above)})`;
    }).join(";"),
  );
  const later = await run();
  assert.deepEqual(names.filter((_, i) => later[i] !== 2), [], "types whose second run is not its two new rows");
  assert.deepEqual(await run(), names.map(() => 0));
  for (const [i, type] of names.entries()) {
    const ids = (await readThroughAllManifests(join(folder, `out/${i}`))).map((row) => Number(row["id"])).sort();
    assert.deepEqual(ids, [1, 2, 3, 4, 5], type);
  }
}

for (const server of servers) {
  Deno.test({
    name: `PostgreSQL ${server?.major}: every type that has an order can be a cursor, ties included`,
    ignore: server === null,
    fn: () => withLiveExport(server!, exportTypes),
  });
}

Deno.test({
  name: "a user who may not see other sessions is told so, and one who may is protected",
  ignore: servers[0] === null,
}, async () => {
  await withLiveExport(servers[0]!, async (db, folder) => {
    const role = `reader_${crypto.randomUUID().replaceAll("-", "")}`;
    await db.run(`CREATE TABLE event (id int PRIMARY KEY, at timestamptz NOT NULL); INSERT INTO event VALUES (1, now());
      CREATE ROLE ${role} LOGIN PASSWORD '${
      db.connection.password!.replaceAll("'", "''")
    }'; GRANT SELECT ON event TO ${role}`);
    const entry =
      `  - {name: event, table: event, mode: incremental, cursor_column: at, format: parquet, destination: {type: local, path: out}}\n`;
    const configPath = await writeConfig(folder, db, entry, { user: role });
    const run = async () => (await runEngine({ configPath, env: envOf(db) })).per_export[0]!;
    const late = await connect(db);
    try {
      await late.query("BEGIN; INSERT INTO event VALUES (2, now())");
      const blind = await run();
      assert.equal(blind.status, "success", JSON.stringify(blind.error));
      assert.deepEqual(blind.protection, ["ties"]);
      assert.match(
        blind.warnings.join("\n"),
        /transactions that commit late may be missed.*pg_read_all_stats.*cursor_lag/,
      );

      await db.run(`GRANT pg_read_all_stats TO ${role}; INSERT INTO event VALUES (3, clock_timestamp())`);
      const seeing = await run();
      assert.match(seeing.protection.join(), /^ties,oldest transaction /);
      assert.deepEqual([seeing.rows, seeing.warnings], [0, []]);
      await late.query("COMMIT");
      // Other sessions may still be open for a moment: until they are gone their start holds the bound.
      let rows = 0;
      for (let tries = 0; tries < 100 && rows < 2; tries++) rows += (await run()).rows;
      assert.equal(rows, 2);
      const ids = (await readThroughAllManifests(join(folder, "out"))).map((row) => Number(row["id"])).sort();
      assert.deepEqual(ids, [1, 2, 3]);
    } finally {
      await late.end();
      await db.run(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});

Deno.test({
  name: "a cursor of two columns is protected where both are of one type, and says so where they are not",
  ignore: servers[0] === null,
}, async () => {
  await withLiveExport(servers[0]!, async (db, folder) => {
    await db.run(`CREATE TABLE event (id int PRIMARY KEY, at timestamp, made timestamp NOT NULL, day date NOT NULL);
      INSERT INTO event VALUES (1, NULL, now(), now())`);
    const entry = (name: string, fallback: string) =>
      `  - {name: ${name}, table: event, mode: incremental, cursor_column: at, cursor_fallback_column: ${fallback}, incremental_cursor_mode: coalesce, format: parquet, destination: {type: local, path: out/${name}}}\n`;
    const configPath = await writeConfig(folder, db, entry("alike", "made") + entry("unlike", "day"));
    const run = async () => (await runEngine({ configPath, env: envOf(db) })).per_export;
    const late = await connect(db);
    try {
      await late.query("BEGIN; INSERT INTO event VALUES (2, NULL, now(), now())");
      await db.run("INSERT INTO event VALUES (3, clock_timestamp(), clock_timestamp(), clock_timestamp())");
      const [alike, unlike] = await run();
      assert.match(alike!.protection.join(), /^ties,oldest transaction /);
      assert.deepEqual(alike!.warnings, []);
      assert.deepEqual(unlike!.protection, ["ties"]);
      assert.match(unlike!.warnings.join("\n"), /commit late may be missed: the two columns .* different types/);
      await late.query("COMMIT");
      const stored = async () =>
        (await readThroughAllManifests(join(folder, "out/alike"))).map((row) => Number(row["id"])).sort();
      // Other sessions may still be open for a moment: until they are gone their start holds the bound.
      for (let tries = 0; tries < 100 && (await stored()).length < 3; tries++) await run();
      assert.deepEqual(await stored(), [1, 2, 3]);
    } finally {
      await late.end();
    }
  });
});
