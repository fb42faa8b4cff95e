// Several processes at one run, killed at random: what was reported as committed is there once, and the rest can be finished.

import assert from "node:assert/strict";
import {
  backends,
  commitAll,
  completeRun,
  intentOf,
  KEY,
  mustTake,
  slicesOf,
  type StatePlace,
  taskCommit,
} from "../support/state.ts";
import { chooseSeed } from "../support/random.ts";

const each = await backends([18]);
const WORKER = new URL("../support/state_worker.ts", import.meta.url);
const SLICES = 150;
const WORKERS = 3;
const KILLS = 8;

each("processes that are killed at random lose no slice and commit none twice", async (place) => {
  const seed = chooseSeed();
  console.log(`seed ${seed}`);
  const random = generator(seed);
  await using state = await place.open();
  const lease = await mustTake(state);
  await completeRun(state, "earlier", lease);
  await state.beginRun(intentOf("r1", { maxAttempts: 100 }), slicesOf(SLICES), lease);
  const told = { claimed: [] as number[], committed: [] as number[] };
  let kills = KILLS;
  const lane = async () => {
    while (await runWorker(place, told, () => kills > 0 && random() < 0.1) === "killed") {
      if (--kills <= 0) kills = 0;
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, lane));

  const committed = (await state.slices("r1")).filter((s) => s.status === "completed").map((s) => s.index);
  assert.equal(new Set(told.committed).size, told.committed.length, "no slice was committed by two");
  for (const index of told.committed) assert.ok(committed.includes(index), `slice ${index} was reported committed`);
  await state.resumeRun("r1", lease);
  await commitAll(state, "r1", lease);
  await state.commitTask(taskCommit("r1"), lease);
  const slices = await state.slices("r1");
  const parts = await state.parts("r1");
  assert.ok(slices.length === SLICES && slices.every((s) => s.status === "completed"));
  for (const slice of slices) {
    const own = parts.filter((p) => p.sliceIndex === slice.index);
    assert.equal(own.reduce((sum, p) => sum + p.observations.rows, 0), slice.rows, `slice ${slice.index}`);
  }
  assert.equal(new Set(parts.map((p) => p.fileName)).size, parts.length);
  assert.equal((await state.parts("earlier")).length, 2);
  assert.equal(await state.openRun(KEY), null);
});

/** Runs one worker until it ends by itself, or is killed after a line that `isLast` picks. */
async function runWorker(
  place: StatePlace,
  told: { claimed: number[]; committed: number[] },
  isLast: () => boolean,
): Promise<"ended" | "killed"> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", WORKER.pathname, place.url ?? "", place.directory, "r1", "t1"],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let rest = "";
  let killed = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const [what, index] = line.split(" ") as ["claimed" | "committed", string];
      told[what].push(Number(index));
      if (killed || !isLast()) continue;
      try {
        child.kill("SIGKILL");
        killed = true;
      } catch { /* it had ended, with its last lines unread */ }
    }
  }
  const { code } = await child.status;
  if (!killed) assert.equal(code, 0);
  return killed ? "killed" : "ended";
}

function generator(seed: number): () => number {
  let x = seed >>> 0;
  return () => (x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}
