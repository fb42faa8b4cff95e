// How far an export has come: cursor, columns and widths of its last run, and what is committed and verified.
// Tables export_state, export_schema, export_shape, export_progression.

import { RivetError } from "../errors.ts";
import { count, type Db, first, type Row, type Sql, type SqlValue, text, textOrNull } from "./db.ts";
import { compileJournal } from "./journal.ts";
import { assertLease, assertSameKey, runGone } from "./lease.ts";
import { putMetric } from "./metrics.ts";
import { compareCursors } from "./order.ts";
import { findRun } from "./runs.ts";
import type { CursorDefinition, CursorState, ExportKey, Lease, Progression, TaskCommit } from "./state.ts";

const OF_KEY = "export_name = ? AND source = ?";

export async function readCursor(sql: Sql, key: ExportKey): Promise<CursorState | null> {
  const row = await first(
    sql,
    `SELECT * FROM export_state WHERE ${OF_KEY} AND last_cursor_value IS NOT NULL`,
    keyOf(key),
  );
  return row === null ? null : toCursor(row);
}

export async function listCursors(sql: Sql, exportName?: string): Promise<({ key: ExportKey } & CursorState)[]> {
  const rows = await sql.all(
    `SELECT * FROM export_state WHERE last_cursor_value IS NOT NULL${
      exportName === undefined ? "" : " AND export_name = ?"
    }
      ORDER BY export_name, source`,
    exportName === undefined ? [] : [exportName],
  );
  return rows.map((row) => ({
    key: { exportName: text(row, "export_name"), source: text(row, "source") },
    ...toCursor(row),
  }));
}

export async function readSchema(sql: Sql, key: ExportKey): Promise<{ name: string; type: string }[] | null> {
  const row = await first(sql, `SELECT columns_json FROM export_schema WHERE ${OF_KEY}`, keyOf(key));
  return row === null ? null : JSON.parse(text(row, "columns_json"));
}

export async function readShape(sql: Sql, key: ExportKey): Promise<Record<string, number>> {
  const rows = await sql.all(`SELECT column_name, max_byte_len FROM export_shape WHERE ${OF_KEY}`, keyOf(key));
  return Object.fromEntries(rows.map((row) => [text(row, "column_name"), count(row, "max_byte_len")]));
}

/**
 * Ends a run with success: all its slices are done, cursor and everything that follows from it are written, or nothing is.
 * Calling it again for a run that is completed changes nothing, so a commit whose answer was lost can be repeated.
 */
export async function commitTask(db: Db, now: string, commit: TaskCommit, lease: Lease): Promise<void> {
  const { runId, key } = commit;
  assertSameKey(key, lease);
  await db.transaction(async (sql) => {
    await assertLease(sql, lease);
    const changed = await sql.run(
      `UPDATE chunk_run SET status = 'completed', resumable = 0, updated_at = ?
        WHERE run_id = ? AND status = 'in_progress' AND ${OF_KEY}`,
      [now, runId, ...keyOf(key)],
    );
    if (changed === 0) {
      if ((await findRun(sql, runId))?.status === "completed") return;
      throw runGone(runId, key);
    }
    await assertAllDone(sql, runId, key);
    if (commit.cursor !== null) await putCursor(sql, key, commit.cursor, runId);
    if (commit.schema !== null) await putSchema(sql, key, commit.schema, now);
    await growShape(sql, key, commit.shape, now);
    if (commit.committed !== null) await putCommitted(sql, commit, now);
    await putMetric(sql, commit.metric);
    await compileJournal(sql, runId, now);
  });
}

export async function assertAllDone(sql: Sql, runId: string, key: ExportKey): Promise<void> {
  const open = await first(
    sql,
    "SELECT chunk_index FROM chunk_task WHERE run_id = ? AND status <> 'completed' LIMIT 1",
    [runId],
  );
  if (open === null) return;
  throw new RivetError(
    "RIVET_INTERNAL_STATE_INVARIANT",
    `Slice ${open["chunk_index"]} of run '${runId}' is not completed`,
    {
      where: `export '${key.exportName}'`,
    },
  );
}

