import assert from "node:assert/strict";
import { RivetError } from "../../../src/errors.ts";
import { encode, specOf } from "../../support/core_run.ts";
import { encodeArray, encodeNumeric, PgRows } from "../../support/pg_rows.ts";

const utf8 = new TextEncoder();

function int8(value: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigInt64(0, value);
  return new Uint8Array(view.buffer);
}

function twoDimensions(): Uint8Array {
  const view = new DataView(new ArrayBuffer(28 + 8));
  [2, 0, 23, 1, 1, 1, 1, 4, 5].forEach((word, i) => view.setInt32(4 * i, word));
  return new Uint8Array(view.buffer);
}

interface Refused {
  readonly title: string;
  readonly type: string;
  readonly wire: string;
  readonly value: Uint8Array;
  /** In the message. */
  readonly says: string;
  readonly code?: string;
}

const REFUSED: readonly Refused[] = [
  { title: "NaN into a decimal", type: "decimal(10,2)", wire: "numeric", value: encodeNumeric("NaN"), says: "'NaN'" },
  {
    title: "a digit beyond the scale",
    type: "decimal(10,2)",
    wire: "numeric",
    value: encodeNumeric("1.005"),
    says: "'1.005'",
  },
  {
    title: "a digit beyond the precision",
    type: "decimal(10,2)",
    wire: "numeric",
    value: encodeNumeric("123456789.00"),
    says: "'123456789.00'",
  },
  {
    title: "an infinite timestamp",
    type: "timestamp_us",
    wire: "timestamp",
    value: int8(2n ** 63n - 1n),
    says: "'infinity'",
  },
  {
    title: "an infinite date",
    type: "date",
    wire: "date",
    value: Uint8Array.of(0x80, 0, 0, 0),
    says: "'-infinity'",
  },
  {
    title: "a timestamp beyond nanoseconds",
    type: "timestamp_ns",
    wire: "timestamp",
    value: int8(2n ** 62n),
    says: "cannot be stored",
  },
  {
    // Microseconds since 2000, which have no 64 bits since 1970.
    title: "a timestamp in PostgreSQL's last years",
    type: "timestamp_us",
    wire: "timestamp",
    value: int8(0x7fffe29909c76000n),
    says: "'+294276-01-01T00:00:00.000000'",
  },
  {
    title: "an integer too large for its type",
    type: "int16",
    wire: "int4",
    value: Uint8Array.of(0, 1, 0, 0),
    says: "'65536'",
  },
  {
    title: "an array of two dimensions",
    type: "list<int32>",
    wire: "array<int4>",
    value: twoDimensions(),
    says: "dimension",
  },
  { title: "text that is not UTF-8", type: "string", wire: "text", value: Uint8Array.of(0x61, 0xff), says: "UTF-8" },
  { title: "text that is not a number", type: "int64", wire: "text", value: utf8.encode("12a"), says: "'12a'" },
  { title: "an empty text as a number", type: "float64", wire: "text", value: utf8.encode(""), says: "''" },
  {
    title: "a decimal text beyond its scale",
    type: "decimal(5,1)",
    wire: "text",
    value: utf8.encode("1.25"),
    says: "'1.25'",
  },
  { title: "a bool that is 5", type: "bool", wire: "text", value: utf8.encode("5"), says: "'5'" },
  {
    title: "a bit field too wide for a bool",
    type: "bool",
    wire: "bits",
    value: Uint8Array.of(2),
    says: "cannot be stored",
  },
  {
    title: "64 bits into int64",
    type: "int64",
    wire: "bits",
    value: new Uint8Array(8).fill(255),
    says: "cannot be stored",
  },
  {
    title: "a duration as a time of day",
    type: "time_us",
    wire: "text",
    value: utf8.encode("25:00:00"),
    says: "'25:00:00'",
  },
  { title: "a zero date", type: "date", wire: "text", value: utf8.encode("0000-00-00"), says: "'0000-00-00'" },
  {
    title: "a day that does not exist",
    type: "date",
    wire: "text",
    value: utf8.encode("2026-02-30"),
    says: "'2026-02-30'",
  },
  {
    title: "an offset without a zone to keep it in",
    type: "timestamp_us",
    wire: "text",
    value: utf8.encode("2026-01-01 00:00:00+02:00"),
    says: "+02:00",
  },
  {
    title: "a seventh digit into microseconds",
    type: "timestamp_us",
    wire: "text",
    value: utf8.encode("2026-01-01 00:00:00.0000001"),
    says: "0000001",
  },
  {
    title: "fifteen bytes into a uuid",
    type: "uuid",
    wire: "bytes",
    value: new Uint8Array(15).fill(0xab),
    says: "0xababab",
  },
  {
    title: "sixteen letters into a uuid",
    type: "uuid",
    wire: "text",
    value: utf8.encode("sixteen letters."),
    says: "s.",
  },
  {
    title: "a uuid of 15 bytes on the wire",
    type: "uuid",
    wire: "uuid",
    value: new Uint8Array(15),
    says: "15 bytes",
    code: "RIVET_INTERNAL_SOURCE_INVARIANT",
  },
  { title: "24:00:00 as text", type: "time_us", wire: "text", value: utf8.encode("24:00:00"), says: "24:00:00" },
  { title: "24:00:00 of PostgreSQL", type: "time_us", wire: "time", value: int8(86_400_000_000n), says: "24:00:00" },
  {
    title: "a decimal with a fraction into an integer",
    type: "int64",
    wire: "text",
    value: utf8.encode("-5.01"),
    says: "-5.01",
  },
  {
    title: "an int8 of four bytes",
    type: "int64",
    wire: "int8",
    value: new Uint8Array(4),
    says: "4 bytes",
    code: "RIVET_INTERNAL_SOURCE_INVARIANT",
  },
  {
    title: "an array that ends too early",
    type: "list<int32>",
    wire: "array<int4>",
    value: encodeArray(23, [new Uint8Array(4)]).subarray(0, 26),
    says: "",
    code: "RIVET_INTERNAL_SOURCE_INVARIANT",
  },
];

