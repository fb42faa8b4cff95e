// `rivet reconcile` and `rivet repair` through the real entry point: what they print, what they write, how they end.

import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { readManifestFile } from "../support/reader.ts";
import { changeShop, MODES, prepareShop } from "../support/shop.ts";

const RANGE = MODES.find(({ name }) => name === "chunked by range")!;

async function withExport(body: (folder: string, config: string[]) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  const path = await prepareShop(folder.path, RANGE);
  const config = ["-c", path, "-e", "t"];
  assert.equal((await runCli(["run", ...config])).code, 0);
  await body(folder.path, config);
}

Deno.test("the way of a pilot: reconcile, a change, a report, a plan, a repair, verified", async () => {
  await withExport(async (folder, config) => {
    const clean = await runCli(["reconcile", ...config]);
    assert.equal(clean.code, 0, clean.stderr);
    assert.match(clean.stdout, /^Export: +t\nRun: +t_\d{8}T/);
    assert.match(clean.stdout, /Partitions: 4 \(4 match, 0 mismatch, 0 unknown\)/);
    assert.match(clean.stdout, /Status: +match, verified\n$/);
    changeShop(folder, "UPDATE t SET body = 'other' WHERE id = 31; DELETE FROM t WHERE id = 7");

    const report = join(folder, "reports", "reconcile.json");
    const dirty = await runCli(["reconcile", ...config, "--format", "json", "-o", report, "--keys"]);
    assert.deepEqual([dirty.code, dirty.stdout], [3, ""]);
    const json = JSON.parse(await Deno.readTextFile(report));
    assert.deepEqual([json.summary.mismatches, json.summary.unknown, json.summary.matches], [2, 0, 2]);
    assert.equal(json.partitions[1].identifier, "chunk 1 [26..51]");
    assert.deepEqual(json.partitions[1].keys.changed, ["31"]);
    assert.deepEqual(json.partitions[0].keys.extra, ["7"]);

    const before = await Deno.readTextFile(join(folder, "out", "manifest.json"));
    const plan = await runCli(["repair", ...config, "--report", report]);
    assert.equal(plan.code, 0, plan.stderr);
    assert.match(plan.stdout, /read again: t, chunk 1 \[26\.\.51\]: mismatch: source 25, exported 25, columns body/);
    assert.match(plan.stdout, /add --execute/);
    assert.equal(await Deno.readTextFile(join(folder, "out", "manifest.json")), before);

    const done = await runCli(["repair", ...config, "--report", report, "--execute", "--json"]);
    assert.equal(done.code, 0, done.stderr);
    const result = JSON.parse(done.stdout);
    assert.deepEqual(result.summary, {
      planned: 2,
      executed: 2,
      skipped: 0,
      failed: 0,
      rows_written: 49,
      remaining: 0,
    });
    assert.equal(result.results[0][0].chunk_index, 0);
    assert.deepEqual(result.results[0][1], { executed: { rows_written: 24 } });
    assert.equal((await runCli(["validate", ...config])).code, 0);
    const verified = await runCli(["reconcile", ...config, "--json"]);
    assert.deepEqual([verified.code, JSON.parse(verified.stdout).verified], [0, true]);
    const progression = await runCli(["state", "progression", "-c", config[1]!]);
    assert.match(progression.stdout, /t +chunked +chunk #2 .* chunked +chunk #2$/m);
  });
});

Deno.test("verified is the last committed run, or it says which is not: after a newer run, a mismatch and a reset", async () => {
  await withExport(async (folder, config) => {
    const verified = async () => {
      const { stdout } = await runCli(["state", "progression", "-c", config[1]!]);
      return stdout.trim().split("\n")[1]?.split(/\s{2,}/).slice(4);
    };
    const reconcile = (code: number) => runCli(["reconcile", ...config]).then((done) => assert.equal(done.code, code));
    const run = () => runCli(["run", "-c", config[1]!]).then((done) => assert.equal(done.code, 0, done.stderr));
    await reconcile(0);
    assert.deepEqual(await verified(), ["chunked", "chunk #2"]);
    await run();
    const [mode, text] = (await verified())!;
    assert.equal(mode, "chunked");
    assert.match(text!, /^not yet \(chunk #2 of an earlier run, \d{4}-\d\d-\d\d .* UTC\)$/);
    await reconcile(0);
    assert.deepEqual(await verified(), ["chunked", "chunk #2"]);
    changeShop(folder, "UPDATE t SET body = 'another' WHERE id = 31");
    await reconcile(3);
    assert.deepEqual(await verified(), ["-", "-"], "a mismatch withdraws it");
    await run();
    await reconcile(0);
    assert.equal((await runCli(["state", "reset", ...config])).code, 0);
    assert.deepEqual(await verified(), undefined, "nothing is left of it");
  });
});

Deno.test("a report of validate names the files, and repair reads their chunks again", async () => {
  await withExport(async (folder, config) => {
    const out = join(folder, "out");
    const manifest = (await readManifestFile(out))!;
    await Deno.remove(join(out, manifest.parts[2]!.path));
    await Deno.remove(join(out, "_SUCCESS"));
    const report = join(folder, "validate.json");
    const shown = await runCli(["validate", ...config, "-o", report]);
    assert.equal(shown.code, 3);
    assert.match(shown.stdout, /missing/);
    const plan = JSON.parse((await runCli(["repair", ...config, "--report", report, "--json"])).stdout);
    assert.deepEqual(plan.actions.map((action: { chunk_id: string }) => action.chunk_id), ["c00002"]);
    assert.equal((await runCli(["repair", ...config, "--report", report, "--execute"])).code, 0);
    const valid = await runCli(["validate", ...config, "--json"]);
    assert.equal(valid.code, 0, valid.stdout);
    assert.equal(JSON.parse(valid.stdout).exports[0].verification.success_marker_consistent, true);
  });
});

Deno.test("what cannot be asked is refused with a code and a cure, and leaves nothing behind", async () => {
  await using folder = await temporaryFolder();
  const path = await prepareShop(folder.path, RANGE);
  const config = ["-c", path, "-e", "t"];
  const cases: [string[], RegExp, number][] = [
    [["reconcile", ...config], /RIVET_STATE_CHUNK_RUN_MISSING[\s\S]*rivet run -c/, 1],
    [["repair", ...config], /RIVET_STATE_CHUNK_RUN_MISSING/, 1],
    [["repair", ...config, "--report", join(folder.path, "none.json")], /RIVET_CLI_INPUT_UNREADABLE/, 1],
    [
      ["repair", ...config, "--report", path],
      /RIVET_CLI_REPORT_INVALID[\s\S]*rivet reconcile -c .* -e t -o reconcile\.json/,
      1,
    ],
    [["reconcile", "-c", path, "-e", "u"], /RIVET_CLI_EXPORT_UNKNOWN/, 1],
    [["reconcile", ...config, "--depth", "count", "--keys"], /RIVET_CLI_OPTION_UNSUPPORTED/, 1],
  ];
  for (const [args, expected, code] of cases) {
    const result = await runCli(args);
    assert.match(result.stderr, expected, args.join(" "));
    assert.equal(result.code, code, args.join(" "));
  }
  const names = [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort();
  assert.deepEqual(names, ["rivet.yaml", "shop.db"]);
});

Deno.test("a repair that cannot reach its source says so, and what remains", async () => {
  await withExport(async (folder, config) => {
    changeShop(folder, "DELETE FROM t WHERE id = 7");
    const report = join(folder, "r.json");
    assert.equal((await runCli(["reconcile", ...config, "-o", report])).code, 3);
    await Deno.rename(join(folder, "shop.db"), join(folder, "gone.db"));
    const failed = await runCli(["repair", ...config, "--report", report, "--execute", "--json"]);
    assert.notEqual(failed.code, 0);
    assert.equal(JSON.parse(failed.stdout).summary.remaining, 1);
    await Deno.rename(join(folder, "gone.db"), join(folder, "shop.db"));
    assert.equal((await runCli(["repair", ...config, "--report", report, "--execute"])).code, 0);
    assert.equal((await runCli(["reconcile", ...config])).code, 0);
  });
});
