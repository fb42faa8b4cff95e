// How many bytes a row group may hold: the one place where `parquet:` settings become numbers.

import type { Export } from "../config/mod.ts";
import type { ParquetSpec } from "../core/mod.ts";

const MIB = 1 << 20;

/** Encoded bytes of a row group where the config says nothing: large enough to compress well, small enough to stay flat. */
export const ROW_GROUP_BYTES_DEFAULT = 8 * MIB;

/** The core's Parquet options for an export. Byte limits count encoded bytes in the writer's memory. */
export function parquetSpec(entry: Export): ParquetSpec {
  const { format } = entry;
  const settings = format.parquet;
  const codec = {
    kind: "parquet" as const,
    codec: format.codec,
    ...(format.level === null ? {} : { level: format.level }),
  };
  if (settings === null) return { ...codec, rowGroupBytes: ROW_GROUP_BYTES_DEFAULT };
  if (settings.strategy === "fixed_rows") {
    // Rows decide; the byte limit only keeps a mistaken number from taking all memory.
    return { ...codec, rowGroupBytes: 256 * MIB, rowGroupRows: Math.max(1, settings.rows ?? 1_048_576) };
  }
  const target = Math.min(settings.targetMb, settings.maxMb ?? settings.targetMb);
  return { ...codec, rowGroupBytes: Math.max(1, Math.round(target * MIB)) };
}
