// Runs and slices on both backends: the intent is whole, a slice is done exactly when its parts are on record.

import assert from "node:assert/strict";
import type { Lease, State } from "../../src/state/mod.ts";
import {
  backends,
  codeOf,
  commitAll,
  completeRun,
  cursorOf,
  dump,
  FORMAT,
  holderOf,
  intentOf,
  KEY,
  mustTake,
  noted,
  openFaulty,
  OTHER_SOURCE,
  sliceCommit,
  slicesOf,
  taskCommit,
} from "../support/state.ts";

const each = await backends();

each("a run and its slices are stored as they were given", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  const intent = intentOf("r1");
  await state.beginRun(intent, slicesOf(3), lease);
  const { status, updatedAt, takeovers, ...stored } = (await state.openRun(KEY))!;
  assert.equal(takeovers, 0);
  assert.deepEqual(stored, intent);
  assert.equal(status, "in_progress");
  assert.ok(!Number.isNaN(Date.parse(updatedAt)));
  const slices = await state.slices("r1");
  assert.deepEqual(
    slices.map(({ index, id, startKey, endKey, boundsJson }) => ({ index, id, startKey, endKey, boundsJson })),
    slicesOf(3),
  );
  assert.ok(
    slices.every((s) =>
      s.status === "pending" && s.attempts === 0 && s.rows === 0 && s.observations === null && s.lastError === null
    ),
  );
  assert.equal(await state.openRun(OTHER_SOURCE), null);
  assert.equal(await state.run("r2"), null);
});

each("a run is refused while another one of its export is not finished", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  assert.equal(await codeOf(state.beginRun(intentOf("r2"), slicesOf(1), lease)), "RIVET_STATE_CHUNK_RUN_UNFINISHED");
  await state.endRun("r1", "failed", true, null, lease);
  assert.equal(await codeOf(state.beginRun(intentOf("r2"), slicesOf(1), lease)), "RIVET_STATE_CHUNK_RUN_UNFINISHED");
  assert.equal(await state.run("r2"), null);
  await state.endRun("r1", "failed", false, null, lease);
  await state.beginRun(intentOf("r2"), slicesOf(1), lease);
  const other = await mustTake(state, OTHER_SOURCE);
  await state.beginRun(intentOf("r3", { key: OTHER_SOURCE }), slicesOf(1), other);
});

each("a run whose slices fail to come leaves nothing", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  const before = await dump(place);
  function* broken() {
    yield* slicesOf(2);
    throw new Error("no more slices");
  }
  await assert.rejects(state.beginRun(intentOf("r1"), broken(), lease), /no more slices/);
  assert.equal(await dump(place), before);
});

each(
  "slices are claimed in order, a failed one again after the pending ones, and never a completed one",
  async (place) => {
    await using state = await place.open();
    const lease = await mustTake(state);
    await state.beginRun(intentOf("r1", { maxAttempts: 2 }), slicesOf(3), lease);
    const first = (await state.claimSlices("r1", 1, lease))[0]!;
    assert.deepEqual([first.index, first.status, first.attempts], [0, "running", 1]);
    await state.failSlice("r1", 0, "connection reset", false, lease);
    const second = (await state.claimSlices("r1", 1, lease))[0]!;
    assert.equal(second.index, 1);
    await state.commitSlices("r1", [sliceCommit("r1", 1)], FORMAT, lease);
    assert.equal((await state.claimSlices("r1", 1, lease))[0]!.index, 2);
    const again = (await state.claimSlices("r1", 1, lease))[0]!;
    assert.deepEqual([again.index, again.attempts, again.lastError], [0, 2, "connection reset"]);
    await state.failSlice("r1", 0, "again", false, lease);
    assert.deepEqual(await state.claimSlices("r1", 1, lease), [], "both attempts are used up");
    await state.failSlice("r1", 2, "permanent", true, lease);
    assert.deepEqual(await state.claimSlices("r1", 1, lease), [], "a final failure has no further attempt");
    assert.deepEqual((await state.slices("r1")).map((s) => [s.status, s.attempts, s.lastError]), [
      ["failed", 2, "again"],
      ["completed", 1, null],
      ["failed", 2, "permanent"],
    ]);
  },
);

