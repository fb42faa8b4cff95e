// `plan` and `apply` on real servers: one plan of several exports, applied whole, and many tables planned without waiting for each.

import assert from "node:assert/strict";
import { parseArtifact, type PlanArtifact } from "../../src/plan/mod.ts";
import type { ServerConnection } from "../../src/source/mod.ts";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { openMysqlServers, testMysql } from "../support/mariadb.ts";
import { summaries } from "../support/plans.ts";
import { openPostgresServer, withDatabase } from "../support/postgres.ts";
import { readThroughAllManifests, readThroughManifest } from "../support/reader.ts";

interface Database {
  readonly connection: ServerConnection;
  run(sql: string): Promise<unknown>;
}

const EXPORTS = `
  - {name: orders, table: orders, mode: chunked, chunk_column: id, chunk_size: 500, parallel: 2, source_group: shop,
     format: parquet, destination: {type: local, path: "out/{export}"}}
  - {name: keyed, table: orders, mode: chunked, chunk_by_key: [grp, id], chunk_size: 700, source_group: shop,
     format: parquet, destination: {type: local, path: "out/{export}"}}
  - {name: fresh, table: orders, mode: incremental, cursor_column: at, source_group: shop,
     format: parquet, destination: {type: local, path: "out/{export}"}}
  - {name: query, query: "SELECT id, grp FROM orders WHERE id <= 1357 AND '\${WHO}' <> 'nobody'", format: csv, destination: {type: local, path: "out/{export}"}}
`;
const ROWS = 2000;

async function planAndApply(type: "postgres" | "mysql", db: Database): Promise<void> {
  await using folder = await temporaryFolder();
  const { host, port, user, database } = db.connection;
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    `source: {type: ${type}, host: ${host}, port: ${port}, user: ${user}, password_env: PW, database: ${database}}\nexports:${EXPORTS}`,
  );
  const env = { PW: db.connection.password ?? "" };
  const rivet = (...args: string[]) => runCli(args, { cwd: folder.path, env });
  const planned = await rivet(
    "plan",
    "-c",
    "rivet.yaml",
    "--format",
    "json",
    "-o",
    "plan.json",
    "-p",
    "WHO=zz-param-zz",
  );
  assert.equal(planned.code, 0, planned.stderr);
  const text = await Deno.readTextFile(join(folder.path, "plan.json"));
  assert.ok(!text.includes(db.connection.password!) && !text.includes("zz-param-zz"));
  checkPlan(type, parseArtifact(text, "plan.json"), `${host}:${port}`);
  // Newer rows: the sealed window ends before them, the last chunk is open.
  await db.run(`INSERT INTO orders VALUES (${ROWS + 1}, 0, '2026-02-01 00:00:00')`);
  const applied = await rivet("apply", "plan.json", "--json", "--progress", "none", "-p", "WHO=zz-param-zz");
  assert.equal(applied.code, 0, applied.stderr);
  const of = summaries(applied.stdout);
  const rows = Object.fromEntries(Object.entries(of).map(([name, one]) => [name, one["rows"]]));
  assert.deepEqual(rows, { orders: ROWS + 1, keyed: ROWS + 1, fresh: ROWS, query: 1357 });
  assert.equal(of["orders"]!["consistency"], "snapshot");
  for (const name of ["orders", "keyed"]) {
    const ids = new Set((await readThroughManifest(join(folder.path, "out", name))).map((row) => Number(row["id"])));
    assert.equal(ids.size, ROWS + 1);
  }
  const again = await rivet("apply", "plan.json", "--json", "--progress", "none", "-p", "WHO=zz-param-zz");
  assert.equal(again.code, 0, again.stderr);
  const statuses = Object.entries(summaries(again.stdout)).map(([name, one]) => [name, one["status"], one["rows"]]);
  assert.deepEqual(Object.fromEntries(statuses.map(([name, ...rest]) => [name, rest])), {
    orders: ["already_applied", 0],
    keyed: ["already_applied", 0],
    query: ["already_applied", 0],
    fresh: ["success", 1],
  });
  assert.equal((await readThroughAllManifests(join(folder.path, "out/fresh"))).length, ROWS + 1);
}

function checkPlan(type: string, plan: PlanArtifact, host: string): void {
  const of = Object.fromEntries(plan.exports.map((one) => [one.export_name, one]));
  assert.deepEqual(plan.exports.map((one) => one.strategy), ["chunked", "keyset", "incremental", "full"]);
  assert.deepEqual(of["orders"]!.computed.permissions.net, [host]);
  assert.equal(of["orders"]!.computed.lanes, 2);
  assert.equal(of["orders"]!.computed.consistency, "snapshot");
  assert.deepEqual(of["orders"]!.computed.chunk_ranges.slice(0, 2), [[null, "501"], ["501", "1001"]]);
  assert.equal(of["keyed"]!.computed.chunk_count, 3);
  assert.equal(of["fresh"]!.computed.cursor_snapshot, null);
  assert.match(of["fresh"]!.computed.cursor_high ?? "", /^2026-01-02/);
  assert.ok(of["fresh"]!.diagnostics.verdict === "efficient", `${type}: ${of["fresh"]!.diagnostics.verdict}`);
  assert.match(plan.campaign.source_group_warnings[0]!.message, /3 exports share the source group 'shop'/);
}

