import assert from "node:assert/strict";
import fc from "fast-check";
import { orderExports, type OrderInput, scoreExport } from "../../../src/plan/order.ts";

const PLAIN: OrderInput = {
  name: "t",
  sourceGroup: null,
  rows: 50_000,
  mode: "full",
  cursor: null,
  chunks: 1,
  windowDays: null,
  isSparse: false,
  reconcileRequired: false,
  verdict: "acceptable",
  warnings: 0,
  history: { runs: 0, lastFailed: false, retriesPerRun: 0, durationMsAvg: 0 },
};

Deno.test("the score adds up what is known of an export", () => {
  const score = (more: Partial<OrderInput>) => scoreExport({ ...PLAIN, ...more }).priority_score;
  assert.equal(score({}), 50 + 12 + 5);
  assert.equal(score({ rows: 100_000 }), 50 + 5);
  assert.equal(score({ rows: 10_000_000 }), 50 - 15 + 5);
  assert.equal(score({ rows: null }), 50 - 3 + 5);
  assert.equal(score({ mode: "incremental", cursor: "strong", verdict: "efficient" }), 50 + 12 + 18 + 8);
  assert.equal(score({ mode: "incremental", cursor: "weak_time" }), 50 + 12 - 8);
  assert.equal(score({ mode: "incremental", cursor: "fallback" }), 50 + 12 - 14);
  assert.equal(score({ mode: "incremental", cursor: "none" }), 50 + 12 - 12);
  assert.equal(score({ mode: "chunked", chunks: 2 }), 50 + 12 - 10);
  assert.equal(score({ mode: "chunked", chunks: 1 }), 50 + 12);
  assert.equal(score({ mode: "chunked", rows: 1_000_001 }), 50 - 10);
  assert.equal(score({ mode: "time_window", windowDays: 7 }), 50 + 12 + 6);
  assert.equal(score({ mode: "time_window", windowDays: 8 }), 50 + 12);
  assert.equal(score({ isSparse: true }), 50 + 12 + 5 - 18);
  assert.equal(score({ reconcileRequired: true }), 50 + 12 + 5 - 12);
  assert.equal(score({ verdict: "degraded" }), 50 + 12 + 5 - 12 - 4);
  assert.equal(score({ verdict: "unsafe" }), 50 + 12 + 5 - 25);
  assert.equal(score({ warnings: 4 }), 50 + 12 + 5 - 4);
  const history = { runs: 3, lastFailed: true, retriesPerRun: 0.5, durationMsAvg: 300_000 };
  assert.equal(score({ history }), 50 + 12 + 5 - 8 - 5 - 4);
  assert.equal(score({ history: { ...history, runs: 2 } }), 50 + 12 + 5 - 8);
});

Deno.test("class, wave, cost and risk follow from the limits", () => {
  const strong = scoreExport({ ...PLAIN, mode: "incremental", cursor: "strong", verdict: "efficient" });
  assert.deepEqual([strong.priority_score, strong.priority_class, strong.recommended_wave], [88, "high", 1]);
  const heavy = scoreExport({ ...PLAIN, mode: "chunked", rows: 20_000_000, chunks: 8 });
  assert.deepEqual([heavy.priority_score, heavy.priority_class, heavy.recommended_wave], [25, "low", 4]);
  assert.deepEqual([heavy.cost_class, heavy.risk_class, heavy.parallel_safe], ["very_high", "low", false]);
  const sparse = scoreExport({ ...PLAIN, isSparse: true });
  assert.deepEqual([sparse.cost_class, sparse.risk_class, sparse.parallel_safe], ["low", "high", false]);
  assert.equal(scoreExport({ ...PLAIN, rows: 20_000_000, chunks: 7 }).cost_class, "high");
  assert.equal(scoreExport({ ...PLAIN, rows: null }).cost_class, "medium");
});

Deno.test("every export stands in exactly one wave, higher scores never in a later one", () => {
  const input = fc.record({
    rows: fc.option(fc.integer({ min: 0, max: 50_000_000 })),
    mode: fc.constantFrom("full" as const, "incremental" as const, "chunked" as const, "time_window" as const),
    chunks: fc.integer({ min: 0, max: 20 }),
    verdict: fc.constantFrom("efficient" as const, "acceptable" as const, "degraded" as const, "unsafe" as const),
    sourceGroup: fc.constantFrom(null, "a", "b"),
  });
  fc.assert(fc.property(fc.array(input, { maxLength: 30 }), (inputs) => {
    const named = inputs.map((one, i) => ({ ...PLAIN, ...one, name: `t${i}` }));
    const { recommendations, campaign } = orderExports(named);
    assert.deepEqual([...campaign.ordered_exports].sort(), named.map(({ name }) => name).sort());
    assert.deepEqual(campaign.waves.flatMap(({ exports }) => exports), campaign.ordered_exports);
    for (const [i, one] of recommendations.entries()) {
      assert.ok(one.priority_score >= 0 && one.priority_score <= 100);
      const next = recommendations[i + 1];
      if (next !== undefined) assert.ok(next.recommended_wave >= one.recommended_wave);
    }
  }));
});

Deno.test("heavy exports of one source group are told to stay apart; three light ones get a word", () => {
  const heavy = { rows: 20_000_000, sourceGroup: "replica" };
  const { recommendations, campaign } = orderExports([
    { ...PLAIN, ...heavy, name: "a" },
    { ...PLAIN, ...heavy, name: "b" },
    { ...PLAIN, name: "c", sourceGroup: "replica" },
  ]);
  assert.deepEqual(
    recommendations.map((one) => [one.export_name, one.isolate_on_source, one.parallel_safe]),
    [["c", false, true], ["a", true, false], ["b", true, false]],
  );
  assert.deepEqual(campaign.source_group_warnings.map(({ exports }) => exports), [["a", "b"]]);
  const light = ["a", "b", "c"].map((name) => ({ ...PLAIN, name, sourceGroup: "replica" }));
  assert.match(orderExports(light).campaign.source_group_warnings[0]!.message, /3 exports share/);
  assert.deepEqual(orderExports(light.slice(1)).campaign.source_group_warnings, []);
});