for (const { title, type, wire, value, says, code } of REFUSED) {
  Deno.test(`${title} is refused, never changed`, async () => {
    const rows = new PgRows().begin(1).raw(value).end();
    await assert.rejects(encode(specOf([{ name: "price", type, wire }]), rows.bytes()), (error) => {
      assert.ok(error instanceof RivetError);
      assert.equal(error.code, code ?? "RIVET_SOURCE_VALUE_UNREPRESENTABLE");
      assert.equal(error.where, "column 'price'");
      assert.ok(error.message.includes(says), error.message);
      assert.ok(code !== undefined || error.cure.length > 0);
      return true;
    });
  });
}

Deno.test("zero dates become NULL where that is the policy, and are counted", async () => {
  const rows = new PgRows();
  for (const text of ["0000-00-00 00:00:00", "2026-01-01 00:00:00", "2026-00-10 00:00:00"]) {
    rows.begin(1).text(text).end();
  }
  rows.begin(1).null().end();
  const spec = specOf([{ name: "t", type: "timestamp_us", wire: "text", zeroDates: "null" }]);
  const { slice, parts } = await encode(spec, rows.bytes());
  assert.equal(slice.rows, 4);
  assert.equal(slice.columns[0]?.nulls, 3);
  assert.equal(slice.columns[0]?.zeroDates, 2);
  assert.equal(parts[0]?.columns[0]?.zeroDates, 2);
});

Deno.test("a pair of wire form and type that cannot be is refused before the first row", async () => {
  await assert.rejects(encode(specOf([{ name: "a", type: "int64", wire: "uuid" }]), new Uint8Array()), {
    code: "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH",
    where: "column 'a'",
  });
  await assert.rejects(
    encode(
      specOf([{ name: "a", type: "int64", wire: "int8" }], { format: { kind: "csv", codec: "snappy" as "zstd" } }),
      new Uint8Array(),
    ),
    { code: "RIVET_CONFIG_FORMAT_COLUMN_UNSUPPORTED" },
  );
});

Deno.test("another number of columns in a row is named as a change under the read", async () => {
  const rows = new PgRows().begin(2).null().null().end();
  await assert.rejects(encode(specOf([{ name: "a", type: "int64", wire: "int8" }]), rows.bytes()), {
    code: "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ",
  });
});

Deno.test("an encoder that failed takes nothing more, the next one works", async () => {
  const spec = specOf([{ name: "a", type: "int64", wire: "int8" }]);
  const { testCore } = await import("../../support/core_run.ts");
  const core = await testCore();
  const encoder = core.openEncoder(spec);
  const bad = new PgRows().begin(1).text("abc").end().bytes();
  encoder.room(bad.length).set(bad);
  assert.throws(() => encoder.wrote(bad.length), { code: "RIVET_INTERNAL_SOURCE_INVARIANT" });
  const good = new PgRows().begin(1).int8(1n).end().bytes();
  encoder.room(good.length).set(good);
  assert.throws(() => encoder.wrote(good.length), { code: "RIVET_INTERNAL_SOURCE_INVARIANT" });
  assert.throws(() => encoder.finish(true), { code: "RIVET_INTERNAL_SOURCE_INVARIANT" });
  encoder.close();
  assert.equal((await encode(spec, good, { core })).slice.rows, 1);
});

Deno.test("a value above the limit is refused from its length, and input memory does not grow to its size", async () => {
  const { testCore } = await import("../../support/core_run.ts");
  const core = await testCore();
  const encoder = core.openEncoder(
    specOf([{ name: "body", type: "string", wire: "text" }], { maxValueBytes: 64 << 20 }),
  );
  const before = core.memoryBytes();
  // Only the head of a row whose one value has 100 MB.
  const head = new Uint8Array(11);
  const view = new DataView(head.buffer);
  head[0] = 0x44;
  view.setUint32(1, 4 + 2 + 4 + 100_000_000);
  view.setUint16(5, 1);
  view.setUint32(7, 100_000_000);
  encoder.room(1 << 16).set(head);
  assert.throws(() => encoder.wrote(head.length), (error) => {
    assert.ok(error instanceof RivetError);
    assert.equal(error.code, "RIVET_VALUE_TOO_LARGE");
    assert.equal(error.where, "column 'body'");
    assert.match(error.message, /100000000 bytes/);
    return true;
  });
  assert.ok(core.memoryBytes() - before < 1 << 20);
  encoder.close();
});
