// How many rows the next FETCH asks for: by the bytes of the rows seen, by how long the server worked, and never much more than before.
// Pure: no clock, no connection.

/** The bytes one FETCH should bring, however wide the rows are: few milliseconds for the server. */
const FETCH_BYTES = 512 * 1024;
/** Rows that suddenly grow wide make a statement long, so even the narrowest come in small numbers. */
const FETCH_ROWS_MAX = 5000;
/** What the first FETCH asks for, when nothing is known of the rows, and how fast the next ones may grow. */
const FIRST_ROWS = 4;
const GROWTH = 8;
/** A FETCH that the server works on for longer is made smaller. */
const SLOW_MS = 40;
const RECOVERY = 1.25;

export interface Pace {
  /** Rows of the next FETCH. */
  readonly rows: number;
  /** Bytes of a row on the wire; 0 = not known yet. */
  readonly rowBytes: number;
  /** Shrinks and grows with the server's speed, whatever the rows' width. */
  readonly rowsCap: number;
}

export interface PaceLimits {
  readonly batchRows: number;
  readonly batchBytes: number;
}

/** What a finished FETCH brought. */
export interface Fetched {
  readonly askedRows: number;
  readonly rows: number;
  readonly bytes: number;
  /** How long the server was waited for. */
  readonly waitedMs: number;
}

export function firstPace(limits: PaceLimits): Pace {
  return { rows: Math.max(1, Math.min(FIRST_ROWS, limits.batchRows)), rowBytes: 0, rowsCap: FETCH_ROWS_MAX };
}

export function nextPace(pace: Pace, fetched: Fetched, limits: PaceLimits): Pace {
  if (fetched.rows === 0) return pace;
  const seen = fetched.bytes / fetched.rows;
  // Rows that grow wider count at once, rows that grow narrower bit by bit.
  const rowBytes = Math.max(seen, (pace.rowBytes + seen) / 2);
  const rowsCap = fetched.waitedMs > SLOW_MS
    ? Math.max(1, Math.floor((fetched.askedRows * SLOW_MS) / (2 * fetched.waitedMs)))
    : Math.min(FETCH_ROWS_MAX, Math.ceil(pace.rowsCap * RECOVERY));
  const fitting = Math.floor(Math.min(FETCH_BYTES, limits.batchBytes) / rowBytes);
  const rows = Math.max(1, Math.min(fitting, rowsCap, fetched.askedRows * GROWTH, limits.batchRows));
  return { rows, rowBytes, rowsCap };
}
