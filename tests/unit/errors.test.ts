import assert from "node:assert/strict";
import { RivetError, toErrorReport, toRivetError } from "../../src/errors.ts";
import { rememberSecret } from "../../src/redact.ts";

Deno.test("no secret that was read stays in an error, wherever the words came from", () => {
  rememberSecret("Tr0ub4dor&3");
  const error = new RivetError("RIVET_SOURCE_QUERY_FAILED", 'invalid input syntax for type integer: "Tr0ub4dor&3"', {
    where: "postgres://me:Tr0ub4dor%263@db/shop",
  });
  assert.equal(error.message, 'invalid input syntax for type integer: "REDACTED"');
  assert.doesNotMatch(JSON.stringify(toErrorReport(error)), /Tr0ub4dor/);
  assert.doesNotMatch(toRivetError(new Error("login with Tr0ub4dor&3 failed")).message, /Tr0ub4dor/);
});