each("many slices are claimed at once in order, and each only once", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1", { maxAttempts: 2 }), slicesOf(10), lease);
  const indexes = async (slicesMax: number) =>
    (await state.claimSlices("r1", slicesMax, lease)).map(({ index, attempts, status }) => {
      assert.equal(status, "running");
      return `${index}/${attempts}`;
    });
  assert.deepEqual(await indexes(4), ["0/1", "1/1", "2/1", "3/1"]);
  await state.failSlice("r1", 1, "x", false, lease);
  await state.failSlice("r1", 3, "x", true, lease);
  assert.deepEqual(
    await indexes(64),
    ["4/1", "5/1", "6/1", "7/1", "8/1", "9/1"],
    "failed ones wait for the pending ones",
  );
  assert.deepEqual(await indexes(64), ["1/2"]);
  assert.deepEqual(await indexes(64), []);
  await state.commitSlices("r1", [sliceCommit("r1", 5)], FORMAT, lease);
  await state.returnSlices("r1", [1, 4, 5, 6], lease);
  assert.deepEqual(
    await indexes(64),
    ["1/2", "4/1", "6/1"],
    "as if they had not been claimed; what is done stays done",
  );
});

each("many slices are committed at once, or none of them", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(70), lease);
  await state.claimSlices("r1", 66, lease);
  const commits = Array.from({ length: 65 }, (_, index) => sliceCommit("r1", index, 1, index % 3));
  const code = await codeOf(state.commitSlices("r1", [...commits, sliceCommit("r1", 66)], FORMAT, lease));
  assert.equal(code, "RIVET_INTERNAL_STATE_INVARIANT", "nobody claimed the last one");
  assert.deepEqual(await state.parts("r1"), []);
  await state.commitSlices("r1", commits, FORMAT, lease);
  assert.deepEqual(await state.parts("r1"), commits.flatMap(({ parts }) => parts));
  assert.deepEqual(await state.partsBetween("r1", 1, 5), commits.slice(1, 6).flatMap(({ parts }) => parts));
  const stored = await state.slices("r1");
  assert.deepEqual(stored.slice(0, 65).map(({ observations }) => observations), commits.map((c) => c.observations));
  assert.deepEqual(stored.slice(64).map(({ status }) => status), [
    "completed",
    "running",
    ...Array(4).fill("pending"),
  ]);
  const [metric] = await state.metrics({ limit: 1 });
  const files = commits.reduce((sum, { parts }) => sum + parts.length, 0);
  assert.deepEqual([metric!.total_rows, metric!["files_committed"]], [files * 10, files]);
  await state.commitSlices("r1", [], FORMAT, lease);
});

each("slices come page by page as they come together", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(5), lease);
  const all = await state.slices("r1");
  assert.deepEqual(await state.slicesAfter("r1", -1), all);
  assert.deepEqual(await state.slicesAfter("r1", 2), all.slice(3));
  assert.deepEqual(await state.slicesAfter("r1", 4), []);
});

each("a committed slice has its rows, observations and parts, digests included", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(2), lease);
  await state.claimSlices("r1", 1, lease);
  await state.claimSlices("r1", 1, lease);
  const [zero, one] = [sliceCommit("r1", 0, 1, 2), sliceCommit("r1", 1, 1, 1)];
  await state.commitSlices("r1", [one], FORMAT, lease);
  await state.commitSlices("r1", [zero], FORMAT, lease);
  const [slice] = await state.slices("r1");
  assert.deepEqual([slice!.status, slice!.rows, slice!.observations], ["completed", 20, zero.observations]);
  assert.deepEqual(await state.parts("r1"), [...zero.parts, ...one.parts], "in the order of the plan");
  const [file] = await state.files({ exportName: "orders", limit: 1 });
  assert.deepEqual(file, {
    run_id: "r1",
    export_name: "orders",
    file_name: "r1/c0_1.parquet",
    row_count: 10,
    bytes: 1001,
    format: "parquet",
    compression: "zstd",
    created_at: "2026-01-02T03:05:00.000Z",
  });
  assert.equal((await state.files({ limit: 10 })).length, 3);
  assert.deepEqual(await state.files({ exportName: "others", limit: 10 }), []);
});

