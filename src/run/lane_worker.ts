// The inside of a lane. It has no environment, no state and no right beyond its source and destination.

import "./environment_shim.ts";
import { invariant, toWireError } from "../errors.ts";
import { compileCore, type Core, openCore } from "../core/mod.ts";
import { type Destination, loadDestination, openDestination, type ResolvedDestination } from "../destination/mod.ts";
import type { KeysRequest, ObserveRequest } from "../plan/mod.ts";
import { type Consistency, loadSource, openSource, type Source } from "../source/mod.ts";
import type { FromLane, LaneSpec, ToLane } from "./lane.ts";
import { compareKeys, observeSlice } from "./observe.ts";
import { runSlice, type SliceProgress, type SliceRequest } from "./slice.ts";

interface Scope {
  onmessage: ((event: MessageEvent<ToLane>) => void) | null;
  postMessage(message: FromLane): void;
}

const scope = self as unknown as Scope;
const PROGRESS_EVERY_MS = 200;

let tools: { source: Source; destination: Destination | null; core: Core } | null = null;
let running = new AbortController();

async function open(spec: LaneSpec): Promise<{ joined: boolean; consistency: Consistency }> {
  const core = await openCore();
  const destination = spec.destination === null ? null : await openDestination(spec.destination, { refresh });
  try {
    const source = await openSource(spec.source, spec.limits);
    let joined: boolean;
    try {
      joined = await source.begin(spec.snapshot) !== null && spec.snapshot !== null;
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
    tools = { source, destination, core };
    return { joined, consistency: source.consistency ?? "snapshot" };
  } catch (error) {
    await destination?.[Symbol.asyncDispose]();
    throw error;
  }
}

let fresh: PromiseWithResolvers<ResolvedDestination> | null = null;

/** A lane has no environment: new secrets come from outside. */
function refresh(): Promise<ResolvedDestination> {
  if (fresh === null) {
    fresh = Promise.withResolvers<ResolvedDestination>();
    scope.postMessage({ kind: "refresh" });
  }
  return fresh.promise;
}

async function ask(sql: string): Promise<(string | null)[][]> {
  invariant(tools !== null, "A lane was asked before it was opened");
  return await tools.source.rows(sql);
}

/** The tools of one request, with a signal and a pace of its own. */
function beginWork() {
  invariant(tools !== null, "A lane was asked to work before it was opened");
  running = new AbortController();
  let next = performance.now() + PROGRESS_EVERY_MS;
  const onProgress = (progress: SliceProgress) => {
    const now = performance.now();
    if (now < next) return;
    next = now + PROGRESS_EVERY_MS;
    scope.postMessage({ kind: "progress", progress });
  };
  return { ...tools, signal: running.signal, onProgress };
}

async function run(request: SliceRequest): Promise<void> {
  const { destination, ...work } = beginWork();
  invariant(destination !== null, "A lane without a destination was asked to write");
  scope.postMessage({ kind: "done", result: await runSlice(request, { ...work, destination }) });
}

async function observe(request: ObserveRequest): Promise<void> {
  scope.postMessage({ kind: "observed", result: await observeSlice(request, beginWork()) });
}

async function compare(request: KeysRequest): Promise<void> {
  const { destination, ...work } = beginWork();
  invariant(destination !== null, "A lane without a destination was asked to read from it");
  scope.postMessage({ kind: "compared", result: await compareKeys(request, { ...work, destination }) });
}

async function close(): Promise<void> {
  const { source, destination } = tools ?? {};
  tools = null;
  await source?.[Symbol.asyncDispose]();
  await destination?.[Symbol.asyncDispose]();
  scope.postMessage({ kind: "closed" });
}

async function answer(message: ToLane): Promise<void> {
  switch (message.kind) {
    case "load":
      await Promise.allSettled([compileCore(), loadSource(message.engine), loadDestination(message.store)]);
      return;
    case "open":
      return scope.postMessage({ kind: "opened", ...await open(message.spec) });
    case "rows":
      return scope.postMessage({ kind: "rows", rows: await ask(message.sql) });
    case "run":
      return await run(message.request);
    case "observe":
      return await observe(message.request);
    case "compare":
      return await compare(message.request);
    case "abort":
      return running.abort();
    case "credentials":
      fresh?.resolve(message.destination);
      fresh = null;
      return;
    case "close":
      return await close();
    default: {
      const never: never = message;
      return never;
    }
  }
}

scope.onmessage = (event) => {
  answer(event.data).catch((error) => scope.postMessage({ kind: "failed", error: toWireError(error) }));
};
