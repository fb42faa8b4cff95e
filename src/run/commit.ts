// The end of a run, in the one order that always leaves a reader one complete picture:
// old marker away, manifest, new marker and the run copy, the replaced parts away; the caller then commits the state.

import type { PartObservations } from "../core/mod.ts";
import { type Destination, listRunManifests, putManifest, readOwnManifest, removeAll } from "../destination/mod.ts";
import {
  CHECKSUM_RENDER,
  type Manifest,
  type ManifestPart,
  type ManifestText,
  ManifestWriter,
  type PartSums,
  ROW_HASH_RENDER,
  runManifestKey,
  schemaFingerprint,
  sumChecksums,
} from "../manifest.ts";
import type { Task } from "../plan/mod.ts";
import type { Consistency } from "../source/mod.ts";
import type { StoredPart } from "../state/mod.ts";
import { formatType } from "../types/mod.ts";

export interface ManifestInput {
  readonly task: Task;
  readonly engine: string;
  readonly runId: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly status: Manifest["status"];
  readonly consistency: Consistency;
  readonly destinationUri: string;
  readonly sourceRowCount: number | null;
  readonly verdicts?: Manifest["verdicts"] | null;
}

/** Slices and the parts of them. */
interface PartsOfSlices {
  readonly slices: readonly { readonly index: number; readonly id: string }[];
  readonly parts: readonly StoredPart[];
}

/** The manifest of a run, made from what was committed; parts in slice order. */
export async function buildManifest(input: ManifestInput, committed: PartsOfSlices): Promise<Manifest> {
  const parts = toManifestParts(committed, 0);
  const sums = {
    row_count: parts.reduce((sum, part) => sum + part.rows, 0),
    part_count: parts.length,
    column_checksums: sumChecksums(parts),
  };
  return { ...await toFrame(input, sums), parts };
}

/** The same as it is stored, from pages of parts in slice order. `frame` is the manifest without its parts. */
export async function writeManifest(
  input: ManifestInput,
  pages: AsyncIterable<PartsOfSlices>,
): Promise<{ frame: Manifest; text: ManifestText }> {
  const writer = new ManifestWriter();
  for await (const page of pages) writer.add(toManifestParts(page, writer.sums().part_count));
  const frame = await toFrame(input, writer.sums());
  return { frame, text: writer.finish(frame) };
}

function toManifestParts({ slices, parts }: PartsOfSlices, before: number): ManifestPart[] {
  const ids = new Map(slices.map((slice) => [slice.index, slice.id]));
  return parts.map((part, i) => toManifestPart(part, before + i + 1, ids.get(part.sliceIndex) ?? ""));
}

async function toFrame(input: ManifestInput, sums: PartSums): Promise<Manifest> {
  const { task } = input;
  const entry = task.export;
  const columns = task.columns.map((c) => ({
    name: c.name,
    type: c.type === null ? "" : formatType(c.type),
    native_type: c.nativeType,
  }));
  const table = entry.from.kind === "table" ? entry.from : null;
  return {
    manifest_version: 1,
    run_id: input.runId,
    export_name: task.name,
    ...(task.name === entry.name ? {} : { export_family: entry.name }),
    mode: "batch",
    started_at: input.startedAt,
    finished_at: input.finishedAt,
    status: input.status,
    source: {
      engine: input.engine,
      schema: table?.schema ?? null,
      table: table?.name ?? null,
      extraction: {
        strategy: task.strategyLabel,
        ...(task.window === null ? {} : {
          cursor_column: task.window.definition.column,
          cursor_low: task.window.low,
          cursor_high: task.window.high ?? task.window.low,
        }),
        ...(input.sourceRowCount === null ? {} : { source_row_count: input.sourceRowCount }),
        consistency: input.consistency,
      },
    },
    destination: { kind: entry.destination.kind, uri: input.destinationUri },
    format: entry.format.kind,
    compression: entry.format.codec,
    ...(entry.format.csv === null ? {} : { csv: entry.format.csv }),
    schema_fingerprint: await schemaFingerprint(columns),
    columns,
    row_count: sums.row_count,
    part_count: sums.part_count,
    parts: [],
    column_checksums: sums.column_checksums,
    checksum_render: CHECKSUM_RENDER,
    ...rowHash(task),
    ...(input.verdicts === undefined || input.verdicts === null ? {} : { verdicts: input.verdicts }),
  };
}

function rowHash(task: Task): Pick<Manifest, "row_hash"> {
  const setting = task.export.meta.rowHash;
  if (setting === false) return {};
  const covered = setting === true ? task.columns.map((c) => c.name) : [...setting];
  return { row_hash: { column: "_rivet_row_hash", covered, render: ROW_HASH_RENDER } };
}

/** A part as the manifest tells of it. */
export function toManifestPart(part: StoredPart, partId: number, slice: string): ManifestPart {
  const seen: PartObservations = part.observations;
  return {
    part_id: partId,
    path: part.fileName,
    rows: seen.rows,
    size_bytes: seen.bytes,
    content_fingerprint: `xxh3:${seen.xxh3}`,
    content_md5: seen.md5,
    content_crc32c: seen.crc32c,
    status: "committed",
    slice,
    slice_index: part.sliceIndex,
    column_checksums: seen.columns.map(({ name, checksum, nulls }) => ({ name, checksum, nulls })),
  };
}

/** What is published: the manifest as it is stored, what it says beside its parts, and their names. */
export interface Publication {
  readonly frame: Manifest;
  readonly text: ManifestText;
  readonly paths: () => Promise<ReadonlySet<string>>;
}

/** Writes manifest and marker, and takes away what this run replaced. Running it again gives the same result. */
export async function publish(
  destination: Destination,
  publication: Publication,
  replaces: boolean,
  signal: AbortSignal,
): Promise<void> {
  // Earlier sets are only made under the lease of this export: what is found beside the writing is what there will be.
  const [written, replaced] = await Promise.allSettled([
    putManifest(destination, publication.text, signal),
    replaces ? findReplaced(destination, publication) : { manifests: [], parts: [] },
  ]);
  if (written.status === "rejected") throw written.reason;
  if (replaced.status === "rejected") throw replaced.reason;
  // Manifests go last: an interruption leaves what the next run needs to finish the removal.
  await removeAll(destination, replaced.value.parts);
  await removeAll(destination, replaced.value.manifests);
}

/** Keys of the earlier complete sets of an export: each is named by its own run manifest. */
async function findReplaced(
  destination: Destination,
  { frame, paths }: Publication,
): Promise<{ readonly manifests: readonly string[]; readonly parts: readonly string[] }> {
  const current = runManifestKey(frame.run_id);
  let ours: ReadonlySet<string> | null = null;
  const manifests: string[] = [];
  const parts = new Set<string>();
  for (const key of await listRunManifests(destination, `${frame.export_name}_`)) {
    if (key === current) continue;
    // A file that only looks like a manifest is nobody's set: it is left alone.
    const old = await readOwnManifest(destination, key);
    if (old === null || old.export_name !== frame.export_name || old.source.engine !== frame.source.engine) continue;
    ours ??= await paths();
    for (const { path } of old.parts) if (!ours.has(path)) parts.add(path);
    manifests.push(key);
  }
  return { manifests, parts: [...parts] };
}
