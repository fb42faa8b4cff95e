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
