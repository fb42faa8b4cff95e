// The page about validate says what the code does.

import assert from "node:assert/strict";
import { CODES } from "../../../src/errors.ts";
import { findingKinds, severityOfKind } from "../../../src/verify/finding.ts";

const EXITS = { wrong: "3", unverified: "1", advisory: "0" } as const;

Deno.test("the table of findings in docs/operating/validate.md is the code's", async () => {
  const page = await Deno.readTextFile(new URL("../../../docs/operating/validate.md", import.meta.url));
  const rows = page.split("\n").filter((line) => /^\| `[a-z_]+` +\| `RIVET_/.test(line))
    .map((line) => line.split("|").slice(1, 4).map((cell) => cell.trim().replaceAll("`", "")));
  const expected = findingKinds().map(([kind, code]) => [kind, code, EXITS[severityOfKind(kind)]]);
  assert.deepEqual(rows.map(String).sort(), expected.map(String).sort());
});

Deno.test("a code's kind and its finding's severity decide the same exit", () => {
  for (const [kind, code] of findingKinds()) {
    assert.equal(CODES[code].kind, severityOfKind(kind) === "wrong" ? "integrity" : "environment", kind);
  }
});
