// A lane reads slices, one at a time. In production it is a Worker that may reach this export's source and destination and nothing else.

import { fromWireError, RivetError, toWireError, type WireError } from "../errors.ts";
import { coreFiles } from "../core/mod.ts";
import { destinationHosts, destinationPaths, type ResolvedDestination } from "../destination/mod.ts";
import type { KeysRequest, KeysResult, ObserveRequest, ObserveResult } from "../plan/mod.ts";
import type { Consistency, Engine, ReadReport, SessionLimits, SourceConnection } from "../source/mod.ts";
import type { SliceProgress, SliceRequest, SliceResult } from "./slice.ts";

export interface LaneSpec {
  readonly source: SourceConnection;
  readonly limits: SessionLimits;
  /** Null for a lane that only reads. */
  readonly destination: ResolvedDestination | null;
  /** The picture to join; null makes the lane take its own. */
  readonly snapshot: string | null;
}

export interface RunWatcher {
  onProgress(progress: SliceProgress): void;
  /** The source gave the last row: the lane can read the next slice. */
  onRead(report: ReadReport): void;
}

export interface Lane {
  /** It reads the picture it was told to join; a lane that was told none has its own. */
  readonly joined: boolean;
  /** How its own slices fit together. */
  readonly consistency: Consistency;
  /** Small results as text, in the lane's picture; not while a slice runs. */
  rows(sql: string): Promise<(string | null)[][]>;
  /** May be called again before it answers: slices are read in the order of the calls, and stored beside each other. */
  run(request: SliceRequest, signal: AbortSignal, watcher: RunWatcher): Promise<SliceResult>;
  observe(
    request: ObserveRequest,
    signal: AbortSignal,
    onProgress: (progress: SliceProgress) => void,
  ): Promise<ObserveResult>;
  compareKeys(request: KeysRequest, signal: AbortSignal): Promise<KeysResult>;
  close(): Promise<void>;
}

/** What a lane may ask of the program around it. */
export interface LaneHost {
  /** The destination with its secrets read anew, after the old ones expired. */
  refreshDestination(): Promise<ResolvedDestination>;
  /** Something about the destination that a person should know. */
  warn?(message: string): void;
}

export type OpenLane = (spec: LaneSpec, host: LaneHost) => Promise<Lane>;

export type ToLane =
  /** Not answered: what could not be loaded is told when the lane is opened. */
  | { readonly kind: "load"; readonly engine: Engine; readonly store: ResolvedDestination["kind"] }
  | { readonly kind: "open"; readonly spec: LaneSpec }
  | { readonly kind: "rows"; readonly sql: string }
  | { readonly kind: "run"; readonly request: SliceRequest }
  | { readonly kind: "observe"; readonly request: ObserveRequest }
  | { readonly kind: "compare"; readonly request: KeysRequest }
  | { readonly kind: "abort" }
  | { readonly kind: "credentials"; readonly destination: ResolvedDestination }
  /** There are no new ones: what the lane was about to do with them fails. */
  | { readonly kind: "no_credentials"; readonly error: WireError }
  | { readonly kind: "close" };

/** What is asked and answered carries the number of the question; the rest carries none. */
export type Numbered<T> = T & { readonly id?: number };

export type FromLane =
  | { readonly kind: "opened"; readonly joined: boolean; readonly consistency: Consistency }
  | { readonly kind: "rows"; readonly rows: (string | null)[][] }
  | { readonly kind: "progress"; readonly progress: SliceProgress }
  | { readonly kind: "read"; readonly report: ReadReport }
  /** Answered by `credentials` or `no_credentials`. */
  | { readonly kind: "refresh" }
  | { readonly kind: "warning"; readonly message: string }
  | { readonly kind: "done"; readonly result: SliceResult }
  | { readonly kind: "observed"; readonly result: ObserveResult }
  | { readonly kind: "compared"; readonly result: KeysResult }
  | { readonly kind: "failed"; readonly error: WireError }
  | { readonly kind: "closed" };

