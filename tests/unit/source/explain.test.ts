import assert from "node:assert/strict";
import { readMssqlPlan, readMysqlPlan, readPostgresPlan, readSqlitePlan } from "../../../src/source/explain.ts";

const node = (type: string, cost: number, more: object = {}) => ({
  "Node Type": type,
  "Total Cost": cost,
  "Plan Rows": 10,
  "Plan Width": 20,
  ...more,
});
const postgres = (plan: object) => readPostgresPlan(JSON.stringify([{ Plan: plan }]));

Deno.test("PostgreSQL: the costliest scan decides, rows and width are those of the whole", () => {
  const small = node("Seq Scan", 5, { "Relation Name": "users" });
  const large = node("Bitmap Heap Scan", 90, {
    "Relation Name": "orders",
    Plans: [node("Bitmap Index Scan", 9, { "Index Name": "orders_at" })],
  });
  const access = postgres(node("Hash Join", 100, { "Plan Rows": 77, "Plan Width": 8, Plans: [small, large] }));
  assert.deepEqual(access, { scan: "Bitmap Heap Scan on orders", usesIndex: true, rows: 77, rowBytes: 8 });
});

Deno.test("PostgreSQL: index scans and page ranges seek, others do not", () => {
  const uses = (type: string) => postgres(node(type, 1, { "Relation Name": "t" }))?.usesIndex;
  for (const type of ["Index Scan", "Index Only Scan", "Tid Range Scan"]) assert.equal(uses(type), true, type);
  for (const type of ["Seq Scan", "Foreign Scan", "Function Scan", "Result"]) assert.equal(uses(type), false, type);
});

Deno.test("MySQL and MariaDB nest their tables differently, the largest read is found in both", () => {
  const mariadb = readMysqlPlan(JSON.stringify({
    query_block: { nested_loop: [{ table: { table_name: "t", access_type: "range", key: "PRIMARY", rows: 500 } }] },
  }));
  assert.deepEqual(mariadb, { scan: "range on t using PRIMARY", usesIndex: true, rows: 500, rowBytes: null });
  const mysql = readMysqlPlan(JSON.stringify({
    query_block: {
      table: {
        table_name: "<derived2>",
        access_type: "ALL",
        rows_examined_per_scan: 9999,
        materialized_from_subquery: {
          query_block: { table: { table_name: "t", access_type: "ALL", rows_examined_per_scan: 400 } },
        },
      },
    },
  }));
  assert.deepEqual(mysql, { scan: "ALL on t", usesIndex: false, rows: 400, rowBytes: null });
});

Deno.test("MySQL: an index that is read from end to end is a scan", () => {
  const access = (access_type: string) =>
    readMysqlPlan(JSON.stringify({ table: { table_name: "t", access_type, rows: 1 } }))?.usesIndex;
  for (const seek of ["const", "eq_ref", "ref", "range"]) assert.equal(access(seek), true, seek);
  for (const scan of ["ALL", "index", "fulltext"]) assert.equal(access(scan), false, scan);
});

Deno.test("SQLite: a scan of any table outweighs a search", () => {
  const steps = (...details: string[]) => readSqlitePlan(details.map((detail) => ["1", "0", "0", detail]));
  assert.equal(steps("CO-ROUTINE _rivet", "SEARCH t USING INDEX i (a>?)", "SCAN _rivet")?.scan, "SCAN _rivet");
  assert.equal(steps("SEARCH t USING INTEGER PRIMARY KEY (rowid>?)")?.usesIndex, true);
  assert.equal(steps("SCAN CONSTANT ROW"), null);
});

Deno.test("SQL Server: the costliest scan or seek of the XML decides", () => {
  const xml =
    `<ShowPlanXML><RelOp NodeId="0" PhysicalOp="Nested Loops" EstimateRows="1234.5" AvgRowSize="88" EstimatedTotalSubtreeCost="9">
    <RelOp NodeId="1" PhysicalOp="Clustered Index Seek" EstimateRows="7" AvgRowSize="11" EstimatedTotalSubtreeCost="3"><IndexScan>
      <Object Database="[d]" Schema="[dbo]" Table="[orders]" Index="[PK_orders]" /></IndexScan></RelOp>
    <RelOp NodeId="2" PhysicalOp="Table Scan" EstimateRows="2" AvgRowSize="11" EstimatedTotalSubtreeCost="1"><TableScan>
      <Object Database="[d]" Schema="[dbo]" Table="[users]" /></TableScan></RelOp></RelOp></ShowPlanXML>`;
  const access = readMssqlPlan(xml);
  assert.deepEqual(access, {
    scan: "Clustered Index Seek on orders using PK_orders",
    usesIndex: true,
    rows: 1235,
    rowBytes: 88,
  });
  assert.equal(readMssqlPlan(xml.replace('Cost="1"', 'Cost="5"'))?.scan, "Table Scan on users");
});

Deno.test("what is no plan is none", () => {
  assert.equal(readPostgresPlan("QUERY PLAN"), null);
  assert.equal(readMysqlPlan(""), null);
  assert.equal(readSqlitePlan([]), null);
  assert.equal(readMssqlPlan("<x/>"), null);
});
