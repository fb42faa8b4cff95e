// The journal: events written soon after they happen (run_event), and one JSON text of them when a run ends (run_journal).

import { count, type Db, first, type Row, type Sql, text, textOrNull } from "./db.ts";
import type { JournalEntry, StoredEntry } from "./state.ts";

/** The compiled text keeps so many events from either end; all of them stay in `run_event`. */
const COMPILED_EACH_END = 5_000;
const ENTRIES_PER_PAGE = 20_000;

export async function recordEvents(
  db: Db,
  now: string,
  runId: string,
  exportName: string,
  events: readonly JournalEntry[],
): Promise<void> {
  await db.transaction(async (sql) => {
    await sql.run(
      `INSERT INTO run_journal (run_id, export_name, started_at, finished_at, journal_json) VALUES (?, ?, ?, NULL, NULL)
        ON CONFLICT (run_id) DO NOTHING`,
      [runId, exportName, now],
    );
    await sql.insert(
      "run_event",
      ["run_id", "recorded_at", "event_json"],
      events.map(({ recordedAt, event }) => [runId, recordedAt, JSON.stringify(event)]),
    );
    // The end of a run is told after the run was ended.
    const row = await first(sql, "SELECT finished_at FROM run_journal WHERE run_id = ?", [runId]);
    if (row !== null && row["finished_at"] !== null) await compileJournal(sql, runId, now);
  }, { durable: false });
}

/** Writes the text of an ended run; a run that is resumed gets a new one at its next end. */
export async function compileJournal(sql: Sql, runId: string, now: string): Promise<void> {
  const row = await first(sql, "SELECT export_name FROM run_journal WHERE run_id = ?", [runId]);
  if (row === null) return;
  const total = count(await first(sql, "SELECT count(*) AS n FROM run_event WHERE run_id = ?", [runId]), "n");
  const head = await readEvents(sql, runId, "ASC", COMPILED_EACH_END);
  const rest = Math.min(total - head.length, COMPILED_EACH_END);
  const tail = rest > 0 ? (await readEvents(sql, runId, "DESC", rest)).reverse() : [];
  const left = total - head.length - tail.length;
  const gap = left > 0
    ? [{ recordedAt: now, event: { Warning: { context: "journal", message: `${left} events are left out here` } } }]
    : [];
  const journal = {
    run_id: runId,
    export_name: text(row, "export_name"),
    entries: [...head, ...gap, ...tail].map((entry) => ({ recorded_at: entry.recordedAt, event: entry.event })),
  };
  await sql.run("UPDATE run_journal SET finished_at = ?, journal_json = ? WHERE run_id = ?", [
    now,
    JSON.stringify(journal),
    runId,
  ]);
}

/** A run that goes on has no end yet. */
export async function reopenJournal(sql: Sql, runId: string): Promise<void> {
  await sql.run("UPDATE run_journal SET finished_at = NULL WHERE run_id = ?", [runId]);
}

/** A run of a million chunks has some millions of entries: no reader needs them together. */
export async function listJournalAfter(sql: Sql, runId: string, id: number): Promise<StoredEntry[]> {
  const rows = await sql.all(
    "SELECT id, recorded_at, event_json FROM run_event WHERE run_id = ? AND id > ? ORDER BY id LIMIT ?",
    [runId, id, ENTRIES_PER_PAGE],
  );
  return rows.map((row) => ({ id: count(row, "id"), ...toEntry(row) }));
}

export async function listJournals(
  sql: Sql,
  exportName: string,
  limit: number,
): Promise<{ runId: string; finishedAt: string | null }[]> {
  const rows = await sql.all(
    `SELECT run_id, finished_at FROM run_journal WHERE export_name = ? ORDER BY started_at DESC, run_id DESC LIMIT ?`,
    [exportName, limit],
  );
  return rows.map((row) => ({ runId: text(row, "run_id"), finishedAt: textOrNull(row, "finished_at") }));
}

async function readEvents(sql: Sql, runId: string, order: "ASC" | "DESC", limit: number): Promise<JournalEntry[]> {
  const rows = await sql.all(
    `SELECT recorded_at, event_json FROM run_event WHERE run_id = ? ORDER BY id ${order} LIMIT ?`,
    [runId, limit],
  );
  return rows.map(toEntry);
}

function toEntry(row: Row): JournalEntry {
  return { recordedAt: text(row, "recorded_at"), event: JSON.parse(text(row, "event_json")) };
}
