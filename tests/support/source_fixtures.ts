// What the source contract needs to know of each engine, as data: how to open one, and how it writes types and values.

import { DatabaseSync } from "node:sqlite";
import {
  type Engine,
  openSource,
  type SessionLimits,
  type Source,
  type SourceConnection,
} from "../../src/source/mod.ts";
import { temporaryFolder } from "./files.ts";
import { listMssqlServers } from "./mssql.ts";
import { openMysqlServers, withMysqlDatabase } from "./mariadb.ts";
import { type Major, openPostgresServer, withDatabase } from "./postgres.ts";

/** One value of one type: how it is declared and written there, and the text it must have in a CSV file. */
export interface ValueCase {
  readonly name: string;
  readonly declared: string;
  readonly literal: string;
  /** The logical type, as `formatType` spells it. */
  readonly type: string;
  readonly text: string;
}

/** A database of a test's own, gone when the test ends. */
export interface ContractDatabase {
  open(limits?: Partial<SessionLimits>): Promise<Source>;
  /** Runs statements separated by `;` on another connection. */
  run(sql: string): Promise<unknown>;
}

export interface SourceFixture {
  readonly name: string;
  readonly engine: Engine;
  /** Null where there is no such server. */
  readonly withDatabase: ((body: (db: ContractDatabase) => Promise<void>) => Promise<void>) | null;
  readonly integer: string;
  readonly text: string;
  readonly binary: string;
  /** `count` bytes of `x` as text, and as bytes. */
  readonly longText: (count: number) => string;
  readonly longBinary: (count: number) => string;
  /** A query that runs for many seconds before or while it answers. */
  readonly slow: string;
  readonly values: readonly ValueCase[];
}

const LIMITS: SessionLimits = { statementTimeoutS: 60, lockTimeoutS: 5, connectTimeoutMs: 30_000 };

const opener = (connection: SourceConnection) => (limits: Partial<SessionLimits> = {}) =>
  openSource(connection, { ...LIMITS, ...limits });

const v = (name: string, declared: string, literal: string, type: string, text: string): ValueCase => (
  { name, declared, literal, type, text }
);

/** All engines; one without a server has `withDatabase: null`. */
export async function listSourceFixtures(): Promise<SourceFixture[]> {
  return [sqlite(), await postgres(12), await postgres(18), ...await mysql(), ...mssql()];
}

function sqlite(): SourceFixture {
  return {
    name: "sqlite",
    engine: "sqlite",
    async withDatabase(body) {
      await using folder = await temporaryFolder();
      const path = `${folder.path}/contract.db`;
      using db = new DatabaseSync(path);
      db.exec("PRAGMA journal_mode = wal");
      const run = (sql: string) => {
        db.exec(sql);
        return Promise.resolve();
      };
      await body({ open: opener({ engine: "sqlite", path }), run });
    },
    integer: "INTEGER",
    text: "TEXT",
    binary: "BLOB",
    longText: (count) => `printf('%.${count}c', 'x')`,
    longBinary: (count) => `CAST(printf('%.${count}c', 'x') AS BLOB)`,
    slow: "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s) SELECT i FROM s",
    values: [
      v("a_bool", "BOOLEAN", "1", "bool", "true"),
      v("a_bigint", "INTEGER", "9223372036854775807", "int64", "9223372036854775807"),
      v("a_low_bigint", "INTEGER", "-9223372036854775808", "int64", "-9223372036854775808"),
      v("a_double", "REAL", "1.7976931348623157e308", "float64", "1.7976931348623157e308"),
      v("a_fraction", "REAL", "0.1", "float64", "0.1"),
      v("a_decimal", "DECIMAL(20,4)", "-1234567890.1234", "decimal(20,4)", "-1234567890.1234"),
      v("a_date", "DATE", "'2024-02-29'", "date", "2024-02-29"),
      v("a_time", "TIME", "'23:59:59.999999'", "time_us", "23:59:59.999999"),
      v("a_timestamp", "DATETIME", "'2024-02-29 12:30:00.000001'", "timestamp_us", "2024-02-29T12:30:00.000001"),
      v("an_instant", "TIMESTAMPTZ", "'2024-02-29 12:30:00+02:00'", "timestamp_us_utc", "2024-02-29T10:30:00.000000Z"),
      v("a_text", "TEXT", "'grüße, \"漢字\" 🦀'", "string", 'grüße, "漢字" 🦀'),
      v("an_empty_text", "TEXT", "''", "string", ""),
      v("a_text_with_nul", "TEXT", "'a' || char(0) || 'b'", "string", "a\0b"),
      v("a_binary", "BLOB", "x'00ff10'", "binary", "00ff10"),
      v("a_json", "JSON", `'{"a": [1, null]}'`, "json", '{"a": [1, null]}'),
      v(
        "a_uuid",
        "UUID",
        "'123E4567-e89b-12d3-a456-426614174000'",
        "uuid",
        "123e4567-e89b-12d3-a456-426614174000",
      ),
    ],
  };
}

