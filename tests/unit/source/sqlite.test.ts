import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { RivetError } from "../../../src/errors.ts";
import { buildSelect, type Query, type Source, textExpression } from "../../../src/source/mod.ts";
import { openSqlite } from "../../../src/source/sqlite/mod.ts";
import { formatReal } from "../../../src/source/sqlite/text.ts";
import { formatType, type LogicalType, overrideSqlite } from "../../../src/types/mod.ts";
import { keepRows } from "../../support/row_sink.ts";
import { LIMITS, openSqliteFile, READ } from "../../support/sqlite.ts";

const T: Query = { kind: "table", schema: null, name: "t" };

/** Reads a table the way a slice does, with overrides by column name. */
async function readTexts(source: Source, query: Query = T, overrides: Record<string, LogicalType> = {}) {
  const { columns } = await source.describe(query);
  const selected = columns.map((c) => overrides[c.name] === undefined ? c : overrideSqlite(c, overrides[c.name]!));
  const sink = keepRows();
  const sql = buildSelect("sqlite", { query, columns: selected, hidden: [], where: [] });
  const report = await source.read(sql, sink, READ);
  equal(report.bytesRead, sink.bytes);
  return sink;
}

async function readColumn(declared: string, literal: string, override?: LogicalType): Promise<string | null> {
  await using file = await openSqliteFile(`CREATE TABLE t (x ${declared}); INSERT INTO t VALUES (${literal})`);
  await using source = await file.open();
  const sink = await readTexts(source, T, override === undefined ? {} : { x: override });
  return sink.texts(1)[0]![0]!;
}

Deno.test("every kind of value arrives as it is stored", async () => {
  const cases: [declared: string, literal: string, text: string | null][] = [
    ["INTEGER", "9223372036854775807", "9223372036854775807"],
    ["INTEGER", "-9223372036854775808", "-9223372036854775808"],
    ["INTEGER", "9007199254740993", "9007199254740993"],
    ["INTEGER", "NULL", null],
    ["REAL", "0.1", "0.1"],
    ["REAL", "5e-324", "5e-324"],
    ["REAL", "1.7976931348623157e308", "1.7976931348623157e+308"],
    ["REAL", "9e999", "inf"],
    ["REAL", "-9e999", "-inf"],
    ["REAL", "3", "3.0"],
    ["TEXT", "''", ""],
    ["TEXT", "'a' || char(0) || 'b'", "a\0b"],
    ["TEXT", "char(0)", "\0"],
    ["TEXT", "'grüße 漢字 🦀'", "grüße 漢字 🦀"],
    ["TEXT", "char(65533)", "\ufffd"],
    ["TEXT", "printf('%.250c', 'x')", "x".repeat(250)],
    ["TEXT", "printf('%.251c', 'x')", "x".repeat(251)],
    ["TEXT", "printf('%.70000c', 'ü')", "ü".repeat(70000)],
    ["TEXT", "12", "12"],
    ["DECIMAL(10,2)", "19.99", "19.99"],
    ["DECIMAL(10,2)", "7", "7"],
    ["DECIMAL(30,10)", "1e-7", "0.0000001"],
    ["DECIMAL(30,2)", "1e21", "1000000000000000000000.0"],
    ["BOOLEAN", "1", "1"],
    ["BOOLEAN", "FALSE", "0"],
    ["DATE", "'2024-02-29'", "2024-02-29"],
    ["DATETIME", "'2024-02-29 12:30:00.123456'", "2024-02-29 12:30:00.123456"],
    ["UUID", "'123e4567-E89B-12d3-a456-426614174000'", "123e4567-E89B-12d3-a456-426614174000"],
    ["UUID", "x'123E4567E89B12D3A456426614174000'", "123e4567-e89b-12d3-a456-426614174000"],
    ["JSON", `'{"a": [1, null]}'`, `{"a": [1, null]}`],
    ["JSON", "12", "12"],
    ["JSON", "1.5", "1.5"],
    ["JSONB", `jsonb('{"a": [1, null]}')`, `{"a":[1,null]}`],
    ["", "'text'", "text"],
    ["", "5", "5"],
    ["", "5.0", "5.0"],
    ["ANY", "NULL", null],
  ];
  for (const [declared, literal, text] of cases) {
    equal(await readColumn(declared, literal), text, `${declared} ${literal}`);
  }
});