const POSTGRES = `CREATE TABLE orders (id bigint PRIMARY KEY, grp int NOT NULL, at timestamp NOT NULL);
  CREATE INDEX ON orders (at); CREATE INDEX ON orders (grp, id);
  INSERT INTO orders SELECT i, i % 7, timestamp '2026-01-01' + i * interval '1 minute' FROM generate_series(1, ${ROWS}) AS i;
  ANALYZE orders`;
const MYSQL =
  `CREATE TABLE orders (id bigint PRIMARY KEY, grp int NOT NULL, at datetime NOT NULL, KEY (at), KEY (grp, id));
  INSERT INTO orders SELECT seq, seq % 7, timestamp '2026-01-01 00:00:00' + interval seq minute FROM seq_1_to_${ROWS};
  ANALYZE TABLE orders`;

const server = await openPostgresServer(18);

Deno.test({
  name: "postgres: a plan of several exports is applied as it stands, once",
  ignore: server === null,
  fn: () =>
    withDatabase(server!, async (db) => {
      await db.run(POSTGRES);
      await planAndApply("postgres", db);
    }),
});

testMysql(
  (await openMysqlServers()).filter(({ name }) => name === "mariadb"),
  "a plan of several exports is applied as it stands, once",
  async (db) => {
    await db.run(MYSQL);
    await planAndApply("mysql", db);
  },
);

/** Every way of cutting, sealed and applied: each row once. */
const WAYS: Record<string, string> = {
  whole: "mode: full",
  pages: "mode: full, parallel: 2",
  ranges: "mode: chunked, chunk_column: id, chunk_size: 9000, parallel: 2",
  counted: "mode: chunked, chunk_column: id, chunk_count: 5",
  dense: "mode: chunked, chunk_column: id, chunk_dense: true, chunk_size: 9000",
  days: "mode: chunked, chunk_column: at, chunk_by_days: 3",
  keys: "mode: chunked, chunk_by_key: [grp, id], chunk_size: 9000",
  window: "mode: time_window, time_column: at, days_window: 36500",
  coalesced: "mode: incremental, cursor_column: changed, incremental_cursor_mode: coalesce, cursor_fallback_column: at",
};
const MANY = 30_000;

Deno.test({
  name: "postgres: whatever way a plan cuts, apply reads each row once",
  ignore: server === null,
  fn: () =>
    withDatabase(server!, async (db) => {
      await using folder = await temporaryFolder();
      const { host, port, user, database } = db.connection;
      await db.run(
        `CREATE TABLE events (id bigint PRIMARY KEY, grp int NOT NULL, at timestamp NOT NULL, changed timestamp, body text);
        INSERT INTO events SELECT i, i % 7, timestamp '2026-01-01' + i * interval '1 minute',
          CASE WHEN i % 3 = 0 THEN timestamp '2026-02-01' + i * interval '1 second' END, repeat('x', 200)
          FROM generate_series(1, ${MANY}) AS i; CREATE INDEX ON events (grp, id); CREATE INDEX ON events (at); ANALYZE events`,
      );
      const exports = Object.entries(WAYS).map(([name, way]) =>
        `  - {name: ${name}, table: events, ${way}, format: parquet, destination: {type: local, path: out/${name}}}\n`
      );
      await Deno.writeTextFile(
        join(folder.path, "rivet.yaml"),
        `source: {type: postgres, host: ${host}, port: ${port}, user: ${user}, password_env: PW, database: ${database}, tuning: {profile: fast}}
exports:\n${exports.join("")}`,
      );
      const rivet = (...args: string[]) =>
        runCli(args, { cwd: folder.path, env: { PW: db.connection.password ?? "" } });
      const planned = await rivet("plan", "-c", "rivet.yaml", "-o", "plan.json");
      assert.equal(planned.code, 0, planned.stderr);
      const plan = parseArtifact(await Deno.readTextFile(join(folder.path, "plan.json")), "plan.json");
      const kinds = Object.fromEntries(plan.exports.map((one) => [one.export_name, one.tasks[0]!.layout.kind]));
      assert.deepEqual(kinds, {
        whole: "whole",
        pages: "pages",
        ranges: "integers",
        counted: "integers",
        dense: "keys",
        days: "days",
        keys: "keys",
        window: "whole",
        coalesced: "whole",
      });
      const applied = await rivet("apply", "plan.json", "--json", "--progress", "none", "--reconcile");
      assert.equal(applied.code, 0, applied.stderr);
      for (const [name, one] of Object.entries(summaries(applied.stdout))) {
        assert.equal(one["rows"], MANY, name);
        const ids = (await readThroughManifest(join(folder.path, "out", name))).map((row) => Number(row["id"]));
        assert.equal(new Set(ids).size, MANY, name);
        assert.equal(one["slices"], plan.exports.find((planned) => planned.export_name === name)!.computed.chunk_count);
      }
    }),
});
