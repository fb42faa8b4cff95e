// The tables, as numbered steps that both databases understand. A step that was ever released is never edited: add a new one.

import { RivetError } from "../errors.ts";
import { count, type Db, first, type Sql } from "./db.ts";

export interface Migration {
  readonly version: number;
  readonly statements: readonly string[];
}

/** Written once for both: `{id}` is a counting key, `{int}` a 64-bit integer, `{flag}` a boolean. */
const DIALECT = {
  sqlite: { "{id}": "INTEGER PRIMARY KEY AUTOINCREMENT", "{int}": "INTEGER", "{flag}": "INTEGER" },
  postgres: { "{id}": "BIGSERIAL PRIMARY KEY", "{int}": "BIGINT", "{flag}": "BOOLEAN" },
} as const;

const VERSION_TABLE = { sqlite: "schema_version", postgres: "rivet_schema_version" } as const;
/** ASCII `rivet_mi` as a 64-bit number: the advisory lock of those who migrate. */
const ADVISORY_KEY = "8244250770994589033";

/** Lower numbers are used by another program that keeps its state under the same names, in tables of another shape. */
const VERSION_MIN = 100;

export const MIGRATIONS: readonly Migration[] = [
  {
    version: VERSION_MIN,
    statements: [
      `CREATE TABLE export_state (
        export_name TEXT NOT NULL, source TEXT NOT NULL,
        last_cursor_value TEXT, last_run_at TEXT,
        cursor_column TEXT, cursor_type TEXT, mode TEXT, stream TEXT, destination TEXT, format TEXT,
        edge_json TEXT, run_id TEXT,
        PRIMARY KEY (export_name, source))`,
      `CREATE TABLE export_schema (
        export_name TEXT NOT NULL, source TEXT NOT NULL, columns_json TEXT NOT NULL, updated_at TEXT NOT NULL,
        PRIMARY KEY (export_name, source))`,
      `CREATE TABLE export_shape (
        export_name TEXT NOT NULL, source TEXT NOT NULL, column_name TEXT NOT NULL,
        max_byte_len {int} NOT NULL, updated_at TEXT NOT NULL,
        PRIMARY KEY (export_name, source, column_name))`,
      `CREATE TABLE export_progression (
        export_name TEXT PRIMARY KEY,
        last_committed_strategy TEXT, last_committed_cursor TEXT, last_committed_chunk_index {int},
        last_committed_run_id TEXT, last_committed_at TEXT,
        last_verified_strategy TEXT, last_verified_cursor TEXT, last_verified_chunk_index {int},
        last_verified_run_id TEXT, last_verified_at TEXT)`,
      `CREATE TABLE state_lease (
        export_name TEXT NOT NULL, source TEXT NOT NULL,
        token TEXT NOT NULL, host TEXT NOT NULL, pid {int} NOT NULL, process_start TEXT NOT NULL, run_id TEXT,
        expires_at {int} NOT NULL,
        PRIMARY KEY (export_name, source))`,
      // `resumable` is 1 while the run is in progress or may be finished by a later one, and 0 for good afterwards.
      `CREATE TABLE chunk_run (
        run_id TEXT PRIMARY KEY, export_name TEXT NOT NULL, source TEXT NOT NULL, plan_hash TEXT NOT NULL,
        status TEXT NOT NULL, resumable {int} NOT NULL, max_chunk_attempts {int} NOT NULL,
        mode TEXT NOT NULL, consistency TEXT NOT NULL, destination_uri TEXT NOT NULL,
        definition_json TEXT NOT NULL, plan_json TEXT NOT NULL, rivet_version TEXT NOT NULL,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL)`,
      `CREATE UNIQUE INDEX chunk_run_open ON chunk_run (export_name, source) WHERE resumable = 1`,
      `CREATE INDEX chunk_run_created ON chunk_run (export_name, source, created_at)`,
      `CREATE TABLE chunk_task (
        id {id}, run_id TEXT NOT NULL, chunk_index {int} NOT NULL, slice_id TEXT NOT NULL,
        start_key TEXT, end_key TEXT, bounds_json TEXT NOT NULL,
        status TEXT NOT NULL, attempts {int} NOT NULL, last_error TEXT, rows_written {int} NOT NULL, file_name TEXT,
        observations_json TEXT, updated_at TEXT NOT NULL,
        UNIQUE (run_id, chunk_index))`,
      // Claiming looks into these two alone, so its cost does not grow with the slices that are done.
      `CREATE INDEX chunk_task_pending ON chunk_task (run_id, chunk_index) WHERE status = 'pending'`,
      `CREATE INDEX chunk_task_failed ON chunk_task (run_id, attempts, chunk_index) WHERE status = 'failed'`,
      `CREATE TABLE file_log (
        id {id}, run_id TEXT NOT NULL, export_name TEXT NOT NULL, file_name TEXT NOT NULL,
        row_count {int} NOT NULL, bytes {int} NOT NULL, format TEXT NOT NULL, compression TEXT NOT NULL,
        created_at TEXT NOT NULL, cursor_high TEXT,
        chunk_index {int} NOT NULL, observations_json TEXT NOT NULL, digests_json TEXT NOT NULL)`,
      `CREATE UNIQUE INDEX file_log_name ON file_log (run_id, file_name)`,
      `CREATE INDEX file_log_slice ON file_log (run_id, chunk_index, id)`,
      `CREATE INDEX file_log_export ON file_log (export_name, id)`,
      `CREATE TABLE export_metrics (
        id {id}, export_name TEXT NOT NULL, run_at TEXT NOT NULL, duration_ms {int} NOT NULL, total_rows {int} NOT NULL,
        peak_rss_mb {int}, status TEXT NOT NULL, error_message TEXT, tuning_profile TEXT, format TEXT, mode TEXT,
        files_produced {int}, bytes_written {int}, retries {int}, validated {flag}, schema_changed {flag}, run_id TEXT,
        files_committed {int}, reconciled {flag}, source_count {int}, quality_passed {flag}, pg_temp_bytes_delta {int},
        batch_size {int}, batch_size_memory_mb {int}, skip_reason TEXT, schema_fingerprint TEXT, chunk_size {int},
        parallel {int}, source_type TEXT, destination_type TEXT, rivet_version TEXT, longest_chunk_ms {int}, chunk_key TEXT,
        error_class TEXT, cursor_min TEXT, cursor_max TEXT, key_descriptor_json TEXT, offending_value TEXT,
        server_context_json TEXT, bytes_read {int}, source TEXT, details_json TEXT)`,
      `CREATE INDEX export_metrics_export ON export_metrics (export_name, id)`,
      `CREATE UNIQUE INDEX export_metrics_running ON export_metrics (run_id) WHERE status = 'running'`,
      `CREATE TABLE run_event (
        id {id}, run_id TEXT NOT NULL, recorded_at TEXT NOT NULL, event_json TEXT NOT NULL)`,
      `CREATE INDEX run_event_run ON run_event (run_id, id)`,
      `CREATE TABLE run_journal (
        run_id TEXT PRIMARY KEY, export_name TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT, journal_json TEXT)`,
      `CREATE INDEX run_journal_export ON run_journal (export_name, started_at)`,
      `CREATE TABLE run_aggregate (
        run_aggregate_id TEXT PRIMARY KEY, started_at TEXT, finished_at TEXT, duration_ms {int}, config_path TEXT,
        parallel_mode TEXT, total_exports {int}, success_count {int}, failed_count {int}, skipped_count {int},
        total_rows {int}, total_files {int}, total_bytes {int}, total_bytes_read {int}, details_json TEXT)`,
    ],
  },
  {
    version: VERSION_MIN + 1,
    // How often a run was taken up again: what a process writes for a run carries it, so that no two processes write one object.
    statements: ["ALTER TABLE chunk_run ADD COLUMN takeovers {int} NOT NULL DEFAULT 0"],
  },
];

