// Finding key columns and their bounds in the source: names to typed columns, least and greatest value, sampled cuts.

import { RivetError } from "../errors.ts";
import {
  buildFrom,
  buildLiteral,
  buildWhere,
  type Engine,
  type KeyColumn,
  keyExpression,
  limitOne,
  type Predicate,
  type Query,
  type Shape,
  type Source,
  type TableFacts,
  textExpression,
} from "../source/mod.ts";

export interface KeyContext {
  readonly source: Source;
  readonly query: Query;
  readonly shape: Shape;
  readonly filters: readonly Predicate[];
  /** `export 'orders'`, for errors. */
  readonly where: string;
}

/** The typed column of a name in the config; the name must match in case too. */
export function findColumn(context: Omit<KeyContext, "source">, name: string, setting: string): KeyColumn {
  const column = context.shape.columns.find((c) => c.name === name);
  if (column === undefined) {
    const close = context.shape.columns.find((c) => c.name.toLowerCase() === name.toLowerCase());
    if (close !== undefined) {
      throw new RivetError(
        "RIVET_CONFIG_CURSOR_COLUMN_CASE",
        `\`${setting}\` names '${name}', the column is '${close.name}'`,
        {
          where: context.where,
          cure: `Write \`${setting}: ${close.name}\``,
        },
      );
    }
    throw new RivetError(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      `\`${setting}\` names '${name}', which the export does not have`,
      {
        where: context.where,
        cure: `Choose one of: ${context.shape.columns.map((c) => c.name).join(", ")}`,
      },
    );
  }
  if (column.type === null) {
    throw new RivetError(
      "RIVET_PLAN_CHUNK_KEY_UNUSABLE",
      `'${name}' has the type '${column.nativeType}', which cannot be a key`,
      {
        where: context.where,
      },
    );
  }
  return { names: [name], type: column.type, nativeType: column.nativeType, notNull: column.notNull === true };
}

export interface Bounds {
  readonly min: string | null;
  readonly max: string | null;
}

/** Least and greatest value as text. Null only when there is no non-NULL value. */
export async function readBounds(
  context: KeyContext,
  column: KeyColumn,
  extra: readonly Predicate[] = [],
): Promise<Bounds> {
  const { engine } = context.source;
  const [min, max] = hasAggregates(engine, column)
    ? await readAggregates(context, column, extra)
    : [await readEnd(context, column, extra, "ASC"), await readEnd(context, column, extra, "DESC")];
  if ((min === null) !== (max === null)) throw unreadable(context, column, `${min} … ${max}`);
  return { min, max };
}

/** PostgreSQL orders types for which it has no min and max: uuid, bytea before 18, bool, bit, macaddr, ranges. */
function hasAggregates(engine: Engine, { type, nativeType }: KeyColumn): boolean {
  if (engine !== "postgres") return true;
  if (type.kind === "string") return /^(text|character|numeric|inet|money)\b/.test(nativeType);
  return !["uuid", "binary", "bool", "json", "list"].includes(type.kind);
}

async function readAggregates(
  context: KeyContext,
  column: KeyColumn,
  extra: readonly Predicate[],
): Promise<[string | null, string | null]> {
  const { engine } = context.source;
  const key = keyExpression(engine, column);
  const text = (aggregate: string) => textExpression(engine, aggregate, column.type);
  const rows = await context.source.rows(
    `SELECT ${text(`min(${key})`)}, ${text(`max(${key})`)} FROM ${buildFrom(engine, context.query)}${
      buildWhere(engine, [...context.filters, ...extra])
    }`,
  );
  return [rows[0]?.[0] ?? null, rows[0]?.[1] ?? null];
}

/**
 * Keys as text, under names of their own: a result column that PostgreSQL names after the key it was made of would be what
 * ORDER BY means, and text has another order and no index.
 */
function asText(engine: Engine, columns: readonly KeyColumn[]): string {
  return columns.map((c, i) => `${textExpression(engine, keyExpression(engine, c), c.type)} AS _rivet_key${i}`)
    .join(", ");
}

/** The first or last key in the server's order, which an index gives at once. */
async function readEnd(
  context: KeyContext,
  column: KeyColumn,
  extra: readonly Predicate[],
  order: "ASC" | "DESC",
): Promise<string | null> {
  const { engine } = context.source;
  const key = keyExpression(engine, column);
  const where = buildWhere(engine, [...context.filters, ...extra, { kind: "not_null", column }]);
  const select = `SELECT ${asText(engine, [column])} FROM ${
    buildFrom(engine, context.query)
  }${where} ORDER BY ${key} ${order}`;
  return (await context.source.rows(limitOne(engine, select, 0)))[0]?.[0] ?? null;
}

/** Bounds of an integer column. */
export async function readIntegerBounds(
  context: KeyContext,
  column: KeyColumn,
): Promise<{ min: bigint; max: bigint } | null> {
  const { min, max } = await readBounds(context, column);
  if (min === null || max === null) return null;
  if (!/^-?\d+$/.test(min) || !/^-?\d+$/.test(max)) throw unreadable(context, column, `${min} … ${max}`);
  return { min: BigInt(min), max: BigInt(max) };
}

