// The state as the engine sees it: each method is one function of this folder, called with the open database and the time.

import type { Db } from "./db.ts";
import { listJournalAfter, listJournals, recordEvents } from "./journal.ts";
import { releaseLease, renewLease, takeLease } from "./lease.ts";
import {
  abandonedParts,
  commitSlices,
  forgetAbandonedParts,
  listFiles,
  listParts,
  listPartsBetween,
  readCommitted,
} from "./ledger.ts";
import { listMetrics, putMetric, recordAggregate } from "./metrics.ts";
import * as progress from "./progress.ts";
import { commitRepair } from "./repairs.ts";
import * as runs from "./runs.ts";
import * as slices from "./slices.ts";
import type { State } from "./state.ts";
import { vacuum } from "./vacuum.ts";

/** `nowMs` stamps rows; leases expire by the database's own clock. */
export function makeState(db: Db, nowMs: () => number): State {
  const now = () => new Date(nowMs()).toISOString();
  return {
    location: db.location,

    takeLease: (key, holder, ttlMs, isDead) => takeLease(db, key, holder, ttlMs, isDead),
    renewLease: (lease, ttlMs) => renewLease(db, lease, ttlMs),
    releaseLease: (lease) => releaseLease(db, lease),

    cursor: (key) => progress.readCursor(db, key),
    schema: (key) => progress.readSchema(db, key),
    shape: (key) => progress.readShape(db, key),
    openRun: (key) => runs.openRun(db, key),
    run: (runId) => runs.findRun(db, runId),
    latestRun: (key, status) => runs.latestRun(db, key, status),
    runs: (filter) => runs.listRuns(db, filter),
    exportNames: (source, prefix) => runs.exportNames(db, source, prefix),

    beginRun: (intent, planned, lease) => runs.beginRun(db, now(), intent, planned, lease),
    resumeRun: (runId, lease) => runs.resumeRun(db, now(), runId, lease),
    setConsistency: (runId, level, lease) => runs.setConsistency(db, runId, level, lease),
    slices: (runId) => slices.listSlices(db, runId),
    slicesAfter: (runId, index) => slices.listSlicesAfter(db, runId, index),
    parts: (runId) => listParts(db, runId),
    partsBetween: (runId, first, last) => listPartsBetween(db, runId, first, last),
    committed: (runId) => readCommitted(db, runId),
    claimSlices: (runId, slicesMax, lease) => slices.claimSlices(db, now(), runId, slicesMax, lease),
    commitSlices: (runId, commits, format, lease) => commitSlices(db, now(), runId, commits, format, lease),
    returnSlices: (runId, indexes, lease) => slices.returnSlices(db, now(), runId, indexes, lease),
    failSlice: (runId, index, error, final, lease) => slices.failSlice(db, now(), runId, index, error, final, lease),
    resetSlices: (runId, indexes, lease) => slices.resetSlices(db, now(), runId, indexes, lease),
    addSlices: (runId, added, lease) => slices.addSlices(db, now(), runId, added, lease),

    commitTask: (commit, lease) => progress.commitTask(db, now(), commit, lease),
    commitRepair: (commit, lease) => commitRepair(db, now(), commit, lease),
    endRun: (runId, status, resumable, metric, lease) =>
      runs.endRun(db, now(), runId, status, resumable, metric, lease),
    abandonedParts: (destinationUri) => abandonedParts(db, destinationUri),
    forgetAbandonedParts: (runId) => forgetAbandonedParts(db, runId),

    record: (runId, exportName, events) => recordEvents(db, now(), runId, exportName, events),
    journalAfter: (runId, id) => listJournalAfter(db, runId, id),
    journals: (exportName, limit) => listJournals(db, exportName, limit),

    putMetric: (row) => db.transaction((sql) => putMetric(sql, row)),
    metrics: (filter) => listMetrics(db, filter),
    files: (filter) => listFiles(db, filter),
    progression: (exportName) => progress.listProgression(db, exportName),
    recordVerified: (key, verified) => progress.recordVerified(db, now(), key, verified),
    withdrawVerified: (runId) => progress.withdrawVerified(db, runId),
    cursors: (exportName) => progress.listCursors(db, exportName),

    resetCursor: (key) => progress.resetCursor(db, key),
    acceptCursor: (key, definition) => progress.acceptCursor(db, key, definition),
    resetChunks: (filter) => runs.resetChunks(db, now(), filter),
    recordAggregate: (row) => recordAggregate(db, row),
    vacuum: (keepDays) => vacuum(db, nowMs(), keepDays),

    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}
