// Moves a state to another place: every row of every table, in one transaction of the target, counted on both sides before it counts.
// The source is only read.

import { RivetError } from "../errors.ts";
import { count, type Db, first, type Row, type Sql, type SqlValue, text } from "./db.ts";
import { checkVersion, isNewest, migrate, readVersion, TABLES } from "./migrations.ts";
import { hasContent, openDb, parsePlace, type Place, STATE_FILE } from "./open.ts";

export interface CopyOptions {
  /** The value of RIVET_STATE_URL; undefined = the file beside the config. */
  readonly url: string | undefined;
  /** Absolute folder of the config. */
  readonly directory: string;
  /** Where to; undefined = `url`, and the file beside the config is what is copied. */
  readonly to: string | undefined;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

export interface CopyReport {
  /** For people, without secrets. */
  readonly from: string;
  readonly to: string;
  /** Rows by table. */
  readonly rows: Readonly<Record<string, number>>;
}

const PAGE_ROWS = 5_000;

export async function copyState(options: CopyOptions): Promise<CopyReport> {
  const now = options.now ?? Date.now;
  const [source, target] = findPlaces(options);
  if (source.kind === "sqlite" && !await hasContent(source.path)) throw nothingToCopy(source.path);
  await using from = await openDb(source, now, true);
  const version = await readVersion(from);
  if (version === null) throw nothingToCopy(from.location);
  checkVersion(version, from.location);
  if (!isNewest(version)) {
    throw new RivetError(
      "RIVET_STATE_BACKEND_FAILED",
      `The state has version ${version}, which must be migrated first`,
      {
        where: from.location,
        cure: "Run any command that uses it once, for example `rivet state show`, then copy again",
      },
    );
  }
  await refuseLiveRun(from);
  await using to = await openDb(target, now);
  await migrate(to, now());
  const rows = await to.transaction(async (sql) => {
    await refuseContent(sql, to.location);
    const copied: Record<string, number> = {};
    for (const table of TABLES) copied[table] = await copyTable(from, sql, table, to.location);
    return copied;
  });
  return { from: from.location, to: to.location, rows };
}

function findPlaces({ url, directory, to }: CopyOptions): [Place, Place] {
  const source = parsePlace(to === undefined ? undefined : url, directory);
  if (to === undefined && url === undefined) {
    throw new RivetError("RIVET_STATE_COPY_TARGET_MISSING", "Nothing says where the state is to be copied to");
  }
  const target = to === undefined ? parsePlace(url, directory) : parsePlace(to, directory, "--to");
  if (JSON.stringify(toIdentity(source)) !== JSON.stringify(toIdentity(target))) return [source, target];
  throw new RivetError("RIVET_STATE_COPY_TARGET_MISSING", "The state would be copied onto itself", {
    cure: `Name another place with \`--to\`; without \`--to\` '${STATE_FILE}' is copied to RIVET_STATE_URL`,
  });
}

function toIdentity(place: Place): unknown {
  return place.kind === "sqlite" ? place.path : [place.url.host, place.url.pathname];
}

function nothingToCopy(location: string): RivetError {
  return new RivetError("RIVET_STATE_COPY_SOURCE_EMPTY", "There is no state to copy", { where: location });
}

/** What a process at work writes after it was read would be lost. */
async function refuseLiveRun(from: Db): Promise<void> {
  const live = await first(from, "SELECT host, pid, export_name FROM state_lease WHERE expires_at > ? LIMIT 1", [
    await from.now(),
  ]);
  if (live === null) return;
  throw new RivetError(
    "RIVET_STATE_RUN_IN_PROGRESS",
    `process ${live["pid"]} on ${text(live, "host")} runs export '${text(live, "export_name")}'`,
    { where: from.location },
  );
}

async function refuseContent(sql: Sql, location: string): Promise<void> {
  for (const table of TABLES) {
    if (await first(sql, `SELECT 1 AS found FROM ${table} LIMIT 1`) === null) continue;
    throw new RivetError("RIVET_STATE_COPY_TARGET_NOT_EMPTY", `The target already holds rows in '${table}'`, {
      where: location,
    });
  }
}

async function copyTable(from: Sql, to: Sql, table: string, location: string): Promise<number> {
  for await (const page of readPages(from, table)) {
    // The target counts its own keys; rows come in the order of the old ones.
    const columns = Object.keys(page[0]!).filter((name) => name !== "id");
    await to.insert(table, columns, page.map((row) => columns.map((name): SqlValue => row[name] ?? null)));
  }
  const [had, has] = [await countRows(from, table), await countRows(to, table)];
  if (had === has) return has;
  throw new RivetError("RIVET_STATE_COPY_COUNT_MISMATCH", `'${table}' has ${had} rows, and ${has} in the copy`, {
    where: location,
    cure: "Nothing was copied; see that no run writes to the state meanwhile, and copy again",
  });
}

async function countRows(sql: Sql, table: string): Promise<number> {
  return count(await first(sql, `SELECT count(*) AS n FROM ${table}`), "n");
}

/** By the counting key where there is one; the other tables have a row a run or an export. */
async function* readPages(from: Sql, table: string): AsyncGenerator<Row[]> {
  const probe = await first(from, `SELECT * FROM ${table} LIMIT 1`);
  if (probe === null) return;
  if (!("id" in probe)) return yield await from.all(`SELECT * FROM ${table}`);
  for (let after = -1;;) {
    const page = await from.all(`SELECT * FROM ${table} WHERE id > ? ORDER BY id LIMIT ${PAGE_ROWS}`, [after]);
    if (page.length === 0) return;
    yield page;
    after = Number(page.at(-1)!["id"]);
  }
}
