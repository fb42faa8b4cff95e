// Parquet files read by programs that are not rivet, every value as canonical text, so that values can be compared without a type system:
// bool `true`, numbers as JavaScript prints them, decimals with their scale, dates and times in ISO form with six digits, bytes as hex.

import { Buffer } from "node:buffer";
import { DuckDBInstance } from "@duckdb/node-api";
import { type FileMetaData, parquetMetadata, parquetRead, type SchemaElement } from "hyparquet";
import { compressors } from "hyparquet-compressors";

export type Cell = string | null;

/** hyparquet; decimals and times are taken as the integers that the file holds. */
export async function readWithHyparquet(bytes: Uint8Array): Promise<Cell[][]> {
  const file = bytes.slice().buffer;
  const metadata = parquetMetadata(file);
  const fields = metadata.schema.slice(1);
  const raw: FileMetaData = { ...metadata, schema: metadata.schema.map(withoutDecimal) };
  const rows: Cell[][] = [];
  await parquetRead({
    file,
    metadata: raw,
    compressors,
    utf8: false,
    rowFormat: "array",
    parsers: {
      timestampFromMilliseconds: (v: unknown) => v,
      timestampFromMicroseconds: (v: unknown) => v,
      timestampFromNanoseconds: (v: unknown) => v,
      dateFromDays: (v: unknown) => v,
      jsonFromBytes: (v: Uint8Array) => v && new TextDecoder().decode(v),
    } as never,
    onComplete: (found: unknown[][]) => {
      for (const row of found) rows.push(row.map((value, i) => toCanonical(value, fields[i]!)));
    },
  });
  return rows;
}

function withoutDecimal(element: SchemaElement): SchemaElement {
  if (element.converted_type !== "DECIMAL" && element.logical_type?.type !== "DECIMAL") return element;
  const { converted_type: _converted, logical_type: _logical, ...rest } = element;
  return rest;
}

function toCanonical(value: unknown, field: SchemaElement): Cell {
  if (value === null || value === undefined) return null;
  const logical = field.logical_type;
  if (field.converted_type === "DECIMAL" || logical?.type === "DECIMAL") {
    return decimalText(toUnscaled(value), field.scale ?? 0);
  }
  if (field.converted_type === "DATE") return new Date(Number(value) * 86_400_000).toISOString().slice(0, 10);
  if (logical?.type === "TIME") return timeText(BigInt(value as bigint), logical.unit === "NANOS" ? 9 : 6);
  if (logical?.type === "TIMESTAMP") return timestampText(BigInt(value as bigint), logical.unit === "NANOS" ? 9 : 6);
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  return String(value);
}

function toUnscaled(value: unknown): bigint {
  if (!(value instanceof Uint8Array)) return BigInt(value as number | bigint);
  let unscaled = 0n;
  for (const byte of value) unscaled = (unscaled << 8n) | BigInt(byte);
  return BigInt.asIntN(value.length * 8, unscaled);
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return unscaled < 0n ? `-${text}` : text;
}

/** `digits`: 6 for microseconds, 9 for nanoseconds. */
function timeText(ticks: bigint, digits: 6 | 9): string {
  const second = 10n ** BigInt(digits);
  const seconds = ticks / second;
  const two = (n: bigint) => String(n).padStart(2, "0");
  return `${two(seconds / 3600n)}:${two(seconds / 60n % 60n)}:${two(seconds % 60n)}.${
    String(ticks % second).padStart(digits, "0")
  }`;
}

function timestampText(ticks: bigint, digits: 6 | 9): string {
  const second = 10n ** BigInt(digits);
  const fraction = ((ticks % second) + second) % second;
  const date = new Date(Number((ticks - fraction) / (second / 1000n))).toISOString();
  return `${date.slice(0, 19).replace("T", " ")}.${String(fraction).padStart(digits, "0")}`;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

/** DuckDB. Decimals of more than 38 digits are not read exactly by it and come as `?`. */
export async function readWithDuckdb(path: string): Promise<Cell[][]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    const from = `read_parquet('${path.replaceAll("'", "''")}')`;
    const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${from}`);
    const wide = await wideDecimals(path);
    const columns = described.getRows().map(([name, type]) => {
      const quoted = `"${String(name).replaceAll('"', '""')}"`;
      return wide.has(String(name))
        ? `CASE WHEN ${quoted} IS NULL THEN NULL ELSE '?' END`
        : duckText(quoted, String(type));
    });
    const result = await connection.runAndReadAll(`SELECT ${columns.join(", ")} FROM ${from}`);
    return result.getRows().map((row) => row.map(duckValue));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function wideDecimals(path: string): Promise<Set<string>> {
  const metadata = parquetMetadata((await Deno.readFile(path)).buffer as ArrayBuffer);
  return new Set(metadata.schema.filter((e) => (e.precision ?? 0) > 38).map((e) => e.name));
}

function duckText(name: string, type: string): string {
  switch (type) {
    case "FLOAT":
    case "DOUBLE":
      return `CAST(${name} AS DOUBLE)`;
    case "BLOB":
      return `lower(hex(${name}))`;
    case "TIMESTAMP":
    case "TIMESTAMP WITH TIME ZONE":
      return `strftime(${name}, '%Y-%m-%d %H:%M:%S.%f')`;
    case "TIMESTAMP_NS":
      return `strftime(${name}, '%Y-%m-%d %H:%M:%S.%n')`;
    case "TIME":
      return `strftime(DATE '2000-01-01' + ${name}, '%H:%M:%S.%f')`;
    default:
      // DuckDB leaves the zero before the point out where precision and scale are equal.
      if (type.startsWith("DECIMAL")) return `regexp_replace(CAST(${name} AS VARCHAR), '^(-?)\\.', '\\10.')`;
      return `CAST(${name} AS VARCHAR)`;
  }
}

function duckValue(value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  return String(value);
}
