// The engine in this process: lanes without Workers, sources, destinations and state that can be wrapped with faults.

import { openCore } from "../../src/core/mod.ts";
import { type Config, readConfig } from "../../src/config/mod.ts";
import { type Destination, openDestination } from "../../src/destination/mod.ts";
import type { AggregateSummary, RunEvent, RunSummary } from "../../src/report/mod.ts";
import {
  compareKeys,
  compareSliceKeys,
  type Lane,
  type LaneSpec,
  observeSlice,
  openTurns,
  repairUnit,
  rereadSlices,
  type RunContext,
  runExports,
} from "../../src/run/mod.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { openSource, type Source } from "../../src/source/mod.ts";
import { openState, type State } from "../../src/state/mod.ts";
import {
  executeRepair,
  type GivenReport,
  planRepair,
  type ReconcileContext,
  reconcileExport,
  type ReconcileOptions,
  type ReconcileReport,
  type RepairPlan,
  type RepairReport,
} from "../../src/verify/mod.ts";
import { Faults, withFaults } from "./faults.ts";

export interface EngineOptions {
  readonly configPath: string;
  readonly faults?: Faults;
  readonly params?: Record<string, string>;
  readonly env?: Record<string, string>;
  readonly options?: Partial<RunContext["options"]>;
  /** The state's place; absent or undefined = the file beside the config. */
  readonly stateUrl?: string | undefined;
  readonly onEvent?: (event: RunEvent) => void;
  readonly nowMs?: () => number;
  readonly signal?: AbortSignal;
  /** Put around every source, inside the faults. */
  readonly wrapSource?: (inner: Source) => Source;
  /** What a plan artifact makes of the exports. */
  readonly applied?: (config: Config) => RunContext["applied"];
  /** Puts something between the engine and its lanes. */
  readonly wrapLane?: (lane: Lane) => Lane;
}

let pid = 10_000;

/** Runs all exports of a config once, as one process would: with a process number of its own. */
export function runEngine(given: EngineOptions): Promise<AggregateSummary> {
  return withEngine(given, (context) => runExports(context, context.config.exports, 1));
}

/** Compares the first export of a config, or the named one, with its source. */
export function reconcileEngine(
  given: EngineOptions & { readonly exportName?: string },
  options: Partial<ReconcileOptions> = {},
): Promise<ReconcileReport> {
  return withEngine(given, (context) => {
    const entry = context.config.exports.find(({ name }) => name === (given.exportName ?? name))!;
    return reconcileExport(toReconcileContext(context), entry, {
      depth: "content",
      keysMax: null,
      runId: null,
      ...options,
    });
  });
}

export function toReconcileContext(context: RunContext): RunContext & ReconcileContext {
  return {
    ...context,
    reread: (input) => rereadSlices(context, input),
    compareKeys: (input, requests) => compareSliceKeys(context, input, requests),
  };
}

/** What one process does with the engine: a process number, a state and faults of its own. */
export async function withEngine<T>(given: EngineOptions, body: (context: RunContext) => Promise<T>): Promise<T> {
  const faults = given.faults ?? new Faults(0, "fail");
  const system = systemRuntime();
  const runtime = {
    ...system,
    hostname: "test",
    pid: ++pid,
    env: (name: string) => given.env?.[name] ?? Deno.env.get(name),
    now: given.nowMs ?? system.now,
    sleep: (_ms: number, signal?: AbortSignal) => {
      signal?.throwIfAborted();
      return Promise.resolve();
    },
  };
  const config = await readConfig(given.configPath, { params: given.params ?? {}, runtime });
  const source = (inner: Source) => withFaults(inner, "source", faults, ["serverVersion"]);
  const destination = (inner: Destination) => withFaults(inner, "destination", faults);
  const openFaultySource: RunContext["openSource"] = async (connection, limits) => {
    faults.point("source.open");
    const inner = await openSource(connection, limits);
    return source(given.wrapSource?.(inner) ?? inner);
  };
  const openFaultyDestination: RunContext["openDestination"] = async (resolved) =>
    destination(await openDestination(resolved));
  await using plain = await openState({ url: given.stateUrl, directory: config.directory });
  const state: State = withFaults(plain, "state", faults, ["record", "returnSlices", "renewLease", "releaseLease"]);
  const applied = given.applied?.(config);
  const context: RunContext = {
    config,
    ...(applied === undefined ? {} : { applied }),
    options: {
      validate: false,
      reconcile: false,
      resume: false,
      force: false,
      strict: false,
      lockWaitS: 0,
      ...given.options,
    },
    runtime,
    version: "test",
    state,
    hasState: () => Promise.resolve(true),
    events: given.onEvent ?? (() => {}),
    signal: given.signal ?? new AbortController().signal,
    leaseTtlMs: 60_000,
    openSource: openFaultySource,
    openDestination: openFaultyDestination,
    openLane: async (spec) => {
      const lane = await openLocalLane(spec, openFaultySource, openFaultyDestination);
      return given.wrapLane?.(lane) ?? lane;
    },
    openMemoryState: () => openState({ url: "sqlite::memory:", directory: config.directory }),
    // Every earlier process of a test is dead.
    isDead: (holder) => holder.pid !== runtime.pid,
    processStart: String(runtime.pid),
  };
  try {
    return await body(context);
  } finally {
    await faults.settle();
  }
}

/** A lane in this process: the same slices, no sandbox. */
async function openLocalLane(
  spec: LaneSpec,
  open: RunContext["openSource"],
  openStore: RunContext["openDestination"],
): Promise<Awaited<ReturnType<RunContext["openLane"]>>> {
  const core = await openCore();
  const source = await open(spec.source, spec.limits);
  try {
    const joined = await source.begin(spec.snapshot) !== null && spec.snapshot !== null;
    const destination = spec.destination === null ? null : await openStore(spec.destination);
    const runInTurn = openTurns();
    return {
      joined,
      consistency: source.consistency ?? "snapshot",
      rows: (sql) => source.rows(sql),
      run: (request, signal, watcher) =>
        runInTurn(request, { source, destination: destination!, core, signal, ...watcher }),
      observe: (request, signal, onProgress) => observeSlice(request, { source, core, signal, onProgress }),
      compareKeys: (request, signal) =>
        compareKeys(request, { source, destination: destination!, core, signal, onProgress: () => {} }),
      async close() {
        await source[Symbol.asyncDispose]();
        await destination?.[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}

/** Repairs an export from a report, or from what is found now; `execute` does it. */
export function repairEngine(
  given: EngineOptions,
  options: { readonly report?: ReconcileReport; readonly given?: GivenReport; readonly exportName?: string } = {},
): Promise<{ plan: RepairPlan; report: RepairReport; summaries: readonly RunSummary[] }> {
  return withEngine(given, async (context) => {
    const entry = context.config.exports.find(({ name }) => name === (options.exportName ?? name))!;
    const repairContext = toReconcileContext(context);
    const report: GivenReport | null = options.given ??
      (options.report === undefined ? null : { kind: "reconcile", report: options.report });
    const plan = await planRepair(repairContext, entry, { report, depth: "content" });
    return { plan, ...await executeRepair(repairContext, entry, plan, (request) => repairUnit(context, request)) };
  });
}
