// Rules across keys, in the order a reader would check them. Each throws its own code, names the export and says what to change.

import { type ErrorCode, RivetError } from "../errors.ts";
import { parseTypeName, TYPE_NAMES } from "../types/mod.ts";
import type { RawConfig, RawExport } from "./shape.ts";
import { hasBatchConflict } from "./tuning.ts";
import type { Parsed } from "./text.ts";
import { parseDuration, parseSize } from "./units.ts";

/** Throws at a key of one export. */
type Fail = (code: ErrorCode, key: string | null, message: string, cure?: string) => never;

export function checkRules(raw: RawConfig, parsed: Parsed): void {
  if (raw.exports.length === 0) {
    throw new RivetError("RIVET_CONFIG_NO_EXPORTS", "`exports` is empty", { where: parsed.where(["exports"]) });
  }
  const seen = new Set<string>();
  raw.exports.forEach((entry, index) => {
    const fail: Fail = (code, key, message, cure) => {
      const path = key === null ? ["exports", index] : ["exports", index, ...key.split(".")];
      throw new RivetError(code, `Export '${entry.name}': ${message}`, {
        where: parsed.where(path),
        ...(cure === undefined ? {} : { cure }),
      });
    };
    if (seen.has(entry.name)) fail("RIVET_CONFIG_DUPLICATE_EXPORT", "name", "another export has this name");
    seen.add(entry.name);
    checkName(entry, fail);
    checkFrom(entry, fail);
    checkMode(entry, fail);
    checkChunks(entry, fail);
    checkFormat(entry, fail);
    checkDestination(entry, fail);
    checkPartition(entry, fail);
    checkColumns(entry, fail);
    if (hasBatchConflict(raw.source.tuning, entry.tuning)) {
      fail(
        "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
        "tuning",
        "`batch_size` and `batch_size_memory_mb` exclude each other",
        "Keep one of them",
      );
    }
  });
}

function checkName({ name }: RawExport, fail: Fail): void {
  // deno-lint-ignore no-control-regex
  if (name.startsWith(".") || /[\/\\\x00]/.test(name) || name.includes("..")) {
    fail(
      "RIVET_CONFIG_PATH_UNSAFE",
      "name",
      "the name cannot be part of a file name",
      "Use letters, digits, `_` and `-`",
    );
  }
  if (/#\d+$/.test(name)) {
    fail(
      "RIVET_CONFIG_EXPORT_NAME_RESERVED",
      "name",
      "names that end in # and a number are reserved",
      "Rename the export",
    );
  }
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$/;

function checkFrom(entry: RawExport, fail: Fail): void {
  const given = (["table", "query", "query_file"] as const).filter((key) => entry[key] !== undefined);
  if (given.length !== 1) {
    fail(
      "RIVET_CONFIG_EXPORT_SOURCE_INVALID",
      given[1] ?? null,
      given.length === 0 ? "nothing says what to read" : `${given.join(" and ")} exclude each other`,
      "Give exactly one of `table`, `query`, `query_file`",
    );
  }
  if (entry.table !== undefined && !IDENTIFIER.test(entry.table)) {
    fail(
      "RIVET_CONFIG_EXPORT_SOURCE_INVALID",
      "table",
      `'${entry.table}' is not a plain table name`,
      "Write `table` or `schema.table`, or use `query:` with your own quoting",
    );
  }
  if (entry.query !== undefined && entry.query.trim() === "") {
    fail("RIVET_CONFIG_EXPORT_SOURCE_INVALID", "query", "the query is empty");
  }
}

/** Settings that only one mode uses; elsewhere they would be ignored. */
const MODE_KEYS: Record<"incremental" | "chunked" | "time_window", readonly (keyof RawExport)[]> = {
  incremental: [
    "cursor_column",
    "cursor_fallback_column",
    "incremental_cursor_mode",
    "cursor_lag",
    "settle",
    "on_cursor_null",
  ],
  chunked: [
    "chunk_column",
    "chunk_by_key",
    "chunk_count",
    "chunk_by_days",
    "chunk_size_memory_mb",
    "chunk_max_attempts",
    "chunk_checkpoint",
    "chunk_size",
    "keyset_incremental",
  ],
  time_window: ["time_column", "days_window", "time_column_type"],
};

function checkMode(entry: RawExport, fail: Fail): void {
  const mode = entry.mode ?? "full";
  for (const [owner, keys] of Object.entries(MODE_KEYS)) {
    if (owner === mode) continue;
    const stray = keys.find((key) =>
      entry[key] !== undefined && entry[key] !== false && !(key === "chunk_size" && entry[key] === 100_000)
    );
    if (stray !== undefined) {
      fail(
        "RIVET_CONFIG_MODE_SETTING_INVALID",
        stray,
        `\`${stray}\` does nothing in \`mode: ${mode}\``,
        `Set \`mode: ${owner}\`, or remove \`${stray}\``,
      );
    }
  }
  if (entry.chunk_dense === true && mode !== "chunked") {
    fail("RIVET_CONFIG_MODE_SETTING_INVALID", "chunk_dense", "`chunk_dense` needs `mode: chunked`");
  }
  if (mode === "incremental") checkIncremental(entry, fail);
  if (mode === "time_window") {
    for (const key of ["time_column", "days_window"] as const) {
      if (entry[key] === undefined) {
        fail("RIVET_CONFIG_MODE_SETTING_INVALID", null, `\`mode: time_window\` needs \`${key}\``, `Set \`${key}\``);
      }
    }
  }
}

function checkIncremental(entry: RawExport, fail: Fail): void {
  if (entry.cursor_column === undefined) {
    fail("RIVET_CONFIG_MODE_SETTING_INVALID", null, "`mode: incremental` needs `cursor_column`", "Set `cursor_column`");
  }
  const coalesce = entry.incremental_cursor_mode === "coalesce";
  if (coalesce !== (entry.cursor_fallback_column !== undefined)) {
    fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      coalesce ? "incremental_cursor_mode" : "cursor_fallback_column",
      "`cursor_fallback_column` and `incremental_cursor_mode: coalesce` belong together",
      coalesce ? "Set `cursor_fallback_column`" : "Set `incremental_cursor_mode: coalesce`",
    );
  }
  for (const [key, text] of [["cursor_lag", entry.cursor_lag], ["settle.after", entry.settle?.after]] as const) {
    if (text !== undefined && parseDuration(text) === null) {
      fail(
        "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
        key,
        `'${text}' is no duration`,
        "Write a whole number and s, m, h or d, for example `5m`",
      );
    }
  }
}

