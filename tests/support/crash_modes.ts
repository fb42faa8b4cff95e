// Every mode as an export of a small SQLite table, broken at one effect and run again: whatever happened, the rows that the manifest names are
// the source's rows, each once, and no other file lies beside them.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runEngine } from "./engine.ts";
import { type FaultKind, Faults } from "./faults.ts";
import { inMemory, join, temporaryFolder } from "./files.ts";
import { findUntracked, readThroughAllManifests, readThroughManifest, type Row } from "./reader.ts";

const ROWS = 60;

export interface Mode {
  readonly name: string;
  /** Lines of the export, indented by four. */
  readonly yaml: string;
  /** Rows of several runs add up; otherwise the last run is the whole picture. */
  readonly adds?: boolean;
  /** Rows without a time do not belong to the export. */
  readonly timedOnly?: boolean;
  /** What the table is made of before anything runs. */
  readonly setup?: string;
  /** An undisturbed run comes first; then these statements. */
  readonly previous?: string;
  /** Folders below the destination that each hold a picture of their own. */
  readonly folders?: readonly string[];
}

/** The last time that the first run saw is that of the rows 57, 58 and 59. */
const LAST = "2026-04-06 12:00:00";
const ARRIVE_ON_THE_EDGE = `INSERT INTO t SELECT id + 100, grp, '${LAST}', made, body FROM t WHERE id <= 4`;
const ARRIVE_BELOW = `INSERT INTO t SELECT id + 200, grp, '2026-03-30 12:00:00', made, body FROM t WHERE id <= 4`;
const ARRIVE_ABOVE = `INSERT INTO t SELECT id + 300, grp, '2026-04-09 12:00:00', made, body FROM t WHERE id <= 4`;

export const MODES: readonly Mode[] = [
  { name: "full", yaml: "table: t" },
  { name: "chunked by range", yaml: "table: t\n    mode: chunked\n    chunk_column: id\n    chunk_size: 25" },
  { name: "chunked by key", yaml: "table: t\n    mode: chunked\n    chunk_by_key: [grp, id]\n    chunk_size: 25" },
  { name: "chunked by days", yaml: "table: t\n    mode: chunked\n    chunk_column: at\n    chunk_by_days: 30" },
  {
    name: "chunked densely",
    yaml: "table: t\n    mode: chunked\n    chunk_column: id\n    chunk_dense: true\n    chunk_size: 25",
  },
  { name: "incremental", yaml: "table: t\n    mode: incremental\n    cursor_column: at", adds: true },
  {
    name: "incremental in the middle of a tie",
    yaml: "table: t\n    mode: incremental\n    cursor_column: at",
    adds: true,
    previous: `${ARRIVE_ON_THE_EDGE}; ${ARRIVE_ABOVE}`,
  },
  {
    name: "incremental with cursor_lag",
    yaml: "table: t\n    mode: incremental\n    cursor_column: at\n    cursor_lag: 15d",
    adds: true,
    previous: `${ARRIVE_ON_THE_EDGE}; ${ARRIVE_BELOW}; ${ARRIVE_ABOVE}`,
  },
  {
    name: "incremental with cursor_lag and nothing above",
    yaml: "table: t\n    mode: incremental\n    cursor_column: at\n    cursor_lag: 15d",
    adds: true,
    previous: ARRIVE_BELOW,
  },
  {
    name: "incremental by two columns",
    yaml:
      "table: t\n    mode: incremental\n    cursor_column: at\n    incremental_cursor_mode: coalesce\n    cursor_fallback_column: made",
    adds: true,
    // The row 60 has the second column alone, and the last time of all.
    previous:
      `INSERT INTO t SELECT id + 100, grp, NULL, '2026-04-11 11:00:00', body FROM t WHERE id <= 4; INSERT INTO t SELECT id + 200, grp, '2026-04-12 12:00:00', made, body FROM t WHERE id <= 4`,
  },
  {
    name: "full over the set of an earlier run",
    yaml: "table: t",
    previous: "DELETE FROM t WHERE id > 40",
  },
  {
    name: "a number of chunks",
    yaml: "table: t\n    mode: chunked\n    chunk_column: id\n    chunk_count: 4",
  },
  {
    name: "time window",
    yaml: "table: t\n    mode: time_window\n    time_column: at\n    days_window: 36500",
    timedOnly: true,
  },
  {
    name: "partitioned",
    yaml: "table: t\n    partition_by: at\n    partition_granularity: month",
    // A first, one between and a last: every effect of a run happens once in each.
    setup: "UPDATE t SET at = '2026-02-20 12:00:00' WHERE at >= '2026-02-20'",
    folders: ["2026-01", "2026-02", "__HIVE_DEFAULT_PARTITION__"],
  },
];

