import assert from "node:assert/strict";
import { describeTarget, parseTarget, parseTypeName, TARGETS, TYPE_ALIASES } from "../../../src/types/mod.ts";

const describe = (target: "bigquery" | "snowflake" | "duckdb" | "clickhouse", type: string) =>
  describeTarget(target, parseTypeName(type)!);

Deno.test("warehouses have short names", () => {
  assert.deepEqual(["BQ", "sf", " duck ", "ch"].map(parseTarget), ["bigquery", "snowflake", "duckdb", "clickhouse"]);
  assert.equal(parseTarget("constructor"), null);
});

Deno.test("every type has an answer in every warehouse, and what is not ok says why", () => {
  for (const target of TARGETS) {
    for (const [name] of [...TYPE_ALIASES, ["decimal(10,2)"], ["decimal(60,20)"], ["uuid[]"]]) {
      const found = describe(target, name!);
      assert.ok(found.native !== "" && found.autoload !== "");
      if (found.status !== "ok") assert.ok(found.note !== null, `${target} ${name}`);
      if (found.cast !== null) assert.match(found.cast, /\{col\}/);
      if (found.status === "ok") assert.equal(found.native, found.autoload, `${target} ${name}`);
    }
  }
});

Deno.test("decimals are judged by the digits the warehouse holds", () => {
  assert.equal(describe("bigquery", "decimal(38,9)").native, "NUMERIC");
  assert.equal(describe("bigquery", "decimal(38,8)").native, "BIGNUMERIC");
  assert.equal(describe("bigquery", "decimal(76,38)").native, "BIGNUMERIC");
  assert.equal(describe("bigquery", "decimal(76,20)").status, "fail");
  assert.equal(describe("snowflake", "decimal(39,0)").status, "fail");
  assert.equal(describe("duckdb", "decimal(39,0)").status, "warn");
  assert.equal(describe("clickhouse", "decimal(76,0)").native, "Decimal(76, 0)");
});

Deno.test("what does not load as itself comes with a cast", () => {
  assert.equal(describe("bigquery", "timestamp").cast, "DATETIME({col})");
  assert.equal(describe("bigquery", "uuid").cast, "TO_HEX({col})");
  assert.equal(describe("snowflake", "timestamp_ns").cast, "TO_TIMESTAMP_NTZ({col}, 9)");
  assert.equal(describe("clickhouse", "uuid").status, "warn");
  assert.equal(describe("duckdb", "int64[]").native, "BIGINT[]");
});
