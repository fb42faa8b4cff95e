// `rivet state …` through the real entry point, on a run that a kill interrupted and on one that is alive.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type CliResult, runCli, startCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { findUntracked, readThroughManifest } from "../support/reader.ts";

const ROWS = 3000;

interface Place {
  readonly path: string;
  rivet(...args: string[]): Promise<CliResult>;
  /** Runs `chunks` slowly until two of its chunks are committed; then `body`, then kill -9. */
  killed(body?: (pid: number) => Promise<void>): Promise<void>;
}

async function withPlace(body: (place: Place) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, at TIMESTAMP NOT NULL);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
      INSERT INTO t SELECT i, datetime('2026-01-01', '+' || i || ' minutes') FROM n`);
  }
  const write = (throttleMs: number, inc = "inc") =>
    Deno.writeTextFile(
      join(folder.path, "rivet.yaml"),
      `source: {type: sqlite, path: shop.db, tuning: {profile: fast, batch_size: 50, throttle_ms: ${throttleMs}}}
exports:
  - {name: inc, table: t, mode: incremental, cursor_column: at, format: parquet, destination: {type: local, path: out/${inc}}}
  - {name: chunks, table: t, mode: chunked, chunk_column: id, chunk_size: 100, format: parquet, destination: {type: local, path: out/chunks}}
