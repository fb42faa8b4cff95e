import assert from "node:assert/strict";
import {
  buildLiteral,
  buildPredicate,
  buildSelect,
  buildWhere,
  edgeColumn,
  type KeyColumn,
  type Predicate,
  quoteName,
} from "../../../src/source/mod.ts";

const column = (name: string, kind: "int64" | "string" | "binary" | "date", notNull = true): KeyColumn => ({
  names: [name],
  type: { kind },
  nativeType: kind,
  notNull,
});
const ID = column("id", "int64");
const NAME = column('na"me', "string");

Deno.test("names are quoted with the engine's own marks, doubled inside", () => {
  assert.equal(quoteName("postgres", 'a"b'), '"a""b"');
  assert.equal(quoteName("mysql", "a`b"), "`a``b`");
  assert.equal(quoteName("mssql", "a]b"), "[a]]b]");
});

Deno.test("text literals cannot end early", () => {
  assert.equal(buildLiteral("postgres", "a'\\", NAME), "E'a''\\\\'");
  assert.equal(buildLiteral("mysql", "a'\\", NAME), "'a''\\\\'");
  assert.equal(buildLiteral("sqlite", "a'\\", NAME), "'a''\\'");
  assert.equal(buildLiteral("mssql", "a'", NAME), "'a'''");
  assert.equal(buildLiteral("mssql", "ä", NAME), "N'ä'");
});

Deno.test("a number is written bare only when it is one", () => {
  assert.equal(buildLiteral("mysql", "-12", ID), "-12");
  assert.equal(buildLiteral("mysql", "1 OR 1=1", ID), "'1 OR 1=1'");
});

Deno.test("composite ranges use row comparison where the engine seeks on it, and are spelled out elsewhere", () => {
  const range: Predicate = { kind: "range", columns: [ID, NAME], from: ["1", "x"], to: null };
  assert.equal(buildPredicate("postgres", range), `("id", "na""me") >= (E'1', E'x')`);
  assert.equal(buildPredicate("mysql", range), "`id` >= 1 AND ((`id` > 1) OR (`id` = 1 AND `na\"me` >= 'x'))");
});

Deno.test("a nullable key column is asked for in ranges, so that NULL is in its own slice only", () => {
  const range: Predicate = { kind: "range", columns: [column("k", "int64", false)], from: ["1"], to: ["5"] };
  assert.equal(buildPredicate("sqlite", range), `("k" >= 1) AND ("k" < 5) AND ("k" IS NOT NULL)`);
});

Deno.test("no condition is no WHERE", () => {
  assert.equal(buildWhere("postgres", []), "");
  assert.equal(buildWhere("postgres", [{ kind: "all", of: [] }]), "");
});

Deno.test("a query's own ORDER BY or trailing comment cannot swallow the condition", () => {
  const sql = buildSelect("postgres", {
    query: { kind: "query", sql: "SELECT 1 AS id -- all" },
    columns: [{
      name: "id",
      nativeType: "integer",
      type: { kind: "int32" },
      wire: "int4",
      select: '"id"',
      fidelity: "exact",
      warnings: [],
      notNull: null,
    }],
    hidden: [],
    where: [{ kind: "compare", column: ID, op: ">=", value: "1" }],
  });
  assert.equal(sql, `SELECT "id" FROM (SELECT 1 AS id -- all\n) AS _rivet WHERE "id" >= E'1'`);
});

Deno.test("the edge column marks both edges of a window", () => {
  const low: Predicate = { kind: "compare", column: ID, op: "<=", value: "5" };
  assert.equal(edgeColumn("sqlite", "_e", low, null).expression, `(CASE WHEN "id" <= 5 THEN 1 ELSE 0 END + 0)`);
  assert.equal(edgeColumn("postgres", "_e", null, null).expression, "(0 + 0)::int4");
});

Deno.test("the transaction of a row's version is counted in 64 bits and compared half-open", () => {
  const sql = buildPredicate("postgres", { kind: "transactions", from: "5", to: "4294967301" });
  assert.match(sql, /xmin::text::bigint/);
  assert.match(sql, / >= 5 AND .* < 4294967301$/);
  assert.equal(buildPredicate("postgres", { kind: "transactions", from: null, to: null }), "");
});
