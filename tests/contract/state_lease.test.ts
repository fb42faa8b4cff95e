// Leases on both backends: one holder for each export and source, and no write without it.

import assert from "node:assert/strict";
import {
  backends,
  codeOf,
  FORMAT,
  holderOf,
  intentOf,
  KEY,
  mustTake,
  OTHER_SOURCE,
  sliceCommit,
  slicesOf,
  taskCommit,
} from "../support/state.ts";

const each = await backends();
const never = () => false;

each("a second holder is told who holds the lease and until when", async (place) => {
  await using first = await place.open();
  await using second = await place.open();
  const before = Date.now();
  const taken = await first.takeLease(KEY, holderOf("a", { runId: "r1" }), 60_000, never);
  assert.deepEqual(taken, {
    kind: "taken",
    lease: { key: KEY, holder: holderOf("a", { runId: "r1" }) },
    previous: null,
  });
  const held = await second.takeLease(KEY, holderOf("b", { pid: 1 }), 60_000, never);
  assert.ok(held.kind === "held");
  assert.deepEqual(held.holder, holderOf("a", { runId: "r1" }));
  assert.ok(held.expiresAt >= before + 59_000 && held.expiresAt <= Date.now() + 61_000);
});

each("taking a lease twice with one token renews it", async (place) => {
  await using state = await place.open();
  await mustTake(state, KEY, "a", 0);
  const again = await state.takeLease(KEY, holderOf("a"), 60_000, never);
  assert.deepEqual(again, { kind: "taken", lease: { key: KEY, holder: holderOf("a") }, previous: null });
  assert.equal((await state.takeLease(KEY, holderOf("b"), 1, never)).kind, "held");
});

each("an expired lease goes to the next one who asks, who is told whose it was", async (place) => {
  await using state = await place.open();
  const old = await mustTake(state, KEY, "a", 0);
  const result = await state.takeLease(KEY, holderOf("b"), 60_000, never);
  assert.ok(result.kind === "taken");
  assert.deepEqual(result.previous, holderOf("a"));
  assert.equal(await state.renewLease(old, 60_000), false);
  await state.releaseLease(old);
  assert.equal(
    (await state.takeLease(KEY, holderOf("c"), 1, never)).kind,
    "held",
    "the old holder released the new one's lease",
  );
});

each("a lease whose process is dead is taken over before it expires", async (place) => {
  await using state = await place.open();
  await mustTake(state, KEY, "a");
  const asked: string[] = [];
  const isDead = (holder: { token: string }) => (asked.push(holder.token), true);
  const result = await state.takeLease(KEY, holderOf("b"), 60_000, isDead);
  assert.equal(result.kind, "taken");
  assert.deepEqual(asked, ["a"]);
});

each("a released lease is free, and releasing it twice is nothing", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state, KEY, "a");
  await state.releaseLease(lease);
  await state.releaseLease(lease);
  assert.equal(await state.renewLease(lease, 60_000), false);
  const result = await state.takeLease(KEY, holderOf("b"), 60_000, never);
  assert.ok(result.kind === "taken" && result.previous === null);
});

each("renewing moves the end of a lease", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state, KEY, "a", 0);
  assert.equal(await state.renewLease(lease, 60_000), true);
  assert.equal((await state.takeLease(KEY, holderOf("b"), 1, never)).kind, "held");
});

each("leases of one export name on two sources do not meet", async (place) => {
  await using state = await place.open();
  await mustTake(state, KEY, "a");
  await mustTake(state, OTHER_SOURCE, "b");
});

each("of eight that ask at once for a lease exactly one gets it", async (place) => {
  const states = await Promise.all(Array.from({ length: 8 }, () => place.open()));
  try {
    const results = await Promise.all(states.map((s, i) => s.takeLease(KEY, holderOf(`t${i}`), 60_000, never)));
    assert.equal(results.filter((r) => r.kind === "taken").length, 1);
  } finally {
    for (const state of states) await state[Symbol.asyncDispose]();
  }
});

each("no write of a run passes after its lease was taken over, and nothing of it remains", async (place) => {
  await using state = await place.open();
  await using thief = await place.open();
  const lease = await mustTake(state, KEY, "a");
  await state.beginRun(intentOf("r1"), slicesOf(3), lease);
  await state.claimSlices("r1", 1, lease);
  await state.renewLease(lease, 0);
  await mustTake(thief, KEY, "b");
  const refused = {
    beginRun: () => state.beginRun(intentOf("r2"), slicesOf(1), lease),
    resumeRun: () => state.resumeRun("r1", lease),
    claimSlices: () => state.claimSlices("r1", 1, lease),
    commitSlices: () => state.commitSlices("r1", [sliceCommit("r1", 0)], FORMAT, lease),
    returnSlices: () => state.returnSlices("r1", [0], lease),
    failSlice: () => state.failSlice("r1", 0, "x", true, lease),
    resetSlices: () => state.resetSlices("r1", [0], lease),
    addSlices: () => state.addSlices("r1", slicesOf(1, 3), lease),
    commitTask: () => state.commitTask(taskCommit("r1"), lease),
    endRun: () => state.endRun("r1", "failed", false, null, lease),
  };
  for (const [name, write] of Object.entries(refused)) {
    assert.equal(await codeOf(write()), "RIVET_STATE_LEASE_LOST", name);
  }
  assert.equal((await thief.run("r1"))?.status, "in_progress");
  assert.deepEqual((await thief.slices("r1")).map((s) => s.status), ["running", "pending", "pending"]);
  assert.deepEqual(await thief.parts("r1"), []);
});

each("the lease of another source is no leave to write", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state, KEY, "a");
  const other = await mustTake(state, OTHER_SOURCE, "a");
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  assert.equal(await codeOf(state.claimSlices("r1", 1, other)), "RIVET_STATE_CHUNK_CHECKPOINT_GONE");
  assert.equal(
    await codeOf(state.commitTask(taskCommit("r1", { key: OTHER_SOURCE }), other)),
    "RIVET_STATE_CHUNK_CHECKPOINT_GONE",
  );
  assert.equal(await codeOf(state.beginRun(intentOf("r2"), slicesOf(1), other)), "RIVET_INTERNAL_STATE_INVARIANT");
});

each("the run of a lease is shown to those who wait", async (place) => {
  await using state = await place.open();
  const lease = await mustTake(state, KEY, "a");
  await state.beginRun(intentOf("r1"), slicesOf(1), lease);
  const held = await state.takeLease(KEY, holderOf("b"), 1, never);
  assert.ok(held.kind === "held" && held.holder.runId === "r1");
});
