// One slice and its uploads: they go on while rows come, and what was begun is over before the attempt is.

import assert from "node:assert/strict";
import type { Core, PartObservations } from "../../../src/core/mod.ts";
import type { Destination } from "../../../src/destination/mod.ts";
import { partKey, toKeyStems } from "../../../src/run/slice.ts";
import { runSlice, type SliceRequest } from "../../../src/run/mod.ts";
import type { Source } from "../../../src/source/mod.ts";

const PART: PartObservations = { rows: 1, bytes: 1, xxh3: "", md5: "", crc32c: "", columns: [] };

/** Every block that is read makes a file of its own. */
function fileABlock(): Core {
  const made: (() => void)[] = [];
  let outputs = 0;
  let parts = 0;
  const encoder = {
    room: (bytes: number) => new Uint8Array(bytes),
    wrote: () => void (outputs++, made.push(() => {})),
    takeControl: () => null,
    takeOutput: () => outputs > parts ? (parts++, new Uint8Array(1)) : null,
    takePart: () => made.shift() === undefined ? null : PART,
    finish: () => ({ rows: outputs, skipped: 0, columns: [], unique: [] }),
    close: () => {},
  };
  return { openEncoder: () => encoder } as unknown as Core;
}

/** One file, whose first byte comes with the first block. */
function fileAll(): Core {
  let rows = 0;
  const outputs = [new Uint8Array(1)];
  const parts: PartObservations[] = [];
  const encoder = {
    room: (bytes: number) => new Uint8Array(bytes),
    wrote: () => void rows++,
    takeControl: () => null,
    takeOutput: () => outputs.shift() ?? null,
    takePart: () => parts.shift() ?? null,
    finish: () => {
      parts.push({ ...PART, rows });
      return { rows, skipped: 0, columns: [], unique: [] };
    },
    close: () => {},
  };
  return { openEncoder: () => encoder } as unknown as Core;
}

const REQUEST = {
  index: 0,
  statements: ["SELECT 1"],
  columns: [],
  encoder: {},
  keyStem: "t",
  extension: ".csv",
  contentType: "text/csv",
  emptyFile: false,
  clean: false,
  read: {},
} as unknown as SliceRequest;

Deno.test("an attempt whose first upload fails ends when its other uploads have ended", async () => {
  const second = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<void>();
  let underWay = 0;
  const destination = {
    async put(key: string) {
      underWay++;
      try {
        if (key !== "t.csv") return await second.promise;
        await Promise.resolve();
        throw new Error("no room");
      } finally {
        underWay--;
        failed.resolve();
      }
    },
  } as unknown as Destination;
  const source = {
    framing: "pg_binary",
    async read(_sql: string, sink: { wrote(bytes: number): Promise<void> | void }) {
      for (let block = 0; block < 3; block++) await sink.wrote(1);
      return { rows: 3, bytesRead: 3, longestStatementMs: 0, statements: 1 };
    },
  } as unknown as Source;
  const tools = { source, destination, core: fileABlock(), signal: new AbortController().signal, onProgress: () => {} };
  let ended = false;
  const attempt = runSlice(REQUEST, tools).finally(() => ended = true);
  attempt.catch(() => {});
  await failed.promise;
  // Whatever the failed upload set in motion has had its turn.
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(ended, false);
  second.reject(new Error("stopped"));
  await assert.rejects(attempt, /no room/);
  assert.equal(underWay, 0);
});

Deno.test("an upload goes on while rows come without a pause", async () => {
  const arrived = Promise.withResolvers<void>();
  let hasArrived = false;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    hasArrived = true;
    arrived.resolve();
    return new Response();
  });
  const destination = {
    async put(key: string) {
      await (await fetch(`http://127.0.0.1:${server.addr.port}/${key}`, { method: "PUT", body: "rows" })).body
        ?.cancel();
      return { key, size: 1, digests: {} };
    },
  } as unknown as Destination;
  let blocks = 0;
  const source = {
    framing: "pg_binary",
    async read(_sql: string, sink: { wrote(bytes: number): Promise<void> | void }) {
      for (; blocks < 500 && !hasArrived; blocks++) {
        for (const until = performance.now() + 4; performance.now() < until;);
        await sink.wrote(1);
      }
      return { rows: blocks, bytesRead: blocks, longestStatementMs: 0, statements: 1 };
    },
  } as unknown as Source;
  const tools = { source, destination, core: fileAll(), signal: new AbortController().signal, onProgress: () => {} };
  await runSlice(REQUEST, tools);
  await arrived.promise;
  assert.ok(blocks < 500, "the request arrived when the last row had come");
});

Deno.test("a part's key tells the slices it may belong to, also where the slice's name ends as a part's does", () => {
  const stem = "t_20261121_144709_604_10099";
  const request = { extension: ".parquet", keyStem: `${stem}_p00002` };
  for (const takeover of [0, 3]) {
    for (const index of [0, 12]) {
      const stems = toKeyStems(partKey({ ...request, takeover }, index));
      assert.ok(stems.includes(request.keyStem), stems.join());
      assert.ok(toKeyStems(partKey({ ...request, keyStem: stem, takeover }, index)).includes(stem));
      assert.ok(!stems.includes(`${stem}_p00001`));
    }
  }
});