/** Exactly what the code in a lane may reach. Secrets travel by message, so it needs no environment. */
export function lanePermissions(
  source: SourceConnection,
  destination: ResolvedDestination | null,
): Deno.PermissionOptionsObject {
  const paths = destination === null ? { read: [], write: [] } : destinationPaths(destination);
  const hosts = [...sourceHosts(source), ...(destination === null ? [] : destinationHosts(destination))];
  const files = source.engine === "sqlite" ? [parentFolder(source.path), ...coreFiles] : coreFiles;
  return {
    net: hosts.length === 0 ? false : hosts,
    read: orNone([...paths.read, ...files]),
    write: orNone(paths.write),
    env: false,
    sys: destination?.kind === "azure" ? ["osRelease"] : false,
    run: false,
    ffi: false,
    import: false,
  };
}

export function sourceHosts(source: SourceConnection): string[] {
  if (source.engine === "sqlite") return [];
  return [source.host.includes(":") ? `[${source.host}]:${source.port}` : `${source.host}:${source.port}`];
}

function orNone(list: string[]): string[] | false {
  return list.length === 0 ? false : list;
}

export function parentFolder(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

/** Lets lanes load their code before their plan is made. */
export type WarmLanes = (source: SourceConnection, destination: ResolvedDestination, count: number) => WarmedLanes;

/** Those that nobody took when this is disposed of are ended. */
export interface WarmedLanes extends Disposable {
  /** Now that the plan is made: ends those that it has no use for. */
  keep(source: SourceConnection, destination: ResolvedDestination, count: number): void;
}

/** Lanes in Workers of their own. One that was warmed goes to whoever asks for exactly its rights. */
export function workerLanes(): { readonly openLane: OpenLane; readonly warmLanes: WarmLanes } {
  const warm = new Map<string, WorkerLane[]>();
  const keyOf = (rights: Deno.PermissionOptionsObject) => JSON.stringify(rights);
  return {
    async openLane(spec, host) {
      const rights = lanePermissions(spec.source, spec.destination);
      const lane = warm.get(keyOf(rights))?.shift() ?? new WorkerLane(rights);
      return await lane.open(spec, host);
    },
    warmLanes(source, destination, count) {
      const rights = lanePermissions(source, destination);
      // More than there are processors would only be in the way of the planning.
      const lanes = Array.from({ length: Math.min(count, navigator.hardwareConcurrency) }, () => {
        const lane = new WorkerLane(rights);
        lane.load(source.engine, destination.kind);
        return lane;
      });
      const key = keyOf(rights);
      warm.set(key, [...warm.get(key) ?? [], ...lanes]);
      const endBeyond = (count: number) => {
        const all = warm.get(key) ?? [];
        const ended = lanes.filter((lane) => all.includes(lane)).slice(count);
        warm.set(key, all.filter((lane) => !ended.includes(lane)));
        for (const lane of ended) lane.end();
      };
      return {
        keep: (source, destination, count) =>
          endBeyond(keyOf(lanePermissions(source, destination)) === key ? count : 0),
        [Symbol.dispose]: () => endBeyond(0),
      };
    },
  };
}

interface Question {
  readonly watcher: Partial<RunWatcher>;
  readonly answer: PromiseWithResolvers<FromLane>;
}

class WorkerLane implements Lane {
  joined = false;
  consistency: Consistency = "none";
  readonly #pending = new Map<number, Question>();
  #asked = 0;
  #dead: RivetError | null = null;

  #host: LaneHost | null = null;
  private readonly worker: Worker;

  constructor(rights: Deno.PermissionOptionsObject) {
    this.worker = new Worker(new URL("./lane_worker.ts", import.meta.url), {
      type: "module",
      name: "rivet-lane",
      deno: { permissions: rights },
    } as WorkerOptions);
    this.worker.onmessage = (event: MessageEvent<Numbered<FromLane>>) => this.#receive(event.data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.#dead = new RivetError("RIVET_RUN_UNITS_FAILED", `A lane died: ${event.message}`, { retry: "reconnect" });
      this.#rejectAll(this.#dead);
    };
  }

  load(engine: Engine, store: ResolvedDestination["kind"]): void {
    this.worker.postMessage({ kind: "load", engine, store } satisfies ToLane);
  }

  async open(spec: LaneSpec, host: LaneHost): Promise<Lane> {
    this.#host = host;
    try {
      const answer = await this.ask({ kind: "open", spec });
      if (answer.kind !== "opened") throw strangeAnswer(answer);
      this.joined = answer.joined;
      this.consistency = answer.consistency;
      return this;
    } catch (error) {
      this.end();
      throw error;
    }
  }

  end(): void {
    this.worker.terminate();
  }

  /** Sends one request and waits for its answer. */
  async ask(message: ToLane, watcher: Partial<RunWatcher> = {}): Promise<FromLane> {
    if (this.#dead !== null) throw this.#dead;
    const id = ++this.#asked;
    const answer = Promise.withResolvers<FromLane>();
    this.#pending.set(id, { watcher, answer });
    this.worker.postMessage({ ...message, id } satisfies Numbered<ToLane>);
    try {
      const message = await answer.promise;
      if (message.kind === "failed") throw fromWireError(message.error);
      return message;
    } finally {
      this.#pending.delete(id);
    }
  }

  #receive(message: Numbered<FromLane>): void {
    if (message.kind === "refresh") return this.#refresh();
    if (message.kind === "warning") return this.#host?.warn?.(message.message);
    const question = this.#pending.get(message.id ?? 0);
    if (message.kind === "progress") question?.watcher.onProgress?.(message.progress);
    else if (message.kind === "read") question?.watcher.onRead?.(message.report);
    else question?.answer.resolve(message);
  }

  #refresh(): void {
    this.#host?.refreshDestination().then(
      (destination) => this.worker.postMessage({ kind: "credentials", destination } satisfies ToLane),
      (error) => this.worker.postMessage({ kind: "no_credentials", error: toWireError(error) } satisfies ToLane),
    );
  }

  #rejectAll(error: unknown): void {
    for (const { answer } of this.#pending.values()) answer.reject(error);
  }

  async rows(sql: string): Promise<(string | null)[][]> {
    const answer = await this.ask({ kind: "rows", sql });
    if (answer.kind !== "rows") throw strangeAnswer(answer);
    return answer.rows;
  }

  async run(request: SliceRequest, signal: AbortSignal, watcher: RunWatcher): Promise<SliceResult> {
    const answer = await this.#work({ kind: "run", request }, signal, watcher);
    if (answer.kind !== "done") throw strangeAnswer(answer);
    return answer.result;
  }

  async observe(
    request: ObserveRequest,
    signal: AbortSignal,
    onProgress: (progress: SliceProgress) => void,
  ): Promise<ObserveResult> {
    const answer = await this.#work({ kind: "observe", request }, signal, { onProgress });
    if (answer.kind !== "observed") throw strangeAnswer(answer);
    return answer.result;
  }

  async compareKeys(request: KeysRequest, signal: AbortSignal): Promise<KeysResult> {
    const answer = await this.#work({ kind: "compare", request }, signal, {});
    if (answer.kind !== "compared") throw strangeAnswer(answer);
    return answer.result;
  }

  /** A request that can be stopped. */
  async #work(message: ToLane, signal: AbortSignal, watcher: Partial<RunWatcher>): Promise<FromLane> {
    signal.throwIfAborted();
    const abort = () => this.worker.postMessage({ kind: "abort" } satisfies ToLane);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await this.ask(message, watcher);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async close(): Promise<void> {
    if (this.#dead === null) {
      const patience = setTimeout(() => this.#rejectAll(new Error("The lane does not close")), CLOSE_PATIENCE_MS);
      await this.ask({ kind: "close" }).catch(() => {});
      clearTimeout(patience);
    }
    this.end();
  }
}

function strangeAnswer(answer: FromLane): RivetError {
  return new RivetError("RIVET_INTERNAL_RUN_INVARIANT", `A lane answered '${answer.kind}'`);
}

/** A lane that does not close its connections in this time is ended; the server notices by itself. */
const CLOSE_PATIENCE_MS = 2_000;
