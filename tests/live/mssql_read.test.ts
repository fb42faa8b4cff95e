// SQL Server, real when there is one and the fake always: what is described, what is read, and what a picture keeps.

import assert from "node:assert/strict";
import { buildSelect, type Query, type Source } from "../../src/source/mod.ts";
import { formatType, overrideMssql } from "../../src/types/mod.ts";
import { listMssqlServers, READ } from "../support/mssql.ts";
import { keepRows } from "../support/row_sink.ts";

const table = (name: string, schema: string | null = null): Query => ({ kind: "table", schema, name });

async function readTable(source: Source, query: Query): Promise<(string | null)[][]> {
  const { columns } = await source.describe(query);
  const sink = keepRows();
  const sql = buildSelect("mssql", { query, columns, hidden: [], where: [] });
  const report = await source.read(sql, sink, READ);
  const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const fields = sink.fields();
  const rows: (string | null)[][] = [];
  for (let at = 0; at < fields.length; at += columns.length) {
    rows.push(columns.map(({ wire }, i) => {
      const field = fields[at + i]!;
      if (field === null) return null;
      return wire === "bytes" ? hex(field) : new TextDecoder().decode(field);
    }));
  }
  assert.equal(report.rows, rows.length, "the server's count is ours");
  return rows;
}

/** Type, literal, logical type, text or hex as it arrives. */
const VALUES: readonly (readonly [string, string, string, string])[] = [
  ["bit", "1", "bool", "1"],
  ["tinyint", "255", "int16", "255"],
  ["smallint", "-32768", "int16", "-32768"],
  ["int", "-2147483648", "int32", "-2147483648"],
  ["bigint", "CAST('-9223372036854775808' AS bigint)", "int64", "-9223372036854775808"],
  ["bigint", "CAST('9223372036854775807' AS bigint)", "int64", "9223372036854775807"],
  ["real", "0.1", "float32", "0.10000000149011612"],
  ["float", "0.1", "float64", "0.1"],
  ["float", "-1.7976931348623157e308", "float64", "-1.7976931348623157e+308"],
  ["float", "2.2250738585072014e-308", "float64", "2.2250738585072014e-308"],
  [
    "decimal(38,10)",
    "CAST('-1234567890123456789012345678.0123456789' AS decimal(38,10))",
    "decimal(38,10)",
    "-1234567890123456789012345678.0123456789",
  ],
  [
    "decimal(38,38)",
    "CAST('0.00000000000000000000000000000000000001' AS decimal(38,38))",
    "decimal(38,38)",
    "0.00000000000000000000000000000000000001",
  ],
  ["decimal(5,2)", "-0.05", "decimal(5,2)", "-0.05"],
  ["numeric(19,0)", "CAST('-9999999999999999999' AS numeric(19,0))", "decimal(19,0)", "-9999999999999999999"],
  ["money", "CAST('-922337203685477.5808' AS money)", "decimal(19,4)", "-922337203685477.5808"],
  ["money", "CAST('922337203685477.5807' AS money)", "decimal(19,4)", "922337203685477.5807"],
  ["smallmoney", "CAST('-214748.3648' AS smallmoney)", "decimal(10,4)", "-214748.3648"],
  ["date", "CAST('0001-01-01' AS date)", "date", "0001-01-01"],
  ["date", "CAST('9999-12-31' AS date)", "date", "9999-12-31"],
  ["time(7)", "CAST('23:59:59.9999999' AS time(7))", "time_ns", "23:59:59.9999999"],
  ["time(0)", "CAST('00:00:00' AS time(0))", "time_us", "00:00:00"],
  ["time(3)", "CAST('12:34:56.789' AS time(3))", "time_us", "12:34:56.789"],
  [
    "datetime2(7)",
    "CAST('2026-11-21T12:34:56.1234567' AS datetime2(7))",
    "timestamp_ns",
    "2026-11-21 12:34:56.1234567",
  ],
  ["datetime2(6)", "CAST('0001-01-01T00:00:00.000001' AS datetime2(6))", "timestamp_us", "0001-01-01 00:00:00.000001"],
  ["datetime2(0)", "CAST('9999-12-31T23:59:59' AS datetime2(0))", "timestamp_us", "9999-12-31 23:59:59"],
  ["datetime", "CAST('1753-01-01T00:00:00.003' AS datetime)", "timestamp_us", "1753-01-01 00:00:00.003"],
  ["datetime", "CAST('9999-12-31T23:59:59.997' AS datetime)", "timestamp_us", "9999-12-31 23:59:59.997"],
  ["smalldatetime", "CAST('2079-06-06T23:59:00' AS smalldatetime)", "timestamp_us", "2079-06-06 23:59:00"],
  [
    "datetimeoffset(7)",
    "CAST('2026-03-29T01:30:00.0000001+02:00' AS datetimeoffset(7))",
    "timestamp_ns_utc",
    "2026-03-28 23:30:00.0000001",
  ],
  [
    "datetimeoffset(3)",
    "CAST('0001-01-01T00:00:00.001+00:00' AS datetimeoffset(3))",
    "timestamp_us_utc",
    "0001-01-01 00:00:00.001",
  ],
  [
    "uniqueidentifier",
    "CAST('0F8FAD5B-D9CB-469F-A165-70867728950E' AS uniqueidentifier)",
    "uuid",
    "0f8fad5bd9cb469fa16570867728950e",
  ],
  ["char(5)", "'ab'", "string", "ab   "],
  ["varchar(20)", "'it''s'", "string", "it's"],
  ["varchar(max)", "''", "string", ""],
  ["nchar(3)", "N'ß'", "string", "ß  "],
  ["nvarchar(20)", "N'žluťoučký 😀'", "string", "žluťoučký 😀"],
  ["nvarchar(max)", "N'日本語'", "string", "日本語"],
  ["text", "'old'", "string", "old"],
  ["ntext", "N'стар'", "string", "стар"],
  ["binary(4)", "0x00FF", "binary", "00ff0000"],
  ["varbinary(10)", "0x00FB01", "binary", "00fb01"],
  ["varbinary(max)", "0x", "binary", ""],
  ["image", "0xDEADBEEF", "binary", "deadbeef"],
  ["xml", "N'<a>ž</a>'", "string", "<a>ž</a>"],
];

