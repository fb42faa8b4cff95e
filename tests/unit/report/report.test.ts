import assert from "node:assert/strict";
import {
  type AggregateSummary,
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  openWatcher,
  type RunEvent,
} from "../../../src/report/mod.ts";

Deno.test("numbers, sizes and durations read as people write them", () => {
  assert.equal(formatCount(1234567), "1,234,567");
  assert.deepEqual([512, 1536, 5 << 20].map(formatBytes), ["512 B", "1.5 KB", "5.0 MB"]);
  assert.deepEqual([123, 4200, 123_100, 3_723_000, 59_960].map(formatDuration), [
    "123ms",
    "4.2s",
    "2m 03.1s",
    "1h 02m 03.0s",
    "1m 00.0s",
  ]);
});

Deno.test("one of a thing is not many", () => {
  assert.deepEqual([0, 1, 2, 1200].map((n) => formatNumber(n, "chunk")), [
    "0 chunks",
    "1 chunk",
    "2 chunks",
    "1,200 chunks",
  ]);
  const s = screen(false);
  openWatcher(s, "auto").events({ ...STARTED, slices: 1, lanes: 1 } as RunEvent);
  assert.match(s.written.join(""), /, 1 chunk, 1 lane\n/);
});

function screen(isTerminal: boolean) {
  const written: string[] = [];
  let now = 0;
  return {
    written,
    tick: (ms: number) => now += ms,
    write: (text: string) => void written.push(text),
    isTerminal,
    columns: () => 80,
    nowMs: () => now,
  };
}

const STARTED: RunEvent = {
  kind: "run_started",
  exportName: "orders",
  runId: "r",
  mode: "chunked",
  strategy: "chunked(id, size=10)",
  resumed: false,
  slices: 10,
  slicesKept: 0,
  rowsKept: 0,
  lanes: 2,
  rowsEstimate: 100,
  tuningProfile: "fast",
  batchRows: 10,
  destination: "file:///data",
  capabilities: "commit_protocol=atomic",
};

Deno.test("a resumed run goes on from what was kept, and its speed is that of this process", () => {
  const s = screen(false);
  const watcher = openWatcher(s, "auto");
  watcher.events({ ...STARTED, resumed: true, slicesKept: 6, rowsKept: 60 });
  for (let index = 6; index < 8; index++) {
    s.tick(10_000);
    watcher.events({ kind: "slice_completed", exportName: "orders", index, id: "c", rows: 10, files: 1, ...NOTHING });
    watcher.events({ kind: "progress", exportName: "orders", index: index + 1, rows: 0, ...NOTHING });
  }
  const lines = s.written.filter((line) => line.includes("rows/s"));
  assert.match(lines.at(-1)!, /8\/10 chunks · 80 of ~100 rows · ETA 20\.0s · 1 rows\/s · /);
});

const NOTHING = { bytesRead: 0, bytesWritten: 0 };

