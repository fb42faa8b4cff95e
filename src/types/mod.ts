// The door of types/: logical types, per-engine mapping, overrides, fidelity.

export { applyOverrides } from "./apply.ts";
export { formatArrow, formatLabel } from "./label.ts";
export { type Fidelity, formatType, type LogicalType, type TimeUnit } from "./logical.ts";
export { parseTypeName, TYPE_ALIASES, TYPE_NAMES } from "./override.ts";
export { describeTarget, parseTarget, type Target, type TargetColumn, TARGETS } from "./target.ts";
export { mapMssql, type MssqlColumn, type MssqlMapping, overrideMssql } from "./mssql.ts";
export { mapMysql, type MysqlColumn, type MysqlMapping, overrideMysql, spellMysqlType } from "./mysql.ts";
export { mapMysqlCatalog, type MysqlCatalogColumn } from "./mysql_catalog.ts";
export { mapSqlite, overrideSqlite, SQLITE_UNTYPED, type SqliteColumn, type SqliteMapping } from "./sqlite.ts";
export { mapPostgres, POSTGRES_OID, type PostgresColumn, type PostgresMapping, type PostgresType } from "./postgres.ts";
export { type OverridablePostgresColumn, overridePostgres } from "./postgres_override.ts";
