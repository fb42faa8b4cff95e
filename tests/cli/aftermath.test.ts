// What follows a run: reports beside the config, and notifications. Neither changes how the run ended.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { startReceiver } from "../support/receiver.ts";

const EXPORT = { mode: "full", format: "parquet", destination: { type: "local", path: "out/{export}" } };

async function withShop(
  more: object,
  body: (folder: string, shop: DatabaseSync) => Promise<void>,
  exports: readonly object[] = [{ name: "t", table: "t", ...EXPORT }],
): Promise<void> {
  await using folder = await temporaryFolder();
  using shop = new DatabaseSync(join(folder.path, "shop.db"));
  shop.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
  const config = { source: { type: "sqlite", path: "shop.db" }, exports, ...more };
  await Deno.writeTextFile(join(folder.path, "rivet.yaml"), JSON.stringify(config));
  await body(folder.path, shop);
}

async function runsIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(join(folder, ".rivet/runs")))).map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

Deno.test("a run leaves its report beside the config, as JSON and as text", async () => {
  await withShop({}, async (folder) => {
    const { code, stdout, stderr } = await runCli(["run", "-c", "rivet.yaml", "--validate", "--reconcile", "--json"], {
      cwd: folder,
    });
    assert.equal(code, 0, stderr);
    const runId = JSON.parse(stdout).per_export[0].run_id as string;
    assert.deepEqual(await runsIn(folder), [runId]);
    const at = join(folder, ".rivet/runs", runId);
    assert.match(stderr, new RegExp(`^report: .*/${runId}/summary\\.md$`, "m"));
    const report = JSON.parse(await Deno.readTextFile(join(at, "summary.json")));
    assert.equal(report.run_id, runId);
    assert.deepEqual(
      [report.export_name, report.status, report.source_engine, report.destination_kind, report.total_rows],
      ["t", "success", "sqlite", "local", 2],
    );
    assert.deepEqual(report.validation, { passed: true });
    assert.deepEqual(report.reconciliation, { source_count: 2, exported_rows: 2, matched: true });
    const text = await Deno.readTextFile(join(at, "summary.md"));
    assert.match(text, new RegExp(`^# Run ${runId}\n`));
    for (
      const line of [
        "- status: success",
        "- rows: 2",
        "- validated: pass",
        "- reconciled: MATCH (exported 2, source 2)",
      ]
    ) {
      assert.ok(text.includes(`${line}\n`), `${line} is missing in ${text}`);
    }
    assert.deepEqual((await Array.fromAsync(Deno.readDir(at))).map(({ name }) => name).sort(), [
      "summary.json",
      "summary.md",
    ]);
  });
});

Deno.test("a run that stops after some chunks says everywhere what they come to", async () => {
  await using receiver = startReceiver();
  const notifications = { webhook: { webhook_url: `${receiver.url}/hook`, on: ["failure"] } };
  const chunked = { ...EXPORT, name: "t", table: "t", mode: "chunked", chunk_column: "id", chunk_size: 10 };
  await withShop({ notifications }, async (folder, shop) => {
    shop.exec("DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)");
    shop.exec(`WITH RECURSIVE ids(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 40)
      INSERT INTO t SELECT id, CASE WHEN id = 25 THEN 'not a number' ELSE id END FROM ids`);
    const { code, stdout, stderr } = await runCli(["run", "-c", "rivet.yaml", "--json"], { cwd: folder });
    assert.notEqual(code, 0);
    assert.match(stdout, /per_export/, stderr);
    const [summary] = JSON.parse(stdout).per_export;
    const { bytes, slices_done: done } = summary;
    assert.ok(bytes > 0, stdout);
    // The two before the one that fails, and those that were claimed with it.
    assert.ok(done >= 2 && done <= 4, stdout);
    const rows = 10 * done;
    assert.deepEqual([summary.slices, summary.rows, summary.files], [5, rows, done], stderr);
    assert.match(stderr, new RegExp(`committed: +${done} of 5 chunks\\n +rows: +${rows}\\n +files: +${done}\\n`));
    const metrics = await runCli(["metrics", "-c", "rivet.yaml", "--json"], { cwd: folder });
    const [metric] = JSON.parse(metrics.stdout);
    assert.deepEqual(
      [metric.total_rows, metric.files_produced, metric.files_committed, metric.bytes_written],
      [rows, done, done, bytes],
    );
    assert.deepEqual([metric.chunks, metric.chunks_done], [5, done]);
    const at = join(folder, ".rivet/runs", summary.run_id);
    const report = JSON.parse(await Deno.readTextFile(join(at, "summary.json")));
    assert.deepEqual([report.total_rows, report.files_produced, report.bytes_written], [rows, done, bytes]);
    assert.deepEqual([report.chunks, report.chunks_done], [5, done]);
    const text = await Deno.readTextFile(join(at, "summary.md"));
    assert.ok(text.includes(`- chunks committed: ${done} of 5\n- rows: ${rows}\n`), text);
    assert.deepEqual(receiver.received.map(({ body }) => [body.total_rows, body.chunks_done]), [[rows, done]]);
    shop.exec("UPDATE t SET n = 25 WHERE id = 25");
    const again = await runCli(["run", "-c", "rivet.yaml", "--json"], { cwd: folder });
    const [whole] = JSON.parse(again.stdout).per_export;
    assert.deepEqual([whole.slices, whole.slices_done, whole.rows], [5, 5, 40], again.stderr);
    assert.doesNotMatch(again.stderr, /committed:/);
  }, [chunked]);
});

