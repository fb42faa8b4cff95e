// `rivet validate`: what it prints, its JSON, its flags, its exit codes; and DuckDB as the witness that a good export is good.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { DuckDBInstance } from "@duckdb/node-api";
import { z } from "zod";
import { CODES } from "../../src/errors.ts";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { runProgram } from "../support/program.ts";
import { listNames, readManifestFile } from "../support/reader.ts";
import { startS3Fake } from "../support/s3_fake.ts";

const ROWS = 50;

function fill(folder: string, from = 1, to = ROWS): void {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec(
    "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, price DECIMAL(10,2), day DATE NOT NULL, at TIMESTAMP, body TEXT)",
  );
  const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?, ?, ?)");
  for (let id = from; id <= to; id++) {
    insert.run(
      id,
      id / 4,
      `2026-0${1 + id % 2}-01`,
      `2026-01-01 00:00:${String(id % 60).padStart(2, "0")}`,
      `row ${id}`,
    );
  }
}

class Scene {
  constructor(readonly folder: string) {}

  get config(): string {
    return join(this.folder, "rivet.yaml");
  }

  async write(exports: readonly string[]): Promise<void> {
    const lines = exports.map((line) => `  - {table: t, ${line}}\n`);
    await Deno.writeTextFile(this.config, `source: {type: sqlite, path: shop.db}\nexports:\n${lines.join("")}`);
  }

  async run(...flags: string[]): Promise<void> {
    const { code, stderr } = await runProgram(["run", "-c", this.config, "--progress", "none", ...flags]);
    assert.equal(code, 0, stderr);
  }

  async validate(...flags: string[]) {
    return await runProgram(["validate", "-c", this.config, ...flags]);
  }

  async json(...flags: string[]): Promise<{ code: number; report: z.infer<typeof REPORT>; stderr: string }> {
    const { code, stdout, stderr } = await this.validate("--json", ...flags);
    return { code, stderr, report: REPORT.parse(JSON.parse(stdout)) };
  }

  /** The first data file in a folder. */
  async part(out: string): Promise<string> {
    const name = (await listNames(join(this.folder, out))).find((name) => /\.(parquet|csv)$/.test(name));
    return join(this.folder, out, name!);
  }
}

async function withScene(exports: readonly string[], body: (scene: Scene) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  fill(folder.path);
  const scene = new Scene(folder.path);
  await scene.write(exports);
  await body(scene);
}

const count = z.number().int().nonnegative();
const FINDING = z.object({
  kind: z.string(),
  code: z.enum(Object.keys(CODES) as [keyof typeof CODES]),
  severity: z.enum(["wrong", "unverified", "advisory"]),
  message: z.string().min(1),
}).loose();

const REPORT = z.strictObject({
  exports: z.array(z.strictObject({
    export_name: z.string(),
    resolved_prefix: z.string(),
    verification: z.strictObject({
      manifest_found: z.boolean(),
      legacy_run: z.boolean(),
      run_ids: z.array(z.string()),
      rows: count,
      bytes: count,
      parts_total: count,
      parts_verified: count,
      parts_content_verified: count,
      parts_md5_verified: count,
      parts_size_only: count,
      parts_values_verified: count,
      parts_failed: count,
      untracked_objects: count,
      success_marker_consistent: z.boolean().nullable(),
      manifest_self_consistent: z.boolean().nullable(),
      passed: z.boolean(),
      failures: z.array(FINDING),
      depth_level: z.enum(["light", "sample", "full"]),
    }),
  })),
  warnings: z.array(z.strictObject({ export_name: z.string(), warning: z.string() })),
  errors: z.array(z.strictObject({
    export_name: z.string(),
    code: z.string(),
    kind: z.string(),
    exit_code: count,
    retryable: z.boolean(),
    error: z.string(),
    where: z.string().nullable(),
    cure: z.string(),
  })),
});

const PARQUET = "name: orders, format: parquet, mode: chunked, chunk_column: id, chunk_size: 20";
const LOCAL = "destination: {type: local, path: out}";

Deno.test("a good export passes, its JSON has its schema, and DuckDB finds in its files what SQLite holds", async () => {
  await withScene([
    `${PARQUET}, ${LOCAL}`,
    "name: csv, format: csv, compression: gzip, destination: {type: local, path: csv}",
  ], async (scene) => {
    await scene.run();
    const { code, report } = await scene.json();
    assert.equal(code, 0);
    for (const { verification: v } of report.exports) {
      assert.equal(v.passed, true);
      assert.deepEqual([v.rows, v.parts_verified, v.parts_failed], [ROWS, v.parts_total, 0]);
      assert.deepEqual([v.parts_content_verified, v.parts_values_verified], [v.parts_total, v.parts_total]);
      assert.deepEqual([v.success_marker_consistent, v.manifest_self_consistent, v.failures], [true, true, []]);
    }
    assert.deepEqual(report.exports.map((e) => e.verification.parts_total), [3, 1]);
    assert.deepEqual(await askDuckdb(scene, "out", "read_parquet"), askSqlite(scene));
    assert.deepEqual(await askDuckdb(scene, "csv", "read_csv"), askSqlite(scene));
  });
});