for (const server of listMssqlServers()) {
  Deno.test(`${server.name}: every type is described and read without rounding`, async () => {
    await using database = await server.openDatabase();
    const columns = VALUES.map(([type], i) => `[c${i}] ${type} NULL`).join(", ");
    await database.run(`CREATE TABLE [all types] ([id] int NOT NULL PRIMARY KEY, ${columns})`);
    await database.run(`INSERT INTO [all types] VALUES (1, ${VALUES.map(([, literal]) => literal).join(", ")})`);
    await database.run(`INSERT INTO [all types] VALUES (2, ${VALUES.map(() => "NULL").join(", ")})`);
    await using source = await database.open();
    const shape = await source.describe(table("all types"));
    assert.deepEqual(
      shape.columns.map((c) => [c.nativeType, c.type && formatType(c.type), c.notNull]),
      [["int", "int32", true], ...VALUES.map(([native, , type]) => [native, type, false])],
    );
    const [first, second] = await readTable(source, table("all types"));
    assert.deepEqual(first, ["1", ...VALUES.map(([, , , text]) => text)]);
    assert.deepEqual(second, ["2", ...VALUES.map(() => null)]);
  });

  Deno.test(`${server.name}: NOT NULL columns, which have no length on the wire, are read`, async () => {
    await using database = await server.openDatabase();
    const kept = VALUES.filter(([type]) => !/text|image|xml/.test(type));
    await database.run(`CREATE TABLE t (${kept.map(([type], i) => `[c${i}] ${type} NOT NULL`).join(", ")})`);
    await database.run(`INSERT INTO t VALUES (${kept.map(([, literal]) => literal).join(", ")})`);
    await using source = await database.open();
    assert.ok((await source.describe(table("t"))).columns.every((c) => c.notNull));
    assert.deepEqual(await readTable(source, table("t")), [kept.map(([, , , text]) => text)]);
  });

  Deno.test(`${server.name}: text of any code page arrives as its characters`, async () => {
    await using database = await server.openDatabase();
    await database.run(
      `CREATE TABLE t (a varchar(20) COLLATE Latin1_General_CI_AS, b varchar(40) COLLATE Latin1_General_100_CI_AS_SC_UTF8,
        c varchar(20) COLLATE Japanese_CI_AS)`,
    );
    await database.run("INSERT INTO t VALUES (N'naïve ÿ', N'日本 😀', N'日本')");
    await using source = await database.open();
    const [, , japanese] = (await source.describe(table("t"))).columns;
    assert.equal(japanese!.select, "CONVERT(nvarchar(max), [c])", "the server converts what is not decoded here");
    assert.deepEqual(await readTable(source, table("t")), [["naïve ÿ", "日本 😀", "日本"]]);
  });

  Deno.test(`${server.name}: names with brackets and quotes, and a table named select, are read`, async () => {
    await using database = await server.openDatabase();
    await database.run(`CREATE TABLE [select] ([a]]b] int NOT NULL, [it's "x"] nvarchar(9), [from] int)`);
    await database.run("INSERT INTO [select] VALUES (1, N'a;b', 3)");
    await using source = await database.open();
    for (const schema of [null, "dbo"]) {
      assert.deepEqual(await readTable(source, table("select", schema)), [["1", "a;b", "3"]]);
    }
    assert.equal((await source.facts({ schema: "dbo", name: "select" }))?.name, "select");
  });

  Deno.test(`${server.name}: a query is described by its result`, async () => {
    await using database = await server.openDatabase();
    await database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, amount decimal(12,3), note nvarchar(50))");
    await database.run("INSERT INTO t VALUES (1, 2.5, N'x')");
    await using source = await database.open();
    const query: Query = {
      kind: "query",
      sql: "SELECT amount AS [sum], note AS [the note], id FROM t WHERE id > 0 -- all",
    };
    const shape = await source.describe(query);
    assert.deepEqual(shape.columns.map((c) => [c.name, c.nativeType]), [
      ["sum", "decimal(12,3)"],
      ["the note", "nvarchar(50)"],
      ["id", "int"],
    ]);
    assert.deepEqual(await readTable(source, query), [["2.500", "x", "1"]]);
  });

  Deno.test(`${server.name}: a wrong table, column or clause is refused with its cure`, async () => {
    await using database = await server.openDatabase();
    await database.run("CREATE TABLE t (id int)");
    await using source = await database.open();
    const refused = (sql: Query, code: string, cure: RegExp) =>
      assert.rejects(source.describe(sql), (error: { code: string; cure: string }) => {
        assert.equal(error.code, code);
        assert.match(error.cure, cure);
        return true;
      });
    await refused(table("nothing here"), "RIVET_SOURCE_TABLE_NOT_FOUND", /schema/);
    await refused({ kind: "query", sql: "SELECT nope FROM t" }, "RIVET_SOURCE_QUERY_FAILED", /./);
    await refused({ kind: "query", sql: "SELECT id FROM t ORDER BY id" }, "RIVET_SOURCE_QUERY_FAILED", /ORDER BY/);
    await refused(
      { kind: "query", sql: "WITH x AS (SELECT 1 AS a) SELECT * FROM x" },
      "RIVET_SOURCE_QUERY_FAILED",
      /WITH/,
    );
    assert.equal(await source.facts({ schema: null, name: "nothing here" }), null);
    assert.deepEqual(await source.rows("SELECT 1"), [["1"]], "the session goes on");
  });

  Deno.test(`${server.name}: facts come from the catalog: size and usable keys, primary first`, async () => {
    await using database = await server.openDatabase();
    await database.run(
      "CREATE TABLE [Orders] ([region] nvarchar(10) NOT NULL, [no] int NOT NULL, [ref] int NULL, PRIMARY KEY ([region], [no]))",
    );
    await database.run("CREATE UNIQUE INDEX [by ref] ON [Orders] ([ref])".replace("[by ref]", "by_ref"));
    await database.run("CREATE INDEX by_no ON [Orders] ([no])");
    await database.run("CREATE UNIQUE INDEX partly ON [Orders] ([no]) WHERE [ref] IS NOT NULL");
    for (let i = 0; i < 20; i++) await database.run(`INSERT INTO [Orders] VALUES (N'r${i % 3}', ${i}, ${i})`);
    await using source = await database.open();
    const facts = await source.facts({ schema: null, name: "orders" });
    assert.equal(facts?.kind, "table");
    assert.equal(facts.schema, "dbo");
    assert.equal(facts.name, "Orders");
    assert.equal(facts.rowsEstimate, 20);
    assert.ok(facts.bytes! >= 8192 && facts.avgRowBytes! > 0);
    assert.deepEqual(
      facts.keys.map(({ columns, primary, unique, notNull }) => ({ columns, primary, unique, notNull })),
      [
        { columns: ["region", "no"], primary: true, unique: true, notNull: true },
        { columns: ["ref"], primary: false, unique: true, notNull: false },
        { columns: ["no"], primary: false, unique: false, notNull: true },
      ],
    );
  });

  Deno.test(`${server.name}: after begin, two reads see one picture while others write; after end, the new one`, async () => {
    await using database = await server.openDatabase();
    await database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, v int NOT NULL)");
    await database.run("INSERT INTO t VALUES (1, 10), (2, 20)");
    await using source = await database.open();
    assert.equal(source.consistency, "snapshot");
    assert.equal(await source.begin(null), null, "no other connection can join");
    const sum = async () => (await source.rows("SELECT SUM(v), COUNT(*) FROM t"))[0];
    assert.deepEqual(await sum(), ["30", "2"]);
    await database.run("UPDATE t SET v = v + 5 WHERE id = 1");
    await database.run("INSERT INTO t VALUES (3, 100)");
    assert.deepEqual(await sum(), ["30", "2"]);
    assert.deepEqual(await readTable(source, table("t")), [["1", "10"], ["2", "20"]]);
    await source.end();
    assert.deepEqual(await sum(), ["135", "3"]);
  });

  Deno.test(`${server.name}: an override changes how the column is selected, or is refused`, async () => {
    await using database = await server.openDatabase();
    await database.run("CREATE TABLE t (u uniqueidentifier, n int, b varbinary(9))");
    await database.run(
      "INSERT INTO t VALUES (CAST('0F8FAD5B-D9CB-469F-A165-70867728950E' AS uniqueidentifier), 7, 0x01)",
    );
    await using source = await database.open();
    const [u, n, b] = (await source.describe(table("t"))).columns;
    const asText = overrideMssql(u!, { kind: "string" });
    assert.equal(asText.wire, "text");
    assert.deepEqual(overrideMssql(n!, { kind: "decimal", precision: 20, scale: 0 }).fidelity, "exact");
    assert.throws(() => overrideMssql(b!, { kind: "string" }), { code: "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH" });
    assert.throws(() => overrideMssql(n!, { kind: "uuid" }), { code: "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH" });
  });

  Deno.test(`${server.name}: a value of 20 MB and one of nothing are read beside each other`, async () => {
    await using database = await server.openDatabase();
    await database.run("CREATE TABLE t (a nvarchar(max), b varbinary(max))");
    const text = "ä".repeat(5_000_000);
    await database.run(`INSERT INTO t VALUES (N'${text}', 0x)`);
    await using source = await database.open();
    assert.deepEqual(await readTable(source, table("t")), [[text, ""]]);
  });
}