function checkChunks(entry: RawExport, fail: Fail): void {
  const { chunk_count: count, chunk_by_days: days, chunk_dense: dense, chunk_by_key: byKey } = entry;
  if (entry.mode !== "chunked") return;
  if (count !== undefined && count < 1) {
    fail("RIVET_CONFIG_CHUNK_COUNT_INVALID", "chunk_count", `\`chunk_count\` is ${count}`);
  }
  if (days !== undefined && days < 1) {
    fail("RIVET_CONFIG_CHUNK_BY_DAYS_INVALID", "chunk_by_days", `\`chunk_by_days\` is ${days}`);
  }
  const shapes = [
    count !== undefined && "chunk_count",
    days !== undefined && "chunk_by_days",
    dense === true && "chunk_dense",
    byKey !== undefined && "chunk_by_key",
  ]
    .filter((name): name is string => typeof name === "string");
  if (shapes.length > 1) {
    const code = count !== undefined
      ? "RIVET_CONFIG_CHUNK_COUNT_INVALID"
      : days !== undefined
      ? "RIVET_CONFIG_CHUNK_BY_DAYS_INVALID"
      : "RIVET_CONFIG_MODE_SETTING_INVALID";
    fail(code, shapes[1]!, `${shapes.join(" and ")} exclude each other`, "Keep one of them");
  }
  if (byKey !== undefined && entry.chunk_column !== undefined) {
    fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "chunk_by_key",
      "`chunk_by_key` and `chunk_column` exclude each other",
      "Keep one of them",
    );
  }
  if (entry.keyset_incremental === true && (byKey === undefined || [byKey].flat().length > 1)) {
    fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "keyset_incremental",
      "`keyset_incremental` needs `chunk_by_key`",
      "Set `chunk_by_key`",
    );
  }
  if (entry.chunk_size_memory_mb !== undefined && entry.chunk_size !== undefined && entry.chunk_size !== 100_000) {
    fail(
      "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
      "chunk_size_memory_mb",
      "`chunk_size` and `chunk_size_memory_mb` exclude each other",
      "Keep one of them",
    );
  }
  const shaped = shapes.length > 0 || entry.chunk_column !== undefined;
  if (!shaped && entry.table === undefined) {
    fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      null,
      "`mode: chunked` over a query needs `chunk_column`",
      "Set `chunk_column`, or export a `table:`",
    );
  }
  if ((byKey !== undefined || entry.chunk_size_memory_mb !== undefined) && entry.table === undefined) {
    fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      byKey !== undefined ? "chunk_by_key" : "chunk_size_memory_mb",
      "this needs a `table:`, whose indexes and sizes can be seen",
    );
  }
}

