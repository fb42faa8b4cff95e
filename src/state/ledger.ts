// The ledger: which files were committed. A part stands here only after its destination said that it is durable. Table file_log.

import { RivetError } from "../errors.ts";
import { count, type Db, first, marks, type Row, type Sql, type SqlValue, text } from "./db.ts";
import { assertRunning } from "./lease.ts";
import { addRunningTotals, type Totals } from "./metrics.ts";
import type { Committed, FileRow, Lease, SliceCommit, StoredPart } from "./state.ts";

const PARTS_PER_PAGE = 20_000;

/** Ledger rows and the ends of slices together: a slice is done exactly when its parts are on record. */
export async function commitSlices(
  db: Db,
  now: string,
  runId: string,
  commits: readonly SliceCommit[],
  format: { format: string; compression: string },
  lease: Lease,
): Promise<void> {
  if (commits.length === 0) return;
  await db.transaction(async (sql) => {
    const run = await assertRunning(sql, runId, lease);
    const indexes = commits.map(({ index }) => index);
    await completeSlices(sql, now, runId, commits, lease);
    // Only a slice that is committed again has parts already.
    const before = await countedTotals(sql, runId, indexes);
    if (before.files > 0) await forgetParts(sql, runId, indexes);
    const exportName = text(run, "export_name");
    const { format: name, compression } = format;
    const parts = commits.flatMap((commit) =>
      commit.parts.map((part) => [
        runId,
        exportName,
        part.fileName,
        ...partValues(part),
        name,
        compression,
        commit.index,
      ])
    );
    if (parts.length > 0) await sql.insert("file_log", FILE_COLUMNS, parts);
    const after = await countedTotals(sql, runId, indexes);
    await addRunningTotals(sql, runId, {
      rows: after.rows - before.rows,
      bytes: after.bytes - before.bytes,
      files: after.files - before.files,
    });
  });
}

/** One statement for all: on a server each would cost a round trip. */
async function completeSlices(
  sql: Sql,
  now: string,
  runId: string,
  commits: readonly SliceCommit[],
  lease: Lease,
): Promise<void> {
  const values = commits.flatMap(({ index, attempt, parts, observations }) => [
    index,
    attempt,
    observations.rows,
    parts[0]?.fileName ?? null,
    JSON.stringify(observations),
  ]);
  const changed = await sql.run(
    `UPDATE chunk_task SET status = 'completed', attempts = done.attempt, last_error = NULL,
      rows_written = done.row_total, file_name = done.name, observations_json = done.observed, updated_at = ?
      FROM (SELECT CAST(column1 AS BIGINT) AS place, CAST(column2 AS BIGINT) AS attempt,
          CAST(column3 AS BIGINT) AS row_total, CAST(column4 AS TEXT) AS name, CAST(column5 AS TEXT) AS observed
        FROM (VALUES ${commits.map(() => "(?, ?, ?, ?, ?)").join(", ")}) AS given) AS done
      WHERE run_id = ? AND chunk_index = done.place AND status IN ('running', 'completed') AND attempts <= done.attempt`,
    [now, ...values, runId],
  );
  if (changed === commits.length) return;
  const names = commits.map(({ index }) => index).join(", ");
  const who = commits.length === 1 ? `Slice ${names} of run '${runId}' is` : `A slice of ${names} of run '${runId}' is`;
  throw new RivetError("RIVET_INTERNAL_STATE_INVARIANT", `${who} not running`, {
    where: `export '${lease.key.exportName}'`,
  });
}

const FILE_COLUMNS = [
  "run_id",
  "export_name",
  "file_name",
  "row_count",
  "bytes",
  "created_at",
  "observations_json",
  "digests_json",
  "format",
  "compression",
  "chunk_index",
];

function partValues(part: StoredPart): SqlValue[] {
  const { rows, bytes } = part.observations;
  return [rows, bytes, part.createdAt, JSON.stringify(part.observations), JSON.stringify(part.digests)];
}

