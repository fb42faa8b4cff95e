// A repair in the state, on every backend: its slices replace those of the run that it repairs, all of them or none.

import assert from "node:assert/strict";
import type { RepairCommit, State } from "../../src/state/mod.ts";
import { REPAIR_MODE } from "../../src/state/mod.ts";
import {
  backends,
  codeOf,
  completeRun,
  cursorOf,
  FORMAT,
  intentOf,
  KEY,
  mustTake,
  openFaulty,
  OTHER_SOURCE,
  sliceCommit,
  slicesOf,
  taskCommit,
} from "../support/state.ts";

const each = await backends();

function repairCommit(more: Partial<RepairCommit> = {}): RepairCommit {
  return {
    runId: "fix",
    repairs: "r1",
    key: KEY,
    planJson: '{"window":null,"marks":{"1":null}}',
    consistency: "slice",
    edge: null,
    metric: { ...taskCommit("fix").metric, mode: "repair" },
    ...more,
  };
}

/** Run `r1` with two slices of one part each, and a repair of its slice 1 with two parts that only lacks its end. */
async function prepareRepair(state: State) {
  const lease = await mustTake(state);
  await completeRun(state, "r1", lease, {
    cursor: cursorOf("7"),
    committed: { strategy: "incremental", cursor: "7", chunkIndex: null },
  });
  const intent = intentOf("fix", { mode: REPAIR_MODE, startedAt: "2026-02-02T00:00:00.000Z" });
  await state.beginRun(intent, slicesOf(1, 1), lease);
  const slice = (await state.claimSlices("fix", 1, lease))[0] ?? null;
  assert.equal(slice?.index, 1);
  await state.commitSlices("fix", [sliceCommit("fix", 1, 1, 2)], FORMAT, lease);
  return lease;
}

async function partNames(state: State, runId: string): Promise<string[]> {
  return (await state.parts(runId)).map(({ fileName }) => fileName);
}

each("a repair's slices and parts become those of the run it repairs; cursor and boundary stay", async (place) => {
  await using state = await place.open();
  const lease = await prepareRepair(state);
  const before = { progression: await state.progression(), cursor: await state.cursor(KEY) };
  await state.commitRepair(repairCommit(), lease);
  assert.deepEqual(await partNames(state, "r1"), ["r1/c0_0.parquet", "fix/c1_0.parquet", "fix/c1_1.parquet"]);
  assert.deepEqual(await partNames(state, "fix"), []);
  assert.deepEqual((await state.slices("r1")).map(({ rows, status }) => [rows, status]), [
    [10, "completed"],
    [20, "completed"],
  ]);
  assert.equal((await state.slices("r1"))[1]!.observations?.rows, 20);
  const run = await state.run("r1");
  assert.deepEqual([run?.status, run?.consistency, run?.planJson], [
    "completed",
    "slice",
    '{"window":null,"marks":{"1":null}}',
  ]);
  assert.equal((await state.run("fix"))?.status, "completed");
  assert.equal(await state.openRun(KEY), null);
  assert.deepEqual({ progression: await state.progression(), cursor: await state.cursor(KEY) }, before);
  assert.equal((await state.metrics({ limit: 1 }))[0]!.run_id, "fix");
  // Once more: its answer may have been lost.
  await state.commitRepair(repairCommit(), lease);
  assert.equal((await state.parts("r1")).length, 3);
});

each("the edge of a repaired window replaces the stored one only where the cursor is that run's", async (place) => {
  await using state = await place.open();
  const lease = await prepareRepair(state);
  await state.commitRepair(repairCommit({ edge: { aa: 3 } }), lease);
  const cursor = await state.cursor(KEY);
  assert.deepEqual([cursor?.value, cursor?.edge], ["7", { aa: 3 }]);
  await completeRun(state, "r2", lease, { cursor: cursorOf("9") }, { startedAt: "2026-03-01T00:00:00.000Z" });
  await state.beginRun(intentOf("late", { mode: REPAIR_MODE }), slicesOf(1, 1), lease);
  await state.claimSlices("late", 1, lease);
  await state.commitSlices("late", [sliceCommit("late", 1)], FORMAT, lease);
  await state.commitRepair(repairCommit({ runId: "late", edge: { bb: 1 } }), lease);
  assert.deepEqual((await state.cursor(KEY))?.edge, cursorOf("9").edge);
});

each("a repair is never the latest run of its export, and does not let that run be forgotten", async (place) => {
  await using state = await place.open();
  const lease = await prepareRepair(state);
  assert.equal((await state.latestRun(KEY))?.runId, "r1");
  await state.commitRepair(repairCommit(), lease);
  assert.equal((await state.latestRun(KEY, "completed"))?.runId, "r1");
  await state.vacuum(0);
  assert.equal((await state.run("r1"))?.status, "completed");
  assert.equal((await state.parts("r1")).length, 3);
});

each("a repair that is not read to its end, or of a run that is none, is refused", async (place) => {
  await using state = await place.open();
  const lease = await prepareRepair(state);
  await state.resetSlices("fix", [1], lease);
  assert.equal(await codeOf(state.commitRepair(repairCommit(), lease)), "RIVET_INTERNAL_STATE_INVARIANT");
  await state.claimSlices("fix", 1, lease);
  await state.commitSlices("fix", [sliceCommit("fix", 1)], FORMAT, lease);
  assert.equal(
    await codeOf(state.commitRepair(repairCommit({ repairs: "never" }), lease)),
    "RIVET_STATE_CHUNK_RUN_MISSING",
  );
  assert.deepEqual(await partNames(state, "r1"), ["r1/c0_0.parquet", "r1/c1_0.parquet"]);
  await state.releaseLease(lease);
  await mustTake(state, KEY, "t2");
  assert.equal(await codeOf(state.commitRepair(repairCommit(), lease)), "RIVET_STATE_LEASE_LOST");
});

each("a failure in the middle of a repair's end leaves the run as it was", async (place) => {
  const faulty = await openFaulty(place);
  await using state = faulty.state;
  const lease = await prepareRepair(state);
  let statements = 0;
  for (;; statements++) {
    faulty.arm(statements + 1);
    const code = await codeOf(state.commitRepair(repairCommit({ edge: { aa: 3 } }), lease));
    const { fired } = faulty;
    faulty.arm(0);
    if (code === null && !fired) break;
    assert.deepEqual(await partNames(state, "r1"), ["r1/c0_0.parquet", "r1/c1_0.parquet"]);
    assert.deepEqual((await state.slices("r1")).map(({ rows }) => rows), [10, 10]);
    assert.equal((await state.openRun(KEY))?.runId, "fix");
  }
  assert.ok(statements >= 8, `only ${statements} statements`);
  assert.equal((await state.parts("r1")).length, 3);
});

each("the partitions of an export are found by the beginning of their names", async (place) => {
  await using state = await place.open();
  for (const exportName of ["t", "t__2026-01", "t__null", "t_x", "tt__2026-01", "é😀__1"]) {
    const key = { exportName, source: KEY.source };
    await completeRun(state, `run of ${exportName}`, await mustTake(state, key), {}, { key });
  }
  const other = { exportName: "t__2026-02", source: OTHER_SOURCE.source };
  await completeRun(state, "elsewhere", await mustTake(state, other), {}, { key: other });
  assert.deepEqual(await state.exportNames(KEY.source, "t__"), ["t__2026-01", "t__null"]);
  assert.deepEqual(await state.exportNames(KEY.source, "é😀__"), ["é😀__1"]);
});
