// Responses taken apart: whatever pieces the bytes come in, the same fields come out, and nothing that is not a row is lost.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ResponseReader } from "../../../../src/source/mssql/response.ts";
import { keepRows } from "../../../support/row_sink.ts";
import {
  bitmapRowToken,
  columnsToken,
  inParts,
  rowToken,
  toWireType,
  type WireType,
  type WireValue,
} from "../../../support/tds/types.ts";
import { DONE, doneToken, messageToken, u16, u32, u8 } from "../../../support/tds/wire.ts";
import { chooseSeed } from "../../../support/random.ts";

interface Case {
  readonly type: string;
  readonly value: WireValue;
  readonly text: string;
}

const CASES: Case[] = [
  { type: "int not null", value: "-7", text: "-7" },
  { type: "bigint", value: "9007199254740993", text: "9007199254740993" },
  { type: "decimal(38,20)", value: "-1.00000000000000000001", text: "-1.00000000000000000001" },
  { type: "datetime2(7)", value: "2026-02-28 23:59:59.9999999", text: "2026-02-28 23:59:59.9999999" },
  { type: "nvarchar(200)", value: "é😀".repeat(90), text: "é😀".repeat(90) },
  { type: "nvarchar(200)", value: "a".repeat(200), text: "a".repeat(200) },
  { type: "varchar(300)", value: "é".repeat(130), text: "é".repeat(130) },
  { type: "nvarchar(max)", value: "ž".repeat(9000), text: "ž".repeat(9000) },
  { type: "varchar(max) utf8", value: "ž😀", text: "ž😀" },
  { type: "ntext", value: "старый", text: "старый" },
  { type: "text", value: "naïve", text: "naïve" },
  { type: "nvarchar(9)", value: "a\0b", text: "a\0b" },
  { type: "xml", value: "<a/>", text: "<a/>" },
  { type: "json", value: '{"a":"ž"}', text: '{"a":"ž"}' },
  { type: "sql_variant", value: "int:-5", text: "-5" },
  { type: "sql_variant", value: "bigint:9007199254740993", text: "9007199254740993" },
  { type: "sql_variant", value: "bit:1", text: "1" },
  { type: "sql_variant", value: "float:0.1", text: "0.1" },
  { type: "sql_variant", value: "money:-1.5", text: "-1.5000" },
  { type: "sql_variant", value: "decimal(20,10):12345.6789", text: "12345.6789000000" },
  { type: "sql_variant", value: "date:2026-01-02", text: "2026-01-02" },
  { type: "sql_variant", value: "datetime:2026-01-02 03:04:05.997", text: "2026-01-02 03:04:05.997" },
  { type: "sql_variant", value: "datetime2(7):2026-01-02 03:04:05.1234567", text: "2026-01-02 03:04:05.1234567" },
  {
    type: "sql_variant",
    value: "datetimeoffset(3):2026-01-01 00:30:00.001 +02:00",
    text: "2026-01-01 00:30:00.001 +02:00",
  },
  {
    type: "sql_variant",
    value: "datetimeoffset(0):2026-01-01 23:30:00 -11:30",
    text: "2026-01-01 23:30:00 -11:30",
  },
  {
    type: "sql_variant",
    value: "uniqueidentifier:0F8FAD5B-D9CB-469F-A165-70867728950E",
    text: "0f8fad5b-d9cb-469f-a165-70867728950e",
  },
  { type: "sql_variant", value: "varbinary:00ff", text: "0x00ff" },
  { type: "sql_variant", value: "varchar:é", text: "é" },
  { type: "sql_variant", value: "nvarchar:😀", text: "😀" },
];

function buildResponse(cases: readonly Case[], types: readonly WireType[]): Buffer {
  return Buffer.concat([
    messageToken(5701, "Changed database context", 0),
    columnsToken(cases.map(({ type }, i) => ({ name: `c${i} ${type}`, wire: types[i]! }))),
    rowToken(types, cases.map(({ value }) => value)),
    bitmapRowToken(types, cases.map(({ value }, i) => i % 3 === 0 && !/not null/.test(cases[i]!.type) ? null : value)),
    messageToken(8153, "Null value is eliminated", 0),
    rowToken(types, cases.map(({ type, value }) => /not null/.test(type) ? value : null)),
    doneToken(DONE.COUNT, 3),
  ]);
}

function readPieces(
  response: Uint8Array,
  piece: (at: number) => number,
  maxValueBytes = Infinity,
): { rows: (string | null)[][]; passed: Buffer; counted: number } {
  const reader = new ResponseReader("wire", maxValueBytes);
  const sink = keepRows();
  const passed: Uint8Array[] = [];
  let at = 0;
  while (at < response.length) {
    const to = Math.min(response.length, at + piece(at));
    reader.feed(response.slice(at, to));
    const fields = reader.viewFields();
    sink.room(fields.length).set(fields);
    sink.wrote(fields.length);
    reader.dropFields(fields.length);
    const tokens = reader.takePassed();
    if (tokens !== null) passed.push(tokens);
    at = to;
  }
  reader.end();
  return { rows: sink.texts(reader.columns.length), passed: Buffer.concat(passed), counted: reader.rows };
}