/** Every table that holds what must survive, in an order in which they can be copied. */
export const TABLES = [
  "export_state",
  "export_schema",
  "export_shape",
  "export_progression",
  "chunk_run",
  "chunk_task",
  "file_log",
  "export_metrics",
  "run_event",
  "run_journal",
  "run_aggregate",
] as const;

/** Brings the database to the newest version; a copy of an older one is kept first. */
export async function migrate(
  db: Db,
  nowMs: number,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const newest = migrations.at(-1)!.version;
  const found = await readVersion(db);
  if (found === newest) return;
  if (found !== null) refuseUnknown(found, newest, db.location);
  if (db.kind === "sqlite" && found !== null) await keepCopy(db, found, nowMs);
  await db.transaction(async (sql) => {
    await lock(sql, db.location);
    // Another process may have been faster.
    const version = await readVersion(sql);
    if (version !== null && version !== newest) {
      refuseUnknown(version, newest, db.location);
      await refuseBesideLiveRun(sql, db.location);
      if (sql.kind === "postgres") await keepSchemaCopy(sql, version, db.location);
    }
    const versionTable = VERSION_TABLE[sql.kind];
    if (version === null) {
      await sql.run(`CREATE TABLE IF NOT EXISTS ${versionTable} (version ${DIALECT[sql.kind]["{int}"]} NOT NULL)`);
    }
    for (const step of migrations.filter((m) => m.version > (version ?? 0))) {
      for (const statement of step.statements) await sql.run(toDialect(statement, sql.kind));
    }
    if (version !== newest) {
      await sql.run(`DELETE FROM ${versionTable}`);
      await sql.run(`INSERT INTO ${versionTable} (version) VALUES (?)`, [newest]);
    }
  });
}

