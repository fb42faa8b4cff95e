// The mapping and the overrides of MySQL types as a table.

import assert from "node:assert/strict";
import { RivetError } from "../../../src/errors.ts";
import {
  type Fidelity,
  formatType,
  type LogicalType,
  mapMysql,
  type MysqlColumn,
  overrideMysql,
  spellMysqlType,
} from "../../../src/types/mod.ts";

const UNSIGNED = 32;
const ENUM = 256;
const SET = 2048;

function column(type: number, more: Partial<MysqlColumn> = {}): MysqlColumn {
  return {
    name: "a`b",
    type,
    flags: 0,
    length: 10,
    decimals: 0,
    charset: "binary",
    characterBytes: 1,
    extended: null,
    ...more,
  };
}

const N = "`a``b`";
const MAPPINGS: [MysqlColumn, string, string, string, string, Fidelity][] = [
  [column(1, { length: 1 }), "tinyint(1)", "bool", "text", N, "exact"],
  [column(1, { length: 1, flags: UNSIGNED }), "tinyint(1) unsigned", "bool", "text", N, "exact"],
  [column(1, { length: 4 }), "tinyint", "int16", "text", N, "exact"],
  [column(1, { length: 3, flags: UNSIGNED }), "tinyint unsigned", "int16", "text", N, "exact"],
  [column(2), "smallint", "int16", "text", N, "exact"],
  [column(2, { flags: UNSIGNED }), "smallint unsigned", "int32", "text", N, "exact"],
  [column(9), "mediumint", "int32", "text", N, "exact"],
  [column(9, { flags: UNSIGNED }), "mediumint unsigned", "int64", "text", N, "exact"],
  [column(3), "int", "int32", "text", N, "exact"],
  [column(3, { flags: UNSIGNED | 64 }), "int unsigned zerofill", "int64", "text", N, "exact"],
  [column(8), "bigint", "int64", "text", N, "exact"],
  [column(8, { flags: UNSIGNED }), "bigint unsigned", "uint64", "text", N, "exact"],
  [column(4, { decimals: 31 }), "float", "float32", "text", `${N} * 1e0`, "exact"],
  [column(5, { decimals: 31 }), "double", "float64", "text", N, "exact"],
  [column(5, { length: 20, decimals: 3 }), "double(20,3)", "float64", "text", `${N} * 1e0`, "exact"],
  [column(246, { length: 12, decimals: 2 }), "decimal(10,2)", "decimal(10,2)", "text", N, "exact"],
  [column(246, { length: 66 }), "decimal(65,0)", "decimal(65,0)", "text", N, "exact"],
  [
    column(246, { length: 66, decimals: 30, flags: UNSIGNED }),
    "decimal(65,30) unsigned",
    "decimal(65,30)",
    "text",
    N,
    "exact",
  ],
  [column(10), "date", "date", "text", N, "exact"],
  [column(11, { decimals: 6 }), "time(6)", "time_us", "text", N, "exact"],
  [column(12), "datetime", "timestamp_us", "text", N, "exact"],
  [column(7, { decimals: 3 }), "timestamp(3)", "timestamp_us_utc", "text", N, "exact"],
  [column(13), "year", "int16", "text", N, "exact"],
  [column(16, { length: 1 }), "bit(1)", "bool", "bits", N, "exact"],
  [column(16, { length: 63 }), "bit(63)", "int64", "bits", N, "exact"],
  [column(16, { length: 64 }), "bit(64)", "uint64", "bits", N, "exact"],
  [column(245), "json", "json", "text", N, "logical_string"],
  [
    column(252, { charset: "utf8mb4", extended: "json" }),
    "json",
    "json",
    "text",
    N,
    "logical_string",
  ],
  [column(254, { extended: "uuid" }), "uuid", "uuid", "text", N, "exact"],
  [column(254, { extended: "inet6" }), "inet6", "string", "text", N, "compatible"],
  [column(254, { charset: "utf8mb4", length: 40, characterBytes: 4 }), "char(10)", "string", "text", N, "exact"],
  [column(253, { charset: "latin1" }), "varchar(10)", "string", "text", `CONVERT(${N} USING utf8mb4)`, "exact"],
  [column(253, { charset: null }), "varchar(10)", "string", "text", `CONVERT(${N} USING utf8mb4)`, "exact"],
  [
    column(252, { charset: "utf8mb3", length: 65535, characterBytes: 3 }),
    "text",
    "string",
    "text",
    `CONVERT(${N} USING utf8mb4)`,
    "exact",
  ],
  [column(254), "binary(10)", "binary", "bytes", N, "exact"],
  [column(253), "varbinary(10)", "binary", "bytes", N, "exact"],
  [column(252, { length: 4294967295 }), "longblob", "binary", "bytes", N, "exact"],
  [column(254, { charset: "utf8mb4", flags: ENUM }), "enum", "enum", "text", N, "compatible"],
  [column(254, { charset: "utf8mb4", flags: SET }), "set", "enum", "text", N, "compatible"],
  [column(242), "vector", "binary", "bytes", N, "compatible"],
  [
    column(255),
    "geometry",
    "binary",
    "bytes",
    `ST_AsBinary(${N}, 'axis-order=long-lat')`,
    "compatible",
  ],
];

Deno.test("every protocol type has its mapping", () => {
  for (const [input, spelled, type, wire, select, fidelity] of MAPPINGS) {
    const mapped = mapMysql(input, false);
    assert.equal(spellMysqlType(input, false), spelled);
    assert.deepEqual(
      [mapped.type === null ? null : formatType(mapped.type), mapped.wire, mapped.select, mapped.fidelity],
      [type, wire, select, fidelity],
      spelled,
    );
  }
});

