// A run under way: what its steps share, what its intent remembers, and how it is named.

import { RivetError } from "../errors.ts";
import type { Destination } from "../destination/mod.ts";
import type { Slice, StoredPlan, Task, Unit } from "../plan/mod.ts";
import type { Consistency, Mark, SessionLimits, Source } from "../source/mod.ts";
import type { Lease, State, StoredRun } from "../state/mod.ts";
import type { RunContext } from "./context.ts";
import type { RunRecorder } from "./recorder.ts";

/** A run under way: everything its steps share. */
export interface Run {
  readonly context: RunContext;
  readonly state: State;
  readonly task: Task;
  readonly runId: string;
  readonly startedAt: string;
  readonly slices: readonly Slice[];
  readonly lease: Lease;
  readonly destination: Destination;
  readonly recorder: RunRecorder;
  readonly signal: AbortSignal;
  readonly resumed: boolean;
  /** What a resumed run need not read again. */
  readonly kept?: { readonly slices: number; readonly rows: number };
  /** Of a resumed run: key stems under which files of an earlier process lie that nothing committed. Absent = any may. */
  readonly leftovers?: ReadonlySet<string>;
  /** 0 for the process that began the run. */
  readonly takeovers: number;
  readonly picture: Picture;
}

/** The picture all lanes share, held open by the planning connection. */
export interface Picture {
  source: Source;
  token: string | null;
  consistency: Consistency;
  /** The level as the state has it; brought up to date before a part is committed. */
  recorded: Consistency;
}

/** What a run's intent remembers besides its slices. */
export interface Intent extends StoredPlan {
  readonly boundsFingerprint: string;
  readonly exportedAtUs: number;
  /** The moment of the run's first picture, where the engine tells. */
  readonly mark?: Mark | null;
  /** By chunk index: the moment of chunks that were read again in another picture; null = unknown. */
  readonly marks?: Readonly<Record<string, Mark | null>>;
  /** The run whose slices this one reads again. */
  readonly repairs?: string;
}

/** The run that a repair belongs to. */
export function repairedBy(repair: StoredRun): string {
  return (JSON.parse(repair.planJson) as Intent).repairs ?? "";
}

/** `<export>_<YYYYMMDDTHHMMSS.mmm>_<pid>` */
export function makeRunId(exportName: string, nowMs: number, pid: number): string {
  const iso = new Date(nowMs).toISOString();
  return `${exportName}_${iso.slice(0, 10).replaceAll("-", "")}T${iso.slice(11, 23).replaceAll(":", "")}_${pid}`;
}

export function interrupted({ name }: { readonly name: string }): RivetError {
  return new RivetError("RIVET_RUN_INTERRUPTED", "Stopped by a signal", {
    where: `export '${name}'`,
    retry: "reconnect",
  });
}

export function limitsOf(unit: Pick<Unit, "entry">): SessionLimits {
  const { statementTimeoutS, lockTimeoutS } = unit.entry.tuning;
  return { statementTimeoutS, lockTimeoutS, connectTimeoutMs: 10_000 };
}
