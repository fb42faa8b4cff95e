// How many rows one statement may bring, learned from how long the last ones took. It changes how a chunk is read, never which rows
// belong to it.

import type { Tuning } from "../config/mod.ts";
import type { ReadReport } from "../source/mod.ts";

/** What a statement is expected to bring at the least, before one has been timed. */
const BYTES_PER_SECOND = 32 << 20;
/** Aimed at below the limit, so that an uneven table does not cross it at once. */
const AIM = 0.8;
/** A statement shorter than this part of the limit may bring more. */
const EASY = 0.25;

export interface Pace {
  /** Rows of one statement; null reads a chunk in one. */
  rowsMax: number | null;
  /** Rows of the largest chunk so far. */
  chunkRows: number;
  /** Once told, not told again. */
  told: boolean;
}

/** What is known before the first statement. */
export interface PaceFacts {
  readonly rowsEstimate: number | null;
  readonly avgRowBytes: number | null;
  readonly chunks: number;
}

type Limits = Pick<Tuning, "chunkMaxStatementS" | "chunkMinRows">;

export function openPace(limits: Limits, facts: PaceFacts): Pace {
  const chunkRows = Math.ceil((facts.rowsEstimate ?? 0) / Math.max(1, facts.chunks));
  const bytesMax = limits.chunkMaxStatementS * BYTES_PER_SECOND;
  const rows = facts.avgRowBytes === null || facts.avgRowBytes === 0
    ? Infinity
    : Math.max(limits.chunkMinRows, Math.floor(bytesMax / facts.avgRowBytes));
  return { rowsMax: rows < chunkRows ? rows : null, chunkRows, told: false };
}

/** Learns from one chunk. `slower` means that the next chunks are read in shorter statements than before. */
export function learnPace(
  pace: Pace,
  limits: Limits,
  report: Pick<ReadReport, "rows" | "statements" | "longestStatementMs">,
): "slower" | "same" {
  pace.chunkRows = Math.max(pace.chunkRows, report.rows);
  const limitMs = limits.chunkMaxStatementS * 1000;
  const rows = report.rows / Math.max(1, report.statements);
  if (report.longestStatementMs > limitMs) {
    const fitting = Math.floor((rows * limitMs * AIM) / report.longestStatementMs);
    const next = Math.max(limits.chunkMinRows, Math.min(pace.rowsMax ?? Infinity, fitting));
    const isSlower = next < (pace.rowsMax ?? pace.chunkRows);
    if (isSlower) pace.rowsMax = next;
    return isSlower ? "slower" : "same";
  }
  if (pace.rowsMax !== null && report.longestStatementMs < limitMs * EASY && rows * 2 >= pace.rowsMax) {
    pace.rowsMax = pace.rowsMax * 2 < pace.chunkRows ? pace.rowsMax * 2 : null;
  }
  return "same";
}
