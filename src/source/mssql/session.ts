// What a session is told when it begins, and what it tells about the server it reached.

import type { Consistency, SessionLimits } from "../source.ts";
import { quoteName } from "../sql.ts";

type Ask = (sql: string) => Promise<(string | null)[][]>;

export interface SessionFacts {
  readonly serverVersion: string;
  readonly proxy: string | null;
  readonly consistency: Consistency;
}

/** EngineEdition of the services that are reached through a gateway. */
const GATEWAYS: Readonly<Record<string, string>> = {
  5: "an Azure SQL gateway",
  6: "an Azure Synapse gateway",
  8: "an Azure SQL Managed Instance gateway",
  11: "an Azure Synapse gateway",
  12: "a Microsoft Fabric gateway",
};

/**
 * Counts must come (NOCOUNT may be on by a server's default), a wait for a lock must end, and in a deadlock it is
 * the export that gives way.
 */
export function toSessionSql(limits: SessionLimits): string {
  const lockMs = limits.lockTimeoutS > 0 ? Math.ceil(limits.lockTimeoutS * 1000) : -1;
  return `SET NOCOUNT OFF; SET ROWCOUNT 0; SET DEADLOCK_PRIORITY LOW; SET LOCK_TIMEOUT ${lockMs}`;
}

export async function beginSession(ask: Ask, limits: SessionLimits): Promise<SessionFacts> {
  await ask(toSessionSql(limits));
  const [row] = await ask(
    `SELECT @@SPID, CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')), CONVERT(nvarchar(128), SERVERPROPERTY('Edition')),
      CONVERT(int, SERVERPROPERTY('EngineEdition')), CONVERT(int, d.snapshot_isolation_state),
      CONVERT(int, d.is_read_committed_snapshot_on)
    FROM (SELECT DB_NAME() AS name) AS me LEFT JOIN sys.databases AS d ON d.name = me.name`,
  );
  const [first, version, edition, engine, snapshot, rowVersions] = row ?? [];
  // Two statements on two server sessions: something shares the connections between its clients.
  const [[second] = []] = await ask("SELECT @@SPID");
  return {
    serverVersion: `SQL Server ${version ?? "unknown"}${edition ? `, ${edition}` : ""}`,
    proxy: first === second ? GATEWAYS[engine ?? ""] ?? null : "a multiplexing proxy",
    consistency: snapshot === "1" && first === second ? "snapshot" : rowVersions === "1" ? "slice" : "none",
  };
}

/**
 * A SNAPSHOT transaction that has its picture already. The server takes the picture only when the transaction first reads a table,
 * so it reads a row of one that the user may read; without such a table the first slice fixes the picture.
 */
export async function toBeginSql(ask: Ask): Promise<string> {
  const [found] = await ask(
    `SELECT TOP (1) SCHEMA_NAME(o.schema_id), o.name FROM sys.objects AS o
    WHERE RTRIM(o.type) = 'U' AND o.is_ms_shipped = 0 AND ISNULL(OBJECTPROPERTY(o.object_id, 'TableIsMemoryOptimized'), 0) = 0
      AND HAS_PERMS_BY_NAME(CONCAT(QUOTENAME(SCHEMA_NAME(o.schema_id)), '.', QUOTENAME(o.name)), 'OBJECT', 'SELECT') = 1
    ORDER BY o.object_id`,
  );
  const begin = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION";
  if (found === undefined) return begin;
  const [schema, name] = found;
  return `${begin}; SELECT TOP (1) 1 FROM ${quoteName("mssql", schema ?? "dbo")}.${quoteName("mssql", name ?? "")}`;
}