const CURSOR_COLUMNS = [
  "last_cursor_value",
  "last_run_at",
  "cursor_column",
  "cursor_type",
  "mode",
  "stream",
  "destination",
  "format",
  "edge_json",
  "run_id",
];

async function putCursor(sql: Sql, key: ExportKey, cursor: CursorState, runId: string): Promise<void> {
  const { value, lastRunAt, definition: d, edge } = cursor;
  await sql.run(
    `INSERT INTO export_state (export_name, source, ${
      CURSOR_COLUMNS.join(", ")
    }) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (export_name, source) DO UPDATE SET ${
      CURSOR_COLUMNS.map((name) => `${name} = excluded.${name}`).join(", ")
    }`,
    [...keyOf(key), value, lastRunAt, ...definitionValues(d), JSON.stringify(edge), runId],
  );
}

function definitionValues(d: CursorDefinition): SqlValue[] {
  return [d.column, d.columnType, d.mode, d.stream, d.destination, d.format];
}

async function putSchema(sql: Sql, key: ExportKey, columns: TaskCommit["schema"], now: string): Promise<void> {
  await sql.run(
    `INSERT INTO export_schema (export_name, source, columns_json, updated_at) VALUES (?, ?, ?, ?)
      ON CONFLICT (export_name, source) DO UPDATE SET columns_json = excluded.columns_json, updated_at = excluded.updated_at`,
    [...keyOf(key), JSON.stringify(columns), now],
  );
}

/** Lengths only grow. */
async function growShape(
  sql: Sql,
  key: ExportKey,
  shape: Readonly<Record<string, number>>,
  now: string,
): Promise<void> {
  for (const [column, length] of Object.entries(shape)) {
    await sql.run(
      `INSERT INTO export_shape (export_name, source, column_name, max_byte_len, updated_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (export_name, source, column_name) DO UPDATE SET max_byte_len = excluded.max_byte_len,
        updated_at = excluded.updated_at WHERE excluded.max_byte_len > export_shape.max_byte_len`,
      [...keyOf(key), column, length, now],
    );
  }
}

/** PG4: the row holds a cursor or a chunk index, never both. PG3: a cursor below the stored one leaves the row as it is. */
async function putCommitted(sql: Sql, commit: TaskCommit, now: string): Promise<void> {
  const { key } = commit;
  let { runId } = commit;
  const { strategy, cursor, chunkIndex } = commit.committed!;
  if (cursor !== null && commit.cursor !== null) {
    const was = await committedCursor(sql, key, strategy);
    const order = was === null ? null : compareCursors(commit.cursor.definition.columnType, cursor, was.value);
    if (order !== null && order < 0) return;
    // A run that brought nothing takes nothing from what was verified of the run before it.
    if (order === 0 && was!.runId !== null && commit.metric.total_rows === 0) runId = was!.runId;
  }
  await putBoundary(sql, "committed", key.exportName, [strategy, cursor, chunkIndex, runId, now]);
}

/** The stored boundary that a new one must not fall below: of the same strategy and, since the table has one row for a name, the same source. */
async function committedCursor(
  sql: Sql,
  key: ExportKey,
  strategy: string,
): Promise<{ value: string; runId: string | null } | null> {
  const row = await first(
    sql,
    `SELECT p.last_committed_cursor AS value, p.last_committed_run_id AS run_id, r.source AS source FROM export_progression p
      LEFT JOIN chunk_run r ON r.run_id = p.last_committed_run_id WHERE p.export_name = ? AND p.last_committed_strategy = ?`,
    [key.exportName, strategy],
  );
  if (row === null || (row["source"] !== null && row["source"] !== key.source)) return null;
  const value = textOrNull(row, "value");
  return value === null ? null : { value, runId: textOrNull(row, "run_id") };
}

async function putBoundary(
  sql: Sql,
  which: "committed" | "verified",
  exportName: string,
  values: readonly SqlValue[],
): Promise<void> {
  const columns = ["strategy", "cursor", "chunk_index", "run_id", "at"].map((name) => `last_${which}_${name}`);
  await sql.run(
    `INSERT INTO export_progression (export_name, ${columns.join(", ")}) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (export_name) DO UPDATE SET ${columns.map((name) => `${name} = excluded.${name}`).join(", ")}`,
    [exportName, ...values],
  );
}

