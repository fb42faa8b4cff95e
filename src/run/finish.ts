// All slices are done: verdict, manifest, marker, then cursor and progression in one state transaction. The order is the promise.

import { RivetError, toRivetError } from "../errors.ts";
import type { SliceObservations } from "../core/mod.ts";
import { findDamages, listByKey, removeAll } from "../destination/mod.ts";
import { buildCount, type SourceConnection } from "../source/mod.ts";
import type { CursorState, TaskCommit } from "../state/mod.ts";
import { publish, writeManifest } from "./commit.ts";
import { type Outcome, readOutcome } from "./outcome.ts";
import { readParts } from "./parts.ts";
import type { Run } from "./run.ts";
import { findQualityFaults, type QualityFault } from "./quality.ts";
import { compareAcross } from "./unique.ts";

/** Commits a run whose slices are all done. A failed verdict leaves cursor, manifest and marker as they were. */
export async function finishRun(run: Run, connection: SourceConnection): Promise<void> {
  const { state, runId, recorder, task } = run;
  const outcome = await readOutcome(run);
  checkDone(run, outcome);
  const { rows, files, bytes } = await state.committed(runId);
  recorder.totals({ rows, files, bytes });
  const { observations } = outcome;
  const across = await compareAcross(run, connection, observations);
  const faults = findQualityFaults(task.export.quality, task.columns, observations, rows, across);
  await passVerdict(run, faults, files);
  await warnOfShapeDrift(run, observations);
  warnOfZeroDates(run, observations);
  const counted = await reconcile(run, outcome, rows);
  if (task.export.destination.kind !== "stdout") await publishRun(run, rows, counted.rows);
  const skipReason = rows === 0 && task.export.skipEmpty ? "no rows" : null;
  await state.commitTask(toTaskCommit(run, outcome, rows, skipReason), run.lease);
  recorder.succeed(skipReason);
  // The data is sound and committed; that it could not be counted is told all the same.
  if (counted.unverified !== null) recorder.unverified(counted.unverified);
}

function checkDone(run: Run, { open, slices, lastError }: Outcome): void {
  if (open === 0) return;
  throw new RivetError(
    "RIVET_RUN_UNITS_FAILED",
    `${open} of ${slices} chunks did not finish: ${lastError ?? "unknown"}`,
    {
      where: `export '${run.task.name}'`,
      retry: "reconnect",
    },
  );
}

/** Quality rules and, when asked for, a check of every stored part; before anything is published. */
async function passVerdict(
  run: Run,
  faults: readonly QualityFault[],
  files: number,
): Promise<void> {
  const { task, recorder, destination, context } = run;
  for (const fault of faults) recorder.quality(fault.severity, fault.message);
  const failed = faults.filter((fault) => fault.severity === "fail");
  recorder.qualityPassed(task.export.quality, failed.length === 0);
  if (failed.length > 0) {
    await refuse(
      run,
      new RivetError("RIVET_QUALITY_FAILED", failed.map((f) => f.message).join("; "), {
        where: `export '${task.name}'`,
      }),
    );
  }
  if (!context.options.validate || task.export.destination.kind === "stdout") return;
  const damage = await findAllDamage(run);
  recorder.validated(damage.length === 0, files);
  if (damage.length > 0) {
    await refuse(
      run,
      new RivetError("RIVET_VALIDATE_FAILED", damage.join("; "), { where: destination.uri }),
    );
  }
}

async function findAllDamage(run: Run): Promise<string[]> {
  const found: string[] = [];
  const stored = await listByKey(run.destination);
  for await (const { parts } of readParts(run)) {
    for (const { reason } of await findDamages(run.destination, parts, stored)) found.push(reason);
  }
  return found;
}

/** The run is over and will not be continued: its rows were judged, the next run reads and judges anew. What it stored goes. */
async function refuse(run: Run, error: RivetError): Promise<never> {
  if (run.task.export.destination.kind !== "stdout") {
    for await (const { parts } of readParts(run)) {
      await removeAll(run.destination, parts.map(({ fileName }) => fileName));
    }
  }
  run.recorder.refused();
  throw error;
}

/** Values far longer than ever before are worth a look; they change nothing. */
async function warnOfShapeDrift(run: Run, observations: readonly SliceObservations[]): Promise<void> {
  const factor = run.task.export.shapeDriftWarnFactor;
  if (factor === 0) return;
  const known = await run.state.shape(run.task.key);
  for (const [name, bytes] of Object.entries(longestValues(observations))) {
    const was = known[name] ?? 0;
    if (was > 0 && bytes > was * factor) {
      run.recorder.warn("shape", `column '${name}' holds values of ${bytes} bytes, the longest so far had ${was}`);
    }
  }
}

/** A value that was changed by policy is never changed in silence. */
function warnOfZeroDates(run: Run, observations: readonly SliceObservations[]): void {
  const counts = new Map<string, number>();
  for (const { columns } of observations) {
    for (const { name, zeroDates = 0 } of columns) {
      if (zeroDates > 0) counts.set(name, (counts.get(name) ?? 0) + zeroDates);
    }
  }
  for (const [name, count] of counts) {
    run.recorder.warn("zero_dates", `column '${name}': ${count} zero dates became NULL, as \`zero_dates: null\` says`);
  }
}

