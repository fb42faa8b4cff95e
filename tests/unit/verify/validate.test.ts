// What validate says when the destination fails, or changes while it looks.

import assert from "node:assert/strict";
import { readConfig } from "../../../src/config/mod.ts";
import { openCore } from "../../../src/core/mod.ts";
import type { Destination } from "../../../src/destination/mod.ts";
import { RivetError } from "../../../src/errors.ts";
import { MANIFEST_KEY, SUCCESS_KEY } from "../../../src/manifest.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import { type Depth, validateExports, validatePrefix, type Verification } from "../../../src/verify/mod.ts";
import { exportOnce, openMemory } from "../../support/exported.ts";
import { join, temporaryFolder } from "../../support/files.ts";

const FORMAT = "format: csv, mode: chunked, chunk_column: id, chunk_size: 30";

async function validate(
  destination: Destination,
  depth: Depth,
  signal = new AbortController().signal,
): Promise<Verification> {
  return await validatePrefix(destination, { exportName: "t", additive: false, runId: null }, {
    depth,
    requireContent: false,
    requireManifest: false,
    openCore: () => openCore(),
    signal,
  });
}

const denied = () => new RivetError("RIVET_DEST_READ_FAILED", "The store denies the request");

/** Kinds of findings when reading `key` fails. */
async function whenUnreadable(key: (name: string) => boolean, depth: Depth): Promise<string[]> {
  const memory = openMemory(new Map(await exportOnce(FORMAT)));
  const get: Destination["get"] = (name, range) => key(name) ? Promise.reject(denied()) : memory.get(name, range);
  const { findings, passed } = await validate({ ...memory, get }, depth);
  assert.equal(passed, false);
  return findings.map((finding) => finding.kind);
}

Deno.test("what cannot be read is said to be unread, not wrong", async () => {
  assert.deepEqual(await whenUnreadable((name) => name === MANIFEST_KEY, "light"), ["manifest_read_error"]);
  assert.deepEqual(await whenUnreadable((name) => name === SUCCESS_KEY, "light"), ["success_marker_read_error"]);
  for (const depth of ["sample", "full"] as const) {
    assert.deepEqual(await whenUnreadable((name) => name.endsWith("_chunk1.csv"), depth), ["part_read_error"]);
  }
  const memory = openMemory(new Map(await exportOnce(FORMAT)));
  const list: Destination["list"] = () =>
    ReadableStream.from((async function* () {
      yield await Promise.reject(denied());
    })());
  const { findings } = await validate({ ...memory, list }, "light");
  assert.deepEqual(findings.map((finding) => finding.kind), ["list_prefix_error"]);
});

Deno.test("a run that publishes while validate looks is no damage", async () => {
  const [old, next] = [await exportOnce(FORMAT), await exportOnce(FORMAT, 7)];
  const objects = new Map(old);
  const memory = openMemory(objects);
  let isReplaced = false;
  const get: Destination["get"] = (name, range) => {
    if (name.endsWith(".csv") && !isReplaced) {
      isReplaced = true;
      objects.clear();
      for (const [key, bytes] of next) objects.set(key, bytes);
    }
    return memory.get(name, range);
  };
  const verification = await validate({ ...memory, get }, "full");
  assert.deepEqual(verification.findings, []);
  assert.equal(verification.passed, true);
  assert.ok([...next.keys()].some((key) => key.includes(verification.runIds[0]!)));
});

Deno.test("an abort is thrown", async () => {
  const memory = openMemory(new Map(await exportOnce(FORMAT)));
  const stop = new AbortController();
  const get: Destination["get"] = (name, range) => {
    if (name.endsWith(".csv")) stop.abort(new Error("stopped"));
    return memory.get(name, range);
  };
  await assert.rejects(validate({ ...memory, get }, "full", stop.signal), /stopped/);
});

Deno.test("the newest of our runs is the set where another export's manifest lies in its place", async () => {
  const [old, next] = [await exportOnce(FORMAT), await exportOnce(FORMAT)];
  const objects = new Map([...old, ...next]);
  const foreign = new TextDecoder().decode(next.get(MANIFEST_KEY)).replaceAll(
    '"export_name": "t"',
    '"export_name": "u"',
  );
  objects.set(MANIFEST_KEY, new TextEncoder().encode(foreign));
  const verification = await validate(openMemory(objects), "sample");
  assert.equal(verification.passed, true, JSON.stringify(verification.findings));
  assert.deepEqual([verification.runIds.length, verification.markerConsistent], [1, null]);
  assert.ok([...next.keys()].some((key) => key.includes(verification.runIds[0]!)));
});

Deno.test("a signal ends the check of a config as an interruption", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(
    path,
    "source: {type: sqlite, path: x.db}\nexports:\n  - {name: t, table: t, format: csv, destination: {type: local, path: out}}\n",
  );
  const runtime = systemRuntime();
  const config = await readConfig(path, { params: {}, runtime });
  const stop = new AbortController();
  const objects = new Map(await exportOnce(FORMAT));
  const check = validateExports(
    {
      config,
      state: null,
      stateTrouble: null,
      runtime,
      openDestination: () => {
        stop.abort();
        return Promise.resolve(openMemory(objects));
      },
      openCore: () => openCore(),
      signal: stop.signal,
    },
    config.exports,
    { depth: "full", date: "2026-01-01", runId: null, prefix: null },
  );
  await assert.rejects(check, { code: "RIVET_RUN_INTERRUPTED" });
});
