// The objects that one run of a small export leaves, and a destination in memory to put them into.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { CAPABILITIES, type Destination } from "../../src/destination/mod.ts";
import { compareKeys } from "../../src/destination/key.ts";
import { runEngine } from "./engine.ts";
import { inMemory, join, temporaryFolder } from "./files.ts";

export const ROWS = 60;

export type Objects = ReadonlyMap<string, Uint8Array>;

/** The objects of one run; `changedId` is a row with another body. */
export async function exportOnce(format: string, changedId = 0): Promise<Objects> {
  await using folder = await temporaryFolder(inMemory());
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, price DECIMAL(10,2), at TIMESTAMP, body TEXT)");
    const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?, ?)");
    for (let id = 1; id <= ROWS; id++) {
      const body = id === changedId ? "changed" : id % 7 === 0 ? null : `"${id};`;
      insert.run(id, id / 4, `2026-01-${String(1 + id % 28).padStart(2, "0")} 00:00:00`, body);
    }
  }
  const configPath = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(
    configPath,
    `source: {type: sqlite, path: shop.db}\nexports:\n  - {name: t, table: t, ${format}, destination: {type: local, path: out}}\n`,
  );
  const summary = await runEngine({ configPath });
  assert.equal(summary.failed_count, 0, JSON.stringify(summary.per_export[0]?.error));
  const objects = new Map<string, Uint8Array>();
  for await (const { name } of Deno.readDir(join(folder.path, "out"))) {
    objects.set(name, await Deno.readFile(join(folder.path, "out", name)));
  }
  return objects;
}

/** Objects in memory; nothing is vouched for. */
export function openMemory(objects: Map<string, Uint8Array>): Destination {
  const statOf = (key: string) => {
    const bytes = objects.get(key);
    return bytes === undefined ? null : { key, size: bytes.length, digests: {} };
  };
  return {
    capabilities: CAPABILITIES.local,
    uri: "memory://",
    async put(key, body) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      objects.set(key, new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer()));
      return statOf(key)!;
    },
    get(key, range) {
      const bytes = objects.get(key);
      if (bytes === undefined) return Promise.resolve(null);
      const [from, to] = range === undefined ? [0, bytes.length] : [range.offset, range.offset + range.length];
      return Promise.resolve(ReadableStream.from([bytes.slice(from, to)]));
    },
    stat: (key) => Promise.resolve(statOf(key)),
    async *list(prefix) {
      for (const key of [...objects.keys()].sort(compareKeys)) if (key.startsWith(prefix)) yield statOf(key)!;
    },
    remove(key) {
      objects.delete(key);
      return Promise.resolve();
    },
    quarantine: () => Promise.resolve(),
    sweep: () => Promise.resolve(0),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
