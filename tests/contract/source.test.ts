// What every source promises, on every engine: shape and facts, exact values, one picture, back-pressure, an end when it is told to end.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import { buildSelect, type Query, quoteName, type Source, type SourceColumn } from "../../src/source/mod.ts";
import { formatType } from "../../src/types/mod.ts";
import { type CoreRowsOptions, readThroughCore } from "../support/core_rows.ts";
import { type ContractDatabase, listSourceFixtures, type SourceFixture } from "../support/source_fixtures.ts";

const fixtures = await listSourceFixtures();

/** One test per engine, in a database of its own. */
function contract(
  name: string,
  body: (fixture: SourceFixture, db: ContractDatabase) => Promise<void>,
): void {
  for (const fixture of fixtures) {
    const run = fixture.withDatabase;
    Deno.test({ name: `${fixture.name}: ${name}`, ignore: run === null, fn: () => run!((db) => body(fixture, db)) });
  }
}

const table = (name: string): Query => ({ kind: "table", schema: null, name });

async function readTable(source: Source, query: Query, options: CoreRowsOptions = {}) {
  const { columns } = await source.describe(query);
  const sql = buildSelect(source.engine, { query, columns, hidden: [], where: [] });
  return await readThroughCore(source, sql, columns, options);
}

/** A table `t` of `count` rows, made without a function that only some engines have: `id` from 1, `note` NULL in every third row. */
async function makeRows(fixture: SourceFixture, db: ContractDatabase, count: number): Promise<void> {
  await db.run(`CREATE TABLE t (id ${fixture.integer} NOT NULL PRIMARY KEY, note ${fixture.text})`);
  for (let from = 1; from <= count; from += 1000) {
    const ids = Array.from({ length: Math.min(1000, count - from + 1) }, (_, i) => from + i);
    await db.run(`INSERT INTO t VALUES ${ids.map((id) => `(${id}, ${toNote(id)})`).join(", ")}`);
  }
}

function toNote(id: number): string {
  return id % 3 === 0 ? "NULL" : `'note ${id}'`;
}

async function refusal(work: Promise<unknown>): Promise<RivetError> {
  const error = await work.then(() => null, (error) => error);
  assert.ok(error instanceof RivetError, `expected a RivetError, got ${error}`);
  assert.notEqual(error.cure, undefined);
  return error;
}

contract("every value arrives as it is stored, and NULL as NULL", async (fixture, db) => {
  const quote = (name: string) => quoteName(fixture.engine, name);
  const { values } = fixture;
  // TIMESTAMP columns of MySQL are not NULL unless they say so.
  await db.run(`CREATE TABLE v (${values.map((c) => `${quote(c.name)} ${c.declared} NULL`).join(", ")})`);
  await db.run(`INSERT INTO v VALUES (${values.map((c) => c.literal).join(", ")})`);
  await db.run(`INSERT INTO v VALUES (${values.map(() => "NULL").join(", ")})`);
  await using source = await db.open();
  const { columns } = await source.describe(table("v"));
  assert.deepEqual(columns.map((c) => [c.name, formatType(c.type!)]), values.map((c) => [c.name, c.type]));
  const { rows, report } = await readTable(source, table("v"));
  assert.equal(report.rows, 2);
  const [first, second] = rows[0]![0] === null ? [rows[1]!, rows[0]!] : [rows[0]!, rows[1]!];
  for (const [i, { name, text }] of values.entries()) {
    // The shortest text of a double is not unique: 1e308 and 1e+308 are one value.
    if (values[i]!.type === "float64") assert.equal(Number(first[i]), Number(text), name);
    else assert.equal(first[i], text, name);
    assert.equal(second[i], null, name);
  }
});