each("committing a slice again replaces its parts, also with fewer", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  await state.claimSlices("r1", 1, lease);
  await state.commitSlices("r1", [sliceCommit("r1", 0, 1, 3)], FORMAT, lease);
  await state.commitSlices("r1", [sliceCommit("r1", 0, 2, 1)], FORMAT, lease);
  assert.deepEqual(await state.parts("r1"), sliceCommit("r1", 0, 2, 1).parts);
  const [metric] = await state.metrics({ limit: 1 });
  assert.deepEqual([metric!.total_rows, metric!["files_committed"], metric!["bytes_written"]], [10, 1, 1000]);
  const commit = sliceCommit("r1", 0, 1, 1);
  assert.equal(
    await codeOf(state.commitSlices("r1", [commit], FORMAT, lease)),
    "RIVET_INTERNAL_STATE_INVARIANT",
    "an older attempt comes late",
  );
});

each("a slice that nobody claimed cannot be committed", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  assert.equal(
    await codeOf(state.commitSlices("r1", [sliceCommit("r1", 0)], FORMAT, lease)),
    "RIVET_INTERNAL_STATE_INVARIANT",
  );
  assert.deepEqual(await state.parts("r1"), []);
});

each("reset slices are pending again and their parts are forgotten", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(1200), lease);
  await commitAll(state, "r1", lease);
  const again = Array.from({ length: 1100 }, (_, i) => i + 50);
  await state.resetSlices("r1", again, lease);
  assert.equal((await state.parts("r1")).length, 100);
  const slices = await state.slices("r1");
  assert.deepEqual(slices.filter((s) => s.status === "pending").map((s) => s.index), again);
  assert.ok(again.every((i) => slices[i]!.attempts === 0 && slices[i]!.observations === null && slices[i]!.rows === 0));
  assert.equal((await state.claimSlices("r1", 1, lease))[0]!.index, 50);
  assert.equal((await state.metrics({ limit: 1 }))[0]!.total_rows, 1000);
});

each("resuming gives running and failed slices back with new attempts and leaves the completed ones", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1", { maxAttempts: 1 }), slicesOf(4), lease);
  for (let i = 0; i < 3; i++) await state.claimSlices("r1", 1, lease);
  await state.commitSlices("r1", [sliceCommit("r1", 0)], FORMAT, lease);
  await state.failSlice("r1", 1, "broken", true, lease);
  await state.releaseLease(lease);
  const next = await mustTake(state, KEY, "heir");
  await state.resumeRun("r1", next);
  assert.deepEqual((await state.slices("r1")).map((s) => [s.status, s.attempts]), [
    ["completed", 1],
    ["pending", 0],
    ["pending", 0],
    ["pending", 0],
  ]);
  await commitAll(state, "r1", next);
  await state.commitTask(taskCommit("r1"), next);
  assert.equal((await state.run("r1"))!.status, "completed");
});

each("a run that ended resumable is the open one until it is completed or given up", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(2), lease);
  await state.claimSlices("r1", 1, lease);
  await state.endRun("r1", "interrupted", true, null, lease);
  assert.deepEqual([(await state.openRun(KEY))?.runId, (await state.openRun(KEY))?.status], ["r1", "interrupted"]);
  assert.ok((await state.slices("r1")).every((s) => s.status === "pending"));
  assert.equal(await codeOf(state.claimSlices("r1", 1, lease)), "RIVET_STATE_CHUNK_CHECKPOINT_GONE");
  await state.resumeRun("r1", lease);
  assert.equal((await state.openRun(KEY))?.status, "in_progress");
  await commitAll(state, "r1", lease);
  await state.commitTask(taskCommit("r1"), lease);
  assert.equal(await state.openRun(KEY), null);
  assert.equal(await codeOf(state.resumeRun("r1", lease)), "RIVET_STATE_CHUNK_CHECKPOINT_GONE");
});

each("a completed run cannot be ended as failed afterwards", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await completeRun(state, "r1", lease);
  await state.endRun("r1", "failed", true, null, lease);
  assert.equal((await state.run("r1"))!.status, "completed");
  assert.equal(await state.openRun(KEY), null);
});