export async function listProgression(sql: Sql, exportName?: string): Promise<Progression[]> {
  const rows = await sql.all(
    `SELECT * FROM export_progression ${exportName === undefined ? "" : "WHERE export_name = ? "}ORDER BY export_name`,
    exportName === undefined ? [] : [exportName],
  );
  return rows as unknown as Progression[];
}

/** PG6: only what a completed run committed can be verified. */
export async function recordVerified(
  db: Db,
  now: string,
  key: ExportKey,
  verified: { strategy: string; cursor: string | null; chunkIndex: number | null; runId: string },
): Promise<void> {
  const { strategy, cursor, chunkIndex, runId } = verified;
  await db.transaction(async (sql) => {
    const run = await findRun(sql, runId);
    if (run?.status !== "completed" || run.key.source !== key.source || run.key.exportName !== key.exportName) {
      throw new RivetError("RIVET_STATE_CHUNK_RUN_MISSING", `Run '${runId}' is no completed run of this export`, {
        where: `export '${key.exportName}'`,
      });
    }
    // What an older run turned out to be is no news of the newest one.
    const newest = await first(
      sql,
      `SELECT 1 FROM export_progression WHERE export_name = ? AND last_verified_run_id = last_committed_run_id
        AND last_committed_run_id <> ?`,
      [key.exportName, runId],
    );
    if (newest === null) {
      await putBoundary(sql, "verified", key.exportName, [strategy, cursor, chunkIndex, runId, now]);
    }
  });
}

const VERIFIED_GONE = ["strategy", "cursor", "chunk_index", "run_id", "at"].map((name) =>
  `last_verified_${name} = NULL`
).join(", ");

/** A run that was found to differ, or whose files were changed since, is verified no longer. */
export async function withdrawVerified(sql: Sql, runId: string): Promise<void> {
  await sql.run(`UPDATE export_progression SET ${VERIFIED_GONE} WHERE last_verified_run_id = ?`, [runId]);
}

/** The boundaries go with the cursor, unless they are those of another source. */
export async function resetCursor(db: Db, key: ExportKey): Promise<boolean> {
  return await db.transaction(async (sql) => {
    const removed = await sql.run(`DELETE FROM export_state WHERE ${OF_KEY}`, keyOf(key));
    await sql.run(
      `UPDATE export_progression SET ${VERIFIED_GONE} WHERE export_name = ? AND EXISTS (SELECT 1 FROM chunk_run r
        WHERE r.run_id = last_verified_run_id AND r.source = ?)`,
      keyOf(key),
    );
    await sql.run(
      `DELETE FROM export_progression WHERE export_name = ? AND NOT EXISTS (SELECT 1 FROM chunk_run r
        WHERE r.run_id = coalesce(last_committed_run_id, last_verified_run_id) AND r.source <> ?)`,
      keyOf(key),
    );
    return removed > 0;
  });
}

export async function acceptCursor(db: Db, key: ExportKey, definition: CursorDefinition): Promise<boolean> {
  const changed = await db.run(
    `UPDATE export_state SET cursor_column = ?, cursor_type = ?, mode = ?, stream = ?, destination = ?, format = ? WHERE ${OF_KEY}`,
    [...definitionValues(definition), ...keyOf(key)],
  );
  return changed > 0;
}

function keyOf(key: ExportKey): [string, string] {
  return [key.exportName, key.source];
}

function toCursor(row: Row): CursorState {
  return {
    value: text(row, "last_cursor_value"),
    lastRunAt: text(row, "last_run_at"),
    definition: {
      column: text(row, "cursor_column"),
      columnType: text(row, "cursor_type"),
      mode: text(row, "mode"),
      stream: text(row, "stream"),
      destination: text(row, "destination"),
      format: text(row, "format"),
    },
    edge: JSON.parse(textOrNull(row, "edge_json") ?? "{}"),
  };
}
