// What the engine is given: everything that touches the outside, so that tests can put their own in its place.

import type { Config } from "../config/mod.ts";
import type { Destination, OpenOptions, ResolvedDestination } from "../destination/mod.ts";
import type { Unit } from "../plan/mod.ts";
import type { EventSink } from "../report/mod.ts";
import type { Runtime } from "../runtime.ts";
import type { SessionLimits, Source, SourceConnection } from "../source/mod.ts";
import type { Holder, State } from "../state/mod.ts";
import type { OpenLane, WarmLanes } from "./lane.ts";

export interface RunOptions {
  readonly validate: boolean;
  readonly reconcile: boolean;
  readonly resume: boolean;
  /** Leaves out what has no run to finish and a complete prefix. */
  readonly skipComplete?: boolean;
  readonly force: boolean;
  readonly strict: boolean;
  readonly lockWaitS: number;
}

export interface RunContext {
  readonly config: Config;
  /** What a plan artifact makes of each export, by name; absent = everything is planned now. */
  readonly applied?: ReadonlyMap<string, readonly Unit[]>;
  readonly options: RunOptions;
  readonly runtime: Runtime;
  readonly version: string;
  readonly state: State;
  /** False before the first run: its first call then makes the state, and what can be refused is refused before. */
  readonly hasState: () => Promise<boolean>;
  readonly events: EventSink;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  readonly leaseTtlMs: number;
  readonly openSource: (connection: SourceConnection, limits: SessionLimits) => Promise<Source>;
  readonly openDestination: (resolved: ResolvedDestination, options?: OpenOptions) => Promise<Destination>;
  readonly openLane: OpenLane;
  /** Absent where lanes need no time to load. */
  readonly warmLanes?: WarmLanes;
  /** Opens a state that forgets everything, for destinations that cannot keep a promise. */
  readonly openMemoryState: () => Promise<State>;
  readonly isDead: (holder: Holder) => boolean;
  readonly processStart: string;
}