Deno.test("a run that was refused, and a stream, leave nothing behind", async () => {
  const exports = [{ name: "missing", table: "missing", ...EXPORT }];
  await withShop({}, async (folder) => {
    const { code } = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder });
    assert.notEqual(code, 0);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["rivet.yaml", "shop.db"]);
  }, exports);
  await withShop({}, async (folder) => {
    assert.equal((await runCli(["run", "-c", "rivet.yaml"], { cwd: folder })).code, 0);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["rivet.yaml", "shop.db"]);
  }, [{ name: "s", table: "t", mode: "full", format: "csv", destination: { type: "stdout" } }]);
});

Deno.test("a report that cannot be written is a warning", async () => {
  await withShop({}, async (folder) => {
    await Deno.writeTextFile(join(folder, ".rivet"), "a file stands here");
    const { code, stderr } = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^warning: the run's report cannot be written: /m);
  });
});

Deno.test("those who asked are told of failures, changes and warnings; the exit code stays", async () => {
  await using receiver = startReceiver();
  const hook = (path: string, on: string[]) => ({ webhook_url_env: `HOOK_${path}`, on });
  const env = { HOOK_S: `${receiver.url}/s`, HOOK_W: `${receiver.url}/w` };
  const notifications = { slack: hook("S", ["failure"]), webhook: hook("W", ["failure", "schema_change"]) };
  const exports = [
    { name: "t", table: "t", ...EXPORT },
    { name: "gone", table: "gone", ...EXPORT },
  ];
  await withShop({ notifications }, async (folder, shop) => {
    const first = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder, env });
    assert.notEqual(first.code, 0);
    const told = () => receiver.received.splice(0).map(({ path, body }) => [path, body] as const);
    const [messages, paths] = [Object.fromEntries(receiver.received.map(({ path, body }) => [path, body])), told()];
    assert.equal(paths.length, 2);
    assert.match(messages["/s"].attachments[0].text, /^gone \| failed \| 0 rows \| .*\n\[RIVET_/);
    assert.deepEqual([messages["/w"].export_name, messages["/w"].triggers, messages["/w"].run_id], [
      "gone",
      ["failure"],
      null,
    ]);

    shop.exec("ALTER TABLE t ADD COLUMN note TEXT");
    const second = await runCli(["run", "-c", "rivet.yaml", "-e", "t"], { cwd: folder, env });
    assert.equal(second.code, 0, second.stderr);
    const [changed, ...others] = told();
    assert.deepEqual(others, []);
    // The drift is a warning too, which nobody asked to hear of.
    assert.deepEqual([changed![0], changed![1].triggers], ["/w", ["schema_change", "degraded"]]);
    assert.deepEqual(changed![1].schema_changes, [{ added: ["note"], removed: [], type_changed: [] }]);

    const quiet = await runCli(["--no-notify", "run", "-c", "rivet.yaml"], { cwd: folder, env });
    assert.equal(quiet.code, first.code);
    assert.deepEqual(told(), []);
  }, exports);
});

Deno.test("a source that cannot be reached is told as well", async () => {
  await using receiver = startReceiver();
  const notifications = { webhook: { webhook_url: `${receiver.url}/hook` } };
  const source = { type: "postgres", host: "127.0.0.1", port: 1, user: "u", password_env: "PW", database: "d" };
  await withShop({ notifications, source }, async (folder) => {
    const { code } = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder, env: { PW: "not-to-be-seen" } });
    assert.equal(code, 2);
    const [message, ...others] = receiver.received;
    assert.deepEqual(others, []);
    assert.equal(message!.body.error.code, "RIVET_SOURCE_CONNECT_FAILED");
    assert.ok(!JSON.stringify(message!.body).includes("not-to-be-seen"));
  });
});

Deno.test("a hook that fails is a warning; its URL is in no output and no file", async () => {
  await using receiver = startReceiver(() => new Response("", { status: 500 }));
  const secret = "T0AB/B0CD/hush-hush-hush";
  const notifications = { slack: { webhook_url_env: "HOOK", on: ["degraded", "failure"] } };
  const exports = [{ name: "gone", table: "gone", ...EXPORT }, { name: "t", table: "t", ...EXPORT }];
  await withShop({ notifications }, async (folder) => {
    const plain = await runCli(["run", "-c", "rivet.yaml", "--no-notify"], { cwd: folder });
    for (const url of [`${receiver.url}/services/${secret}`, `http://127.0.0.1:1/services/${secret}`, secret]) {
      const env = { HOOK: url };
      for (const more of [[], ["--json"], ["--progress", "json"], ["--json-errors"]]) {
        const { code, stdout, stderr } = await runCli(["run", "-c", "rivet.yaml", ...more], { cwd: folder, env });
        assert.equal(code, plain.code);
        assert.match(
          stderr,
          more[0] === "--json-errors" ? /"`notifications\.slack`: / : /warning: `notifications\.slack`: /,
        );
        assert.ok(!`${stdout}${stderr}`.includes("hush-hush"), stderr);
      }
    }
    const grep = await new Deno.Command("grep", { args: ["-r", "hush-hush", folder], stdout: "piped" }).output();
    assert.equal(new TextDecoder().decode(grep.stdout), "");
  }, exports);
});
