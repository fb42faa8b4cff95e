// The pilot of docs/operating/pilot.md: what the page tells to type is typed, on PostgreSQL and on MariaDB, and after every step that
// stores something DuckDB reads what the database holds.

import assert from "node:assert/strict";
import { queryParts } from "../support/duckdb_parts.ts";
import { fromFileUrl, join, temporaryFolder, walk } from "../support/files.ts";
import { openMysqlServers, testMysql } from "../support/mariadb.ts";
import { type Block, readBlocks } from "../support/page.ts";
import { openPostgresServer, withDatabase } from "../support/postgres.ts";
import { readManifestFile, readParquet } from "../support/reader.ts";
import { openShell } from "../support/shell.ts";
import type { CliResult } from "../support/cli.ts";
import type { ServerConnection } from "../../src/source/mod.ts";

const PAGE = await Deno.readTextFile(fromFileUrl(new URL("../../docs/operating/pilot.md", import.meta.url)));

/** The commands of a pilot, in order; the page may explain around them but must not change them. */
const COMMANDS = [
  "rivet --version",
  "rivet init --source-env DATABASE_URL --schema public -o pilot.yaml",
  "rivet init --source-env DATABASE_URL --schema public --discover -o discovery.json",
  "rivet check -c pilot.yaml",
  "rivet doctor -c pilot.yaml",
  "rivet plan -c pilot.yaml",
  "rivet plan -c pilot.yaml --format json -o plan.json",
  "rivet apply plan.json",
  "rivet run -c pilot.yaml --validate",
  "rivet apply pilot.yaml",
  "rivet apply pilot.yaml --parallel-export-processes",
  "rivet state progression -c pilot.yaml",
  "rivet reconcile -c pilot.yaml -e orders",
  "rivet reconcile -c pilot.yaml -e orders --format json -o reconcile.json",
  "rivet repair -c pilot.yaml -e orders --report reconcile.json",
  "rivet repair -c pilot.yaml -e orders --report reconcile.json --execute",
  "rivet reconcile -c pilot.yaml -e orders",
  "rivet state progression -c pilot.yaml",
  "rivet run       -c pilot.yaml --validate",
  "rivet reconcile -c pilot.yaml -e orders --format json -o /var/log/rivet/reconcile-$(date +%F).json",
  "rivet plan -c pilot.yaml --format json -o plan.json",
  "rivet apply plan.json",
];

Deno.test("the page of the pilot has its commands, word for word and in order", () => {
  const typed = [...readBlocks(PAGE).values()].flat().flatMap(({ text }) => text.split("\n"));
  assert.deepEqual(typed.filter((line) => line.startsWith("rivet ")), COMMANDS);
});

interface Engine {
  readonly type: "postgres" | "mysql";
  readonly url: string;
  readonly schema: string;
  readonly password: string;
  run(sql: string): Promise<(string | null)[][]>;
}

/** The blocks of the page as this engine's operator types them, and the folder where he sits. */
class Pilot {
  readonly said: string[] = [];
  readonly #blocks = new Map<string, Block[]>();

  constructor(
    readonly engine: Engine,
    readonly folder: string,
    private readonly shell: { run(script: string): Promise<CliResult> },
  ) {
    for (const [heading, blocks] of readBlocks(PAGE)) this.#blocks.set(heading.split(".")[0]!, blocks);
  }

  block(step: number, index: number): string {
    const block = this.#blocks.get(String(step))?.[index];
    assert.ok(block !== undefined, `step ${step} has no block ${index}`);
    return block.text
      .replaceAll("--schema public", `--schema ${this.engine.schema}`)
      .replace("type: postgres", `type: ${this.engine.type}`);
  }

  /** One command of a block. */
  async command(step: number, index: number, line: number, expected = 0): Promise<CliResult> {
    return await this.type(this.block(step, index).split("\n")[line]!, expected);
  }

