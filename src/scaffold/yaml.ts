// The config as text: every choice with its reason in a comment beside it. Nothing in it comes from the rows, nothing is secret.

import type { Engine, ListedTable } from "../source/mod.ts";
import { buildFrom } from "../source/mod.ts";
import type { Advice } from "./advice.ts";
import { toConfigPath } from "./connection.ts";
import type { LeftOut } from "./names.ts";
import type { Size } from "./probe.ts";
import type { ScaffoldRequest } from "./request.ts";
import { comment, formatCount, inComment, listNames, quoteYaml } from "./text.ts";

export interface ScaffoldedExport {
  readonly name: string;
  readonly table: ListedTable;
  readonly size: Size;
  readonly advice: Advice;
}

export interface YamlParts {
  readonly engine: Engine;
  /** The schema that plain names mean for everyone who connects in this way; null where that depends on the user. */
  readonly homeSchema: string | null;
  /** `schema public`, `table public.orders`. */
  readonly scope: string;
  readonly sourceLines: readonly string[];
  readonly exports: readonly ScaffoldedExport[];
  readonly leftOut: readonly LeftOut[];
  readonly request: ScaffoldRequest;
}

/** A plain identifier, as `table:` takes it. */
const PLAIN = /^[A-Za-z_][A-Za-z0-9_$]*$/;

export function isPlainName(table: ListedTable): boolean {
  return PLAIN.test(table.name) && (table.schema === null || PLAIN.test(table.schema));
}

export function buildYaml(parts: YamlParts): string {
  const lines = [
    ...comment(
      `Written by \`rivet init\` from ${parts.scope}; every choice says why, and all of it can be edited.`,
      "",
    ),
    ...comment("What each key means: `rivet schema config` and docs/reference/config.md.", ""),
    ...leftOutLines(parts.leftOut),
    "source:",
    ...parts.sourceLines,
    ...(parts.engine === "mysql"
      ? ["  # zero_dates: null # what 0000-00-00 becomes; without it such a date stops the run"]
      : []),
    "  tuning:",
    "    profile: balanced # gentle enough for most; `safe` for a busy primary, `fast` for a replica of one's own",
    "",
    "exports:",
    ...parts.exports.flatMap((entry, i) => [...(i === 0 ? [] : [""]), ...exportLines(entry, parts)]),
  ];
  return `${lines.join("\n")}\n`;
}

function leftOutLines(leftOut: readonly LeftOut[]): string[] {
  if (leftOut.length === 0) return [];
  const byReason = new Map<string, string[]>();
  for (const { name, reason } of leftOut) byReason.set(reason, [...byReason.get(reason) ?? [], name]);
  return [
    "#",
    "# Left out:",
    ...[...byReason].flatMap(([reason, names]) => comment(`- ${listNames(names)}: ${reason}`, "")),
    ...(leftOut.some((one) => one.canReturn)
      ? comment("`rivet init --include NAME` brings a table in by its name.", "")
      : []),
  ];
}

function exportLines({ name, table, size, advice }: ScaffoldedExport, parts: YamlParts): string[] {
  return [
    `  - name: ${quoteYaml(name)}`,
    ...fromLines(table, parts),
    ...comment(advice.why, "    "),
    `    mode: ${advice.mode}`,
    ...incrementalLines(advice, parts.engine),
    ...chunkLines(advice),
    ...(advice.time === null ? [] : [`    time_column: ${quoteYaml(advice.time.column.name)}`, "    days_window: 7"]),
    "    format: parquet",
    ...parquetLines(table, size, advice),
    ...metaLines(table),
    ...decimalLines(table),
    ...(parts.request.target === null ? [] : [`    target: ${quoteYaml(parts.request.target)}`]),
    ...destinationLines(parts.request),
    ...advice.notes.flatMap((note) => comment(note, "    ")),
  ];
}

function fromLines(table: ListedTable, { engine, homeSchema }: YamlParts): string[] {
  const schema = table.schema === homeSchema ? null : table.schema;
  if (isPlainName(table)) return [`    table: ${quoteYaml(schema === null ? table.name : `${schema}.${table.name}`)}`];
  const from = buildFrom(engine, { kind: "table", schema, name: table.name });
  return [
    ...comment("a query, because `table:` takes plain names only", "    "),
    `    query: ${quoteYaml(`SELECT * FROM ${from}`)}`,
  ];
}

function incrementalLines({ cursor, fallback, mode }: Advice, engine: Engine): string[] {
  if (mode !== "incremental" || cursor === null) return [];
  const { column } = cursor;
  const lines = [`    cursor_column: ${quoteYaml(column.name)}`];
  if (fallback !== null) {
    lines.push(
      ...comment(`'${column.name}' may be NULL, '${fallback.column.name}' never is and stands in for it`, "    "),
      "    incremental_cursor_mode: coalesce",
      `    cursor_fallback_column: ${quoteYaml(fallback.column.name)}`,
    );
  } else if (!column.notNull && !cursor.isPrimaryKey) {
    lines.push(`    on_cursor_null: include_once # rows without a cursor value come with the first run`);
  }
  // SQLite has one writer at a time: nothing commits behind a younger row.
  if (engine !== "sqlite" && column.type?.kind === "timestamp") {
    lines.push("    cursor_lag: 5m # looks back for transactions that committed late; no row is exported twice");
  }
  return lines;
}

