// The names that reports use for logical types: rivet's short ones and Arrow's. Pure.

import type { LogicalType, TimeUnit } from "./logical.ts";

/** `int8`, `decimal(10,2)`, `timestamp_tz`, `list<text>`; null is a type that nothing fits. */
export function formatLabel(type: LogicalType | null, nativeType: string): string {
  if (type === null) return `unsupported(${nativeType})`;
  switch (type.kind) {
    case "int16":
      return "int2";
    case "int32":
      return "int4";
    case "int64":
      return "int8";
    case "uint64":
      return "uint8";
    case "float32":
      return "float4";
    case "float64":
      return "float8";
    case "decimal":
      return `decimal(${type.precision},${type.scale})`;
    case "time":
      return type.unit === "us" ? "time" : "time_ns";
    case "timestamp":
      return `timestamp${type.utc ? "_tz" : ""}${type.unit === "us" ? "" : "_ns"}`;
    case "string":
      return "text";
    case "list":
      return `list<${formatLabel(type.item, nativeType)}>`;
    default:
      return type.kind;
  }
}

/** The Arrow type of the column in a Parquet file: `Int64`, `Decimal128(10, 2)`, `Timestamp(Microsecond, Some("UTC"))`. */
export function formatArrow(type: LogicalType | null): string {
  if (type === null) return "none";
  switch (type.kind) {
    case "bool":
      return "Boolean";
    case "int16":
      return "Int16";
    case "int32":
      return "Int32";
    case "int64":
      return "Int64";
    case "uint64":
      return "UInt64";
    case "float32":
      return "Float32";
    case "float64":
      return "Float64";
    case "decimal":
      return `Decimal${type.precision <= 38 ? 128 : 256}(${type.precision}, ${type.scale})`;
    case "date":
      return "Date32";
    case "time":
      return `Time64(${unitName(type.unit)})`;
    case "timestamp":
      return `Timestamp(${unitName(type.unit)}, ${type.utc ? 'Some("UTC")' : "None"})`;
    case "binary":
      return "Binary";
    case "uuid":
      return "FixedSizeBinary(16)";
    case "string":
    case "json":
    case "enum":
    case "interval":
      return "Utf8";
    case "list":
      return `List(${formatArrow(type.item)})`;
    default: {
      const never: never = type;
      return never;
    }
  }
}

function unitName(unit: TimeUnit): string {
  return unit === "us" ? "Microsecond" : "Nanosecond";
}
