import assert from "node:assert/strict";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { narrowSlice } from "../../../src/plan/narrow.ts";
import { daySlices, integerSlices, keySlices, withNullSlice } from "../../../src/plan/slices.ts";
import type { Slice, Strategy } from "../../../src/plan/task.ts";
import { buildWhere, type KeyColumn } from "../../../src/source/mod.ts";

const ID: KeyColumn = { names: ["id"], type: { kind: "int64" }, nativeType: "INTEGER", notNull: false };
const AT: KeyColumn = {
  names: ["at"],
  type: { kind: "timestamp", unit: "us", utc: false },
  nativeType: "TIMESTAMP",
  notNull: false,
};
const DAY: KeyColumn = { names: ["at"], type: { kind: "date" }, nativeType: "DATE", notNull: false };
const PAIR: KeyColumn[] = [
  { names: ["a"], type: { kind: "int64" }, nativeType: "INTEGER", notNull: false },
  { names: ["b"], type: { kind: "string" }, nativeType: "TEXT", notNull: false },
];

type Row = readonly (number | string | null)[];

interface Given {
  readonly columns: string;
  readonly rows: readonly Row[];
  readonly slices: readonly Slice[];
  readonly rowsMax: number;
  readonly rowsMin?: number;
  readonly sliceRows: number;
  readonly strategy?: Strategy;
}

/** Reads every slice through its ranges; the rows of each range, by slice. Fails unless the ranges give exactly the slice. */
async function readNarrowed(given: Given): Promise<number[][]> {
  using db = new DatabaseSync(":memory:");
  // Keys come as text; this one is exact for what the tests hold.
  db.function("rivet_key", (value, _kind) => value === null ? null : String(value));
  db.exec(`CREATE TABLE t (n INTEGER, ${given.columns})`);
  const insert = db.prepare(`INSERT INTO t VALUES (${["?", ...given.rows[0]!.map(() => "?")].join(",")})`);
  given.rows.forEach((row, n) => insert.run(n, ...row));
  const read = (bounds: Slice["bounds"]) =>
    (db.prepare(`SELECT n FROM t${bounds === null ? "" : buildWhere("sqlite", [bounds])} ORDER BY n`).all() as {
      n: number;
    }[]).map(({ n }) => n);
  const ask = (sql: string) => {
    const found = db.prepare(sql).all() as Record<string, unknown>[];
    return Promise.resolve(
      found.map((row) => Object.values(row).map((value) => value === null ? null : String(value))),
    );
  };
  const sizes: number[][] = [];
  const { slices, rowsMax, rowsMin = 1, sliceRows } = given;
  for (const slice of slices) {
    const query = { kind: "table", schema: null, name: "t" } as const;
    const task = { source: "sqlite", query, filters: [], strategy: given.strategy ?? { kind: "whole" } } as const;
    const ranges = await narrowSlice(slice, { task, slices, rowsMax, rowsMin, sliceRows, ask });
    const parts = ranges.map(read);
    assert.deepEqual(parts.flat().sort((x, y) => x - y), read(slice.bounds), `slice ${slice.id}`);
    sizes.push(parts.map((part) => part.length));
  }
  assert.equal(sizes.flat().reduce((sum, size) => sum + size, 0), given.rows.length);
  return sizes;
}

Deno.test("ranges inside integer slices hold each row of the slice once, whatever the keys", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.option(fc.integer({ min: -1000, max: 1000 })), { minLength: 1, maxLength: 60 }),
    fc.integer({ min: 1, max: 200 }),
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 60 }),
    async (keys, size, rowsMax, sliceRows) => {
      const slices = withNullSlice(integerSlices(ID, -400n, 400n, BigInt(size)), [ID]);
      await readNarrowed({ columns: "id INTEGER", rows: keys.map((key) => [key]), slices, rowsMax, sliceRows });
    },
  ));
});

Deno.test("ranges inside key slices hold each row of the slice once, also where keys tie or are NULL", async () => {
  const key = fc.tuple(
    fc.option(fc.integer({ min: 0, max: 5 })),
    fc.option(fc.constantFrom("", "a", "b", "B", "ä", "'")),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(key, { minLength: 1, maxLength: 60 }),
      fc.array(key, { maxLength: 4 }),
      fc.integer({ min: 1, max: 20 }),
      async (rows, picks, rowsMax) => {
        const whole = picks.flatMap(([a, b]) => a === null || b === null ? [] : [[a, b] as const]);
        const cuts = whole.map(([a, b]): string[] => [String(a), b]).sort((x, y) =>
          Number(x[0]) - Number(y[0]) || Buffer.compare(Buffer.from(x[1]!), Buffer.from(y[1]!))
        );
        const slices = withNullSlice(keySlices(PAIR, cuts), PAIR);
        await readNarrowed({ columns: "a INTEGER, b TEXT", rows, slices, rowsMax, sliceRows: 60 });
      },
    ),
  );
});

Deno.test("ranges inside slices of days hold each row once: whole days of dates, seconds of timestamps", async () => {
  const at = Array.from({ length: 240 }, (_, hour) => new Date(Date.UTC(2026, 0, 1, hour)).toISOString());
  const stamps = at.map((text) => [text.slice(0, 19).replace("T", " ")]);
  const ofStamps = await readNarrowed({
    columns: "at TEXT",
    rows: [...stamps, [null]],
    slices: withNullSlice(daySlices(AT, "2026-01-01", "2026-01-10", 2), [AT]),
    rowsMax: 10,
    sliceRows: 48,
  });
  assert.ok(Math.max(...ofStamps.flat()) <= 10, `${ofStamps}`);
  const ofDays = await readNarrowed({
    columns: "at TEXT",
    rows: at.map((text) => [text.slice(0, 10)]),
    slices: withNullSlice(daySlices(DAY, "2026-01-01", "2026-01-10", 5), [DAY]),
    rowsMax: 24,
    sliceRows: 120,
    // Neither of the two is bounded on both sides: the plan knows how wide they are.
    strategy: { kind: "days", column: "at", days: 5 },
  });
  assert.equal(Math.max(...ofDays.flat()), 24);
});

Deno.test("the first and the last slice are cut as far as the others reach", async () => {
  const rows = Array.from({ length: 1000 }, (_, id) => [id]);
  const slices = integerSlices(ID, 0n, 999n, 250n);
  const sizes = await readNarrowed({ columns: "id INTEGER", rows, slices, rowsMax: 50, sliceRows: 250 });
  assert.deepEqual(sizes.map((parts) => Math.max(...parts)), [50, 50, 50, 50]);
});

Deno.test("ranges are not cut below the least number of rows", async () => {
  const rows = Array.from({ length: 1000 }, (_, id) => [id]);
  const slices = integerSlices(ID, 0n, 999n, 250n);
  const given = { columns: "id INTEGER", rows, slices, rowsMax: 100, sliceRows: 250 };
  for (const parts of await readNarrowed({ ...given, rowsMin: 100 })) assert.equal(Math.max(...parts), 125);
  for (const parts of await readNarrowed({ ...given, rowsMin: 200 })) assert.deepEqual(parts, [250]);
});

Deno.test("dates at the end of the calendar are not cut beyond it", async () => {
  const slices = daySlices(DAY, "9999-12-21", "9999-12-31", 3);
  const rows = Array.from({ length: 11 }, (_, i) => [`9999-12-${21 + i}`]);
  await readNarrowed({ columns: "at TEXT", rows, slices, rowsMax: 1, sliceRows: 3 });
});
