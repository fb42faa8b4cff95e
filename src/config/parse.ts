// The border: YAML in snake_case comes in, a checked `Config` in camelCase goes on. Says where in the file something is wrong.

import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import type { z } from "zod";
import { type ErrorCode, RivetError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { parseTypeName } from "../types/mod.ts";
import { buildSource } from "./connection.ts";
import { checkRefused } from "./refused.ts";
import type {
  ChunkedConfig,
  Config,
  DestinationConfig,
  Export,
  ExportQuery,
  FormatConfig,
  IncrementalConfig,
  NotificationConfig,
  WebhookConfig,
} from "./resolved.ts";
import { checkRules, targetOf } from "./rules.ts";
import { ConfigShape, type RawConfig, type RawDestination, type RawExport, TuningShape } from "./shape.ts";
import { suggest } from "./suggest.ts";
import { type Parsed, parseYaml, readText, substitute } from "./text.ts";
import { buildTuning } from "./tuning.ts";
import { parseDuration, parseSize } from "./units.ts";

export interface ReadConfigOptions {
  readonly params: Readonly<Record<string, string>>;
  readonly runtime: Runtime;
}

/** Everything that stays the same while one file is read. */
interface Reading {
  readonly file: string;
  readonly directory: string;
  readonly params: Readonly<Record<string, string>>;
  readonly runtime: Runtime;
  readonly parsed: Parsed;
}

/** Reads and checks a config. Secrets are not read yet. */
export async function readConfig(path: string, options: ReadConfigOptions): Promise<Config> {
  const absolute = resolve(path);
  const text = await readText(path);
  const warnings = Object.keys(options.params).filter((name) => !text.includes(`\${${name}}`))
    .map((name) => `the parameter '${name}' is not used in ${path}`);
  const parsed = parseYaml(substitute(text, options.params, options.runtime, path), path);
  checkRefused(parsed);
  checkMisplacedTuning(parsed);
  const raw = checkShape(parsed);
  checkRules(raw, parsed);
  const reading: Reading = {
    file: path,
    directory: dirname(absolute),
    params: options.params,
    runtime: options.runtime,
    parsed,
  };
  const source = buildSource(raw.source, {
    directory: reading.directory,
    runtime: options.runtime,
    where: parsed.where(["source"]),
    substitute: (secret) => substitute(secret, options.params, options.runtime, path),
  });
  const exports = [];
  for (const [index, entry] of raw.exports.entries()) exports.push(await toExport(entry, index, raw, reading));
  return {
    path: absolute,
    directory: reading.directory,
    source,
    exports,
    notifications: toNotifications(raw, reading),
    parallelExports: raw.parallel_exports === true || raw.parallel_export_processes === true,
    warnings: [...warnings, ...secretWarnings(raw)],
  };
}

function secretWarnings({ source }: RawConfig): string[] {
  const inUrl = source.url !== undefined && /:\/\/[^@]*:[^@]*@/.test(source.url);
  return source.password === undefined && !inUrl
    ? []
    : ["the config holds a password; `password_env` or `url_env` keep it out of the file"];
}

/** Tuning keys outside of `tuning:` would otherwise only be unknown keys. */
function checkMisplacedTuning(parsed: Parsed): void {
  const value = parsed.value as { source?: unknown; exports?: unknown } | null;
  const places: [PropertyKey[], unknown][] = [[["source"], value?.source]];
  if (Array.isArray(value?.exports)) value.exports.forEach((entry, i) => places.push([["exports", i], entry]));
  for (const [path, place] of places) {
    if (typeof place !== "object" || place === null) continue;
    const key = Object.keys(place).find((name) => name in TuningShape.shape);
    if (key === undefined) continue;
    throw new RivetError("RIVET_CONFIG_YAML_INVALID", `\`${key}\` stands outside of \`tuning:\``, {
      where: parsed.where([...path, key]),
      cure: `Write \`tuning: {${key}: …}\` ${path[0] === "source" ? "below `source:`" : "in the export"}`,
    });
  }
}

function checkShape(parsed: Parsed): RawConfig {
  const result = ConfigShape.safeParse(parsed.value);
  if (result.success) return result.data;
  throw toError(result.error.issues[0]!, parsed);
}

function toError(issue: z.core.$ZodIssue, parsed: Parsed): RivetError {
  const path = issue.path;
  const label = path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    const near = suggest(key, knownKeys(path));
    return new RivetError("RIVET_CONFIG_YAML_INVALID", `Unknown key '${key}'${label === "" ? "" : ` in ${label}`}`, {
      where: parsed.where([...path, key]),
      cure: near === null ? `Known here: ${knownKeys(path).join(", ")}` : `Did you mean \`${near}\`?`,
    });
  }
  if (path.length === 0) {
    return new RivetError("RIVET_CONFIG_YAML_INVALID", "The config is empty or not a mapping", {
      where: parsed.where([]),
      cure: MISSING["source"]!,
    });
  }
  if (valueAt(parsed, path) === undefined) {
    return new RivetError("RIVET_CONFIG_YAML_INVALID", `\`${label}\` is missing`, {
      where: parsed.where(path),
      cure: MISSING[String(path.at(-1))] ?? `Set \`${String(path.at(-1))}\``,
    });
  }
  const code: ErrorCode = issue.code === "too_small" || issue.code === "too_big"
    ? "RIVET_CONFIG_VALUE_OUT_OF_RANGE"
    : "RIVET_CONFIG_YAML_INVALID";
  return new RivetError(code, `\`${label}\`: ${issue.message}`, {
    where: parsed.where(path),
    cure: valueCure(issue, parsed),
  });
}

