// Cursors, boundaries, columns, metrics and journals on both backends.

import assert from "node:assert/strict";
import {
  backends,
  codeOf,
  commitAll,
  completeRun,
  cursorOf,
  definitionOf,
  FORMAT,
  holderOf,
  intentOf,
  KEY,
  mustTake,
  noted,
  OTHER_SOURCE,
  sliceCommit,
  slicesOf,
  taskCommit,
} from "../support/state.ts";

const each = await backends();

function incremental(value: string, columnType = "bigint") {
  return {
    cursor: cursorOf(value, { definition: definitionOf({ columnType }) }),
    committed: { strategy: "incremental", cursor: value, chunkIndex: null },
  };
}

each("a commit moves cursor, columns, widths and boundary together", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  assert.equal(await state.cursor(KEY), null);
  assert.equal(await state.schema(KEY), null);
  assert.deepEqual(await state.shape(KEY), {});
  const schema = [{ name: "id", type: "int64" }, { name: "naïve ☃", type: "string" }];
  await completeRun(state, "r1", lease, { ...incremental("41"), schema, shape: { id: 8, body: 500 } });
  assert.deepEqual(await state.cursor(KEY), cursorOf("41"));
  assert.deepEqual(await state.schema(KEY), schema);
  assert.deepEqual(await state.shape(KEY), { id: 8, body: 500 });
  const [row] = await state.progression("orders");
  assert.deepEqual({ ...row, last_committed_at: null }, {
    export_name: "orders",
    last_committed_strategy: "incremental",
    last_committed_cursor: "41",
    last_committed_chunk_index: null,
    last_committed_run_id: "r1",
    last_committed_at: null,
    last_verified_strategy: null,
    last_verified_cursor: null,
    last_verified_chunk_index: null,
    last_verified_run_id: null,
    last_verified_at: null,
  });
  assert.ok(!Number.isNaN(Date.parse(row!.last_committed_at!)));
});

each(
  "a commit without a cursor leaves the stored one, without columns the stored ones, and widths only grow",
  async (place) => {
    await using state = await place.open();
    const lease = await mustTake(state);
    await completeRun(state, "r1", lease, {
      ...incremental("41"),
      schema: [{ name: "id", type: "int64" }],
      shape: { a: 10, b: 5 },
    });
    await completeRun(state, "r2", lease, { shape: { a: 3, b: 6, c: 1 } });
    assert.equal((await state.cursor(KEY))?.value, "41");
    assert.deepEqual(await state.schema(KEY), [{ name: "id", type: "int64" }]);
    assert.deepEqual(await state.shape(KEY), { a: 10, b: 6, c: 1 });
  },
);

each("a run with an open slice cannot be committed, and repeating a commit changes nothing", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(2), lease);
  await state.claimSlices("r1", 1, lease);
  await state.commitSlices("r1", [sliceCommit("r1", 0)], FORMAT, lease);
  const commit = taskCommit("r1", incremental("41"));
  assert.equal(await codeOf(state.commitTask(commit, lease)), "RIVET_INTERNAL_STATE_INVARIANT");
  assert.equal((await state.run("r1"))?.status, "in_progress");
  assert.equal(await state.cursor(KEY), null);
  await commitAll(state, "r1", lease);
  await state.commitTask(commit, lease);
  await state.commitTask(commit, lease);
  assert.equal((await state.metrics({ limit: 10 })).length, 1);
  assert.equal(await codeOf(state.commitTask(taskCommit("r9"), lease)), "RIVET_STATE_CHUNK_CHECKPOINT_GONE");
});

each("PG3: the committed boundary never goes back, in the cursor's own order", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  const committed = async () => (await state.progression("orders"))[0]!.last_committed_cursor;
  await completeRun(state, "r1", lease, incremental("9"));
  await completeRun(state, "r2", lease, incremental("10"));
  assert.equal(await committed(), "10", "10 is above 9 although its text is below");
  await completeRun(state, "r3", lease, incremental("9"));
  assert.equal(await committed(), "10");
  assert.equal((await state.progression("orders"))[0]!.last_committed_run_id, "r2");
  assert.equal((await state.cursor(KEY))?.value, "9", "PG1: the execution cursor is what the engine says");
});

