import assert from "node:assert/strict";
import { findRelation } from "../../../src/plan/relation.ts";

const PLAIN: [string, string | null, string, boolean][] = [
  ["SELECT * FROM orders", null, "orders", false],
  ["select id, user_id,\n price from shop.Orders;", "shop", "orders", false],
  ['SELECT "Id" FROM "Shop"."Orders"', "Shop", "Orders", false],
  ["SELECT id FROM orders WHERE id > 5 AND note = 'x'", null, "orders", true],
];

for (const [sql, schema, name, isFiltered] of PLAIN) {
  Deno.test(`a plain query is of its table: ${sql.replaceAll("\n", " ")}`, () => {
    assert.deepEqual(findRelation("postgres", sql), { schema, name, isFiltered });
  });
}

Deno.test("only PostgreSQL folds names", () => {
  assert.equal(findRelation("mysql", "SELECT `a` FROM Orders")?.name, "Orders");
  assert.equal(findRelation("mssql", "SELECT [a] FROM [dbo].[Orders]")?.name, "Orders");
});

const OTHERS = [
  "SELECT DISTINCT id FROM orders",
  "SELECT TOP 5 id FROM orders",
  "SELECT count(*) FROM orders",
  "SELECT id AS key FROM orders",
  "SELECT price id FROM orders",
  "SELECT o.id FROM orders o",
  "SELECT id FROM orders, users",
  "SELECT id FROM orders JOIN users USING (id)",
  "SELECT id FROM (SELECT id FROM orders) x",
  "SELECT id FROM orders LIMIT 5",
  "SELECT id FROM a UNION ALL SELECT id FROM b",
  "WITH x AS (SELECT 1) SELECT * FROM x",
];

for (const sql of OTHERS) {
  Deno.test(`of no single table, or not row for row: ${sql}`, () => assert.equal(findRelation("postgres", sql), null));
}
