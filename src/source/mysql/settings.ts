// The session's variables: what rivet needs for exact and bounded reads, proved to hold, and what they were before.

import { RivetError } from "../../errors.ts";
import type { SessionLimits } from "../source.ts";
import type { Session } from "./connect.ts";

/** Modes that change what our statements mean, or what the server sends for a stored value. */
const MODES_OFF = new Set([
  "NO_BACKSLASH_ESCAPES",
  "PAD_CHAR_TO_FULL_LENGTH",
  "EMPTY_STRING_IS_NULL",
  // With these a literal zero date in a WHERE is an error, though the column may hold one.
  "NO_ZERO_DATE",
  "NO_ZERO_IN_DATE",
]);
/** A slow destination holds the rows back; the server's usual minute would cut the connection. */
const NET_WRITE_TIMEOUT_S = 600;
const UNLIMITED = "18446744073709551615";

export interface Settings {
  /** The statements that set everything; they can be repeated at any time. */
  readonly apply: readonly string[];
  /** The statement that puts back what was changed, null when nothing was. */
  readonly restore: string | null;
  /** The server itself ends a statement that takes too long. */
  readonly statementTimeoutByServer: boolean;
}

/** Works out what to change. Variables this server does not have are left out. */
export async function planSettings(session: Session, limits: SessionLimits): Promise<Settings> {
  const wanted = wantedValues(limits);
  // A limit on selects would cut the answer to the next question too.
  const [selectLimit] = (await session.ask("SELECT @@SESSION.sql_select_limit")).rows[0] ?? [];
  await session.ask(`SET SESSION sql_select_limit = ${UNLIMITED}`);
  const names = [...Object.keys(wanted), "sql_mode"];
  const { rows } = await session.ask(
    `SHOW SESSION VARIABLES WHERE Variable_name IN (${names.map((name) => `'${name}'`).join(", ")})`,
  );
  const before = new Map(rows.map(([name, value]) => [name ?? "", value ?? ""]));
  before.set("sql_select_limit", selectLimit ?? UNLIMITED);
  const set: string[] = [];
  const back: string[] = [];
  const change = (name: string, value: string) => {
    const old = before.get(name);
    if (old === undefined) return;
    set.push(`SESSION ${name} = ${toLiteral(value)}`);
    if (old !== value) back.push(`SESSION ${name} = ${toLiteral(old)}`);
  };
  for (const [name, value] of Object.entries(wanted)) change(name, value);
  const modes = (before.get("sql_mode") ?? "").split(",").filter((mode) => mode !== "");
  change("sql_mode", modes.filter((mode) => !MODES_OFF.has(mode)).join(","));
  return {
    apply: ["SET NAMES utf8mb4", `SET ${set.join(", ")}`],
    restore: back.length === 0 ? null : `SET ${back.join(", ")}`,
    statementTimeoutByServer: before.has("max_statement_time") || before.has("max_execution_time"),
  };
}

function wantedValues(limits: SessionLimits): Record<string, string> {
  const values: Record<string, string> = {
    time_zone: "+00:00",
    autocommit: "ON",
    sql_auto_is_null: "OFF",
    // MySQL keeps table sizes in a cache that may be a day old.
    information_schema_stats_expiry: "0",
    // Clients in safe mode cut every result at 1000 rows by this one.
    sql_select_limit: UNLIMITED,
    net_write_timeout: String(NET_WRITE_TIMEOUT_S),
    // All warnings of a statement are kept: the one that tells of a lost character may be the last.
    max_error_count: "65535",
  };
  const statementS = limits.statementTimeoutS;
  if (statementS > 0) {
    values["max_execution_time"] = String(Math.ceil(statementS * 1000)); // MySQL, milliseconds
    values["max_statement_time"] = statementS.toFixed(6); // MariaDB, seconds
  }
  if (limits.lockTimeoutS > 0) {
    const lockS = String(Math.max(1, Math.ceil(limits.lockTimeoutS)));
    values["innodb_lock_wait_timeout"] = lockS;
    values["lock_wait_timeout"] = lockS;
  }
  return values;
}

function toLiteral(value: string): string {
  return /^\d+(\.\d+)?$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`;
}

// Two instants of one year: a zone with summer time that is right today would be wrong for one of them.
const PROBE = `SELECT @@SESSION.time_zone, @@SESSION.character_set_results,
  CAST(UNIX_TIMESTAMP('2001-01-15 12:00:00') AS SIGNED), CAST(UNIX_TIMESTAMP('2001-07-15 12:00:00') AS SIGNED)`;
const WINTER = "979560000";
const SUMMER = "995198400";

/** Sets the variables and proves that they took: a proxy may answer a SET without passing it on. */
export async function applySettings(session: Session, settings: Settings): Promise<void> {
  for (const statement of settings.apply) await session.ask(statement);
  const [zone, charset, winter, summer] = (await session.ask(PROBE)).rows[0] ?? [];
  if (zone !== "+00:00" || winter !== WINTER || summer !== SUMMER) {
    throw new RivetError(
      "RIVET_SOURCE_SESSION_TIME_ZONE_NOT_APPLIED",
      `The session's time zone is '${zone}' after it was set to '+00:00'`,
      {
        where: session.where,
        cure: "Connect to the server directly, or through a proxy that passes SET statements on",
      },
    );
  }
  if (charset !== "utf8mb4") {
    throw new RivetError(
      "RIVET_SOURCE_CONNECT_FAILED",
      `The session's character set is '${charset}' after it was set to 'utf8mb4'`,
      {
        where: session.where,
        cure: "Connect to the server directly, or through a proxy that passes SET statements on",
      },
    );
  }
}