Deno.test("a value of another kind than its column is refused, with a cure", async () => {
  const cases: [declared: string, literal: string, kind: string][] = [
    ["INTEGER", "'twelve'", "A text"],
    ["INTEGER", "1.5", "A real"],
    ["INTEGER", "x'31'", "A blob"],
    ["REAL", "'1,5'", "A text"],
    ["TEXT", "x'61'", "A blob"],
    ["BLOB", "'text'", "A text"],
    ["BLOB", "5", "An integer"],
    ["BOOLEAN", "5", "An integer"],
    ["BOOLEAN", "'true'", "A text"],
    ["DATE", "1700000000", "An integer"],
    ["DATETIME", "2460000.5", "A real"],
    ["DATETIME", "1700000000", "An integer"],
    ["TIME", "5", "An integer"],
    ["DECIMAL(10,2)", "'n/a'", "A text"],
    ["DECIMAL(10,2)", "x'31'", "A blob"],
    ["UUID", "x'31'", "A blob"],
    ["UUID", "'sixteen letters!'", "A text"],
    ["UUID", "5", "An integer"],
    ["JSON", "'{a:1}'", "A text"],
    ["JSON", "x'ff'", "A blob"],
    ["JSON", "9e999", "A real"],
    ["", "x'31'", "A blob"],
  ];
  for (const [declared, literal, kind] of cases) {
    const read = readColumn(declared, literal).then((text) => `${declared} ${literal} gave ${text}`);
    await rejects(read, (error: RivetError) => {
      equal(error.code, "RIVET_SOURCE_VALUE_UNREPRESENTABLE", `${declared} ${literal}`);
      ok(error.message.startsWith(`${kind} value in column 'x'`), error.message);
      equal(error.where, "column 'x'");
      ok(/columns:|query:/.test(error.cure));
      return true;
    });
  }
});

Deno.test("text that is no UTF-8 is refused or goes as bytes to the core, and binary takes it as it is", async () => {
  const short = "CAST(x'61FF62' AS TEXT)";
  await rejects(readColumn("TEXT", short), { code: "RIVET_SOURCE_VALUE_UNREPRESENTABLE" });
  // Longer text, and text that has a real U+FFFD too, is never decoded here: the core sees its bytes.
  for (const literal of ["CAST(x'EFBFBD61FF62' AS TEXT)", `CAST(x'FF${"61".repeat(80)}' AS TEXT)`]) {
    await rejects(readColumn("TEXT", literal), TypeError);
  }
  await using file = await openSqliteFile(`CREATE TABLE t (x TEXT); INSERT INTO t VALUES (${short})`);
  await using source = await file.open();
  const sink = await readTexts(source, T, { x: { kind: "binary" } });
  deepEqual(sink.fields(), [Uint8Array.of(0x61, 0xff, 0x62)]);
});

Deno.test("an override takes any kind of value that reads as its type", async () => {
  const string: LogicalType = { kind: "string" };
  const binary: LogicalType = { kind: "binary" };
  equal(await readColumn("INTEGER", "'twelve'", string), "twelve");
  equal(await readColumn("INTEGER", "12", string), "12");
  equal(await readColumn("BLOB", "'text'", binary), "text");
  equal(await readColumn("NUMERIC", "3", { kind: "float64" }), "3");
  equal(await readColumn("NUMERIC", "9007199254740992", { kind: "float64" }), "9007199254740992");
  await rejects(readColumn("NUMERIC", "9007199254740993", { kind: "float64" }), {
    code: "RIVET_SOURCE_VALUE_UNREPRESENTABLE",
  });
  await rejects(readColumn("BLOB", "x'61'", string), { code: "RIVET_SOURCE_VALUE_UNREPRESENTABLE" });
});

Deno.test("an expression is text, a CAST is what it says, and a column of a view keeps its type", async () => {
  await using file = await openSqliteFile(`
    CREATE TABLE t (id INTEGER PRIMARY KEY, total DECIMAL(10,2));
    CREATE VIEW v AS SELECT id, total, CAST(total AS REAL) AS real, id + 1 AS next FROM t`);
  await using source = await file.open();
  const types = async (query: Query) =>
    (await source.describe(query)).columns.map((c) => `${c.name} ${c.nativeType} ${formatType(c.type!)}`);
  deepEqual(await types({ kind: "table", schema: null, name: "v" }), [
    "id INTEGER int64",
    "total DECIMAL(10,2) decimal(10,2)",
    "real REAL float64",
    "next any string",
  ]);
  const sql = "SELECT CAST(count(*) AS INTEGER) AS n, sum(total) AS sum, max(id) AS last FROM t -- the last line";
  deepEqual(await types({ kind: "query", sql }), ["n INT int64", "sum any string", "last any string"]);
});

