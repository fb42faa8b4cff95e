// `--json` of the commands that show and change what is remembered, each against its shape. Strict: a new or a missing key must show.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { runCli } from "../support/cli.ts";
import { toFolder } from "../support/config_file.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { runProgram } from "../support/program.ts";

const time = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const runId = z.string().regex(/^\w+_\d{8}T\d{6}\.\d{3}_\d+$/);
const status = z.enum(["in_progress", "completed", "failed", "interrupted"]);

const SHOW = z.array(
  z.strictObject({ export_name: z.string(), last_cursor_value: z.string().nullable(), last_run_at: time.nullable() }),
);
const RUNS = z.array(z.strictObject({
  run_id: runId,
  export_name: z.string(),
  status,
  mode: z.string(),
  started_at: time,
  updated_at: time,
  destination: z.string(),
}));
const CHUNKS = z.strictObject({
  run_id: runId,
  status,
  plan_hash: z.string(),
  chunks: z.array(z.strictObject({
    chunk_index: z.int(),
    chunk_id: z.string(),
    status: z.enum(["pending", "running", "completed", "failed"]),
    start_key: z.string().nullable(),
    end_key: z.string().nullable(),
    attempts: z.int(),
    rows_written: z.int(),
    last_error: z.string().nullable(),
  })),
});
const FILES = z.array(z.looseObject({ run_id: runId, file_name: z.string(), row_count: z.int(), bytes: z.int() }));
const PROGRESSION = z.array(z.strictObject({
  export_name: z.string(),
  last_committed_strategy: z.string().nullable(),
  last_committed_cursor: z.string().nullable(),
  last_committed_chunk_index: z.int().nullable(),
  last_committed_run_id: z.string().nullable(),
  last_committed_at: time.nullable(),
  last_verified_strategy: z.string().nullable(),
  last_verified_cursor: z.string().nullable(),
  last_verified_chunk_index: z.int().nullable(),
  last_verified_run_id: z.string().nullable(),
  last_verified_at: time.nullable(),
}));
const METRICS = z.array(z.looseObject({
  export_name: z.string(),
  run_id: runId,
  run_at: time,
  status: z.enum(["running", "success", "failed", "skipped", "interrupted"]),
  duration_ms: z.int(),
  total_rows: z.int(),
  peak_rss_mb: z.int().nullable(),
  error_message: z.string().nullable(),
  tuning_profile: z.string().nullable(),
  format: z.string().nullable(),
  mode: z.string().nullable(),
  files_produced: z.int().nullable(),
  bytes_written: z.int().nullable(),
  retries: z.int().nullable(),
  validated: z.boolean().nullable(),
  schema_changed: z.boolean().nullable(),
}));
const JOURNAL = z.array(z.strictObject({
  run_id: runId,
  entries: z.array(z.strictObject({ recorded_at: time, event: z.record(z.string(), z.unknown()) })).min(1),
}));
const RESET = z.strictObject({ export: z.string(), had_cursor: z.boolean(), given_up: z.array(runId) });
const ACCEPT = z.strictObject({ export: z.string(), kept: z.boolean() });
const GIVEN_UP = z.strictObject({ given_up: z.array(runId) });
const FINISHED = z.strictObject({ run_id: runId, status, changed: z.boolean() });

async function withRuns(body: (json: (...words: string[]) => Promise<unknown>) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL); INSERT INTO t VALUES (1), (2), (3)");
  }
  const config = join(folder.path, "rivet.yaml");
  const exports = [
    { name: "inc", table: "t", mode: "incremental", cursor_column: "id", ...toFolder("inc") },
    { name: "cut", table: "t", mode: "chunked", chunk_column: "id", chunk_count: 3, ...toFolder("cut") },
  ];
  await Deno.writeTextFile(config, JSON.stringify({ source: { type: "sqlite", path: "shop.db" }, exports }));
  assert.equal((await runCli(["run", "-c", config])).code, 0);
  await body(async (...words) => {
    const { code, stdout, stderr } = await runProgram([...words, "-c", config, "--json"]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  });
}

Deno.test("what is shown has its shape, and the facts of the runs", async () => {
  await withRuns(async (json) => {
    const show = SHOW.parse(await json("state", "show"));
    assert.deepEqual(show.map((row) => [row.export_name, row.last_cursor_value]), [["inc", "3"], ["cut", null]]);
    const runs = RUNS.parse(await json("state", "runs"));
    assert.deepEqual(runs.map((run) => [run.export_name, run.status]), [["cut", "completed"], ["inc", "completed"]]);
    assert.deepEqual(RUNS.parse(await json("state", "runs", "--running")), []);
    const chunks = CHUNKS.parse(await json("state", "chunks", "-e", "cut"));
    assert.deepEqual(chunks.chunks.map((chunk) => [chunk.status, chunk.rows_written]), Array(3).fill(["completed", 1]));
    assert.equal(FILES.parse(await json("state", "files", "-e", "cut")).length, 3);
    const progression = PROGRESSION.parse(await json("state", "progression"));
    assert.equal(progression.find((row) => row.export_name === "inc")?.last_committed_cursor, "3");
    const metrics = METRICS.parse(await json("metrics"));
    assert.deepEqual(metrics.map((row) => [row.export_name, row.total_rows]), [["cut", 3], ["inc", 3]]);
    const journal = JOURNAL.parse(await json("journal", "-e", "inc"));
    assert.equal(journal[0]!.run_id, runs[1]!.run_id);
  });
});

Deno.test("what is changed by hand says so in JSON", async () => {
  await withRuns(async (json) => {
    const [run] = RUNS.parse(await json("state", "runs"));
    const finished = FINISHED.parse(await json("state", "finish-run", "--run-id", run!.run_id));
    assert.deepEqual([finished.status, finished.changed], ["completed", false]);
    assert.deepEqual(GIVEN_UP.parse(await json("state", "reset-chunks", "-e", "cut")), { given_up: [] });
    assert.deepEqual(ACCEPT.parse(await json("state", "accept", "-e", "inc")), { export: "inc", kept: true });
    const reset = { export: "inc", had_cursor: true, given_up: [] };
    assert.deepEqual(RESET.parse(await json("state", "reset", "-e", "inc")), reset);
    assert.deepEqual(RESET.parse(await json("state", "reset", "-e", "inc")), { ...reset, had_cursor: false });
  });
});
