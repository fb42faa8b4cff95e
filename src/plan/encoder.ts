// What the core is told of an export's files. Pure.

import type { Export } from "../config/mod.ts";
import { parquetSpec } from "./memory.ts";
import type { Task } from "./task.ts";

export function toEncoder(entry: Export, version: string): Task["encoder"] {
  const { format, tuning, quality } = entry;
  const csv = format.csv;
  return {
    format: format.kind === "parquet" ? parquetSpec(entry) : {
      kind: "csv",
      codec: format.codec === "gzip" || format.codec === "zstd" ? format.codec : "none",
      ...(format.level === null ? {} : { level: format.level }),
      ...(csv === null
        ? {}
        : { delimiter: csv.delimiter, header: csv.header, ...(csv.null === null ? {} : { null: csv.null }) }),
    },
    ...(entry.maxFileBytes === null ? {} : { maxFileBytes: entry.maxFileBytes }),
    ...(tuning.maxValueMb === 0 ? {} : { maxValueBytes: tuning.maxValueMb * 2 ** 20 }),
    ...(entry.meta.rowHash === false ? {} : { rowHash: entry.meta.rowHash === true ? [] : entry.meta.rowHash }),
    unique: quality.uniqueColumns.map((column) => ({
      column,
      ...(quality.uniqueMaxEntries === null ? {} : { maxEntries: quality.uniqueMaxEntries }),
    })),
    createdBy: `rivet ${version}`,
  };
}
