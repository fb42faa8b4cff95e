// The newest days of a table, by the source's own clock: the same statement tomorrow moves on by itself.

import type { Export } from "../config/mod.ts";
import { RivetError } from "../errors.ts";
import { clockExpression, type KeyColumn } from "../source/mod.ts";
import { findColumn, type KeyContext } from "./key.ts";
import type { Planned } from "./strategy.ts";

/** Whole days back from the source's today, up to its now: a row stamped later belongs to the next run. */
export async function planTimeWindow(
  context: KeyContext,
  settings: NonNullable<Export["timeWindow"]>,
): Promise<Planned> {
  const column = findColumn(context, settings.column, "time_column");
  const bounds = await timeBounds(context, column, settings);
  return {
    strategy: { kind: "whole" },
    label: `time-window(${settings.column}, ${settings.days}d)`,
    layout: { kind: "whole" },
    warnings: [],
    window: null,
    filters: [
      ...context.filters,
      { kind: "compare", column, op: ">=", value: bounds.from },
      { kind: "compare", column, op: "<=", value: bounds.to },
    ],
  };
}

async function timeBounds(
  context: KeyContext,
  column: KeyColumn,
  settings: { readonly type: "timestamp" | "unix"; readonly days: number },
): Promise<{ from: string; to: string }> {
  const stamp: KeyColumn = settings.type === "unix"
    ? { ...column, type: { kind: "timestamp", unit: "us", utc: true }, nativeType: "timestamp with time zone" }
    : column;
  if (stamp.type.kind !== "timestamp" && stamp.type.kind !== "date") {
    throw new RivetError(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      `\`time_column\` '${settings.type}' does not fit '${column.nativeType}'`,
      {
        where: context.where,
        cure: "Choose a date or timestamp column, or set `time_column_type: unix` for epoch seconds",
      },
    );
  }
  const now = (await context.source.rows(`SELECT ${clockExpression(context.source.engine, stamp, 0)}`))[0]?.[0];
  if (now === null || now === undefined) {
    throw new RivetError("RIVET_SOURCE_PROBE_UNREADABLE", "The source's clock could not be read", {
      where: context.where,
    });
  }
  const midnight = new Date(Date.parse(`${now.slice(0, 10)}T00:00:00Z`) - settings.days * 86_400_000).toISOString();
  if (settings.type === "unix") {
    const nowMs = Date.parse(`${now.slice(0, 10)}T${now.slice(11, 19)}Z`);
    return { from: String(Date.parse(midnight) / 1000), to: String(Math.floor(nowMs / 1000)) };
  }
  if (stamp.type.kind === "date") return { from: midnight.slice(0, 10), to: now.slice(0, 10) };
  const separator = context.source.engine === "mssql" ? "T" : " ";
  return {
    from: `${midnight.slice(0, 10)}${separator}00:00:00${
      stamp.type.utc && context.source.engine === "postgres" ? "+00" : ""
    }`,
    to: now,
  };
}
