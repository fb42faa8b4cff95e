// What a warehouse makes of each type: the column it should have, the one it makes by itself from Parquet, and the cast between them.
// Advice only; nothing here changes a file.

import type { LogicalType } from "./logical.ts";

export type Target = "bigquery" | "snowflake" | "duckdb" | "clickhouse";

export const TARGETS: readonly Target[] = ["bigquery", "snowflake", "duckdb", "clickhouse"];

const NAMES: ReadonlyMap<string, Target> = new Map([
  ["bigquery", "bigquery"],
  ["bq", "bigquery"],
  ["snowflake", "snowflake"],
  ["sf", "snowflake"],
  ["duckdb", "duckdb"],
  ["duck", "duckdb"],
  ["clickhouse", "clickhouse"],
  ["ch", "clickhouse"],
]);

/** The warehouse of a name or its short form, in any case. */
export function parseTarget(text: string): Target | null {
  return NAMES.get(text.trim().toLowerCase()) ?? null;
}

export interface TargetColumn {
  /** The type the column should have. */
  readonly native: string;
  /** The type it gets when the file is loaded without a schema. */
  readonly autoload: string;
  /** `warn`: a cast or a setting is needed. `fail`: the warehouse cannot hold the values. */
  readonly status: "ok" | "warn" | "fail";
  readonly note: string | null;
  /** The expression that makes `native` of `autoload`, with `{col}` for the column. */
  readonly cast: string | null;
}

export function describeTarget(target: Target, type: LogicalType): TargetColumn {
  switch (target) {
    case "bigquery":
      return describeBigquery(type);
    case "snowflake":
      return describeSnowflake(type);
    case "duckdb":
      return describeDuckdb(type);
    case "clickhouse":
      return describeClickhouse(type);
    default: {
      const never: never = target;
      return never;
    }
  }
}

function ok(native: string): TargetColumn {
  return { native, autoload: native, status: "ok", note: null, cast: null };
}

function warn(native: string, autoload: string, note: string, cast: string | null = null): TargetColumn {
  return { native, autoload, status: "warn", note, cast };
}

function fail(native: string, note: string): TargetColumn {
  return { native, autoload: native, status: "fail", note, cast: null };
}

function describeBigquery(type: LogicalType): TargetColumn {
  switch (type.kind) {
    case "bool":
      return ok("BOOL");
    case "int16":
    case "int32":
    case "int64":
      return ok("INT64");
    case "uint64":
      return warn("NUMERIC", "INT64", "Values above 2⁶³ − 1 do not load; declare the column as decimal(20,0)");
    case "float32":
    case "float64":
      return ok("FLOAT64");
    case "decimal":
      return bigqueryDecimal(type.precision, type.scale);
    case "date":
      return ok("DATE");
    case "time":
      return type.unit === "us" ? ok("TIME") : warn("TIME", "INT64", "Nanoseconds load as a number");
    case "timestamp":
      if (type.unit === "ns") return warn(type.utc ? "TIMESTAMP" : "DATETIME", "INT64", "Nanoseconds load as a number");
      return type.utc
        ? ok("TIMESTAMP")
        : warn("DATETIME", "TIMESTAMP", "A wall clock loads as if it were UTC", "DATETIME({col})");
    case "string":
    case "enum":
    case "interval":
      return ok("STRING");
    case "binary":
      return ok("BYTES");
    case "json":
      return warn("JSON", "BYTES", "JSON loads as bytes", "PARSE_JSON(SAFE_CONVERT_BYTES_TO_STRING({col}))");
    case "uuid":
      return warn("STRING", "BYTES", "A UUID loads as 16 bytes", "TO_HEX({col})");
    case "list": {
      const item = describeBigquery(type.item);
      return warn(
        `ARRAY<${item.native}>`,
        `ARRAY<STRUCT<item ${item.autoload}>>`,
        "A list loads as records with one field, unless the load enables list inference",
        "ARRAY(SELECT e.item FROM UNNEST({col}) AS e)",
      );
    }
    default: {
      const never: never = type;
      return never;
    }
  }
}

function bigqueryDecimal(precision: number, scale: number): TargetColumn {
  if (scale <= 9 && precision - scale <= 29) return ok("NUMERIC");
  if (scale <= 38 && precision - scale <= 38) return ok("BIGNUMERIC");
  return fail(
    "BIGNUMERIC",
    `decimal(${precision},${scale}) has more digits than BIGNUMERIC; declare the column as string`,
  );
}

