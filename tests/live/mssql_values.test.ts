// Every type of SQL Server through the core into Parquet, read by two other programs and compared with what was inserted.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import type { LogicalType } from "../../src/types/mod.ts";
import { encodeQuery } from "../support/encode.ts";
import { type Cell, hex, readWithDuckdb, readWithHyparquet } from "../support/exact_parquet.ts";
import { listMssqlServers, type MssqlDatabase } from "../support/mssql.ts";
import { openRandom, type Random } from "../support/random.ts";

/** A T-SQL literal and the canonical text that both readers must give for it. */
type Pair = readonly [literal: string, expected: Cell];

interface Kind {
  readonly name: string;
  readonly column: string;
  readonly special: readonly Pair[];
  readonly random: (random: Random) => Pair;
}

const RANDOM_ROWS = 150;
/** Rows of one INSERT; the server takes a thousand at most. */
const INSERT_ROWS = 20;

const cast = (text: string, type: string) => `CAST('${text}' AS ${type})`;

function integers(name: string, column: string, from: bigint, to: bigint): Kind {
  const pair = (n: bigint): Pair => [cast(String(n), column), String(n)];
  return {
    name,
    column,
    special: [from, to, 0n, 1n].map(pair),
    random: (random) => pair(random.bigint(from, to)),
  };
}

function decimalText(n: bigint, scale: number): string {
  const digits = (n < 0n ? -n : n).toString().padStart(scale + 1, "0");
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return n < 0n ? `-${text}` : text;
}

function decimals(column: string, precision: number, scale: number): Kind {
  const most = 10n ** BigInt(precision) - 1n;
  const pair = (n: bigint): Pair => [cast(decimalText(n, scale), column), decimalText(n, scale)];
  return {
    name: column.replace(/\W+/g, "_"),
    column,
    special: [-most, most, 0n, 1n, -1n].map(pair),
    random: (random) => pair(random.bigint(-most, most) / 10n ** random.bigint(0n, BigInt(precision - 1))),
  };
}

function moneys(column: string, bits: number): Kind {
  const end = 2n ** BigInt(bits - 1);
  const pair = (n: bigint): Pair => [cast(decimalText(n, 4), column), decimalText(n, 4)];
  return {
    name: column,
    column,
    special: [-end, end - 1n, 0n, -1n, 2n ** 53n + 1n].filter((n) => n < end).map(pair),
    random: (random) => pair(random.bigint(-end, end - 1n)),
  };
}

const numberText = (n: number) => Object.is(n, -0) ? "-0" : String(n);
const floatPair = (n: number): Pair => [n.toExponential(20), numberText(n)];
const realPair = (n: number): Pair => [`CAST(${n.toExponential(20)} AS real)`, numberText(Math.fround(n))];

function fromBits(random: Random, width: 4 | 8): number {
  for (;;) {
    const view = new DataView(random.bytes(8).buffer);
    const n = width === 4 ? view.getFloat32(0) : view.getFloat64(0);
    // The server makes zero of what is smaller than a normal number.
    if (Number.isFinite(n) && Math.abs(n) > (width === 4 ? 1.2e-38 : 2.3e-308)) return n;
  }
}

const two = (n: number) => String(n).padStart(2, "0");

function randomDate(random: Random, from: number, to: number): string {
  const year = String(random.integer(from, to)).padStart(4, "0");
  return `${year}-${two(random.integer(1, 12))}-${two(random.integer(1, 28))}`;
}

function randomClock(random: Random, digits: number): string {
  const clock = `${two(random.integer(0, 23))}:${two(random.integer(0, 59))}:${two(random.integer(0, 59))}`;
  return digits === 0 ? clock : `${clock}.${String(random.integer(0, 10 ** digits - 1)).padStart(digits, "0")}`;
}

/** The clock with the digits that a reader shows: nine when the scale is 7, else six. */
function fullClock(clock: string, scale: number): string {
  const [whole, fraction = ""] = clock.split(".");
  return `${whole}.${fraction.padEnd(scale === 7 ? 9 : 6, "0")}`;
}

function times(scale: number): Kind {
  const column = `time(${scale})`;
  const pair = (clock: string): Pair => [cast(clock, column), fullClock(clock, scale)];
  const nines = scale === 0 ? "" : `.${"9".repeat(scale)}`;
  return {
    name: `time_${scale}`,
    column,
    special: [pair("00:00:00"), pair(`23:59:59${nines}`)],
    random: (random) => pair(randomClock(random, scale)),
  };
}

/** Nanoseconds reach from 1677 to 2262. */
const YEARS = (scale: number): [number, number] => scale === 7 ? [1678, 2261] : [1, 9999];

