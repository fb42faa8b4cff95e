// `rivet doctor` through the real entry point: what it proves, what it leaves behind (nothing), and its exit codes.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli, startCli } from "../support/cli.ts";
import { toFolder } from "../support/config_file.ts";
import { parseDoctor, statuses } from "../support/doctor_schema.ts";
import { join, temporaryFolder, walk } from "../support/files.ts";
import { type FakeCall, startS3Fake } from "../support/s3_fake.ts";

const SECRET = "very-secret-value";

async function withShop(exports: readonly object[], body: (folder: string) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  }
  await writeConfig(folder.path, { type: "sqlite", path: "shop.db" }, exports);
  await body(folder.path);
}

function writeConfig(folder: string, source: object, exports: readonly object[]): Promise<void> {
  return Deno.writeTextFile(join(folder, "rivet.yaml"), JSON.stringify({ source, exports }));
}

async function doctor(folder: string, flags: readonly string[] = [], env: Record<string, string> = {}) {
  const result = await runCli(["doctor", "-c", "rivet.yaml", ...flags], { cwd: folder, env });
  assert.ok(!`${result.stdout}${result.stderr}`.includes(SECRET), "a secret was shown");
  return result;
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(walk(folder))).map((path) => path.slice(folder.length + 1)).sort();
}

const T = { table: "t", mode: "full" };
const toBucket = (url: string) => ({
  format: "csv",
  destination: {
    type: "s3",
    bucket: "bucket",
    prefix: "raw/{date}/{export}",
    region: "us-east-1",
    endpoint: url,
    access_key_env: "K",
    secret_key_env: "S",
  },
});
const KEYS = { K: "key", S: SECRET };

Deno.test("all is well: one line a check, exit 0, and no file or folder is left", async () => {
  const exports = [
    { name: "a", ...T, ...toFolder("deep/new/a") },
    { name: "b", ...T, ...toFolder("deep/new/a") },
    { name: "p", ...T, query: "SELECT id, '2026-01-01' AS d FROM t", table: undefined, ...toFolder("out/{date}") },
  ];
  await withShop(exports, async (folder) => {
    const text = await doctor(folder);
    assert.equal(text.code, 0, text.stderr);
    const lines = text.stdout.split("\n").filter((line) => line.startsWith("["));
    assert.deepEqual(lines.map((line) => line.slice(0, 6)), lines.map(() => "[OK]  "));
    assert.match(
      text.stdout,
      /^\[OK\] {3}destination of a, b — file:\/\/\/.*\/deep\/new\/a: wrote, read, listed and removed/m,
    );
    assert.match(text.stdout, /^Next|Next: rivet run/m);
    const report = parseDoctor((await doctor(folder, ["--json"])).stdout);
    assert.deepEqual(statuses(report), [
      "config: ok",
      "tls: ok",
      "source: ok",
      "privileges: ok",
      "destination of a, b: ok",
      "destination of p: ok",
      "state: ok",
    ]);
    assert.deepEqual(await namesIn(folder), ["rivet.yaml", "shop.db"]);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["rivet.yaml", "shop.db"]);
  });
});

Deno.test("a folder that holds files keeps them, and a partitioned place is proved above its partitions", async () => {
  const partitioned = {
    name: "p",
    query: "SELECT id, '2026-01-01' AS d FROM t",
    mode: "full",
    columns: { d: "date" },
    partition_by: "d",
    ...toFolder("lake/d={partition}/x"),
  };
  await withShop([partitioned], async (folder) => {
    await Deno.mkdir(join(folder, "lake"));
    await Deno.writeTextFile(join(folder, "lake", "mine"), "kept");
    const report = parseDoctor((await doctor(folder, ["--json"])).stdout);
    const [place] = report.checks.filter(({ name }) => name === "destination of p");
    assert.equal(place?.status, "ok", JSON.stringify(report));
    assert.match(place!.detail, /\/lake(\/)?: wrote/);
    assert.deepEqual(await namesIn(folder), ["lake/mine", "rivet.yaml", "shop.db"]);
  });
});