`,
    );
  const rivet = (...args: string[]) => runCli(args, { cwd: folder.path });
  await write(0);
  await body({
    path: folder.path,
    rivet,
    async killed(meanwhile = () => Promise.resolve()) {
      // Thirty chunks of a second each: it lives longer than anybody needs who asks something of it.
      await write(1000);
      const child = startCli(["run", "-c", "rivet.yaml", "-e", "chunks", "--progress", "none"], { cwd: folder.path });
      const stderr = new Response(child.stderr).text();
      let hasEnded = false;
      child.status.then(() => hasEnded = true);
      for (;;) {
        assert.ok(!hasEnded, "it ended before it was killed");
        const { stdout } = await rivet("state", "chunks", "-c", "rivet.yaml", "-e", "chunks", "--json");
        const run = JSON.parse(stdout || "null") as { status: string; chunks: { status: string }[] } | null;
        if (run?.status !== "in_progress") continue;
        if (run.chunks.filter((chunk) => chunk.status === "completed").length >= 2) break;
      }
      await meanwhile(child.pid);
      child.kill("SIGKILL");
      await child.status;
      await stderr;
      await write(0);
    },
  });
}

async function runIds(place: Place, ...flags: string[]): Promise<{ run_id: string; status: string }[]> {
  return JSON.parse((await place.rivet("state", "runs", "-c", "rivet.yaml", "--json", ...flags)).stdout);
}

async function assertExact(place: Place): Promise<void> {
  const out = join(place.path, "out/chunks");
  const ids = (await readThroughManifest(out)).map((row) => Number(row["id"])).sort((a, b) => a - b);
  assert.deepEqual(ids, Array.from({ length: ROWS }, (_, i) => i + 1));
  assert.deepEqual(await findUntracked(out), []);
}

Deno.test("what a live process works on is not changed under it; a dead run is marked, shown, and finished", async () => {
  await withPlace(async (place) => {
    await place.killed(async (pid) => {
      const [live] = await runIds(place, "--running");
      const refusals = [
        ["finish-run", "--run-id", live!.run_id],
        ["reset-chunks", "-e", "chunks"],
        ["reset", "-e", "chunks"],
        ["reset-chunks", "--stuck-checkpoints"],
      ].map(async (args) => {
        const refused = await place.rivet("state", ...args, "-c", "rivet.yaml");
        assert.equal(refused.code, 2, `${args}: ${refused.stdout}`);
        assert.match(refused.stderr, new RegExp(`RIVET_STATE_RUN_IN_PROGRESS\\] process ${pid} on `));
      });
      // Side by side: the run must be alive until the last of them has asked.
      await Promise.all(refusals);
    });
    const [dead] = await runIds(place, "--running");
    const finish = () => place.rivet("state", "finish-run", "-c", "rivet.yaml", "--run-id", dead!.run_id);
    assert.match((await finish()).stdout, /is marked interrupted; the next run of its export finishes it/);
    assert.match((await finish()).stdout, /is not in progress: it is interrupted/);
    const resumed = await place.rivet("run", "-c", "rivet.yaml", "-e", "chunks", "--resume");
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.deepEqual((await runIds(place)).map((run) => [run.run_id, run.status]), [[dead!.run_id, "completed"]]);
    await assertExact(place);
    const progression = await place.rivet("state", "progression", "-c", "rivet.yaml");
    assert.match(progression.stdout, /chunks +chunked +chunk #29/);
    const complete = await place.rivet("run", "-c", "rivet.yaml", "-e", "chunks", "--resume");
    assert.deepEqual([complete.code, /RIVET_DEST_ALREADY_COMPLETE/.test(complete.stderr)], [5, true]);
    assert.equal((await place.rivet("run", "-c", "rivet.yaml", "-e", "chunks", "--resume", "--force")).code, 0);
  });
});

Deno.test("a run that was given up is named once, and the next one starts over and clears it", async () => {
  await withPlace(async (place) => {
    await place.killed();
    const [dead] = await runIds(place, "--running");
    const none = () => place.rivet("state", "runs", "-c", "rivet.yaml", "--running").then(({ stdout }) => stdout);
    assert.notEqual(await none(), "No run is under way.\n");
    const neither = await place.rivet("state", "reset-chunks", "-c", "rivet.yaml");
    assert.deepEqual([neither.code, /RIVET_CLI_VALUE_INVALID/.test(neither.stderr)], [1, true]);
    const given = await place.rivet("state", "reset-chunks", "-c", "rivet.yaml", "--stuck-checkpoints");
    assert.equal(given.stdout, `Given up: ${dead!.run_id}\n`);
    const again = await place.rivet("state", "reset-chunks", "-c", "rivet.yaml", "-e", "chunks");
    assert.equal(again.stdout, "No interrupted run.\n");
    assert.equal(await none(), "No run is under way.\n");
    assert.equal((await place.rivet("run", "-c", "rivet.yaml", "-e", "chunks")).code, 0);
    await assertExact(place);
    assert.deepEqual((await runIds(place)).map((run) => run.status), ["completed", "interrupted"]);
  });
});

Deno.test("a cursor is shown, kept by accept after an edit, and forgotten by reset", async () => {
  await withPlace(async (place) => {
    const state = (...args: string[]) => place.rivet("state", ...args, "-c", "rivet.yaml");
    const show = async () => (JSON.parse((await state("show", "--json")).stdout) as { last_cursor_value: string }[])[0];
    assert.equal((await show())?.last_cursor_value, null);
    assert.equal((await place.rivet("run", "-c", "rivet.yaml", "-e", "inc")).code, 0);
    assert.equal((await show())?.last_cursor_value, "2026-01-03 02:00:00");
    const yaml = await Deno.readTextFile(join(place.path, "rivet.yaml"));
    await Deno.writeTextFile(join(place.path, "rivet.yaml"), yaml.replace("out/inc", "out/other"));
    const refused = await place.rivet("run", "-c", "rivet.yaml", "-e", "inc");
    assert.equal(refused.code, 5, refused.stderr);
    assert.match(refused.stderr, /RIVET_STATE_CURSOR_DESTINATION_MISMATCH/);
    assert.match(refused.stderr, /rivet state accept .*rivet state reset /);
    assert.match((await state("accept", "-e", "inc")).stdout, /is kept for the config as it is now/);
    const kept = await place.rivet("run", "-c", "rivet.yaml", "-e", "inc", "--json");
    assert.equal(JSON.parse(kept.stdout).total_rows, 0, kept.stderr);
    const reset = (await state("reset", "-e", "inc")).stdout;
    assert.match(reset, /is forgotten: the next run reads everything again, .* beside the files in 'file:.*out\/other/);
    assert.match((await state("reset", "-e", "inc")).stdout, /had no cursor/);
    assert.equal(await show().then((row) => row?.last_cursor_value), null);
    const over = await place.rivet("run", "-c", "rivet.yaml", "-e", "inc", "--json");
    assert.equal(JSON.parse(over.stdout).total_rows, ROWS, over.stderr);
    const none = await state("accept", "-e", "chunks");
    assert.deepEqual([none.code, /'chunks' has no cursor/.test(none.stderr)], [1, true]);
  });
});

Deno.test("accept after the cursor column was edited says which rows are never read; after an edit of the place it does not", async () => {
  await withPlace(async (place) => {
    const state = (...args: string[]) => place.rivet("state", ...args, "-c", "rivet.yaml");
    const edit = async (from: string, to: string) => {
      const path = join(place.path, "rivet.yaml");
      await Deno.writeTextFile(path, (await Deno.readTextFile(path)).replace(from, to));
    };
    assert.equal((await place.rivet("run", "-c", "rivet.yaml", "-e", "inc")).code, 0);
    await edit("out/inc", "out/other");
    assert.deepEqual((await state("accept", "-e", "inc")).stderr, "");
    await edit("cursor_column: at", "cursor_column: id");
    const refused = await place.rivet("run", "-c", "rivet.yaml", "-e", "inc");
    assert.match(refused.stderr, /cure: .*rivet state reset .*only if the column was renamed.*rivet state accept /);
    const { stderr, code } = await state("accept", "-e", "inc");
    assert.equal(code, 0, stderr);
    assert.match(stderr, /taken from 'at' \(.*\), and is now compared with 'id' \(.*\): rows whose 'id' is below /);
    assert.match(stderr, /below '2026-01-03 02:00:00', or NULL, are never read.*only where the column was renamed/);
    assert.deepEqual((await state("accept", "-e", "inc")).stderr, "", "it is told once, when it is decided");
  });
});
