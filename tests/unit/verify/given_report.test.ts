import assert from "node:assert/strict";
import { parseGivenReport } from "../../../src/verify/mod.ts";

const RECONCILE = { report: "reconcile", export_name: "t", run_id: "r", partitions: [] };
const failure = { kind: "part_missing", code: "C", severity: "wrong", message: "m", path: "p", run_id: "r" };
const VALIDATE = {
  exports: [
    { export_name: "t__2026", verification: { run_ids: ["r"], failures: [failure] } },
    { export_name: "u", verification: { run_ids: [], failures: [failure] } },
  ],
};

Deno.test("a report of reconcile and one of validate are told apart by what they hold", () => {
  const reconcile = parseGivenReport(JSON.stringify(RECONCILE), "f.json", "t", "make it");
  assert.equal(reconcile.kind, "reconcile");
  const validate = parseGivenReport(JSON.stringify(VALIDATE), "f.json", "t", "make it");
  assert.ok(validate.kind === "validate");
  assert.deepEqual(validate.failures, [{ unitName: "t__2026", runIds: ["r"], failure }]);
});

for (
  const [name, text] of Object.entries({
    "no JSON": "{",
    "another object": "{}",
    "a list": "[]",
    null: "null",
    "a report of other exports": JSON.stringify({ exports: [VALIDATE.exports[1]] }),
    "a summary of runs": JSON.stringify({ exports: [{ export_name: "t" }] }),
  })
) {
  Deno.test(`${name} is refused as a report`, () => {
    assert.throws(() => parseGivenReport(text, "f.json", "t", "make it"), {
      code: "RIVET_CLI_REPORT_INVALID",
      where: "f.json",
      cure: "Make one with `make it`",
    });
  });
}