async function publishRun(run: Run, rows: number, count: number | null): Promise<void> {
  const { task } = run;
  // Nothing new since the last window: what the prefix says is still true.
  if (rows === 0 && (!task.complete || task.export.skipEmpty)) return;
  run.signal.throwIfAborted();
  const input = {
    task,
    engine: task.source,
    runId: run.runId,
    startedAt: run.startedAt,
    finishedAt: new Date(run.context.runtime.now()).toISOString(),
    status: "success" as const,
    consistency: run.picture.consistency,
    destinationUri: run.destination.uri,
    sourceRowCount: count,
    verdicts: run.recorder.verdicts(),
  };
  const written = await writeManifest(input, readParts(run));
  await publish(run.destination, { ...written, paths: () => readPaths(run) }, task.complete, run.signal);
}

async function readPaths(run: Run): Promise<ReadonlySet<string>> {
  const paths = new Set<string>();
  for await (const { parts } of readParts(run)) for (const { fileName } of parts) paths.add(fileName);
  return paths;
}

/** What a count of the source said. `unverified` is why there is none although it was asked for. */
interface Counted {
  readonly rows: number | null;
  readonly unverified: RivetError | null;
}

/** Counts the source in the picture that was exported, where there is one; a count from elsewhere is reported but withdraws nothing. */
async function reconcile(
  run: Run,
  { slices, observations }: Outcome,
  rows: number,
): Promise<Counted> {
  const { context, task, picture, recorder } = run;
  if (!context.options.reconcile) return { rows: null, unverified: null };
  let count = 0;
  try {
    const sql = buildCount(task.source, task.query, task.filters);
    // A window that found nothing has no upper end to count to.
    if (slices > 0) count = Number((await picture.source.rows(sql))[0]?.[0]);
  } catch (thrown) {
    run.signal.throwIfAborted();
    const cause = toRivetError(thrown);
    const message = `The source could not be counted: [${cause.code}] ${cause.message}`;
    const where = `export '${task.name}'`;
    return { rows: null, unverified: new RivetError("RIVET_RUN_RECONCILE_UNVERIFIED", message, { where, cause }) };
  }
  // Rows at the edge that the last window had already are in the source's count and not in this export.
  const known = observations.reduce((sum, { skipped }) => sum + skipped, 0);
  const sourceRows = count - known;
  recorder.reconciled(sourceRows, rows);
  // A resumed run holds rows of an older picture than the one that was counted.
  if (sourceRows !== rows && !run.resumed && picture.consistency === "snapshot" && picture.token !== null) {
    const message = `The source has ${sourceRows} rows, the export ${rows}`;
    // Taken up again it would pass: what a later picture counts proves nothing about these rows.
    await refuse(
      run,
      new RivetError("RIVET_RUN_RECONCILE_MISMATCH", message, { where: `export '${task.name}'` }),
    );
  }
  return { rows: sourceRows, unverified: null };
}

function toTaskCommit(
  run: Run,
  { observations }: Outcome,
  rows: number,
  skipReason: string | null,
): TaskCommit {
  const { task, runId, recorder } = run;
  const last = run.slices.findLast((slice) => slice.id !== "null");
  const cursor = nextCursor(run, observations);
  return {
    runId,
    key: task.key,
    cursor,
    committed: cursor !== null
      ? { strategy: "incremental", cursor: cursor.value, chunkIndex: null }
      : task.export.mode === "incremental"
      ? null
      : { strategy: task.export.mode, cursor: null, chunkIndex: last?.index ?? 0 },
    schema: recorder.schemaToStore(task, rows),
    shape: longestValues(observations),
    metric: { ...recorder.toMetric(skipReason === null ? "success" : "skipped", rows), skip_reason: skipReason },
  };
}

/** A row at the edge takes some 40 bytes of the state; from here on it shows. */
const EDGE_ROWS_WARN = 100_000;

/** The planned upper bound, and the rows at its edge. An empty window moves nothing. */
function nextCursor(run: Run, observations: readonly SliceObservations[]): CursorState | null {
  const { window } = run.task;
  if (window === null || window.high === null) return null;
  const edge: Record<string, number> = {};
  for (const seen of observations) {
    for (const [hash, count] of Object.entries(seen.edge)) edge[hash] = (edge[hash] ?? 0) + count;
  }
  const remembered = Object.keys(edge).length;
  if (remembered > EDGE_ROWS_WARN) {
    run.recorder.warn(
      "cursor",
      `${remembered} rows lie on the last value of '${window.definition.column}' or in its \`cursor_lag\`, and each is remembered ` +
        "until the next run; a finer cursor column or a shorter lag makes the state smaller",
    );
  }
  return {
    value: window.high,
    lastRunAt: new Date(run.context.runtime.now()).toISOString(),
    definition: window.definition,
    edge,
  };
}

function longestValues(observations: readonly SliceObservations[]): Record<string, number> {
  const longest: Record<string, number> = {};
  for (const { columns } of observations) {
    for (const column of columns) {
      longest[column.name] = Math.max(longest[column.name] ?? 0, column.longest);
    }
  }
  return longest;
}
