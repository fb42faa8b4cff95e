// Every type of real servers through the core into Parquet, read by two other programs and compared with what was inserted.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import { openMysql } from "../../src/source/mysql/mod.ts";
import type { LogicalType } from "../../src/types/mod.ts";
import { encodeQuery } from "../support/encode.ts";
import { type Cell, hex, readWithDuckdb, readWithHyparquet } from "../support/exact_parquet.ts";
import { type MysqlDatabase, openMysqlServers, testMysql } from "../support/mariadb.ts";
import { openRandom, type Random } from "../support/random.ts";

const servers = await openMysqlServers();
const limits = { statementTimeoutS: 60, lockTimeoutS: 10, connectTimeoutMs: 30_000 };

/** An SQL literal and the canonical text that both readers must give for it. */
type Pair = readonly [literal: string, expected: Cell];

interface Kind {
  readonly name: string;
  readonly column: string;
  readonly special: readonly Pair[];
  readonly random: (random: Random) => Pair;
  readonly only?: "mariadb" | "mysql";
}

const RANDOM_ROWS = 150;

function integers(name: string, column: string, from: bigint, to: bigint): Kind {
  const pair = (n: bigint): Pair => [String(n), String(n)];
  return {
    name,
    column,
    special: [from, to, 0n, 1n].filter((n) => n >= from && n <= to).map(pair),
    random: (random) => pair(random.bigint(from, to)),
  };
}

function decimals(precision: number, scale: number, unsigned = false): Kind {
  const most = 10n ** BigInt(precision) - 1n;
  const pair = (n: bigint): Pair => {
    const digits = (n < 0n ? -n : n).toString().padStart(scale + 1, "0");
    const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
    const signed = n < 0n ? `-${text}` : text;
    return [signed, signed];
  };
  const least = unsigned ? 0n : -most;
  return {
    name: `decimal_${precision}_${scale}`,
    column: `decimal(${precision},${scale})${unsigned ? " unsigned" : ""}`,
    special: [least, most, 0n, 1n].map(pair),
    random: (random) => pair(random.bigint(least, most) / 10n ** random.bigint(0n, BigInt(precision - 1))),
  };
}

function numberText(n: number): string {
  return Object.is(n, -0) ? "-0" : String(n);
}

function floatPair(n: number): Pair {
  return [`CAST(${n.toExponential(20)} AS FLOAT)`, numberText(Math.fround(n))];
}

function doublePair(n: number): Pair {
  return [n.toExponential(20), numberText(n)];
}

function fromBits(random: Random, width: 4 | 8): number {
  for (;;) {
    const view = new DataView(random.bytes(8).buffer);
    const n = width === 4 ? view.getFloat32(0) : view.getFloat64(0);
    if (Number.isFinite(n)) return n;
  }
}

const two = (n: number) => String(n).padStart(2, "0");
const fraction = (random: Random, digits: number) => {
  const text = String(random.integer(0, 10 ** digits - 1)).padStart(digits, "0");
  return { written: digits === 0 ? "" : `.${text}`, full: digits === 0 ? "000000" : text.padEnd(6, "0") };
};

function randomDate(random: Random): string {
  return `${String(random.integer(1, 9999)).padStart(4, "0")}-${two(random.integer(1, 12))}-${
    two(random.integer(1, 28))
  }`;
}

function randomTime(random: Random): string {
  return `${two(random.integer(0, 23))}:${two(random.integer(0, 59))}:${two(random.integer(0, 59))}`;
}

function datetimes(digits: number): Kind {
  return {
    name: `datetime_${digits}`,
    column: `datetime(${digits})`,
    special: [
      ["'1000-01-01 00:00:00'", "1000-01-01 00:00:00.000000"],
      ["'0001-01-01 00:00:00'", "0001-01-01 00:00:00.000000"],
      ["'1969-12-31 23:59:59'", "1969-12-31 23:59:59.000000"],
      ["'9999-12-31 23:59:59'", "9999-12-31 23:59:59.000000"],
    ],
    random(random) {
      const { written, full } = fraction(random, digits);
      const at = `${randomDate(random)} ${randomTime(random)}`;
      return [`'${at}${written}'`, `${at}.${full}`];
    },
  };
}