contract("describe names the columns in order and knows which are never NULL", async (fixture, db) => {
  await db.run(
    `CREATE TABLE t (id ${fixture.integer} NOT NULL PRIMARY KEY, a ${fixture.text} NOT NULL, b ${fixture.text})`,
  );
  await using source = await db.open();
  const of = ({ columns }: { columns: readonly SourceColumn[] }) => columns.map((c) => [c.name, c.notNull]);
  assert.deepEqual(of(await source.describe(table("t"))).map(([name]) => name), ["id", "a", "b"]);
  assert.equal((await source.describe(table("t"))).columns[2]!.notNull === true, false);
  const query = await source.describe({ kind: "query", sql: "SELECT b, id AS renamed FROM t" });
  assert.deepEqual(query.columns.map((c) => c.name), ["b", "renamed"]);
  assert.equal(query.columns[0]!.nativeType, (await source.describe(table("t"))).columns[2]!.nativeType);
});

contract(
  "facts lists the primary key first, then unique keys, and says nothing of a table that is not there",
  async (fixture, db) => {
    const key = fixture.engine === "mysql" || fixture.engine === "mssql" ? "varchar(20)" : fixture.text;
    await db.run(
      `CREATE TABLE t (a ${fixture.integer} NOT NULL, b ${fixture.integer} NOT NULL, c ${key} NOT NULL, d ${fixture.integer},
    PRIMARY KEY (a, b))`,
    );
    await db.run("CREATE UNIQUE INDEX t_c ON t (c)");
    await db.run("CREATE INDEX t_d ON t (d)");
    await using source = await db.open();
    const facts = await source.facts({ schema: null, name: "t" });
    assert.equal(facts?.kind, "table");
    assert.deepEqual(facts?.keys.map((k) => [k.columns, k.primary, k.unique]), [
      [["a", "b"], true, true],
      [["c"], false, true],
      [["d"], false, false],
    ]);
    assert.equal(facts.keys.at(-1)!.notNull, false);
    assert.equal(facts.keys[1]!.notNull, true);
    assert.equal(await source.facts({ schema: null, name: "not_there" }), null);
  },
);

contract("a missing table and a mistake in a query are told apart, and the source goes on", async (fixture, db) => {
  await makeRows(fixture, db, 3);
  await using source = await db.open();
  assert.equal((await refusal(source.describe(table("not_there")))).code, "RIVET_SOURCE_TABLE_NOT_FOUND");
  const missing = await refusal(source.describe({ kind: "query", sql: "SELECT * FROM not_there" }));
  assert.equal(missing.code, "RIVET_SOURCE_TABLE_NOT_FOUND");
  for (const sql of ["SELEC id FROM t", "SELECT nothing FROM t", "SELECT id FROM t WHERE ("]) {
    const error = await refusal(source.describe({ kind: "query", sql }));
    assert.equal(error.code, "RIVET_SOURCE_QUERY_FAILED", sql);
    assert.equal(error.retry, "never", sql);
  }
  assert.equal((await readTable(source, table("t"))).rows.length, 3);
});

contract("an empty table is no row and no error", async (fixture, db) => {
  await makeRows(fixture, db, 0);
  await using source = await db.open();
  const { rows, report } = await readTable(source, table("t"));
  assert.deepEqual(rows, []);
  assert.equal(report.rows, 0);
});

contract("names with quotes, blanks and letters of any script are names", async (fixture, db) => {
  const quote = (name: string) => quoteName(fixture.engine, name);
  const names = ["naïve 漢字", `a"b`, "a`b", "a]b", "it's", "select"];
  await db.run(`CREATE TABLE ${quote("größe [t]")} (${names.map((n) => `${quote(n)} ${fixture.integer}`).join(", ")})`);
  await db.run(`INSERT INTO ${quote("größe [t]")} VALUES (${names.map((_, i) => i).join(", ")})`);
  await using source = await db.open();
  const { columns } = await source.describe(table("größe [t]"));
  assert.deepEqual(columns.map((c) => c.name), names);
  assert.deepEqual((await readTable(source, table("größe [t]"))).rows, [names.map((_, i) => String(i))]);
});

