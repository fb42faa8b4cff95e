// What commands print of a run with very many chunks: more than a call takes as arguments, in pieces that fit into a text.

import assert from "node:assert/strict";
import { jsonPieces } from "../../src/commands/command.ts";
import { openState } from "../../src/state/mod.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { runProgram } from "../support/program.ts";
import { intentOf, mustTake, slicesOf } from "../support/state.ts";

const CHUNKS = 200_000;
/** More than one page of them. */
const EVENTS = 45_000;

Deno.test("chunks and journal of a run with very many chunks are printed", async () => {
  await using folder = await temporaryFolder();
  const config = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(
    config,
    `source: {type: sqlite, path: shop.db}
exports: [{name: orders, table: t, mode: full, format: parquet, destination: {type: local, path: out}}]
`,
  );
  const events = Array.from({ length: EVENTS }, (_, i) => ({
    recordedAt: "2026-01-02T03:04:05.678Z",
    event: { ChunkStarted: { chunk_index: i, attempt: 1 } },
  }));
  {
    await using state = await openState({ url: undefined, directory: folder.path });
    const key = { exportName: "orders", source: `sqlite:${join(folder.path, "shop.db")}` };
    await state.beginRun(intentOf("r1", { key }), slicesOf(CHUNKS), await mustTake(state, key));
    await state.record("r1", "orders", events);
    await state.record("r2", "orders", []);
  }
  const rivet = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProgram([...args, "-c", config, "-e", "orders"]);
    assert.deepEqual([code, stderr], [0, ""]);
    return stdout;
  };
  assert.equal((await rivet("state", "chunks")).trimEnd().split("\n").length, CHUNKS + 2);
  const { chunks } = JSON.parse(await rivet("state", "chunks", "--json"));
  assert.deepEqual([chunks.length, chunks.at(-1).chunk_index], [CHUNKS, CHUNKS - 1]);
  const journals = JSON.parse(await rivet("journal", "--json"));
  const entries = events.map(({ recordedAt, event }) => ({ recorded_at: recordedAt, event }));
  assert.deepEqual(journals, [{ run_id: "r2", entries: [] }, { run_id: "r1", entries }]);
  assert.equal((await rivet("journal")).trimEnd().split("\n").length, EVENTS + 2);
});

Deno.test("JSON in pieces is the JSON it would be in one, with long lists one item a line", () => {
  const short = { a: [{ b: [1, 2] }], c: {}, d: null, e: undefined, f: "x\ny", g: { h: [], i: true } };
  assert.equal([...jsonPieces(short)].join(""), `${JSON.stringify(short, null, 2)}\n`);
  const long = { first: 1, list: Array.from({ length: 12_345 }, (_, i) => ({ i, text: `"${i}"` })), nested: short };
  const text = [...jsonPieces({ of: long })].join("");
  assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify({ of: long })));
  assert.ok(text.includes(`\n      {"i":12344,"text":"\\"12344\\""}\n    ],\n`), text.slice(-400));
});
