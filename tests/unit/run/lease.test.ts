// A kept lease: renewed while it is held, given back at the end, and lost only when another holds it or its time is over.

import assert from "node:assert/strict";
import { RivetError } from "../../../src/errors.ts";
import { keepLease } from "../../../src/run/lease.ts";
import { type Runtime, systemRuntime } from "../../../src/runtime.ts";
import type { ExportKey, Holder, State } from "../../../src/state/mod.ts";

const KEY: ExportKey = { exportName: "t", source: "s" };
const HOLDER: Holder = { host: "h", pid: 1, processStart: "", token: "a", runId: null };
/** A third of it is the shortest time between two renewals. */
const TTL_MS = 300;

interface Kept {
  /** How often the state was asked to renew. */
  readonly asked: number;
  /** Why the lease was lost; null when it was kept until `until` renewals. */
  readonly reason: unknown;
}

/** Keeps a lease for some renewals, each answered by `answer`; the clock moves by a third of the lease's life each. */
async function keepFor(renewals: number, answer: (asked: number) => boolean | Error): Promise<Kept> {
  let asked = 0;
  let released = 0;
  let now = 0;
  const enough = Promise.withResolvers<void>();
  const state = {
    takeLease: () => Promise.resolve({ kind: "taken", lease: { key: KEY, holder: HOLDER }, previous: null }),
    renewLease: () => {
      asked++;
      // Answers take no time; what lies between two of them is what moves the clock.
      setTimeout(() => now += TTL_MS / 3, 0);
      if (asked >= renewals) enough.resolve();
      const given = answer(asked);
      return given instanceof Error ? Promise.reject(given) : Promise.resolve(given);
    },
    releaseLease: () => {
      released++;
      return Promise.resolve();
    },
  } as unknown as State;
  const runtime: Runtime = { ...systemRuntime(), monotonic: () => now };
  let reason: unknown = null;
  {
    await using kept = await keepLease(state, KEY, HOLDER, runtime, {
      lockWaitS: 0,
      ttlMs: TTL_MS,
      signal: new AbortController().signal,
      events: () => {},
      isDead: () => false,
    });
    await Promise.race([enough.promise, new Promise((resolve) => kept.lost.addEventListener("abort", resolve))]);
    // The answer to the last question is heard.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (kept.lost.aborted) reason = kept.lost.reason;
  }
  assert.equal(released, 1);
  return { asked, reason };
}

const outage = new RivetError("RIVET_STATE_BACKEND_FAILED", "The state is away");

Deno.test("a lease that is renewed is kept", async () => {
  assert.deepEqual(await keepFor(4, () => true), { asked: 4, reason: null });
});

Deno.test("a lease that another one took is lost at once", async () => {
  const { asked, reason } = await keepFor(9, (n) => n < 2);
  assert.equal(asked, 2);
  assert.equal((reason as RivetError).code, "RIVET_STATE_LEASE_LOST");
});

Deno.test("a state that is away for less than the lease lives loses nothing", async () => {
  assert.deepEqual(await keepFor(8, (n) => n === 2 || n === 3 || n === 6 ? outage : true), { asked: 8, reason: null });
});

Deno.test("a state that stays away ends the lease when its time is over", async () => {
  const { asked, reason } = await keepFor(20, () => outage);
  assert.equal(reason, outage);
  assert.ok(asked <= 4, `${asked} renewals`);
});

Deno.test("a lease that cannot be given back changes nothing about what was done under it", async () => {
  let asked = 0;
  const state = {
    takeLease: () => Promise.resolve({ kind: "taken", lease: { key: KEY, holder: HOLDER }, previous: null }),
    releaseLease: () => Promise.reject(asked++ === 0 ? outage : new Error("asked twice")),
  } as unknown as State;
  {
    await using _kept = await keepLease(state, KEY, HOLDER, systemRuntime(), {
      lockWaitS: 0,
      ttlMs: 60_000,
      signal: new AbortController().signal,
      events: () => {},
      isDead: () => false,
    });
  }
  assert.equal(asked, 1);
});