function unreadable(context: KeyContext, column: KeyColumn, what: string): RivetError {
  return new RivetError(
    "RIVET_SOURCE_PROBE_UNREADABLE",
    `The bounds of '${column.names.join(", ")}' read as '${what}'`,
    {
      where: context.where,
    },
  );
}

/** An approximate sample is used only where it pays: below this many slices, exact cuts cost little. */
const SAMPLE_SLICES_MIN = 8;
const SAMPLES_PER_SLICE = 30;

/** Keys that cut the rows into slices of about `size`, in the server's own order. */
export async function sampleCuts(
  context: KeyContext,
  columns: readonly KeyColumn[],
  size: number,
  facts: TableFacts | null,
): Promise<string[][]> {
  const rows = facts?.rowsEstimate ?? 0;
  const slices = Math.ceil(rows / size);
  const canSample = context.source.engine === "postgres" && context.query.kind === "table" && facts?.kind === "table" &&
    (facts.pages ?? 0) > 1000 && context.filters.length === 0;
  if (canSample && slices >= SAMPLE_SLICES_MIN) return await sampleByPages(context, columns, slices, facts);
  return await walkKeys(context, columns, size);
}

/** PostgreSQL reads a few pages of the heap instead of walking the index. */
async function sampleByPages(
  context: KeyContext,
  columns: readonly KeyColumn[],
  slices: number,
  facts: TableFacts,
): Promise<string[][]> {
  const rowsPerPage = Math.max(1, (facts.rowsEstimate ?? 0) / (facts.pages ?? 1));
  const pages = Math.max(300, (slices * SAMPLES_PER_SLICE) / rowsPerPage);
  const percent = Math.min(100, (pages / (facts.pages ?? 1)) * 100);
  const names = columns.map((c) => keyExpression("postgres", c));
  const order = names.join(", ");
  const nonNull = buildWhere(
    "postgres",
    columns.filter((c) => !c.notNull).map((column) => ({ kind: "not_null", column })),
  );
  const text = columns.map((c) => textExpression("postgres", keyExpression("postgres", c), c.type)).join(", ");
  const sampled = await context.source.rows(
    `SELECT ${text} FROM (SELECT ${order}, row_number() OVER (ORDER BY ${order}) AS _n, count(*) OVER () AS _c
      FROM ${buildFrom("postgres", context.query)} TABLESAMPLE SYSTEM (${
      percent.toFixed(6)
    }) REPEATABLE (1)${nonNull}) AS _s
      WHERE _n > 1 AND (_n - 1) % greatest(1, _c / ${slices}) = 0 ORDER BY _n`,
  );
  return sampled.map((row) => row.map((value) => value ?? ""));
}

/** What a walk needs to know and may ask. */
export interface WalkContext {
  readonly source: Pick<Source, "engine" | "rows">;
  readonly query: Query;
  readonly filters: readonly Predicate[];
}

/** Exact cuts: walks the index in steps, each statement no longer than one step. */
export async function walkKeys(
  context: WalkContext,
  columns: readonly KeyColumn[],
  size: number,
): Promise<string[][]> {
  const { engine } = context.source;
  const text = asText(engine, columns);
  const order = columns.map((c) => keyExpression(engine, c)).join(", ");
  const cuts: string[][] = [];
  let offset = size;
  for (;;) {
    const from = cuts.at(-1) ?? null;
    const where = buildWhere(engine, [...context.filters, { kind: "range", columns, from, to: null }]);
    const same = from === null ? "0" : sameKey(engine, columns, from);
    const select = `SELECT ${same}, ${text} FROM ${buildFrom(engine, context.query)}${where} ORDER BY ${order}`;
    const row = (await context.source.rows(limitOne(engine, select, offset)))[0];
    if (row === undefined) return cuts;
    const [stands, ...cut] = row.map((value) => value ?? "");
    // More rows than one step share this key, or read as if they did: look further, or the walk would stand still.
    if (stands === "1" || (from !== null && cut.every((value, i) => value === from[i]))) {
      offset *= 2;
      continue;
    }
    offset = size;
    cuts.push(cut);
  }
}

/** Whether a row has this key. The server decides: under its collation 'A' may be 'a'. */
function sameKey(engine: Engine, columns: readonly KeyColumn[], key: readonly string[]): string {
  const equal = columns.map((c, i) => `${keyExpression(engine, c)} = ${buildLiteral(engine, key[i]!, c)}`);
  return `CASE WHEN ${equal.join(" AND ")} THEN 1 ELSE 0 END`;
}

/** The usable index that begins with exactly these columns, in this order. */
export function findIndex(facts: TableFacts, columns: readonly string[]): TableFacts["keys"][number] | null {
  return facts.keys.find((key) => columns.every((name, i) => key.columns[i] === name)) ?? null;
}