each(
  "PG4: a boundary of another strategy replaces the whole committed side and keeps the verified one",
  async (place) => {
    await using state = await place.open();
    const lease = await mustTake(state);
    await completeRun(state, "r1", lease, incremental("50"));
    await state.recordVerified(KEY, { strategy: "incremental", cursor: "50", chunkIndex: null, runId: "r1" });
    await completeRun(state, "r2", lease, { committed: { strategy: "chunked", cursor: null, chunkIndex: 7 } });
    const [row] = await state.progression();
    assert.deepEqual([
      row!.last_committed_strategy,
      row!.last_committed_cursor,
      row!.last_committed_chunk_index,
      row!.last_committed_run_id,
    ], [
      "chunked",
      null,
      7,
      "r2",
    ]);
    assert.deepEqual([
      row!.last_verified_strategy,
      row!.last_verified_cursor,
      row!.last_verified_chunk_index,
      row!.last_verified_run_id,
    ], [
      "incremental",
      "50",
      null,
      "r1",
    ]);
  },
);

each("PG6: only a completed run of the same export can be verified", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  const verified = { strategy: "chunked", cursor: null, chunkIndex: 1, runId: "r1" };
  assert.equal(await codeOf(state.recordVerified(KEY, verified)), "RIVET_STATE_CHUNK_RUN_MISSING");
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  assert.equal(await codeOf(state.recordVerified(KEY, verified)), "RIVET_STATE_CHUNK_RUN_MISSING");
  await commitAll(state, "r1", lease);
  await state.commitTask(taskCommit("r1"), lease);
  assert.equal(await codeOf(state.recordVerified(OTHER_SOURCE, verified)), "RIVET_STATE_CHUNK_RUN_MISSING");
  await state.recordVerified(KEY, verified);
  assert.equal((await state.progression("orders"))[0]!.last_verified_chunk_index, 1);
});

each(
  "what was verified belongs to a run: an older one, an empty one, a mismatch and a reset do not blur it",
  async (place) => {
    await using state = await place.open();
    const lease = await mustTake(state);
    const row = async () => (await state.progression("orders"))[0]!;
    const verified = (runId: string, cursor: string) => ({ strategy: "incremental", cursor, chunkIndex: null, runId });
    const empty = { ...taskCommit("x").metric, total_rows: 0 };
    await completeRun(state, "r1", lease, incremental("50"));
    await completeRun(state, "r2", lease, incremental("60"));
    await state.recordVerified(KEY, verified("r2", "60"));
    await state.recordVerified(KEY, verified("r1", "50"));
    assert.equal((await row()).last_verified_run_id, "r2", "an older run is no news");
    await completeRun(state, "r3", lease, { ...incremental("60"), metric: { ...empty, run_id: "r3" } });
    assert.equal((await row()).last_committed_run_id, "r2", "a run that brought nothing commits no boundary");
    await completeRun(state, "r4", lease, incremental("60"));
    assert.equal((await row()).last_committed_run_id, "r4", "a row beside the last one is something");
    await state.withdrawVerified("r1");
    assert.equal((await row()).last_verified_run_id, "r2", "another run's mismatch");
    await state.withdrawVerified("r2");
    const { last_verified_run_id, last_verified_at, last_committed_run_id } = await row();
    assert.deepEqual([last_verified_run_id, last_verified_at, last_committed_run_id], [null, null, "r4"]);
    await state.recordVerified(KEY, verified("r4", "60"));
    await completeRun(state, "o1", await mustTake(state, OTHER_SOURCE), incremental("5"));
    await state.resetCursor(KEY);
    const left = await row();
    assert.deepEqual([left.last_committed_run_id, left.last_verified_run_id], ["o1", null], "with the cursor it goes");
  },
);

