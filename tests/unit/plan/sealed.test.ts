import assert from "node:assert/strict";
import {
  admit,
  checkKeys,
  checkSettings,
  findColumnDrift,
  type SealedTask,
  settingsFingerprint,
} from "../../../src/plan/sealed.ts";
import type { SourceColumn } from "../../../src/source/mod.ts";
import type { CursorState, StoredRun } from "../../../src/state/mod.ts";

const CREATED = Date.parse("2026-04-18T00:00:00Z");
const HOUR = 3_600_000;

const TASK: SealedTask = {
  planId: "p1",
  planPath: "plan.json",
  createdAtMs: CREATED,
  forced: false,
  date: null,
  settings: "",
  columns: [],
  strategy: { kind: "whole" },
  strategyLabel: "full-scan",
  layout: { kind: "whole" },
  filters: [],
  window: null,
};
const WINDOW = { low: null, readFrom: null, high: "9", edgeFrom: "9", protection: [], nullRows: null };

function run(runId: string, planId: string | null): StoredRun {
  const key = { exportName: "t", source: "sqlite:/t" };
  return { runId, key, planJson: JSON.stringify({ planId }) } as StoredRun;
}

const cursorAt = (value: string) => ({ value }) as CursorState;

function decide(more: Partial<Parameters<typeof admit>[0]>, sealed: Partial<SealedTask> = {}) {
  const nothing = {
    where: "export 't'",
    config: { path: "rivet.yaml", parameters: [] },
    exportName: "t",
    nowMs: CREATED,
    open: null,
    completed: [],
    cursor: null,
  };
  return admit({ ...nothing, sealed: { ...TASK, ...sealed }, ...more });
}

Deno.test("a plan is applied once, and its interrupted run is finished whatever its age", () => {
  assert.equal(decide({}).kind, "as_planned");
  assert.deepEqual(decide({ completed: [run("r2", null), run("r1", "p1")] }), { kind: "done", runId: "r1" });
  assert.equal(decide({ open: run("r1", "p1"), nowMs: CREATED + 900 * HOUR }).kind, "as_planned");
  assert.deepEqual(decide({ completed: [run("r1", "p1")], nowMs: CREATED + 900 * HOUR }).kind, "done");
});

Deno.test("a plan of a day ago is refused unless it is forced; just below it is not", () => {
  assert.throws(() => decide({ nowMs: CREATED + 24 * HOUR }), { code: "RIVET_PLAN_ARTIFACT_STALE" });
  assert.equal(decide({ nowMs: CREATED + 24 * HOUR - 1 }).kind, "as_planned");
  assert.equal(decide({ nowMs: CREATED + 24 * HOUR }, { forced: true }).kind, "as_planned");
});

Deno.test("an interrupted run of another origin comes first", () => {
  for (const open of [run("r1", null), run("r1", "p2")]) {
    assert.throws(() => decide({ open }, { forced: true }), { code: "RIVET_STATE_CHUNK_RUN_UNFINISHED" });
  }
});

Deno.test("an incremental plan runs from the cursor it was made with, also when there was none", () => {
  const first = { window: WINDOW };
  const later = { window: { ...WINDOW, low: "5" } };
  assert.equal(decide({}, first).kind, "as_planned");
  assert.equal(decide({ cursor: cursorAt("5") }, later).kind, "as_planned");
  const stale = { code: "RIVET_PLAN_ARTIFACT_STALE" };
  assert.throws(() => decide({ cursor: cursorAt("5"), completed: [run("r1", null)] }, first), stale);
  assert.throws(() => decide({ cursor: cursorAt("6") }, later), stale);
  assert.throws(() => decide({ cursor: null }, later), stale);
  const forced = decide({ cursor: cursorAt("6") }, { ...later, forced: true });
  assert.match(forced.kind === "replan" ? forced.why ?? "" : "", /was '5' when planned and is '6'/);
});

Deno.test("an incremental plan is applied again and again, without growing old", () => {
  const later = { window: { ...WINDOW, low: "5" } };
  const again = { completed: [run("r2", "p1"), run("r1", null)], cursor: cursorAt("9"), nowMs: CREATED + 900 * HOUR };
  assert.deepEqual(decide(again, later), { kind: "replan", why: null });
  assert.equal(decide({ cursor: cursorAt("5"), nowMs: CREATED + 900 * HOUR }, later).kind, "as_planned");
});

Deno.test("settings that were filled in otherwise are refused, columns that changed are not their business", () => {
  const definition = { query: "a", columns: "x" };
  const sealed = { ...TASK, settings: settingsFingerprint(definition) };
  checkSettings(sealed, { ...definition, columns: "y" }, "export 't'");
  assert.throws(() => checkSettings(sealed, { ...definition, query: "b" }, "export 't'"), {
    code: "RIVET_PLAN_ARTIFACT_STALE",
  });
});

Deno.test("cuts along a column that changed since are refused, wherever the column stands", () => {
  const key = { names: ["id"], type: { kind: "int64" as const }, nativeType: "bigint", notNull: true };
  const column = { name: "id", nativeType: "bigint", notNull: true } as SourceColumn;
  const tasks: Partial<SealedTask>[] = [
    { layout: { kind: "keys", columns: [key], cuts: [["1"]] } },
    { layout: { kind: "integers", column: key, min: "1", max: "9", size: "1" } },
    { filters: [{ kind: "all", of: [{ kind: "compare", column: key, op: ">=", value: "1" }] }] },
  ];
  for (const task of tasks) {
    const check = (columns: SourceColumn[]) => checkKeys({ ...TASK, ...task }, columns, "export 't'");
    check([column]);
    for (const other of [{ ...column, notNull: false }, { ...column, nativeType: "text" }, { ...column, name: "x" }]) {
      assert.throws(() => check([other]), { code: "RIVET_PLAN_ARTIFACT_STALE" });
    }
  }
  const nullable = { ...key, notNull: false };
  const task = { ...TASK, filters: [{ kind: "null" as const, columns: [nullable] }] };
  checkKeys(task, [{ ...column, notNull: false }], "export 't'");
});

Deno.test("columns that came, went or changed their type are told apart", () => {
  const was = [{ name: "a", type: "int64" }, { name: "b", type: "string" }];
  assert.equal(findColumnDrift(was, [...was].reverse()), null);
  assert.deepEqual(findColumnDrift(was, [{ name: "a", type: "int32" }, { name: "c", type: "string" }]), {
    added: ["c"],
    removed: ["b"],
    retyped: [["a", "int64", "int32"]],
  });
});