const MISSING: Record<string, string> = {
  source: "Say where the rows come from: `source: {type: postgres, url_env: DATABASE_URL}`",
  exports: "List what to export: `exports: [{name: orders, table: orders, format: parquet, destination: …}]`",
  name: "Give the export a `name`",
};

function valueCure(issue: z.core.$ZodIssue, parsed: Parsed): string {
  if (issue.code === "invalid_value") {
    const values = issue.values.map(String);
    const given = issue.path.reduce<unknown>(
      (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
      parsed.value,
    );
    const near = typeof given === "string" ? suggest(given, values) : null;
    return near === null
      ? `Choose one of: ${values.join(", ")}`
      : `Did you mean \`${near}\`? Possible: ${values.join(", ")}`;
  }
  return "Correct the value; `rivet schema config` prints what each key takes";
}

function valueAt(parsed: Parsed, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key],
    parsed.value,
  );
}

/** The keys that a place in the config takes. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let shape: unknown = ConfigShape;
  for (const key of path) {
    shape = typeof key === "number"
      ? unwrap(shape, "element")
      : (unwrap(shape, "shape") as Record<PropertyKey, unknown>)[key];
  }
  return Object.keys(unwrap(shape, "shape") as Record<string, unknown>);
}

function unwrap(shape: unknown, property: "shape" | "element"): unknown {
  let inner = shape as { unwrap?: () => unknown; shape?: unknown; element?: unknown };
  while (inner[property] === undefined && typeof inner.unwrap === "function") inner = inner.unwrap() as typeof inner;
  return inner[property] ?? {};
}

async function toExport(raw: RawExport, index: number, config: RawConfig, reading: Reading): Promise<Export> {
  const tuning = buildTuning(config.source.tuning, raw.tuning, config.source.environment);
  // A key that is followed from run to run is a cursor.
  const follows = raw.keyset_incremental === true;
  const mode = follows ? "incremental" : raw.mode ?? "full";
  return {
    name: raw.name,
    where: reading.parsed.where(["exports", index]),
    from: await toQuery(raw, index, reading),
    mode,
    incremental: mode === "incremental" ? toIncremental(raw) : null,
    chunked: mode === "chunked" ? toChunked(raw) : null,
    timeWindow: mode === "time_window"
      ? { column: raw.time_column ?? "", type: raw.time_column_type ?? "timestamp", days: raw.days_window ?? 1 }
      : null,
    partition: raw.partition_by === undefined
      ? null
      : { column: raw.partition_by, granularity: raw.partition_granularity ?? "day" },
    parallel: raw.parallel ?? 1,
    format: toFormat(raw),
    maxFileBytes: raw.max_file_size === undefined ? null : parseSize(raw.max_file_size),
    skipEmpty: raw.skip_empty ?? false,
    destination: toDestination(raw.destination, reading.directory),
    verify: raw.verify ?? "size",
    meta: { exportedAt: raw.meta_columns?.exported_at ?? false, rowHash: raw.meta_columns?.row_hash ?? false },
    quality: {
      rowCountMin: raw.quality?.row_count_min ?? null,
      rowCountMax: raw.quality?.row_count_max ?? null,
      nullRatioMax: raw.quality?.null_ratio_max ?? {},
      uniqueColumns: raw.quality?.unique_columns ?? [],
      uniqueMaxEntries: raw.quality?.unique_max_entries ?? null,
    },
    columns: Object.fromEntries(Object.entries(raw.columns ?? {}).map(([name, type]) => [name, parseTypeName(type)!])),
    target: raw.target === undefined ? null : targetOf(raw.target),
    onSchemaDrift: raw.on_schema_drift ?? "warn",
    shapeDriftWarnFactor: raw.shape_drift_warn_factor ?? 2,
    tuning,
    wave: raw.wave ?? null,
    parallelSafe: raw.parallel_safe ?? false,
    sourceGroup: raw.source_group ?? null,
    reconcileRequired: raw.reconcile_required ?? false,
  };
}

async function toQuery(raw: RawExport, index: number, reading: Reading): Promise<ExportQuery> {
  if (raw.table !== undefined) {
    const [first, second] = raw.table.split(".");
    return second === undefined
      ? { kind: "table", schema: null, name: first! }
      : { kind: "table", schema: first!, name: second };
  }
  if (raw.query !== undefined) {
    return { kind: "query", text: trimQuery(raw.query), template: trimQuery(raw.query), file: null };
  }
  const template = trimQuery(
    await readQueryFile(raw.query_file!, reading, reading.parsed.where(["exports", index, "query_file"])),
  );
  return {
    kind: "query",
    text: substitute(template, reading.params, reading.runtime, raw.query_file!),
    template,
    file: raw.query_file!,
  };
}

/** A statement that stands inside another one must not end it. */
function trimQuery(sql: string): string {
  return sql.trim().replace(/;\s*$/, "");
}