function chunkLines({ chunks, chunksWhy, parallel, parallelWhy }: Advice): string[] {
  if (chunks === null) return [];
  return [
    ...comment(chunksWhy, "    "),
    ...(chunks.kind === "range" ? [`    chunk_column: ${quoteYaml(chunks.column)}`] : []),
    ...(chunks.kind === "key" ? [`    chunk_by_key: ${keyList(chunks.columns)}`] : []),
    `    chunk_size: ${chunks.size}`,
    "    chunk_checkpoint: true",
    `    parallel: ${parallel}${parallelWhy === "" ? "" : ` # ${parallelWhy}`}`,
  ];
}

function keyList(columns: readonly string[]): string {
  return columns.length === 1 ? quoteYaml(columns[0]!) : `[${columns.map(quoteYaml).join(", ")}]`;
}

const WIDE_COLUMNS_MIN = 5;

function parquetLines(table: ListedTable, { rows }: Size, { mode }: Advice): string[] {
  if (mode !== "chunked" && (rows ?? 0) <= 100_000) return [];
  const wide = table.columns.filter(({ type }) => ["string", "json", "binary"].includes(type?.kind ?? "")).length;
  const isWide = wide >= WIDE_COLUMNS_MIN;
  return [
    "    parquet:",
    "      row_group_strategy: auto",
    `      target_row_group_mb: ${isWide ? 64 : 128}${isWide ? ` # smaller: ${wide} columns of text or bytes` : ""}`,
  ];
}

function metaLines(table: ListedTable): string[] {
  const has = (name: string) => table.columns.some((column) => column.name.toLowerCase() === name);
  const lines = [
    ...(has("_rivet_exported_at") ? [] : ["      exported_at: true # _rivet_exported_at: when the run read the row"]),
    ...(has("_rivet_row_hash") ? [] : ["      row_hash: true # _rivet_row_hash: equal rows have equal hashes"]),
  ];
  return lines.length === 0 ? [] : ["    meta_columns:", ...lines];
}

/** Suggestions only: how many digits there are is not known, and a wrong guess would refuse rows. */
function decimalLines(table: ListedTable): string[] {
  const open = table.columns.filter((column) => column.isOpenDecimal);
  if (open.length === 0) return [];
  return [
    ...comment(
      "REVIEW: decimals without declared digits are written as exact text. As numbers, once you know their digits:",
      "    ",
    ),
    "    # columns:",
    ...open.map(({ name, nativeType }) =>
      `    #   ${inComment(quoteYaml(name))}: decimal(38,18) # ${inComment(nativeType)}`
    ),
  ];
}

function destinationLines(request: ScaffoldRequest): string[] {
  const { destination: d } = request;
  const lines = ["    destination:", `      type: ${d.kind}`];
  switch (d.kind) {
    case "local":
      return [...lines, '      path: "./output/{export}"'];
    case "s3":
      return [
        ...lines,
        `      bucket: ${quoteYaml(d.bucket)}`,
        ...(d.region === null ? [] : [`      region: ${quoteYaml(d.region)}`]),
        '      prefix: "rivet/{export}/"',
      ];
    case "gcs":
      return [
        ...lines,
        `      bucket: ${quoteYaml(d.bucket)}`,
        '      prefix: "rivet/{export}/"',
        ...(d.credentialsFile === null
          ? []
          : [`      credentials_file: ${quoteYaml(toConfigPath(d.credentialsFile, request))}`]),
      ];
    case "azure":
      return [
        ...lines,
        `      bucket: ${quoteYaml(d.container)} # the container`,
        '      prefix: "rivet/{export}/"',
        ...(d.endpoint === null ? [] : [`      endpoint: ${quoteYaml(d.endpoint)}`]),
        ...(d.account === null ? [] : [`      account_name: ${quoteYaml(d.account)}`]),
        "      account_key_env: AZURE_STORAGE_KEY # or sas_token_env",
      ];
    default: {
      const never: never = d;
      return never;
    }
  }
}

/** `12 exports: 9 full, 3 chunked`. */
export function summarize(exports: readonly ScaffoldedExport[]): string {
  const counts = new Map<string, number>();
  for (const { advice } of exports) counts.set(advice.mode, (counts.get(advice.mode) ?? 0) + 1);
  const modes = [...counts].sort(([a], [b]) => a < b ? -1 : 1).map(([mode, count]) => `${formatCount(count)} ${mode}`);
  return `${formatCount(exports.length)} export${exports.length === 1 ? "" : "s"}: ${modes.join(", ")}`;
}
