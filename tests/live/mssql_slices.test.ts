// SQL Server keys of every type, cut at every row: each row is in exactly one slice, because a bound compares as the column does.

import assert from "node:assert/strict";
import {
  buildCount,
  buildSelect,
  type KeyColumn,
  keyExpression,
  limitOne,
  type Predicate,
  type Query,
  type Source,
  textExpression,
} from "../../src/source/mod.ts";
import { listMssqlServers, READ } from "../support/mssql.ts";
import { keepRows } from "../support/row_sink.ts";

const QUERY: Query = { kind: "table", schema: null, name: "t" };

const text = (values: readonly string[], prefix = "") => values.map((v) => `${prefix}'${v.replaceAll("'", "''")}'`);
const typed = (type: string, values: readonly string[]) => values.map((v) => `CAST('${v}' AS ${type})`);

/** Punctuation and case, which sort differently by the rules of different collations. */
const WORDS = ["a-b", "ab", "A-B", "co-op", "coop", "CO-OP", "it's", "its", "x_1", "x1", "X 1", "zz"];

const KEYS: Readonly<Record<string, readonly string[]>> = {
  "int": ["-5", "0", "7", "2147483647"],
  "bigint": ["-9", "9007199254740993", "9007199254740994", "9007199254740995"],
  "decimal(12,3)": ["-1.500", "-1.499", "0.000", "0.001", "123456789.999"],
  "float": ["-0.1", "0.1", "0.30000000000000004", "1e-300", "1e300"],
  "real": ["0.1", "0.2", "16777217"],
  "date": typed("date", ["0001-01-01", "2026-02-28", "2026-03-01"]),
  "time(7)": typed("time(7)", ["00:00:00", "12:00:00.0000001", "12:00:00.0000002"]),
  "datetime": typed("datetime", ["2026-01-01T00:00:00.000", "2026-01-01T00:00:00.007", "2026-01-01T00:00:01.003"]),
  "smalldatetime": typed("smalldatetime", ["2026-01-01T00:00:00", "2026-01-01T00:01:00"]),
  "datetime2(7)": typed("datetime2(7)", [
    "2026-01-01T00:00:00.1234567",
    "2026-01-01T00:00:00.1234568",
    "2026-01-02T00:00:00",
  ]),
  "datetime2(3)": typed("datetime2(3)", ["2026-01-01T00:00:00.123", "2026-01-01T00:00:00.124"]),
  "datetimeoffset(7)": typed("datetimeoffset(7)", [
    "2026-01-01T00:00:00.1234567+02:00",
    "2026-01-01T00:00:00.1234567+01:00",
  ]),
  "uniqueidentifier": typed("uniqueidentifier", [
    "0F8FAD5B-D9CB-469F-A165-70867728950E",
    "F0000000-0000-0000-0000-000000000001",
  ]),
  "varchar(20)": text(WORDS),
  "varchar(20) COLLATE SQL_Latin1_General_CP1_CI_AS": text(WORDS),
  "nvarchar(20)": text([...WORDS, "žluť", "Žluť", "日本"], "N"),
  "char(8)": text(WORDS),
  "varbinary(8)": ["0x", "0x00", "0x00FF", "0xFB"],
};

/** The key of each row in the server's order, as text. */
async function readKeys(source: Source, column: KeyColumn, count: number): Promise<string[]> {
  const key = keyExpression("mssql", column);
  const select = `SELECT ${textExpression("mssql", key, column.type)} FROM t ORDER BY ${key}`;
  const keys: string[] = [];
  for (let offset = 0; offset < count; offset++) {
    keys.push((await source.rows(limitOne("mssql", select, offset)))[0]![0]!);
  }
  return keys;
}

