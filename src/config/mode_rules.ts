// What belongs to which mode: settings that a mode needs, and settings that it would ignore.

import type { Place } from "./place.ts";
import type { RawExport } from "./shape.ts";
import { parseDuration } from "./units.ts";

type Key = keyof RawExport;

/** Read by one mode alone, and refused in any other: without them the export would read something else than it says. */
const OWN_KEYS: Record<"incremental" | "chunked", readonly Key[]> = {
  incremental: ["cursor_lag", "settle", "on_cursor_null"],
  chunked: [
    "chunk_column",
    "chunk_by_key",
    "chunk_count",
    "chunk_by_days",
    "chunk_dense",
    "chunk_size_memory_mb",
    "chunk_max_attempts",
    "chunk_checkpoint",
    "chunk_size",
    "keyset_incremental",
  ],
};

/** Read by one mode alone, and often left standing when the mode changes: they are said, not refused. */
const SPARE_KEYS: Record<"incremental" | "time_window", readonly Key[]> = {
  incremental: ["cursor_column", "cursor_fallback_column", "incremental_cursor_mode"],
  time_window: ["time_column", "days_window", "time_column_type"],
};

const CHUNK_SIZE_DEFAULT = 100_000;

export function checkMode(entry: RawExport, place: Place): void {
  const mode = entry.mode ?? "full";
  for (const [owner, keys] of Object.entries(OWN_KEYS)) {
    if (owner === mode || (owner === "incremental" && entry.keyset_incremental === true)) continue;
    const stray = keys.find((key) => isSet(entry, key));
    if (stray !== undefined) {
      place.fail(
        "RIVET_CONFIG_MODE_SETTING_INVALID",
        stray,
        `\`${stray}\` does nothing with \`mode: ${mode}\``,
        `Set \`mode: ${owner}\`, or remove \`${stray}\``,
      );
    }
  }
  for (const [owner, keys] of Object.entries(SPARE_KEYS)) {
    const spare = owner === mode ? undefined : keys.find((key) => isSet(entry, key));
    if (spare !== undefined) place.warn(`\`${spare}\` does nothing with \`mode: ${mode}\``);
  }
  if (mode === "incremental") checkIncremental(entry, place);
  if (mode === "time_window") checkTimeWindow(entry, place);
}

/** `false` and the written-out default change nothing and pass everywhere. */
function isSet(entry: RawExport, key: Key): boolean {
  const value = entry[key];
  return value !== undefined && value !== false && !(key === "chunk_size" && value === CHUNK_SIZE_DEFAULT);
}

function checkIncremental(entry: RawExport, place: Place): void {
  if (entry.cursor_column === undefined) {
    place.fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      null,
      "`mode: incremental` needs `cursor_column`",
      "Set `cursor_column` to a column that grows with every new or changed row",
    );
  }
  const coalesces = entry.incremental_cursor_mode === "coalesce";
  if (coalesces !== (entry.cursor_fallback_column !== undefined)) {
    place.fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      coalesces ? "incremental_cursor_mode" : "cursor_fallback_column",
      coalesces
        ? "`incremental_cursor_mode: coalesce` needs `cursor_fallback_column`"
        : "`cursor_fallback_column` does nothing without `incremental_cursor_mode: coalesce`",
      coalesces
        ? "Set `cursor_fallback_column`"
        : "Set `incremental_cursor_mode: coalesce`, or remove `cursor_fallback_column`",
    );
  }
  for (const [key, text] of [["cursor_lag", entry.cursor_lag], ["settle.after", entry.settle?.after]] as const) {
    if (text === undefined || parseDuration(text) !== null) continue;
    place.fail(
      "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
      key,
      `\`${key}\` is no duration: ${place.quote(key)}`,
      "Write a whole number and s, m, h or d, for example `5m`",
    );
  }
}

function checkTimeWindow(entry: RawExport, place: Place): void {
  const missing = (["time_column", "days_window"] as const).find((key) => entry[key] === undefined);
  if (missing === undefined) return;
  place.fail(
    "RIVET_CONFIG_MODE_SETTING_INVALID",
    null,
    `\`mode: time_window\` needs \`${missing}\``,
    `Set \`${missing}\``,
  );
}