async function postgres(major: Major): Promise<SourceFixture> {
  const server = await openPostgresServer(major);
  return {
    name: `postgres ${major}`,
    engine: "postgres",
    withDatabase: server === null
      ? null
      : (body) =>
        withDatabase(server, (db) => body({ open: opener({ engine: "postgres", ...db.connection }), run: db.run })),
    integer: "bigint",
    text: "text",
    binary: "bytea",
    longText: (count) => `repeat('x', ${count})`,
    longBinary: (count) => `convert_to(repeat('x', ${count}), 'UTF8')`,
    slow: "SELECT pg_sleep(20)::text AS x",
    values: [
      v("a_bool", "boolean", "true", "bool", "true"),
      v("a_bigint", "bigint", "9223372036854775807", "int64", "9223372036854775807"),
      v("a_low_bigint", "bigint", "-9223372036854775808", "int64", "-9223372036854775808"),
      v("an_int", "integer", "-2147483648", "int32", "-2147483648"),
      v("a_small", "smallint", "32767", "int16", "32767"),
      v("a_double", "double precision", "1.7976931348623157e308", "float64", "1.7976931348623157e308"),
      v("a_fraction", "double precision", "0.1", "float64", "0.1"),
      v("a_decimal", "numeric(20,4)", "-1234567890123456.1234", "decimal(20,4)", "-1234567890123456.1234"),
      v("a_date", "date", "'2024-02-29'", "date", "2024-02-29"),
      v("a_time", "time", "'23:59:59.999999'", "time_us", "23:59:59.999999"),
      v("a_timestamp", "timestamp", "'2024-02-29 12:30:00.000001'", "timestamp_us", "2024-02-29T12:30:00.000001"),
      v("an_instant", "timestamptz", "'2024-02-29 12:30:00+02'", "timestamp_us_utc", "2024-02-29T10:30:00.000000Z"),
      v("a_text", "text", "'grüße, \"漢字\" 🦀'", "string", 'grüße, "漢字" 🦀'),
      v("an_empty_text", "text", "''", "string", ""),
      v("a_binary", "bytea", "'\\x00ff10'", "binary", "00ff10"),
      v("a_json", "json", `'{"a": [1, null]}'`, "json", '{"a": [1, null]}'),
      v(
        "a_uuid",
        "uuid",
        "'123E4567-e89b-12d3-a456-426614174000'",
        "uuid",
        "123e4567-e89b-12d3-a456-426614174000",
      ),
    ],
  };
}

async function mysql(): Promise<SourceFixture[]> {
  const servers = await openMysqlServers();
  const fixture = (name: string, withDatabase: SourceFixture["withDatabase"]): SourceFixture => ({
    name,
    engine: "mysql",
    withDatabase,
    integer: "bigint",
    text: "longtext",
    binary: "longblob",
    longText: (count) => `REPEAT('x', ${count})`,
    longBinary: (count) => `CAST(REPEAT('x', ${count}) AS BINARY)`,
    slow: "SELECT SLEEP(20) AS x",
    values: [
      v("a_bigint", "bigint", "9223372036854775807", "int64", "9223372036854775807"),
      v("a_low_bigint", "bigint", "-9223372036854775808", "int64", "-9223372036854775808"),
      v("an_unsigned", "bigint unsigned", "18446744073709551615", "uint64", "18446744073709551615"),
      v("an_int", "int", "-2147483648", "int32", "-2147483648"),
      v("a_double", "double", "1.7976931348623157e308", "float64", "1.7976931348623157e308"),
      v("a_fraction", "double", "0.1", "float64", "0.1"),
      v("a_decimal", "decimal(20,4)", "-1234567890123456.1234", "decimal(20,4)", "-1234567890123456.1234"),
      v("a_date", "date", "'2024-02-29'", "date", "2024-02-29"),
      v("a_time", "time(6)", "'23:59:59.999999'", "time_us", "23:59:59.999999"),
      v("a_timestamp", "datetime(6)", "'2024-02-29 12:30:00.000001'", "timestamp_us", "2024-02-29T12:30:00.000001"),
      v("a_text", "varchar(100)", "'grüße, \"漢字\" 🦀'", "string", 'grüße, "漢字" 🦀'),
      v("an_empty_text", "text", "''", "string", ""),
      v("a_text_with_nul", "text", "'a\\0b'", "string", "a\0b"),
      v("a_binary", "varbinary(10)", "x'00ff10'", "binary", "00ff10"),
    ],
  });
  if (servers.length === 0) return [fixture("mysql", null)];
  return servers.map((server) =>
    fixture(server.name, (body) =>
      withMysqlDatabase(
        server,
        (db) => body({ open: opener({ engine: "mysql", ...db.connection }), run: db.run }),
      ))
  );
}