  async type(script: string, expected = 0): Promise<CliResult> {
    const result = await this.shell.run(script);
    this.said.push(result.stdout, result.stderr);
    assert.equal(result.code, expected, `${script}\n${result.stdout}\n${result.stderr}`);
    return result;
  }

  async read(name: string): Promise<string> {
    return await Deno.readTextFile(join(this.folder, name));
  }

  /** Manifests of the runs of an export, oldest first. */
  manifests(name: string): string[] {
    const pattern = new RegExp(`^manifest-${name}_\\d{8}T.*\\.json$`);
    return [...Deno.readDirSync(join(this.folder, "output"))].map((file) => file.name)
      .filter((file) => pattern.test(file)).sort();
  }

  /** What a warehouse reads is what the database holds. */
  async compare(): Promise<void> {
    const output = join(this.folder, "output");
    const newest = this.manifests("orders").slice(-1);
    assert.equal(newest.length, 1);
    await this.#compareTable("orders", ORDERS, await queryParts([output], ORDERS, newest));
    const windows = this.manifests("orders_coalesce");
    await this.#compareTable("orders_coalesce", COALESCE, await queryParts([output], COALESCE, windows));
    // What the two columns of the cursor come to is no column of the files.
    const manifest = await readManifestFile(output, windows[0]);
    const [first] = await readParquet(join(output, manifest!.parts[0]!.path));
    assert.deepEqual(Object.keys(first!), COALESCE);
  }

  async #compareTable(table: string, columns: readonly string[], found: (string | null)[][]): Promise<void> {
    const rows = await this.engine.run(`SELECT ${columns.join(", ")} FROM ${table}`);
    const texts = (list: (string | null)[][]) => list.map((row) => row.map((value) => value ?? "∅").join("|")).sort();
    const [stored, held] = [texts(found), texts(rows)];
    assert.equal(stored.length, held.length, table);
    const at = stored.findIndex((row, index) => row !== held[index]);
    assert.equal(at, -1, `${table}: ${stored[at]} is stored, ${held[at]} is held`);
  }

  async progression(): Promise<Record<string, string[]>> {
    const { stdout } = await this.command(5, 0, 0);
    const [header, ...rows] = stdout.trim().split("\n").map((line) => line.split(/\s{2,}/));
    assert.deepEqual(header, ["EXPORT", "COMMITTED MODE", "COMMITTED", "COMMITTED AT", "VERIFIED MODE", "VERIFIED"]);
    return Object.fromEntries(rows.map(([name, ...rest]) => [name, rest]));
  }

  files(): string[] {
    return [...Deno.readDirSync(join(this.folder, "output"))].map(({ name }) => name).sort();
  }
}

const ORDERS = ["id", "user_id", "product", "price", "status", "updated_at"];
const COALESCE = ["id", "product", "price", "updated_at", "created_at"];

async function withPilot(engine: Engine, body: (pilot: Pilot) => Promise<void>): Promise<void> {
  await using tools = await temporaryFolder();
  await using folder = await temporaryFolder();
  const env = { DATABASE_URL: engine.url, PATH_LOG: join(folder.path, "log") };
  await body(new Pilot(engine, folder.path, await openShell(tools.path, folder.path, env)));
}

async function walkThrough(pilot: Pilot): Promise<void> {
  await discover(pilot);
  await configure(pilot);
  await plan(pilot);
  await exportAll(pilot);
  await progress(pilot);
  await reconcile(pilot);
  await repair(pilot);
  await verify(pilot);
  await automate(pilot);
  await findSecrets(pilot);
}

async function discover(pilot: Pilot): Promise<void> {
  await pilot.type(pilot.block(1, 0));
  for (const name of ["orders", "orders_coalesce"]) {
    assert.match(await pilot.read("pilot.yaml"), new RegExp(`^ *- name: "?${name}"?$`, "m"));
  }
  // What init writes is a config that holds.
  await pilot.command(2, 1, 0);
  const { stdout } = await pilot.type(pilot.block(1, 1));
  const tables = JSON.parse(`[${stdout.trim().replaceAll(/^}\n{/gm, "},{")}]`) as Record<string, unknown>[];
  const found = Object.fromEntries(tables.map((one) => [one["table"], one]));
  assert.equal(found["orders"]?.["suggested_mode"], "chunked");
  const coalesce = found["orders_coalesce"];
  assert.deepEqual([coalesce?.["best_cursor"], coalesce?.["coalesce_fallback"]], ["updated_at", "created_at"]);
}

