// `verify: content` on files that were uploaded in blocks: met on every store by what the store vouches for, and missed by one flipped bit.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { CAPABILITIES, type Destination, formatCapabilities, openDestination } from "../../src/destination/mod.ts";
import { bodyOf, collect, collectKeys } from "../support/bodies.ts";
import { runCli } from "../support/cli.ts";
import { openBackends, type Place } from "../support/destinations.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { describePlace, startTokens } from "../support/store_config.ts";

const { backends, absent, close } = await openBackends();
Deno.test.afterAll(close);
for (const name of absent) Deno.test({ name: `verify: content on ${name}`, ignore: true, fn() {} });

/** Text that does not compress: one file of some 7 MB, two blocks. */
async function prepare(folder: string, destination: string): Promise<void> {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 7000)
    INSERT INTO t SELECT i, hex(randomblob(500)) FROM n`);
  await Deno.writeTextFile(
    join(folder, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}
exports:
  - {name: t, table: t, mode: full, format: csv, compression: none, verify: content, destination: ${destination}}
`,
  );
}

async function flipOneBit(destination: Destination): Promise<void> {
  const key = (await collectKeys(destination.list(""))).find((key) => key.endsWith(".csv"))!;
  const bytes = (await collect(await destination.get(key)))!;
  assert.ok(bytes.length > 6 << 20, "the file was small enough for one request");
  bytes[5_500_000]! ^= 1;
  await destination.put(key, bodyOf(bytes, 1 << 20), { contentType: "text/csv", signal: new AbortController().signal });
}

async function checkContent(place: Place): Promise<void> {
  await using folder = await temporaryFolder();
  await using _tokens = await startTokens(folder.path);
  const { yaml, env } = describePlace(place.location, folder.path);
  await prepare(folder.path, yaml);
  const cli = (...args: string[]) => runCli(args, { cwd: folder.path, env });
  const run = await cli("run", "-c", "rivet.yaml", "--validate");
  assert.equal(run.code, 0, run.stderr);
  for (const depth of ["sample", "full"]) {
    const sound = await cli("validate", "-c", "rivet.yaml", "--depth", depth);
    assert.equal(sound.code, 0, sound.stderr);
    assert.match(sound.stdout + sound.stderr, /1 verified \(1 by content, 0 by size only/);
  }
  const journal = await cli("journal", "-c", "rivet.yaml");
  assert.ok(journal.stdout.includes(`capabilities=${formatCapabilities(CAPABILITIES[place.location.kind])}`));
  await using destination = await openDestination(place.location);
  await flipOneBit(destination);
  for (const depth of ["sample", "full"]) {
    const flipped = await cli("validate", "-c", "rivet.yaml", "--depth", depth);
    assert.equal(flipped.code, 3, flipped.stderr);
    assert.match(flipped.stdout + flipped.stderr, /\[RIVET_VERIFY_PART_CHECKSUM_MISMATCH\]/);
  }
}

for (const backend of backends) {
  if (backend.name === "local") continue;
  Deno.test(`verify: content on ${backend.name} holds for a file of many blocks, and fails when a bit of it is changed`, async () => {
    await using place = await backend.open();
    await checkContent(place);
  });
}
