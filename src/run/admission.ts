// Whether a unit runs at all: what a plan artifact says about it, and what `--resume` leaves out. Asked under the lease.

import { RivetError } from "../errors.ts";
import { commandLine, type CommandPlace } from "../config/mod.ts";
import { type Destination, readOwnManifest } from "../destination/mod.ts";
import { MANIFEST_KEY, SUCCESS_KEY } from "../manifest.ts";
import { type Admission, admit, type Unit } from "../plan/mod.ts";
import type { CursorState, ExportKey, State, StoredRun } from "../state/mod.ts";
import type { RunContext } from "./context.ts";
import type { Intent } from "./run.ts";

/** Completed runs looked at: a plan that was applied is among the newest. */
const RUNS_MAX = 200;

/** Null for a unit that comes from no plan. */
export async function admitUnit(
  context: RunContext,
  unit: Unit,
  state: State,
  key: ExportKey,
  open: StoredRun | null,
): Promise<Admission | null> {
  if (unit.sealed === undefined) return null;
  const completed = (await state.runs({ exportName: key.exportName, limit: RUNS_MAX }))
    .filter((run) => run.status === "completed" && run.key.source === key.source && !isRepair(run));
  const cursor = await state.cursor(key);
  const where = `export '${unit.name}'`;
  return admit({
    sealed: unit.sealed,
    where,
    config: context.config,
    exportName: unit.entry.name,
    nowMs: context.runtime.now(),
    open,
    completed,
    cursor,
  });
}

/** A run that only read another one's slices again moved nothing. */
function isRepair(run: StoredRun): boolean {
  return (JSON.parse(run.planJson) as Partial<Intent>).repairs !== undefined;
}

/**
 * The manifest at the destination says how far the export got there. A cursor that says otherwise was moved by hand, or came from
 * an older copy of the state: rows would be exported twice, or never.
 */
export async function checkCursorPlace(
  cursor: CursorState | null,
  unit: Unit,
  destination: Destination,
  config: CommandPlace,
): Promise<void> {
  if (cursor === null || unit.entry.mode !== "incremental") return;
  const manifest = await readOwnManifest(destination, MANIFEST_KEY);
  if (manifest === null || manifest.export_name !== unit.name) return;
  const { cursor_column: column, cursor_high: high } = manifest.source.extraction;
  if (column !== cursor.definition.column || typeof high !== "string" || high === cursor.value) return;
  throw new RivetError(
    "RIVET_STATE_CURSOR_PAST_MANIFEST",
    `The stored cursor is '${cursor.value}', the files at the destination go up to '${high}'`,
    {
      where: `export '${unit.name}', ${destination.uri}`,
      cure: `Restore the state or the destination that belongs to the other, or start over with \`${
        commandLine("state reset", config, { exportName: unit.entry.name })
      }\``,
    },
  );
}

/** `--resume` finishes a run; without one it starts nothing, unless it is forced to. */
export async function refuseFreshRun(context: RunContext, unit: Unit, destination: Destination): Promise<void> {
  if (context.options.force) return;
  const where = `export '${unit.name}'`;
  if (await isComplete(destination)) {
    throw new RivetError("RIVET_DEST_ALREADY_COMPLETE", `No run to resume, and '${destination.uri}' is complete`, {
      where,
    });
  }
  throw new RivetError("RIVET_STATE_CHUNK_RUN_MISSING", "No interrupted run to resume", {
    where,
    cure: "Run without `--resume` to start one",
  });
}

/** The prefix holds a whole export. */
export async function isComplete(destination: Destination): Promise<boolean> {
  for await (const { key } of destination.list(SUCCESS_KEY)) if (key === SUCCESS_KEY) return true;
  return false;
}