contract("values larger than any buffer arrive whole, between small ones", async (fixture, db) => {
  await db.run(`CREATE TABLE t (id ${fixture.integer} NOT NULL PRIMARY KEY, x ${fixture.text}, y ${fixture.binary})`);
  await db.run(`INSERT INTO t VALUES (1, 'a', NULL)`);
  await db.run(`INSERT INTO t VALUES (2, ${fixture.longText(3_000_000)}, ${fixture.longBinary(1_000_000)})`);
  await db.run(`INSERT INTO t VALUES (3, NULL, ${fixture.longBinary(1)})`);
  await using source = await db.open();
  const { rows } = await readTable(source, table("t"));
  const byId = new Map(rows.map((row) => [row[0], row]));
  assert.deepEqual(byId.get("1"), ["1", "a", null]);
  assert.deepEqual(byId.get("3"), ["3", null, "78"]);
  assert.ok(byId.get("2")![1] === "x".repeat(3_000_000));
  assert.ok(byId.get("2")![2] === "78".repeat(1_000_000));
});

contract("a value above the limit ends the read and names its column", async (fixture, db) => {
  await db.run(`CREATE TABLE t (id ${fixture.integer} NOT NULL PRIMARY KEY, body ${fixture.text})`);
  await db.run(`INSERT INTO t VALUES (1, ${fixture.longText(3_000_000)})`);
  await using source = await db.open();
  const limit = 2_000_000;
  const error = await refusal(
    readTable(source, table("t"), { maxValueBytes: limit, read: { maxValueBytes: limit } }),
  );
  assert.equal(error.code, "RIVET_VALUE_TOO_LARGE");
  assert.match(error.message, /body/);
});

contract("every row of many arrives once, whatever the batch", async (fixture, db) => {
  const count = 12_345;
  await makeRows(fixture, db, count);
  for (const read of [{ batchRows: 100 }, { batchRows: 1_000_000 }, { batchRows: 1000, batchBytes: 4096 }]) {
    await using source = await db.open();
    const { rows, report } = await readTable(source, table("t"), { read });
    assert.equal(report.rows, count);
    assert.ok(report.bytesRead > count * 2);
    assert.ok(report.statements >= 1);
    const notes = new Map(rows.map(([id, note]) => [Number(id), note]));
    assert.equal(notes.size, count);
    for (const [id, note] of notes) assert.equal(note, id % 3 === 0 ? null : `note ${id}`);
  }
});

contract("rows gives small answers as text", async (fixture, db) => {
  await makeRows(fixture, db, 3);
  await using source = await db.open();
  assert.deepEqual(await source.rows("SELECT id, note FROM t ORDER BY id"), [["1", "note 1"], ["2", "note 2"], [
    "3",
    null,
  ]]);
  assert.deepEqual(await source.rows("SELECT count(*) FROM t WHERE id > 99"), [["0"]]);
  assert.deepEqual(await source.rows("SELECT id FROM t WHERE id > 99"), []);
});

contract("what is written after begin is not seen before the next begin", async (fixture, db) => {
  await makeRows(fixture, db, 10);
  await using source = await db.open();
  const count = async () => [
    (await readTable(source, table("t"))).rows.length,
    Number((await source.rows("SELECT count(*) FROM t"))[0]![0]),
  ];
  await source.begin(null);
  await db.run("INSERT INTO t VALUES (11, NULL)");
  assert.deepEqual(await count(), [10, 10]);
  await db.run("DELETE FROM t WHERE id <= 5");
  assert.deepEqual(await count(), [10, 10]);
  await source.end();
  await source.begin(null);
  assert.deepEqual(await count(), [6, 6]);
  await source.end();
});

