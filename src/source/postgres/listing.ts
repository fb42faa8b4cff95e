// A whole schema of PostgreSQL: tables, views and partitioned tables with sizes, columns, usable keys and rights, in seven questions.

import { RivetError } from "../../errors.ts";
import { mapPostgres, POSTGRES_OID, type PostgresType } from "../../types/mod.ts";
import { groupRows, type ListedColumn, type ListedTable, type Listing } from "../listing.ts";
import type { Source } from "../source.ts";
import { postgresString } from "../sql.ts";
import { NOT_NULL, selectKeys, selectTypes, toKeys, toKind, toTypes } from "./catalog.ts";

export async function listPostgres(source: Source, wanted: string | null): Promise<Listing> {
  const [schema, ...otherSchemas] = await readSchemas(source, wanted);
  const version = Number.parseInt(source.serverVersion, 10);
  const literal = postgresString(schema!);
  const tables = await readTables(source, literal);
  const columns = await readColumns(source, literal);
  const widths = new Map((await source.rows(selectWidths(literal))).map(([oid, width]) => [oid, Number(width)]));
  const inSchema = `x.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = ${namespace(literal)})`;
  const keys = groupRows((await source.rows(selectKeys(inSchema, version >= 11))).map((row) => [row.at(-1)!, ...row]));
  return {
    schema: schema!,
    exists: tables.length > 0 || (await source.rows(`SELECT 1 WHERE ${namespace(literal)} IS NOT NULL`)).length > 0,
    otherSchemas,
    tables: tables.map((row) =>
      toTable(row, {
        schema: schema!,
        version,
        columns: columns.get(row[0]!) ?? [],
        width: widths.get(row[0]!) ?? 0,
        keys: keys.get(row[0]!) ?? [],
      })
    ),
  };
}

/** The wanted or default schema, then the others that hold something. */
async function readSchemas(source: Source, wanted: string | null): Promise<string[]> {
  const rows = await source.rows(
    `SELECT coalesce(current_schema(), 'public'), n.nspname FROM (SELECT 1) AS one LEFT JOIN pg_namespace n
      ON n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE')
        AND EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))
      ORDER BY n.nspname`,
  );
  const schema = wanted ?? rows[0]?.[0] ?? "public";
  return [schema, ...rows.map((row) => row[1]).filter((name): name is string => name !== null && name !== schema)];
}

function namespace(literal: string): string {
  return `(SELECT oid FROM pg_namespace WHERE nspname = ${literal})`;
}

async function readTables(source: Source, literal: string): Promise<(string | null)[][]> {
  try {
    return await source.rows(selectTables(literal, "pg_relation_size(c.oid)", "pg_table_size(c.oid)"));
  } catch (error) {
    if (!(error instanceof RivetError) || error.retry !== "same_connection") throw error;
    // A size waits for whoever has the table locked; for those tables, what was counted last must do.
    const known = "nullif(c.relpages, 0) * current_setting('block_size')::int8";
    const orKnown = (size: string) => `CASE WHEN ${LOCKED} THEN ${known} ELSE ${size} END`;
    return await source.rows(
      selectTables(literal, orKnown("pg_relation_size(c.oid)"), orKnown("pg_table_size(c.oid)")),
    );
  }
}

const LOCKED = `EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))`;

/** Sizes count partitions and children; rows are as the planner reckons them, the last known density times today's pages. */
function selectTables(literal: string, mainBytes: string, bytes: string): string {
  return `WITH RECURSIVE root AS (
      SELECT c.oid, c.relname, c.relkind FROM pg_class c
      WHERE c.relnamespace = ${namespace(literal)} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ), part (root, oid) AS (
      SELECT oid, oid FROM root UNION SELECT part.root, i.inhrelid FROM pg_inherits i JOIN part ON i.inhparent = part.oid
    ), member AS (
      SELECT part.root, c.reltuples, c.relpages,
        CASE WHEN c.relkind IN ('r', 'm') THEN ${mainBytes} / current_setting('block_size')::int8 ELSE 0 END AS pages,
        CASE WHEN c.relkind IN ('r', 'm') THEN ${bytes} ELSE 0 END AS bytes
      FROM part JOIN pg_class c ON c.oid = part.oid
    ), total AS (
      SELECT root, count(*) AS members, count(*) FILTER (WHERE pages IS NULL OR pages > 0 AND (relpages = 0 OR reltuples < 0)) AS unknown,
        sum(CASE WHEN relpages > 0 AND reltuples >= 0 THEN reltuples / relpages * pages ELSE 0 END) AS rows,
        sum(pages) AS pages, sum(bytes) AS bytes
      FROM member GROUP BY root
    )
    SELECT r.oid, r.relname, r.relkind, t.members, t.unknown, round(t.rows::numeric), t.pages, t.bytes,
      has_table_privilege(r.oid, 'SELECT') AND has_schema_privilege(${namespace(literal)}, 'USAGE'),
      row_security_active(r.oid),
      (SELECT p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = r.oid
        AND p.relnamespace = ${namespace(literal)} ORDER BY i.inhseqno LIMIT 1),
      (SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'e' LIMIT 1)
    FROM root r JOIN total t ON t.root = r.oid ORDER BY r.relname`;
}

