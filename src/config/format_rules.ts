// Formats, codecs, sizes and quality limits: what a file can be.

import type { Place } from "./place.ts";
import type { RawExport } from "./shape.ts";
import { parseSize } from "./units.ts";

const CSV_CODECS: readonly string[] = ["none", "gzip", "zstd"];
const LEVELS: Readonly<Record<string, readonly [number, number]>> = { zstd: [1, 22], gzip: [0, 9] };

export function checkFormat(entry: RawExport, place: Place): void {
  checkCsv(entry, place);
  checkLevel(entry, place);
  checkParquet(entry, place);
  checkQuality(entry, place);
  if (entry.max_file_size !== undefined && parseSize(entry.max_file_size) === null) {
    place.fail(
      "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
      "max_file_size",
      `\`max_file_size\` is no size: ${place.quote("max_file_size")}`,
      "Write bytes, or a number with KB, MB or GB, for example `512MB`",
    );
  }
}

function checkCsv(entry: RawExport, place: Place): void {
  const { csv, compression, compression_profile: profile } = entry;
  if (entry.format === "parquet") {
    if (csv !== undefined) place.warn("`csv` does nothing with `format: parquet`");
    return;
  }
  if (entry.parquet !== undefined) place.warn("`parquet` does nothing with `format: csv`");
  const cure = "Use `compression: gzip`, `zstd` or `none`";
  if (profile === undefined && compression !== undefined && !CSV_CODECS.includes(compression)) {
    place.fail(
      "RIVET_CONFIG_CSV_COMPRESSION_UNSUPPORTED",
      "compression",
      `CSV cannot be compressed with ${place.quote("compression")}`,
      cure,
    );
  }
  if (profile === "fast") {
    place.fail(
      "RIVET_CONFIG_CSV_COMPRESSION_UNSUPPORTED",
      "compression_profile",
      "`compression_profile: fast` is snappy, with which CSV cannot be compressed",
      cure,
    );
  }
  const nullText = csv?.null ?? "";
  if (/["\r\n]/.test(nullText) || nullText.includes(csv?.delimiter ?? ",")) {
    place.fail(
      "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
      "csv.null",
      "The text of NULL stands bare in its field and cannot hold the delimiter, a quote or a line end",
      "Choose another text, for example `NULL`",
    );
  }
  if (csv?.delimiter !== undefined && /["\r\n\0]/.test(csv.delimiter)) {
    place.fail(
      "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
      "csv.delimiter",
      "A quote or a line end cannot be the delimiter",
      "Use for example `;` or a tab",
    );
  }
}

function checkLevel(entry: RawExport, place: Place): void {
  const { compression_level: level, compression_profile: profile } = entry;
  if (profile !== undefined) {
    const overridden = (["compression", "compression_level"] as const).filter((key) => entry[key] !== undefined);
    if (overridden.length > 0) {
      place.warn(`\`compression_profile\` overrides ${overridden.map((key) => `\`${key}\``).join(" and ")}`);
    }
    return;
  }
  if (level === undefined) return;
  const codec = entry.compression ?? (entry.format === "csv" ? "none" : "zstd");
  const range = LEVELS[codec];
  if (range !== undefined && level >= range[0] && level <= range[1]) return;
  place.fail(
    "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
    "compression_level",
    range === undefined ? `'${codec}' has no levels` : `'${codec}' has no level ${place.quote("compression_level")}`,
    range === undefined
      ? "Remove `compression_level`, or use zstd or gzip"
      : `Choose a level from ${range[0]} to ${range[1]}`,
  );
}

function checkParquet({ parquet }: RawExport, place: Place): void {
  if (parquet?.row_group_strategy === "fixed_rows" && parquet.row_group_rows === undefined) {
    place.fail(
      "RIVET_CONFIG_MODE_SETTING_INVALID",
      "parquet.row_group_strategy",
      "`row_group_strategy: fixed_rows` needs `row_group_rows`",
      "Set `row_group_rows`",
    );
  }
  if (parquet?.row_group_rows !== undefined && parquet.row_group_strategy !== "fixed_rows") {
    place.warn("`row_group_rows` does nothing without `row_group_strategy: fixed_rows`");
  }
}

function checkQuality({ quality, meta_columns: meta }: RawExport, place: Place): void {
  const { row_count_min: min, row_count_max: max } = quality ?? {};
  if (min !== undefined && max !== undefined && min > max) {
    place.fail(
      "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
      "quality.row_count_min",
      "`row_count_min` is larger than `row_count_max`",
      "Correct one of them",
    );
  }
  const hash = meta?.row_hash;
  if (!Array.isArray(hash)) return;
  if (hash.length === 0 || new Set(hash).size < hash.length) {
    place.fail(
      "RIVET_CONFIG_ROW_HASH_INVALID",
      "meta_columns.row_hash",
      hash.length === 0 ? "`row_hash` is an empty list" : "`row_hash` names a column twice",
      "Name each column once, or write `row_hash: true`",
    );
  }
}
