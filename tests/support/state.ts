// The state on every backend, for suites that must hold on all of them; and small runs to put into it.

import { openState, type State } from "../../src/state/mod.ts";
import type { Db, Sql } from "../../src/state/db.ts";
import { migrate, TABLES } from "../../src/state/migrations.ts";
import { openPostgres } from "../../src/state/postgres.ts";
import { openSqlite } from "../../src/state/sqlite.ts";
import { makeState } from "../../src/state/store.ts";
import type {
  CursorDefinition,
  CursorState,
  ExportKey,
  Holder,
  JournalEntry,
  Lease,
  RunIntent,
  SliceCommit,
  SliceIntent,
  TaskCommit,
} from "../../src/state/mod.ts";
import { join, temporaryFolder } from "./files.ts";
import { type Major, openPostgresServer, type PostgresServer, type TestDatabase, withDatabase } from "./postgres.ts";

/** An empty place for one state, which any number of connections may open. */
export interface StatePlace {
  open(): Promise<State>;
  openDb(): Promise<Db>;
  readonly url: string | undefined;
  readonly directory: string;
}

/** Defines a test on each backend; a backend that is absent is one ignored test. */
export type OnEachBackend = (name: string, body: (place: StatePlace) => Promise<void>) => void;

/** The backends of this process: SQLite, and PostgreSQL in its oldest and newest major. */
export async function backends(majors: readonly Major[] = [12, 18]): Promise<OnEachBackend> {
  const servers: [Major, PostgresServer | null][] = [];
  for (const major of majors) servers.push([major, await openPostgresServer(major)]);
  return (name, body) => {
    Deno.test(`sqlite: ${name}`, async () => {
      await using folder = await temporaryFolder();
      await body(sqlitePlace(folder.path));
    });
    for (const [major, server] of servers) {
      Deno.test({
        name: `postgres ${major}: ${name}`,
        ignore: server === null,
        fn: () =>
          withDatabase(server!, async (database) => {
            await using folder = await temporaryFolder();
            await body(postgresPlace(folder.path, urlOf(database)));
          }),
      });
    }
  };
}

/** The URL of a state in this database. */
export function urlOf(database: TestDatabase): string {
  const { host, port, user, password } = database.connection;
  return `postgres://${user}:${encodeURIComponent(password ?? "")}@${host}:${port}/${database.name}`;
}

export function sqlitePlace(directory: string): StatePlace {
  return {
    url: undefined,
    directory,
    open: () => openState({ url: undefined, directory }),
    openDb: () => openSqlite({ path: join(directory, ".rivet_state.db") }),
  };
}

function postgresPlace(directory: string, url: string): StatePlace {
  return {
    url,
    directory,
    open: () => openState({ url, directory }),
    openDb: () => openPostgres({ url: new URL(url) }),
  };
}

/** Everything the state holds, leases included, as one text; rows in a fixed order. */
export async function dump(place: StatePlace): Promise<string> {
  await using db = await place.openDb();
  const all: Record<string, string[]> = {};
  for (const table of [...TABLES, "state_lease"]) {
    all[table] = (await db.all(`SELECT * FROM ${table}`)).map((row) => JSON.stringify(row)).sort();
  }
  return JSON.stringify(all, null, 1);
}