/** Null for a database in which no state was ever kept. */
export async function readVersion(sql: Sql): Promise<number | null> {
  const name = VERSION_TABLE[sql.kind];
  const exists = sql.kind === "sqlite"
    ? await first(sql, "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = ?", [name])
    : await first(sql, "SELECT 1 AS found FROM pg_class WHERE oid = to_regclass(?)", [name]);
  if (exists === null) return null;
  const row = await first(sql, `SELECT max(version) AS version FROM ${name}`);
  return row === null || row["version"] === null ? null : count(row, "version");
}

export function isNewest(version: number | null): boolean {
  return version === MIGRATIONS.at(-1)!.version;
}

/** Throws RIVET_STATE_SCHEMA_NEWER, or RIVET_STATE_BACKEND_FAILED for the state of another program. */
export function checkVersion(version: number, location: string): void {
  refuseUnknown(version, MIGRATIONS.at(-1)!.version, location);
}

/** Whether this program, in any version, wrote the state. */
export function isOwn(version: number | null): boolean {
  return version !== null && version >= VERSION_MIN;
}

function toDialect(statement: string, kind: Sql["kind"]): string {
  return statement.replace(/\{(id|int|flag)\}/g, (mark) => DIALECT[kind][mark as keyof typeof DIALECT.sqlite]);
}

function refuseUnknown(found: number, newest: number, location: string): void {
  if (found > newest) {
    throw new RivetError("RIVET_STATE_SCHEMA_NEWER", `The state has version ${found}, this program knows ${newest}`, {
      where: location,
    });
  }
  if (found < VERSION_MIN) {
    throw new RivetError("RIVET_STATE_BACKEND_FAILED", `The state has version ${found}, which another program wrote`, {
      where: location,
      cure:
        "Move it away, or point RIVET_STATE_URL to another place: its cursors are not taken over, every export starts over",
    });
  }
}

/** SQLite's BEGIN IMMEDIATE already is the lock; on PostgreSQL this one ends with the transaction, so it is safe behind a pooler. */
async function lock(sql: Sql, location: string): Promise<void> {
  if (sql.kind === "sqlite") return;
  for (let tries = 0; tries < 100; tries++) {
    const row = await first(sql, "SELECT pg_try_advisory_xact_lock(?::bigint) AS got", [ADVISORY_KEY]);
    if (row?.["got"] === true) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new RivetError("RIVET_STATE_MIGRATION_LOCKED", "Another process has been migrating the state for 10 s", {
    where: location,
  });
}

/** An older program that is at work would write into tables it does not know. */
async function refuseBesideLiveRun(sql: Sql, location: string): Promise<void> {
  const live = await first(sql, "SELECT host, pid, export_name FROM state_lease WHERE expires_at > ? LIMIT 1", [
    await sql.now(),
  ]);
  if (live === null) return;
  const holder = `process ${live["pid"]} on ${live["host"]}`;
  throw new RivetError(
    "RIVET_STATE_UPGRADE_BESIDE_LIVE_RUN",
    `${holder} runs export '${live["export_name"]}' with an older version of rivet`,
    { where: location },
  );
}

/** `.rivet_state.db.v<old>.<UTC>.bak` beside the file. */
async function keepCopy(db: Db, version: number, nowMs: number): Promise<void> {
  if (db.location === ":memory:") return;
  const stamp = new Date(nowMs).toISOString().replaceAll(/[-:]/g, "");
  const path = `${db.location}.v${version}.${stamp}.bak`;
  try {
    await db.all("VACUUM INTO ?", [path]);
  } catch (cause) {
    throw new RivetError("RIVET_STATE_BACKUP_FAILED", `The copy '${path}' could not be written`, {
      where: db.location,
      cause,
    });
  }
}

async function keepSchemaCopy(sql: Sql, version: number, location: string): Promise<void> {
  const schema = `rivet_state_backup_v${version}`;
  try {
    await sql.run(`CREATE SCHEMA ${schema}`);
    for (const table of TABLES) await sql.run(`CREATE TABLE ${schema}.${table} AS TABLE ${table}`);
  } catch (cause) {
    throw new RivetError("RIVET_STATE_BACKUP_FAILED", `The copy in schema '${schema}' could not be written`, {
      where: location,
      cause,
    });
  }
}
