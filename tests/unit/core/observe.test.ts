import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { crc32, createXXHash128, createXXHash3 } from "hash-wasm";
import type { EncoderSpec } from "../../../src/core/mod.ts";
import { encode, specOf } from "../../support/core_run.ts";
import { encodeArray, PgRows } from "../../support/pg_rows.ts";

const utf8 = new TextEncoder();
const MASK = (1n << 64n) - 1n;

async function xxh3(bytes: Uint8Array): Promise<bigint> {
  const hasher = await createXXHash3();
  return BigInt("0x" + hasher.init().update(bytes).digest());
}

async function sumOf(values: readonly Uint8Array[]): Promise<string> {
  let sum = 0n;
  for (const value of values) sum = (sum + await xxh3(value)) & MASK;
  return sum.toString();
}

function le(bytes: number, value: bigint): Uint8Array {
  const out = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) out[i] = Number((value >> BigInt(8 * i)) & 255n);
  return out;
}

/** Tag, length and bytes of one value of a row. */
function tagged(value: Uint8Array | null): Uint8Array {
  if (value === null) return Uint8Array.of(0);
  const out = new Uint8Array(5 + value.length);
  out[0] = 1;
  new DataView(out.buffer).setUint32(1, value.length, true);
  out.set(value, 5);
  return out;
}