Deno.test("describe says which columns cannot be NULL, keeps two columns of one name, and reads no row", async () => {
  await using file = await openSqliteFile(`
    CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT, c INT AS (id + 1) VIRTUAL);
    INSERT INTO t (a) VALUES ('x')`);
  await using source = await file.open();
  const { columns } = await source.describe(T);
  deepEqual(columns.map((c) => [c.name, c.notNull]), [["id", false], ["a", true], ["b", false], ["c", false]]);
  const twice = await source.describe({ kind: "query", sql: "SELECT a, b AS a FROM t" });
  deepEqual(twice.columns.map((c) => c.name), ["a", "a"]);
  // The second row's expression fails when it is evaluated.
  await source.describe({ kind: "query", sql: "SELECT abs(-9223372036854775807 - 1) AS x FROM t" });
});

Deno.test("facts lists usable keys: the rowid, then the primary key, unique ones, others; no partial ones, no expressions", async () => {
  await using file = await openSqliteFile(`
    CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT NOT NULL, c INT);
    CREATE INDEX t_c ON t (c);
    CREATE UNIQUE INDEX t_ab ON t (a, b);
    CREATE UNIQUE INDEX t_b ON t (b);
    CREATE UNIQUE INDEX t_part ON t (c) WHERE c > 0;
    CREATE INDEX t_expr ON t (lower(a));
    CREATE TABLE w (k TEXT, n INT, PRIMARY KEY (k, n)) WITHOUT ROWID;
    CREATE TABLE p (k TEXT PRIMARY KEY);
    CREATE VIEW v AS SELECT 1 AS one;
    INSERT INTO t (id, b) VALUES (10, 'x'), (14, 'y')`);
  await using source = await file.open();
  const facts = await source.facts({ schema: null, name: "T" });
  deepEqual(facts, {
    schema: null,
    name: "t",
    kind: "table",
    rowsEstimate: 5,
    bytes: null,
    avgRowBytes: null,
    pages: null,
    keys: [
      { name: "rowid", columns: ["id"], primary: true, unique: true, notNull: true },
      { name: "t_ab", columns: ["a", "b"], primary: false, unique: true, notNull: false },
      { name: "t_b", columns: ["b"], primary: false, unique: true, notNull: true },
      { name: "t_c", columns: ["c"], primary: false, unique: false, notNull: false },
    ],
  });
  const keys = async (name: string) =>
    (await source.facts({ schema: "main", name }))!.keys.map((k) => [k.columns, k.primary, k.notNull]);
  deepEqual(await keys("w"), [[["k", "n"], true, true]]);
  // SQLite allows NULL in such a primary key.
  deepEqual(await keys("p"), [[["k"], true, false]]);
  equal((await source.facts({ schema: null, name: "v" }))!.kind, "view");
  equal(await source.facts({ schema: null, name: "nowhere" }), null);
  equal(await source.facts({ schema: "other", name: "t" }), null);
});

Deno.test("the row estimate is what ANALYZE counted, and null where rowids are no measure", async () => {
  await using file = await openSqliteFile(`
    CREATE TABLE t (id INTEGER PRIMARY KEY, a INT);
    CREATE INDEX t_a ON t (a);
    INSERT INTO t VALUES (1, 1), (9223372036854775807, 2);
    CREATE TABLE empty (id INTEGER PRIMARY KEY);`);
  await using source = await file.open();
  const estimate = async (name: string) => (await source.facts({ schema: null, name }))!.rowsEstimate;
  equal(await estimate("t"), null);
  equal(await estimate("empty"), 0);
  file.db.exec("ANALYZE");
  equal(await estimate("t"), 2);
});