function describeSnowflake(type: LogicalType): TargetColumn {
  switch (type.kind) {
    case "bool":
      return ok("BOOLEAN");
    case "int16":
    case "int32":
    case "int64":
      return ok("NUMBER(38,0)");
    case "uint64":
      return warn(
        "NUMBER(20,0)",
        "NUMBER(38,0)",
        "Values above 2⁶³ − 1 may load as negative ones; declare the column as decimal(20,0)",
      );
    case "float32":
    case "float64":
      return ok("FLOAT");
    case "decimal":
      return type.precision <= 38
        ? ok(`NUMBER(${type.precision},${type.scale})`)
        : fail("NUMBER", "NUMBER has at most 38 digits; declare the column as string");
    case "date":
      return ok("DATE");
    case "time":
      return warn("TIME", "NUMBER", "A time loads as a number", timeFromParts(type.unit));
    case "timestamp": {
      const digits = type.unit === "us" ? 6 : 9;
      return type.utc
        ? warn("TIMESTAMP_TZ", "TIMESTAMP_NTZ", "Load with the session in UTC", "{col}::TIMESTAMP_TZ")
        : warn("TIMESTAMP_NTZ", "NUMBER", "A wall clock may load as a number", `TO_TIMESTAMP_NTZ({col}, ${digits})`);
    }
    case "string":
    case "enum":
    case "interval":
      return ok("TEXT");
    case "binary":
      return warn("BINARY", "BINARY", "Load with BINARY_AS_TEXT = FALSE");
    case "json":
      return warn("VARIANT", "TEXT", "JSON loads as text", "PARSE_JSON({col})");
    case "uuid":
      return warn(
        "TEXT",
        "BINARY",
        "A UUID loads as 16 bytes",
        "REGEXP_REPLACE(LOWER(HEX_ENCODE({col})), '(.{8})(.{4})(.{4})(.{4})(.{12})', '\\\\1-\\\\2-\\\\3-\\\\4-\\\\5')",
      );
    case "list":
      return warn("ARRAY", "VARIANT", "A list loads as a VARIANT", "{col}::ARRAY");
    default: {
      const never: never = type;
      return never;
    }
  }
}

function timeFromParts(unit: "us" | "ns"): string {
  const perSecond = unit === "us" ? "1000000" : "1000000000";
  const toNs = unit === "us" ? " * 1000" : "";
  return `TIME_FROM_PARTS(0, 0, FLOOR({col} / ${perSecond}), MOD({col}, ${perSecond})${toNs})`;
}

function describeDuckdb(type: LogicalType): TargetColumn {
  switch (type.kind) {
    case "bool":
      return ok("BOOLEAN");
    case "int16":
      return ok("SMALLINT");
    case "int32":
      return ok("INTEGER");
    case "int64":
      return ok("BIGINT");
    case "uint64":
      return ok("UBIGINT");
    case "float32":
      return ok("FLOAT");
    case "float64":
      return ok("DOUBLE");
    case "decimal":
      return type.precision <= 38
        ? ok(`DECIMAL(${type.precision},${type.scale})`)
        : warn("VARCHAR", "DOUBLE", "DECIMAL has at most 38 digits and more are rounded; declare the column as string");
    case "date":
      return ok("DATE");
    case "time":
      return type.unit === "us"
        ? ok("TIME")
        : warn("TIME_NS", "TIME", "Older versions read nanoseconds as microseconds");
    case "timestamp":
      if (type.utc) {
        return type.unit === "us"
          ? ok("TIMESTAMPTZ")
          : warn("TIMESTAMPTZ", "TIMESTAMPTZ", "Digits below a microsecond are lost");
      }
      return ok(type.unit === "us" ? "TIMESTAMP" : "TIMESTAMP_NS");
    case "string":
    case "enum":
      return ok("VARCHAR");
    case "interval":
      return warn("INTERVAL", "VARCHAR", "An interval is written as ISO 8601 text");
    case "binary":
      return ok("BLOB");
    case "json":
      return ok("JSON");
    case "uuid":
      return ok("UUID");
    case "list": {
      const item = describeDuckdb(type.item);
      return { ...item, native: `${item.native}[]`, autoload: `${item.autoload}[]`, cast: null };
    }
    default: {
      const never: never = type;
      return never;
    }
  }
}

function describeClickhouse(type: LogicalType): TargetColumn {
  switch (type.kind) {
    case "bool":
      return ok("Bool");
    case "int16":
      return ok("Int16");
    case "int32":
      return ok("Int32");
    case "int64":
      return ok("Int64");
    case "uint64":
      return ok("UInt64");
    case "float32":
      return ok("Float32");
    case "float64":
      return ok("Float64");
    case "decimal":
      return ok(`Decimal(${type.precision}, ${type.scale})`);
    case "date":
      return ok("Date32");
    case "time":
      return warn(
        "Int64",
        "Int64",
        "A time loads as a number of " + (type.unit === "us" ? "microseconds" : "nanoseconds"),
      );
    case "timestamp":
      return ok(`DateTime64(${type.unit === "us" ? 6 : 9}${type.utc ? ", 'UTC'" : ""})`);
    case "string":
    case "enum":
    case "interval":
    case "binary":
      return ok("String");
    case "json":
      return warn("JSON", "String", "JSON loads as text", "{col}::JSON");
    case "uuid":
      return warn("UUID", "FixedString(16)", "A UUID loads as 16 bytes", "toUUID(UUIDNumToString({col}))");
    case "list": {
      const item = describeClickhouse(type.item);
      return {
        ...item,
        native: `Array(Nullable(${item.native}))`,
        autoload: `Array(Nullable(${item.autoload}))`,
        cast: null,
      };
    }
    default: {
      const never: never = type;
      return never;
    }
  }
}