function concat(...pieces: Uint8Array[]): Uint8Array {
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

Deno.test("a file's digests are those that other libraries compute", async () => {
  const rows = new PgRows();
  for (let i = 0; i < 2000; i++) rows.begin(1).text(`value ${i}`).end();
  const { files, parts } = await encode(specOf([{ name: "v", type: "string", wire: "text" }]), rows.bytes());
  const [file, part] = [files[0]!, parts[0]!];
  assert.equal(part.bytes, file.length);
  assert.equal(part.md5, createHash("md5").update(file).digest("base64"));
  assert.equal(BigInt("0x" + part.xxh3), await xxh3(file));
  assert.equal(part.crc32c, String(parseInt(await crc32(file, 0x82f63b78), 16)));
});

Deno.test("a column's checksum is the sum of xxh3 over the canonical bytes of its values", async () => {
  const columns: EncoderSpec["columns"] = [
    { name: "b", type: "bool", wire: "bool" },
    { name: "i2", type: "int16", wire: "int2" },
    { name: "i4", type: "int32", wire: "int4" },
    { name: "i8", type: "int64", wire: "int8" },
    { name: "f4", type: "float32", wire: "float4" },
    { name: "f8", type: "float64", wire: "float8" },
    { name: "n", type: "decimal(10,2)", wire: "numeric" },
    { name: "m", type: "decimal(30,2)", wire: "numeric" },
    { name: "w", type: "decimal(50,2)", wire: "numeric" },
    { name: "d", type: "date", wire: "date" },
    { name: "t", type: "timestamp_us", wire: "timestamp" },
    { name: "s", type: "string", wire: "text" },
    { name: "u", type: "uuid", wire: "uuid" },
    { name: "l", type: "list<string>", wire: "array<text>" },
  ];
  const uuid = Uint8Array.from({ length: 16 }, (_, i) => i);
  const f4 = new Uint8Array(new Float32Array([1.5]).buffer);
  const f8 = new Uint8Array(new Float64Array([-2.25]).buffer);
  const rows = new PgRows().begin(14).bool(true).int2(-2).int4(70_000).int8(-5n).float4(1.5).float8(-2.25).numeric(
    "-12.34",
  )
    .numeric("-12.34").numeric("-12.34").date(3).timestamp(-7n).text("é").raw(uuid)
    .raw(encodeArray(25, [utf8.encode("a"), null])).end();
  rows.begin(14);
  for (let i = 0; i < 14; i++) rows.null();
  rows.end();
  const { slice, parts } = await encode(specOf(columns), rows.bytes());
  const canonical: Uint8Array[] = [
    Uint8Array.of(1),
    le(2, -2n),
    le(4, 70_000n),
    le(8, -5n),
    f4,
    f8,
    le(8, -1234n),
    le(16, -1234n),
    le(32, -1234n),
    le(4, 3n),
    le(8, -7n),
    utf8.encode("é"),
    uuid,
    concat(tagged(utf8.encode("a")), tagged(null)),
  ];
  for (const [index, value] of canonical.entries()) {
    assert.equal(slice.columns[index]?.checksum, await sumOf([value]), columns[index]?.name);
    assert.equal(slice.columns[index]?.nulls, 1);
  }
  assert.deepEqual(parts[0]?.columns, slice.columns);
});

Deno.test("a row's hash is the low half of xxh3-128 over its tagged values", async () => {
  const columns: EncoderSpec["columns"] = [
    { name: "a", type: "int64", wire: "int8" },
    { name: "b", type: "string", wire: "text" },
  ];
  const rows = new PgRows().begin(2).int8(1n).text("x").end().begin(2).int8(2n).null().end();
  const format = { kind: "csv", codec: "none" } as const;
  const { files } = await encode(specOf(columns, { rowHash: ["a", "b"], format }), rows.bytes());
  const hasher = await createXXHash128();
  const hashes = [concat(tagged(le(8, 1n)), tagged(utf8.encode("x"))), concat(tagged(le(8, 2n)), tagged(null))].map(
    (row) => BigInt.asIntN(64, BigInt("0x" + hasher.init().update(row).digest())),
  );
  assert.equal(
    new TextDecoder().decode(files[0]),
    `a,b,_rivet_row_hash\n1,x,${hashes[0]}\n2,,${hashes[1]}\n`,
  );
});

Deno.test("least and greatest values are told exactly, per file and over all", async () => {
  const columns: EncoderSpec["columns"] = [
    { name: "i", type: "int64", wire: "int8" },
    { name: "n", type: "decimal(20,3)", wire: "numeric" },
    { name: "t", type: "timestamp_us_utc", wire: "timestamptz" },
    { name: "s", type: "string", wire: "text" },
    { name: "u", type: "uuid", wire: "uuid" },
    { name: "d", type: "date", wire: "date" },
    { name: "f", type: "float64", wire: "float8" },
    { name: "x", type: "string", wire: "text" },
  ];
  const rows = new PgRows();
  for (let i = -3; i <= 3; i++) {
    rows.begin(8).int8(BigInt(i) * 2n ** 61n).numeric(`${i}.5`.replace("-0", "0")).timestamp(BigInt(i)).text(
      `k${Math.abs(i)}`,
    )
      .raw(new Uint8Array(16).fill(i + 100)).date(i).float8(i === 0 ? NaN : i / 2).null().end();
  }
  const minMax = columns.map((column) => column.name);
  const { slice } = await encode(specOf(columns, { minMax }), rows.bytes(), { pieceBytes: 50 });
  const edges = Object.fromEntries(slice.columns.map(({ name, min, max }) => [name, [min, max]]));
  assert.deepEqual(edges, {
    i: ["-6917529027641081856", "6917529027641081856"],
    n: ["-3.500", "3.500"],
    t: ["1969-12-31T23:59:59.999997Z", "1970-01-01T00:00:00.000003Z"],
    s: ["k0", "k3"],
    u: ["61616161-6161-6161-6161-616161616161", "67676767-6767-6767-6767-676767676767"],
    d: ["1969-12-29", "1970-01-04"],
    f: ["-1.5", "1.5"],
    x: [undefined, undefined],
  });
});

Deno.test("repeated values are counted up to the limit of entries", async () => {
  const rows = new PgRows();
  for (const value of [1, 2, 3, 2, null, null, 4, 4]) {
    rows.begin(1);
    if (value === null) rows.null();
    else rows.int4(value);
    rows.end();
  }
  const columns = [{ name: "id", type: "int32", wire: "int4" }];
  const whole = await encode(specOf(columns, { unique: [{ column: "id" }] }), rows.bytes());
  assert.deepEqual(whole.slice.unique, [{ column: "id", duplicates: 2, complete: true }]);
  const limited = await encode(specOf(columns, { unique: [{ column: "id", maxEntries: 2 }] }), rows.bytes());
  assert.deepEqual(limited.slice.unique, [{ column: "id", duplicates: 1, complete: false }]);
});

Deno.test("hidden columns are observed and not written", async () => {
  const columns = [
    { name: "a", type: "int32", wire: "int4" },
    { name: "cursor", type: "timestamp_us", wire: "timestamp", hidden: true },
  ];
  const rows = new PgRows().begin(2).int4(1).timestamp(5n).end();
  const format = { kind: "csv", codec: "none" } as const;
  const { slice, parts, files } = await encode(specOf(columns, { minMax: ["cursor"], format }), rows.bytes());
  assert.equal(new TextDecoder().decode(files[0]), "a\n1\n");
  assert.deepEqual(parts[0]?.columns.map((column) => column.name), ["a"]);
  assert.equal(slice.columns[1]?.max, "1970-01-01T00:00:00.000005");
});

Deno.test("rows at the edge of the window are left out once each, and remembered", async () => {
  const columns = [
    { name: "v", type: "string", wire: "text" },
    { name: "edge", type: "int32", wire: "int4", hidden: true },
  ];
  const table: readonly [string, number][] = [["old", 1], ["old", 1], ["late", 1], ["mid", 0], ["new", 2], ["new", 2], [
    "both",
    3,
  ]];
  const rows = new PgRows();
  for (const [value, edge] of table) rows.begin(2).text(value).int4(edge).end();
  const hasher = await createXXHash128();
  const hash = (value: string) => hasher.init().update(tagged(utf8.encode(value))).digest();
  const format = { kind: "csv", codec: "none" } as const;
  const known = { [hash("old")]: 1, [hash("both")]: 1, [hash("mid")]: 1 };
  const { slice, files } = await encode(specOf(columns, { edge: { column: "edge", known }, format }), rows.bytes());
  assert.equal(new TextDecoder().decode(files[0]), "v\nold\nlate\nmid\nnew\nnew\n");
  assert.deepEqual([slice.rows, slice.skipped], [5, 2]);
  assert.deepEqual(slice.edge, { [hash("new")]: 2, [hash("both")]: 1 });
});
