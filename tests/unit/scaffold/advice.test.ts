// The choice of mode, key and size for one table at a time: each case is a table and what is said of it.

import assert from "node:assert/strict";
import { type AdviceContext, advise } from "../../../src/scaffold/advice.ts";
import { rankCursors } from "../../../src/scaffold/candidates.ts";
import type { Size } from "../../../src/scaffold/probe.ts";
import type { ListedColumn, ListedTable } from "../../../src/source/mod.ts";
import type { LogicalType } from "../../../src/types/mod.ts";

const TYPES: Readonly<Record<string, LogicalType>> = {
  int: { kind: "int64" },
  text: { kind: "string" },
  uuid: { kind: "uuid" },
  date: { kind: "date" },
  bool: { kind: "bool" },
  json: { kind: "json" },
  stamp: { kind: "timestamp", unit: "us", utc: true },
};

/** `id int!`: a name, a type, and whether it is never NULL. */
function columns(...specs: string[]): ListedColumn[] {
  return specs.map((spec) => {
    const [name, type] = spec.replace("!", "").split(" ");
    return {
      name: name!,
      nativeType: type!,
      type: TYPES[type!]!,
      notNull: spec.endsWith("!"),
      isOpenDecimal: false,
      warnings: [],
    };
  });
}

function table(specs: readonly string[], key: readonly string[] = [], more: Partial<ListedTable> = {}): ListedTable {
  return {
    schema: "public",
    name: "t",
    kind: "table",
    rowsEstimate: null,
    bytes: null,
    avgRowBytes: 100,
    pages: null,
    keys: key.length === 0 ? [] : [{ name: "pk", columns: key, primary: true, unique: true, notNull: true }],
    columns: columns(...specs),
    isReadable: true,
    partOf: null,
    notes: [],
    ...more,
  };
}

const size = (rows: number | null, keySpan: number | null = rows): Size => ({
  rows,
  rowSource: rows === null ? null : "catalog",
  keySpan,
});

const CONTEXT: AdviceContext = {
  engine: "postgres",
  hasPageRanges: false,
  isPlainName: true,
  wanted: null,
  target: null,
};

/** Mode, what it follows, how wide, how many lanes. */
function short(listed: ListedTable, rows: Size, more: Partial<AdviceContext> = {}): string {
  const { mode, chunks, parallel, cursor, fallback } = advise(listed, rows, { ...CONTEXT, ...more });
  if (mode === "incremental") return `incremental ${cursor!.column.name} ${fallback?.column.name ?? "-"}`;
  if (chunks === null) return mode;
  const key = chunks.kind === "range" ? chunks.column : chunks.kind === "key" ? chunks.columns.join("+") : "pages";
  return `${mode} ${chunks.kind} ${key} ${chunks.size} p${parallel}`;
}

const INT_KEY = table(["id int!", "v text"], ["id"]);

Deno.test("chunk size and lanes grow with the rows", () => {
  const cases: readonly [number, string][] = [
    [100_000, "full"],
    [100_001, "chunked range id 100000 p1"],
    [600_000, "chunked range id 100000 p2"],
    [2_000_000, "chunked range id 250000 p2"],
    [20_000_000, "chunked range id 1000000 p4"],
    [200_000_000, "chunked range id 2500000 p4"],
  ];
  for (const [rows, said] of cases) assert.equal(short(INT_KEY, size(rows)), said, String(rows));
  assert.equal(short(INT_KEY, size(20_000_000), { engine: "mssql" }), "chunked range id 1000000 p1");
  assert.equal(short(INT_KEY, size(20_000_000), { engine: "sqlite" }), "chunked range id 1000000 p1");
  const wide = table(["id int!"], ["id"], { avgRowBytes: 2000 });
  assert.equal(short(wide, size(20_000_000), { engine: "mysql" }), "chunked range id 1000000 p1");
});

Deno.test("sparse keys widen the ranges, and very sparse ones are followed through the index", () => {
  assert.equal(short(INT_KEY, size(200_000, 220_000)), "chunked range id 100000 p1");
  assert.equal(short(INT_KEY, size(200_000, 300_000)), "chunked range id 150000 p1");
  assert.equal(short(INT_KEY, size(200_000, 799_999)), "chunked range id 400000 p1");
  assert.equal(short(INT_KEY, size(200_000, 2_000_000)), "chunked key id 100000 p1");
  // A query has no index to follow: the ranges must do.
  assert.equal(short(INT_KEY, size(200_000, 2_000_000), { isPlainName: false }), "chunked range id 1000000 p1");
});

