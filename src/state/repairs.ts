// The end of a repair: its slices take the place of those of the run that it repairs, all of them or none.
// The cursor's value and the committed boundary stay as they are; what it was verified as before is no longer what is stored.

import { RivetError } from "../errors.ts";
import type { Db, Sql } from "./db.ts";
import { compileJournal } from "./journal.ts";
import { assertLease, assertSameKey, runGone } from "./lease.ts";
import { putMetric } from "./metrics.ts";
import { assertAllDone, withdrawVerified } from "./progress.ts";
import { findRun } from "./runs.ts";
import type { Lease, RepairCommit } from "./state.ts";

/** Repeating it for a repair that is completed changes nothing. */
export async function commitRepair(db: Db, now: string, commit: RepairCommit, lease: Lease): Promise<void> {
  const { runId, repairs, key } = commit;
  assertSameKey(key, lease);
  await db.transaction(async (sql) => {
    await assertLease(sql, lease);
    const changed = await sql.run(
      `UPDATE chunk_run SET status = 'completed', resumable = 0, updated_at = ?
        WHERE run_id = ? AND status = 'in_progress' AND export_name = ? AND source = ?`,
      [now, runId, key.exportName, key.source],
    );
    if (changed === 0) {
      if ((await findRun(sql, runId))?.status === "completed") return;
      throw runGone(runId, key);
    }
    await assertAllDone(sql, runId, key);
    await updateRepaired(sql, now, commit);
    await moveSlices(sql, now, runId, repairs);
    await withdrawVerified(sql, repairs);
    if (commit.edge !== null) {
      await sql.run("UPDATE export_state SET edge_json = ? WHERE export_name = ? AND source = ? AND run_id = ?", [
        JSON.stringify(commit.edge),
        key.exportName,
        key.source,
        repairs,
      ]);
    }
    await putMetric(sql, commit.metric);
    await compileJournal(sql, runId, now);
  });
}

async function updateRepaired(sql: Sql, now: string, { repairs, key, planJson, consistency }: RepairCommit) {
  const changed = await sql.run(
    `UPDATE chunk_run SET plan_json = ?, consistency = ?, updated_at = ?
      WHERE run_id = ? AND status = 'completed' AND export_name = ? AND source = ?`,
    [planJson, consistency, now, repairs, key.exportName, key.source],
  );
  if (changed > 0) return;
  throw new RivetError("RIVET_STATE_CHUNK_RUN_MISSING", `Run '${repairs}' is no completed run of this export`, {
    where: `export '${key.exportName}'`,
  });
}

/** Observations are copied, ledger rows move: a part belongs to the run whose rows it holds. */
async function moveSlices(sql: Sql, now: string, from: string, to: string): Promise<void> {
  const repaired = "SELECT chunk_index FROM chunk_task WHERE run_id = ?";
  const column = (name: string) =>
    `${name} = (SELECT r.${name} FROM chunk_task r WHERE r.run_id = ? AND r.chunk_index = chunk_task.chunk_index)`;
  await sql.run(
    `UPDATE chunk_task SET ${column("rows_written")}, ${column("file_name")}, ${column("observations_json")},
      updated_at = ? WHERE run_id = ? AND chunk_index IN (${repaired})`,
    [from, from, from, now, to, from],
  );
  await sql.run(`DELETE FROM file_log WHERE run_id = ? AND chunk_index IN (${repaired})`, [to, from]);
  await sql.run("UPDATE file_log SET run_id = ? WHERE run_id = ?", [to, from]);
}