each("added slices are claimed like the planned ones", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  await state.addSlices("r1", slicesOf(2, 1), lease);
  assert.deepEqual((await state.slices("r1")).map((s) => s.id), ["c00000", "c00001", "c00002"]);
  await commitAll(state, "r1", lease);
  assert.equal((await state.parts("r1")).length, 3);
});

each("eight connections that claim at once get every slice once", async (place) => {
  const n = 200;
  await using owner = await place.open();
  const lease = await mustTake(owner);
  await owner.beginRun(intentOf("r1"), slicesOf(n), lease);
  const states = await Promise.all(Array.from({ length: 8 }, () => place.open()));
  try {
    const claimed: number[] = [];
    await Promise.all(states.map(async (state) => {
      for (;;) {
        const slice = (await state.claimSlices("r1", 1, lease))[0] ?? null;
        if (slice === null) return;
        claimed.push(slice.index);
        await state.commitSlices("r1", [sliceCommit("r1", slice.index)], FORMAT, lease);
      }
    }));
    assert.deepEqual(claimed.sort((a, b) => a - b), Array.from({ length: n }, (_, i) => i));
    assert.equal((await owner.parts("r1")).length, n);
    assert.equal((await owner.metrics({ limit: 1 }))[0]!.total_rows, n * 10);
  } finally {
    for (const state of states) await state[Symbol.asyncDispose]();
  }
});

each("runs are listed newest first, by export and by being in progress", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await completeRun(state, "r1", lease, {}, { startedAt: "2026-01-01T00:00:00.000Z" });
  await completeRun(state, "r2", lease, {}, { startedAt: "2026-01-02T00:00:00.000Z" });
  await state.beginRun(intentOf("r3", { startedAt: "2026-01-03T00:00:00.000Z" }), slicesOf(1), lease);
  const ids = async (filter: Parameters<State["runs"]>[0]) => (await state.runs(filter)).map((r) => r.runId);
  assert.deepEqual(await ids({ limit: 10 }), ["r3", "r2", "r1"]);
  assert.deepEqual(await ids({ limit: 1 }), ["r3"]);
  assert.deepEqual(await ids({ limit: 10, running: true }), ["r3"]);
  assert.deepEqual(await ids({ limit: 10, exportName: "other" }), []);
  assert.equal((await state.latestRun(KEY))?.runId, "r3");
  assert.equal((await state.latestRun(KEY, "completed"))?.runId, "r2");
  assert.equal(await state.latestRun(OTHER_SOURCE), null);
});

each("parts of runs that nobody will finish are listed until they are forgotten, and no others", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  const uri = "file:///exports/orders";
  await completeRun(state, "done", lease);
  await state.beginRun(intentOf("dead"), slicesOf(2), lease);
  await state.claimSlices("dead", 1, lease);
  await state.commitSlices("dead", [sliceCommit("dead", 0, 1, 2)], FORMAT, lease);
  assert.deepEqual(await state.abandonedParts(uri), []);
  await state.endRun("dead", "failed", true, null, lease);
  assert.deepEqual(await state.abandonedParts(uri), [], "it may still be resumed");
  assert.deepEqual(await state.resetChunks({ key: KEY }), ["dead"]);
  assert.equal(await state.openRun(KEY), null);
  assert.deepEqual(await state.abandonedParts(uri), [
    { runId: "dead", fileName: "dead/c0_0.parquet" },
    { runId: "dead", fileName: "dead/c0_1.parquet" },
  ]);
  assert.deepEqual(await state.abandonedParts("file:///exports/others"), []);
  await state.forgetAbandonedParts("done");
  assert.equal((await state.parts("done")).length, 2, "a completed run's parts are what its manifest names");
  await state.forgetAbandonedParts("dead");
  assert.deepEqual(await state.abandonedParts(uri), []);
});

each("giving up stuck runs spares the ones whose lease is alive", async (place) => {
  await using state = await place.open();
  const live = await mustTake(state);
  await state.beginRun(intentOf("live"), slicesOf(1), live);
  const dead = await mustTake(state, OTHER_SOURCE);
  await state.beginRun(intentOf("dead", { key: OTHER_SOURCE }), slicesOf(1), dead);
  await state.renewLease(dead, 0);
  assert.deepEqual(await state.resetChunks({ stuck: true }), ["dead"]);
  assert.equal((await state.run("live"))?.status, "in_progress");
  assert.deepEqual(await state.resetChunks({ exportName: "orders" }), ["live"]);
  assert.equal(await codeOf(state.claimSlices("live", 1, live)), "RIVET_STATE_CHUNK_CHECKPOINT_GONE");
});

