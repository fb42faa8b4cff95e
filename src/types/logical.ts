// The logical types a column can have between source and file. The core knows them by the text of `formatType`.

/** A column's type as rivet sees it; every engine maps onto these and every format writes these. */
export type LogicalType =
  | { readonly kind: "bool" }
  | { readonly kind: "int16" }
  | { readonly kind: "int32" }
  | { readonly kind: "int64" }
  | { readonly kind: "uint64" }
  | { readonly kind: "float32" }
  | { readonly kind: "float64" }
  /** Exact decimal: precision 1–76, 0 ≤ scale ≤ precision. */
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "date" }
  | { readonly kind: "time"; readonly unit: TimeUnit }
  /** `utc: false` is a wall clock without a zone. */
  | { readonly kind: "timestamp"; readonly unit: TimeUnit; readonly utc: boolean }
  | { readonly kind: "string" }
  | { readonly kind: "binary" }
  | { readonly kind: "json" }
  | { readonly kind: "uuid" }
  | { readonly kind: "enum" }
  /** ISO 8601 duration as text. */
  | { readonly kind: "interval" }
  | { readonly kind: "list"; readonly item: LogicalType };

export type TimeUnit = "us" | "ns";

/** How faithfully a mapping keeps a value; only `lossy` and `unsupported` are unsafe. */
export type Fidelity = "exact" | "compatible" | "logical_string" | "lossy" | "unsupported";

/** The core's spelling: `int64`, `decimal(10,2)`, `timestamp_us_utc`, `list<string>`. */
export function formatType(type: LogicalType): string {
  switch (type.kind) {
    case "decimal":
      return `decimal(${type.precision},${type.scale})`;
    case "time":
      return `time_${type.unit}`;
    case "timestamp":
      return `timestamp_${type.unit}${type.utc ? "_utc" : ""}`;
    case "list":
      return `list<${formatType(type.item)}>`;
    default:
      return type.kind;
  }
}
