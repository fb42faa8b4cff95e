// The plan of a SQL Server statement: asked for on the same session, which goes on as before.

import assert from "node:assert/strict";
import { explainAccess } from "../../src/source/mod.ts";
import { openFakeDatabase } from "../support/mssql.ts";
import type { Step } from "../support/tds_fake.ts";

const PLAN = `<ShowPlanXML><RelOp PhysicalOp="Clustered Index Scan" EstimateRows="9" AvgRowSize="40"
  EstimatedTotalSubtreeCost="1"><Object Table="[t]" Index="[PK_t]"/></RelOp></ShowPlanXML>`;

function* planAnswer(): Generator<Step> {
  yield { kind: "columns", columns: [{ name: "Microsoft SQL Server 2005 XML Showplan", type: "nvarchar(max)" }] };
  yield { kind: "row", values: [PLAN] };
}

function openShop(mayShowPlans: boolean, said: string[]) {
  let isPlanning = false;
  return openFakeDatabase({
    intercept(sql) {
      if (isPlanning && sql !== "SET SHOWPLAN_XML OFF") return planAnswer();
      if (!sql.startsWith("SET SHOWPLAN")) return null;
      said.push(sql);
      if (!mayShowPlans) return [{ kind: "message", number: 262, message: "SHOWPLAN permission denied", severity: 14 }];
      isPlanning = sql.endsWith("ON");
      return [];
    },
  });
}

Deno.test("a plan is read without running the statement, and switched off again", async () => {
  const said: string[] = [];
  await using db = await openShop(true, said);
  await using source = await db.open();
  const access = await explainAccess(source, "SELECT * FROM nowhere");
  assert.deepEqual(access, { scan: "Clustered Index Scan on t using PK_t", usesIndex: false, rows: 9, rowBytes: 40 });
  assert.deepEqual(said, ["SET SHOWPLAN_XML ON", "SET SHOWPLAN_XML OFF"]);
  assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
});

Deno.test("without the right to see plans there is none, and the session stays usable", async () => {
  const said: string[] = [];
  await using db = await openShop(false, said);
  await using source = await db.open();
  assert.equal(await explainAccess(source, "SELECT 1"), null);
  assert.deepEqual(said, ["SET SHOWPLAN_XML ON"]);
  assert.deepEqual(await source.rows("SELECT 1"), [["1"]]);
});
