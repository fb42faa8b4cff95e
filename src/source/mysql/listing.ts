// A whole database of MySQL or MariaDB: tables and views with sizes, columns, usable keys and rights, in five questions.

import { mapMysqlCatalog } from "../../types/mod.ts";
import { groupRows, type ListedColumn, type ListedTable, type Listing } from "../listing.ts";
import type { Source } from "../source.ts";
import { groupKeys, type MysqlRows, quoteText, selectKeys, tableKind, toNumber } from "./catalog.ts";

export async function listMysql(source: Source, wanted: string | null): Promise<Listing> {
  const [current] = (await source.rows("SELECT DATABASE()"))[0] ?? [];
  const schema = wanted ?? current ?? "";
  const where = `TABLE_SCHEMA = ${quoteText(schema)}`;
  const schemas = await source.rows(
    `SELECT SCHEMA_NAME FROM information_schema.SCHEMATA
     WHERE SCHEMA_NAME NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys') ORDER BY SCHEMA_NAME`,
  );
  const tables = await source.rows(
    `SELECT TABLE_NAME, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH, AVG_ROW_LENGTH, CREATE_OPTIONS,
       COALESCE(ENGINE IN (SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS <> 'YES'), 0), ENGINE
     FROM information_schema.TABLES WHERE ${where} ORDER BY TABLE_NAME`,
  );
  const columns = groupRows(
    await source.rows(
      `SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, IS_NULLABLE, PRIVILEGES
       FROM information_schema.COLUMNS WHERE ${where} AND EXTRA NOT LIKE '%INVISIBLE%' ORDER BY TABLE_NAME, ORDINAL_POSITION`,
    ),
  );
  const keys = groupRows(await readKeys(source, where));
  const mariadb = source.serverVersion.toLowerCase().includes("mariadb");
  const names = schemas.map(([name]) => name!);
  return {
    schema,
    exists: names.includes(schema) || tables.length > 0,
    otherSchemas: names.filter((name) => name !== schema),
    tables: tables.map((row) => toTable(row, schema, columns.get(row[0]!) ?? [], keys.get(row[0]!) ?? [], mariadb)),
  };
}

async function readKeys(source: Source, where: string): Promise<MysqlRows> {
  return await source.rows(await selectKeys((sql) => source.rows(sql), where, "TABLE_NAME, "));
}

function toTable(
  row: MysqlRows[number],
  schema: string,
  columns: MysqlRows,
  keys: MysqlRows,
  mariadb: boolean,
): ListedTable {
  const [name, type, rows, bytes, avgRowBytes, options, unsafe, engine] = row;
  return {
    schema,
    name: name!,
    kind: tableKind(type ?? "", options ?? ""),
    rowsEstimate: toNumber(rows),
    bytes: toNumber(bytes),
    avgRowBytes: toNumber(avgRowBytes),
    pages: null,
    keys: groupKeys(keys),
    columns: columns.map((column) => toColumn(column, mariadb)),
    isReadable: columns.every((column) => (column[5] ?? "").includes("select")),
    partOf: null,
    notes: unsafe === "1" ? [`its engine ${engine} keeps no snapshot: each statement sees its own moment`] : [],
  };
}

function toColumn(row: MysqlRows[number], mariadb: boolean): ListedColumn {
  const [name, dataType, columnType, charset, nullable] = row;
  const column = { name: name!, dataType: dataType ?? "", columnType: columnType ?? "", charset: charset ?? null };
  return {
    name: column.name,
    nativeType: column.columnType,
    ...mapMysqlCatalog(column, mariadb),
    notNull: nullable === "NO",
    isOpenDecimal: false,
  };
}
