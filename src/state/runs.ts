// Runs: the intent before the first slice, and how a run ends without success. Table chunk_run.

import { RivetError } from "../errors.ts";
import { count, type Db, first, type Row, type Sql, type SqlValue, text } from "./db.ts";
import { compileJournal, reopenJournal } from "./journal.ts";
import { assertLease, assertRunning, assertSameKey, nameRun, runGone } from "./lease.ts";
import { countedTotals } from "./ledger.ts";
import { beginMetric, putMetric, setRunningTotals } from "./metrics.ts";
import { insertSlices } from "./slices.ts";
import {
  type ExportKey,
  type Lease,
  type MetricRow,
  REPAIR_MODE,
  type RunIntent,
  type RunStatus,
  type SliceIntent,
  type StoredRun,
} from "./state.ts";

/** The run that the next one finishes: in progress, or ended so that it can be continued. */
export function openRun(sql: Sql, key: ExportKey): Promise<StoredRun | null> {
  return readRun(sql, "export_name = ? AND source = ? AND resumable = 1", [key.exportName, key.source]);
}

export function findRun(sql: Sql, runId: string): Promise<StoredRun | null> {
  return readRun(sql, "run_id = ?", [runId]);
}

export function latestRun(sql: Sql, key: ExportKey, status?: RunStatus): Promise<StoredRun | null> {
  const values = [key.exportName, key.source, REPAIR_MODE];
  const own = "export_name = ? AND source = ? AND mode <> ?";
  if (status === undefined) return readRun(sql, own, values);
  return readRun(sql, `${own} AND status = ?`, [...values, status]);
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

/** Names that begin with a prefix and have runs in this source: the partitions of an export. */
export async function exportNames(sql: Sql, source: string, prefix: string): Promise<string[]> {
  const rows = await sql.all(
    "SELECT DISTINCT export_name FROM chunk_run WHERE source = ? AND substr(export_name, 1, ?) = ? ORDER BY export_name",
    [source, [...prefix].length, prefix],
  );
  return rows.map((row) => text(row, "export_name"));
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
  // A transaction may be tried again, and what can be walked only once would then be an empty run.
  const planned = "next" in slices ? [...slices] : slices;
  await db.transaction(async (sql) => {
    await assertLease(sql, lease);
    const open = await openRun(sql, intent.key);
    if (open !== null) {
      throw new RivetError("RIVET_STATE_CHUNK_RUN_UNFINISHED", `Run '${open.runId}' is not finished`, {
        where: `export '${intent.key.exportName}'`,
      });
    }
    await insertRun(sql, intent, now);
    const total = await insertSlices(sql, intent.runId, planned, now);
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

export async function resumeRun(db: Db, now: string, runId: string, lease: Lease): Promise<number> {
  return await db.transaction(async (sql) => {
    await assertLease(sql, lease);
    const changed = await sql.run(
      "UPDATE chunk_run SET status = 'in_progress', takeovers = takeovers + 1, updated_at = ? WHERE run_id = ? AND resumable = 1 AND export_name = ? AND source = ?",
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
    const run = (await findRun(sql, runId))!;
    await beginMetric(sql, run);
    await setRunningTotals(sql, runId, await countedTotals(sql, runId));
    return run.takeovers;
  });
}

export async function setConsistency(
  db: Db,
  runId: string,
  level: RunIntent["consistency"],
  lease: Lease,
): Promise<void> {
  await db.transaction(async (sql) => {
    await assertRunning(sql, runId, lease);
    await sql.run("UPDATE chunk_run SET consistency = ? WHERE run_id = ?", [level, runId]);
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
    takeovers: count(row, "takeovers"),
    updatedAt: text(row, "updated_at"),
  };
}