each("two sources with one export name never touch each other's progress", async (place) => {
  await using state = await place.open();
  const [mine, theirs] = [await mustTake(state), await mustTake(state, OTHER_SOURCE)];
  await completeRun(state, "r1", mine, {
    ...incremental("1000"),
    schema: [{ name: "a", type: "int64" }],
    shape: { a: 100 },
  });
  await completeRun(state, "r2", theirs, {
    ...incremental("5"),
    schema: [{ name: "b", type: "string" }],
    shape: { a: 1 },
  });
  assert.equal((await state.cursor(KEY))?.value, "1000");
  assert.equal((await state.cursor(OTHER_SOURCE))?.value, "5");
  assert.deepEqual(await state.schema(KEY), [{ name: "a", type: "int64" }]);
  assert.deepEqual(await state.schema(OTHER_SOURCE), [{ name: "b", type: "string" }]);
  assert.deepEqual(await state.shape(OTHER_SOURCE), { a: 1 });
  assert.equal(
    (await state.progression("orders"))[0]!.last_committed_cursor,
    "5",
    "another source's boundary is no floor",
  );
  assert.deepEqual((await state.cursors("orders")).map((c) => [c.key, c.value]), [[OTHER_SOURCE, "5"], [KEY, "1000"]]);
  await state.beginRun(intentOf("r3"), slicesOf(1), mine);
  await state.beginRun(intentOf("r4", { key: OTHER_SOURCE }), slicesOf(1), theirs);
  assert.deepEqual(await state.resetChunks({ key: OTHER_SOURCE }), ["r4"]);
  assert.equal((await state.openRun(KEY))?.runId, "r3");
  assert.equal(await state.resetCursor(KEY), true);
  assert.equal(await state.cursor(KEY), null);
  assert.equal((await state.cursor(OTHER_SOURCE))?.value, "5");
  assert.equal((await state.progression("orders")).length, 1, "the boundary is the other source's");
  assert.equal(await state.resetCursor(OTHER_SOURCE), true);
  assert.deepEqual(await state.progression("orders"), []);
  assert.equal(await state.resetCursor(OTHER_SOURCE), false);
});

each("accepting a definition keeps the value, and says when there is none", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  const definition = definitionOf({ column: "updated_at", columnType: "timestamptz", stream: "public.orders_v2" });
  assert.equal(await state.acceptCursor(KEY, definition), false);
  await completeRun(state, "r1", lease, incremental("41"));
  assert.equal(await state.acceptCursor(KEY, definition), true);
  assert.deepEqual(await state.cursor(KEY), cursorOf("41", { definition }));
});

each("cursor values and names come back byte by byte", async (place) => {
  await using state = await place.open();
  const key = { exportName: `o'rders "x" ☃ ?`, source: "sqlite:/tmp/a b?.db" };
  const lease = await mustTake(state, key);
  const value = "2026-01-02 03:04:05.123456789+05:30 'quoted' \\ \u{1F600} ? $1 %s";
  await completeRun(state, "r'1?", lease, { cursor: cursorOf(value, { edge: { "ÿ": 1, "": 2 } }) });
  assert.deepEqual(await state.cursor(key), cursorOf(value, { edge: { "ÿ": 1, "": 2 } }));
});

each("a run has a metric row from its beginning, replaced at its end", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(2), lease);
  const [running] = await state.metrics({ limit: 10 });
  assert.deepEqual([running!.status, running!.run_id, running!.total_rows], ["running", "r1", 0]);
  await commitAll(state, "r1", lease);
  assert.equal((await state.metrics({ limit: 10 }))[0]!.total_rows, 20);
  const metric = {
    ...taskCommit("r1").metric,
    total_rows: 20,
    peak_rss_mb: 123.4,
    validated: true,
    quality_passed: false,
    reconciled: null,
    error_message: null,
    bytes_read: 9_007_199_254_740_991,
    something_new: "kept",
  };
  await state.commitTask(taskCommit("r1", { metric }), lease);
  const rows = await state.metrics({ exportName: "orders", limit: 10 });
  assert.equal(rows.length, 1);
  const [row] = rows;
  assert.deepEqual(
    [
      row!.status,
      row!["validated"],
      row!["quality_passed"],
      row!["reconciled"],
      row!["peak_rss_mb"],
      row!["bytes_read"],
      row!["something_new"],
      row!["source"],
    ],
    ["success", true, false, null, 123, 9_007_199_254_740_991, "kept", KEY.source],
  );
  await state.putMetric({ ...metric, run_id: "r2", status: "skipped" });
  assert.deepEqual((await state.metrics({ limit: 1 })).map((m) => m.run_id), ["r2"], "newest first");
  assert.deepEqual(await state.metrics({ limit: 0 }), []);
});