Deno.test("other keys are followed through their index, and no key through pages where there are any", () => {
  const large = size(200_000, null);
  assert.equal(short(table(["a int!", "b text!"], ["a", "b"]), large), "chunked key a+b 100000 p1");
  assert.equal(short(table(["id uuid!"], ["id"]), large), "chunked key id 100000 p1");
  assert.equal(short(table(["id uuid!"], ["id"]), large, { isPlainName: false }), "full");
  assert.equal(short(table(["v text"]), large), "full");
  assert.equal(short(table(["v text"]), large, { hasPageRanges: true }), "chunked pages pages 100000 p1");
  const unique = [{ name: "u", columns: ["code"], primary: false, unique: true, notNull: true }];
  assert.equal(short(table(["v text", "code text!"], [], { keys: unique }), large), "chunked key code 100000 p1");
  const nullable = [{ ...unique[0]!, notNull: false }];
  assert.equal(short(table(["v text", "code text"], [], { keys: nullable }), large), "full");
  // A key of JSON has no order that could be followed.
  assert.equal(short(table(["a json!"], ["a"]), large), "full");
});

Deno.test("a small table is incremental only where a stamp follows changes", () => {
  const said = (...specs: string[]) => short(table(specs, ["id"]), size(1000));
  assert.equal(said("id int!", "updated_at stamp!"), "incremental updated_at -");
  assert.equal(said("id int!", "ModifiedDate stamp!"), "incremental ModifiedDate -");
  assert.equal(said("id int!", "updated_at stamp", "created_at stamp!"), "incremental updated_at created_at");
  assert.equal(said("id int!", "created_at stamp!"), "full");
  assert.equal(said("id int!", "deleted_at stamp"), "full");
  assert.equal(said("id int!", "updated_on date!"), "full");
  assert.equal(said("id int!", "is_updated bool!"), "full");
  assert.equal(short(table(["at stamp!", "updated_at stamp!"], ["at", "updated_at"]), size(10)), "full");
  assert.equal(short(table(["updated_at stamp!"], [], { kind: "view" }), size(null)), "full");
});

Deno.test("a mode that was asked for is kept where the table can have it, and else says why not", () => {
  const asked = (mode: "chunked" | "incremental" | "time_window" | "full", ...specs: string[]) =>
    advise(table(specs, ["id"]), size(1000), { ...CONTEXT, wanted: mode });
  assert.equal(asked("chunked", "id int!").mode, "chunked");
  assert.equal(asked("incremental", "id int!", "created_at stamp!").cursor?.column.name, "created_at");
  assert.equal(asked("incremental", "id int!", "expires_at stamp!").cursor?.column.name, "id");
  assert.equal(asked("time_window", "id int!", "seen stamp!").time?.column.name, "seen");
  const kept = asked("time_window", "id int!");
  assert.equal(kept.mode, "full");
  assert.deepEqual(kept.notes, ["`mode: time_window` was asked for, but it has no timestamp column."]);
  assert.equal(asked("full", "id int!", "updated_at stamp!").mode, "full");
});

Deno.test("cursors are ranked by what their name and type say", () => {
  const ranked = rankCursors(
    table(["id int!", "a stamp!", "created_at stamp!", "updated_at stamp", "due_at stamp!"], ["id"]),
  );
  assert.deepEqual(ranked.map((c) => `${c.column.name} ${c.score}`), [
    "updated_at 72",
    "created_at 63",
    "a 44",
    "id 30",
  ]);
});

Deno.test("what a warehouse cannot hold is said once, with all the columns it is about", () => {
  const types: LogicalType[] = [{ kind: "decimal", precision: 60, scale: 5 }, { kind: "uint64" }, { kind: "uint64" }];
  const listed = table(["a int", "b int", "c int"]);
  const typed = { ...listed, columns: listed.columns.map((column, i) => ({ ...column, type: types[i]! })) };
  const notes = (target: AdviceContext["target"]) => advise(typed, size(10), { ...CONTEXT, target }).notes;
  assert.deepEqual(notes(null), []);
  assert.match(notes("snowflake").join("\n"), /^'a': snowflake: /);
  assert.deepEqual(notes("bigquery").filter((note) => note.includes("decimal(20,0)")), [
    "'b', 'c': bigquery: Values above 2⁶³ − 1 do not load; declare the column as decimal(20,0).",
  ]);
});