function stamps(scale: number): Kind {
  const column = `datetime2(${scale})`;
  const pair = (
    date: string,
    clock: string,
  ): Pair => [cast(`${date}T${clock}`, column), `${date} ${fullClock(clock, scale)}`];
  const [from, to] = YEARS(scale);
  const nines = scale === 0 ? "" : `.${"9".repeat(scale)}`;
  return {
    name: `datetime2_${scale}`,
    column,
    special: [
      pair(`${String(from).padStart(4, "0")}-01-01`, "00:00:00"),
      pair(`${to}-12-31`, `23:59:59${nines}`),
      pair("1969-12-31", `23:59:59${nines}`),
      pair("2024-02-29", "12:00:00"),
    ],
    random: (random) => pair(randomDate(random, from, to), randomClock(random, scale)),
  };
}

function offsets(scale: number): Kind {
  const column = `datetimeoffset(${scale})`;
  const pair = (date: string, clock: string, minutes: number): Pair => {
    const size = Math.abs(minutes);
    const zone = `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
    const utc = new Date(Date.parse(`${date}T${clock.slice(0, 8)}Z`) - minutes * 60_000).toISOString();
    const fraction = fullClock(clock, scale).slice(8);
    return [cast(`${date}T${clock}${zone}`, column), `${utc.slice(0, 19).replace("T", " ")}${fraction}`];
  };
  return {
    name: `offset_${scale}`,
    column,
    special: [
      pair("2026-01-01", "00:30:00", 120),
      pair("2026-12-31", "23:30:00", -840),
      pair("2024-02-29", "12:00:00", 0),
    ],
    random: (random) => pair(randomDate(random, 1700, 2200), randomClock(random, scale), random.integer(-840, 840)),
  };
}

function texts(column: string, alphabet: string, charactersMax: number, padTo = 0): Kind {
  const letters = [...alphabet];
  const pair = (text: string): Pair => [`N'${text.replaceAll("'", "''")}'`, text.padEnd(padTo, " ")];
  return {
    name: column.replace(/\W+/g, "_"),
    column,
    special: [pair(""), pair(letters.slice(0, charactersMax).join(""))],
    random: (random) =>
      pair(Array.from({ length: random.integer(0, charactersMax) }, () => random.pick(letters)).join("")),
  };
}

function binaries(column: string, bytesMax: number, padTo = 0): Kind {
  const pair = (bytes: Uint8Array): Pair => [`0x${hex(bytes)}`, hex(bytes).padEnd(2 * padTo, "0")];
  return {
    name: column.replace(/\W+/g, "_"),
    column,
    special: [pair(new Uint8Array(0)), pair(Uint8Array.of(0)), pair(Uint8Array.of(0xfb, 0, 0x80))],
    random: (random) => pair(random.bytes(random.integer(0, bytesMax))),
  };
}

function uuid(bytes: Uint8Array): Pair {
  const text = hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return [cast(text, "uniqueidentifier"), text];
}

/** Thirds of a hundredth of a second, shown as milliseconds ending in 0, 3 and 7. */
function datetime(random: Random): Pair {
  const clock = `${randomClock(random, 2)}${random.pick(["0", "3", "7"])}`;
  const date = randomDate(random, 1753, 9999);
  return [cast(`${date}T${clock}`, "datetime"), `${date} ${fullClock(clock, 3)}`];
}

const LATIN = "aZ09 '\"%_[]\\éßÿ€";
const ANY = "aZ0 \t\n\"'%é€žлу漢字🔑\u{10ffff}\u200d";

const KINDS: readonly Kind[] = [
  {
    name: "flag",
    column: "bit",
    special: [["0", "false"], ["1", "true"]],
    random: (r) => r.pick([["0", "false"], ["1", "true"]]),
  },
  integers("tiny", "tinyint", 0n, 255n),
  integers("small", "smallint", -32768n, 32767n),
  integers("whole", "int", -(2n ** 31n), 2n ** 31n - 1n),
  integers("big", "bigint", -(2n ** 63n), 2n ** 63n - 1n),
  ...[[1, 0], [9, 2], [10, 10], [18, 4], [19, 19], [28, 5], [38, 0], [38, 19], [38, 38]].map(([p, s]) =>
    decimals(`decimal(${p},${s})`, p!, s!)
  ),
  decimals("numeric(20,10)", 20, 10),
  moneys("money", 64),
  moneys("smallmoney", 32),
  {
    name: "single",
    column: "real",
    special: [0, 1, -0.1, 16777217, 3.4028234663852886e38].map(realPair),
    random: (r) => realPair(fromBits(r, 4)),
  },
  {
    name: "double",
    column: "float",
    special: [0, 1, -0.1, 1e21, 1.7976931348623157e308].map(floatPair),
    random: (r) => floatPair(fromBits(r, 8)),
  },
  {
    name: "day",
    column: "date",
    special: [[cast("0001-01-01", "date"), "0001-01-01"], [cast("9999-12-31", "date"), "9999-12-31"]],
    random(random) {
      const date = randomDate(random, 1, 9999);
      return [cast(date, "date"), date];
    },
  },
  ...[0, 1, 3, 6, 7].flatMap((scale) => [times(scale), stamps(scale), offsets(scale)]),
  {
    name: "old_moment",
    column: "datetime",
    special: [[cast("1753-01-01T00:00:00", "datetime"), "1753-01-01 00:00:00.000000"], [
      cast("9999-12-31T23:59:59.997", "datetime"),
      "9999-12-31 23:59:59.997000",
    ]],
    random: datetime,
  },
  {
    name: "small_moment",
    column: "smalldatetime",
    special: [[cast("2079-06-06T23:59:00", "smalldatetime"), "2079-06-06 23:59:00.000000"]],
    random(random) {
      const date = randomDate(random, 1900, 2078);
      const clock = `${randomClock(random, 0).slice(0, 5)}:00`;
      return [cast(`${date}T${clock}`, "smalldatetime"), `${date} ${clock}.000000`];
    },
  },
  {
    name: "id",
    column: "uniqueidentifier",
    special: [uuid(new Uint8Array(16)), uuid(new Uint8Array(16).fill(255))],
    random: (r) => uuid(r.bytes(16)),
  },
  texts("char(12)", "aZ09_é", 12, 12),
  texts("varchar(40)", LATIN, 40),
  texts("varchar(max)", LATIN, 300),
  texts("nchar(8)", "aZ漢é", 8, 8),
  texts("nvarchar(60)", ANY, 30),
  texts("nvarchar(max)", ANY, 5000),
  binaries("binary(9)", 9, 9),
  binaries("varbinary(90)", 90),
  binaries("varbinary(max)", 9000),
];

for (const server of listMssqlServers()) {
  Deno.test(`${server.name}: values of every type are the same in DuckDB and hyparquet`, async () => {
    const random = openRandom("mssql values");
    const rows: Pair[][] = [];
    const specials = Math.max(...KINDS.map((kind) => kind.special.length));
    for (let i = 0; i < specials + RANDOM_ROWS; i++) {
      rows.push(KINDS.map((kind): Pair => {
        const special = kind.special[i];
        if (special !== undefined) return special;
        return random.integer(0, 9) === 0 ? ["NULL", null] : kind.random(random);
      }));
    }
    rows.push(KINDS.map((): Pair => ["NULL", null]));
    await using database = await server.openDatabase();
    const columns = KINDS.map((kind, i) => `[c${i}] ${kind.column} NULL`);
    await database.run(`CREATE TABLE v ([row_id] int NOT NULL PRIMARY KEY, ${columns.join(", ")})`);
    for (let from = 0; from < rows.length; from += INSERT_ROWS) {
      const lines = rows.slice(from, from + INSERT_ROWS).map((row, i) =>
        `(${from + i}, ${row.map(([literal]) => literal).join(", ")})`
      );
      await database.run(`INSERT INTO v VALUES ${lines.join(", ")}`);
    }
    await using source = await database.open();
    await source.begin(null);
    const { file, report } = await encodeQuery(source, { kind: "table", schema: null, name: "v" });
    assert.equal(report.rows, rows.length);
    const path = await Deno.makeTempFile({ suffix: ".parquet" });
    try {
      await Deno.writeFile(path, file);
      compare("hyparquet", await readWithHyparquet(file), rows);
      compare("DuckDB", await readWithDuckdb(path), rows);
    } finally {
      await Deno.remove(path);
    }
  });

  Deno.test(`${server.name}: a value its type cannot hold is refused, and the named override reads it`, async () => {
    await using database = await server.openDatabase();
    const us: LogicalType = { kind: "timestamp", unit: "us", utc: false };
    const far = cast("9999-12-31T23:59:59", "datetime2(7)");
    assert.equal((await refusal(database, "datetime2(7)", far))?.code, "RIVET_SOURCE_VALUE_UNREPRESENTABLE");
    assert.equal(await single(database, us), "9999-12-31 23:59:59.000000");
    // A seventh digit is not cut off.
    const fine = cast("2026-01-01T00:00:00.0000001", "datetime2(7)");
    assert.notEqual(await refusal(database, "datetime2(7)", fine, us), null);
    assert.equal(await single(database), "2026-01-01 00:00:00.000000100");
    assert.equal(await single(database, { kind: "string" }), "2026-01-01 00:00:00.0000001");
  });

  Deno.test(`${server.name}: an override that a value does not fit is refused, never NULL`, async () => {
    await using database = await server.openDatabase();
    const cases: [string, string, LogicalType][] = [
      ["int", "70000", { kind: "int16" }],
      ["bigint", "-1", { kind: "uint64" }],
      ["int", "2", { kind: "bool" }],
      ["decimal(10,2)", "1.25", { kind: "int64" }],
      ["decimal(10,3)", "1.255", { kind: "decimal", precision: 10, scale: 2 }],
      ["money", "1.0001", { kind: "decimal", precision: 19, scale: 2 }],
      ["int", "12345", { kind: "decimal", precision: 4, scale: 0 }],
      ["varchar(20)", "'x'", { kind: "int64" }],
      ["nvarchar(20)", "''", { kind: "int32" }],
      ["varchar(40)", "'2024-13-01 00:00:00'", { kind: "timestamp", unit: "us", utc: false }],
      ["varchar(40)", "'not-a-uuid'", { kind: "uuid" }],
      ["varbinary(20)", "0x0102", { kind: "uuid" }],
      ["datetime", cast("9999-12-31T00:00:00", "datetime"), { kind: "timestamp", unit: "ns", utc: false }],
    ];
    for (const [column, value, type] of cases) {
      const error = await refusal(database, column, value, type);
      assert.ok(error !== null, `${column} ${value} as ${type.kind} was accepted`);
      assert.notEqual(error.kind, "internal", `${column} ${value}: ${error.code} ${error.message}`);
      assert.equal(error.retry, "never");
    }
  });

  Deno.test(`${server.name}: an override that fits reads the same value`, async () => {
    await using database = await server.openDatabase();
    const cases: [string, string, LogicalType, Cell][] = [
      ["int", "12", { kind: "decimal", precision: 10, scale: 3 }, "12.000"],
      ["decimal(10,0)", "-5", { kind: "int64" }, "-5"],
      ["decimal(10,2)", "-5.00", { kind: "int64" }, "-5"],
      ["tinyint", "1", { kind: "bool" }, "true"],
      ["real", "0.1", { kind: "float64" }, String(Math.fround(0.1))],
      ["binary(16)", "0x00112233445566778899aabbccddeeff", { kind: "uuid" }, "00112233-4455-6677-8899-aabbccddeeff"],
      ["char(36)", "'00112233-4455-6677-8899-AABBCCDDEEFF'", { kind: "uuid" }, "00112233-4455-6677-8899-aabbccddeeff"],
      ["varchar(20)", "'2024-05-06'", { kind: "date" }, "2024-05-06"],
      ["nvarchar(9)", "N'[1]'", { kind: "json" }, "[1]"],
      ["int", "5", { kind: "string" }, "5"],
      ["money", "5.5", { kind: "string" }, "5.5000"],
    ];
    for (const [column, value, type, expected] of cases) {
      const error = await refusal(database, column, value, type);
      assert.equal(error, null, `${column} ${value} as ${type.kind}: ${error?.message}`);
      assert.equal(await single(database, type), expected, `${column} ${value} as ${type.kind}`);
    }
  });
}

function compare(reader: string, found: Cell[][], rows: Pair[][]): void {
  assert.equal(found.length, rows.length);
  const byId = new Map(found.map(([id, ...cells]) => [id, cells]));
  for (const [i, row] of rows.entries()) {
    const cells = byId.get(String(i));
    assert.ok(cells !== undefined, `${reader}: row ${i}`);
    for (const [at, kind] of KINDS.entries()) {
      const [literal, expected] = row[at]!;
      // DuckDB has no instants in nanoseconds and rounds them towards 1970, and it cuts the nanoseconds of a time.
      if (reader === "DuckDB" && kind.column === "datetimeoffset(7)" && expected !== null) continue;
      const isCut = reader === "DuckDB" && kind.column === "time(7)" && expected !== null;
      const shown = isCut ? expected.slice(0, -3) : expected;
      assert.equal(cells[at] ?? null, shown, `${reader}: ${kind.column} of ${literal.slice(0, 200)}`);
    }
  }
}

/** Stores one value in a new table `r` and reads it; the error, or null when it was taken. */
async function refusal(
  database: MssqlDatabase,
  column: string,
  value: string,
  type?: LogicalType,
): Promise<RivetError | null> {
  await database.run("DROP TABLE IF EXISTS r");
  await database.run(`CREATE TABLE r ([x] ${column} NULL)`);
  await database.run(`INSERT INTO r VALUES (${value})`);
  const error = await single(database, type).then(() => null, (e) => e);
  assert.ok(error === null || error instanceof RivetError, `${error?.stack}`);
  return error;
}

async function single(database: MssqlDatabase, type?: LogicalType): Promise<Cell> {
  await using source = await database.open();
  const overrides = type === undefined ? {} : { x: type };
  const { file } = await encodeQuery(source, { kind: "table", schema: null, name: "r" }, { overrides });
  return (await readWithHyparquet(file))[0]![0]!;
}