Deno.test("what cannot be opened is refused with a cure, and nothing is created", async () => {
  await using file = await openSqliteFile("CREATE TABLE t (x)");
  const open = (path: string) => openSqlite({ engine: "sqlite", path }, LIMITS);
  const refused = { code: "RIVET_SOURCE_CONNECT_FAILED", retry: "never" };
  await rejects(open(`${file.folder}/missing.db`), { ...refused, message: /does not exist/ });
  await rejects(open(file.folder), refused);
  await Deno.writeTextFile(`${file.folder}/text.db`, "id,name\n".repeat(100));
  await rejects(open(`${file.folder}/text.db`), { ...refused, message: /not a SQLite database/ });
  const whole = await Deno.readFile(file.path);
  await Deno.writeFile(`${file.folder}/cut.db`, whole.subarray(0, 30));
  await rejects(open(`${file.folder}/cut.db`), refused);
  const utf16 = new DatabaseSync(`${file.folder}/utf16.db`);
  utf16.exec("PRAGMA encoding = 'UTF-16'; CREATE TABLE t (x)");
  utf16.close();
  await rejects(open(`${file.folder}/utf16.db`), { ...refused, message: /UTF-16/ });
  await Deno.writeTextFile(`${file.folder}/empty.db`, "");
  await using empty = await open(`${file.folder}/empty.db`);
  equal(await empty.facts({ schema: null, name: "t" }), null);
  const names = [...Deno.readDirSync(file.folder)].map((e) => e.name).sort();
  deepEqual(names, ["cut.db", "empty.db", "test.db", "text.db", "utf16.db"]);
});

Deno.test("a locked file is worth another try, a mistake in the statement is not", async () => {
  await using file = await openSqliteFile("CREATE TABLE t (x)");
  await using source = await file.open({ lockTimeoutS: 0.05 });
  file.db.exec("BEGIN EXCLUSIVE");
  await rejects(source.rows("SELECT * FROM t"), { code: "RIVET_SOURCE_QUERY_FAILED", retry: "same_connection" });
  await rejects(file.open({ lockTimeoutS: 0.05 }), { code: "RIVET_SOURCE_CONNECT_FAILED", retry: "same_connection" });
  file.db.exec("COMMIT");
  await rejects(source.rows("SELEC 1"), { code: "RIVET_SOURCE_QUERY_FAILED", retry: "never" });
  await rejects(source.rows("SELECT nothing FROM t"), { code: "RIVET_SOURCE_QUERY_FAILED", retry: "never" });
  await rejects(source.rows("SELECT * FROM gone"), { code: "RIVET_SOURCE_TABLE_NOT_FOUND" });
  await rejects(source.describe({ kind: "query", sql: "SELECT * FROM gone" }), {
    code: "RIVET_SOURCE_TABLE_NOT_FOUND",
  });
  await rejects(source.describe({ kind: "table", schema: null, name: "gone" }), {
    code: "RIVET_SOURCE_TABLE_NOT_FOUND",
  });
});

Deno.test("the source cannot write, nor take a second statement", async () => {
  await using file = await openSqliteFile("CREATE TABLE t (x)");
  await using source = await file.open();
  await rejects(source.rows("INSERT INTO t VALUES (1)"), { code: "RIVET_SOURCE_QUERY_FAILED" });
  deepEqual((await source.describe({ kind: "query", sql: "SELECT 1 AS a" })).columns.length, 1);
  await rejects(source.describe({ kind: "query", sql: "SELECT 1 AS a; SELECT 2 AS b" }));
  deepEqual((await source.describe({ kind: "query", sql: "DELETE FROM t" }).catch(() => null))?.columns ?? [], []);
  deepEqual(await source.rows("SELECT count(*) FROM t"), [["0"]]);
});

Deno.test("rows is small results as text", async () => {
  await using file = await openSqliteFile("CREATE TABLE t (x)");
  await using source = await file.open();
  deepEqual(await source.rows("SELECT 1, 2.5, 3.0, 'x', x'00ff', NULL, 9223372036854775807"), [
    ["1", "2.5", "3.0", "x", "00ff", null, "9223372036854775807"],
  ]);
});

