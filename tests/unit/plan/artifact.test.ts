import assert from "node:assert/strict";
import {
  buildArtifactSchema,
  formatArtifact,
  parseArtifact,
  type PlanArtifact,
  sealArtifact,
} from "../../../src/plan/artifact.ts";

function artifact(cuts: string[][] = [["5"], ["9"]]): PlanArtifact {
  const column = { names: ["id"], type: { kind: "int64" as const }, nativeType: "bigint", notNull: true };
  return sealArtifact({
    rivet_plan: 1,
    rivet_version: "test",
    plan_id: "0123456789abcdef0123456789abcdef",
    created_at: "2026-04-18T00:00:00.000Z",
    expires_at: "2026-04-19T00:00:00.000Z",
    config_path: "/etc/rivet.yaml",
    date: null,
    parameters: [],
    source: { type: "postgres", identity: "postgres://h:5432/d", written: { type: "postgres" } },
    config: { text: "exports: []\n", query_files: {}, redacted: [] },
    exports: [{
      export_name: "t",
      strategy: "keyset",
      plan_fingerprint: "0123456789abcdef",
      resolved_plan: { mode: "chunked" },
      computed: {
        chunk_count: cuts.length + 1,
        chunk_ranges: [[null, "5"]],
        chunk_ranges_omitted: 0,
        cursor_snapshot: null,
        cursor_high: null,
        row_estimate: 10,
        row_estimate_source: "catalog estimate",
        row_bytes_estimate: 8,
        memory_mb_estimate: 34,
        output_bytes_estimate: null,
        sample: null,
        lanes: 1,
        consistency: "snapshot",
        output: "/out",
        permissions: { net: ["h:5432"], read: [], write: [], sys: [] },
      },
      diagnostics: {
        verdict: "acceptable",
        breach: null,
        warnings: ["an ünïcode \u2028 warning"],
        recommended_profile: "fast",
        recommended_parallel: 1,
        strategy_rationale: "",
        suggestion: null,
      },
      prioritization: {
        export_name: "t",
        source_group: null,
        priority_score: 50,
        priority_class: "medium",
        cost_class: "low",
        risk_class: "low",
        recommended_wave: 3,
        isolate_on_source: false,
        parallel_safe: true,
        reasons: [],
      },
      columns: [{ name: "id", type: "int64" }],
      tasks: [{
        name: "t",
        partition: null,
        settings: "0123456789abcdef",
        strategy: { kind: "key", columns: ["id"], size: 5 },
        strategy_label: "keyset(id, size=5)",
        chunk_count: cuts.length + 1,
        layout: { kind: "keys", columns: [column], cuts },
        filters: [],
        window: null,
      }],
    }],
    campaign: { ordered_exports: ["t"], waves: [{ wave: 3, exports: ["t"] }], source_group_warnings: [] },
  });
}

const textOf = (plan: PlanArtifact) => [...formatArtifact(plan)].join("");

Deno.test("an artifact is read as it was written, however it is laid out or ordered", () => {
  const plan = artifact();
  const text = textOf(plan);
  assert.deepEqual(parseArtifact(text, "plan.json"), plan);
  assert.deepEqual(parseArtifact(JSON.stringify(JSON.parse(text)), "plan.json"), plan);
  const reversed = Object.fromEntries(Object.entries(plan).reverse());
  assert.deepEqual(parseArtifact(JSON.stringify(reversed), "plan.json"), plan);
});

Deno.test("every changed value, added key and removed key is found", () => {
  const plan = artifact();
  let edits = 0;
  const visit = (value: unknown, edit: (next: unknown) => unknown): void => {
    const tried = (next: unknown) => {
      edits++;
      const text = JSON.stringify(edit(next));
      assert.throws(() => parseArtifact(text, "plan.json"), { code: "RIVET_PLAN_ARTIFACT_INVALID" });
    };
    if (Array.isArray(value)) {
      tried([...value, "more"]);
      value.forEach((item, i) => visit(item, (next) => edit(value.with(i, next))));
    } else if (typeof value === "object" && value !== null) {
      tried({ ...value, added: 1 });
      for (const [key, item] of Object.entries(value)) {
        tried(Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)));
        visit(item, (next) => edit({ ...value, [key]: next }));
      }
    } else tried(typeof value === "string" ? `${value}x` : typeof value === "number" ? value + 1 : "other");
  };
  visit(plan, (next) => next);
  assert.ok(edits > 100);
});

Deno.test("a plan cut at any place, other JSON and another format are refused with the cure", () => {
  const text = textOf(artifact()).trimEnd();
  for (let length = 0; length < text.length; length += 37) {
    assert.throws(() => parseArtifact(text.slice(0, length), "p"), { code: "RIVET_PLAN_ARTIFACT_INVALID", where: "p" });
  }
  for (
    const other of ["null", "[]", "1", '"plan"', "{}", '{"exports": []}', '{"rivet_plan": 1}', '{"rivet_plan": "1"}']
  ) {
    assert.throws(() => parseArtifact(other, "p"), { code: "RIVET_PLAN_ARTIFACT_INVALID" });
  }
  const newer = JSON.stringify({ ...artifact(), rivet_plan: 2, rivet_version: "9.9" });
  assert.throws(() => parseArtifact(newer, "p"), (error: { cure: string }) => /made by rivet 9\.9/.test(error.cure));
});

Deno.test("a sealed plan of the wrong shape is refused by the place at fault", () => {
  const { integrity: _integrity, ...plan } = artifact();
  const wrong = sealArtifact({ ...plan, exports: [{ ...plan.exports[0]!, strategy: "magic" as "full" }] });
  assert.throws(() => parseArtifact(JSON.stringify(wrong), "p"), (error: { code: string; message: string }) => {
    assert.equal(error.code, "RIVET_PLAN_ARTIFACT_INVALID");
    assert.match(error.message, /exports\.0\.strategy/);
    return true;
  });
});

Deno.test("a million cuts grow the file by their own text alone, and come back", () => {
  const cuts = Array.from({ length: 1_000_000 }, (_, i) => [String(i)]);
  const plan = artifact(cuts);
  let length = 0;
  let pieces = 0;
  const kept: string[] = [];
  for (const piece of formatArtifact(plan)) {
    length += piece.length;
    pieces++;
    kept.push(piece);
  }
  assert.ok(length < textOf(artifact([])).length + 11 * cuts.length, `${length} characters`);
  assert.ok(pieces < 2000, `${pieces} pieces`);
  assert.equal(parseArtifact(kept.join(""), "p").exports[0]!.computed.chunk_count, 1_000_001);
});

Deno.test("the schema describes every key of the artifact", () => {
  const schema = JSON.stringify(buildArtifactSchema("test"));
  for (const key of Object.keys(artifact())) assert.ok(schema.includes(`"${key}":`), key);
});
