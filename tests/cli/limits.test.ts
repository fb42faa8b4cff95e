// What happens at the edges of a machine: a value larger than memory allows, a file larger than the user may write, a reader that leaves.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { cliArgs, runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { openPostgresServer, withDatabase } from "../support/postgres.ts";
import { listNames } from "../support/reader.ts";

const CELL_BYTES = 100 << 20;
const RSS_MB_MAX = 300;

Deno.test("a SQLite value of 100 MB above `max_value_mb` is refused by column and size, and never held", async () => {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB, doc JSON);
      INSERT INTO t VALUES (1, x'00', '{}'), (2, zeroblob(${CELL_BYTES}), NULL)`);
  }
  await refusesCell(folder.path, "{type: sqlite, path: shop.db}");
});

const server = await openPostgresServer(18);

Deno.test({
  name: "a PostgreSQL value of 100 MB above `max_value_mb` is refused by column and size, and never held",
  ignore: server === null,
  fn: () =>
    withDatabase(server!, async ({ run, connection: { host, port, user, password, database } }) => {
      await using folder = await temporaryFolder();
      await run(`CREATE TABLE t (id int, body text); INSERT INTO t VALUES (1, 'x'), (2, repeat('x', ${CELL_BYTES}))`);
      const source = { type: "postgres", host, port, user, password, database };
      await refusesCell(folder.path, JSON.stringify(source));
    }),
});

async function refusesCell(folder: string, source: string): Promise<void> {
  await Deno.writeTextFile(
    join(folder, "rivet.yaml"),
    `source: ${source}
exports: [{name: t, table: t, format: parquet, tuning: {max_value_mb: 64}, destination: {type: local, path: out}}]`,
  );
  const { code, stdout, stderr } = await runCli(["run", "-c", "rivet.yaml", "--json"], { cwd: folder });
  assert.equal(code, 1, stderr);
  const summary = JSON.parse(stdout).per_export[0];
  assert.equal(summary.error.code, "RIVET_VALUE_TOO_LARGE");
  assert.match(summary.error.error, /'body' holds a value of 104857600 bytes \(100\.0 MiB\), the limit is 64\.0 MiB/);
  assert.ok(summary.peak_rss_mb > 0 && summary.peak_rss_mb <= RSS_MB_MAX, `${summary.peak_rss_mb} MB`);
  assert.deepEqual(await listNames(join(folder, "out")), []);
}

Deno.test({
  name: "a file above `ulimit -f` is a refused write, not the end of the process",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using folder = await temporaryFolder();
    await makeShop(folder.path, "parquet");
    const args = cliArgs(["run", "-c", "rivet.yaml", "--json-errors"]);
    const { code, stderr } = await shell(`ulimit -f 1000; exec "$0" "$@"`, args, folder.path);
    const error = JSON.parse(stderr.trim().split("\n").at(-1)!);
    assert.deepEqual([error.code, code], ["RIVET_DEST_WRITE_FAILED", 1], stderr);
    assert.match(`${error.error} ${error.cure}`, /ulimit -f.*max_file_size/);
    assert.deepEqual(await listNames(join(folder.path, "out")), []);
  },
});

Deno.test("a reader of standard output that leaves early ends the run with a clear error", async () => {
  await using folder = await temporaryFolder();
  await makeShop(folder.path, "csv", "{type: stdout}");
  const { stdout, stderr } = await shell(
    `{ "$0" "$@"; echo "exit $?" >&2; } | head -1`,
    cliArgs(["run", "-c", "rivet.yaml"]),
    folder.path,
  );
  assert.equal(stdout, "id,body\n");
  assert.match(stderr, /\[RIVET_DEST_WRITE_FAILED\] Standard output does not take more bytes/);
  assert.match(stderr, /exit 1\n/);
  assert.ok(!(await listNames(folder.path)).includes(".rivet_state.db"), "a stream is not remembered");
});

Deno.test("an empty table is a complete set without files, or with skip_empty nothing, and metrics tell the two apart", async () => {
  await using folder = await temporaryFolder();
  await makeShop(folder.path, "parquet");
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}
exports:
  - {name: kept, query: SELECT * FROM t WHERE id < 0, format: parquet, destination: {type: local, path: kept}}
  - {name: left, query: SELECT * FROM t WHERE id < 0, skip_empty: true, format: parquet, destination: {type: local, path: left}}`,
  );
  const { code, stderr } = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder.path });
  assert.equal(code, 0, stderr);
  const kept = await listNames(join(folder.path, "kept"));
  assert.deepEqual(kept.map((name) => name.replace(/-.*\./, ".")), ["_SUCCESS", "manifest.json", "manifest.json"]);
  assert.deepEqual(await listNames(join(folder.path, "left")), []);
  const metrics = await runCli(["metrics", "-c", "rivet.yaml", "--json"], { cwd: folder.path });
  const rows = JSON.parse(metrics.stdout) as { export_name: string; status: string; skip_reason: string | null }[];
  const told = rows.map(({ export_name, status, skip_reason }) => [export_name, status, skip_reason]).sort();
  assert.deepEqual(told, [["kept", "success", null], ["left", "skipped", "no rows"]]);
});

/** Enough rows that their file is above a megabyte and more than a pipe holds. */
async function makeShop(folder: string, format: string, destination = "{type: local, path: out}"): Promise<void> {
  {
    using db = new DatabaseSync(join(folder, "shop.db"));
    db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
      INSERT INTO t SELECT i, hex(randomblob(100)) FROM n`);
  }
  await Deno.writeTextFile(
    join(folder, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}\nexports: [{name: t, table: t, format: ${format}, destination: ${destination}}]`,
  );
}

async function shell(script: string, args: readonly string[], cwd: string): Promise<Result> {
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", script, Deno.execPath(), ...args],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