const QUESTION = "SELECT count(*), sum(id), sum(price * 100)";

function askSqlite(scene: Scene): string[] {
  using db = new DatabaseSync(join(scene.folder, "shop.db"), { readOnly: true });
  const row = db.prepare(`${QUESTION}, max(body), min(day) FROM t`).get() as Record<string, unknown>;
  return Object.values(row).map(String);
}

async function askDuckdb(scene: Scene, out: string, reader: string): Promise<string[]> {
  const folder = join(scene.folder, out);
  const files = (await readManifestFile(folder))!.parts.map((part) => `'${join(folder, part.path)}'`);
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const sql = `${QUESTION}::bigint, max(body), min(day) FROM ${reader}([${files.join(", ")}])`;
    return (await connection.runAndReadAll(sql)).getRows()[0]!.map(String);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

Deno.test("a flipped byte ends the real program with exit 3 and one error; other exports are still checked", async () => {
  await withScene(
    [`${PARQUET}, ${LOCAL}`, "name: good, format: csv, destination: {type: local, path: good}"],
    async (scene) => {
      await scene.run();
      const path = await scene.part("out");
      const bytes = await Deno.readFile(path);
      bytes[30]! ^= 0x10;
      await Deno.writeFile(path, bytes);
      const { code, stdout, stderr } = await runCli(["validate", "-c", scene.config]);
      assert.equal(code, 3);
      assert.match(
        stdout,
        /── orders ──[^]*FAILED[^]*failure: \[RIVET_VERIFY_PART_CHECKSUM_MISMATCH\] part 1[^]*── good ──[^]*PASSED/,
      );
      assert.match(
        stderr,
        /^Error: \[RIVET_VALIDATE_FAILED\] part 1 '.*' has other content[^]*where: +export 'orders', file:/,
      );
      const only = await scene.json("-e", "good");
      assert.deepEqual([only.code, only.report.exports.length], [0, 1]);
      assert.deepEqual([(await scene.validate("--depth", "light")).code], [0]);
      const machine = await scene.validate("--json", "--json-errors");
      assert.equal(JSON.parse(machine.stderr).code, "RIVET_VALIDATE_FAILED");
      assert.equal(
        REPORT.parse(JSON.parse(machine.stdout)).exports[0]?.verification.failures[0]?.["run_id"],
        (await readManifestFile(join(scene.folder, "out")))?.run_id,
      );
    },
  );
});

Deno.test("what a run stored and nobody finds any more is wrong, what was never stored is not", async () => {
  await withScene([`${PARQUET}, ${LOCAL}`], async (scene) => {
    const before = await scene.json();
    assert.equal(before.code, 0);
    assert.deepEqual(before.report.warnings.map((w) => /is empty$/.test(w.warning)), [true]);
    await scene.run();
    const old = await readAll(join(scene.folder, "out"));
    await scene.run();
    await Deno.remove(join(scene.folder, "out"), { recursive: true });
    const gone = await scene.json();
    assert.equal(gone.code, 3);
    assert.deepEqual(kindsOf(gone.report), ["manifest_required_but_absent"]);
    await Deno.mkdir(join(scene.folder, "out"));
    for (const [name, bytes] of old) await Deno.writeFile(join(scene.folder, "out", name), bytes);
    // A complete set, but of an earlier run.
    assert.deepEqual(kindsOf((await scene.json()).report), ["manifest_required_but_absent"]);
    const unread = await runProgram(["validate", "-c", scene.config, "--json"], { RIVET_STATE_URL: "postgre://x" });
    const { warnings } = REPORT.parse(JSON.parse(unread.stdout));
    assert.equal(unread.code, 0);
    assert.match(warnings[0]!.warning, /state remembers is not compared: \[RIVET_STATE_URL_SCHEME_UNSUPPORTED\]/);
    await Deno.remove(join(scene.folder, ".rivet_state.db"));
    assert.equal((await scene.json()).code, 0);
    await assert.rejects(Deno.stat(join(scene.folder, ".rivet_state.db")), Deno.errors.NotFound);
  });
});

async function readAll(folder: string): Promise<[string, Uint8Array][]> {
  const found: [string, Uint8Array][] = [];
  for (const name of await listNames(folder)) found.push([name, await Deno.readFile(join(folder, name))]);
  return found;
}

function kindsOf(report: z.infer<typeof REPORT>): string[] {
  return report.exports.flatMap((e) => e.verification.failures.map((f) => f.kind));
}

Deno.test("files without a manifest are labelled, and a failure where --prefix asks for one", async () => {
  await withScene(
    [`${PARQUET}, ${LOCAL}`, "name: other, format: csv, destination: {type: local, path: other}"],
    async (scene) => {
      await Deno.mkdir(join(scene.folder, "out"));
      await Deno.writeTextFile(join(scene.folder, "out/old.parquet"), "PAR1");
      const { code, report } = await scene.json("-e", "orders");
      assert.equal(code, 0);
      assert.deepEqual([report.exports[0]?.verification.legacy_run, report.exports[0]?.verification.passed], [
        true,
        false,
      ]);
      assert.match(report.warnings[0]!.warning, /without a manifest/);
      assert.match((await scene.validate("-e", "orders")).stdout, /NO MANIFEST \(legacy/);
      const asked = await scene.json("-e", "orders", "--prefix", "out");
      assert.equal(asked.code, 3);
      assert.deepEqual(kindsOf(asked.report), ["manifest_required_but_absent"]);
      const several = await scene.validate("--prefix", "out");
      assert.deepEqual([several.code, several.stdout], [1, ""]);
      assert.match(several.stderr, /RIVET_CLI_VALUE_INVALID/);
      assert.match((await scene.validate("-e", "orders", "--prefix", "s3://b/x")).stderr, /RIVET_CLI_VALUE_INVALID/);
    },
  );
});

Deno.test("a manifest of a program that kept no column checksums is checked as far as it goes, and that is said", async () => {
  await withScene([`${PARQUET}, ${LOCAL}, verify: content`], async (scene) => {
    await scene.run();
    const out = join(scene.folder, "out");
    const manifest = (await readManifestFile(out))!;
    const strip = (keep: readonly string[]) => (part: object) =>
      Object.fromEntries(Object.entries(part).filter(([key]) => keep.includes(key)));
    const old = {
      ...strip([
        "manifest_version",
        "run_id",
        "export_name",
        "mode",
        "started_at",
        "finished_at",
        "status",
        "source",
        "destination",
        "format",
        "compression",
        "schema_fingerprint",
        "row_count",
        "part_count",
      ])(manifest),
      parts: manifest.parts.map(strip(["part_id", "path", "rows", "size_bytes", "status", "content_md5"])),
    };
    await Deno.remove(join(out, "_SUCCESS"));
    await Deno.remove(join(out, `manifest-${manifest.run_id}.json`));
    await Deno.writeTextFile(join(out, "manifest.json"), JSON.stringify(old));
    const full = await scene.json();
    assert.equal(full.code, 0);
    assert.deepEqual(kindsOf(full.report), ["success_marker_absent", "value_check_not_available"]);
    assert.deepEqual(full.report.exports[0]?.verification.parts_content_verified, 3);
    const bare = { ...old, parts: old.parts.map((part) => ({ ...part, content_md5: "" })) };
    await Deno.writeTextFile(join(out, "manifest.json"), JSON.stringify(bare));
    const sizes = await scene.json("--depth", "sample");
    assert.equal(sizes.code, 3);
    assert.deepEqual(kindsOf(sizes.report), ["success_marker_absent", "content_verification_unmet"]);
    assert.deepEqual(sizes.report.exports[0]?.verification.parts_size_only, 3);
    await scene.write([`${PARQUET}, ${LOCAL}`]);
    assert.equal((await scene.json("--depth", "sample")).code, 0);
  });
});

Deno.test("every run of an incremental export is checked, or one of them", async () => {
  await withScene([`name: inc, format: csv, mode: incremental, cursor_column: id, ${LOCAL}`], async (scene) => {
    await scene.run();
    const first = (await readManifestFile(join(scene.folder, "out")))!;
    fill(scene.folder, ROWS + 1, ROWS + 5);
    await scene.run();
    const both = await scene.json();
    assert.deepEqual([both.code, both.report.exports[0]?.verification.rows], [0, ROWS + 5]);
    assert.equal(both.report.exports[0]?.verification.run_ids.length, 2);
    await Deno.remove(join(scene.folder, "out", first.parts[0]!.path));
    assert.deepEqual(kindsOf((await scene.json()).report), ["part_missing"]);
    const one = await scene.json("--run-id", first.run_id);
    assert.deepEqual([one.code, one.report.exports[0]?.verification.run_ids], [3, [first.run_id]]);
    const second = (await readManifestFile(join(scene.folder, "out")))!;
    const other = await scene.json("--run-id", second.run_id);
    assert.deepEqual([other.code, other.report.exports[0]?.verification.success_marker_consistent], [0, true]);
    const unknown = await scene.json("--run-id", "nobody");
    assert.deepEqual([unknown.code, unknown.report.errors.map((e) => e.code)], [1, ["RIVET_CLI_RUN_ID_UNKNOWN"]]);
  });
});

Deno.test("partitions are found where they lie, dates are filled in, and a shared folder is told apart", async () => {
  const partitioned =
    "name: p, format: csv, partition_by: day, partition_granularity: month, destination: {type: local, path: 'parts/day={partition}'}";
  const dated = "name: d, format: csv, destination: {type: local, path: 'days/{date}'}";
  const shared = ["a", "b"].map((name) => `name: ${name}, format: csv, destination: {type: local, path: shared}`);
  await withScene([partitioned, dated, ...shared], async (scene) => {
    await scene.run();
    const { code, report } = await scene.json();
    assert.equal(code, 0, JSON.stringify(report));
    const names = report.exports.map((e) => e.export_name);
    assert.deepEqual(names, ["p__2026-01", "p__2026-02", "d", "a", "b"]);
    assert.deepEqual(report.exports.map((e) => e.verification.passed), names.map(() => true));
    assert.deepEqual(kindsOf(report), []);
    const today = new Date().toISOString().slice(0, 10);
    const day = (await listNames(join(scene.folder, "days")))[0]!;
    assert.ok(day <= today);
    const past = await scene.json("-e", "d", "--date", "2020-02-29");
    assert.match(past.report.exports[0]!.resolved_prefix, /days\/2020-02-29$/);
    assert.equal((await scene.validate("-e", "d", "--date", "2020-02-30")).code, 1);
    await Deno.remove(await scene.part("parts/day=2026-02"));
    const damaged = await scene.json("-e", "p");
    assert.equal(damaged.code, 3);
    assert.deepEqual(damaged.report.exports.map((e) => e.verification.passed), [true, false]);
    const one = await scene.json("-e", "p", "--prefix", "parts/day=2026-01");
    assert.equal(one.code, 0, JSON.stringify(one.report));
    await Deno.remove(join(scene.folder, "parts/day=2026-02"), { recursive: true });
    const gone = await scene.json("-e", "p");
    assert.deepEqual([gone.code, kindsOf(gone.report)], [3, ["manifest_required_but_absent"]]);
  });
});

Deno.test("a report goes to a file, standard output as a destination is passed over, unknown names end with exit 1", async () => {
  await withScene(["name: s, format: csv, destination: {type: stdout}"], async (scene) => {
    const output = join(scene.folder, "reports/r.json");
    const { code, stdout } = await scene.validate("--format", "json", "-o", output);
    assert.deepEqual([code, stdout], [0, ""]);
    const report = REPORT.parse(JSON.parse(await Deno.readTextFile(output)));
    assert.deepEqual(report.warnings.map((w) => w.export_name), ["s"]);
    const both = await scene.validate("-o", output);
    assert.deepEqual(REPORT.parse(JSON.parse(await Deno.readTextFile(output))), report);
    assert.throws(() => JSON.parse(both.stdout), SyntaxError, "text on standard output");
    assert.ok(both.stdout.length > 0);
    const twice = await scene.validate("--json", "-o", output);
    assert.deepEqual(JSON.parse(twice.stdout), report);
    assert.match((await scene.validate("-e", "x")).stderr, /RIVET_CLI_EXPORT_UNKNOWN/);
    const help = await scene.validate("--help");
    assert.equal(help.code, 0);
    assert.match(help.stdout, /rivet validate -c rivet\.yaml -e orders --depth sample/);
  });
});

Deno.test("on S3 content is proven by the store's checksum without a download, and an absent bucket could not be verified", async () => {
  await using fake = startS3Fake({ buckets: ["bucket"], kms: true });
  Deno.env.set("RIVET_TEST_KEY", "k");
  await using folder = await temporaryFolder();
  fill(folder.path);
  const scene = new Scene(folder.path);
  const destination = (bucket: string) =>
    `destination: {type: s3, bucket: ${bucket}, prefix: 'p', region: us-east-1, endpoint: '${fake.url}', access_key_env: RIVET_TEST_KEY, secret_key_env: RIVET_TEST_KEY}`;
  await scene.write([`${PARQUET}, ${destination("bucket")}`]);
  await scene.run();
  const sample = await scene.json("--depth", "sample");
  assert.equal(sample.code, 0);
  assert.deepEqual(sample.report.exports[0]?.verification.parts_content_verified, 3);
  assert.equal(sample.report.exports[0]?.verification.parts_md5_verified, 0);
  const full = await scene.json();
  assert.deepEqual([full.code, full.report.exports[0]?.verification.parts_values_verified], [0, 3]);
  const [, part] = [...fake.buckets.get("bucket")!].find(([key]) => key.endsWith("_chunk1.parquet"))!;
  part.bytes[20]! ^= 1;
  // A store that rots keeps the checksum of what it was given: only reading the values shows it.
  assert.equal((await scene.json("--depth", "sample")).code, 0);
  const rotten = await scene.json();
  assert.equal(rotten.code, 3, JSON.stringify(rotten.report));
  await scene.write([`${PARQUET}, ${destination("nobodys")}`]);
  const absent = await scene.json();
  assert.equal(absent.code, 1);
  assert.match(absent.stderr, /RIVET_VALIDATE_UNVERIFIED/);
});

Deno.test("files of an interrupted run are one line with the command that finishes it; others are named up to a limit", async () => {
  const entry = "name: orders, format: csv, mode: incremental, cursor_column: id";
  await withScene([`${entry}, ${LOCAL}`], async (scene) => {
    const out = join(scene.folder, "out");
    await scene.run();
    const control = await Promise.all(
      (await listNames(out)).filter((name) => /manifest|_SUCCESS/.test(name))
        .map(async (name) => [name, await Deno.readFile(join(out, name))] as const),
    );
    {
      using db = new DatabaseSync(join(scene.folder, "shop.db"));
      const names = db.prepare("SELECT name FROM pragma_table_info('t') WHERE name <> 'id'").all().map((row) =>
        row["name"]
      );
      db.exec(`INSERT INTO t (id, ${names}) SELECT id + 1000, ${names} FROM t`);
    }
    await scene.run();
    // As if it had stopped before it published.
    const later = (await listNames(out)).filter((name) => name.startsWith("manifest-"))
      .filter((name) => !control.some(([known]) => known === name));
    assert.equal(later.length, 1);
    await Deno.remove(join(out, later[0]!));
    for (const [name, bytes] of control) await Deno.writeFile(join(out, name), bytes);
    const runId = later[0]!.slice("manifest-".length, -".json".length);
    const reopen = (id: string) => {
      using db = new DatabaseSync(join(scene.folder, ".rivet_state.db"));
      db.prepare("UPDATE chunk_run SET status = 'interrupted', resumable = 1 WHERE run_id = ?").run(id);
    };
    reopen(runId);
    for (let n = 0; n < 23; n++) await Deno.writeTextFile(join(out, `note${n}.txt`), "x");
    const text = (await scene.validate()).stdout;
    const told = text.split("\n").filter((line) => line.includes("warning: ") && line.includes(runId));
    assert.equal(told.length, 1, text);
    assert.match(
      told[0]!,
      /RUN_UNFINISHED\] 1 file of run '.*', which is not finished: `rivet run -c .* -e orders` finishes/,
    );
    assert.equal(text.match(/UNTRACKED_OBJECT/g)?.length, 20);
    assert.match(text, /warning: and 3 more that no manifest names/);
    const { code, report } = await scene.json();
    const { untracked_objects, passed } = report.exports[0]!.verification;
    assert.deepEqual([code, untracked_objects, passed], [0, 24, true]);
    // The very first run: no manifest speaks yet.
    for (const name of await listNames(out)) {
      if (/manifest|_SUCCESS|note/.test(name)) await Deno.remove(join(out, name));
    }
    await Promise.all(
      (await listNames(out)).filter((name) => !name.includes(runId.slice("orders_".length).replace(/[T.]/g, "_")))
        .map((name) => Deno.remove(join(out, name))),
    );
    {
      using db = new DatabaseSync(join(scene.folder, ".rivet_state.db"));
      db.prepare("UPDATE chunk_run SET status = 'failed' WHERE run_id <> ?").run(runId);
    }
    const first = await scene.json();
    const { legacy_run, failures } = first.report.exports[0]!.verification;
    assert.deepEqual([first.code, legacy_run, failures.map(({ kind }) => kind)], [0, false, ["run_unfinished"]]);
    const unknown = await scene.json("--run-id", "nobody");
    assert.deepEqual([unknown.code, unknown.report.errors.map((e) => e.code)], [1, ["RIVET_CLI_RUN_ID_UNKNOWN"]]);
  });
});
