// `run --validate --reconcile`: verdicts in the summary and the manifest, in every mode, also where rows of the last window are left out.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import type { Source } from "../../src/source/mod.ts";
import { runEngine } from "../support/engine.ts";
import { Faults } from "../support/faults.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";
import { readManifestFile } from "../support/reader.ts";
import { changeShop, MODES, prepareShop } from "../support/shop.ts";

const BOTH = { validate: true, reconcile: true };

for (const mode of MODES) {
  Deno.test(`${mode.name}: the source's count and the stored files are verdicts of the run`, async () => {
    await using folder = await temporaryFolder(inMemory());
    const configPath = await prepareShop(folder.path, mode);
    const result = await runEngine({ configPath, options: BOTH });
    for (const summary of result.per_export) {
      assert.deepEqual([summary.status, summary.validated, summary.reconciled], ["success", true, true]);
      assert.equal(summary.source_count, summary.rows);
    }
    assert.equal(result.total_rows, mode.timedOnly ? 54 : 60);
    for (const name of mode.folders ?? ["."]) {
      const manifest = (await readManifestFile(join(folder.path, "out", name)))!;
      assert.deepEqual(manifest.verdicts, { validated: true, reconciled: true, quality_passed: null });
      assert.equal(manifest.source.extraction.source_row_count, manifest.row_count);
    }
  });
}

Deno.test("rows that the last window had are not counted as missing", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, MODES.find(({ name }) => name === "incremental")!);
  await runEngine({ configPath });
  changeShop(folder.path, "INSERT INTO t VALUES (61, 'g1', (SELECT max(at) FROM t), 'tie')");
  const tie = (await runEngine({ configPath, options: BOTH })).per_export[0]!;
  assert.deepEqual([tie.rows, tie.source_count, tie.reconciled], [1, 1, true]);
  const nothing = (await runEngine({ configPath, options: BOTH })).per_export[0]!;
  assert.deepEqual([nothing.rows, nothing.source_count, nothing.reconciled], [0, 0, true]);
});

/** The question for the count fails, and nothing else. */
class Uncountable extends Faults {
  asked = 0;

  constructor(private readonly why = "The count took too long") {
    super(0, "fail");
  }

  override point(name: string): void {
    if (name === "state.commitSlices after") this.asked = 1;
    if (this.asked !== 1 || name !== "source.rows before") return;
    this.asked = 2;
    throw new RivetError("RIVET_SOURCE_STATEMENT_TIMEOUT", this.why);
  }
}

Deno.test("a count that cannot be had leaves sound data committed, and is told", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, MODES[0]!);
  const faults = new Uncountable();
  const summary = (await runEngine({ configPath, faults, options: BOTH })).per_export[0]!;
  assert.equal(faults.asked, 2);
  assert.deepEqual([summary.status, summary.reconciled, summary.error?.code], [
    "success",
    null,
    "RIVET_RUN_RECONCILE_UNVERIFIED",
  ]);
  assert.equal(summary.error?.exit_code, 1);
  assert.match(summary.error?.error ?? "", /The count took too long/);
  assert.equal((await readManifestFile(join(folder.path, "out")))?.row_count, 60);
});

/** A source whose picture can be shared, and that counts one row more than it gives. */
function countOneMore(inner: Source): Source {
  const shared = {
    begin: async () => {
      await inner.begin(null);
      return "shared";
    },
    rows: async (sql: string) => {
      const rows = await inner.rows(sql);
      return /^SELECT count\(\*\)/i.test(sql) ? [[String(Number(rows[0]![0]) + 1)]] : rows;
    },
  };
  return new Proxy(inner, {
    get(target, name) {
      if (name in shared) return shared[name as keyof typeof shared];
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

Deno.test("an export that lacks rows of its own picture is never published, not by the next run either", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, MODES[0]!);
  const wrong = await runEngine({ configPath, options: BOTH, wrapSource: countOneMore });
  const summary = wrong.per_export[0]!;
  assert.deepEqual([summary.status, summary.error?.code, summary.resumable], [
    "failed",
    "RIVET_RUN_RECONCILE_MISMATCH",
    false,
  ]);
  assert.equal(await readManifestFile(join(folder.path, "out")), null);
  const next = (await runEngine({ configPath })).per_export[0]!;
  assert.deepEqual([next.status, next.resumed, next.rows], ["success", false, 60]);
  assert.notEqual(next.run_id, summary.run_id);
});

Deno.test("why a count cannot be had does not repeat what was filled into the query", async () => {
  await using folder = await temporaryFolder(inMemory());
  const configPath = await prepareShop(folder.path, {
    name: "query",
    yaml: "query: SELECT * FROM t WHERE body <> '${word}'",
  });
  const faults = new Uncountable("near 'sesame-4711'");
  const summary = (await runEngine({ configPath, faults, params: { word: "sesame-4711" }, options: BOTH }))
    .per_export[0]!;
  assert.equal(summary.error?.code, "RIVET_RUN_RECONCILE_UNVERIFIED");
  assert.match(summary.error?.error ?? "", /near '\$\{word\}'/);
});
