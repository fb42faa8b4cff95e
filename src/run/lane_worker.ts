// The inside of a lane. It has no environment, no state and no right beyond its source and destination.

import "./environment_shim.ts";
import { fromWireError, invariant, toWireError } from "../errors.ts";
import { compileCore, type Core, openCore } from "../core/mod.ts";
import { type Destination, loadDestination, openDestination, type ResolvedDestination } from "../destination/mod.ts";
import type { KeysRequest, ObserveRequest } from "../plan/mod.ts";
import { type Consistency, loadSource, openSource, type ReadReport, type Source } from "../source/mod.ts";
import type { FromLane, LaneSpec, Numbered, ToLane } from "./lane.ts";
import { compareKeys, observeSlice } from "./observe.ts";
import type { SliceProgress, SliceRequest } from "./slice.ts";
import { openTurns } from "./turns.ts";

interface Scope {
  onmessage: ((event: MessageEvent<Numbered<ToLane>>) => void) | null;
  postMessage(message: Numbered<FromLane>): void;
}

const scope = self as unknown as Scope;
const PROGRESS_EVERY_MS = 200;

let tools: { source: Source; destination: Destination | null; core: Core } | null = null;
/** One for all that runs: what stops one stops the lane. */
let running = new AbortController();
let runsUnderWay = 0;
const runInTurn = openTurns();

async function open(spec: LaneSpec): Promise<{ joined: boolean; consistency: Consistency }> {
  const core = await openCore();
  const destination = spec.destination === null
    ? null
    : await openDestination(spec.destination, { refresh, onWarning });
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

function onWarning(message: string): void {
  scope.postMessage({ kind: "warning", message });
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

/** The tools of one request, with a pace of its own. */
function workTools(id: number) {
  invariant(tools !== null, "A lane was asked to work before it was opened");
  let next = performance.now() + PROGRESS_EVERY_MS;
  const onProgress = (progress: SliceProgress) => {
    const now = performance.now();
    if (now < next) return;
    next = now + PROGRESS_EVERY_MS;
    scope.postMessage({ kind: "progress", progress, id });
  };
  return { ...tools, signal: running.signal, onProgress };
}

/** A signal that was aborted is replaced when nothing that it stopped is left. */
async function work(body: () => Promise<FromLane>): Promise<FromLane> {
  if (runsUnderWay === 0) running = new AbortController();
  runsUnderWay++;
  try {
    return await body();
  } finally {
    runsUnderWay--;
  }
}

async function run(request: SliceRequest, id: number): Promise<FromLane> {
  const { destination, ...work } = workTools(id);
  invariant(destination !== null, "A lane without a destination was asked to write");
  const onRead = (report: ReadReport) => scope.postMessage({ kind: "read", report, id });
  return { kind: "done", result: await runInTurn(request, { ...work, destination, onRead }) };
}

async function observe(request: ObserveRequest, id: number): Promise<FromLane> {
  return { kind: "observed", result: await observeSlice(request, workTools(id)) };
}

async function compare(request: KeysRequest, id: number): Promise<FromLane> {
  const { destination, ...work } = workTools(id);
  invariant(destination !== null, "A lane without a destination was asked to read from it");
  return { kind: "compared", result: await compareKeys(request, { ...work, destination }) };
}

async function close(): Promise<void> {
  const { source, destination } = tools ?? {};
  tools = null;
  await source?.[Symbol.asyncDispose]();
  await destination?.[Symbol.asyncDispose]();
}

/** Null for what has no answer. */
async function answer(message: ToLane, id: number): Promise<FromLane | null> {
  switch (message.kind) {
    case "load":
      await Promise.allSettled([compileCore(), loadSource(message.engine), loadDestination(message.store)]);
      return null;
    case "open":
      return { kind: "opened", ...await open(message.spec) };
    case "rows":
      return { kind: "rows", rows: await ask(message.sql) };
    case "run":
      return await work(() => run(message.request, id));
    case "observe":
      return await work(() => observe(message.request, id));
    case "compare":
      return await work(() => compare(message.request, id));
    case "abort":
      running.abort();
      return null;
    case "credentials":
      fresh?.resolve(message.destination);
      fresh = null;
      return null;
    case "no_credentials":
      fresh?.reject(fromWireError(message.error));
      fresh = null;
      return null;
    case "close":
      await close();
      return { kind: "closed" };
    default: {
      const never: never = message;
      return never;
    }
  }
}

scope.onmessage = ({ data }) => {
  const id = data.id ?? 0;
  answer(data, id).then(
    (message) => message === null ? undefined : scope.postMessage({ ...message, id }),
    (error) => scope.postMessage({ kind: "failed", error: toWireError(error), id }),
  );
};
