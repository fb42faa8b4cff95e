import assert from "node:assert/strict";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { CsvSpec, EncoderSpec, ParquetSpec } from "../../../src/core/mod.ts";
import { CSV, encode, PARQUET, queryWithDuckdb, readWithHyparquet, specOf } from "../../support/core_run.ts";
import { encodeArray, PgRows } from "../../support/pg_rows.ts";

const COLUMNS: EncoderSpec["columns"] = [
  { name: "id", type: "int64", wire: "int8" },
  { name: "name", type: "string", wire: "text" },
  { name: "note", type: "string", wire: "text" },
];

function someRows(count: number): Uint8Array {
  const rows = new PgRows();
  let state = 7;
  for (let id = 0; id < count; id++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    rows.begin(3).int8(BigInt(id)).text(`name ${state} ${id * state}`);
    if (id % 4 === 0) rows.null();
    else rows.text(id % 4 === 1 ? "" : "twice");
    rows.end();
  }
  return rows.bytes();
}

const FORMATS: readonly ParquetSpec[] = [
  ...[1, 3, 19, 22].map((level) => ({ ...PARQUET, codec: "zstd" as const, level })),
  ...[0, 1, 9].map((level) => ({ ...PARQUET, codec: "gzip" as const, level })),
  { ...PARQUET, codec: "snappy" },
  { ...PARQUET, codec: "lz4" },
  { ...PARQUET, codec: "none" },
];

const CODEC_NAMES = { zstd: "ZSTD", gzip: "GZIP", snappy: "SNAPPY", lz4: "LZ4_RAW", none: "UNCOMPRESSED" };

for (const format of FORMATS) {
  Deno.test(`Parquet with ${format.codec} ${format.level ?? ""} is read by two readers`, async () => {
    const { files, parts } = await encode(specOf(COLUMNS, { format }), someRows(3000));
    assert.equal(files.length, 1);
    const counted = await queryWithDuckdb(
      files[0]!,
      "SELECT count(*)::INT, sum(id)::INT, count(note)::INT, sum(length(note))::INT FROM $file",
    );
    assert.deepEqual(counted, [[3000, 4_498_500, 2250, 7500]]);
    const codecs = await queryWithDuckdb(files[0]!, "SELECT DISTINCT compression FROM parquet_metadata($file)");
    assert.deepEqual(codecs, [[CODEC_NAMES[format.codec]]]);
    const rows = await readWithHyparquet(files[0]!);
    assert.equal(rows.length, 3000);
    assert.equal(rows[1]?.note, "");
    assert.equal(parts[0]?.bytes, files[0]!.length);
  });
}

const CSV_CODECS: readonly [CsvSpec["codec"], (bytes: Uint8Array) => Uint8Array][] = [
  ["none", (bytes) => bytes],
  ["gzip", (bytes) => gunzipSync(bytes)],
  ["zstd", (bytes) => zstdDecompressSync(bytes)],
];

for (const [codec, decompress] of CSV_CODECS) {
  Deno.test(`CSV with ${codec} keeps NULL and the empty string apart`, async () => {
    const { files } = await encode(specOf(COLUMNS, { format: { ...CSV, codec } }), someRows(3000));
    const lines = new TextDecoder().decode(decompress(files[0]!)).split("\n");
    assert.equal(lines.length, 3002);
    assert.equal(lines[0], "id,name,note");
    assert.match(lines[1]!, /^0,name \d+ 0,$/);
    assert.match(lines[2]!, /^1,name \d+ \d+,""$/);
    assert.match(lines[3]!, /^2,name \d+ \d+,twice$/);
  });
}

Deno.test("CSV writes every type as its canonical text", async () => {
  const columns: EncoderSpec["columns"] = [
    { name: "b", type: "bool", wire: "bool" },
    { name: "f", type: "float64", wire: "float8" },
    { name: "x", type: "binary", wire: "bytea" },
    { name: "u", type: "uuid", wire: "uuid" },
    { name: "d", type: "date", wire: "date" },
    { name: "t", type: "time_us", wire: "text" },
    { name: "s", type: "timestamp_us", wire: "timestamp" },
    { name: "z", type: "timestamp_us_utc", wire: "timestamptz" },
    { name: "n", type: "timestamp_ns", wire: "text" },
    { name: "l", type: "list<string>", wire: "array<text>" },
    { name: "i", type: "list<int32>", wire: "array<int4>" },
  ];
  const utf8 = new TextEncoder();
  const floats = [0.1, -0, NaN, Infinity, 1e300, 1e-7, 123456789];
  const rows = new PgRows();
  for (const value of floats) {
    rows.begin(11).bool(value > 0).float8(value).raw(Uint8Array.of(0, 171)).raw(new Uint8Array(16).fill(18)).date(0)
      .text("23:59:59.5").timestamp(-1n).timestamp(0n).text("2026-01-02 03:04:05.000000001")
      .raw(encodeArray(25, [utf8.encode('a"b'), null, utf8.encode("c\n")]))
      .raw(encodeArray(23, [Uint8Array.of(0, 0, 0, 7), null])).end();
  }
  const { files } = await encode(specOf(columns, { format: CSV }), rows.bytes());
  const rest = [
    "00ab",
    "12121212-1212-1212-1212-121212121212",
    "1970-01-01",
    "23:59:59.500000",
    "1969-12-31T23:59:59.999999",
    "1970-01-01T00:00:00.000000Z",
    "2026-01-02T03:04:05.000000001",
    `"[""a\\""b"",null,""c\\n""]"`,
    `"[7,null]"`,
  ].join(",");
  const expected = ["true,0.1", "false,-0", "false,NaN", "true,inf", "true,1e300", "true,1e-7", "true,123456789"];
  assert.equal(
    new TextDecoder().decode(files[0]),
    "b,f,x,u,d,t,s,z,n,l,i\n" + expected.map((start) => `${start},${rest}\n`).join(""),
  );
});