Deno.test("a key is a probe only if its literal compares as the column does", async () => {
  await using file = await openSqliteFile("CREATE TABLE t (x)");
  await using source = await file.open();
  const probe = async (literal: string, kind: string) => {
    const type = { kind } as LogicalType;
    return (await source.rows(`SELECT ${textExpression("sqlite", literal, type)}`))[0]![0];
  };
  equal(await probe("9223372036854775807", "int64"), "9223372036854775807");
  equal(await probe("0.1", "float64"), "0.1");
  equal(await probe("'ü'", "string"), "ü");
  equal(await probe("'2024-01-01'", "timestamp"), "2024-01-01");
  equal(await probe("x'00ff'", "binary"), "00ff");
  equal(await probe("NULL", "string"), null);
  const wrong = [["'12'", "int64"], ["12", "string"], ["x'61'", "string"], ["'a' || char(0)", "string"], [
    "'a'",
    "binary",
  ], [
    "1700000000",
    "timestamp",
  ]] as const;
  for (const [literal, kind] of wrong) {
    await rejects(probe(literal, kind), { code: "RIVET_SOURCE_PROBE_UNREADABLE" }, `${literal} ${kind}`);
  }
});

Deno.test("rows larger than a block go in pieces, and many small ones in one", async () => {
  await using file = await openSqliteFile(`
    CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB, note TEXT);
    INSERT INTO t VALUES (1, zeroblob(20000000), 'ä'), (2, NULL, NULL), (3, x'01', printf('%.300000c', 'é'))`);
  await using source = await file.open();
  const blocks: number[] = [];
  const { columns } = await source.describe(T);
  const sink = keepRows({ wait: (bytes) => void blocks.push(bytes) });
  await source.read(buildSelect("sqlite", { query: T, columns, hidden: [], where: [] }), sink, READ);
  ok(Math.max(...blocks) <= 256 * 1024);
  const fields = sink.fields();
  equal(fields[1]!.length, 20_000_000);
  equal(new TextDecoder().decode(fields[8]!), "é".repeat(300_000));
  deepEqual([fields[4], fields[5]], [null, null]);

  file.db.exec(`WITH RECURSIVE s(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM s WHERE i < 50000)
    INSERT INTO t SELECT i, NULL, 'row ' || i FROM s`);
  const small: number[] = [];
  const many = keepRows({ wait: (bytes) => void small.push(bytes) });
  await source.read(`SELECT id, note FROM t WHERE id > 3`, many, READ);
  equal(many.texts(2).length, 49_997);
  ok(small.slice(0, -1).every((bytes) => bytes > 255 * 1024));
});

Deno.test("a value above the limit is stopped before it is copied out", async () => {
  await using file = await openSqliteFile("CREATE TABLE t (b BLOB); INSERT INTO t VALUES (zeroblob(5000000))");
  await using source = await file.open();
  const { columns } = await source.describe(T);
  const sql = buildSelect("sqlite", { query: T, columns, hidden: [], where: [] });
  await rejects(source.read(sql, keepRows(), { ...READ, maxValueBytes: 4_000_000 }), {
    message: "Column 'b' holds a value of 5000000 bytes (4.8 MiB), the limit is 3.8 MiB",
    code: "RIVET_VALUE_TOO_LARGE",
  });
  equal((await source.read(sql, keepRows(), { ...READ, maxValueBytes: 5_000_000 })).rows, 1);
});

Deno.test("a statement that fails after some rows is an error, never a short result", async () => {
  await using file = await openSqliteFile(`CREATE TABLE t (id INTEGER PRIMARY KEY, doc TEXT);
    WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 5000)
    INSERT INTO t SELECT i, CASE i WHEN 4000 THEN '{' ELSE '{}' END FROM s`);
  await using source = await file.open();
  await rejects(source.read("SELECT id, json(doc) AS doc FROM t", keepRows(), READ), {
    code: "RIVET_SOURCE_QUERY_FAILED",
    message: "malformed JSON",
  });
  equal((await source.read("SELECT id FROM t", keepRows(), READ)).rows, 5000);
});

