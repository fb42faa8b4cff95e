// Numbers and times of SQL Server as text: random values against BigInt and Date, and the ends of every range.

import assert from "node:assert/strict";
import { ResponseReader } from "../../../../src/source/mssql/response.ts";
import { keepRows } from "../../../support/row_sink.ts";
import { columnsToken, rowToken, toWireType } from "../../../support/tds/types.ts";
import { chooseSeed } from "../../../support/random.ts";

function decode(type: string, values: readonly string[]): (string | null)[] {
  const wire = toWireType(type);
  const reader = new ResponseReader("wire", Infinity);
  reader.feed(columnsToken([{ name: "a", wire }]));
  for (const value of values) reader.feed(rowToken([wire], [value]));
  const sink = keepRows();
  const fields = reader.viewFields();
  sink.room(fields.length).set(fields);
  sink.wrote(fields.length);
  return sink.texts(1).map(([text]) => text!);
}

const seed = chooseSeed() % 1_000_000;
let state = seed;
const random = () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
const randomDigits = (count: number) => Array.from({ length: count }, () => Math.floor(random() * 10)).join("");

Deno.test("decimals of every precision and scale keep all their digits", () => {
  console.log(`seed ${seed}`);
  for (let precision = 1; precision <= 38; precision++) {
    for (const scale of new Set([0, 1, precision >> 1, precision - 1, precision])) {
      if (scale > precision) continue;
      const values = ["9".repeat(precision), "1", "0", randomDigits(precision), `1${"0".repeat(precision - 1)}`]
        .flatMap((digits) => {
          const padded = digits.padStart(scale + 1, "0");
          const whole = padded.slice(0, padded.length - scale).replace(/^0+(?=\d)/, "");
          const text = scale === 0 ? whole : `${whole}.${padded.slice(padded.length - scale)}`;
          return /[1-9]/.test(text) ? [text, `-${text}`] : [text];
        });
      assert.deepEqual(decode(`decimal(${precision},${scale})`, values), values, `decimal(${precision},${scale})`);
    }
  }
});

Deno.test("bigint keeps every value, also around 2^53 and at its ends", () => {
  const values = [
    ...[
      "0",
      "1",
      "-1",
      "4294967295",
      "4294967296",
      "-4294967296",
      "9007199254740991",
      "9007199254740992",
      "9007199254740993",
    ],
    ...["-9007199254740993", "9223372036854775807", "-9223372036854775808", "-9223372036854775807"],
    ...Array.from({ length: 200 }, () => String(BigInt.asIntN(64, BigInt(randomDigits(20))))),
  ];
  assert.deepEqual(decode("bigint", values), values);
});

Deno.test("money is never rounded", () => {
  const values = ["922337203685477.5807", "-922337203685477.5808", "0.0000", "-0.0001", "90071992547409.9301"];
  assert.deepEqual(decode("money", values), values);
  const small = ["214748.3647", "-214748.3648", "-0.0001", "0.0000"];
  assert.deepEqual(decode("smallmoney", small), small);
});

Deno.test("floats read back to the same bits", () => {
  const values = ["0", "-0", "0.1", "1e+21", "5e-324", "1.7976931348623157e+308", "-123456.789", "1e-7"];
  for (let i = 0; i < 500; i++) {
    const bits = new DataView(new ArrayBuffer(8));
    for (let at = 0; at < 8; at++) bits.setUint8(at, Math.floor(random() * 256));
    const value = bits.getFloat64(0);
    if (Number.isFinite(value)) values.push(String(value));
  }
  assert.deepEqual(decode("float", values).map(Number), values.map(Number));
  assert.equal(decode("float", ["-0"])[0], "-0");
  assert.deepEqual(decode("real", ["0.1", "3.4028234663852886e38"]).map((t) => Math.fround(Number(t))), [
    Math.fround(0.1),
    3.4028234663852886e38,
  ]);
});

Deno.test("every day of the calendar is written as Date writes it", () => {
  const values: string[] = [];
  for (let year = 1; year <= 9999; year += 7) {
    for (const day of ["01-01", "02-28", "03-01", "12-31"]) values.push(`${String(year).padStart(4, "0")}-${day}`);
  }
  for (const year of ["0004", "1600", "1900", "2000", "2024", "2100"]) {
    const isLeap = Number(year) % 4 === 0 && (Number(year) % 100 !== 0 || Number(year) % 400 === 0);
    if (isLeap) values.push(`${year}-02-29`);
  }
  assert.deepEqual(decode("date", values), values);
});

Deno.test("times keep every digit of their scale", () => {
  for (let scale = 0; scale <= 7; scale++) {
    const fraction = scale === 0 ? "" : `.${"9".repeat(scale)}`;
    const values = [`00:00:00${fraction.replaceAll("9", "0")}`, `23:59:59${fraction}`, `09:08:07${fraction}`];
    assert.deepEqual(decode(`time(${scale})`, values), values);
    const stamps = values.map((clock) => `0001-01-01 ${clock}`);
    assert.deepEqual(decode(`datetime2(${scale})`, stamps), stamps);
  }
});

Deno.test("a datetimeoffset is written as its instant in UTC, over the ends of day, month and year", () => {
  assert.deepEqual(
    decode("datetimeoffset(7)", [
      "2026-01-01 00:30:00.0000001 +02:00",
      "2026-12-31 23:30:00.0000000 -14:00",
      "2024-02-29 12:00:00.1234567 +00:00",
    ]),
    ["2025-12-31 22:30:00.0000001", "2027-01-01 13:30:00.0000000", "2024-02-29 12:00:00.1234567"],
  );
});

Deno.test("a datetime is written with the milliseconds that the server shows", () => {
  const values = [
    "1753-01-01 00:00:00.000",
    "2026-01-01 00:00:00.003",
    "2026-01-01 00:00:00.007",
    "9999-12-31 23:59:59.997",
  ];
  assert.deepEqual(decode("datetime", values), values);
});
