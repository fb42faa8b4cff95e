import assert from "node:assert/strict";
import type { CsvSpec, EncoderSpec } from "../../../src/core/mod.ts";
import { encode, specOf, testCore } from "../../support/core_run.ts";
import { encodeArray, PgRows } from "../../support/pg_rows.ts";

const COLUMNS: EncoderSpec["columns"] = [
  { name: "id", type: "int64", wire: "int8" },
  { name: "status", type: "string", wire: "text" },
  { name: "price", type: "decimal(10,2)", wire: "numeric" },
  { name: "wide", type: "decimal(60,2)", wire: "numeric" },
  { name: "tags", type: "list<string>", wire: "array<text>" },
  { name: "uid", type: "uuid", wire: "uuid" },
  { name: "doc", type: "json", wire: "jsonb" },
  { name: "ok", type: "bool", wire: "bool" },
  { name: "small", type: "int16", wire: "int2" },
  { name: "at", type: "timestamp_ns_utc", wire: "timestamptz" },
  { name: "hidden", type: "int32", wire: "int4", hidden: true },
];

function someRows(count: number): Uint8Array {
  const utf8 = new TextEncoder();
  const rows = new PgRows();
  for (let i = 0; i < count; i++) {
    rows.begin(11).int8(BigInt(i)).text(["new", "paid", "sent"][i % 3]!).cents(i * 7).numeric(`${i}`)
      .raw(encodeArray(25, i % 5 === 0 ? [] : [utf8.encode(`tag ${i}`), null])).raw(new Uint8Array(16).fill(i));
    if (i % 3 === 0) rows.null();
    else rows.text(`\x01{"i": ${i}}`);
    rows.bool(i % 2 === 0).int2(i % 1000).timestamp(BigInt(i)).int4(i).end();
  }
  return rows.bytes();
}

async function readBack(file: Uint8Array, columns: EncoderSpec["columns"], pieceBytes: number, format?: CsvSpec) {
  const reader = (await testCore()).openReader();
  try {
    reader.open(file.length, columns, undefined, format);
    for (let need = reader.need(); need !== null; need = reader.need()) {
      const end = need.offset + Math.min(need.length, pieceBytes);
      reader.give(file.subarray(need.offset, end));
    }
    return reader.finish();
  } finally {
    reader.close();
  }
}

Deno.test("a file read back gives the rows, NULLs and checksums that were observed while it was written", async () => {
  const format = { kind: "parquet", codec: "zstd", rowGroupBytes: 200_000 } as const;
  const { files, parts } = await encode(specOf(COLUMNS, { format }), someRows(20_000));
  for (const pieceBytes of [5000, 1 << 24]) {
    const read = await readBack(files[0]!, COLUMNS, pieceBytes);
    assert.equal(read.rows, 20_000);
    const seen = (columns: typeof read.columns) =>
      columns.map(({ name, nulls, checksum }) => ({ name, nulls, checksum }));
    assert.deepEqual(seen(read.columns), seen(parts[0]!.columns));
  }
});

Deno.test("CSV read back gives the same, whatever its dialect and compression", async () => {
  const dialects: CsvSpec[] = [
    { kind: "csv", codec: "none" },
    { kind: "csv", codec: "gzip", delimiter: "\t", null: "\\N" },
    { kind: "csv", codec: "zstd", header: false },
  ];
  for (const format of dialects) {
    const spec = specOf(COLUMNS, { format, exportedAtUs: 1, rowHash: ["id"] });
    const { files, parts } = await encode(spec, someRows(5000));
    for (const pieceBytes of [777, 1 << 24]) {
      const read = await readBack(files[0]!, COLUMNS, pieceBytes, format);
      const seen = (columns: typeof read.columns) =>
        columns.map(({ name, nulls, checksum }) => ({ name, nulls, checksum }));
      assert.deepEqual([read.rows, seen(read.columns), read.ambiguous], [5000, seen(parts[0]!.columns), []]);
    }
  }
});

Deno.test("CSV that is cut off, longer, of other columns or another dialect is refused", async () => {
  const format: CsvSpec = { kind: "csv", codec: "gzip" };
  const { files } = await encode(specOf(COLUMNS, { format }), someRows(100));
  const file = files[0]!;
  const unmet = { code: "RIVET_VERIFY_CONTENT_UNMET" };
  const longer = new Uint8Array([...file, 10]);
  await assert.rejects(readBack(file.subarray(0, file.length - 1), COLUMNS, 1 << 20, format), unmet);
  await assert.rejects(readBack(longer, COLUMNS, 1 << 20, format), unmet);
  await assert.rejects(readBack(file, COLUMNS, 1 << 20, { ...format, codec: "zstd" }), unmet);
  await assert.rejects(readBack(file, COLUMNS, 1 << 20, { ...format, delimiter: ";" }), unmet);
  await assert.rejects(readBack(file, [{ name: "other", type: "int64", wire: "" }], 1 << 20, format), unmet);
  await assert.rejects(readBack(file, [{ name: "status", type: "int64", wire: "" }], 1 << 20, format), unmet);
});