async function configure(pilot: Pilot): Promise<void> {
  await Deno.writeTextFile(join(pilot.folder, "pilot.yaml"), pilot.block(2, 0));
  const check = await pilot.command(2, 1, 0);
  for (const name of ["orders", "orders_coalesce"]) assert.ok(check.stdout.includes(name), check.stdout);
  assert.doesNotMatch((await pilot.command(2, 1, 1)).stdout, /\[FAIL\]/);
}

async function plan(pilot: Pilot): Promise<void> {
  const { stdout } = await pilot.command(3, 0, 0);
  for (const word of ["orders_coalesce", "Wave", "Campaign"]) {
    assert.match(stdout, new RegExp(word, "i"), `${word} is missing in ${stdout}`);
  }
  await pilot.command(3, 0, 1);
  const artifact = JSON.parse(await pilot.read("plan.json"));
  assert.deepEqual(artifact.exports.map((one: { export_name: string }) => one.export_name).sort(), [
    "orders",
    "orders_coalesce",
  ]);
  assert.equal(await pilot.read("pilot.yaml"), pilot.block(2, 0));
  assert.ok(!(await exists(join(pilot.folder, "output"))), "planning stored something");
}

async function exportAll(pilot: Pilot): Promise<void> {
  const { engine } = pilot;
  await pilot.command(4, 0, 0);
  await pilot.compare();

  await engine.run(moreChanges(engine, 2001));
  await pilot.command(4, 1, 0);
  await pilot.compare();
  // The plan's chunks are read already; its cursor was moved by another run, so that export is refused, and nothing is stored.
  const before = pilot.files();
  const late = await pilot.type(`${pilot.block(4, 0)} --json`, 5);
  const { per_export: all } = JSON.parse(late.stdout) as { per_export: Record<string, unknown>[] };
  assert.deepEqual(Object.fromEntries(all.map((one) => [one["export_name"], one["status"]])), {
    orders: "already_applied",
    orders_coalesce: "failed",
  });
  assert.deepEqual(pilot.files(), before);

  await engine.run(moreChanges(engine, 3001));
  await pilot.command(4, 2, 0);
  await pilot.compare();
  await engine.run(moreChanges(engine, 4001));
  await pilot.command(4, 2, 1);
  await pilot.compare();
}

async function progress(pilot: Pilot): Promise<void> {
  const { orders, orders_coalesce: coalesce } = await pilot.progression();
  assert.deepEqual([orders?.[0], orders?.[1], orders?.[3], orders?.[4]], ["chunked", "chunk #2", "-", "-"]);
  assert.deepEqual([coalesce?.[0], coalesce?.[3], coalesce?.[4]], ["incremental", "-", "-"]);
  assert.match(coalesce?.[1] ?? "", /^2024-/);
}

async function reconcile(pilot: Pilot): Promise<void> {
  const clean = await pilot.command(6, 0, 0);
  assert.match(clean.stdout, /match/i);
  const verified = await pilot.progression();
  assert.deepEqual(verified["orders"]?.slice(3), ["chunked", "chunk #2"]);
  // A value, a row less and a row more; the third chunk stays as it is.
  await pilot.engine.run(
    `UPDATE orders SET price = 0.01 WHERE id = 42; DELETE FROM orders WHERE id = 150001;
    INSERT INTO orders SELECT 150000, user_id, 'new', price, status, updated_at FROM orders WHERE id = 7`,
  );
  await pilot.command(6, 0, 1, 3);
  const report = JSON.parse(await pilot.read("reconcile.json"));
  assert.equal(report.export_name, "orders");
  const { total_partitions: total, matches, mismatches, unknown } = report.summary;
  assert.deepEqual([matches, mismatches, unknown], [total - 2, 2, 0]);
}

