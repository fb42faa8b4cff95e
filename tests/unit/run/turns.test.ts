// Slices of one lane: read in turn, stored beside each other.

import assert from "node:assert/strict";
import type { Core, PartObservations } from "../../../src/core/mod.ts";
import type { Destination } from "../../../src/destination/mod.ts";
import { openTurns, type SliceRequest } from "../../../src/run/mod.ts";
import type { Source } from "../../../src/source/mod.ts";

const PART: PartObservations = { rows: 1, bytes: 1, xxh3: "", md5: "", crc32c: "", columns: [] };

function requestOf(index: number): SliceRequest {
  return {
    index,
    statements: [`SELECT ${index}`],
    columns: [],
    encoder: {},
    keyStem: `t_${index}`,
    extension: ".csv",
    contentType: "text/csv",
    emptyFile: false,
    clean: false,
    read: {},
  } as unknown as SliceRequest;
}

/** Each slice is one block and one file of `bytes` bytes. */
function openStation(bytes: number) {
  let encoders = 0;
  let readers = 0;
  const order: string[] = [];
  const uploads = new Map<string, PromiseWithResolvers<void>>();
  const begun = new Map<string, PromiseWithResolvers<void>>();
  const signOf = (map: Map<string, PromiseWithResolvers<void>>, key: string) => {
    if (!map.has(key)) map.set(key, Promise.withResolvers<void>());
    return map.get(key)!;
  };
  const core = {
    openEncoder() {
      assert.equal(++encoders, 1, "one slice is decoded at a time");
      let state: "empty" | "output" | "part" | "done" = "empty";
      let open = true;
      return {
        room: (n: number) => new Uint8Array(n),
        wrote: () => void (state = "output"),
        takeControl: () => null,
        takeOutput: () => state === "output" ? (state = "part", new Uint8Array(bytes)) : null,
        takePart: () => state === "part" ? (state = "done", PART) : null,
        finish: () => ({ rows: 1, skipped: 0, columns: [], edge: {}, unique: [] }),
        close() {
          if (open) encoders--;
          open = false;
        },
      };
    },
  } as unknown as Core;
  const source = {
    framing: "lenenc_text",
    async read(sql: string, sink: { wrote(n: number): Promise<void> | void }) {
      assert.equal(++readers, 1, "one statement runs at a time");
      order.push(sql);
      await Promise.resolve();
      if (sql === "SELECT 13") {
        readers--;
        throw new Error("no such table");
      }
      await sink.wrote(1);
      readers--;
      return { rows: 1, bytesRead: 1, longestStatementMs: 0, statements: 1 };
    },
  } as unknown as Source;
  const destination = {
    async put(key: string, body: AsyncIterable<Uint8Array>) {
      for await (const _ of body);
      signOf(begun, key).resolve();
      await signOf(uploads, key).promise;
      return { key, size: bytes, digests: {} };
    },
  } as unknown as Destination;
  const tools = { core, source, destination, signal: new AbortController().signal, onProgress: () => {} };
  return {
    tools,
    order,
    begun: (index: number) => signOf(begun, `t_${index}.csv`).promise,
    store: (index: number) => signOf(uploads, `t_${index}.csv`).resolve(),
  };
}

Deno.test("a slice is read while the file of the one before is not yet durable", async () => {
  const station = openStation(100);
  const run = openTurns();
  const runs = [0, 1, 2].map((index) => run(requestOf(index), station.tools));
  await station.begun(2);
  assert.deepEqual(station.order, ["SELECT 0", "SELECT 1", "SELECT 2"]);
  for (const index of [2, 1, 0]) station.store(index);
  assert.deepEqual((await Promise.all(runs)).map(({ parts }) => parts[0]!.key), ["t_0.csv", "t_1.csv", "t_2.csv"]);
});

Deno.test("a slice of some size is stored before the next one is read", async () => {
  const station = openStation(5 << 20);
  const run = openTurns();
  const runs = [0, 1].map((index) => run(requestOf(index), station.tools));
  await station.begun(0);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(station.order, ["SELECT 0"]);
  station.store(0);
  await station.begun(1);
  station.store(1);
  await Promise.all(runs);
});

Deno.test("a slice that fails leaves the others as they are", async () => {
  const station = openStation(100);
  const run = openTurns();
  const runs = [12, 13, 14].map((index) => run(requestOf(index), station.tools));
  for (const index of [12, 14]) station.store(index);
  const outcomes = await Promise.allSettled(runs);
  assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
});
