// A whole schema of SQL Server: tables and views with sizes, columns, usable keys and rights, in five questions.

import { mapMssql } from "../../types/mod.ts";
import { groupRows, type ListedColumn, type ListedTable, type Listing } from "../listing.ts";
import type { Source } from "../source.ts";
import { toLiteral } from "./ask.ts";
import { askOrNothing, KEY_COLUMNS, PAGE_BYTES, toKeys, toKind, toNumber } from "./catalog.ts";

type Rows = (string | null)[][];

export async function listMssql(source: Source, wanted: string | null): Promise<Listing> {
  const ask = (sql: string) => source.rows(sql);
  const schema = wanted ?? (await ask("SELECT SCHEMA_NAME()"))[0]?.[0] ?? "dbo";
  const literal = toLiteral(schema);
  const inSchema = `SCHEMA_NAME(o.schema_id) = ${literal} AND RTRIM(o.type) IN ('U', 'V') AND o.is_ms_shipped = 0`;
  const schemas = await ask(
    `SELECT DISTINCT SCHEMA_NAME(o.schema_id) FROM sys.objects AS o
    WHERE RTRIM(o.type) IN ('U', 'V') AND o.is_ms_shipped = 0 ORDER BY 1`,
  );
  const tables = await ask(
    `SELECT o.object_id, o.name, RTRIM(o.type), (SELECT COUNT(*) FROM sys.indexes AS i
      JOIN sys.partition_schemes AS s ON s.data_space_id = i.data_space_id
      WHERE i.object_id = o.object_id AND i.index_id IN (0, 1)),
      CONVERT(int, HAS_PERMS_BY_NAME(CONCAT(QUOTENAME(SCHEMA_NAME(o.schema_id)), '.', QUOTENAME(o.name)), 'OBJECT', 'SELECT'))
    FROM sys.objects AS o WHERE ${inSchema} ORDER BY o.name`,
  );
  const columns = groupRows(
    await ask(
      `SELECT c.object_id, c.name, TYPE_NAME(c.system_type_id), TYPE_NAME(c.user_type_id), CONVERT(int, c.max_length),
        CONVERT(int, c.precision), CONVERT(int, c.scale), CONVERT(int, c.is_nullable)
      FROM sys.columns AS c JOIN sys.objects AS o ON o.object_id = c.object_id WHERE ${inSchema}
        AND ISNULL(COLUMNPROPERTY(c.object_id, c.name, 'IsHidden'), 0) = 0
      ORDER BY c.object_id, c.column_id`,
    ),
  );
  const sizes = await readSizes(ask, inSchema);
  const keys = groupRows(
    await ask(
      `SELECT i.object_id, ${KEY_COLUMNS} JOIN sys.objects AS o ON o.object_id = i.object_id
      WHERE ${inSchema} AND i.type IN (1, 2) AND i.is_disabled = 0 AND i.is_hypothetical = 0 AND i.has_filter = 0
      ORDER BY i.object_id, i.is_primary_key DESC, i.is_unique DESC, i.name, k.key_ordinal`,
    ),
  );
  const names = schemas.map(([name]) => name!);
  return {
    schema,
    exists: tables.length > 0 || names.includes(schema),
    otherSchemas: names.filter((name) => name !== schema),
    tables: tables.map((row) => {
      const id = row[0]!;
      return toTable(row, schema, columns.get(id) ?? [], sizes.get(id) ?? [], keys.get(id) ?? []);
    }),
  };
}

/** Rows and pages of the heap or clustered index, by object. */
async function readSizes(
  ask: (sql: string) => Promise<Rows>,
  inSchema: string,
): Promise<Map<string, (string | null)[]>> {
  const rows = await askOrNothing(
    ask,
    `SELECT s.object_id, SUM(s.row_count), SUM(s.used_page_count) FROM sys.dm_db_partition_stats AS s
    JOIN sys.objects AS o ON o.object_id = s.object_id WHERE ${inSchema} AND s.index_id IN (0, 1) GROUP BY s.object_id`,
    // The view needs VIEW DATABASE STATE; these need nothing, and are a little less fresh.
    `SELECT p.object_id, SUM(CASE WHEN a.type = 1 THEN p.rows ELSE 0 END), SUM(a.used_pages) FROM sys.partitions AS p
    JOIN sys.objects AS o ON o.object_id = p.object_id
    JOIN sys.allocation_units AS a ON a.container_id = CASE a.type WHEN 2 THEN p.partition_id ELSE p.hobt_id END
    WHERE ${inSchema} AND p.index_id IN (0, 1) GROUP BY p.object_id`,
  );
  return new Map(rows.map(([id, ...size]) => [id!, size]));
}

function toTable(
  row: (string | null)[],
  schema: string,
  columns: Rows,
  size: (string | null)[],
  keys: Rows,
): ListedTable {
  const [, name, type, partitioned, readable] = row;
  const rows = toNumber(size[0]);
  const pages = toNumber(size[1]);
  const bytes = pages === null ? null : pages * PAGE_BYTES;
  return {
    schema,
    name: name!,
    kind: toKind(type ?? "", partitioned !== "0"),
    rowsEstimate: rows,
    bytes,
    avgRowBytes: bytes === null || rows === null || rows === 0 ? null : Math.ceil(bytes / rows),
    pages: null,
    keys: toKeys(keys),
    columns: columns.map(toColumn),
    isReadable: readable !== "0",
    partOf: null,
    notes: [],
  };
}

/** The types whose spelling has a length. */
const LENGTHS: ReadonlySet<string> = new Set(["char", "varchar", "nchar", "nvarchar", "binary", "varbinary"]);

function toColumn(row: (string | null)[]): ListedColumn {
  const [name, systemType, userType, length, precision, scale, nullable] = row;
  const type = (systemType ?? userType ?? "unknown").toLowerCase();
  const { type: logical, warnings } = mapMssql({
    name: name!,
    type,
    precision: Number(precision ?? 0),
    scale: Number(scale ?? 0),
    isDecoded: true,
    isClr: systemType === null,
  });
  return {
    name: name!,
    nativeType: spell(type, Number(length ?? 0), Number(precision ?? 0), Number(scale ?? 0)),
    type: logical,
    notNull: nullable === "0",
    isOpenDecimal: false,
    warnings,
  };
}

function spell(type: string, bytes: number, precision: number, scale: number): string {
  if (LENGTHS.has(type)) {
    return `${type}(${bytes < 0 ? "max" : type.startsWith("n") ? bytes / 2 : bytes})`;
  }
  if (type === "decimal" || type === "numeric") return `${type}(${precision},${scale})`;
  return type === "datetime2" || type === "time" || type === "datetimeoffset" ? `${type}(${scale})` : type;
}