function timestamps(digits: number): Kind {
  const utc = (text: string) => `'${text}'`;
  return {
    name: `timestamp_${digits}`,
    column: `timestamp(${digits}) NULL`,
    special: [
      [utc("1970-01-01 00:00:01"), "1970-01-01 00:00:01.000000"],
      [utc("2038-01-19 03:14:07"), "2038-01-19 03:14:07.000000"],
      // Inside the hour that does not exist or exists twice in many zones.
      [utc("2024-03-31 01:30:00"), "2024-03-31 01:30:00.000000"],
      [utc("2024-10-27 00:30:00"), "2024-10-27 00:30:00.000000"],
    ],
    random(random) {
      const { written, full } = fraction(random, digits);
      const at = new Date(random.integer(1, 2 ** 31 - 2) * 1000).toISOString().slice(0, 19).replace("T", " ");
      return [utc(at + written), `${at}.${full}`];
    },
  };
}

function bits(width: number): Kind {
  const most = 2n ** BigInt(width) - 1n;
  const pair = (n: bigint): Pair => [`b'${n.toString(2)}'`, width === 1 ? String(n === 1n) : String(n)];
  return {
    name: `bit_${width}`,
    column: `bit(${width})`,
    special: [pair(0n), pair(1n), pair(most)],
    random: (random) => pair(random.bigint(0n, most)),
  };
}

function sqlText(text: string): string {
  return `_utf8mb4 X'${hex(new TextEncoder().encode(text))}'`;
}

const ALPHABETS: Record<string, string> = {
  utf8mb4: "aZ0 \t\n\r\"'\\`%_é€漢字🔑\u0000\u{10ffff}\u200d",
  utf8mb3: "aZ0 \n\"'\\é€漢字ÿ",
  latin1: "aZ0 \n\"'\\éÿ€ž",
  cp1251: "aZ0 Привет№",
  ascii: "aZ09~!",
  gbk: "aZ漢字汉",
  sjis: "aZ漢字ｱ",
  utf16: "aé漢🔑",
  utf32: "aé漢🔑",
  koi8r: "aПривет",
};

function texts(name: string, column: string, charset: string, charactersMax: number, trimmed = false): Kind {
  const letters = [...ALPHABETS[charset]!];
  const pair = (text: string): Pair => [sqlText(text), text];
  return {
    name: `${name}_${charset}`,
    column: `${column} CHARACTER SET ${charset}`,
    special: [pair(""), pair(letters.filter((l) => !trimmed || l !== " ").slice(0, charactersMax).join(""))],
    random(random) {
      const length = random.integer(0, charactersMax);
      const text = Array.from({ length }, () => random.pick(letters)).join("");
      return pair(trimmed ? text.replace(/ +$/, "") : text);
    },
  };
}

function binaries(name: string, column: string, bytesMax: number, padTo = 0): Kind {
  const pair = (bytes: Uint8Array): Pair => [`X'${hex(bytes)}'`, hex(bytes).padEnd(padTo * 2, "0")];
  return {
    name,
    column,
    special: [pair(new Uint8Array(0)), pair(new Uint8Array([0])), pair(new Uint8Array([0xff, 0x00, 0x80]))],
    random: (random) => pair(random.bytes(random.integer(0, bytesMax))),
  };
}

function wkbPoint(x: number, y: number): string {
  const view = new DataView(new ArrayBuffer(21));
  view.setUint8(0, 1);
  view.setUint32(1, 1, true);
  view.setFloat64(5, x, true);
  view.setFloat64(13, y, true);
  return hex(new Uint8Array(view.buffer));
}

function exactly(pairs: readonly Pair[]): Pick<Kind, "special" | "random"> {
  return { special: pairs, random: (random) => random.pick(pairs) };
}