const TYPES = CASES.map(({ type }) => toWireType(type));
const RESPONSE = buildResponse(CASES, TYPES);
const EXPECTED = [
  CASES.map(({ text }) => text),
  CASES.map(({ type, text }, i) => i % 3 === 0 && !/not null/.test(type) ? null : text),
  CASES.map(({ type, text }) => /not null/.test(type) ? text : null),
];

Deno.test("ResponseReader gives the same rows for pieces of one byte, of seven, and for all at once", () => {
  for (const size of [1, 7, 509, RESPONSE.length]) {
    const { rows, passed, counted } = readPieces(RESPONSE, () => size);
    assert.deepEqual(rows, EXPECTED, `pieces of ${size}`);
    assert.equal(counted, 3);
    const others = [
      messageToken(5701, "Changed database context", 0),
      messageToken(8153, "Null value is eliminated", 0),
    ];
    assert.deepEqual(passed, Buffer.concat([...others, doneToken(DONE.COUNT, 3)]));
  }
});

Deno.test("ResponseReader gives the same rows for pieces of random sizes", () => {
  const seed = chooseSeed() % 1_000_000;
  console.log(`seed ${seed}`);
  let state = seed;
  const random = () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  for (let run = 0; run < 200; run++) {
    const largest = 1 + Math.floor(random() * 3000);
    assert.deepEqual(readPieces(RESPONSE, () => 1 + Math.floor(random() * largest)).rows, EXPECTED);
  }
});

Deno.test("ResponseReader reads a value whose length the server does not know", () => {
  const info = Buffer.concat([u8(0xe7), u16(0xffff), u8(0x09, 0x04, 0xd0, 0x00, 0x34)]);
  const text = "x😀".repeat(40_000);
  // Parts of odd sizes cut characters and surrogate pairs in two.
  const type = inParts(info, (value) => Buffer.from(value as string, "utf16le"), 4093, true);
  const response = Buffer.concat([columnsToken([{ name: "a", wire: type }]), rowToken([type], [text])]);
  assert.deepEqual(readPieces(response, () => 1000).rows, [[text]]);
});

Deno.test("ResponseReader refuses half a surrogate pair, and names the column", () => {
  for (const type of ["nvarchar(10)", "nvarchar(max)", "nchar(3)"]) {
    for (const text of ["a\ud800", "\udc00b", "\ud800x"]) {
      const wire = toWireType(type);
      const response = Buffer.concat([columnsToken([{ name: "body", wire }]), rowToken([wire], [text])]);
      assert.throws(() => readPieces(response, () => 5), {
        code: "RIVET_SOURCE_VALUE_UNREPRESENTABLE",
        where: "column 'body'",
      });
    }
  }
});

Deno.test("ResponseReader refuses bytes that their code page does not have, and reads ASCII of any code page", () => {
  const wire = toWireType("varchar(10) japanese");
  const columns = columnsToken([{ name: "a", wire }]);
  assert.deepEqual(readPieces(Buffer.concat([columns, rowToken([wire], ["plain"])]), () => 99).rows, [["plain"]]);
  assert.throws(() => readPieces(Buffer.concat([columns, rowToken([wire], [Buffer.of(0x93, 0xfa)])]), () => 99), {
    code: "RIVET_SOURCE_VALUE_UNREPRESENTABLE",
  });
});

Deno.test("ResponseReader refuses a value above the limit from its length, before its bytes have come", () => {
  const wire = toWireType("varbinary(max)");
  const head = Buffer.concat([columnsToken([{ name: "blob", wire }]), u8(0xd1), u32(300_000_000), u32(0)]);
  assert.throws(() => readPieces(head, () => head.length, 256 << 20), (error: { code: string; message: string }) => {
    assert.equal(error.code, "RIVET_VALUE_TOO_LARGE");
    assert.match(error.message, /^Column 'blob' holds/);
    return true;
  });
});

Deno.test("ResponseReader refuses a value of unknown length as soon as it grows above the limit", () => {
  const info = Buffer.concat([u8(0xa5), u16(0xffff)]);
  const type = inParts(info, (value) => Buffer.from(value as Uint8Array), 4096, true);
  const response = Buffer.concat([
    columnsToken([{ name: "b", wire: type }]),
    rowToken([type], [new Uint8Array(100_000)]),
  ]);
  assert.throws(() => readPieces(response, () => 4096, 50_000), { code: "RIVET_VALUE_TOO_LARGE" });
  assert.equal(readPieces(response, () => 4096, 100_010).rows.length, 1);
});

Deno.test("ResponseReader takes a response that ends inside a row for what it is", () => {
  const wire = toWireType("int");
  const response = Buffer.concat([columnsToken([{ name: "a", wire }]), u8(0xd1, 4, 1)]);
  assert.throws(() => readPieces(response, () => 99), { code: "RIVET_INTERNAL_RUN_INVARIANT" });
});