async function repair(pilot: Pilot): Promise<void> {
  const before = pilot.files();
  const committed = (await pilot.progression())["orders"]?.slice(0, 3);
  await pilot.command(7, 0, 0);
  assert.deepEqual(pilot.files(), before);
  await pilot.command(7, 0, 1);
  const after = pilot.files();
  assert.deepEqual(before.filter((name) => !after.includes(name)), [], "repair removed something");
  assert.equal(after.filter((name) => name.endsWith(".parquet")).length - parquetIn(before), 2);
  assert.deepEqual((await pilot.progression())["orders"]?.slice(0, 3), committed);
  await pilot.compare();
}

function parquetIn(names: readonly string[]): number {
  return names.filter((name) => name.endsWith(".parquet")).length;
}

async function verify(pilot: Pilot): Promise<void> {
  await pilot.command(8, 0, 0);
  await pilot.command(8, 0, 1);
  const { orders } = await pilot.progression();
  assert.deepEqual([orders?.slice(0, 2), orders?.slice(3)], [["chunked", "chunk #2"], ["chunked", "chunk #2"]]);
}

async function automate(pilot: Pilot): Promise<void> {
  const { engine, folder } = pilot;
  const log = join(folder, "log");
  const script = pilot.block(9, 0)
    .replace("/opt/rivet", folder)
    .replaceAll("/var/log/rivet", log)
    .replace("export DATABASE_URL='…'", `export DATABASE_URL='${engine.url}'`);
  await engine.run(moreChanges(engine, 5001));
  await pilot.type(script);
  await pilot.compare();
  // A writer between the two commands: the job fails, and says so.
  const busy = script.replace("\n\n# Fail", "\n# Fail").replace(
    /^(rivet run .*)$/m,
    '$1\ntouch "$PATH_LOG/ran"; until [ -e "$PATH_LOG/go" ]; do sleep 0.1; done',
  );
  assert.notEqual(busy, script);
  const job = pilot.type(busy, 3);
  await until(() => exists(join(log, "ran")), job);
  await engine.run("DELETE FROM orders WHERE id = 77");
  await Deno.writeTextFile(join(log, "go"), "");
  await job;
  const reports = [...Deno.readDirSync(log)].filter(({ name }) => /^reconcile-\d{4}-\d\d-\d\d\.json$/.test(name));
  // One a day; midnight may lie between the two jobs.
  const last = reports.map(({ name }) => name).sort().at(-1);
  assert.ok(last !== undefined && reports.length <= 2);
  assert.equal(JSON.parse(await Deno.readTextFile(join(log, last))).summary.mismatches, 1);

  await engine.run(moreChanges(engine, 6001));
  await pilot.type(pilot.block(9, 1));
  await pilot.compare();
}