each("a killed run's metric says interrupted once somebody takes the lease over", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state, KEY, "a");
  await state.beginRun(intentOf("r1"), slicesOf(3), lease);
  await state.claimSlices("r1", 1, lease);
  await state.commitSlices("r1", [sliceCommit("r1", 0)], FORMAT, lease);
  const other = await mustTake(state, OTHER_SOURCE, "o");
  await state.beginRun(intentOf("r2", { key: OTHER_SOURCE }), slicesOf(1), other);
  const result = await state.takeLease(KEY, holderOf("b"), 60_000, () => true);
  assert.ok(result.kind === "taken");
  const statuses = async () =>
    Object.fromEntries((await state.metrics({ limit: 10 })).map((m) => [`${m.run_id} ${m.status}`, m.total_rows]));
  assert.deepEqual(await statuses(), { "r1 interrupted": 10, "r2 running": 0 });
  await state.resumeRun("r1", result.lease);
  assert.deepEqual(await statuses(), { "r1 interrupted": 10, "r1 running": 10, "r2 running": 0 });
});

each("ending a run without a metric closes the running one", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  await state.endRun("r1", "interrupted", true, null, null);
  assert.deepEqual((await state.metrics({ limit: 10 })).map((m) => m.status), ["interrupted"]);
});

each("a killed run has a journal, and an ended one has it compiled", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  const events = [{ PlanResolved: { mode: "chunked" } }, { ChunkStarted: { chunk_index: 0, start_key: null } }];
  for (const event of events) await state.record("r1", "orders", noted(event));
  const entries = await state.journalAfter("r1", 0);
  assert.deepEqual(entries.map((e) => e.event), events);
  assert.deepEqual(await state.journalAfter("r1", entries[0]!.id), entries.slice(1));
  assert.deepEqual(await state.journalAfter("r1", entries[1]!.id), []);
  assert.deepEqual(await state.journals("orders", 5), [{ runId: "r1", finishedAt: null }]);
  await commitAll(state, "r1", lease);
  await state.commitTask(taskCommit("r1"), lease);
  const last = { RunCompleted: { status: "success", text: "naïve\u0000\ud800 ?" } };
  await state.record("r1", "orders", noted(last));
  const [done] = await state.journals("orders", 5);
  assert.notEqual(done!.finishedAt, null);
  assert.deepEqual((await state.journalAfter("r1", 0)).map((e) => e.event), [...events, last]);
  await using db = await place.openDb();
  const [row] = await db.all("SELECT journal_json, export_name FROM run_journal WHERE run_id = 'r1'");
  const journal = JSON.parse(String(row!["journal_json"]));
  assert.deepEqual([journal.run_id, journal.export_name], ["r1", "orders"]);
  assert.deepEqual(
    journal.entries.map((e: { event: unknown }) => e.event),
    [...events, last],
    "events after the end are in it",
  );
  assert.ok(journal.entries.every((e: { recorded_at: string }) => !Number.isNaN(Date.parse(e.recorded_at))));
});

each("a resumed run's journal is open again and goes on", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  await state.record("r1", "orders", noted({ PlanResolved: {} }));
  await state.endRun("r1", "failed", true, null, lease);
  assert.notEqual((await state.journals("orders", 1))[0]!.finishedAt, null);
  await state.resumeRun("r1", lease);
  await state.record("r1", "orders", noted({ PlanResolved: { resumed: true } }));
  const [journal] = await state.journals("orders", 1);
  assert.deepEqual([journal!.finishedAt, (await state.journalAfter("r1", 0)).length], [null, 2]);
});