Deno.test("what the terminal echoes of Ctrl-C does not indent what comes after", () => {
  const s = screen(true);
  const watcher = openWatcher(s, "auto");
  watcher.events(STARTED);
  for (const message of ["first", "second"]) {
    s.tick(1000);
    watcher.events({ kind: "progress", exportName: "orders", index: 0, rows: 1, ...NOTHING });
    watcher.events({ kind: "warning", exportName: "orders", context: "c", message });
  }
  watcher.end(
    {
      ...TOTALS,
      per_export: [{ ...SUMMARY, export_name: "orders" }, { ...SUMMARY, export_name: "b" }],
    } as unknown as AggregateSummary,
  );
  // deno-lint-ignore no-control-regex
  const erased = s.written.join("").match(/.?\x1b\[\d+A/gs);
  assert.ok(erased !== null && erased.every((text) => text.startsWith("\r")), JSON.stringify(s.written));
});

Deno.test("without a terminal progress is a line every ten seconds, with a total", () => {
  const s = screen(false);
  const watcher = openWatcher(s, "auto");
  watcher.events(STARTED);
  for (let i = 0; i < 30; i++) {
    s.tick(1000);
    watcher.events({ kind: "progress", exportName: "orders", index: 0, rows: i, bytesRead: i, bytesWritten: i });
  }
  const lines = s.written.filter((line) => line.includes("rows/s"));
  assert.equal(lines.length, 3);
  assert.match(lines[0]!, /orders: 0\/10 chunks · \d+ of ~100 rows/);
});

Deno.test("NDJSON progress is one object a line, tagged with its type", () => {
  const s = screen(true);
  openWatcher(s, "json").events(STARTED);
  const event = JSON.parse(s.written[0]!);
  assert.equal(event.type, "run_started");
  assert.equal(event.slices, 10);
});

Deno.test("the lines of several exports fit the screen, and obey nothing that a server wrote", () => {
  const s = screen(true);
  const watcher = openWatcher(s, "none");
  const ok = { ...SUMMARY, export_name: "an_export_whose_name_is_longer_than_anybody_should_make_it" };
  const error = { code: "X", error: `relation \x1b[2J${"does not exist ".repeat(9)}`, where: null, cure: "Look" };
  const failed = { ...SUMMARY, export_name: "orders", status: "failed", error };
  watcher.end({ ...TOTALS, per_export: [ok, failed] } as unknown as AggregateSummary);
  const text = s.written.join("");
  assert.ok(!text.includes("\x1b"));
  const [first, second, , counts, totals] = text.split("\n");
  for (const line of [first, second, counts, totals]) assert.ok(line!.length <= 80, line);
  assert.match(first!, /^✓ an_export_whose\S*… {2}full {2}1,234,567 rows {2}1 file {3}1\.5 KB {2}1\.0s {2}181 MB$/);
  assert.match(second!, /^✗ orders +full {2}relation \\x1b\[2J/);
  assert.match(text, /orders: \[X\] relation (.*does not exist ){9}/);
});

function told(more: object, ...summaries: object[]): string {
  const s = screen(false);
  openWatcher(s, "none").end({ ...TOTALS, ...more, per_export: summaries } as unknown as AggregateSummary);
  return s.written.join("");
}

Deno.test("rows a second are those that this process read, not those it found committed", () => {
  const resumed = { ...SUMMARY, export_name: "a", rows: 1000, rows_kept: 900, duration_ms: 1000 };
  const lines = told({ total_rows: 2000, duration_ms: 2000 }, resumed, { ...resumed, export_name: "b" });
  assert.match(lines, /2,000 rows · .* · 100 rows\/s/);
  assert.match(told({}, { ...resumed, ...CARD }), /rows: +1,000\n[^]*duration: +1\.0s \(100 rows\/s\)/);
  assert.doesNotMatch(told({}, { ...resumed, ...CARD, rows_kept: 1000 }), /rows\/s/);
});

Deno.test("what did not run says why in the place of its numbers, and one line goes on with all that is left", () => {
  const stop = { code: "RIVET_RUN_INTERRUPTED", error: "Stopped by a signal", where: null, cure: "Again" };
  const done = { ...SUMMARY, export_name: "a" };
  const applied = { ...done, export_name: "b", status: "already_applied" };
  const stopped = {
    ...done,
    export_name: "c",
    status: "interrupted",
    error: stop,
    resume_command: "rivet run -c r.yaml -e c",
  };
  const left = { ...done, export_name: "d", status: "skipped", skip_reason: "not started", run_id: null, error: stop };
  const all = told({ resume_command: "rivet run -c r.yaml" }, done, applied, stopped, left);
  assert.match(all, /^• b +full {2}already applied$/m);
  assert.match(all, /^• d +full {2}not started$/m);
  assert.doesNotMatch(all, /d: \[/, "it is no failure");
  assert.match(all, /resume: rivet run -c r\.yaml -e c\n\n {2}resume all: rivet run -c r\.yaml {2}# .*again, too\n$/);
  const one = told({ resume_command: "rivet run -c r.yaml -e c" }, done, stopped);
  assert.equal(one.match(/resume/g)?.length, 1, "one line is enough for one export");
  const never = told({ resume_command: "rivet run -c r.yaml -e d" }, done, left);
  assert.match(never, /\n {2}resume: rivet run -c r\.yaml -e d\n$/);
  assert.match(told({}, { ...applied, ...CARD }), /status: +already applied\n/);
  const empty = { ...left, run_id: "d_1", skip_reason: "no rows", error: { ...stop, error: "The counts differ" } };
  assert.match(
    told({}, done, empty),
    /\n {2}d: \[RIVET_RUN_INTERRUPTED\] The counts differ\n/,
    "it ran, and failed a check",
  );
});

const CARD = {
  run_id: null,
  answered_by_run: null,
  resumed: true,
  strategy: "full",
  slices: 1,
  slices_done: 1,
  protection: [],
  warnings: [],
  source_count: null,
  consistency: null,
  cursor_high: null,
  bytes_read: 0,
  validated: null,
  quality_passed: null,
};

const SUMMARY = {
  status: "success",
  mode: "full",
  skip_reason: null,
  rows: 1_234_567,
  rows_kept: 0,
  files: 1,
  bytes: 1536,
  duration_ms: 1000,
  peak_rss_mb: 181,
  error: null,
  resume_command: null,
};

const TOTALS = {
  success_count: 1,
  failed_count: 1,
  skipped_count: 0,
  total_rows: 1_234_567,
  total_files: 2,
  total_bytes: 3072,
  duration_ms: 2000,
  resume_command: null,
};