async function readQueryFile(file: string, reading: Reading, where: string): Promise<string> {
  const refuse = (message: string, cause?: unknown) =>
    new RivetError("RIVET_CONFIG_EXPORT_SOURCE_INVALID", message, {
      where,
      cure: "Name a file below the config's folder, without `..`",
      cause,
    });
  if (isAbsolute(file) || file.split(/[\/\\]/).includes("..")) {
    throw refuse(`\`query_file\` '${file}' leaves the config's folder`);
  }
  try {
    const real = await Deno.realPath(join(reading.directory, file));
    const inside = relative(await Deno.realPath(reading.directory), real);
    if (inside.startsWith("..") || isAbsolute(inside)) {
      throw refuse(`\`query_file\` '${file}' leads out of the config's folder`);
    }
    return await Deno.readTextFile(real);
  } catch (cause) {
    if (cause instanceof RivetError) throw cause;
    throw refuse(`\`query_file\` '${file}' cannot be read`, cause);
  }
}

function toIncremental(raw: RawExport): IncrementalConfig {
  return {
    cursorColumn: raw.cursor_column ?? [raw.chunk_by_key!].flat()[0]!,
    cursorMode: raw.incremental_cursor_mode ?? "single_column",
    fallbackColumn: raw.cursor_fallback_column ?? null,
    cursorLagS: raw.cursor_lag === undefined ? 0 : parseDuration(raw.cursor_lag)!,
    settle: raw.settle === undefined
      ? null
      : { afterS: parseDuration(raw.settle.after)!, column: raw.settle.column ?? null },
    onCursorNull: raw.on_cursor_null ?? "include_once",
  };
}

