// The fake itself, read by the driver's own parser: what our reader finds in its bytes must be what SQL Server would have sent.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Connection, Request } from "tedious";
import { openFakeTds, type WireValue } from "../support/tds_fake.ts";

/** Type, value given to the fake, value as the driver reads it. */
const CASES: readonly (readonly [string, WireValue, unknown])[] = [
  ["bit", "1", true],
  ["bit not null", "0", false],
  ["tinyint not null", "255", 255],
  ["smallint", "-32768", -32768],
  ["int not null", "-5", -5],
  ["bigint", "-9223372036854775808", "-9223372036854775808"],
  ["bigint not null", "9007199254740993", "9007199254740993"],
  ["real", "0.5", 0.5],
  ["float not null", "-1.7976931348623157e308", -1.7976931348623157e308],
  ["decimal(9,2)", "-1234567.89", -1234567.89],
  ["decimal(19,4)", "12345678.1234", 12345678.1234],
  ["numeric(28,3)", "-5.125", -5.125],
  ["decimal(38,10)", "1234.5", 1234.5],
  ["money", "-123456.7891", -123456.7891],
  ["money not null", "4294967.2965", 4294967.2965],
  ["smallmoney", "-0.0001", -0.0001],
  ["date", "0001-01-01", new Date("0001-01-01T00:00:00Z")],
  ["date", "2024-02-29", new Date("2024-02-29T00:00:00Z")],
  ["time(3)", "12:34:56.789", new Date("1970-01-01T12:34:56.789Z")],
  ["datetime2(3)", "9999-12-31 23:59:59.999", new Date("9999-12-31T23:59:59.999Z")],
  ["datetime2(7)", "2026-11-21 12:34:56.1230000", new Date("2026-11-21T12:34:56.123Z")],
  ["datetime", "1753-01-01 00:00:00.003", new Date("1753-01-01T00:00:00.003Z")],
  ["datetime not null", "2026-01-01 23:59:59.997", new Date("2026-01-01T23:59:59.997Z")],
  ["smalldatetime", "2079-06-06 23:59:00", new Date("2079-06-06T23:59:00Z")],
  ["datetimeoffset(3)", "2026-01-01 00:30:00.001 +02:00", new Date("2025-12-31T22:30:00.001Z")],
  ["uniqueidentifier", "0F8FAD5B-D9CB-469F-A165-70867728950E", "0F8FAD5B-D9CB-469F-A165-70867728950E"],
  ["varchar(20)", "naïve", "naïve"],
  ["char(6)", "abc   ", "abc   "],
  ["varchar(max)", "é".repeat(20_000), "é".repeat(20_000)],
  ["varchar(40) utf8", "žluť 😀", "žluť 😀"],
  ["nvarchar(20)", "žluť 😀", "žluť 😀"],
  ["nvarchar(max)", "日本".repeat(9000), "日本".repeat(9000)],
  ["text", "naïve", "naïve"],
  ["ntext", "старый", "старый"],
  ["xml", "<a>ž</a>", "<a>ž</a>"],
  ["varbinary(10)", Uint8Array.of(0, 251), Buffer.of(0, 251)],
  ["varbinary(max)", new Uint8Array(30_000).fill(7), Buffer.alloc(30_000, 7)],
  ["image", Uint8Array.of(1, 2), Buffer.of(1, 2)],
  ["sql_variant", "int:-5", -5],
  ["sql_variant", "datetime2(3):2026-01-02 03:04:05.123", new Date("2026-01-02T03:04:05.123Z")],
  ["sql_variant", "decimal(10,2):1.25", 1.25],
  ["sql_variant", "nvarchar:ž", "ž"],
];

function readByDriver(port: number, sql: string): Promise<unknown[][]> {
  return new Promise((resolve, reject) => {
    const rows: unknown[][] = [];
    const connection = new Connection({
      server: "127.0.0.1",
      authentication: { type: "default", options: { userName: "sa", password: "x" } },
      options: { port, encrypt: false, database: "db", workstationId: "test" },
    });
    const request = new Request(sql, (error) => {
      connection.once("end", () => error ? reject(error) : resolve(rows));
      connection.close();
    });
    request.on("row", (columns: { value: unknown }[]) => rows.push(columns.map((c) => c.value)));
    connection.connect((error) => error ? reject(error) : connection.execSqlBatch(request));
  });
}

for (const bitmapRows of [false, true]) {
  Deno.test(`the driver reads every type of the fake (NULL bitmap: ${bitmapRows})`, async () => {
    await using fake = await openFakeTds({
      bitmapRows,
      packetBytes: 700,
      *answer(sql) {
        if (sql !== "SELECT cases") return;
        yield { kind: "columns", columns: CASES.map(([type], i) => ({ name: `c${i}`, type })) };
        yield { kind: "row", values: CASES.map(([, value]) => value) };
        yield { kind: "row", values: CASES.map(([type, value]) => /not null/.test(type) ? value : null) };
      },
    });
    const [values, nulls] = await readByDriver(fake.port, "SELECT cases");
    for (const [i, [type, , expected]] of CASES.entries()) {
      assert.deepEqual(plain(values![i]), plain(expected), type);
      assert.deepEqual(plain(nulls![i]), /not null/.test(type) ? plain(expected) : null, `${type} NULL`);
    }
  });
}

/** The driver adds properties to its dates. */
function plain(value: unknown): unknown {
  return value instanceof Date ? value.toISOString() : value;
}
