// MySQL types as the catalog spells them: the same mapping as that of a result column, without asking for a result.

import type { LogicalType } from "./logical.ts";
import { mapMysql, MYSQL_FLAG, MYSQL_TYPE } from "./mysql.ts";

/** A row of `information_schema.COLUMNS`. */
export interface MysqlCatalogColumn {
  readonly name: string;
  /** `DATA_TYPE`: the bare name. */
  readonly dataType: string;
  /** `COLUMN_TYPE`: with lengths and attributes. */
  readonly columnType: string;
  /** Null for what is no text. */
  readonly charset: string | null;
}

const TYPES: Readonly<Record<string, number>> = {
  tinyint: MYSQL_TYPE.tiny,
  smallint: MYSQL_TYPE.short,
  mediumint: MYSQL_TYPE.int24,
  int: MYSQL_TYPE.long,
  bigint: MYSQL_TYPE.longlong,
  float: MYSQL_TYPE.float,
  double: MYSQL_TYPE.double,
  decimal: MYSQL_TYPE.newdecimal,
  date: MYSQL_TYPE.date,
  time: MYSQL_TYPE.time,
  datetime: MYSQL_TYPE.datetime,
  timestamp: MYSQL_TYPE.timestamp,
  year: MYSQL_TYPE.year,
  bit: MYSQL_TYPE.bit,
  json: MYSQL_TYPE.json,
  enum: MYSQL_TYPE.enum,
  set: MYSQL_TYPE.set,
  vector: MYSQL_TYPE.vector,
};
const GEOMETRY = /^(geometry|point|linestring|polygon|multi\w+|geom(etry)?collection)$/;
const BYTES = /^(binary|varbinary|(tiny|medium|long)?blob)$/;

/** What the column becomes without an override. */
export function mapMysqlCatalog(
  column: MysqlCatalogColumn,
  mariadb: boolean,
): { readonly type: LogicalType | null; readonly warnings: readonly string[] } {
  const dataType = column.dataType.toLowerCase();
  const [, first = "0", second = "0"] = /\((\d+)(?:,(\d+))?\)/.exec(column.columnType) ?? [];
  const isUnsigned = /\bunsigned\b/i.test(column.columnType);
  const isDecimal = dataType === "decimal";
  const scale = isDecimal ? Number(second) : 0;
  return mapMysql({
    name: column.name,
    type: TYPES[dataType] ?? (GEOMETRY.test(dataType) ? MYSQL_TYPE.geometry : MYSQL_TYPE.varstring),
    flags: isUnsigned ? MYSQL_FLAG.unsigned : 0,
    // The display length of a decimal counts its point and its sign. Text of no length would be a bare NULL.
    length: isDecimal ? Number(first) + (scale > 0 ? 1 : 0) + (isUnsigned ? 0 : 1) : Math.max(1, Number(first)) +
      (dataType === "tinyint" && first === "0" ? 3 : 0),
    decimals: scale,
    charset: BYTES.test(dataType) ? "binary" : column.charset,
    characterBytes: 1,
    extended: mariadb && /^(uuid|inet4|inet6)$/.test(dataType) ? dataType : null,
  }, mariadb);
}