contract("a shared picture is the same picture", async (fixture, db) => {
  await makeRows(fixture, db, 10);
  await using one = await db.open();
  await using other = await db.open();
  const token = await one.begin(null);
  await db.run("INSERT INTO t VALUES (11, NULL)");
  assert.equal((await readTable(one, table("t"))).rows.length, 10);
  if (token === null) return;
  await other.begin(token);
  assert.equal((await readTable(other, table("t"))).rows.length, 10);
});

contract("the source waits for the sink: no room is asked for while the last block waits", async (fixture, db) => {
  await makeRows(fixture, db, 5_000);
  await using source = await db.open();
  let waiting = 0;
  let blocks = 0;
  await readTable(source, table("t"), {
    read: { batchRows: 500, batchBytes: 4096 },
    async wait() {
      assert.equal(waiting, 0);
      waiting++;
      blocks++;
      await new Promise((resolve) => setTimeout(resolve, 1));
      waiting--;
    },
  });
  assert.equal(waiting, 0);
  assert.ok(blocks > 0);
});

contract("what the sink throws is what the read throws", async (fixture, db) => {
  await makeRows(fixture, db, 2_000);
  const full = new RivetError("RIVET_DEST_DISK_FULL", "The disk is full");
  for (
    const wait of [() => Promise.reject(full), () => {
      throw full;
    }]
  ) {
    await using source = await db.open();
    assert.equal(await refusal(readTable(source, table("t"), { wait })), full);
  }
});

contract("a read that is told to stop before it begins does not begin", async (fixture, db) => {
  await makeRows(fixture, db, 10);
  await using source = await db.open();
  const stop = new Error("stop");
  let blocks = 0;
  const signal = AbortSignal.abort(stop);
  const error = await readTable(source, table("t"), { read: { signal }, wait: () => void blocks++ }).catch((e) => e);
  assert.equal(error, stop);
  assert.equal(blocks, 0);
});

contract(
  "a read that is told to stop ends with the signal's reason, and another source can read",
  async (fixture, db) => {
    await makeRows(fixture, db, 20_000);
    await using source = await db.open();
    const stop = new Error("stop");
    const controller = new AbortController();
    const read = readTable(source, table("t"), {
      read: { signal: controller.signal, batchRows: 100, batchBytes: 4096 },
      wait: () => controller.abort(stop),
    });
    assert.equal(await read.catch((e) => e), stop);
    await using other = await db.open();
    assert.equal((await readTable(other, table("t"))).rows.length, 20_000);
  },
);

contract("a long statement ends when it is told to, and when it has had its time", async (fixture, db) => {
  const columns: SourceColumn[] = [{
    name: "x",
    nativeType: fixture.text,
    type: { kind: "string" },
    wire: "text",
    select: "x",
    fidelity: "exact",
    warnings: [],
    notNull: null,
  }];
  await using source = await db.open({ statementTimeoutS: 1 });
  const error = await refusal(readThroughCore(source, fixture.slow, columns));
  assert.equal(error.code, "RIVET_SOURCE_STATEMENT_TIMEOUT");
  assert.equal(error.retry, "never");
  await using stopped = await db.open();
  const stop = new Error("stop");
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(stop), 50);
  const read = readThroughCore(stopped, fixture.slow, columns, { read: { signal: controller.signal } });
  assert.equal(await read.catch((e) => e), stop);
  clearTimeout(timer);
});

contract("the throttle's pauses are made, over one read or over several", async (fixture, db) => {
  await makeRows(fixture, db, 300);
  await using source = await db.open();
  const startedAt = performance.now();
  const read = { batchRows: 10, batchBytes: 1, throttleMs: 4 };
  await readTable(source, table("t"), { read });
  await readTable(source, table("t"), { read });
  // 600 rows in batches of 10: 59 pauses, or one of thirty batches between two statements.
  assert.ok(performance.now() - startedAt >= 30 * 4);
});

contract("a source is closed once, however often it is told to", async (fixture, db) => {
  await makeRows(fixture, db, 1);
  const source = await db.open();
  await source.begin(null);
  await source[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
  await db.run("DROP TABLE t");
});