Deno.test("one changed value changes the checksum of its column alone", async () => {
  const columns = COLUMNS.slice(0, 1);
  const write = async (last: bigint) => {
    const rows = new PgRows();
    for (const id of [1n, 2n, last]) rows.begin(1).int8(id).end();
    return (await encode(specOf(columns), rows.bytes())).files[0]!;
  };
  const [one, two] = [
    await readBack(await write(3n), columns, 1 << 20),
    await readBack(await write(4n), columns, 1 << 20),
  ];
  assert.notEqual(one.columns[0]?.checksum, two.columns[0]?.checksum);
});

Deno.test("what is no Parquet file, ends early or lacks a column is refused", async () => {
  const { files } = await encode(specOf(COLUMNS), someRows(100));
  const file = files[0]!;
  const unmet = { code: "RIVET_VERIFY_CONTENT_UNMET" };
  await assert.rejects(readBack(new Uint8Array(100), COLUMNS, 1 << 20), unmet);
  await assert.rejects(readBack(file.subarray(0, file.length - 1), COLUMNS, 1 << 20), unmet);
  await assert.rejects(readBack(file, [{ name: "other", type: "int64", wire: "int8" }], 1 << 20), unmet);
  await assert.rejects(readBack(file, [{ name: "id", type: "string", wire: "text" }], 1 << 20), unmet);
});

Deno.test("a damaged file is refused or differs, and the next file is read", async () => {
  const { files, parts } = await encode(specOf(COLUMNS), someRows(500));
  for (let at = 4; at < files[0]!.length; at += 211) {
    const damaged = files[0]!.slice();
    damaged[at]! ^= 0x41;
    await readBack(damaged, COLUMNS, 1 << 20).catch((error) => assert.equal(error.code, "RIVET_VERIFY_CONTENT_UNMET"));
  }
  assert.equal((await readBack(files[0]!, COLUMNS, 1 << 20)).rows, parts[0]?.rows);
});

Deno.test("rows observed without a file are observed as in one", async () => {
  const rows = someRows(20_000);
  const parquet = await encode(
    specOf(COLUMNS, { format: { kind: "parquet", codec: "none", rowGroupBytes: 1 << 20 } }),
    rows,
  );
  const nothing = await encode(specOf(COLUMNS, { format: { kind: "none" } }), rows);
  assert.deepEqual(nothing.slice, parquet.slice);
  assert.equal(nothing.files.reduce((sum, file) => sum + file.length, 0), 0);
  assert.ok(nothing.slice.rows === 20_000 && nothing.slice.columns.length === COLUMNS.length);
});

Deno.test("the keys and hashes of a file's rows are those the encoder writes for the same rows", async () => {
  const columns = COLUMNS.slice(0, 10);
  const rows = new PgRows();
  const utf8 = new TextEncoder();
  for (let i = 0; i < 5000; i++) {
    rows.begin(10).int8(BigInt(i)).text(`a "b", ${i}\n`).cents(i).numeric(`${i}`).raw(
      encodeArray(25, [utf8.encode("x")]),
    )
      .raw(new Uint8Array(16).fill(i)).null().bool(true).int2(1).timestamp(BigInt(i)).end();
  }
  const keys = ["status", "id", "doc"];
  const format = { kind: "parquet", codec: "zstd", rowGroupBytes: 50_000 } as const;
  const { files } = await encode(specOf(columns, { format }), rows.bytes());
  const lines = await encode(
    specOf(columns.map((c) => ({ ...c, hidden: !keys.includes(c.name) })), {
      format: { kind: "csv", codec: "none", header: false },
      rowHash: columns.map((c) => c.name),
    }),
    rows.bytes(),
  );
  const reader = (await testCore()).openReader();
  let text = "";
  const decoder = new TextDecoder();
  // The encoder writes the keys in the order of the columns.
  reader.open(files[0]!.length, columns, ["id", "status", "doc"]);
  for (let need = reader.need(); need !== null; need = reader.need()) {
    reader.give(files[0]!.subarray(need.offset, need.offset + need.length));
    for (let out = reader.takeRows(); out !== null; out = reader.takeRows()) {
      text += decoder.decode(out, { stream: true });
    }
  }
  assert.equal(reader.finish().rows, 5000);
  reader.close();
  assert.equal(text, new TextDecoder().decode(lines.files[0]!));
  assert.match(text, /^0,"a ""b"", 0\n",,-?\d+\n/);
});