/** A state whose n-th statement after `arm` fails, and every later one too until it is disarmed. */
export async function openFaulty(
  place: StatePlace,
): Promise<{ state: State; arm(n: number): void; readonly fired: boolean }> {
  const inner = await place.openDb();
  await migrate(inner, Date.now());
  let left = 0;
  let fired = false;
  const step = () => {
    if (left > 0 && --left === 0) {
      fired = true;
      throw new Error("injected");
    }
  };
  const wrap = (sql: Sql): Sql => ({
    kind: sql.kind,
    all: async (text, values) => (step(), await sql.all(text, values)),
    run: async (text, values) => (step(), await sql.run(text, values)),
    insert: async (table, columns, rows) => (step(), await sql.insert(table, columns, rows)),
    now: () => sql.now(),
  });
  const db: Db = {
    ...wrap(inner),
    location: inner.location,
    transaction: (body, options) => inner.transaction((sql) => body(wrap(sql)), options),
    compact: () => inner.compact(),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
  return {
    state: makeState(db, Date.now),
    arm(n) {
      left = n;
      fired = false;
    },
    get fired() {
      return fired;
    },
  };
}

export const KEY: ExportKey = { exportName: "orders", source: "postgres://db:5432/shop" };
export const OTHER_SOURCE: ExportKey = { exportName: "orders", source: "postgres://db:5432/archive" };
export const FORMAT = { format: "parquet", compression: "zstd" };
const TTL_MS = 600_000;

export function holderOf(token: string, more: Partial<Holder> = {}): Holder {
  return { host: "host-a", pid: 4711, processStart: "77", token, runId: null, ...more };
}

export async function mustTake(state: State, key: ExportKey = KEY, token = "t1", ttlMs = TTL_MS): Promise<Lease> {
  const result = await state.takeLease(key, holderOf(token), ttlMs, () => false);
  if (result.kind !== "taken") throw new Error(`the lease is held by ${result.holder.token}`);
  return result.lease;
}

export function intentOf(runId: string, more: Partial<RunIntent> = {}): RunIntent {
  return {
    runId,
    key: KEY,
    planHash: "00ff",
    definition: { mode: "chunked", format: "parquet" },
    mode: "chunked",
    startedAt: "2026-01-02T03:04:05.678Z",
    destinationUri: "file:///exports/orders",
    consistency: "snapshot",
    maxAttempts: 3,
    planJson: '{"window":null}',
    rivetVersion: "0.1.0",
    ...more,
  };
}

export function slicesOf(n: number, from = 0): SliceIntent[] {
  return Array.from({ length: n }, (_, i) => ({
    index: from + i,
    id: `c${String(from + i).padStart(5, "0")}`,
    startKey: String((from + i) * 100),
    endKey: i === n - 1 ? null : String((from + i + 1) * 100),
    boundsJson: JSON.stringify({ kind: "range", from: (from + i) * 100 }),
  }));
}

/** A slice with `files` parts of ten rows each. */
export function sliceCommit(runId: string, index: number, attempt = 1, files = 1): SliceCommit {
  const column = { name: "id", nulls: 0, longest: 8, checksum: "18446744073709551615", min: "1", max: "9" };
  return {
    index,
    attempt,
    observations: { rows: files * 10, skipped: 1, columns: [column], edge: { ab: 2 }, unique: [] },
    parts: Array.from({ length: files }, (_, i) => ({
      sliceIndex: index,
      fileName: `${runId}/c${index}_${i}.parquet`,
      observations: {
        rows: 10,
        bytes: 1000 + i,
        xxh3: "0123456789abcdef",
        md5: "bWQ1",
        crc32c: "77",
        columns: [column],
      },
      digests: { etag: `"${index}-${i}"` },
      createdAt: "2026-01-02T03:05:00.000Z",
    })),
  };
}

export function definitionOf(more: Partial<CursorDefinition> = {}): CursorDefinition {
  return {
    column: "id",
    columnType: "bigint",
    mode: "incremental",
    stream: "public.orders",
    destination: "./out/{date}",
    format: "parquet",
    ...more,
  };
}

export function cursorOf(value: string, more: Partial<CursorState> = {}): CursorState {
  return { value, lastRunAt: "2026-01-02T04:00:00.000Z", definition: definitionOf(), edge: { ff00: 2 }, ...more };
}

export function taskCommit(runId: string, more: Partial<TaskCommit> = {}): TaskCommit {
  const key = more.key ?? KEY;
  const metric = {
    export_name: key.exportName,
    run_id: runId,
    run_at: "2026-01-02T03:04:05.678Z",
    status: "success" as const,
    duration_ms: 12,
    total_rows: 10,
  };
  return { runId, key, cursor: null, committed: null, schema: null, shape: {}, metric, ...more };
}

/** Claims and commits every slice that is left. */
export async function commitAll(state: State, runId: string, lease: Lease): Promise<void> {
  for (;;) {
    const slice = (await state.claimSlices(runId, 1, lease))[0] ?? null;
    if (slice === null) return;
    await state.commitSlices(runId, [sliceCommit(runId, slice.index, slice.attempts)], FORMAT, lease);
  }
}

/** A whole run from intent to commit. */
export async function completeRun(
  state: State,
  runId: string,
  lease: Lease,
  commit: Partial<TaskCommit> = {},
  intent: Partial<RunIntent> = {},
): Promise<void> {
  await state.beginRun(intentOf(runId, { key: lease.key, ...intent }), slicesOf(2), lease);
  await commitAll(state, runId, lease);
  await state.commitTask(taskCommit(runId, { key: lease.key, ...commit }), lease);
}

/** The code of the error that a promise ends with, or null. */
export async function codeOf(promise: Promise<unknown>): Promise<string | null> {
  try {
    await promise;
    return null;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** A run of two slices, the first one claimed. */
export async function beginAndClaim(state: State, lease: Lease): Promise<void> {
  await state.beginRun(intentOf("r1", { key: lease.key }), slicesOf(2), lease);
  await state.claimSlices("r1", 1, lease);
}

/** One event as the journal gets it. */
export function noted(event: Readonly<Record<string, unknown>>): JournalEntry[] {
  return [{ recordedAt: new Date().toISOString(), event }];
}