Deno.test("CSV quotes what would read as something else", async () => {
  const values = ["a,b", "a;b", 'say "hi"', "two\nlines", "\r", "NULL", "null", " ", null];
  const rows = new PgRows();
  for (const value of values) {
    rows.begin(1);
    if (value === null) rows.null();
    else rows.text(value);
    rows.end();
  }
  const columns = [{ name: "a;1", type: "string", wire: "text" }];
  const format: CsvSpec = { ...CSV, delimiter: ";", null: "NULL" };
  const { files } = await encode(specOf(columns, { format }), rows.bytes());
  assert.equal(
    new TextDecoder().decode(files[0]),
    `"a;1"\na,b\n"a;b"\n"say ""hi"""\n"two\nlines"\n"\r"\n"NULL"\nnull\n \nNULL\n`,
  );
  const { files: bare } = await encode(specOf(columns, { format: { ...format, header: false } }), rows.bytes());
  assert.ok(new TextDecoder().decode(bare[0]).startsWith("a,b\n"));
});

for (const format of [PARQUET, CSV, { ...CSV, codec: "zstd" as const }]) {
  Deno.test(`${format.kind} ${format.codec} files rotate by their size and lose no row`, async () => {
    const maxFileBytes = 200_000;
    const { files, parts, slice } = await encode(specOf(COLUMNS, { format, maxFileBytes }), someRows(60_000));
    assert.ok(files.length >= 3, `${files.length} files`);
    assert.equal(slice.rows, 60_000);
    assert.equal(parts.reduce((sum, part) => sum + part.rows, 0), 60_000);
    for (const [index, file] of files.entries()) {
      assert.equal(parts[index]?.bytes, file.length);
      assert.ok(file.length < 1.5 * maxFileBytes, `file ${index} has ${file.length} bytes`);
      if (index < files.length - 1) {
        assert.ok(file.length > 0.6 * maxFileBytes, `file ${index} has ${file.length} bytes`);
      }
    }
    if (format.kind !== "parquet") return;
    let next = 0n;
    for (const file of files) {
      for (const row of await readWithHyparquet(file)) assert.equal(row.id, next++);
    }
    assert.equal(next, 60_000n);
  });
}

Deno.test("a file's footer counts: two hundred columns rotate near their size too", async () => {
  const names = Array.from({ length: 200 }, (_, i) => `column_${i}`);
  const rows = new PgRows();
  let state = 7;
  for (let id = 0; id < 4000; id++) {
    rows.begin(names.length);
    for (const _ of names) rows.int8(BigInt(state = (Math.imul(state, 1664525) + 1013904223) >>> 0));
    rows.end();
  }
  const columns = names.map((name) => ({ name, type: "int64", wire: "int8" }));
  for (const maxFileBytes of [200_000, 1_000_000]) {
    const { files, slice } = await encode(specOf(columns, { format: PARQUET, maxFileBytes }), rows.bytes());
    assert.equal(slice.rows, 4000);
    for (const [index, file] of files.entries()) {
      assert.ok(file.length < 1.4 * maxFileBytes, `file ${index} has ${file.length} bytes`);
      if (index < files.length - 1) assert.ok(file.length > 0.6 * maxFileBytes, `file ${index}: ${file.length} bytes`);
    }
  }
});

Deno.test("row groups close at their rows and at their bytes", async () => {
  const groups = "SELECT DISTINCT row_group_id::INT, row_group_num_rows::INT FROM parquet_metadata($file) ORDER BY 1";
  const byRows = await encode(specOf(COLUMNS, { format: { ...PARQUET, rowGroupRows: 1000 } }), someRows(2500));
  assert.deepEqual(await queryWithDuckdb(byRows.files[0]!, groups), [[0, 1000], [1, 1000], [2, 500]]);
  const byBytes = await encode(specOf(COLUMNS, { format: { ...PARQUET, rowGroupBytes: 300_000 } }), someRows(60_000));
  const read = await queryWithDuckdb(byBytes.files[0]!, groups);
  assert.ok(read.length > 3 && read.length < 60, `${read.length} row groups`);
});

Deno.test("a slice without rows makes no file, or an empty one that has its columns", async () => {
  const none = await encode(specOf(COLUMNS), new Uint8Array(), { emptyFile: false });
  assert.deepEqual([none.files.length, none.parts.length, none.slice.rows], [0, 0, 0]);
  const empty = await encode(specOf(COLUMNS), new Uint8Array(), { emptyFile: true });
  assert.equal(empty.parts[0]?.rows, 0);
  const names = await queryWithDuckdb(empty.files[0]!, "SELECT column_name FROM (DESCRIBE SELECT * FROM $file)");
  assert.deepEqual(names, [["id"], ["name"], ["note"]]);
  const csv = await encode(specOf(COLUMNS, { format: CSV }), new Uint8Array(), { emptyFile: true });
  assert.equal(new TextDecoder().decode(csv.files[0]), "id,name,note\n");
});

Deno.test("repeating values get a dictionary, scattered ones do not", async () => {
  const { files } = await encode(specOf(COLUMNS), someRows(5000));
  const encodings = await queryWithDuckdb(
    files[0]!,
    "SELECT path_in_schema, encodings LIKE '%DICTIONARY%' FROM parquet_metadata($file) ORDER BY 1",
  );
  assert.deepEqual(encodings, [["id", false], ["name", false], ["note", true]]);
});
