// What progress is bound to: an edited config must not continue what another one began.

import { createHash } from "node:crypto";
import { RivetError } from "../errors.ts";
import { commandLine, type CommandPlace, type Export } from "../config/mod.ts";
import { writtenDestination } from "../destination/mod.ts";
import type { KeyColumn, Query, Source, SourceColumn } from "../source/mod.ts";
import type { CursorDefinition, CursorState, StoredRun } from "../state/mod.ts";
import { formatType } from "../types/mod.ts";
import type { Slice } from "./task.ts";
import { cursorName, findCursor } from "./window.ts";

/** 16 hex digits that change when any setting of the record changes. */
export function fingerprint(record: Readonly<Record<string, string>>): string {
  const hash = createHash("sha256");
  for (const key of Object.keys(record).sort()) {
    hash.update(`${key.length}:${key}${record[key]!.length}:${record[key]}`);
  }
  return hash.digest("hex").slice(0, 16);
}

/** Everything that must not change between a crash and its resume. Text of a query enters as a digest: it may hold parameter values. */
export function buildDefinition(
  entry: Export,
  name: string,
  columns: readonly SourceColumn[],
  destinationWritten: string,
): Record<string, string> {
  const { format, chunked, incremental, timeWindow } = entry;
  return {
    export: name,
    mode: entry.mode,
    stream: streamOf(entry),
    query: entry.from.kind === "query" ? digest(entry.from.text) : "",
    columns: digest(
      columns.map((c) => `${c.name} ${c.type === null ? "" : formatType(c.type)} ${c.select}`).join("\n"),
    ),
    format: format.kind,
    compression: `${format.codec}/${format.level ?? "default"}`,
    layout: JSON.stringify([format.parquet, format.csv, entry.maxFileBytes, entry.meta]),
    destination: destinationWritten,
    chunks: chunked === null ? "" : JSON.stringify({ ...chunked, checkpoint: null, maxAttempts: null }),
    cursor: incremental === null ? "" : JSON.stringify(incremental),
    time_window: timeWindow === null ? "" : JSON.stringify(timeWindow),
    partition: entry.partition === null ? "" : JSON.stringify(entry.partition),
    unique: JSON.stringify([entry.quality.uniqueColumns, entry.quality.uniqueMaxEntries]),
    lanes: entry.mode === "full" && entry.parallel > 1 ? "several" : "",
  };
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** The relation an export reads, or its query from FROM on: column lists, case and layout may change without breaking a cursor. */
export function streamOf(entry: Export): string {
  if (entry.from.kind === "table") {
    return entry.from.schema === null ? entry.from.name : `${entry.from.schema}.${entry.from.name}`;
  }
  const plain = entry.from.template.split(/('(?:[^']|'')*'|"(?:[^"]|"")*")/)
    .map((piece, i) => i % 2 === 1 ? piece : piece.toLowerCase().replace(/\s+/g, " ")).join("").trim();
  const from = plain.search(/\bfrom\b/);
  return from === -1 ? plain : plain.slice(from);
}

export function buildCursorDefinition(entry: Export, cursor: KeyColumn, destinationWritten: string): CursorDefinition {
  return {
    column: cursorName(cursor),
    columnType: cursor.nativeType,
    mode: "incremental",
    stream: streamOf(entry),
    destination: destinationWritten,
    format: entry.format.kind,
  };
}

/** What the cursor of an export would be bound to as the config stands now. Asks the source for the column's type. */
export async function describeCursor(source: Source, entry: Export): Promise<CursorDefinition | null> {
  if (entry.incremental === null) return null;
  const query: Query = entry.from.kind === "table" ? entry.from : { kind: "query", sql: entry.from.text };
  const shape = await source.describe(query);
  const cursor = findCursor({ query, shape, filters: [], where: `export '${entry.name}'` }, entry.incremental);
  return buildCursorDefinition(entry, cursor, writtenDestination(entry.destination));
}

/** Whether the stored value may mean something else in the column that is followed now. */
export function isOtherCursor(was: CursorDefinition, now: CursorDefinition): boolean {
  return was.column !== now.column || was.columnType !== now.columnType || was.mode !== now.mode;
}

/** Refuses a stored cursor that was taken from something else. */
export function checkCursor(
  stored: CursorState | null,
  wanted: CursorDefinition,
  exportName: string,
  config: CommandPlace,
): void {
  if (stored === null) return;
  const was = stored.definition;
  const accept = `\`${commandLine("state accept", config, { exportName })}\``;
  const reset = `\`${commandLine("state reset", config, { exportName })}\``;
  const remedies = isOtherCursor(was, wanted)
    ? `Run ${reset} to start over; only if the column was renamed and holds the same values, ${accept}, which keeps ` +
      `the cursor '${stored.value}': rows below it in the column as it is now are never read`
    : `Run ${accept} to keep the cursor '${stored.value}' and read only what is above it from then on, or ${reset} ` +
      "to start over";
  const refuse = (code: "OWNER" | "STREAM" | "DESTINATION", what: string, before: string, now: string) => {
    throw new RivetError(
      `RIVET_STATE_CURSOR_${code}_MISMATCH`,
      `The stored cursor belongs to ${what} '${before}', the config says '${now}'`,
      {
        where: `export '${exportName}'`,
        cure: remedies,
      },
    );
  };
  if (was.column !== wanted.column) refuse("OWNER", "the cursor", was.column, wanted.column);
  if (was.mode !== wanted.mode) refuse("OWNER", "the mode", was.mode, wanted.mode);
  if (was.stream !== wanted.stream) refuse("STREAM", "the rows", was.stream, wanted.stream);
  if (was.destination !== wanted.destination) {
    refuse("DESTINATION", "the destination", was.destination, wanted.destination);
  }
  if (was.format !== wanted.format) refuse("DESTINATION", "the format", was.format, wanted.format);
  if (was.columnType !== wanted.columnType) {
    throw new RivetError(
      "RIVET_STATE_CURSOR_INCOMPARABLE",
      `The cursor column was '${was.columnType}' and is now '${wanted.columnType}'`,
      {
        where: `export '${exportName}'`,
        cure: remedies,
      },
    );
  }
}

/** What a stored run is taken up for. */
export type Purpose = "resume" | "count" | "reconcile" | "repair";

/** Settings that do not matter to what a finished run is asked: how files look, or where they lie, changes no row. */
const UNASKED: Record<Purpose, readonly string[]> = {
  resume: [],
  count: ["columns", "format", "compression", "layout", "destination", "unique", "lanes"],
  reconcile: ["format", "compression", "layout", "destination", "unique", "lanes"],
  repair: ["unique", "lanes"],
};

/** Refuses to continue or to check a run under an edited config; names what was edited. */
export function checkSamePlan(
  run: StoredRun,
  definition: Readonly<Record<string, string>>,
  config: CommandPlace,
  purpose: Purpose,
): void {
  const edited = Object.keys({ ...run.definition, ...definition })
    .filter((key) => !UNASKED[purpose].includes(key) && (run.definition[key] ?? "") !== (definition[key] ?? ""));
  if (edited.length === 0) return;
  const { exportName } = run.key;
  if (purpose !== "resume") {
    throw new RivetError(
      "RIVET_STATE_CHUNK_PLAN_CHANGED",
      `Run '${run.runId}' was made with other settings: ${edited.join(", ")} changed since`,
      {
        where: `export '${run.key.exportName}'`,
        cure: `Undo the edit, or run the export again with \`${commandLine("run", config, { exportName })}\``,
      },
    );
  }
  const chunksOnly = edited.every((key) => key === "chunks");
  throw new RivetError(
    chunksOnly ? "RIVET_STATE_CHUNK_PLAN_CHANGED" : "RIVET_STATE_INTERRUPTED_RUN_OWNER_MISMATCH",
    `Run '${run.runId}' was interrupted, and ${edited.join(", ")} changed since`,
    {
      where: `export '${run.key.exportName}'`,
      cure: `Undo the edit and run again to finish it, or give it up with \`${
        commandLine("state reset-chunks", config, { exportName })
      }\``,
    },
  );
}

/** Digest of all bounds, kept in the run's intent: a bound edited by hand is found. */
export function boundsFingerprint(slices: readonly Pick<Slice, "index" | "id" | "bounds">[]): string {
  const hash = createHash("sha256");
  // Piece by piece: the text of a million slices must never be one string.
  for (const { index, id, bounds } of slices) hash.update(`${JSON.stringify([index, id, bounds])}\n`);
  return hash.digest("hex").slice(0, 16);
}

/** Refuses chunks whose bounds are not those that were planned. */
export function checkBounds(run: StoredRun, slices: readonly Slice[], expected: string, config: CommandPlace): void {
  if (boundsFingerprint(slices) === expected) return;
  throw new RivetError(
    "RIVET_STATE_CHUNK_WINDOWS_BROKEN",
    `The stored chunks of run '${run.runId}' are not those it was planned with`,
    {
      where: `export '${run.key.exportName}'`,
      cure: `Give the run up with \`${
        commandLine("state reset-chunks", config, { exportName: run.key.exportName })
      }\`, then run again`,
    },
  );
}