const KINDS: readonly Kind[] = [
  { name: "flag", column: "tinyint(1)", ...exactly([["0", "false"], ["1", "true"]]) },
  {
    name: "flag_unsigned",
    column: "tinyint(1) unsigned",
    ...exactly([["0", "false"], ["1", "true"]]),
    only: "mariadb",
  },
  integers("tiny", "tinyint", -128n, 127n),
  integers("utiny", "tinyint unsigned", 0n, 255n),
  integers("small", "smallint", -32768n, 32767n),
  integers("usmall", "smallint unsigned", 0n, 65535n),
  integers("medium", "mediumint", -8388608n, 8388607n),
  integers("umedium", "mediumint unsigned", 0n, 16777215n),
  integers("whole", "int", -2147483648n, 2147483647n),
  integers("uwhole", "int unsigned", 0n, 4294967295n),
  integers("padded", "int(10) unsigned zerofill", 0n, 4294967295n),
  integers("big", "bigint", -(2n ** 63n), 2n ** 63n - 1n),
  integers("ubig", "bigint unsigned", 0n, 2n ** 64n - 1n),
  integers("year", "year", 1901n, 2155n),
  {
    name: "single",
    column: "float",
    special: [0, 1, -1, 0.1, 16777217, 3.4028234663852886e38, -3.4028234663852886e38, 1.1754943508222875e-38].map(
      floatPair,
    ),
    random: (random) => floatPair(fromBits(random, 4)),
  },
  {
    name: "twice",
    column: "double",
    special: [0, 1, -1, 0.1, 1 / 3, 9007199254740993, 1.7976931348623157e308, 2.2250738585072014e-308, 5e-324].map(
      doublePair,
    ),
    random: (random) => doublePair(fromBits(random, 8)),
  },
  {
    name: "scaled",
    column: "double(20,3)",
    ...exactly([["0.123", "0.123"], ["-12345678.901", "-12345678.901"], ["99999999999999.5", "99999999999999.5"]]),
  },
  decimals(5, 0),
  decimals(10, 2),
  decimals(18, 18, true),
  decimals(38, 10),
  decimals(39, 0),
  decimals(65, 30),
  decimals(65, 0, true),
  {
    name: "day",
    column: "date",
    special: [["'0001-01-01'", "0001-01-01"], ["'1000-01-01'", "1000-01-01"], ["'9999-12-31'", "9999-12-31"], [
      "'2024-02-29'",
      "2024-02-29",
    ]],
    random(random) {
      const date = randomDate(random);
      return [`'${date}'`, date];
    },
  },
  ...[0, 1, 3, 6].map(datetimes),
  ...[0, 4, 6].map(timestamps),
  {
    name: "clock",
    column: "time(6)",
    special: [["'00:00:00'", "00:00:00.000000"], ["'23:59:59.999999'", "23:59:59.999999"]],
    random(random) {
      const { written, full } = fraction(random, 6);
      const at = randomTime(random);
      return [`'${at}${written}'`, `${at}.${full}`];
    },
  },
  ...[1, 7, 8, 63, 64].map(bits),
  texts("fixed", "char(40)", "utf8mb4", 40, true),
  ...["utf8mb4", "utf8mb3", "latin1", "cp1251", "ascii", "gbk", "sjis", "utf16", "utf32", "koi8r"].map((charset) =>
    texts("short", "varchar(60)", charset, 60)
  ),
  texts("long", "longtext", "utf8mb4", 2000),
  texts("long", "mediumtext", "latin1", 2000),
  binaries("fixed_bytes", "binary(20)", 20, 20),
  binaries("short_bytes", "varbinary(300)", 300),
  binaries("long_bytes", "longblob", 5000),
  {
    name: "choice",
    column: "enum('a','b','','it''s','ü\"','x,y')",
    ...exactly([["'a'", "a"], ["'b'", "b"], ["''", ""], ["'it''s'", "it's"], ["'ü\"'", 'ü"'], ["'x,y'", "x,y"]]),
  },
  {
    name: "choices",
    column: "set('a','b','é') CHARACTER SET latin1",
    ...exactly([["''", ""], ["'a'", "a"], ["'é,a'", "a,é"], ["'a,b,é'", "a,b,é"]]),
  },
  {
    name: "doc",
    column: "json",
    ...exactly(
      [`{"a": 1}`, `[1, 2, "é🔑"]`, "null", `"x"`, `{"deep": {"n": 12345678901234567890}}`].map((
        t,
      ): Pair => [sqlText(t), t]),
    ),
  },
  {
    name: "place",
    column: "point",
    ...exactly([[0, 0], [1.5, -2.25], [13.37, 52.52]].map(([x, y]): Pair => [`POINT(${x}, ${y})`, wkbPoint(x!, y!)])),
  },
  {
    name: "shape",
    column: "geometry",
    ...exactly([["ST_GeomFromText('POINT(1 2)')", wkbPoint(1, 2)]]),
  },
  {
    name: "uid",
    column: "uuid",
    only: "mariadb",
    special: [
      ["'00000000-0000-0000-0000-000000000000'", "00000000-0000-0000-0000-000000000000"],
      ["'ffffffff-ffff-ffff-ffff-ffffffffffff'", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    ],
    random(random) {
      const bytes = random.bytes(16);
      // The server takes only versions it knows.
      bytes[6] = (bytes[6]! & 0x0f) | 0x40;
      bytes[8] = (bytes[8]! & 0x3f) | 0x80;
      const h = hex(bytes);
      const text = `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
      return [`'${text}'`, text];
    },
  },
  {
    name: "v6",
    column: "inet6",
    only: "mariadb",
    ...exactly([["'::'", "::"], ["'2001:db8::ff00:42:8329'", "2001:db8::ff00:42:8329"]]),
  },
  {
    name: "v4",
    column: "inet4",
    only: "mariadb",
    ...exactly([["'0.0.0.0'", "0.0.0.0"], ["'255.255.255.255'", "255.255.255.255"]]),
  },
];

testMysql(servers, "values of every type are the same in DuckDB and hyparquet", async (db) => {
  const random = openRandom("mysql values");
  const kinds = KINDS.filter((kind) => kind.only === undefined || kind.only === db.server.name);
  const specials = Math.max(...kinds.map((kind) => kind.special.length));
  const rows: Pair[][] = [];
  for (let i = 0; i < specials + RANDOM_ROWS; i++) {
    rows.push(kinds.map((kind) => {
      const special = kind.special[i];
      if (special !== undefined) return special;
      return random.integer(0, 9) === 0 ? ["NULL", null] : kind.random(random);
    }));
  }
  rows.push(kinds.map((): Pair => ["NULL", null]));
  await db.run(`CREATE TABLE v (row_id int PRIMARY KEY, ${kinds.map((k) => `${k.name} ${k.column}`).join(", ")})`);
  for (const [i, row] of rows.entries()) {
    await db.run(
      `SET time_zone = '+00:00'; INSERT INTO v VALUES (${i}, ${row.map(([literal]) => literal).join(", ")})`,
    );
  }
  await using source = await openMysql(db.connection, limits);
  await source.begin(null);
  const { file, report } = await encodeQuery(source, { kind: "table", schema: null, name: "v" });
  assert.equal(report.rows, rows.length);
  const path = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    await Deno.writeFile(path, file);
    compare("hyparquet", await readWithHyparquet(file), kinds, rows);
    compare("DuckDB", await readWithDuckdb(path), kinds, rows);
  } finally {
    await Deno.remove(path);
  }
});

function compare(reader: string, found: Cell[][], kinds: readonly Kind[], rows: Pair[][]): void {
  assert.equal(found.length, rows.length);
  const byId = new Map(found.map(([id, ...cells]) => [id, cells]));
  for (const [i, row] of rows.entries()) {
    const cells = byId.get(String(i));
    assert.ok(cells !== undefined, `${reader}: row ${i}`);
    for (const [at, kind] of kinds.entries()) {
      const cell: Cell = cells[at] ?? null;
      const [literal, expected] = row[at]!;
      if (cell === "?" && expected !== null) continue;
      assert.equal(cell, expected, `${reader}: ${kind.name} ${kind.column} of ${literal}`);
    }
  }
}

async function refusal(
  db: MysqlDatabase,
  column: string,
  value: string,
  type?: LogicalType,
): Promise<RivetError | null> {
  await db.run(`CREATE OR REPLACE TABLE r (x ${column}); SET sql_mode = ''; INSERT INTO r VALUES (${value})`.replace(
    "CREATE OR REPLACE TABLE r",
    "DROP TABLE IF EXISTS r; CREATE TABLE r",
  ));
  await using source = await openMysql(db.connection, limits);
  const overrides = type === undefined ? {} : { x: type };
  const error = await encodeQuery(source, { kind: "table", schema: null, name: "r" }, { overrides }).then(
    () => null,
    (e) => e,
  );
  assert.ok(error === null || error instanceof RivetError, `${error?.stack}`);
  return error;
}

async function single(db: MysqlDatabase, type?: LogicalType, zeroDates?: "null"): Promise<Cell> {
  await using source = await openMysql(db.connection, limits);
  const { file } = await encodeQuery(source, { kind: "table", schema: null, name: "r" }, {
    overrides: type === undefined ? {} : { x: type },
    ...(zeroDates === undefined ? {} : { zeroDates }),
  });
  return (await readWithHyparquet(file))[0]![0]!;
}

const STRING: LogicalType = { kind: "string" };

/** Column, value, the override that cures the refusal, and what it then reads as. */
const REFUSED: [string, string, LogicalType | null, Cell][] = [
  ["tinyint(1)", "5", { kind: "int16" }, "5"],
  ["tinyint(1)", "-1", { kind: "int16" }, "-1"],
  ["time", "'24:00:00'", STRING, "24:00:00"],
  ["time", "'24:00:01'", STRING, "24:00:01"],
  ["time", "'838:59:59'", STRING, "838:59:59"],
  ["time(3)", "'-00:00:00.001'", STRING, "-00:00:00.001"],
  ["date", "'0000-00-00'", STRING, "0000-00-00"],
  ["datetime", "'0000-00-00 00:00:00'", STRING, "0000-00-00 00:00:00"],
  ["date", "'2024-00-15'", STRING, "2024-00-15"],
  ["timestamp NULL", "'0000-00-00 00:00:00'", STRING, "0000-00-00 00:00:00"],
];

testMysql(servers, "a value its type cannot hold is refused, and the named override reads it", async (db) => {
  for (const [column, value, cure, expected] of REFUSED) {
    const error = await refusal(db, column, value);
    assert.equal(error?.code, "RIVET_SOURCE_VALUE_UNREPRESENTABLE", `${column} ${value}`);
    assert.match(`${error?.message} ${error?.where}`, /'x'/, `${column} ${value}`);
    if (cure !== null) assert.equal(await single(db, cure), expected);
  }
});

testMysql(servers, "zero dates become NULL only where the policy says so", async (db) => {
  for (
    const [column, value] of [["date", "'0000-00-00'"], ["datetime(6)", "'0000-00-00 00:00:00'"], [
      "date",
      "'2024-01-00'",
    ]] as const
  ) {
    assert.equal((await refusal(db, column, value))?.code, "RIVET_SOURCE_VALUE_UNREPRESENTABLE");
    assert.equal(await single(db, undefined, "null"), null);
  }
});

testMysql(servers, "an override that a value does not fit is refused, never NULL", async (db) => {
  const cases: [string, string, LogicalType][] = [
    ["int", "70000", { kind: "int16" }],
    ["bigint unsigned", "18446744073709551615", { kind: "int64" }],
    ["bigint", "-1", { kind: "uint64" }],
    ["decimal(20,0)", "99999999999999999999", { kind: "int64" }],
    ["decimal(10,3)", "1.255", { kind: "decimal", precision: 10, scale: 2 }],
    ["int", "12345", { kind: "decimal", precision: 4, scale: 0 }],
    ["varchar(20)", "'x'", { kind: "int64" }],
    ["varchar(20)", "''", { kind: "int32" }],
    ["varchar(20)", "'1e400'", { kind: "float64" }],
    ["varchar(20)", "'12:00'", { kind: "date" }],
    ["varchar(40)", "'2024-13-01 00:00:00'", { kind: "timestamp", unit: "us", utc: false }],
    ["varchar(40)", "'not-a-uuid'", { kind: "uuid" }],
    ["varchar(16)", "'sixteen letters.'", { kind: "uuid" }],
    ["decimal(10,2)", "-5.01", { kind: "int64" }],
    ["varbinary(20)", "X'0102'", { kind: "uuid" }],
    ["varbinary(20)", "X'FF'", STRING],
    ["varchar(20)", "'yes'", { kind: "bool" }],
    ["bit(64)", "b'1111111111111111111111111111111111111111111111111111111111111111'", { kind: "int64" }],
    ["datetime", "'9999-12-31 00:00:00'", { kind: "timestamp", unit: "ns", utc: false }],
  ];
  for (const [column, value, type] of cases) {
    const error = await refusal(db, column, value, type);
    assert.ok(error !== null, `${column} ${value} as ${type.kind} was accepted`);
    assert.equal(error.kind === "internal", false, `${column} ${value}: ${error.code} ${error.message}`);
    assert.equal(error.retry, "never");
  }
});

testMysql(servers, "an override that fits reads the same value", async (db) => {
  const cases: [string, string, LogicalType, Cell][] = [
    ["bigint unsigned", "18446744073709551615", { kind: "decimal", precision: 20, scale: 0 }, "18446744073709551615"],
    ["int", "12", { kind: "decimal", precision: 10, scale: 3 }, "12.000"],
    ["decimal(10,0)", "-5", { kind: "int64" }, "-5"],
    ["decimal(10,2)", "-5.00", { kind: "int64" }, "-5"],
    ["decimal(21,1)", "18446744073709551615.0", { kind: "uint64" }, "18446744073709551615"],
    ["varbinary(40)", "'00112233445566778899aabbccddeeff'", { kind: "uuid" }, "00112233-4455-6677-8899-aabbccddeeff"],
    ["tinyint", "1", { kind: "bool" }, "true"],
    ["float", "0.1", { kind: "float64" }, String(Math.fround(0.1))],
    ["float", "0.1", STRING, "0.10000000149011612"],
    ["bit(10)", "b'1000000001'", STRING, "513"],
    ["bit(10)", "b'1000000001'", { kind: "binary" }, "0201"],
    ["bit(64)", "~0", { kind: "decimal", precision: 20, scale: 0 }, "18446744073709551615"],
    ["binary(16)", "X'00112233445566778899aabbccddeeff'", { kind: "uuid" }, "00112233-4455-6677-8899-aabbccddeeff"],
    ["char(36)", "'00112233-4455-6677-8899-AABBCCDDEEFF'", { kind: "uuid" }, "00112233-4455-6677-8899-aabbccddeeff"],
    ["varchar(20)", "'2024-05-06'", { kind: "date" }, "2024-05-06"],
    [
      "varchar(40)",
      "'2024-05-06 07:08:09.5'",
      { kind: "timestamp", unit: "us", utc: false },
      "2024-05-06 07:08:09.500000",
    ],
    ["datetime", "'2024-05-06 07:08:09'", { kind: "timestamp", unit: "us", utc: true }, "2024-05-06 07:08:09.000000"],
    ["varbinary(9)", "'abc'", STRING, "abc"],
    ["varchar(9)", "'é'", { kind: "binary" }, "c3a9"],
    ["point", "POINT(1.5, -2)", STRING, "POINT(1.5 -2)"],
    ["year", "2024", STRING, "2024"],
    ["varchar(9)", "'[1]'", { kind: "json" }, "[1]"],
    ["int", "5", STRING, "5"],
  ];
  for (const [column, value, type, expected] of cases) {
    const error = await refusal(db, column, value, type);
    assert.equal(error, null, `${column} ${value} as ${type.kind}: ${error?.message}`);
    assert.equal(await single(db, type), expected, `${column} ${value} as ${type.kind}`);
  }
});

/** Every type the config can declare. */
const DECLARABLE: readonly LogicalType[] = [
  { kind: "bool" },
  { kind: "int16" },
  { kind: "int32" },
  { kind: "int64" },
  { kind: "float32" },
  { kind: "float64" },
  { kind: "decimal", precision: 38, scale: 10 },
  { kind: "date" },
  { kind: "timestamp", unit: "us", utc: false },
  { kind: "timestamp", unit: "us", utc: true },
  { kind: "timestamp", unit: "ns", utc: false },
  { kind: "string" },
  { kind: "binary" },
  { kind: "json" },
  { kind: "uuid" },
];

testMysql(servers, "no override turns a value into NULL, whatever the column", async (db) => {
  const kinds = KINDS.filter((kind) => kind.only === undefined || kind.only === db.server.name);
  const literals = kinds.map((kind) => (kind.special[1] ?? kind.special[0]!)[0]);
  await db.run(`CREATE TABLE o (${kinds.map((k) => `${k.name} ${k.column}`).join(", ")});
    SET time_zone = '+00:00'; INSERT INTO o VALUES (${literals.join(", ")})`);
  let read = 0;
  let refused = 0;
  for (const { name, column } of kinds) {
    for (const type of DECLARABLE) {
      await using source = await openMysql(db.connection, limits);
      const query = { kind: "query", sql: `SELECT ${name} FROM o` } as const;
      try {
        const { file } = await encodeQuery(source, query, { overrides: { [name]: type } });
        assert.notEqual((await readWithHyparquet(file))[0]![0], null, `${column} as ${type.kind}`);
        read++;
      } catch (error) {
        if (!(error instanceof RivetError)) throw error;
        assert.ok(
          ["usage", "refusal"].includes(error.kind),
          `${column} as ${type.kind}: ${error.code} ${error.message}`,
        );
        refused++;
      }
    }
  }
  assert.ok(read > 100 && refused > 100, `${read} read, ${refused} refused`);
});

testMysql(servers, "text that has no equal in Unicode is refused, not replaced", async (db) => {
  const error = await refusal(db, "varchar(10) CHARACTER SET cp1251", "_cp1251 X'6198'");
  assert.equal(error?.code, "RIVET_SOURCE_VALUE_UNREPRESENTABLE");
});

testMysql(
  servers,
  "a row of several packets arrives whole, and a value above the limit is refused by its length",
  async (db) => {
    await db.run("CREATE TABLE r (id int, x longblob, y longblob)");
    const sizes = [0, 1, 250, 251, 65535, 65536, 16777210, 16777215];
    for (const [i, size] of sizes.entries()) {
      await db.run(`INSERT INTO r VALUES (${i}, REPEAT(CHAR(${65 + i}), ${size}), REPEAT('y', ${i * 1000}))`);
    }
    // Above 16 MB a literal does not fit the server's default packet; it grows in place.
    await db.run("UPDATE r SET y = REPEAT('z', 9000000) WHERE id >= 6");
    await using source = await openMysql(db.connection, limits);
    const { file, report } = await encodeQuery(source, { kind: "table", schema: null, name: "r" });
    assert.equal(report.rows, sizes.length);
    const rows = await readWithHyparquet(file);
    assert.deepEqual(rows.map((row) => row[1]!.length / 2), sizes);
    // Every byte of a value is one letter: 0x41, 0x42, …
    for (const [i, row] of rows.entries()) {
      assert.equal(row[1] === hex(new Uint8Array([65 + i])).repeat(sizes[i]!), true);
    }
    assert.equal(rows[7]![2]!.length / 2, 9_000_000);
    const refused = await encodeQuery(source, { kind: "table", schema: null, name: "r" }, { maxValueBytes: 1 << 20 })
      .then(() => null, (e) => e);
    assert.equal(refused?.code, "RIVET_VALUE_TOO_LARGE");
  },
);
