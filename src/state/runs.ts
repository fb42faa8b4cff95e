// Runs and their slices: the intent before the first slice, claims, and what becomes of each slice. Tables chunk_run, chunk_task.

import { RivetError } from "../errors.ts";
import { count, type Db, first, marks, pieces, type Row, type Sql, type SqlValue, text, textOrNull } from "./db.ts";
import { compileJournal, reopenJournal } from "./journal.ts";
import { assertLease, assertRunning, assertSameKey, nameRun, runGone } from "./lease.ts";
import { countedTotals, forgetParts } from "./ledger.ts";
import { beginMetric, putMetric, setRunningTotals } from "./metrics.ts";
import type {
  ExportKey,
  Lease,
  MetricRow,
  RunIntent,
  RunStatus,
  SliceIntent,
  SliceStatus,
  StoredRun,
  StoredSlice,
} from "./state.ts";

const SLICES_PER_PAGE = 20_000;

/** The run that the next one finishes: in progress, or ended so that it can be continued. */
export function openRun(sql: Sql, key: ExportKey): Promise<StoredRun | null> {
  return readRun(sql, "export_name = ? AND source = ? AND resumable = 1", [key.exportName, key.source]);
}

export function findRun(sql: Sql, runId: string): Promise<StoredRun | null> {
  return readRun(sql, "run_id = ?", [runId]);
}

export function latestRun(sql: Sql, key: ExportKey, status?: RunStatus): Promise<StoredRun | null> {
  const values = [key.exportName, key.source];
  if (status === undefined) return readRun(sql, "export_name = ? AND source = ?", values);
  return readRun(sql, "export_name = ? AND source = ? AND status = ?", [...values, status]);
}

async function readRun(sql: Sql, where: string, values: readonly SqlValue[]): Promise<StoredRun | null> {
  const row = await first(
    sql,
    `SELECT * FROM chunk_run WHERE ${where} ORDER BY created_at DESC, updated_at DESC, run_id DESC LIMIT 1`,
    values,
  );
  return row === null ? null : toRun(row);
}

export async function listRuns(
  sql: Sql,
  filter: { exportName?: string; running?: boolean; limit: number },
): Promise<StoredRun[]> {
  const where: string[] = ["1 = 1"];
  const values: SqlValue[] = [];
  if (filter.exportName !== undefined) {
    where.push("export_name = ?");
    values.push(filter.exportName);
  }
  if (filter.running === true) where.push("status = 'in_progress'");
  const rows = await sql.all(
    `SELECT * FROM chunk_run WHERE ${where.join(" AND ")} ORDER BY created_at DESC, run_id DESC LIMIT ?`,
    [...values, filter.limit],
  );
  return rows.map(toRun);
}

/** Run and slices together: a run whose slices are missing would be an empty success. */
export async function beginRun(
  db: Db,
  now: string,
  intent: RunIntent,
  slices: Iterable<SliceIntent>,
  lease: Lease,
): Promise<void> {
  assertSameKey(intent.key, lease);
  await db.transaction(async (sql) => {
    await assertLease(sql, lease);
    const open = await openRun(sql, intent.key);
    if (open !== null) {
      throw new RivetError("RIVET_STATE_CHUNK_RUN_UNFINISHED", `Run '${open.runId}' is not finished`, {
        where: `export '${intent.key.exportName}'`,
      });
    }
    await insertRun(sql, intent, now);
    const total = await insertSlices(sql, intent.runId, slices, now);
    await nameRun(sql, lease, intent.runId);
    await beginMetric(sql, intent);
    // Without statistics of the new rows the planner of PostgreSQL may walk all of them for each claim.
    if (sql.kind === "postgres" && total > 1000) await sql.run("ANALYZE chunk_task");
  });
}