Deno.test("a config that cannot be read is a failed check with the place and the cure", async () => {
  await withShop([{ name: "a", tabel: "t", ...toFolder("out") }], async (folder) => {
    const { code, stdout, stderr } = await doctor(folder, ["--json", "--json-errors"]);
    assert.equal(code, 1);
    const report = parseDoctor(stdout);
    assert.deepEqual(statuses(report), ["config: fail"]);
    assert.equal(report.checks[0]!.code, "RIVET_CONFIG_YAML_INVALID");
    assert.match(report.checks[0]!.detail, /rivet\.yaml:1/);
    const error = JSON.parse(stderr.trim());
    assert.deepEqual([error.code, error.kind, error.exit_code], ["RIVET_CLI_PREFLIGHT_FAILED", "usage", 1]);
  });
});

Deno.test("every export that cannot be read is named, and the other checks go on", async () => {
  const exports = [
    { name: "a", ...T, ...toFolder("out/a") },
    { name: "gone", table: "nope", mode: "full", ...toFolder("out/gone") },
    { name: "odd", query: "SELECT nothing FROM t", mode: "full", ...toFolder("out/odd") },
  ];
  await withShop(exports, async (folder) => {
    const { code, stdout, stderr } = await doctor(folder, ["--json"]);
    assert.equal(code, 1);
    const report = parseDoctor(stdout);
    const failed = report.checks.filter(({ ok }) => !ok).map(({ name, code }) => [name, code]);
    assert.deepEqual(failed, [
      ["privileges of export 'gone'", "RIVET_SOURCE_TABLE_NOT_FOUND"],
      ["privileges of export 'odd'", "RIVET_SOURCE_QUERY_FAILED"],
    ]);
    assert.equal(report.checks.at(-1)!.name, "state");
    assert.match(stderr, /2 checks failed: privileges of export 'gone', privileges of export 'odd'/);
    assert.equal((await doctor(folder, ["-e", "a"])).code, 0);
  });
});

Deno.test("a place that is no folder, and a state that cannot be kept, fail by their own codes", async () => {
  await withShop([{ name: "a", ...T, ...toFolder("taken/a") }], async (folder) => {
    await Deno.writeTextFile(join(folder, "taken"), "a file");
    await Deno.writeTextFile(join(folder, ".rivet_state.db"), "x".repeat(5000));
    const { code, stdout } = await doctor(folder, ["--json"]);
    assert.equal(code, 1);
    const failed = parseDoctor(stdout).checks.filter(({ ok }) => !ok).map(({ name, code }) => [name, code]);
    assert.deepEqual(failed, [["destination of a", "RIVET_DEST_WRITE_FAILED"], ["state", "RIVET_STATE_FILE_CORRUPT"]]);
  });
});

Deno.test("a state of a newer version is refused and left as it is", async () => {
  await withShop([{ name: "a", ...T, ...toFolder("out") }], async (folder) => {
    assert.equal((await runCli(["run", "-c", "rivet.yaml"], { cwd: folder })).code, 0);
    const path = join(folder, ".rivet_state.db");
    const version = (sql: string) => {
      using db = new DatabaseSync(path);
      return db.prepare(sql).get();
    };
    const table = version("SELECT name FROM sqlite_master WHERE name LIKE '%version%' AND type = 'table'")!["name"];
    version(`UPDATE ${table} SET version = 99999 RETURNING version`);
    const { code, stdout } = await doctor(folder, ["--json"]);
    assert.equal(code, 1);
    const state = parseDoctor(stdout).checks.find(({ name }) => name === "state")!;
    assert.equal(state.code, "RIVET_STATE_SCHEMA_NEWER");
    assert.equal(version(`SELECT version FROM ${table}`)!["version"], 99999);
  });
});

Deno.test("a store is proved by a probe below the prefix, with what a run needs and no more, and the probe is gone", async () => {
  const calls: FakeCall[] = [];
  await using fake = startS3Fake({
    accounts: new Map([["key", { secret: SECRET }]]),
    fault: (call) => void calls.push(call) as undefined,
  });
  await withShop([{ name: "a", ...T, ...toBucket(fake.url) }], async (folder) => {
    const { code, stdout } = await doctor(folder, ["--json"], KEYS);
    assert.equal(code, 0, stdout);
    const place = parseDoctor(stdout).checks.find(({ name }) => name === "destination of a")!;
    assert.match(place.detail, /^s3:\/\/bucket\/raw\/\d{4}-\d\d-\d\d\/a\/: wrote, read, listed and removed a probe/);
    assert.equal(fake.buckets.get("bucket")!.size, 0);
    const put = calls.find(({ operation }) => operation === "PUT object")!;
    assert.match(put.key, /^raw\/\d{4}-\d\d-\d\d\/a\/\.rivet_doctor_probe_[0-9a-f]{8}$/);
    for (const operation of ["GET object", "GET list", "DELETE object"]) {
      assert.ok(calls.some((call) => call.operation === operation), operation);
    }
  });
});

