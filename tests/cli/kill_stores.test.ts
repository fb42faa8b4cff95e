// kill -9 in the middle of an upload to each store, on the real process: the same command finishes the run, every part is whole, and
// nothing stays open.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { type Destination, openDestination } from "../../src/destination/mod.ts";
import { collect, collectKeys } from "../support/bodies.ts";
import { runCli, startCli } from "../support/cli.ts";
import { type CutProxy, startCutProxy } from "../support/cut_proxy.ts";
import { openBackends, type Place } from "../support/destinations.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { describePlace, startTokens } from "../support/store_config.ts";

const { backends, absent, close } = await openBackends();
Deno.test.afterAll(close);
for (const name of absent) Deno.test({ name: `kill -9 while uploading to ${name}`, ignore: true, fn() {} });

const ROWS = 60_000;

/** Text that does not compress: one file of some 24 MB, three blocks. */
async function prepare(folder: string, destination: string): Promise<void> {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
    INSERT INTO t SELECT i, hex(randomblob(200)) FROM n`);
  await Deno.writeTextFile(
    join(folder, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db, tuning: {profile: fast}}
exports:
  - {name: t, table: t, mode: full, format: csv, compression: none, destination: ${destination}}
`,
  );
}

interface ManifestPart {
  readonly path: string;
  readonly rows: number;
  readonly status: string;
  readonly content_md5: string;
}

async function assertOneCompleteSet(destination: Destination): Promise<void> {
  const text = await collect(await destination.get("manifest.json"));
  const manifest = JSON.parse(new TextDecoder().decode(text!)) as { parts: ManifestPart[]; row_count: number };
  const parts = manifest.parts.filter((part) => part.status === "committed");
  assert.equal(manifest.row_count, ROWS);
  const ids = new Set<string>();
  for (const part of parts) {
    const bytes = await collect(await destination.get(part.path));
    assert.equal(createHash("md5").update(bytes!).digest("base64"), part.content_md5);
    const lines = new TextDecoder().decode(bytes!).trimEnd().split("\n").slice(1);
    for (const line of lines) ids.add(line.slice(0, line.indexOf(",")));
  }
  assert.equal(ids.size, ROWS);
  const keys = await collectKeys(destination.list(""));
  const own = keys.filter((key) => key !== "_SUCCESS" && !key.startsWith("manifest"));
  assert.deepEqual(own, parts.map((part) => part.path).sort(), "foreign parts");
  assert.ok(keys.includes("_SUCCESS"));
}

/** Waits until the store has been sent so many bytes, or the process has ended. */
async function untilSent(proxy: CutProxy, bytes: number, child: Deno.ChildProcess): Promise<void> {
  let hasEnded = false;
  child.status.then(() => hasEnded = true);
  while (!hasEnded && proxy.passed.up < bytes) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function killAndFinish(place: Place): Promise<void> {
  await using folder = await temporaryFolder();
  await using proxy = startCutProxy(place.port!);
  await using _tokens = await startTokens(folder.path);
  const { yaml, env } = describePlace(place.through(proxy.port), folder.path);
  await prepare(folder.path, yaml);
  await using destination = await openDestination(place.location);
  const args = ["run", "-c", "rivet.yaml", "--progress", "none"];
  let killed = 0;
  for (const bytes of [1_000_000, 12_000_000, 24_000_000]) {
    proxy.set(null);
    const child = startCli(args, { cwd: folder.path, env });
    const stderr = new Response(child.stderr).text();
    await untilSent(proxy, bytes, child);
    try {
      child.kill("SIGKILL");
      killed++;
    } catch { /* it had ended */ }
    await child.status;
    await stderr;
    const again = await runCli(args, { cwd: folder.path, env });
    assert.equal(again.code, 0, again.stderr);
    await assertOneCompleteSet(destination);
    assert.equal(await place.openUploads() ?? 0, 0);
    assert.equal(await place.uncommitted?.() ?? 0, 0);
  }
  assert.ok(killed >= 2, `only ${killed} processes were killed in time`);
}

for (const backend of backends) {
  if (backend.name === "local" || backend.name === "s3 fake without checksums") continue;
  Deno.test(`kill -9 while uploading to ${backend.name}, then the same command: one complete set, nothing open`, async () => {
    await using place = await backend.open();
    await killAndFinish(place);
  });
}
