// The door of types/: logical types, per-engine mapping, overrides, fidelity.

export { type Fidelity, formatType, type LogicalType, type TimeUnit } from "./logical.ts";
export { mapMssql, type MssqlColumn, type MssqlMapping, overrideMssql } from "./mssql.ts";
export { mapMysql, type MysqlColumn, type MysqlMapping, overrideMysql, spellMysqlType } from "./mysql.ts";
export { mapSqlite, overrideSqlite, SQLITE_UNTYPED, type SqliteColumn, type SqliteMapping } from "./sqlite.ts";
