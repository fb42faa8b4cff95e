import assert from "node:assert/strict";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import {
  cutSlices,
  dayNumber,
  daySlices,
  integerSlices,
  keySlices,
  pageSlices,
  sizeForCount,
  withNullSlice,
} from "../../../src/plan/slices.ts";
import { buildWhere, type KeyColumn } from "../../../src/source/mod.ts";
import type { Slice } from "../../../src/plan/task.ts";

const ID: KeyColumn = { names: ["id"], type: { kind: "int64" }, nativeType: "INTEGER", notNull: false };
const PAIR: KeyColumn[] = [
  { names: ["a"], type: { kind: "int64" }, nativeType: "INTEGER", notNull: false },
  { names: ["b"], type: { kind: "string" }, nativeType: "TEXT", notNull: false },
];

/** How often each row of a table is in a slice, asked of a real engine. */
function coverage(rows: (number | string | null)[][], columns: string, slices: readonly Slice[]): number[] {
  using db = new DatabaseSync(":memory:");
  db.exec(`CREATE TABLE t (n INTEGER, ${columns})`);
  const insert = db.prepare(`INSERT INTO t VALUES (${["?", ...rows[0]!.map(() => "?")].join(",")})`);
  rows.forEach((row, n) => insert.run(n, ...row));
  const seen = rows.map(() => 0);
  for (const slice of slices) {
    const where = slice.bounds === null ? "" : buildWhere("sqlite", [slice.bounds]);
    for (const { n } of db.prepare(`SELECT n FROM t${where}`).all() as { n: number }[]) seen[n]!++;
  }
  return seen;
}

Deno.test("integer slices hold every row once, also rows outside the planned bounds and NULL keys", () => {
  fc.assert(fc.property(
    fc.array(fc.option(fc.integer({ min: -1000, max: 1000 })), { minLength: 1, maxLength: 60 }),
    fc.integer({ min: -500, max: 0 }),
    fc.integer({ min: 0, max: 500 }),
    fc.integer({ min: 1, max: 200 }),
    (keys, min, max, size) => {
      const slices = withNullSlice(integerSlices(ID, BigInt(min), BigInt(max), BigInt(size)), [ID]);
      assert.deepEqual(coverage(keys.map((key) => [key]), "id INTEGER", slices), keys.map(() => 1));
    },
  ));
});

Deno.test("composite key slices hold every row once, also where one column of the key is NULL", () => {
  const key = fc.tuple(
    fc.option(fc.integer({ min: 0, max: 5 })),
    fc.option(fc.constantFrom("", "a", "b", "B", "ä", "'")),
  );
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 60 }), fc.array(key, { maxLength: 8 }), (rows, picks) => {
      const whole = picks.flatMap(([a, b]) => a === null || b === null ? [] : [[a, b] as const]);
      const cuts = whole.map(([a, b]): string[] => [String(a), b]).sort((x, y) =>
        Number(x[0]) - Number(y[0]) || Buffer.compare(Buffer.from(x[1]!), Buffer.from(y[1]!))
      );
      const slices = withNullSlice(keySlices(PAIR, cuts), PAIR);
      assert.deepEqual(coverage(rows, "a INTEGER, b TEXT", slices), rows.map(() => 1));
    }),
  );
});

Deno.test("slices are numbered in order and the first and last are open", () => {
  const slices = integerSlices(ID, 1n, 10n, 4n);
  assert.deepEqual(slices.map((s) => [s.index, s.id, s.start, s.end]), [
    [0, "c00000", null, "5"],
    [1, "c00001", "5", "9"],
    [2, "c00002", "9", null],
  ]);
});

Deno.test("a single key value makes one slice", () => {
  assert.equal(integerSlices(ID, 7n, 7n, 100n).length, 1);
  assert.equal(cutSlices([ID], [], () => "c00000").length, 1);
});

Deno.test("bounds beyond 2^53 stay exact", () => {
  const slices = integerSlices(ID, 9223372036854775800n, 9223372036854775807n, 4n);
  assert.deepEqual(slices.map((s) => s.end), ["9223372036854775804", null]);
});

Deno.test("sizeForCount makes at most the wanted number of slices", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -1000n, max: 1000n }),
      fc.bigInt({ min: 0n, max: 5000n }),
      fc.integer({ min: 1, max: 50 }),
      (min, span, count) => {
        const slices = integerSlices(ID, min, min + span, sizeForCount(min, min + span, count));
        assert.ok(slices.length <= count);
      },
    ),
  );
});

Deno.test("too many slices are refused with the cure", () => {
  assert.throws(() => integerSlices(ID, 0n, 2n ** 62n, 1n), { code: "RIVET_PLAN_CHUNK_KEY_SPARSE" });
});

Deno.test("day slices are cut at midnights", () => {
  const column: KeyColumn = { ...ID, type: { kind: "date" } };
  const slices = daySlices(column, "2026-02-27", "2026-03-02", 2);
  assert.deepEqual(slices.map((s) => [s.id, s.start, s.end]), [
    ["d2026-02-27", null, "2026-03-01"],
    ["d2026-03-01", "2026-03-01", null],
  ]);
  assert.equal(dayNumber("1970-01-02 10:00:00+00"), 1);
});

Deno.test("page slices cover the heap and stay open at its end", () => {
  assert.deepEqual(pageSlices(10, 4).map((s) => s.bounds), [
    { kind: "pages", from: 0, to: 4 },
    { kind: "pages", from: 4, to: 8 },
    { kind: "pages", from: 8, to: null },
  ]);
  assert.deepEqual(pageSlices(0, 4).map((s) => s.bounds), [{ kind: "pages", from: 0, to: null }]);
});
