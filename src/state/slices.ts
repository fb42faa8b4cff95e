// The slices of a run: claims, and what becomes of each. Table chunk_task; a slice's success is written by the ledger.

import { count, type Db, marks, pieces, type Row, type Sql, type SqlValue, text, textOrNull } from "./db.ts";
import { assertRunning } from "./lease.ts";
import { countedTotals, forgetParts } from "./ledger.ts";
import { setRunningTotals } from "./metrics.ts";
import type { Lease, SliceIntent, SliceStatus, StoredSlice } from "./state.ts";

const SLICES_PER_PAGE = 20_000;

const SLICE_COLUMNS = [
  "run_id",
  "chunk_index",
  "slice_id",
  "start_key",
  "end_key",
  "bounds_json",
  "status",
  "attempts",
  "rows_written",
  "updated_at",
];

export async function insertSlices(
  sql: Sql,
  runId: string,
  slices: Iterable<SliceIntent>,
  now: string,
): Promise<number> {
  let total = 0;
  function* rows(): Generator<SqlValue[]> {
    for (const { index, id, startKey, endKey, boundsJson } of slices) {
      total++;
      yield [runId, index, id, startKey, endKey, boundsJson, "pending", 0, 0, now];
    }
  }
  await sql.insert("chunk_task", SLICE_COLUMNS, rows());
  return total;
}

export async function addSlices(
  db: Db,
  now: string,
  runId: string,
  slices: readonly SliceIntent[],
  lease: Lease,
): Promise<void> {
  await db.transaction(async (sql) => {
    await assertRunning(sql, runId, lease);
    await insertSlices(sql, runId, slices, now);
  });
}

/** All slices in order, read in pages so that a million of them do not stop the program's other work. */
export async function listSlices(sql: Sql, runId: string): Promise<StoredSlice[]> {
  const found: StoredSlice[] = [];
  // Words and times that a million slices have in common are kept once.
  const known = new Map<string, string>();
  const shared = (value: string): string => known.get(value) ?? (known.size < 1000 && known.set(value, value), value);
  for (let after = -1;;) {
    const page = await listSlicesAfter(sql, runId, after);
    for (const slice of page) {
      found.push({ ...slice, status: shared(slice.status) as SliceStatus, updatedAt: shared(slice.updatedAt) });
    }
    if (page.length === 0) return found;
    after = page.at(-1)!.index;
  }
}

/** The slices that follow an index, so many that they can be in memory together; none at the end. */
export async function listSlicesAfter(sql: Sql, runId: string, index: number): Promise<StoredSlice[]> {
  const rows = await sql.all(
    "SELECT * FROM chunk_task WHERE run_id = ? AND chunk_index > ? ORDER BY chunk_index LIMIT ?",
    [runId, index, SLICES_PER_PAGE],
  );
  return rows.map(toSlice);
}

/** Pending ones in order first, then failed ones with attempts left; in order of the plan. */
export async function claimSlices(
  db: Db,
  now: string,
  runId: string,
  slicesMax: number,
  lease: Lease,
): Promise<StoredSlice[]> {
  return await db.transaction(async (sql) => {
    const run = await assertRunning(sql, runId, lease);
    const pending = "run_id = ? AND status = 'pending' ORDER BY chunk_index";
    const claimed = await claim(sql, now, pending, [runId], slicesMax);
    if (claimed.length > 0) return claimed;
    const failed = "run_id = ? AND status = 'failed' AND attempts < ? ORDER BY attempts, chunk_index";
    return await claim(sql, now, failed, [runId, count(run, "max_chunk_attempts")], slicesMax);
    // What a power failure makes of a claim is what it makes of the process: the slice is read again.
  }, { durable: false });
}

async function claim(
  sql: Sql,
  now: string,
  where: string,
  values: readonly SqlValue[],
  slicesMax: number,
): Promise<StoredSlice[]> {
  const lock = sql.kind === "postgres" ? " FOR UPDATE SKIP LOCKED" : "";
  // Materialized: a join that asked the inner statement twice would lock, and claim, more than it was told to.
  const rows = await sql.all(
    `WITH next AS MATERIALIZED (SELECT id FROM chunk_task WHERE ${where} LIMIT ?${lock})
      UPDATE chunk_task SET status = 'running', attempts = attempts + 1, updated_at = ?
      WHERE id IN (SELECT id FROM next) RETURNING *`,
    [...values, slicesMax, now],
  );
  return rows.map(toSlice).sort((a, b) => a.index - b.index);
}

export async function failSlice(
  db: Db,
  now: string,
  runId: string,
  index: number,
  error: string,
  final: boolean,
  lease: Lease,
): Promise<void> {
  await db.transaction(async (sql) => {
    const run = await assertRunning(sql, runId, lease);
    await sql.run(
      `UPDATE chunk_task SET status = 'failed', last_error = ?, updated_at = ?,
        attempts = CASE WHEN ? AND attempts < ? THEN ? ELSE attempts END
        WHERE run_id = ? AND chunk_index = ? AND status = 'running'`,
      [error, now, final, count(run, "max_chunk_attempts"), count(run, "max_chunk_attempts"), runId, index],
    );
  });
}

export async function returnSlices(
  db: Db,
  now: string,
  runId: string,
  indexes: readonly number[],
  lease: Lease,
): Promise<void> {
  await db.transaction(async (sql) => {
    await assertRunning(sql, runId, lease);
    for (const piece of pieces(indexes)) {
      await sql.run(
        `UPDATE chunk_task SET status = 'pending', attempts = attempts - 1, updated_at = ?
          WHERE run_id = ? AND status = 'running' AND chunk_index IN (${marks(piece)})`,
        [now, runId, ...piece],
      );
    }
  }, { durable: false });
}

export async function resetSlices(
  db: Db,
  now: string,
  runId: string,
  indexes: readonly number[],
  lease: Lease,
): Promise<void> {
  await db.transaction(async (sql) => {
    await assertRunning(sql, runId, lease);
    for (const piece of pieces(indexes)) {
      await sql.run(
        `UPDATE chunk_task SET status = 'pending', attempts = 0, last_error = NULL, rows_written = 0, file_name = NULL,
          observations_json = NULL, updated_at = ? WHERE run_id = ? AND chunk_index IN (${marks(piece)})`,
        [now, runId, ...piece],
      );
      await forgetParts(sql, runId, piece);
    }
    await setRunningTotals(sql, runId, await countedTotals(sql, runId));
  });
}

function toSlice(row: Row): StoredSlice {
  const observations = textOrNull(row, "observations_json");
  return {
    index: count(row, "chunk_index"),
    id: text(row, "slice_id"),
    startKey: textOrNull(row, "start_key"),
    endKey: textOrNull(row, "end_key"),
    boundsJson: text(row, "bounds_json"),
    status: text(row, "status") as SliceStatus,
    attempts: count(row, "attempts"),
    lastError: textOrNull(row, "last_error"),
    rows: count(row, "rows_written"),
    observations: observations === null ? null : JSON.parse(observations),
    updatedAt: text(row, "updated_at"),
  };
}