async function insertRun(sql: Sql, intent: RunIntent, now: string): Promise<void> {
  await sql.run(
    `INSERT INTO chunk_run (run_id, export_name, source, plan_hash, status, resumable, max_chunk_attempts, mode, consistency,
      destination_uri, definition_json, plan_json, rivet_version, created_at, updated_at)
      VALUES (?, ?, ?, ?, 'in_progress', 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      intent.runId,
      intent.key.exportName,
      intent.key.source,
      intent.planHash,
      intent.maxAttempts,
      intent.mode,
      intent.consistency,
      intent.destinationUri,
      JSON.stringify(intent.definition),
      intent.planJson,
      intent.rivetVersion,
      intent.startedAt,
      now,
    ],
  );
}

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

async function insertSlices(sql: Sql, runId: string, slices: Iterable<SliceIntent>, now: string): Promise<number> {
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

export async function resumeRun(db: Db, now: string, runId: string, lease: Lease): Promise<void> {
  await db.transaction(async (sql) => {
    await assertLease(sql, lease);
    const changed = await sql.run(
      "UPDATE chunk_run SET status = 'in_progress', updated_at = ? WHERE run_id = ? AND resumable = 1 AND export_name = ? AND source = ?",
      [now, runId, lease.key.exportName, lease.key.source],
    );
    if (changed === 0) throw runGone(runId, lease.key);
    await sql.run(
      `UPDATE chunk_task SET status = 'pending', attempts = 0, updated_at = ?
        WHERE run_id = ? AND (status IN ('running', 'failed') OR (status = 'pending' AND attempts > 0))`,
      [now, runId],
    );
    await nameRun(sql, lease, runId);
    await reopenJournal(sql, runId);
    await beginMetric(sql, (await findRun(sql, runId))!);
    await setRunningTotals(sql, runId, await countedTotals(sql, runId));
  });
}

/** All slices in order, read in pages so that a million of them do not stop the program's other work. */
export async function listSlices(sql: Sql, runId: string): Promise<StoredSlice[]> {
  const found: StoredSlice[] = [];
  for (let after = -1;;) {
    const rows = await sql.all(
      "SELECT * FROM chunk_task WHERE run_id = ? AND chunk_index > ? ORDER BY chunk_index LIMIT ?",
      [
        runId,
        after,
        SLICES_PER_PAGE,
      ],
    );
    for (const row of rows) found.push(toSlice(row));
    if (rows.length < SLICES_PER_PAGE) return found;
    after = found.at(-1)!.index;
  }
}

/** Pending ones in order first, then failed ones with attempts left. */
export async function claimSlice(db: Db, now: string, runId: string, lease: Lease): Promise<StoredSlice | null> {
  return await db.transaction(async (sql) => {
    const run = await assertRunning(sql, runId, lease);
    return await claim(sql, now, "run_id = ? AND status = 'pending' ORDER BY chunk_index", [runId]) ??
      await claim(sql, now, "run_id = ? AND status = 'failed' AND attempts < ? ORDER BY attempts, chunk_index", [
        runId,
        count(run, "max_chunk_attempts"),
      ]);
    // What a power failure makes of a claim is what it makes of the process: the slice is read again.
  }, { durable: false });
}

async function claim(sql: Sql, now: string, where: string, values: readonly SqlValue[]): Promise<StoredSlice | null> {
  const lock = sql.kind === "postgres" ? " FOR UPDATE SKIP LOCKED" : "";
  const row = await first(
    sql,
    `UPDATE chunk_task SET status = 'running', attempts = attempts + 1, updated_at = ?
      WHERE id = (SELECT id FROM chunk_task WHERE ${where} LIMIT 1${lock}) RETURNING *`,
    [now, ...values],
  );
  return row === null ? null : toSlice(row);
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

export async function endRun(
  db: Db,
  now: string,
  runId: string,
  status: "failed" | "interrupted",
  resumable: boolean,
  metric: MetricRow | null,
  lease: Lease | null,
): Promise<void> {
  await db.transaction(async (sql) => {
    if (lease !== null) await assertLease(sql, lease);
    const changed = await sql.run(
      "UPDATE chunk_run SET status = ?, resumable = ?, updated_at = ? WHERE run_id = ? AND resumable = 1",
      [status, resumable ? 1 : 0, now, runId],
    );
    if (changed > 0) {
      await sql.run(
        "UPDATE chunk_task SET status = 'pending', updated_at = ? WHERE run_id = ? AND status = 'running'",
        [now, runId],
      );
    }
    if (metric !== null) await putMetric(sql, metric);
    else await sql.run("UPDATE export_metrics SET status = ? WHERE run_id = ? AND status = 'running'", [status, runId]);
    await compileJournal(sql, runId, now);
  });
}

/** Marks open runs abandoned: nobody will finish them. */
export async function resetChunks(
  db: Db,
  now: string,
  filter: { key?: ExportKey; exportName?: string; stuck?: boolean },
): Promise<string[]> {
  const where = ["resumable = 1"];
  const values: SqlValue[] = [];
  const exportName = filter.key?.exportName ?? filter.exportName;
  if (exportName !== undefined) {
    where.push("export_name = ?");
    values.push(exportName);
  }
  if (filter.key !== undefined) {
    where.push("source = ?");
    values.push(filter.key.source);
  }
  return await db.transaction(async (sql) => {
    if (filter.stuck === true) {
      where.push(`NOT EXISTS (SELECT 1 FROM state_lease l WHERE l.export_name = chunk_run.export_name
        AND l.source = chunk_run.source AND l.expires_at > ?)`);
      values.push(await sql.now());
    }
    const rows = await sql.all(
      `SELECT run_id FROM chunk_run WHERE ${where.join(" AND ")} ORDER BY created_at, run_id`,
      values,
    );
    const ids = rows.map((row) => text(row, "run_id"));
    for (const id of ids) {
      await sql.run("UPDATE chunk_run SET status = 'interrupted', resumable = 0, updated_at = ? WHERE run_id = ?", [
        now,
        id,
      ]);
      await sql.run("UPDATE export_metrics SET status = 'interrupted' WHERE run_id = ? AND status = 'running'", [id]);
      await compileJournal(sql, id, now);
    }
    return ids;
  });
}

function toRun(row: Row): StoredRun {
  return {
    runId: text(row, "run_id"),
    key: { exportName: text(row, "export_name"), source: text(row, "source") },
    planHash: text(row, "plan_hash"),
    definition: JSON.parse(text(row, "definition_json")),
    mode: text(row, "mode"),
    startedAt: text(row, "created_at"),
    destinationUri: text(row, "destination_uri"),
    consistency: text(row, "consistency") as StoredRun["consistency"],
    maxAttempts: count(row, "max_chunk_attempts"),
    planJson: text(row, "plan_json"),
    rivetVersion: text(row, "rivet_version"),
    status: text(row, "status") as RunStatus,
    updatedAt: text(row, "updated_at"),
  };
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