for (const server of listMssqlServers()) {
  for (const [type, literals] of Object.entries(KEYS)) {
    Deno.test(`${server.name}: slices over ${type} hold each row once, cut at any key`, async () => {
      await using database = await server.openDatabase();
      await database.run(`CREATE TABLE t ([id] int NOT NULL PRIMARY KEY, [k] ${type} NULL)`);
      const rows = [...literals, ...literals, "NULL"];
      await database.run(`INSERT INTO t VALUES ${rows.map((literal, id) => `(${id}, ${literal})`).join(", ")}`);
      await using source = await database.open();
      const { columns } = await source.describe(QUERY);
      const found = columns[1]!;
      const column: KeyColumn = { names: ["k"], type: found.type!, nativeType: found.nativeType, notNull: false };
      const keys = [
        ...new Set(
          await readKeys(source, { ...column, notNull: true }, rows.length).then((all) =>
            all.filter((k) => k !== null)
          ),
        ),
      ];
      const slices: Predicate[] = [
        { kind: "null", columns: [column] },
        ...[null, ...keys].map((from, i): Predicate => ({
          kind: "range",
          columns: [column],
          from: from === null ? null : [from],
          to: keys[i] === undefined ? null : [keys[i]],
        })),
      ];
      const seen: string[] = [];
      for (const where of slices) {
        const sink = keepRows();
        const sql = buildSelect("mssql", { query: QUERY, columns: [columns[0]!], hidden: [], where: [where] });
        const report = await source.read(sql, sink, READ);
        const [[counted] = []] = await source.rows(buildCount("mssql", QUERY, [where]));
        assert.equal(Number(counted), report.rows);
        for (const [id] of sink.texts(1)) seen.push(id!);
      }
      assert.deepEqual(seen.map(Number).sort((a, b) => a - b), rows.map((_, id) => id));
    });

    Deno.test(`${server.name}: the greatest ${type} is at or below itself, and nothing is above it`, async () => {
      await using database = await server.openDatabase();
      await database.run(`CREATE TABLE t ([id] int NOT NULL PRIMARY KEY, [k] ${type} NULL)`);
      await database.run(`INSERT INTO t VALUES ${literals.map((literal, id) => `(${id}, ${literal})`).join(", ")}`);
      await using source = await database.open();
      const { columns } = await source.describe(QUERY);
      const column: KeyColumn = {
        names: ["k"],
        type: columns[1]!.type!,
        nativeType: columns[1]!.nativeType,
        notNull: false,
      };
      const [[greatest] = []] = await source.rows(`SELECT ${textExpression("mssql", "MAX([k])", column.type)} FROM t`);
      const count = async (op: "<=" | ">") =>
        Number(
          (await source.rows(buildCount("mssql", QUERY, [{ kind: "compare", column, op, value: greatest! }])))[0]![0],
        );
      assert.equal(await count("<="), literals.length);
      assert.equal(await count(">"), 0);
    });
  }

  Deno.test(`${server.name}: slices over a composite key hold each row once`, async () => {
    await using database = await server.openDatabase();
    await database.run("CREATE TABLE t ([a] varchar(9) NOT NULL, [b] int NOT NULL, PRIMARY KEY ([a], [b]))");
    const rows = ["x", "X-1", "y", "x'1"].flatMap((a) =>
      [1, 2, 3, 10].map((b) => `('${a.replaceAll("'", "''")}', ${b})`)
    );
    await database.run(`INSERT INTO t VALUES ${rows.join(", ")}`);
    await using source = await database.open();
    const { columns } = await source.describe(QUERY);
    const keys: KeyColumn[] = columns.map((c) => ({
      names: [c.name],
      type: c.type!,
      nativeType: c.nativeType,
      notNull: true,
    }));
    const cuts = await source.rows("SELECT CONVERT(nvarchar(max), [a]), [b] FROM t ORDER BY [a], [b]");
    let total = 0;
    for (let i = 0; i <= cuts.length; i++) {
      const from = i === 0 ? null : cuts[i - 1] as string[];
      const to = i === cuts.length ? null : cuts[i] as string[];
      const [[count] = []] = await source.rows(
        buildCount("mssql", QUERY, [{ kind: "range", columns: keys, from, to }]),
      );
      assert.equal(Number(count), i === 0 ? 0 : 1);
      total += Number(count);
    }
    assert.equal(total, rows.length);
  });
}
