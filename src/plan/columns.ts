// Whether the columns of an export can be written: each named once, each with a type, none in the way of ours. Pure.

import type { Export } from "../config/mod.ts";
import { RivetError } from "../errors.ts";
import type { Shape } from "../source/mod.ts";

/** The columns themselves; throws what is wrong with them. With `strict`, a type that loses something is wrong too. */
export function checkColumns(
  columns: Shape["columns"],
  entry: Export,
  where: string,
  strict: boolean,
): Shape["columns"] {
  if (columns.length === 0) {
    throw new RivetError("RIVET_CONFIG_QUERY_COLUMNS_INVALID", "The export has no columns", {
      where,
      cure: "Name at least one column in the query, or export another table",
    });
  }
  const seen = new Set<string>();
  for (const column of columns) {
    if (seen.has(column.name)) {
      throw new RivetError("RIVET_CONFIG_QUERY_COLUMNS_INVALID", `Two columns are named '${column.name}'`, {
        where,
        cure: "Give each column of the query its own name with AS",
      });
    }
    seen.add(column.name);
  }
  const bad = columns.filter((c) => c.type === null || (strict && c.fidelity === "lossy"));
  if (bad.length > 0) {
    throw new RivetError(
      "RIVET_TYPE_UNSAFE_MAPPING",
      `${bad.length} columns have no safe type: ${bad.map((c) => `'${c.name}' (${c.nativeType})`).join(", ")}`,
      {
        where,
        cure: `Declare how to read them, for example \`columns: {${bad[0]!.name}: string}\``,
      },
    );
  }
  for (
    const added of [
      entry.meta.exportedAt ? "_rivet_exported_at" : "",
      entry.meta.rowHash === false ? "" : "_rivet_row_hash",
    ]
  ) {
    const clash = added === "" ? undefined : columns.find((c) => c.name.toLowerCase() === added);
    if (clash !== undefined) {
      throw new RivetError("RIVET_CONFIG_META_COLUMN_COLLISION", `The source already has a column '${clash.name}'`, {
        where,
      });
    }
  }
  return columns;
}
