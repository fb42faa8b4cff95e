// The lease of an export: taken before anything is read, renewed while the run lives, checked again at every commit by the state.

import type { Destination } from "../destination/mod.ts";
import { RivetError } from "../errors.ts";
import type { EventSink } from "../report/mod.ts";
import type { Runtime } from "../runtime.ts";
import type { ExportKey, Holder, Lease, State } from "../state/mod.ts";

export const LEASE_TTL_MS_DEFAULT = 30_000;
const POLL_MS = 500;

export interface LeaseOptions {
  /** How long a live holder is waited for; 0 refuses at once. */
  readonly lockWaitS: number;
  readonly ttlMs: number;
  readonly signal: AbortSignal;
  readonly events: EventSink;
  /** Whether the process of a holder on this host is gone. */
  readonly isDead: (holder: Holder) => boolean;
}

/** A lease that renews itself. `lost` aborts when it could not be kept. */
export interface KeptLease extends AsyncDisposable {
  readonly lease: Lease;
  readonly lost: AbortSignal;
}

/** Waits for the lease of an export; a live holder is named, a dead one is taken over. */
export async function keepLease(
  state: State,
  key: ExportKey,
  holder: Holder,
  runtime: Runtime,
  options: LeaseOptions,
): Promise<KeptLease> {
  const began = runtime.monotonic();
  let told = false;
  for (;;) {
    options.signal.throwIfAborted();
    const result = await state.takeLease(key, holder, options.ttlMs, options.isDead);
    if (result.kind === "taken") return keep(state, result.lease, runtime, options.ttlMs);
    const who = `process ${result.holder.pid} on ${result.holder.host}`;
    const waited = runtime.monotonic() - began;
    if (waited >= options.lockWaitS * 1000) throw refuse(key, who, result.holder.runId, options.lockWaitS);
    if (!told) options.events({ kind: "waiting", exportName: key.exportName, holder: who, seconds: options.lockWaitS });
    told = true;
    await runtime.sleep(POLL_MS, options.signal);
  }
}

function refuse(key: ExportKey, who: string, runId: string | null, lockWaitS: number): RivetError {
  const code = lockWaitS === 0 ? "RIVET_STATE_RUN_IN_PROGRESS" : "RIVET_STATE_LOCK_TIMEOUT";
  return new RivetError(code, `${who} runs this export${runId === null ? "" : ` (run ${runId})`}`, {
    where: `export '${key.exportName}'`,
    cure: "Wait for it to end, or stop it; `--lock-wait SECONDS` says how long to wait",
  });
}

/** A renewal that fails is not yet a lease that is lost: it holds until its time is over, and the state may come back before. */
function keep(state: State, lease: Lease, runtime: Runtime, ttlMs: number): KeptLease {
  const lost = new AbortController();
  let keptAt = runtime.monotonic();
  let renewing: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    const askedAt = runtime.monotonic();
    renewing = state.renewLease(lease, ttlMs).then((kept) => {
      if (kept) keptAt = askedAt;
      else lost.abort(leaseLost(lease));
    }, (error) => {
      if (runtime.monotonic() - keptAt >= ttlMs) lost.abort(error);
    });
  }, Math.max(100, ttlMs / 3));
  return {
    lease,
    lost: lost.signal,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await renewing;
      // Its time is over soon by itself: what the run has done or not done stays what it is.
      await state.releaseLease(lease).catch(() => {});
    },
  };
}

/**
 * The destination as the holder of a lease sees it: each change asks first whether the lease is still held. A process that was stopped
 * for longer than its lease lives must not touch what its successor made, and it cannot know that it was stopped.
 */
export function whileHeld(destination: Destination, state: State, lease: Lease, ttlMs: number): Destination {
  const hold = async () => {
    if (!await state.renewLease(lease, ttlMs)) throw leaseLost(lease);
  };
  return {
    capabilities: destination.capabilities,
    uri: destination.uri,
    put: async (key, body, options) => {
      await hold();
      return await destination.put(key, body, options);
    },
    get: (key, range) => destination.get(key, range),
    stat: (key) => destination.stat(key),
    list: (prefix) => destination.list(prefix),
    remove: async (key) => {
      await hold();
      await destination.remove(key);
    },
    quarantine: async (key, runId) => {
      await hold();
      await destination.quarantine(key, runId);
    },
    sweep: async (owns, isOwnRun) => {
      await hold();
      return await destination.sweep(owns, isOwnRun);
    },
    [Symbol.asyncDispose]: () => destination[Symbol.asyncDispose](),
  };
}

function leaseLost(lease: Lease): RivetError {
  return new RivetError("RIVET_STATE_LEASE_LOST", "Another process took this export over", {
    where: `export '${lease.key.exportName}'`,
  });
}
