// SQL Server types: what each becomes, how it is selected, and which overrides are taken.

import assert from "node:assert/strict";
import { formatType, type LogicalType, mapMssql, type MssqlColumn, overrideMssql } from "../../../src/types/mod.ts";

function column(type: string, more: Partial<MssqlColumn> = {}): MssqlColumn {
  return { name: "c]d", type, precision: 0, scale: 0, isDecoded: true, isClr: false, ...more };
}

/** Type, more of the column, logical type, wire, select without the name, fidelity. */
const TYPES: readonly (readonly [string, Partial<MssqlColumn>, string | null, string, string, string])[] = [
  ["bit", {}, "bool", "text", "@", "exact"],
  ["tinyint", {}, "int16", "text", "@", "exact"],
  ["smallint", {}, "int16", "text", "@", "exact"],
  ["int", {}, "int32", "text", "@", "exact"],
  ["bigint", {}, "int64", "text", "@", "exact"],
  ["real", {}, "float32", "text", "@", "exact"],
  ["float", {}, "float64", "text", "@", "exact"],
  ["decimal", { precision: 38, scale: 38 }, "decimal(38,38)", "text", "@", "exact"],
  ["numeric", { precision: 5, scale: 0 }, "decimal(5,0)", "text", "@", "exact"],
  ["money", {}, "decimal(19,4)", "text", "@", "exact"],
  ["smallmoney", {}, "decimal(10,4)", "text", "@", "exact"],
  ["date", {}, "date", "text", "@", "exact"],
  ["time", { scale: 6 }, "time_us", "text", "@", "exact"],
  ["time", { scale: 7 }, "time_ns", "text", "@", "exact"],
  ["datetime", { scale: 3 }, "timestamp_us", "text", "@", "exact"],
  ["smalldatetime", {}, "timestamp_us", "text", "@", "exact"],
  ["datetime2", { scale: 6 }, "timestamp_us", "text", "@", "exact"],
  ["datetime2", { scale: 7 }, "timestamp_ns", "text", "@", "exact"],
  ["datetimeoffset", { scale: 3 }, "timestamp_us_utc", "text", "@", "compatible"],
  ["datetimeoffset", { scale: 7 }, "timestamp_ns_utc", "text", "@", "compatible"],
  ["uniqueidentifier", {}, "uuid", "bytes", "@", "exact"],
  ["char", {}, "string", "text", "@", "exact"],
  ["varchar", {}, "string", "text", "@", "exact"],
  ["varchar", { isDecoded: false }, "string", "text", "CONVERT(nvarchar(max), @)", "exact"],
  ["text", {}, "string", "text", "@", "exact"],
  ["nchar", {}, "string", "text", "@", "exact"],
  ["nvarchar", {}, "string", "text", "@", "exact"],
  ["ntext", {}, "string", "text", "@", "exact"],
  ["binary", {}, "binary", "bytes", "@", "exact"],
  ["varbinary", {}, "binary", "bytes", "@", "exact"],
  ["image", {}, "binary", "bytes", "@", "exact"],
  ["timestamp", {}, "binary", "bytes", "@", "exact"],
  ["xml", {}, "string", "text", "CONVERT(nvarchar(max), @)", "logical_string"],
  ["json", {}, "json", "text", "CONVERT(nvarchar(max), @)", "logical_string"],
  ["vector", {}, "string", "text", "CONVERT(nvarchar(max), @)", "logical_string"],
  ["sql_variant", {}, "string", "text", "@", "logical_string"],
  ["hierarchyid", { isClr: true }, "string", "text", "@.ToString()", "logical_string"],
  ["geography", { isClr: true }, "binary", "bytes", "@.AsBinaryZM()", "compatible"],
  ["geometry", { isClr: true }, "binary", "bytes", "@.AsBinaryZM()", "compatible"],
  ["my_point", { isClr: true }, "binary", "bytes", "CONVERT(varbinary(max), @)", "compatible"],
  ["something_new", {}, null, "text", "@", "unsupported"],
];

for (const [type, more, logical, wire, select, fidelity] of TYPES) {
  Deno.test(`${type} ${JSON.stringify(more)} becomes ${logical}`, () => {
    const mapping = mapMssql(column(type, more));
    assert.equal(mapping.type === null ? null : formatType(mapping.type), logical);
    assert.equal(mapping.wire, wire);
    assert.equal(mapping.select, select.replace("@", "[c]]d]"));
    assert.equal(mapping.fidelity, fidelity);
  });
}