each("every write leaves all or nothing, whichever of its statements fails", async (place) => {
  const faulty = await openFaulty(place);
  await using state = faulty.state;
  const lease = await mustTake(state);
  const commit = taskCommit("r1", {
    cursor: cursorOf("42"),
    committed: { strategy: "incremental", cursor: "42", chunkIndex: null },
    schema: [{ name: "id", type: "int64" }],
    shape: { id: 8, body: 1000 },
  });
  const steps: [string, (lease: Lease) => Promise<unknown>][] = [
    ["beginRun", (l) => state.beginRun(intentOf("r1"), slicesOf(3), l)],
    ["record", () => state.record("r1", "orders", noted({ ChunkStarted: { chunk_index: 0 } }))],
    ["claimSlices", (l) => state.claimSlices("r1", 1, l)],
    ["failSlice", (l) => state.failSlice("r1", 0, "x", false, l)],
    ["claimSlices to return", (l) => state.claimSlices("r1", 2, l)],
    ["returnSlices", (l) => state.returnSlices("r1", [1, 2], l)],
    ["endRun resumable", (l) => state.endRun("r1", "failed", true, taskCommit("r1").metric, l)],
    ["resumeRun", (l) => state.resumeRun("r1", l)],
    ["claimSlices again", (l) => state.claimSlices("r1", 1, l)],
    ["commitSlices", (l) => state.commitSlices("r1", [sliceCommit("r1", 0, 1, 2)], FORMAT, l)],
    ["commitSlices again", (l) => state.commitSlices("r1", [sliceCommit("r1", 0, 2, 1)], FORMAT, l)],
    ["addSlices", (l) => state.addSlices("r1", slicesOf(1, 3), l)],
    ["resetSlices", (l) => state.resetSlices("r1", [0], l)],
    ["the rest", (l) => commitAll(state, "r1", l)],
    ["commitTask", (l) => state.commitTask(commit, l)],
    [
      "recordVerified",
      () => state.recordVerified(KEY, { strategy: "incremental", cursor: "42", chunkIndex: null, runId: "r1" }),
    ],
    ["resetCursor", () => state.resetCursor(KEY)],
    ["takeLease", () => state.takeLease(KEY, holderOf("heir"), 1000, () => true)],
  ];
  for (const [name, step] of steps) {
    if (name === "the rest") {
      await step(lease);
      continue;
    }
    const before = stable(await dump(place));
    let failures = 0;
    for (let n = 1;; n++) {
      faulty.arm(n);
      const error = await step(lease).then(() => null, (e) => e as Error);
      if (!faulty.fired) {
        assert.equal(error, null, `${name}: ${error}`);
        break;
      }
      failures++;
      assert.notEqual(error, null, `${name} swallowed the failure of statement ${n}`);
      assert.equal(stable(await dump(place)), before, `${name}, statement ${n}`);
    }
    faulty.arm(0);
    assert.ok(failures > 0, `${name} was never made to fail`);
    assert.notEqual(stable(await dump(place)), before, `${name} changed nothing in the end`);
  }
});

/** Failed tries may use up counting keys. */
function stable(text: string): string {
  return text.replaceAll(/\\"id\\":\d+/g, "");
}

each("a run that is taken up again counts how often, and keeps the consistency it was given", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state);
  await state.beginRun(intentOf("r1"), slicesOf(2), lease);
  for (const takeover of [1, 2, 3]) {
    assert.equal(await state.resumeRun("r1", lease), takeover);
    assert.equal((await state.run("r1"))?.takeovers, takeover);
  }
  await state.setConsistency("r1", "slice", lease);
  assert.equal((await state.openRun(KEY))?.consistency, "slice");
  await state.releaseLease(lease);
  await assert.rejects(() => state.setConsistency("r1", "snapshot", lease), { code: "RIVET_STATE_LEASE_LOST" });
  assert.equal((await state.openRun(KEY))?.consistency, "slice");
});