/** Waits for a file, but not longer than for the job that makes it. */
async function until(isTrue: () => Promise<boolean>, job: Promise<unknown>): Promise<void> {
  const ended = { yes: false };
  const end = () => void (ended.yes = true);
  job.then(end, end);
  while (!await isTrue()) {
    assert.ok(!ended.yes, "the job ended early");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The password is in nothing that was printed or left behind. */
async function findSecrets({ engine, folder, said }: Pilot): Promise<void> {
  const forms = [engine.password, encodeURIComponent(engine.password), JSON.stringify(engine.password).slice(1, -1)];
  const texts: [string, string][] = said.map((text) => ["the output", text]);
  for await (const path of walk(folder)) {
    if (!path.endsWith(".parquet")) texts.push([path, new TextDecoder("latin1").decode(await Deno.readFile(path))]);
  }
  for (const form of forms) {
    for (const [place, text] of texts) assert.ok(!text.includes(form), `${place} holds the password`);
  }
  assert.ok(texts.some(([path]) => path.endsWith("summary.json")));
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Rows that are new, and one that changed, each later than everything before. */
function moreChanges({ type }: Engine, first: number): string {
  const at = (second: number) => {
    const moment = new Date(Date.UTC(2024, 4, 1) + (first + second) * 1000).toISOString().slice(0, 19).replace(
      "T",
      " ",
    );
    return type === "postgres" ? `timestamp '${moment}.123457'` : `'${moment}.123457'`;
  };
  return `INSERT INTO orders_coalesce VALUES (${first}, 'added', 1.50, NULL, ${at(1)}), (${first + 1}, NULL, NULL, ${
    at(2)
  }, ${at(0)})`;
}

const POSTGRES_TABLES = `
  CREATE TABLE orders (id bigint PRIMARY KEY, user_id int, product text NOT NULL, price numeric, status text,
    updated_at timestamp);
  INSERT INTO orders SELECT g, g % 5000, 'пункт "' || g % 100 || '"', round((g % 100000) / 100.0, 2), CASE g % 3 WHEN 0 THEN 'paid' WHEN 1 THEN '' END,
    timestamp '2024-01-01 00:00:00.123457' + g * interval '1 second' FROM generate_series(1, 250000) g WHERE g % 1000 > 0;
  CREATE TABLE orders_coalesce (id int PRIMARY KEY, product text, price numeric(10,2), updated_at timestamp,
    created_at timestamp NOT NULL);
  INSERT INTO orders_coalesce SELECT g, 'p' || g, g / 4.0, CASE WHEN g % 2 = 0 THEN timestamp '2024-03-01 00:00:00.123457' + g * interval '1 minute' END,
    timestamp '2024-02-01 00:00:00.123457' + g * interval '1 minute' FROM generate_series(1, 1000) g;
  ANALYZE`;

const MYSQL_TABLES = `
  CREATE TABLE orders (id bigint PRIMARY KEY, user_id int, product varchar(40) NOT NULL, price decimal(10,2), status varchar(10),
    updated_at datetime(6));
  SET max_recursive_iterations = 300000;
  INSERT INTO orders WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 250000)
    SELECT g, g % 5000, CONCAT('пункт "', g % 100, '"'), (g % 100000) / 100, CASE g % 3 WHEN 0 THEN 'paid' WHEN 1 THEN '' END,
    '2024-01-01 00:00:00.123457' + INTERVAL g SECOND FROM s WHERE g % 1000 > 0;
  CREATE TABLE orders_coalesce (id int PRIMARY KEY, product varchar(40), price decimal(10,2), updated_at datetime(6),
    created_at datetime(6) NOT NULL);
  INSERT INTO orders_coalesce WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 1000)
    SELECT g, CONCAT('p', g), g / 4, IF(g % 2 = 0, '2024-03-01 00:00:00.123457' + INTERVAL g MINUTE, NULL),
    '2024-02-01 00:00:00.123457' + INTERVAL g MINUTE FROM s;
  ANALYZE TABLE orders, orders_coalesce`;

function toUrl(scheme: string, c: ServerConnection): string {
  return `${scheme}://${c.user}:${
    encodeURIComponent(c.password ?? "").replaceAll("'", "%27")
  }@${c.host}:${c.port}/${c.database}`;
}

const postgres = await openPostgresServer(18);

Deno.test({ name: "postgres: the pilot, step by step", ignore: postgres === null }, async () => {
  await withDatabase(postgres!, async ({ connection, run }) => {
    await run(POSTGRES_TABLES);
    const password = connection.password ?? "";
    await withPilot(
      { type: "postgres", url: toUrl("postgresql", connection), schema: "public", password, run },
      walkThrough,
    );
  });
});

testMysql(await openMysqlServers(), "the pilot, step by step", async ({ connection, run }) => {
  await run(MYSQL_TABLES);
  const password = connection.password ?? "";
  const { database: schema } = connection;
  await withPilot({ type: "mysql", url: toUrl("mysql", connection), schema, password, run }, walkThrough);
});