Deno.test("what a type cannot keep is said", () => {
  const warned = (type: string, scale = 0) => mapMssql(column(type, { scale })).warnings.join("; ");
  assert.match(warned("datetime2", 7), /1677/);
  assert.equal(warned("datetime2", 6), "");
  assert.match(warned("datetimeoffset", 0), /offset/);
  assert.match(warned("geography"), /SRID/);
  assert.match(warned("sql_variant"), /base type/);
});

const US: LogicalType = { kind: "timestamp", unit: "us", utc: false };
const NS: LogicalType = { kind: "timestamp", unit: "ns", utc: false };
const US_UTC: LogicalType = { kind: "timestamp", unit: "us", utc: true };
const STRING: LogicalType = { kind: "string" };
const DECIMAL: LogicalType = { kind: "decimal", precision: 20, scale: 0 };

/** Type, override, fidelity or null for a refusal, and the select where it changes. */
const OVERRIDES: readonly (readonly [string, LogicalType, string | null, string?])[] = [
  ["bit", { kind: "int16" }, "exact"],
  ["bit", { kind: "uuid" }, null],
  ["int", { kind: "int64" }, "exact"],
  ["bigint", DECIMAL, "exact"],
  ["bigint", { kind: "float64" }, "lossy"],
  ["int", STRING, "compatible"],
  ["decimal(10,2)", { kind: "decimal", precision: 38, scale: 10 }, "exact"],
  ["decimal(10,2)", { kind: "decimal", precision: 10, scale: 1 }, "lossy"],
  ["money", { kind: "float64" }, "lossy"],
  ["float", { kind: "float32" }, "lossy"],
  ["real", { kind: "float64" }, "exact"],
  ["float", DECIMAL, null],
  ["datetime2(7)", US, "exact"],
  ["datetime2(3)", NS, "exact"],
  ["datetime", US_UTC, "compatible"],
  ["datetime2(7)", { kind: "date" }, null],
  ["datetimeoffset(7)", US_UTC, "compatible"],
  ["datetimeoffset(7)", US, null],
  ["datetimeoffset(7)", STRING, "compatible", "CONVERT(varchar(40), [c], 121)"],
  ["uniqueidentifier", STRING, "compatible", "LOWER(CONVERT(char(36), [c]))"],
  ["uniqueidentifier", { kind: "binary" }, "exact"],
  ["nvarchar(40)", { kind: "json" }, "logical_string"],
  ["char(36)", { kind: "uuid" }, "compatible"],
  ["nvarchar(40)", { kind: "binary" }, null],
  ["varchar(20) COLLATE Japanese_CI_AS", { kind: "int64" }, "compatible"],
  ["binary(16)", { kind: "uuid" }, "compatible"],
  ["varbinary(max)", STRING, null],
  ["geography", STRING, "compatible", "[c].AsTextZM()"],
  ["xml", { kind: "json" }, null],
  ["hierarchyid", STRING, "logical_string"],
];

for (const [native, type, fidelity, select] of OVERRIDES) {
  Deno.test(`${native} as ${formatType(type)} is ${fidelity ?? "refused"}`, () => {
    const [, name, first, second] = /^(\w+)(?:\((\w+)(?:,(\d+))?\))?/.exec(native)!;
    const isClr = ["geography", "hierarchyid"].includes(name!);
    const isDecimal = /^(decimal|numeric)$/.test(name!);
    const described = mapMssql({
      name: "c",
      type: name!,
      precision: Number(first ?? 0),
      scale: Number((isDecimal ? second : first) ?? 0),
      isDecoded: true,
      isClr,
    });
    const full = { name: "c", nativeType: native, notNull: null, ...described };
    if (fidelity === null) {
      assert.throws(() => overrideMssql(full, type), {
        code: "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH",
        where: "column 'c'",
      });
      return;
    }
    const changed = overrideMssql(full, type);
    assert.equal(changed.fidelity, fidelity);
    assert.equal(changed.type, type);
    assert.equal(changed.select, select ?? described.select);
    assert.equal(changed.wire, ["uuid", "binary"].includes(type.kind) && described.wire === "bytes" ? "bytes" : "text");
  });
}
