// Forgets what is old and over. What a next run, a check or a reader of the manifest may still ask for stays.

import { type Db, marks, pieces, type Sql, text } from "./db.ts";

const DAY_MS = 86_400_000;

export async function vacuum(db: Db, nowMs: number, keepDays: number): Promise<{ removed: number }> {
  const cutoff = new Date(nowMs - keepDays * DAY_MS).toISOString();
  const removed = await db.transaction(async (sql) => {
    let total = 0;
    const runs = await oldRuns(sql, cutoff);
    for (const piece of pieces(runs)) {
      for (const table of ["chunk_task", "file_log", "chunk_run", "run_journal", "run_event"]) {
        total += await sql.run(`DELETE FROM ${table} WHERE run_id IN (${marks(piece)})`, piece);
      }
    }
    total += await removeOldJournals(sql, cutoff);
    total += await sql.run(
      `DELETE FROM export_metrics WHERE run_at < ? AND status <> 'running'
        AND id NOT IN (SELECT max(id) FROM export_metrics GROUP BY export_name, source)
        AND id NOT IN (SELECT max(id) FROM export_metrics WHERE status = 'success' GROUP BY export_name, source)`,
      [cutoff],
    );
    total += await sql.run("DELETE FROM run_aggregate WHERE finished_at < ?", [cutoff]);
    await sql.run("DELETE FROM state_lease WHERE expires_at < ?", [await sql.now() - DAY_MS]);
    return total;
  });
  if (removed > 0) await db.compact();
  return { removed };
}

/** Runs that are over, except the last completed one of each export, the one its progression stands at, and those whose files still lie at a destination unnamed. */
async function oldRuns(sql: Sql, cutoff: string): Promise<string[]> {
  const rows = await sql.all(
    `SELECT r.run_id AS run_id FROM chunk_run r WHERE r.resumable = 0 AND r.updated_at < ?
      AND (r.status <> 'completed' OR EXISTS (SELECT 1 FROM chunk_run n WHERE n.export_name = r.export_name
        AND n.source = r.source AND n.status = 'completed' AND n.mode <> 'repair' AND n.created_at > r.created_at))
      AND (r.status = 'completed' OR NOT EXISTS (SELECT 1 FROM file_log f WHERE f.run_id = r.run_id))
      AND NOT EXISTS (SELECT 1 FROM export_progression p WHERE p.last_committed_run_id = r.run_id)`,
    [cutoff],
  );
  return rows.map((row) => text(row, "run_id"));
}

/** Journals of attempts that never became a run. */
async function removeOldJournals(sql: Sql, cutoff: string): Promise<number> {
  const stray = `started_at < ? AND NOT EXISTS (SELECT 1 FROM chunk_run r WHERE r.run_id = run_journal.run_id)`;
  const events = await sql.run(
    `DELETE FROM run_event WHERE run_id IN (SELECT run_id FROM run_journal WHERE ${stray})`,
    [cutoff],
  );
  return events + await sql.run(`DELETE FROM run_journal WHERE ${stray}`, [cutoff]);
}