function checkFormat(entry: RawExport, fail: Fail): void {
  const { format, compression, compression_profile: profile, compression_level: level } = entry;
  if (format === "csv" && compression !== undefined && !["none", "gzip", "zstd"].includes(compression)) {
    fail(
      "RIVET_CONFIG_CSV_COMPRESSION_UNSUPPORTED",
      "compression",
      `CSV cannot be compressed with ${compression}`,
      "Use gzip, zstd or none",
    );
  }
  if (format === "csv" && profile === "fast") {
    fail(
      "RIVET_CONFIG_CSV_COMPRESSION_UNSUPPORTED",
      "compression_profile",
      "the profile 'fast' is snappy, which CSV cannot use",
      "Use `compression: gzip`, `zstd` or `none`",
    );
  }
  if (format === "csv" && entry.parquet !== undefined) {
    fail("RIVET_CONFIG_MODE_SETTING_INVALID", "parquet", "`parquet` does nothing in `format: csv`", "Remove `parquet`");
  }
  if (format === "parquet" && entry.csv !== undefined) {
    fail("RIVET_CONFIG_MODE_SETTING_INVALID", "csv", "`csv` does nothing in `format: parquet`", "Remove `csv`");
  }
  const codec = compression ?? (format === "csv" ? "none" : "zstd");
  if (level !== undefined && profile === undefined) {
    const range = codec === "zstd" ? [1, 22] : codec === "gzip" ? [0, 9] : null;
    if (range === null || level < range[0]! || level > range[1]!) {
      fail(
        "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
        "compression_level",
        `${codec} has no level ${level}`,
        "zstd takes 1 to 22, gzip 0 to 9, the others none",
      );
    }
  }
  if (entry.max_file_size !== undefined && parseSize(entry.max_file_size) === null) {
    fail(
      "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
      "max_file_size",
      `'${entry.max_file_size}' is no size`,
      "Write for example `512MB`",
    );
  }
  const { parquet } = entry;
  if (parquet?.row_group_strategy === "fixed_rows" && parquet.row_group_rows === undefined) {
    fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "parquet",
      "`row_group_strategy: fixed_rows` needs `row_group_rows`",
      "Set `row_group_rows`",
    );
  }
  const hash = entry.meta_columns?.row_hash;
  if (Array.isArray(hash) && (hash.length === 0 || new Set(hash).size !== hash.length)) {
    fail(
      "RIVET_CONFIG_ROW_HASH_INVALID",
      "meta_columns",
      "`row_hash` is an empty list or names a column twice",
      "Name each column once, or write `true`",
    );
  }
}

function checkDestination({ destination: d }: RawExport, fail: Fail): void {
  for (const key of ["path", "prefix"] as const) {
    const text = d[key];
    if (text === undefined) continue;
    if (text.split(/[\/\\]/).includes("..")) {
      fail(
        "RIVET_CONFIG_PATH_UNSAFE",
        `destination.${key}`,
        `'..' is not allowed in \`${key}\``,
        "Name the folder itself",
      );
    }
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
      fail("RIVET_CONFIG_PATH_UNSAFE", `destination.${key}`, `\`${key}\` is a URL`, "Set `type` and `bucket` instead");
    }
  }
  const need = (key: "path" | "bucket") => {
    if (d[key] === undefined || d[key] === "") {
      fail(
        "RIVET_CONFIG_DESTINATION_SETTING_MISSING",
        "destination",
        `a ${d.type} destination needs \`${key}\``,
        `Set \`destination.${key}\``,
      );
    }
  };
  switch (d.type) {
    case "local":
      return need("path");
    case "stdout":
      return;
    case "s3":
      need("bucket");
      if ((d.access_key_env === undefined) !== (d.secret_key_env === undefined)) {
        fail(
          "RIVET_CONFIG_DESTINATION_AUTH_INVALID",
          "destination",
          "`access_key_env` and `secret_key_env` belong together",
          "Set both or none",
        );
      }
      return checkEndpoint(d, fail);
    case "gcs":
      need("bucket");
      if (d.allow_anonymous && d.credentials_file !== undefined) {
        fail(
          "RIVET_CONFIG_DESTINATION_AUTH_INVALID",
          "destination",
          "`allow_anonymous` and `credentials_file` exclude each other",
          "Keep one of them",
        );
      }
      return checkEndpoint(d, fail);
    case "azure": {
      need("bucket");
      const keys = [d.account_key_env, d.sas_token_env].filter((key) => key !== undefined).length;
      if (d.allow_anonymous ? keys > 0 : keys !== 1 || d.account_name === undefined) {
        fail(
          "RIVET_CONFIG_DESTINATION_AUTH_INVALID",
          "destination",
          "the Azure credentials are incomplete or mixed",
          "Set `account_name` and one of `account_key_env`, `sas_token_env`; or only `allow_anonymous`",
        );
      }
      return checkEndpoint(d, fail);
    }
  }
}

