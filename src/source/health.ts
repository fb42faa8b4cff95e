// Small questions about a server that advice and `doctor` ask: its clock, its limit of connections, rights that are missing.
// None of them is needed to export, so what cannot be answered is null and never an error of its own.

import type { Source } from "./source.ts";

const CLOCK: Readonly<Record<Source["engine"], string | null>> = {
  postgres: "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8",
  mysql: "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000 AS SIGNED)",
  mssql: "SELECT CAST(DATEDIFF(second, '1970-01-01', SYSUTCDATETIME()) AS bigint) * 1000",
  // It runs in this process, by this clock.
  sqlite: null,
};

/** The server's clock in milliseconds since the epoch. */
export async function readClockMs(source: Source): Promise<number | null> {
  return await readNumber(source, CLOCK[source.engine]);
}

const CONNECTIONS: Readonly<Record<Source["engine"], string | null>> = {
  postgres: "SELECT current_setting('max_connections')",
  mysql: "SELECT @@max_connections",
  mssql: "SELECT @@MAX_CONNECTIONS",
  sqlite: null,
};

/** How many connections the server takes from everybody together. */
export async function readConnectionsMax(source: Source): Promise<number | null> {
  return await readNumber(source, CONNECTIONS[source.engine]);
}

async function readNumber(source: Source, sql: string | null): Promise<number | null> {
  if (sql === null) return null;
  const text = (await source.rows(sql))[0]?.[0] ?? null;
  return text !== null && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : null;
}

/** A right that an export works without, but not as well. */
export interface MissingRight {
  readonly right: string;
  /** What is not had without it. */
  readonly loss: string;
  readonly cure: string;
}

/** What the exports would make use of. */
export interface RightsWanted {
  /** Incremental exports. */
  readonly cursor: boolean;
  /** Several lanes. */
  readonly lanes: boolean;
}

const IS_MISSING: Readonly<Record<Source["engine"], string | null>> = {
  postgres: "SELECT CASE WHEN pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN 0 ELSE 1 END",
  mysql:
    "SELECT CASE WHEN COUNT(*) > 0 THEN 0 ELSE 1 END FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('RELOAD', 'FLUSH_TABLES')",
  mssql: "SELECT CASE WHEN HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DATABASE STATE') = 1 THEN 0 ELSE 1 END",
  sqlite: null,
};

export async function findMissingRight(source: Source, wanted: RightsWanted): Promise<MissingRight | null> {
  const useful = source.engine === "mssql" || (source.engine === "postgres" ? wanted.cursor : wanted.lanes);
  if (!useful || await readNumber(source, IS_MISSING[source.engine]) !== 1) return null;
  switch (source.engine) {
    case "postgres":
      return {
        right: "pg_read_all_stats",
        loss: "rows of transactions that commit late may be missed by an incremental export",
        cure: "GRANT pg_read_all_stats to the user, or set `cursor_lag`",
      };
    case "mysql":
      return {
        right: "RELOAD",
        loss: "several lanes read pictures of their own, a moment apart",
        cure: "GRANT RELOAD ON *.* to the user, or set `parallel: 1` where one picture matters",
      };
    case "mssql":
      return {
        right: "VIEW DATABASE STATE",
        loss: "sizes and row counts are estimated more coarsely",
        cure: "GRANT VIEW DATABASE STATE to the user",
      };
    case "sqlite":
      return null;
  }
}