async function readColumns(source: Source, literal: string): Promise<Map<string, ListedColumn[]>> {
  const rows = await source.rows(
    `SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod),
      ${NOT_NULL} AND c.relkind <> 'v'
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = ${namespace(literal)} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`,
  );
  if (rows.length === 0) return new Map();
  const typeOf = toTypes(await source.rows(selectTypes(rows.map((row) => Number(row[2])))));
  const columns = new Map<string, ListedColumn[]>();
  for (const [table, ...row] of rows) {
    const list = columns.get(table!) ?? [];
    columns.set(table!, list);
    list.push(toColumn(row, typeOf));
  }
  return columns;
}

function toColumn(
  [name, typeId, typmod, spelled, notNull]: (string | null)[],
  typeOf: (oid: number) => PostgresType,
): ListedColumn {
  const column = {
    name: name!,
    nativeType: spelled ?? "unknown",
    type: typeOf(Number(typeId)),
    typmod: Number(typmod),
  };
  const { type, warnings } = mapPostgres(column);
  return {
    name: column.name,
    nativeType: column.nativeType,
    type,
    notNull: notNull === "t",
    isOpenDecimal: type?.kind === "string" && baseOf(column.type).oid === POSTGRES_OID.numeric,
    warnings,
  };
}

function baseOf(type: PostgresType): PostgresType {
  return type.base === null ? type : baseOf(type.base.type);
}

function selectWidths(literal: string): string {
  return `SELECT c.oid, sum(s.avg_width * (1 - s.null_frac)) FROM pg_stats s
    JOIN pg_class c ON c.relnamespace = ${namespace(literal)} AND c.relname = s.tablename
    WHERE s.schemaname = ${literal} AND s.inherited = (c.relkind = 'p') GROUP BY c.oid`;
}

interface Parts {
  readonly schema: string;
  readonly version: number;
  readonly columns: readonly ListedColumn[];
  readonly width: number;
  readonly keys: (string | null)[][];
}

function toTable(row: (string | null)[], { schema, version, columns, width, keys }: Parts): ListedTable {
  const [, name, relkind, members, unknown, rows, pages, bytes, readable, rowSecurity, parent, extension] = row;
  const kind = toKind(relkind ?? "", Number(members));
  const stored = kind === "table" || kind === "partitioned";
  const rowsEstimate = !stored || Number(unknown) > 0 || rows === null ? null : Number(rows);
  const bytesTotal = stored && bytes !== null ? Number(bytes) : null;
  const perRow = rowsEstimate !== null && rowsEstimate > 0 && bytesTotal !== null ? bytesTotal / rowsEstimate : 0;
  const avgRowBytes = Math.round(Math.max(perRow, width));
  return {
    schema,
    name: name!,
    kind,
    rowsEstimate,
    bytes: bytesTotal,
    avgRowBytes: avgRowBytes > 0 ? avgRowBytes : null,
    pages: kind === "table" && version >= 14 ? Number(pages) : null,
    keys: toKeys(keys),
    columns,
    isReadable: readable === "t",
    partOf: extension !== null && extension !== undefined
      ? `extension '${extension}'`
      : parent !== null && parent !== undefined
      ? `table '${parent}'`
      : null,
    notes: rowSecurity === "t"
      ? ["row-level security is active: the export holds the rows that this user may see"]
      : [],
  };
}