/** Credentials and rows must not be sent to a host that a config merely names. */
function checkEndpoint(d: RawExport["destination"], fail: Fail): void {
  if (d.endpoint === undefined || d.allow_anonymous) return;
  let host = "";
  try {
    host = new URL(d.endpoint).hostname.replace(/^\[|\]$/g, "");
  } catch {
    fail(
      "RIVET_CONFIG_DESTINATION_ENDPOINT_UNSAFE",
      "destination.endpoint",
      "the endpoint is no URL",
      "Write it with http:// or https://",
    );
  }
  if (host === "localhost" || host === "::1" || /^127\./.test(host)) return;
  fail(
    "RIVET_CONFIG_DESTINATION_ENDPOINT_UNSAFE",
    "destination.endpoint",
    `the endpoint '${host}' is another machine`,
    "Use the provider's own endpoint, or `allow_anonymous`",
  );
}

function checkPartition(entry: RawExport, fail: Fail): void {
  const { partition_by: column, destination } = entry;
  const hasToken = `${destination.path ?? ""}${destination.prefix ?? ""}`.includes("{partition}");
  if (column === undefined) {
    if (hasToken) {
      fail(
        "RIVET_CONFIG_MODE_SETTING_INVALID",
        "destination",
        "the destination holds {partition} but `partition_by` is not set",
        "Set `partition_by`, or remove {partition}",
      );
    }
    if (entry.partition_granularity !== undefined) {
      fail(
        "RIVET_CONFIG_MODE_SETTING_INVALID",
        "partition_granularity",
        "`partition_granularity` needs `partition_by`",
        "Set `partition_by`",
      );
    }
    return;
  }
  if (column === "") {
    fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "partition_by",
      "`partition_by` is empty",
      "Name a date or timestamp column",
    );
  }
  if (entry.mode === "time_window" || entry.mode === "incremental" || entry.chunk_by_key !== undefined) {
    fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "partition_by",
      `\`partition_by\` does not go with ${
        entry.chunk_by_key === undefined ? `\`mode: ${entry.mode}\`` : "`chunk_by_key`"
      }`,
      "Use `mode: full` or a range-chunked export",
    );
  }
  if (!hasToken) {
    fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "destination",
      "`partition_by` needs {partition} in the destination",
      "Put {partition} into `path` or `prefix`",
    );
  }
}

function checkColumns(entry: RawExport, fail: Fail): void {
  for (const [column, type] of Object.entries(entry.columns ?? {})) {
    if (parseTypeName(type) === null) {
      fail(
        "RIVET_CONFIG_COLUMN_OVERRIDE_TYPE_INVALID",
        `columns.${column}`,
        `'${type}' is no type`,
        `Choose one of: ${TYPE_NAMES.slice(0, 40).join(", ")}, decimal(p,s)`,
      );
    }
    const dot = column.lastIndexOf(".");
    if (dot > 0 && column.slice(0, dot) !== entry.table && column.slice(0, dot) !== entry.table?.split(".").at(-1)) {
      fail(
        "RIVET_CONFIG_COLUMN_OVERRIDE_TABLE_UNKNOWN",
        `columns.${column}`,
        `'${column.slice(0, dot)}' is not the table of this export`,
        "Write the bare column name",
      );
    }
  }
  if (entry.target !== undefined && targetOf(entry.target) === null) {
    fail(
      "RIVET_CONFIG_TARGET_UNKNOWN",
      "target",
      `'${entry.target}' is no known warehouse`,
      "Choose bigquery, snowflake, duckdb or clickhouse",
    );
  }
}

const TARGETS = {
  bigquery: "bigquery",
  bq: "bigquery",
  snowflake: "snowflake",
  sf: "snowflake",
  duckdb: "duckdb",
  duck: "duckdb",
  clickhouse: "clickhouse",
  ch: "clickhouse",
} as const;

export function targetOf(text: string): "bigquery" | "snowflake" | "duckdb" | "clickhouse" | null {
  return TARGETS[text.toLowerCase() as keyof typeof TARGETS] ?? null;
}