Deno.test("without the right to delete the probe is named, so that it can be removed by hand", async () => {
  await using fake = startS3Fake({
    fault: ({ operation }) =>
      operation === "DELETE object" ? { kind: "refuse", status: 403, code: "AccessDenied" } : undefined,
  });
  await withShop([{ name: "a", ...T, ...toBucket(fake.url) }], async (folder) => {
    const { code, stdout } = await doctor(folder, ["--json"], KEYS);
    assert.equal(code, 1);
    const place = parseDoctor(stdout).checks.find(({ ok }) => !ok)!;
    const [left] = fake.buckets.get("bucket")!.keys();
    assert.ok(place.hint!.includes(left!.slice(left!.lastIndexOf("/") + 1)), JSON.stringify(place));
    assert.match(place.detail, /could not be removed/);
  });
});

Deno.test("keys that the store refuses, and keys that are not set, are the destination's failures", async () => {
  await using fake = startS3Fake({ accounts: new Map([["key", { secret: "another" }]]) });
  await withShop([{ name: "a", ...T, ...toBucket(fake.url) }], async (folder) => {
    const codeOf = async (env: Record<string, string>) => {
      const { code, stdout } = await doctor(folder, ["--json"], env);
      assert.equal(code, 1);
      return parseDoctor(stdout).checks.find(({ ok }) => !ok)!.code;
    };
    assert.equal(await codeOf(KEYS), "RIVET_DEST_CREDENTIALS_INVALID");
    assert.equal(await codeOf({}), "RIVET_CONFIG_SECRET_UNSET");
  });
});

Deno.test("a source that is not there fails as something that may pass: exit 2, and destinations are still proved", async () => {
  await withShop([], async (folder) => {
    const source = { type: "postgres", host: "127.0.0.1", port: 1, user: "u", password_env: "PW", database: "d" };
    await writeConfig(folder, source, [{ name: "a", ...T, ...toFolder("out") }]);
    const { code, stdout, stderr } = await doctor(folder, ["--json"], { PW: SECRET });
    assert.equal(code, 2, stderr);
    assert.match(stderr, /RIVET_CLI_PREFLIGHT_UNVERIFIED/);
    assert.deepEqual(statuses(parseDoctor(stdout)), [
      "config: ok",
      "tls: ok",
      "source: fail",
      "destination of a: ok",
      "state: ok",
    ]);
  });
});

Deno.test("a remote source without TLS fails before anything is sent", async () => {
  await withShop([], async (folder) => {
    const source = { type: "mysql", host: "db.example", user: "u", password: SECRET, database: "d" };
    await writeConfig(folder, source, [{ name: "a", ...T, ...toFolder("out") }]);
    const { code, stdout } = await doctor(folder, ["--json"]);
    assert.equal(code, 1);
    const report = parseDoctor(stdout);
    assert.deepEqual(statuses(report), ["config: warn", "tls: fail", "destination of a: ok", "state: ok"]);
    assert.match(report.checks[1]!.hint!, /verify-full/);
  });
});

Deno.test("Ctrl-C in the middle of a probe ends the command and removes the probe", async () => {
  await using fake = startS3Fake({
    fault: ({ operation }) => operation === "GET object" ? { kind: "hang" } : undefined,
  });
  await withShop([{ name: "a", ...T, ...toBucket(fake.url) }], async (folder) => {
    const child = startCli(["doctor", "-c", "rivet.yaml"], { cwd: folder, env: KEYS });
    const stderr = new Response(child.stderr).text();
    let isOver = false;
    child.status.then(() => isOver = true);
    while (!fake.calls.some(({ operation }) => operation === "GET object")) {
      if (isOver) assert.fail(await stderr);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(fake.buckets.get("bucket")!.size, 1);
    child.kill("SIGINT");
    const { code } = await child.status;
    assert.equal(code, 2, await stderr);
    assert.match(await stderr, /RIVET_RUN_INTERRUPTED/);
    assert.equal(fake.buckets.get("bucket")!.size, 0);
  });
});