/** The fake always, a real server where there is one. */
function mssql(): SourceFixture[] {
  return listMssqlServers().map((server) => ({
    name: `mssql ${server.name}`,
    engine: "mssql",
    async withDatabase(body) {
      await using db = await server.openDatabase();
      await body({ open: opener({ engine: "mssql", ...db.connection }), run: db.run });
    },
    integer: "bigint",
    text: "nvarchar(max)",
    binary: "varbinary(max)",
    longText: (count) => `REPLICATE(CONVERT(nvarchar(max), N'x'), ${count})`,
    longBinary: (count) => `CONVERT(varbinary(max), REPLICATE(CONVERT(varchar(max), 'x'), ${count}))`,
    slow: "WAITFOR DELAY '00:00:20'; SELECT N'x' AS x",
    values: [
      v("a_bool", "bit", "1", "bool", "true"),
      v("a_bigint", "bigint", "9223372036854775807", "int64", "9223372036854775807"),
      v("a_low_bigint", "bigint", "-9223372036854775808", "int64", "-9223372036854775808"),
      v("an_int", "int", "-2147483648", "int32", "-2147483648"),
      v("a_small", "smallint", "-32768", "int16", "-32768"),
      v("a_tiny", "tinyint", "255", "int16", "255"),
      v("a_double", "float", "1.7976931348623157e308", "float64", "1.7976931348623157e308"),
      v("a_fraction", "float", "0.1", "float64", "0.1"),
      v("a_real", "real", "0.1", "float32", "0.1"),
      v(
        "a_decimal",
        "decimal(38,10)",
        "CAST('-1234567890123456789012345678.0123456789' AS decimal(38,10))",
        "decimal(38,10)",
        "-1234567890123456789012345678.0123456789",
      ),
      v(
        "a_money",
        "money",
        "CAST('-922337203685477.5808' AS money)",
        "decimal(19,4)",
        "-922337203685477.5808",
      ),
      v("a_date", "date", "CAST('2024-02-29' AS date)", "date", "2024-02-29"),
      v("a_first_date", "date", "CAST('0001-01-01' AS date)", "date", "0001-01-01"),
      v("a_time", "time(6)", "CAST('23:59:59.999999' AS time(6))", "time_us", "23:59:59.999999"),
      v("a_fine_time", "time(7)", "CAST('23:59:59.9999999' AS time(7))", "time_ns", "23:59:59.999999900"),
      v(
        "a_datetime",
        "datetime",
        "CAST('2024-02-29T12:30:00.003' AS datetime)",
        "timestamp_us",
        "2024-02-29T12:30:00.003000",
      ),
      v(
        "a_timestamp",
        "datetime2(6)",
        "CAST('9999-12-31T23:59:59.999999' AS datetime2(6))",
        "timestamp_us",
        "9999-12-31T23:59:59.999999",
      ),
      v(
        "a_fine_timestamp",
        "datetime2(7)",
        "CAST('2024-02-29T12:30:00.1234567' AS datetime2(7))",
        "timestamp_ns",
        "2024-02-29T12:30:00.123456700",
      ),
      v(
        "an_instant",
        "datetimeoffset(3)",
        "CAST('2024-02-29T12:30:00.001+02:00' AS datetimeoffset(3))",
        "timestamp_us_utc",
        "2024-02-29T10:30:00.001000Z",
      ),
      v("a_text", "nvarchar(100)", "N'grüße, \"漢字\" 🦀'", "string", 'grüße, "漢字" 🦀'),
      v("a_narrow_text", "varchar(100)", "N'grüße'", "string", "grüße"),
      v("an_empty_text", "nvarchar(max)", "N''", "string", ""),
      v("a_binary", "varbinary(10)", "0x00ff10", "binary", "00ff10"),
      v("an_empty_binary", "varbinary(max)", "0x", "binary", ""),
      v("an_xml", "xml", "N'<a>ž</a>'", "string", "<a>ž</a>"),
      v(
        "a_uuid",
        "uniqueidentifier",
        "CAST('123E4567-E89B-12D3-A456-426614174000' AS uniqueidentifier)",
        "uuid",
        "123e4567-e89b-12d3-a456-426614174000",
      ),
    ],
  }));
}