/** In the order of the plan, and within a slice in the order they were written. */
export async function listParts(sql: Sql, runId: string): Promise<StoredPart[]> {
  const found: StoredPart[] = [];
  for (let [slice, id] = [-1, 0];;) {
    const rows = await sql.all(
      `SELECT id, chunk_index, file_name, observations_json, digests_json, created_at FROM file_log
        WHERE run_id = ? AND (chunk_index > ? OR (chunk_index = ? AND id > ?)) ORDER BY chunk_index, id LIMIT ?`,
      [runId, slice, slice, id, PARTS_PER_PAGE],
    );
    for (const row of rows) found.push(toPart(row));
    if (rows.length < PARTS_PER_PAGE) return found;
    [slice, id] = [count(rows.at(-1)!, "chunk_index"), count(rows.at(-1)!, "id")];
  }
}

export async function listPartsBetween(sql: Sql, runId: string, first: number, last: number): Promise<StoredPart[]> {
  const rows = await sql.all(
    `SELECT chunk_index, file_name, observations_json, digests_json, created_at FROM file_log
      WHERE run_id = ? AND chunk_index BETWEEN ? AND ? ORDER BY chunk_index, id`,
    [runId, first, last],
  );
  return rows.map(toPart);
}

function toPart(row: Row): StoredPart {
  return {
    sliceIndex: count(row, "chunk_index"),
    fileName: text(row, "file_name"),
    observations: JSON.parse(text(row, "observations_json")),
    digests: JSON.parse(text(row, "digests_json")),
    createdAt: text(row, "created_at"),
  };
}

export async function forgetParts(sql: Sql, runId: string, indexes: readonly number[]): Promise<void> {
  await sql.run(`DELETE FROM file_log WHERE run_id = ? AND chunk_index IN (${marks(indexes)})`, [runId, ...indexes]);
}

/** What the ledger holds of a run, or of some of its slices. */
export async function countedTotals(sql: Sql, runId: string, indexes?: readonly number[]): Promise<Totals> {
  const row = await first(
    sql,
    `SELECT count(*) AS files, sum(row_count) AS row_total, sum(bytes) AS byte_total FROM file_log
      WHERE run_id = ?${indexes === undefined ? "" : ` AND chunk_index IN (${marks(indexes)})`}`,
    [runId, ...indexes ?? []],
  );
  return { files: count(row, "files"), rows: count(row, "row_total"), bytes: count(row, "byte_total") };
}

export async function readCommitted(sql: Sql, runId: string): Promise<Committed> {
  const done = "SELECT count(*) AS slices FROM chunk_task WHERE run_id = ? AND status = 'completed'";
  const slices = count(await first(sql, done, [runId]), "slices");
  return { slices, ...await countedTotals(sql, runId) };
}

export async function listFiles(sql: Sql, filter: { exportName?: string; limit: number }): Promise<FileRow[]> {
  const where = filter.exportName === undefined ? "" : "WHERE export_name = ?";
  const rows = await sql.all(
    `SELECT run_id, export_name, file_name, row_count, bytes, format, compression, created_at FROM file_log ${where}
      ORDER BY id DESC LIMIT ?`,
    filter.exportName === undefined ? [filter.limit] : [filter.exportName, filter.limit],
  );
  return rows.map((row) => ({
    run_id: text(row, "run_id"),
    export_name: text(row, "export_name"),
    file_name: text(row, "file_name"),
    row_count: count(row, "row_count"),
    bytes: count(row, "bytes"),
    format: text(row, "format"),
    compression: text(row, "compression"),
    created_at: text(row, "created_at"),
  }));
}

export async function abandonedParts(sql: Sql, destinationUri: string): Promise<{ runId: string; fileName: string }[]> {
  const rows = await sql.all(
    `SELECT f.run_id AS run_id, f.file_name AS file_name FROM file_log f JOIN chunk_run r ON r.run_id = f.run_id
      WHERE r.destination_uri = ? AND r.resumable = 0 AND r.status <> 'completed' ORDER BY f.id`,
    [destinationUri],
  );
  return rows.map((row) => ({ runId: text(row, "run_id"), fileName: text(row, "file_name") }));
}

/** Only of a run that is given up: those of any other are what its files are known by. */
export async function forgetAbandonedParts(db: Db, runId: string): Promise<void> {
  await db.run(
    `DELETE FROM file_log WHERE run_id = ?
      AND run_id IN (SELECT run_id FROM chunk_run WHERE resumable = 0 AND status <> 'completed')`,
    [runId],
  );
}