Deno.test("MariaDB's display widths are part of its spelling", () => {
  assert.equal(spellMysqlType(column(3, { length: 11 }), true), "int(11)");
  assert.equal(spellMysqlType(column(13, { length: 4 }), true), "year(4)");
});

Deno.test("MariaDB writes geometry without the option it does not know", () => {
  assert.equal(mapMysql(column(255), true).select, `ST_AsBinary(${N})`);
});

const TYPES: Record<string, LogicalType> = {
  bool: { kind: "bool" },
  int16: { kind: "int16" },
  int32: { kind: "int32" },
  int64: { kind: "int64" },
  uint64: { kind: "uint64" },
  float32: { kind: "float32" },
  float64: { kind: "float64" },
  decimal: { kind: "decimal", precision: 20, scale: 2 },
  date: { kind: "date" },
  timestamp: { kind: "timestamp", unit: "us", utc: false },
  timestamp_ns: { kind: "timestamp", unit: "ns", utc: false },
  timestamp_tz: { kind: "timestamp", unit: "us", utc: true },
  string: { kind: "string" },
  binary: { kind: "binary" },
  json: { kind: "json" },
  uuid: { kind: "uuid" },
};

/** Which overrides each type accepts; every other pair must be refused. */
const ACCEPTED: [string, MysqlColumn, string][] = [
  ["int", column(3), "bool int16 int32 int64 uint64 float32 float64 decimal string"],
  [
    "decimal(10,2)",
    column(246, { length: 12, decimals: 2 }),
    "int16 int32 int64 uint64 float32 float64 decimal string",
  ],
  ["decimal(10,0)", column(246, { length: 11 }), "int16 int32 int64 uint64 float32 float64 decimal string"],
  ["float", column(4, { decimals: 31 }), "float32 float64 string"],
  ["date", column(10), "date string"],
  ["time", column(11), "string"],
  ["datetime(6)", column(12), "timestamp timestamp_ns timestamp_tz string"],
  ["timestamp", column(7), "timestamp timestamp_ns timestamp_tz string"],
  ["year(4)", column(13), "bool int16 int32 int64 uint64 float32 float64 decimal string"],
  ["bit(8)", column(16, { length: 8 }), "bool int16 int32 int64 uint64 decimal string binary"],
  ["varbinary(16)", column(253), "uuid binary json string"],
  ["point", column(255), "binary string"],
  ["uuid", column(254, { extended: "uuid" }), "uuid string"],
  ["inet6", column(254, { extended: "inet6" }), "string"],
  ["enum('a','b')", column(254, { flags: ENUM, charset: "utf8mb4" }), "string"],
  ["json", column(245), "json string"],
  [
    "varchar(20)",
    column(253, { charset: "utf8mb4" }),
    "bool int16 int32 int64 uint64 float32 float64 decimal date timestamp timestamp_ns timestamp_tz string binary json uuid",
  ],
];

Deno.test("an override is taken or refused, for every pair of types", () => {
  for (const [nativeType, input, accepted] of ACCEPTED) {
    const described = { name: input.name, nativeType, ...mapMysql(input, false) };
    for (const [name, type] of Object.entries(TYPES)) {
      let result: string;
      try {
        const changed = overrideMysql(described, type);
        assert.deepEqual(changed.type, type);
        assert.notEqual(changed.fidelity, "unsupported");
        result = "accepted";
      } catch (error) {
        assert.ok(error instanceof RivetError);
        assert.equal(error.code, "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH");
        result = "refused";
      }
      assert.equal(result, accepted.split(" ").includes(name) ? "accepted" : "refused", `${nativeType} as ${name}`);
    }
  }
});

Deno.test("an override chooses the wire form its type needs", () => {
  const bits = { name: "b", nativeType: "bit(64)", ...mapMysql(column(16, { length: 64, name: "b" }), false) };
  assert.deepEqual(overrideMysql(bits, { kind: "string" }).select, "`b` + 0");
  assert.deepEqual(overrideMysql(bits, { kind: "binary" }).wire, "bytes");
  const bytes = { name: "b", nativeType: "binary(16)", ...mapMysql(column(254, { name: "b" }), false) };
  assert.deepEqual(overrideMysql(bytes, { kind: "uuid" }).wire, "bytes");
  assert.deepEqual(overrideMysql(bytes, { kind: "string" }).wire, "text");
  const point = { name: "g", nativeType: "point", ...mapMysql(column(255, { name: "g" }), false) };
  assert.deepEqual(overrideMysql(point, { kind: "string" }).select, "ST_AsText(`g`, 'axis-order=long-lat')");
  const flag = { name: "f", nativeType: "tinyint(1)", ...mapMysql(column(1, { name: "f", length: 1 }), false) };
  assert.equal(flag.warnings.length, 1);
  assert.deepEqual(overrideMysql(flag, { kind: "int16" }).warnings, []);
});

Deno.test("a decimal override that loses digits is marked as lossy", () => {
  const own = { name: "d", nativeType: "decimal(10,2)", ...mapMysql(column(246, { length: 12, decimals: 2 }), false) };
  const fidelityOf = (precision: number, scale: number) =>
    overrideMysql(own, { kind: "decimal", precision, scale }).fidelity;
  assert.equal(fidelityOf(12, 4), "exact");
  assert.equal(fidelityOf(10, 1), "lossy");
  assert.equal(fidelityOf(10, 4), "lossy");
});
