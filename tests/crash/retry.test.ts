// What is tried again and what is not: by the error's own class, within the attempts of a chunk, on a connection made anew.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type ErrorCode, RivetError } from "../../src/errors.ts";
import type { RunEvent } from "../../src/report/mod.ts";
import { runEngine } from "../support/engine.ts";
import { Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { findUntracked, readThroughManifest } from "../support/reader.ts";

type Thrown = () => Error;

/** Throws at chosen effects, each time they come, as often as told. */
class Outages extends Faults {
  left: number;
  opened = 0;

  constructor(
    private readonly effect: string,
    times: number,
    private readonly thrown: Thrown,
    private readonly after = 0,
  ) {
    super(0, "fail");
    this.left = times;
  }

  override point(name: string): void {
    if (name === "source.open") this.opened++;
    if (name !== this.effect || this.opened <= this.after || this.left === 0) return;
    this.left--;
    throw this.thrown();
  }
}

const lost: Thrown = () =>
  new RivetError("RIVET_SOURCE_CONNECTION_LOST", "The connection broke", { retry: "reconnect" });
const deadlock: Thrown = () => new RivetError("RIVET_SOURCE_QUERY_FAILED", "Deadlock", { retry: "same_connection" });
const wrong: Thrown = () => new RivetError("RIVET_SOURCE_QUERY_FAILED", "No such column");
const unknown: Thrown = () => new Error("connection reset by peer, timeout, try again");
const upload: Thrown = () => new RivetError("RIVET_DEST_WRITE_FAILED", "503", { retry: "destination" });
const refused: Thrown = () =>
  new RivetError("RIVET_SOURCE_CONNECT_FAILED", "Connection refused", { retry: "reconnect" });

interface Outcome {
  readonly code: ErrorCode | null;
  readonly retries: number;
  readonly opened: number;
  readonly rows: number;
  readonly warnings: number;
}

/** A table of so many rows, and the config that exports it in chunks. */
async function prepare(folder: string, rows: number, chunkSize: number, tuning = ""): Promise<string> {
  {
    using db = new DatabaseSync(join(folder, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL)");
    for (let id = 1; id <= rows; id++) db.prepare("INSERT INTO t VALUES (?)").run(id);
  }
  const configPath = join(folder, "rivet.yaml");
  await Deno.writeTextFile(
    configPath,
    `source: {type: sqlite, path: shop.db${tuning}}
exports:
  - {name: t, table: t, mode: chunked, chunk_column: id, chunk_size: ${chunkSize}, format: csv, compression: none, destination: {type: local, path: out}}
`,
  );
  return configPath;
}

async function run(faults: Outages, maxRetries = 3, chunkSize = 10): Promise<Outcome> {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepare(folder.path, 30, chunkSize, `, tuning: {profile: fast, max_retries: ${maxRetries}}`);
  const events: RunEvent[] = [];
  const [summary] = (await runEngine({ configPath, faults, onEvent: (event) => events.push(event) })).per_export;
  const out = join(folder.path, "out");
  const rows = (await readThroughManifest(out)).length;
  if (summary!.status === "success") assert.deepEqual(await findUntracked(out), []);
  return {
    code: (summary!.error?.code ?? null) as ErrorCode | null,
    retries: summary!.retries,
    opened: faults.opened,
    rows,
    warnings: events.filter((event) => event.kind === "warning" && event.context === "retry").length,
  };
}

/** Opened without any fault: to plan, and for one lane. */
const OPENED = 2;

Deno.test("a lost connection is made anew, and only the chunk that it was reading is read again", async () => {
  assert.deepEqual(await run(new Outages("source.read before", 2, lost, 1)), {
    code: null,
    retries: 2,
    opened: OPENED + 2,
    rows: 30,
    warnings: 0,
  });
});

Deno.test("an upload that fails is tried again on the same connection", async () => {
  const { code, retries, opened, rows } = await run(new Outages("destination.put before", 2, upload, 1));
  assert.deepEqual([code, retries, opened, rows], [null, 2, OPENED, 30]);
});

Deno.test("a deadlock is tried again", async () => {
  const { code, retries, rows } = await run(new Outages("source.read before", 1, deadlock, 1));
  assert.deepEqual([code, retries, rows], [null, 1, 30]);
});

Deno.test("a mistake is not tried again, and neither is an error that nobody knows, whatever it says", async () => {
  for (
    const [thrown, code] of [[wrong, "RIVET_SOURCE_QUERY_FAILED"], [unknown, "RIVET_INTERNAL_RUN_INVARIANT"]] as const
  ) {
    const outcome = await run(new Outages("source.read before", 1, thrown, 1));
    assert.deepEqual([outcome.code, outcome.retries, outcome.rows], [code, 0, 0]);
  }
});

Deno.test("attempts are counted for each chunk, and end", async () => {
  // Two of three reads lose their connection: every chunk stays below its own four attempts.
  let reads = 0;
  class Pairs extends Outages {
    override point(name: string): void {
      if (name === "source.read before" && reads++ % 3 < 2) throw lost();
      super.point(name);
    }
  }
  const { code, retries, rows } = await run(new Pairs("", 0, lost), 3);
  assert.deepEqual([code, retries, rows], [null, 6, 30]);
  const ended = await run(new Outages("source.read before", 99, lost, 1), 3);
  assert.deepEqual([ended.code, ended.retries, ended.rows], ["RIVET_SOURCE_CONNECTION_LOST", 3, 0]);
});

Deno.test("of chunks that are read together, those that fail are tried again and the others are kept", async () => {
  // Each third read fails, of 30 chunks of one row: what is claimed together ends there, and what is behind it was no attempt.
  let reads = 0;
  class Thirds extends Outages {
    override point(name: string): void {
      if (name === "source.read before" && reads++ % 3 === 1) throw deadlock();
      super.point(name);
    }
  }
  const { code, retries, rows } = await run(new Thirds("", 0, deadlock), 6, 1);
  assert.deepEqual([code, rows], [null, 30]);
  assert.ok(retries >= 10, `${retries} retries`);
});

Deno.test("of chunks that are read together, one mistake ends the run, and the next run has what was kept", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepare(folder.path, 60, 1);
  let reads = 0;
  class Fortieth extends Outages {
    override point(name: string): void {
      if (name === "source.read before" && ++reads === 40) throw unknown();
      super.point(name);
    }
  }
  const [failed] = (await runEngine({ configPath, faults: new Fortieth("", 0, unknown) })).per_export;
  assert.deepEqual([failed!.status, failed!.retries, failed!.resumable], ["failed", 0, true]);
  const done: number[] = [];
  const [summary] = (await runEngine({
    configPath,
    onEvent: (event) => event.kind === "slice_completed" ? done.push(event.index) : undefined,
  })).per_export;
  assert.deepEqual([summary!.status, summary!.rows], ["success", 60]);
  assert.ok(done.length < 30, `${done.length} chunks were read again`);
  assert.equal((await readThroughManifest(join(folder.path, "out"))).length, 60);
  assert.deepEqual(await findUntracked(join(folder.path, "out")), []);
});

Deno.test("what was claimed behind a slow chunk is begun when that chunk is committed", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepare(folder.path, 60, 1);
  const told: string[] = [];
  const slow: number[] = [];
  const [summary] = (await runEngine({
    configPath,
    onEvent: (event) => {
      if (event.kind === "slice_started" || event.kind === "slice_completed") told.push(`${event.kind} ${event.index}`);
    },
    wrapLane: (lane) => ({
      ...lane,
      async run(request, signal, watcher) {
        // Longer than a lane keeps what it claimed.
        if (request.index >= 50) {
          slow.push(request.index);
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
        return await lane.run(request, signal, watcher);
      },
    }),
  })).per_export;
  assert.deepEqual([summary!.status, summary!.rows, summary!.retries], ["success", 60, 0]);
  assert.equal((await readThroughManifest(join(folder.path, "out"))).length, 60);
  assert.equal(slow.length, 10);
  for (const [i, index] of slow.slice(1).entries()) {
    const before = told.indexOf(`slice_completed ${slow[i]}`);
    assert.ok(
      before < told.indexOf(`slice_started ${index}`),
      `chunk ${index} was begun before ${slow[i]} was committed`,
    );
  }
});

Deno.test("a first connection that is refused is reported at once; one that breaks while planning is made anew", async () => {
  const first = await run(new Outages("source.open", 99, refused));
  assert.deepEqual([first.code, first.opened, first.warnings], ["RIVET_SOURCE_CONNECT_FAILED", 1, 0]);
  const later = await run(new Outages("source.describe before", 2, lost));
  assert.deepEqual([later.code, later.rows, later.warnings], [null, 30, 2]);
});