function toChunked(raw: RawExport): ChunkedConfig {
  const key = raw.chunk_by_key;
  return {
    column: raw.chunk_column ?? null,
    byKey: key === undefined ? null : typeof key === "string" ? [key] : key,
    dense: raw.chunk_dense ?? false,
    size: raw.chunk_size ?? 100_000,
    sizeIsDefault: raw.chunk_size === undefined,
    sizeMemoryMb: raw.chunk_size_memory_mb ?? null,
    count: raw.chunk_count ?? null,
    byDays: raw.chunk_by_days ?? null,
    checkpoint: raw.chunk_checkpoint ?? false,
    maxAttempts: raw.chunk_max_attempts ?? null,
    keysetIncremental: raw.keyset_incremental ?? false,
  };
}

const PROFILES = {
  none: { codec: "none", level: null },
  fast: { codec: "snappy", level: null },
  balanced: { codec: "zstd", level: 3 },
  compact: { codec: "zstd", level: 9 },
} as const;

function toFormat(raw: RawExport): FormatConfig {
  const profile = raw.compression_profile === undefined ? null : PROFILES[raw.compression_profile];
  const { parquet, csv } = raw;
  return {
    kind: raw.format,
    codec: profile?.codec ?? raw.compression ?? (raw.format === "csv" ? "none" : "zstd"),
    level: profile === null ? raw.compression_level ?? null : profile.level,
    parquet: parquet === undefined ? null : {
      strategy: parquet.row_group_strategy ?? "auto",
      rows: parquet.row_group_rows ?? null,
      targetMb: parquet.target_row_group_mb ?? 128,
      maxMb: parquet.max_row_group_mb ?? null,
    },
    csv: csv === undefined
      ? null
      : { delimiter: csv.delimiter ?? ",", header: csv.header ?? true, null: csv.null ?? null },
  };
}

function toDestination(d: RawDestination, directory: string): DestinationConfig {
  const store = {
    prefix: d.prefix ?? "",
    endpoint: d.endpoint ?? null,
    allowAnonymous: d.allow_anonymous ?? false,
    oneshotBudgetMb: d.oneshot_budget_mb ?? 64,
  };
  const anchor = (path: string) => isAbsolute(path) ? path : join(directory, path);
  switch (d.type) {
    case "stdout":
      return { kind: "stdout" };
    case "local":
      return { kind: "local", path: anchor(join(d.path!, d.prefix ?? "")), written: join(d.path!, d.prefix ?? "") };
    case "s3":
      return {
        kind: "s3",
        bucket: d.bucket!,
        region: d.region ?? null,
        accessKeyEnv: d.access_key_env ?? null,
        secretKeyEnv: d.secret_key_env ?? null,
        sessionTokenEnv: d.session_token_env ?? null,
        profile: d.aws_profile ?? null,
        ...store,
      };
    case "gcs":
      return {
        kind: "gcs",
        bucket: d.bucket!,
        credentialsFile: d.credentials_file === undefined ? null : anchor(d.credentials_file),
        ...store,
      };
    case "azure":
      return {
        kind: "azure",
        container: d.bucket!,
        accountName: d.account_name ?? null,
        accountKeyEnv: d.account_key_env ?? null,
        sasTokenEnv: d.sas_token_env ?? null,
        ...store,
      };
  }
}

function toNotifications(raw: RawConfig, reading: Reading): NotificationConfig | null {
  const { notifications } = raw;
  if (notifications === undefined) return null;
  const hook = (shape: NonNullable<typeof notifications>["slack"], key: string): WebhookConfig | null => {
    if (shape === undefined) return null;
    const where = reading.parsed.where(["notifications", key]);
    if ((shape.webhook_url === undefined) === (shape.webhook_url_env === undefined)) {
      throw new RivetError(
        "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
        "Give exactly one of `webhook_url` and `webhook_url_env`",
        { where },
      );
    }
    return {
      on: shape.on ?? ["failure"],
      resolveUrl: () => {
        const url = shape.webhook_url ?? reading.runtime.env(shape.webhook_url_env!);
        if (url !== undefined) return url;
        throw new RivetError(
          "RIVET_CONFIG_SECRET_UNSET",
          `The environment variable '${shape.webhook_url_env}' is not set`,
          { where },
        );
      },
    };
  };
  return { slack: hook(notifications.slack, "slack"), webhook: hook(notifications.webhook, "webhook") };
}