each("journals are told apart by export and listed newest first", async (place) => {
  await using state = await place.open();
  assert.deepEqual(await state.journalAfter("nothing", 0), []);
  await state.record("a1", "a", noted({ Warning: { context: "x", message: "1" } }));
  await new Promise((resolve) => setTimeout(resolve, 5));
  await state.record("a2", "a", noted({ Warning: { context: "x", message: "2" } }));
  await state.record("b1", "b", noted({ Warning: { context: "x", message: "3" } }));
  await state.record("a1", "a", noted({ Warning: { context: "x", message: "4" } }));
  assert.deepEqual((await state.journals("a", 5)).map((j) => j.runId), ["a2", "a1"]);
  assert.equal((await state.journalAfter("a1", 0)).length, 2);
  assert.deepEqual((await state.journals("a", 1)).map((j) => j.runId), ["a2"]);
});

each("an aggregate is stored in the columns it has", async (place) => {
  await using state = await place.open();
  await state.recordAggregate({
    run_aggregate_id: "agg1",
    started_at: "2026-01-01T00:00:00.000Z",
    finished_at: "2026-01-01T00:01:00.000Z",
    duration_ms: 60_000,
    total_exports: 2,
    total_bytes_read: 5,
    details_json: "[]",
    not_a_column: 1,
  });
  await using db = await place.openDb();
  const rows = await db.all(
    "SELECT run_aggregate_id, duration_ms, total_exports, total_bytes_read, details_json FROM run_aggregate",
  );
  assert.deepEqual(rows.map((r) => ({ ...r })), [
    { run_aggregate_id: "agg1", duration_ms: 60_000, total_exports: 2, total_bytes_read: 5, details_json: "[]" },
  ]);
});

each("vacuum forgets what is old and over, and keeps what is still asked for", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await completeRun(state, "r1", lease, incremental("1"), { startedAt: "2026-01-01T00:00:00.000Z" });
  await completeRun(state, "r2", lease, incremental("2"), { startedAt: "2026-01-02T00:00:00.000Z" });
  for (const id of ["r1", "r2", "r3"]) {
    await state.record(id, "orders", noted({ Warning: { context: "x", message: "y" } }));
  }
  await state.beginRun(intentOf("r3", { startedAt: "2026-01-03T00:00:00.000Z" }), slicesOf(2), lease);
  await state.claimSlices("r3", 1, lease);
  await state.commitSlices("r3", [sliceCommit("r3", 0)], FORMAT, lease);
  await state.endRun("r3", "failed", false, null, lease);
  await state.beginRun(intentOf("r4", { startedAt: "2026-01-04T00:00:00.000Z" }), slicesOf(2), lease);
  assert.deepEqual(await state.vacuum(3650), { removed: 0 });
  const { removed } = await state.vacuum(-1);
  assert.ok(removed > 0);
  const left = (await state.runs({ limit: 10 })).map((r) => r.runId);
  assert.deepEqual(left, ["r4", "r3", "r2"], "open runs, files at a destination, and the last completed run");
  assert.deepEqual(await state.parts("r1"), []);
  assert.deepEqual(await state.journalAfter("r1", 0), []);
  assert.equal((await state.parts("r2")).length, 2);
  assert.equal((await state.cursor(KEY))?.value, "2");
  assert.equal((await state.openRun(KEY))?.runId, "r4");
  await state.forgetAbandonedParts("r3");
  await state.vacuum(-1);
  assert.deepEqual((await state.runs({ limit: 10 })).map((r) => r.runId), ["r4", "r2"]);
});

each(
  "vacuum keeps the run that an export's progression stands at, though later ones found nothing new",
  async (place) => {
    await using state = await place.open();
    const lease = await mustTake(state);
    await completeRun(state, "r1", lease, incremental("1"), { startedAt: "2026-01-01T00:00:00.000Z" });
    const metric = { ...taskCommit("r2").metric, total_rows: 0 };
    await completeRun(state, "r2", lease, { ...incremental("1"), metric }, { startedAt: "2026-01-02T00:00:00.000Z" });
    assert.equal((await state.progression("orders"))[0]?.last_committed_run_id, "r1");
    await state.vacuum(-1);
    assert.deepEqual((await state.runs({ limit: 10 })).map((r) => r.runId), ["r2", "r1"]);
  },
);
