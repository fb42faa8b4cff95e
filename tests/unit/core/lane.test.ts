import assert from "node:assert/strict";
import { compileCore, openCore } from "../../../src/core/mod.ts";
import { encode, specOf, testCore } from "../../support/core_run.ts";
import { PgRows } from "../../support/pg_rows.ts";

const COLUMNS = [{ name: "id", type: "int64", wire: "int8" }, { name: "v", type: "string", wire: "text" }];

function someRows(count: number): Uint8Array {
  const rows = new PgRows();
  for (let i = 0; i < count; i++) rows.begin(2).int8(BigInt(i)).text(`value ${i * 7919}`).end();
  return rows.bytes();
}

Deno.test("a posted module works in a Worker that has no permission at all", async () => {
  const module = await compileCore();
  const worker = new Worker(new URL("../../support/core_worker.ts", import.meta.url), {
    type: "module",
    deno: { permissions: "none" },
  });
  try {
    const rows = await new Promise((resolve, reject) => {
      worker.onmessage = (event) => resolve(event.data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      worker.postMessage({ module, input: someRows(1000) });
    });
    assert.equal(rows, 1000);
  } finally {
    worker.terminate();
  }
});

Deno.test("the core opens without a module", async () => {
  assert.ok((await openCore()).memoryBytes() > 0);
});

Deno.test("memory is used again by the next slice of a lane", async () => {
  const core = await testCore();
  const input = someRows(100_000);
  await encode(specOf(COLUMNS), input, { core });
  const after = core.memoryBytes();
  for (let slice = 0; slice < 8; slice++) await encode(specOf(COLUMNS), input, { core });
  assert.ok(core.memoryBytes() <= after + (1 << 20), `${after} → ${core.memoryBytes()}`);
});

Deno.test("two encoders of one core do not disturb each other", async () => {
  const core = await testCore();
  const [one, two] = [core.openEncoder(specOf(COLUMNS)), core.openEncoder(specOf(COLUMNS))];
  const input = someRows(10);
  const half = Math.floor(input.length / 2);
  for (const [from, to] of [[0, half], [half, input.length]] as const) {
    for (const encoder of [one, two]) {
      encoder.room(to - from).set(input.subarray(from, to));
      encoder.wrote(to - from);
    }
  }
  assert.deepEqual([one.finish(false).rows, two.finish(false).rows], [10, 10]);
  one.close();
  two.close();
});

Deno.test("rows may arrive cut at every byte", async () => {
  const input = someRows(6);
  const whole = await encode(specOf(COLUMNS), input);
  for (let pieceBytes = 1; pieceBytes < input.length; pieceBytes++) {
    assert.deepEqual(await encode(specOf(COLUMNS), input, { pieceBytes }), whole);
  }
});
