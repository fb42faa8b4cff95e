// The source's own clock: bounds of time windows are computed where the rows were stamped, never from this machine's clock.

import { RivetError } from "../errors.ts";
import { buildLiteral, type KeyColumn, postgresString } from "./sql.ts";
import type { Engine, Source } from "./source.ts";

/**
 * An SQL expression: the source's time now, less some seconds, as text comparable with a column of this type.
 * Columns without a zone are taken to hold the database's own wall clock.
 */
export function clockExpression(engine: Engine, column: KeyColumn, minusS: number): string {
  const utc = column.type.kind === "timestamp" && column.type.utc;
  switch (engine) {
    case "postgres": {
      const now = `(clock_timestamp() - interval '${minusS} seconds')`;
      if (utc) return `${now}::text`;
      const local = `(${now} AT TIME ZONE ${DATABASE_ZONE})`;
      return column.type.kind === "date" ? `(${local})::date::text` : `${local}::text`;
    }
    case "mysql":
      // The session runs in UTC, as TIMESTAMP columns are read; DATETIME columns hold what their writers wrote.
      return `CAST(DATE_SUB(${utc ? "UTC_TIMESTAMP(6)" : LOCAL_NOW_MYSQL}, INTERVAL ${minusS} SECOND) AS CHAR)`;
    case "mssql":
      return utc
        ? `CONVERT(varchar(40), DATEADD(second, -${minusS}, SYSDATETIMEOFFSET()), 127)`
        : `CONVERT(varchar(40), DATEADD(second, -${minusS}, SYSDATETIME()), 126)`;
    case "sqlite":
      return `strftime('%Y-%m-%d %H:%M:%f', 'now', '-${minusS} seconds')`;
  }
}

/** The zone that sessions of this database start in, whatever this session was set to. */
const DATABASE_ZONE = "(SELECT reset_val FROM pg_settings WHERE name = 'TimeZone')";
const LOCAL_NOW_MYSQL = "CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', @@global.time_zone)";

/** A stored cursor value moved back in time, as text of the same column. The engine computes it, so that its own formats hold. */
export async function shiftBack(source: Source, column: KeyColumn, value: string, seconds: number): Promise<string> {
  if (column.type.kind !== "timestamp" && column.type.kind !== "date") {
    throw new RivetError(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      `'cursor_lag' needs a date or timestamp cursor, '${column.nativeType}' is neither`,
      {
        where: `column '${column.names.join(", ")}'`,
        cure: "Remove `cursor_lag`, or choose a time column as `cursor_column`",
      },
    );
  }
  if (source.engine === "sqlite") return shiftText(value, seconds);
  const rows = await source.rows(`SELECT ${shiftExpression(source.engine, column, value, seconds)}`);
  const shifted = rows[0]?.[0];
  if (shifted === null || shifted === undefined) {
    throw new RivetError(
      "RIVET_STATE_CURSOR_INCOMPARABLE",
      `The stored cursor '${value}' is no '${column.nativeType}'`,
      {
        where: `column '${column.names.join(", ")}'`,
      },
    );
  }
  return shifted;
}

function shiftExpression(engine: Engine, column: KeyColumn, value: string, seconds: number): string {
  const days = Math.ceil(seconds / 86_400);
  switch (engine) {
    case "postgres": {
      if (column.type.kind === "date") return `(${postgresString(value)}::date - ${days})::text`;
      const type = column.type.kind === "timestamp" && column.type.utc ? "timestamptz" : "timestamp";
      return `(${postgresString(value)}::${type} - interval '${seconds} seconds')::text`;
    }
    case "mysql":
      return `CAST(DATE_SUB(${buildLiteral(engine, value, column)}, INTERVAL ${
        column.type.kind === "date" ? `${days} DAY` : `${seconds} SECOND`
      }) AS CHAR)`;
    default:
      return column.type.kind === "date"
        ? `CONVERT(varchar(10), DATEADD(day, -${days}, ${buildLiteral(engine, value, column)}), 23)`
        : `CONVERT(varchar(40), DATEADD(second, -${seconds}, ${buildLiteral(engine, value, column)}), 126)`;
  }
}

/** ISO text moved back, in the shape it has: `T` or blank, fraction digits, `Z` or nothing. SQLite compares such text as text. */
function shiftText(value: string, seconds: number): string {
  const match = /^(\d{4}-\d{2}-\d{2})(?:([ T])(\d{2}:\d{2}(?::\d{2})?)(\.\d+)?(Z)?)?$/.exec(value);
  if (match === null) {
    throw new RivetError("RIVET_STATE_CURSOR_INCOMPARABLE", `The stored cursor '${value}' is not an ISO date or time`, {
      cure: "Remove `cursor_lag`, or store the cursor column as ISO 8601 text",
    });
  }
  const [, date, separator, clock, fraction, zone] = match;
  const at = Date.parse(`${date}T${clock === undefined ? "00:00" : clock}Z`);
  const moved = new Date(at - (clock === undefined ? Math.ceil(seconds / 86_400) * 86_400 : seconds) * 1000)
    .toISOString();
  if (clock === undefined) return moved.slice(0, 10);
  return `${moved.slice(0, 10)}${separator}${moved.slice(11, 11 + clock.length)}${fraction ?? ""}${zone ?? ""}`;
}

/**
 * The start of the oldest transaction that may still write, as text comparable with the column, asked before the picture is taken:
 * a row stamped before it can no longer appear. Null where the engine cannot tell or hides other sessions from this user.
 */
export async function oldestTransaction(source: Source, column: KeyColumn): Promise<string | null> {
  if (source.engine !== "postgres" || column.type.kind !== "timestamp") return null;
  const start =
    `least((SELECT min(xact_start) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()),
    (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database()), clock_timestamp())`;
  // Without pg_read_all_stats the sessions of other roles are listed but their transaction is hidden.
  // Their kind may be hidden too, and with track_activities off a session hides its transaction from everybody.
  // A replica lists its own sessions: those that write are on another server.
  const hidden =
    `pg_is_in_recovery() OR EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND (backend_type IS NULL OR (backend_type = 'client backend' AND (state IS NULL OR state = 'disabled'))))`;
  const bound = `(${start} - interval '${resolutionS(column.nativeType)} seconds')`;
  const text = column.type.utc ? `${bound}::text` : `(${bound} AT TIME ZONE ${DATABASE_ZONE})::text`;
  const rows = await source.rows(`SELECT ${text}, (${hidden})::text`);
  const [before, isHidden] = rows[0] ?? [null, "true"];
  return isHidden === "true" ? null : before ?? null;
}

/** A column of fewer digits rounds `now()`, and may round it down: `timestamp(3) with time zone` by up to a millisecond. */
function resolutionS(nativeType: string): string {
  const digits = /^timestamp\((\d)\)/.exec(nativeType)?.[1];
  return digits === undefined ? "0" : (10 ** -Number(digits)).toFixed(6);
}
