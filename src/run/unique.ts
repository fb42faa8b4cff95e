// Whether values repeat across the chunks of a run. Within a chunk the core has compared them while it wrote; here it is proven, or the
// columns alone are read once more in the run's own picture. Nothing is stored.

import type { SliceObservations } from "../core/mod.ts";
import { buildReadShape, type ObserveRequest, readOptions, type Slice } from "../plan/mod.ts";
import { buildSelect, type SourceConnection } from "../source/mod.ts";
import type { Run } from "./run.ts";
import { readOnce } from "./reread.ts";

/** What is known about one column across all chunks. */
export type Across =
  /** One value can only be in one chunk. */
  | { readonly kind: "proven" }
  | {
    readonly kind: "compared";
    readonly duplicates: number;
    /** False when more distinct values came than may be held. */
    readonly complete: boolean;
    /** The rows compared are those that were exported. */
    readonly samePicture: boolean;
  };

/** One answer a column of `quality.unique_columns`; none when the rows are all in one chunk. */
export async function compareAcross(
  run: Run,
  connection: SourceConnection,
  observations: readonly (SliceObservations | null)[],
): Promise<ReadonlyMap<string, Across>> {
  const { task, picture, resumed } = run;
  const answers = new Map<string, Across>();
  if (observations.filter((slice) => (slice?.rows ?? 0) > 0).length < 2) return answers;
  const open: string[] = [];
  for (const column of task.export.quality.uniqueColumns) {
    const isProven = isCutBy(run.slices, column) ||
      (picture.consistency === "snapshot" && task.uniqueKeys?.includes(column));
    if (isProven) answers.set(column, { kind: "proven" });
    else open.push(column);
  }
  if (open.length === 0) return answers;
  const { observations: seen } = await readOnce(run.context, {
    task,
    source: picture.source,
    connection,
    token: picture.token,
  }, toRequest(run, open));
  const samePicture = !resumed && picture.token !== null && picture.consistency === "snapshot";
  for (const { column, duplicates, complete } of seen.unique) {
    answers.set(column, { kind: "compared", duplicates, complete, samePicture });
  }
  return answers;
}

/** Chunks that are ranges of this column alone: equal values are in one chunk, whenever each was read. */
function isCutBy(slices: readonly Slice[], column: string): boolean {
  return slices.every(({ bounds }) => {
    if (bounds?.kind === "null") return true;
    const [key, ...others] = bounds?.kind === "range" ? bounds.columns : [];
    return key?.names.length === 1 && key.names[0] === column && others.length === 0;
  });
}

function toRequest({ task, context }: Run, names: readonly string[]): ObserveRequest {
  const wanted = new Set(names);
  const { uniqueMaxEntries } = task.export.quality;
  const shape = buildReadShape(task, context.config.source.zeroDates);
  return {
    index: 0,
    sql: buildSelect(task.source, {
      query: task.query,
      columns: task.columns.filter(({ name }) => wanted.has(name)),
      hidden: [],
      where: task.filters,
    }),
    columns: shape.columns.filter(({ name }) => wanted.has(name)),
    encoder: {
      format: { kind: "none" },
      unique: names.map((column) => ({
        column,
        ...(uniqueMaxEntries === null ? {} : { maxEntries: uniqueMaxEntries }),
      })),
      createdBy: task.encoder.createdBy,
    },
    read: readOptions(task),
  };
}
