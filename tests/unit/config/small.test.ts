import assert from "node:assert/strict";
import { suggest } from "../../../src/config/suggest.ts";
import { buildTuning, hasBatchConflict } from "../../../src/config/tuning.ts";
import { parseDuration, parseSize } from "../../../src/config/units.ts";

Deno.test("sizes are bytes, with KB, MB and GB of 1024, in any case and with fractions", () => {
  for (
    const [text, bytes] of [["1", 1], [7, 7], ["512MB", 536870912], ["1.5 gb", 1610612736], ["2kb", 2048], [
      "10B",
      10,
    ]] as const
  ) assert.equal(parseSize(text), bytes);
  for (const text of ["", "0", "0.5B", "-1", "MB", "5TB", "1e3", "NaN", -1, 0]) {
    assert.equal(parseSize(text), null, `${text}`);
  }
});

Deno.test("durations are whole numbers and s, m, h or d, above zero and within 2³¹ seconds", () => {
  for (const [text, seconds] of [["30s", 30], ["5m", 300], ["2h", 7200], ["1d", 86400]] as const) {
    assert.equal(parseDuration(text), seconds);
  }
  for (const text of ["", "5", "0s", "1.5h", "5min", "-1s", "25000d", "5 m"]) {
    assert.equal(parseDuration(text), null, text);
  }
});

Deno.test("a misspelt word suggests the nearest, else one that contains it, else nothing", () => {
  const keys = ["table", "tuning", "chunk_size", "chunk_count", "destination"];
  assert.equal(suggest("tabel", keys), "table");
  assert.equal(suggest("TABLE", keys), "table");
  assert.equal(suggest("chunk_siz", keys), "chunk_size");
  assert.equal(suggest("dest", keys), "destination");
  assert.equal(suggest("my_table_name", keys), "table");
  assert.equal(suggest("zzzzzz", keys), null);
  assert.equal(suggest("x", []), null);
});

Deno.test("tuning: the export wins over the source, both over the profile", () => {
  const tuning = buildTuning({ throttle_ms: 5, max_retries: 7 }, { max_retries: 2 }, undefined);
  assert.deepEqual([tuning.throttleMs, tuning.maxRetries, tuning.retryBackoffMs], [5, 2, 2000]);
  assert.equal(tuning.profileLabel, "balanced (default)");
});

Deno.test("tuning: the environment picks the profile only where none is written", () => {
  assert.equal(buildTuning(undefined, undefined, "local").profileLabel, "fast (default for environment: local)");
  assert.equal(buildTuning(undefined, undefined, "replica").profile, "balanced");
  assert.equal(buildTuning({ profile: "safe" }, undefined, "local").profileLabel, "safe");
  assert.equal(buildTuning({ profile: "safe" }, { profile: "fast" }, undefined).statementTimeoutS, 0);
});

Deno.test("tuning: a number of rows replaces the profile's size in bytes, a size in bytes keeps the rows as a base", () => {
  const rows = buildTuning(undefined, { batch_size: 77 }, undefined);
  assert.deepEqual([rows.batchRows, rows.batchMemoryMb], [77, null]);
  const bytes = buildTuning(undefined, { batch_size_memory_mb: 3 }, undefined);
  assert.deepEqual([bytes.batchRows, bytes.batchMemoryMb], [10_000, 3]);
});

Deno.test("tuning: the profiles have the published numbers", () => {
  const numbers = (profile: "fast" | "balanced" | "safe") => {
    const t = buildTuning({ profile }, undefined, undefined);
    return [
      t.batchRows,
      t.batchMemoryMb,
      t.throttleMs,
      t.statementTimeoutS,
      t.maxRetries,
      t.retryBackoffMs,
      t.lockTimeoutS,
      t.memoryThresholdMb,
      t.maxValueMb,
    ];
  };
  assert.deepEqual(numbers("fast"), [50_000, 64, 0, 0, 1, 1000, 0, 0, 256]);
  assert.deepEqual(numbers("balanced"), [10_000, 32, 50, 300, 3, 2000, 30, 4096, 256]);
  assert.deepEqual(numbers("safe"), [2_000, null, 500, 120, 10, 5000, 10, 2048, 256]);
});

Deno.test("tuning: rows and bytes contradict each other in every layer and across them", () => {
  assert.ok(hasBatchConflict({ batch_size: 1, batch_size_memory_mb: 1 }));
  assert.ok(hasBatchConflict({ batch_size: 1 }, { batch_size_memory_mb: 1 }));
  assert.ok(!hasBatchConflict({ batch_size: 1 }, { batch_size: 2 }, undefined));
});
