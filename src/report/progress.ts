// Where each running export stands, kept from its events. Pure but for the clock it is given.

import type { RunEvent } from "./event.ts";

export interface Standing {
  readonly exportName: string;
  strategy: string;
  slices: number;
  slicesDone: number;
  rowsEstimate: number | null;
  /** Of finished slices. */
  rowsDone: number;
  /** Of both, what an earlier process had done: it says nothing about the speed of this one. */
  slicesKept: number;
  rowsKept: number;
  bytesReadDone: number;
  bytesWrittenDone: number;
  readonly running: Map<number, { rows: number; bytesRead: number; bytesWritten: number }>;
  readonly startedMs: number;
  waitingFor: string | null;
  retrying: string | null;
}

export interface Numbers {
  readonly rows: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly rowsPerSecond: number;
  /** 0–1; null when nothing tells. */
  readonly fraction: number | null;
  readonly etaMs: number | null;
}

export class Progress {
  readonly standings = new Map<string, Standing>();

  constructor(private readonly nowMs: () => number) {}

  /** Takes one event in. */
  apply(event: RunEvent): void {
    if (event.kind === "run_finished") {
      this.standings.delete(event.exportName);
      return;
    }
    const standing = this.#standing(event.exportName);
    switch (event.kind) {
      case "run_started":
        standing.strategy = event.strategy;
        standing.slices = event.slices;
        standing.slicesDone = standing.slicesKept = event.slicesKept;
        standing.rowsDone = standing.rowsKept = event.rowsKept;
        standing.rowsEstimate = event.rowsEstimate;
        standing.waitingFor = null;
        break;
      case "waiting":
        standing.waitingFor = event.holder;
        break;
      case "slice_started":
        standing.running.set(event.index, { rows: 0, bytesRead: 0, bytesWritten: 0 });
        break;
      case "progress":
        standing.retrying = null;
        standing.running.set(event.index, event);
        break;
      case "slice_completed":
        standing.running.delete(event.index);
        standing.slicesDone++;
        standing.rowsDone += event.rows;
        standing.bytesReadDone += event.bytesRead;
        standing.bytesWrittenDone += event.bytesWritten;
        break;
      case "slice_failed":
        standing.running.delete(event.index);
        standing.retrying = event.retryInMs === null ? null : event.error;
        break;
    }
  }

  #standing(exportName: string): Standing {
    const known = this.standings.get(exportName);
    if (known !== undefined) return known;
    const standing: Standing = {
      exportName,
      strategy: "",
      slices: 0,
      slicesDone: 0,
      rowsEstimate: null,
      rowsDone: 0,
      slicesKept: 0,
      rowsKept: 0,
      bytesReadDone: 0,
      bytesWrittenDone: 0,
      running: new Map(),
      startedMs: this.nowMs(),
      waitingFor: null,
      retrying: null,
    };
    this.standings.set(exportName, standing);
    return standing;
  }

  numbers(standing: Standing): Numbers {
    let { rowsDone: rows, bytesReadDone: bytesRead, bytesWrittenDone: bytesWritten } = standing;
    for (const slice of standing.running.values()) {
      rows += slice.rows;
      bytesRead += slice.bytesRead;
      bytesWritten += slice.bytesWritten;
    }
    const elapsed = Math.max(1, this.nowMs() - standing.startedMs);
    const fraction = toFraction(standing, standing.slicesDone, rows);
    const before = toFraction(standing, standing.slicesKept, standing.rowsKept) ?? 0;
    const gained = fraction === null ? 0 : fraction - before;
    return {
      rows,
      bytesRead,
      bytesWritten,
      rowsPerSecond: ((rows - standing.rowsKept) / elapsed) * 1000,
      fraction,
      etaMs: fraction === null || gained < 0.01 ? null : (elapsed / gained) * (1 - fraction),
    };
  }
}

/** By slices where there are many, else by the catalog's estimate; never 1 before the end. */
function toFraction(standing: Standing, slicesDone: number, rows: number): number | null {
  if (standing.slices > 3) return Math.min(0.999, slicesDone / standing.slices);
  if (standing.rowsEstimate === null || standing.rowsEstimate <= 0) return null;
  return Math.min(0.999, rows / standing.rowsEstimate);
}
