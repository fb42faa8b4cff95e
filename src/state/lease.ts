// Leases: who may change the progress of an export. Every write of a run asks here again, inside its own transaction.

import { RivetError } from "../errors.ts";
import { count, type Db, first, type Row, type Sql, text, textOrNull } from "./db.ts";
import type { ExportKey, Holder, Lease, LeaseResult } from "./state.ts";
import { closeRunning } from "./metrics.ts";

export async function takeLease(
  db: Db,
  key: ExportKey,
  holder: Holder,
  ttlMs: number,
  isDead: (holder: Holder) => boolean,
): Promise<LeaseResult> {
  return await db.transaction(async (sql): Promise<LeaseResult> => {
    for (;;) {
      const now = await sql.now();
      const row = await readLease(sql, key);
      if (row === null) {
        if (!await insertLease(sql, key, holder, now + ttlMs)) continue;
        await closeRunning(sql, key);
        return { kind: "taken", lease: { key, holder }, previous: null };
      }
      const current = toHolder(row);
      const expiresAt = count(row, "expires_at");
      const isOurs = current.token === holder.token;
      if (!isOurs && expiresAt > now && !isDead(current)) return { kind: "held", holder: current, expiresAt };
      await sql.run(
        `UPDATE state_lease SET token = ?, host = ?, pid = ?, process_start = ?, run_id = ?, expires_at = ?
          WHERE export_name = ? AND source = ?`,
        [...holderValues(holder), now + ttlMs, key.exportName, key.source],
      );
      if (!isOurs) await closeRunning(sql, key);
      return { kind: "taken", lease: { key, holder }, previous: isOurs ? null : current };
    }
  });
}

export async function renewLease(db: Db, lease: Lease, ttlMs: number): Promise<boolean> {
  const { key, holder } = lease;
  return await db.transaction(async (sql) => {
    const changed = await sql.run(
      "UPDATE state_lease SET expires_at = ? WHERE export_name = ? AND source = ? AND token = ?",
      [await sql.now() + ttlMs, key.exportName, key.source, holder.token],
    );
    return changed > 0;
  }, { durable: false });
}

export async function releaseLease(db: Db, { key, holder }: Lease): Promise<void> {
  await db.run("DELETE FROM state_lease WHERE export_name = ? AND source = ? AND token = ?", [
    key.exportName,
    key.source,
    holder.token,
  ]);
}

/**
 * Throws RIVET_STATE_LEASE_LOST when the lease is no longer ours. Nobody can take it over before this transaction ends: a file
 * has one writer, and on PostgreSQL the row stays locked. KEY SHARE lets several commits and a renewal pass beside each other.
 */
export async function assertLease(sql: Sql, { key, holder }: Lease): Promise<void> {
  const lock = sql.kind === "postgres" ? " FOR KEY SHARE" : "";
  const row = await first(sql, `SELECT token, host, pid FROM state_lease WHERE export_name = ? AND source = ?${lock}`, [
    key.exportName,
    key.source,
  ]);
  if (row !== null && row["token"] === holder.token) return;
  const who = row === null ? "It was given up or taken over" : `Process ${row["pid"]} on ${row["host"]} took it over`;
  throw new RivetError("RIVET_STATE_LEASE_LOST", `This process no longer holds the export: ${who}`, {
    where: `export '${key.exportName}'`,
  });
}

/** The row of a run that is ours to write: the lease of its export is held and nobody gave the run up meanwhile. */
export async function assertRunning(sql: Sql, runId: string, lease: Lease): Promise<Row> {
  await assertLease(sql, lease);
  const row = await first(
    sql,
    "SELECT max_chunk_attempts, export_name FROM chunk_run WHERE run_id = ? AND status = 'in_progress' AND export_name = ? AND source = ?",
    [runId, lease.key.exportName, lease.key.source],
  );
  if (row === null) throw runGone(runId, lease.key);
  return row;
}

/** A lease is leave to write the progress of its own export alone. */
export function assertSameKey(key: ExportKey, lease: Lease): void {
  if (key.exportName === lease.key.exportName && key.source === lease.key.source) return;
  throw new RivetError(
    "RIVET_INTERNAL_STATE_INVARIANT",
    `The lease of '${lease.key.exportName}' is for another export`,
    {
      where: `export '${key.exportName}'`,
    },
  );
}

export function runGone(runId: string, key: ExportKey): RivetError {
  return new RivetError(
    "RIVET_STATE_CHUNK_CHECKPOINT_GONE",
    `Run '${runId}' was given up or removed while it was used`,
    {
      where: `export '${key.exportName}'`,
    },
  );
}

/** Shows those who wait which run holds the lease. */
export async function nameRun(sql: Sql, { key, holder }: Lease, runId: string): Promise<void> {
  await sql.run("UPDATE state_lease SET run_id = ? WHERE export_name = ? AND source = ? AND token = ?", [
    runId,
    key.exportName,
    key.source,
    holder.token,
  ]);
}

function readLease(sql: Sql, key: ExportKey): Promise<Row | null> {
  const lock = sql.kind === "postgres" ? " FOR UPDATE" : "";
  return first(sql, `SELECT * FROM state_lease WHERE export_name = ? AND source = ?${lock}`, [
    key.exportName,
    key.source,
  ]);
}

/** False when another process inserted it in the same moment. */
async function insertLease(sql: Sql, key: ExportKey, holder: Holder, expiresAt: number): Promise<boolean> {
  const inserted = await sql.run(
    `INSERT INTO state_lease (export_name, source, token, host, pid, process_start, run_id, expires_at)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    [key.exportName, key.source, ...holderValues(holder), expiresAt],
  );
  return inserted > 0;
}

function holderValues(holder: Holder) {
  return [holder.token, holder.host, holder.pid, holder.processStart, holder.runId];
}

function toHolder(row: Row): Holder {
  return {
    host: text(row, "host"),
    pid: count(row, "pid"),
    processStart: text(row, "process_start"),
    token: text(row, "token"),
    runId: textOrNull(row, "run_id"),
  };
}