async function prepare(folder: string, mode: Mode, format: string): Promise<string> {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, grp TEXT NOT NULL, at TIMESTAMP, made TIMESTAMP NOT NULL, body TEXT)",
  );
  db.exec("CREATE INDEX t_grp ON t (grp, id)");
  const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?, ?, ?)");
  for (let id = 1; id <= ROWS; id++) {
    // Several rows share a time, and some have none.
    const day = new Date(Date.UTC(2026, 0, 1 + Math.floor(id / 3) * 5)).toISOString().slice(0, 10);
    insert.run(id, `g${id % 4}`, id % 10 === 0 ? null : `${day} 12:00:00`, `${day} 11:00:00`, `row ${id}`);
  }
  if (mode.setup !== undefined) db.exec(mode.setup);
  const path = join(folder, "rivet.yaml");
  await Deno.writeTextFile(
    path,
    `source:
  type: sqlite
  path: shop.db
  tuning: {profile: fast, max_retries: 0}
exports:
  - name: t
    ${mode.yaml}
    format: ${format}
    destination: {type: local, path: "out${mode.folders === undefined ? "" : "/{partition}"}"}
`,
  );
  return path;
}

function idsOf(rows: readonly Row[]): number[] {
  return rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
}

function sourceIds(folder: string): number[] {
  using db = new DatabaseSync(join(folder, "shop.db"));
  return (db.prepare("SELECT id FROM t ORDER BY id").all() as { id: number }[]).map((row) => row.id);
}

/** One fault, then the same again. Returns whether the fault was reached. Without `stateUrl` the state lies beside the config. */
export async function breakAt(
  mode: Mode,
  format: string,
  kind: FaultKind,
  at: number,
  stateUrl?: string,
): Promise<boolean> {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepare(folder.path, mode, format);
  if (mode.previous !== undefined) {
    assert.equal((await runEngine({ configPath, stateUrl })).failed_count, 0);
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec(mode.previous);
  }
  const faults = new Faults(at, kind);
  const first = await runEngine({ configPath, stateUrl, faults }).catch((error) => error);
  if (faults.fired === null) {
    assert.equal(first.failed_count, 0, `run without a fault: ${JSON.stringify(first.per_export?.[0]?.error)}`);
  }
  const second = await runEngine({ configPath, stateUrl });
  const where = `${mode.name}, ${format}, ${kind} at ${at} (${faults.fired})`;
  assert.equal(second.failed_count, 0, `${where}: ${JSON.stringify(second.per_export[0]?.error)}`);
  const out = join(folder.path, "out");
  const rows: Row[] = [];
  for (const part of mode.folders ?? ["."]) {
    const place = join(out, part);
    rows.push(...mode.adds ? await readThroughAllManifests(place) : await readThroughManifest(place));
    assert.deepEqual(await findUntracked(place), [], where);
  }
  const ids = sourceIds(folder.path);
  assert.deepEqual(idsOf(rows), mode.timedOnly ? ids.filter((id) => id % 10 !== 0) : ids, where);
  return faults.fired !== null;
}
