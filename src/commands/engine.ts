// The engine as commands use it: real sources, destinations and lanes in Workers.

import type { Config } from "../config/mod.ts";
import type { RunContext, RunOptions } from "../run/mod.ts";
import type { LateState } from "../state/mod.ts";
import { VERSION } from "../version.ts";
import type { CommandContext } from "./command.ts";

/** What every command that reads rows gives the engine. `options` are those of the command. */
export async function buildRunContext(
  context: CommandContext,
  config: Config,
  late: LateState,
  options: Partial<RunOptions>,
  events: RunContext["events"],
): Promise<RunContext> {
  const { runtime, signal } = context;
  const [
    { openSource },
    { openDestination },
    { LEASE_TTL_MS_DEFAULT, workerLanes },
    { openState },
    { isDead, processStart },
  ] = await Promise.all([
    import("../source/mod.ts"),
    import("../destination/mod.ts"),
    import("../run/mod.ts"),
    import("../state/mod.ts"),
    import("./process.ts"),
  ]);
  const ttl = runtime.env("RIVET_STATE_LEASE_TTL_S");
  return {
    config,
    options: {
      validate: false,
      reconcile: false,
      resume: false,
      force: false,
      strict: false,
      lockWaitS: context.globals().lockWaitS,
      ...options,
    },
    runtime,
    version: VERSION,
    state: late.state,
    hasState: late.exists,
    events,
    signal,
    leaseTtlMs: ttl === undefined || !/^\d+$/.test(ttl) ? LEASE_TTL_MS_DEFAULT : Number(ttl) * 1000,
    openSource,
    openDestination,
    ...workerLanes(),
    openMemoryState: () => openState({ url: "sqlite::memory:", directory: config.directory }),
    isDead: (holder) => isDead(holder, runtime),
    processStart: processStart(runtime.pid),
  };
}
