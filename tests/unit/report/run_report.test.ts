import assert from "node:assert/strict";
import {
  buildRunReport,
  formatRunReport,
  isReported,
  openNotes,
  type RunSummary,
  writeRunReport,
} from "../../../src/report/mod.ts";
import { join, temporaryFolder } from "../../support/files.ts";

const SUMMARY: RunSummary = {
  export_name: "orders",
  run_id: "orders_20240501T000000000_7",
  status: "failed",
  skip_reason: null,
  answered_by_run: null,
  mode: "chunked",
  strategy: "chunked(id, size=10)",
  consistency: "snapshot",
  resumed: false,
  started_at: "2024-05-01T00:00:00.000Z",
  finished_at: "2024-05-01T00:00:01.500Z",
  duration_ms: 1500,
  source_engine: "postgres",
  destination_kind: "local",
  output: "file:///data/north-7/orders",
  format: "parquet",
  compression: "zstd",
  tuning_profile: "balanced",
  batch_size: 1000,
  slices: 3,
  slices_done: 2,
  lanes: 2,
  rows_kept: 0,
  rows: 1234,
  files: 2,
  bytes: 4096,
  bytes_read: 8192,
  peak_rss_mb: 90,
  retries: 1,
  longest_statement_ms: 12,
  cursor_low: null,
  cursor_high: null,
  protection: [],
  validated: null,
  reconciled: null,
  source_count: null,
  schema_changed: true,
  quality_passed: null,
  warnings: ["sparse"],
  error: {
    code: "RIVET_SOURCE_CONNECTION_LOST",
    kind: "environment",
    exit_code: 2,
    retryable: true,
    error: "postgres://me:hush@db/x went away while reading north-7\u001b[31m",
    where: "export 'orders'",
    cure: "Run again",
  },
  resumable: true,
  resume_command: "rivet run -c rivet.yaml -e orders",
};

const OPTIONS = { version: "1.2.3", hide: (text: string) => text.replaceAll("north-7", "${REGION}") };

function notesOfOrders() {
  const notes = openNotes();
  notes.events({ kind: "warning", exportName: "orders", context: "plan", message: "sparse" });
  notes.events({ kind: "warning", exportName: "other", context: "plan", message: "not mine" });
  notes.events({
    kind: "schema_changed",
    exportName: "orders",
    added: ["note"],
    removed: [],
    retyped: [["a", "int32", "int64"]],
  });
  return notes.of("orders");
}

Deno.test("a report says what happened, without secrets and filled-in values", () => {
  const report = buildRunReport(SUMMARY, notesOfOrders(), {
    ...OPTIONS,
    applyContext: { plan_id: "p", forced: false },
  });
  assert.deepEqual(report.plan_warnings, [{ rule: "plan", message: "sparse" }]);
  assert.deepEqual(report.schema_changes, [{ added: ["note"], removed: [], type_changed: [["a", "int32", "int64"]] }]);
  assert.deepEqual(report.apply_context, { plan_id: "p", forced: false });
  assert.equal(report.output, "file:///data/${REGION}/orders");
  assert.doesNotMatch(JSON.stringify(report), /hush|north-7/);
  assert.equal("validation" in report || "reconciliation" in report, false);
});

Deno.test("the text has a section for what there is to say, and nothing that a terminal would obey", () => {
  const text = formatRunReport(buildRunReport(SUMMARY, notesOfOrders(), OPTIONS));
  assert.deepEqual([...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title), [
    "Plan",
    "Throughput",
    "Verdicts",
    "Schema",
    "Warnings",
    "Error",
    "Resume",
  ]);
  for (
    const line of ["- rows: 1,234", "- added note; a was int32 and is int64", "- code: RIVET_SOURCE_CONNECTION_LOST"]
  ) {
    assert.ok(text.includes(`${line}\n`), `${line} is missing in ${text}`);
  }
  assert.ok(!text.includes("\u001b"));
});

Deno.test("runs that did not begin, streams and runs that another process took over have no report", () => {
  assert.equal(isReported(SUMMARY), true);
  assert.equal(isReported({ ...SUMMARY, run_id: null }), false);
  assert.equal(isReported({ ...SUMMARY, destination_kind: "stdout" }), false);
  assert.equal(isReported({ ...SUMMARY, error: { ...SUMMARY.error!, code: "RIVET_STATE_LEASE_LOST" } }), false);
});

Deno.test("a run that goes on replaces its report; its name cannot lead elsewhere", async () => {
  await using folder = await temporaryFolder();
  const report = buildRunReport({ ...SUMMARY, run_id: "../a/b_1" }, notesOfOrders(), OPTIONS);
  const first = await writeRunReport(folder.path, report);
  assert.equal(await writeRunReport(folder.path, { ...report, status: "success" }), first);
  assert.equal(first, join(folder.path, ".rivet/runs", "..%2Fa%2Fb_1"));
  assert.equal(JSON.parse(await Deno.readTextFile(join(first, "summary.json"))).status, "success");
  assert.deepEqual([...Deno.readDirSync(first)].map(({ name }) => name).sort(), ["summary.json", "summary.md"]);
});
