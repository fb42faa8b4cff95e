import assert from "node:assert/strict";
import type { Export } from "../../../src/config/mod.ts";
import { checkCursor, fingerprint, streamOf } from "../../../src/plan/definition.ts";
import { periods } from "../../../src/plan/partition.ts";

function query(template: string): Export {
  return { from: { kind: "query", template, text: template, file: null } } as Export;
}

Deno.test("a stream is the query from FROM on: column lists, case and layout do not change it", () => {
  const stream = streamOf(query("SELECT a, b FROM Orders WHERE status = 'Open'"));
  assert.equal(streamOf(query("select a,\n  b, c\n  from orders\n where status = 'Open'")), stream);
  assert.notEqual(streamOf(query("SELECT a FROM orders WHERE status = 'open'")), stream);
  assert.notEqual(streamOf(query("SELECT a FROM other WHERE status = 'Open'")), stream);
});

Deno.test("a fingerprint cannot be shifted between settings", () => {
  assert.notEqual(fingerprint({ a: "bc", d: "" }), fingerprint({ a: "b", d: "c" }));
  assert.equal(fingerprint({ a: "1", b: "2" }), fingerprint({ b: "2", a: "1" }));
});

const CONFIG = { path: "c.yaml", parameters: ["DAY"] };

Deno.test("a stored cursor is refused when what it was taken from changed, with both remedies", () => {
  const definition = {
    column: "at",
    columnType: "timestamp",
    mode: "incremental",
    stream: "t",
    destination: "out",
    format: "parquet",
  };
  const stored = { value: "5", lastRunAt: "", definition, edge: {} };
  checkCursor(stored, definition, "e", CONFIG);
  const edits = {
    column: "OWNER",
    mode: "OWNER",
    stream: "STREAM",
    destination: "DESTINATION",
    format: "DESTINATION",
  } as const;
  for (const [key, code] of Object.entries(edits)) {
    assert.throws(
      () => checkCursor(stored, { ...definition, [key]: "other" }, "e", CONFIG),
      (error: Error & { code: string; cure: string }) => {
        assert.equal(error.code, `RIVET_STATE_CURSOR_${code}_MISMATCH`);
        const [accept, reset] = ["accept", "reset"].map((name) => `state ${name} -c c.yaml -e e -p DAY=…\``);
        // A value of one column says nothing of another: to keep it is what loses rows.
        const [first, second] = code === "OWNER" ? [reset, accept] : [accept, reset];
        assert.match(error.cure, new RegExp(`${first}.*${second}`));
        if (code === "OWNER") assert.match(error.cure, /only if the column was renamed.*below it .* never read/);
        return true;
      },
    );
  }
  assert.throws(() => checkCursor(stored, { ...definition, columnType: "text" }, "e", CONFIG), {
    code: "RIVET_STATE_CURSOR_INCOMPARABLE",
    cure: /^Run `rivet state reset .*only if the column was renamed/,
  });
  // The column among other edits: whatever is told first, the cure is that of the column.
  assert.throws(() => checkCursor(stored, { ...definition, columnType: "text", format: "csv" }, "e", CONFIG), {
    code: "RIVET_STATE_CURSOR_DESTINATION_MISMATCH",
    cure: /^Run `rivet state reset /,
  });
});

Deno.test("partition periods are half-open and meet at their ends", () => {
  assert.deepEqual(periods("2025-12-31 23:00:00", "2026-02-01", "month").map((p) => [p.label, p.from, p.to]), [
    ["2025-12", "2025-12-01", "2026-01-01"],
    ["2026-01", "2026-01-01", "2026-02-01"],
    ["2026-02", "2026-02-01", "2026-03-01"],
  ]);
  assert.deepEqual(periods("2024-02-28", "2024-03-01", "day").map((p) => p.label), [
    "2024-02-28",
    "2024-02-29",
    "2024-03-01",
  ]);
});
