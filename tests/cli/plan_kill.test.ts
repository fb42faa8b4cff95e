// kill -9 while a plan is applied: applying it again finishes the run it began, under the same run id, and then there is nothing left to do.

import assert from "node:assert/strict";
import { startCli } from "../support/cli.ts";
import { openShop, type Shop, summaries } from "../support/plans.ts";
import { findUntracked, listNames, readThroughAllManifests, readThroughManifest } from "../support/reader.ts";

const ROWS = 60_000;
const APPLY = ["apply", "plan.json", "--json", "--progress", "none"];

/** A chunk takes longer than a look at the folder: two pauses. */
async function prepare(throttleMs: number): Promise<Shop> {
  const shop = await openShop(
    `  - {name: t, table: t, mode: chunked, chunk_column: id, chunk_size: 6000, tuning: {batch_size: 2500, throttle_ms: ${throttleMs}}, format: parquet, destination: {type: local, path: out/t}}
  - {name: inc, table: t, mode: incremental, cursor_column: id, format: parquet, destination: {type: local, path: out/inc}}
`,
  );
  shop.sql(`CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
    INSERT INTO t SELECT i, hex(i * 2654435761) || ' body of row ' || i FROM n`);
  return shop;
}

async function plan(shop: Shop): Promise<void> {
  const { code, stderr } = await shop.rivet("plan", "-c", "rivet.yaml", "-o", "plan.json");
  assert.equal(code, 0, stderr);
}

/** Starts `apply` and kills it when so many files lie in the folder; tells whether it was still at work. */
async function killAt(shop: Shop, folder: string, files: number): Promise<boolean> {
  const child = startCli(APPLY, { cwd: shop.path });
  const stderr = new Response(child.stderr).text();
  let isRunning = true;
  const ended = child.status.then(() => isRunning = false);
  while (isRunning && (await listNames(folder).catch(() => [])).length < files) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const wasRunning = isRunning;
  try {
    child.kill("SIGKILL");
  } catch { /* it had ended */ }
  await ended;
  await stderr;
  return wasRunning;
}

Deno.test("a killed apply is finished by applying the plan again, to the row", async () => {
  let killed = 0;
  for (const files of [1, 4, 8, 10, 11, 12, 13]) {
    await using shop = await prepare(20);
    await plan(shop);
    const out = `${shop.path}/out/t`;
    if (await killAt(shop, out, files)) killed++;
    const again = await shop.rivet(...APPLY);
    assert.equal(again.code, 0, again.stderr);
    const ids = (await readThroughManifest(out)).map((row) => Number(row["id"])).sort((a, b) => a - b);
    assert.equal(ids.length, ROWS);
    assert.ok(ids.every((id, i) => id === i + 1));
    assert.deepEqual(await findUntracked(out), []);
    const names = await listNames(out);
    assert.equal(names.filter((name) => name.startsWith("manifest-")).length, 1);
    const increments = (await readThroughAllManifests(`${shop.path}/out/inc`)).map((row) => Number(row["id"]));
    assert.equal(new Set(increments).size, ROWS);
    assert.equal(increments.length, ROWS);
    const last = summaries((await shop.rivet(...APPLY)).stdout);
    assert.equal(last["t"]!["status"], "already_applied");
    assert.equal(last["inc"]!["rows"], 0);
  }
  assert.ok(killed >= 3, `only ${killed} of the runs were killed at work`);
});

Deno.test("a plain run finishes what an apply began, and then the plan counts as applied", async () => {
  await using shop = await prepare(200);
  await plan(shop);
  assert.ok(await killAt(shop, `${shop.path}/out/t`, 3));
  const run = await shop.rivet("run", "-c", "rivet.yaml", "-e", "t", "--json");
  assert.equal(run.code, 0, run.stderr);
  assert.equal(summaries(run.stdout)["t"]!["resumed"], true);
  const applied = await shop.rivet(...APPLY);
  assert.equal(applied.code, 0, applied.stderr);
  assert.equal(summaries(applied.stdout)["t"]!["status"], "already_applied");
});