Deno.test("a file that is locked when the read begins is an error, never an empty result", async () => {
  await using file = await openSqliteFile("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  await using source = await file.open({ lockTimeoutS: 0.05 });
  file.db.exec("BEGIN EXCLUSIVE");
  await rejects(source.read("SELECT x FROM t", keepRows(), READ), {
    code: "RIVET_SOURCE_QUERY_FAILED",
    retry: "same_connection",
  });
  file.db.exec("ROLLBACK");
});

Deno.test("a read holds no lock when it is over, however it ended", async () => {
  // In rollback mode a reader's lock stops every commit at once.
  await using file = await openSqliteFile(`PRAGMA busy_timeout = 0; CREATE TABLE t (x INTEGER);
    WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 100000) INSERT INTO t SELECT i FROM s`);
  await using source = await file.open();
  const write = () => file.db.exec("INSERT INTO t VALUES (NULL)");
  await readTexts(source);
  write();
  const controller = new AbortController();
  const stop = new Error("stop");
  const sink = keepRows({ wait: () => controller.abort(stop) });
  await rejects(source.read("SELECT x FROM t", sink, { ...READ, signal: controller.signal }), stop);
  write();
  file.db.exec("INSERT INTO t VALUES ('x')");
  await rejects(readTexts(source), { code: "RIVET_SOURCE_VALUE_UNREPRESENTABLE" });
  write();
  const full = new Error("full");
  await rejects(source.read("SELECT x FROM t", keepRows({ wait: () => Promise.reject(full) }), READ), full);
  write();
  await source.begin(null);
  await readTexts(source, { kind: "query", sql: "SELECT 1 AS one" });
  await source.end();
  write();
});

Deno.test("rows come in the order that a query asks for", async () => {
  await using file = await openSqliteFile(`CREATE TABLE t (a INT, b INT);
    WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 1000)
    INSERT INTO t SELECT i * 7919 % 1000, i FROM s`);
  await using source = await file.open();
  const query: Query = { kind: "query", sql: "SELECT a, b FROM t ORDER BY a DESC, b" };
  const found = (await readTexts(source, query)).texts(2).map(([a]) => Number(a));
  deepEqual(found, found.toSorted((a, b) => b - a));
});

Deno.test("a statement that has had its time is stopped", async () => {
  await using file = await openSqliteFile();
  await using source = await file.open({ statementTimeoutS: 0.001 });
  const endless = "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s) SELECT i FROM s";
  await rejects(source.read(endless, keepRows({ forget: true }), READ), { code: "RIVET_SOURCE_STATEMENT_TIMEOUT" });
});

Deno.test("formatReal gives plain digits that mean the same double", () => {
  const values = [0.1, 1e21, 1.5e22, 1e-7, 1.2345e-10, -1e-7, 123456789.125, 2 ** 53, 1e80, 1e-80, 5e-324, 1e81, -0];
  for (const value of values) {
    const text = formatReal(value);
    ok(Object.is(Number(text), value), text);
    if (Math.abs(value) >= 1e-80 && Math.abs(value) < 1e80) ok(!text.includes("e"), text);
  }
  equal(formatReal(1e21), "1000000000000000000000.0");
  equal(formatReal(1.2345e-10), "0.00000000012345");
  equal(formatReal(-0), "-0.0");
});

/** What a Worker that may read one folder, and nothing else, gets from a file. */
async function readConfined(path: string, folder: string): Promise<unknown> {
  const worker = new Worker(new URL("../../support/sqlite_worker.ts", import.meta.url), {
    type: "module",
    deno: {
      permissions: {
        read: [folder],
        write: false,
        env: false,
        net: false,
        sys: false,
        ffi: false,
        run: false,
        import: false,
      },
    },
  } as WorkerOptions);
  try {
    const answer = Promise.withResolvers<unknown>();
    worker.onmessage = (event) => answer.resolve(event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      answer.reject(new Error(event.message));
    };
    worker.postMessage(path);
    return await answer.promise;
  } finally {
    worker.terminate();
  }
}

Deno.test("a Worker with read permission for the folder alone reads a database, also one in WAL mode with rows not yet in the file", async () => {
  const rows = { types: ["INTEGER", "INT"], rows: [["1"], ["2"]] };
  for (const mode of ["delete", "wal"]) {
    await using file = await openSqliteFile(`PRAGMA journal_mode = ${mode};
      CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)`);
    deepEqual(await readConfined(file.path, file.folder), rows);
    await using elsewhere = await openSqliteFile();
    deepEqual(await readConfined(file.path, elsewhere.folder), { code: "RIVET_SOURCE_CONNECT_FAILED" });
  }
  await using closed = await openSqliteFile();
  const path = `${closed.folder}/closed.db`;
  const db = new DatabaseSync(path);
  db.exec("PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
  db.close();
  deepEqual(await readConfined(path, closed.folder), rows);
});
