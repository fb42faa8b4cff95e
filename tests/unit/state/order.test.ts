import assert from "node:assert/strict";
import { compareCursors } from "../../../src/state/order.ts";

const ASCENDING: [string, string[]][] = [
  ["bigint", ["-9223372036854775808", "-10", "-9", "0", "9", "10", "9007199254740992", "9007199254740993"]],
  ["int(11) unsigned", ["0", "2", "10"]],
  ["INTEGER", ["9", "10"]],
  ["numeric", ["-1.5", "-1.25", "0.1", "0.10000000000000000001", "1", "1.05", "1.5", "100000000000000000000000000000"]],
  ["decimal(20,4)", ["-0.0001", "0.0000", "0.0001", "9.9999", "10.0000"]],
  ["double precision", ["-1e300", "-1", "1.5e-7", "0.5", "2", "1e21"]],
  ["timestamp without time zone", [
    "2025-12-31 23:59:59.999999",
    "2026-01-01 00:00:00",
    "2026-01-01 00:00:00.1",
    "2026-01-01 00:00:00.12",
  ]],
  ["timestamptz", ["2026-01-01 02:00:00+02", "2026-01-01 00:00:00.000001+00", "2025-12-31 23:59:59-00:01"]],
  ["datetimeoffset(7)", [
    "2026-01-01 00:30:00.0000001 +01:00",
    "2026-01-01T00:00:00Z",
    "2026-01-01 00:00:00.0000001 +00:00",
  ]],
  ["datetime2(7)", ["2026-01-01T00:00:00.0000001", "2026-01-01T00:00:00.0000002"]],
  ["datetime", ["0000-00-00 00:00:00".replace("0000-00-00", "0001-01-01"), "9999-12-31 23:59:59"]],
  ["date", ["0099-12-31", "1899-12-31", "1970-01-01", "2026-01-01"]],
];

for (const [type, values] of ASCENDING) {
  Deno.test(`compareCursors orders '${type}' as the database does`, () => {
    for (const [i, a] of values.entries()) {
      for (const [j, b] of values.entries()) {
        assert.equal(Math.sign(compareCursors(type, a, b)!), Math.sign(i - j), `${a} ? ${b}`);
      }
    }
  });
}

Deno.test("compareCursors finds different spellings of one value equal", () => {
  assert.equal(compareCursors("numeric", "1.50", "1.5"), 0);
  assert.equal(compareCursors("bigint", "007", "7"), 0);
  assert.equal(compareCursors("numeric", "-0", "0.00"), 0);
  assert.equal(compareCursors("timestamptz", "2026-01-01 12:00:00+00", "2026-01-01T17:30:00.000+05:30"), 0);
  assert.equal(compareCursors("timestamptz", "2026-01-01 12:00:00Z", "2026-01-01 08:15:30-03:44:30"), 0);
});

Deno.test("compareCursors leaves to the database what only the database can order", () => {
  for (
    const type of [
      "text",
      "character varying(20)",
      "uuid",
      "nvarchar(50)",
      "time",
      "interval",
      "int4range",
      "",
      "daterange",
    ]
  ) {
    assert.equal(compareCursors(type, "1", "2"), null, type);
  }
  assert.equal(compareCursors("bigint", "", "1"), null);
  assert.equal(compareCursors("bigint", "abc", "1"), null);
  assert.equal(compareCursors("numeric", "NaN", "1"), null);
  assert.equal(compareCursors("double precision", "NaN", "1"), null);
  assert.equal(compareCursors("timestamp", "infinity", "2026-01-01"), null);
  assert.equal(
    compareCursors("timestamp", "2026-01-01 00:00:00", "2026-01-01 00:00:00Z"),
    null,
    "a wall clock is no instant",
  );
});
