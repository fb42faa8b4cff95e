import assert from "node:assert/strict";
import { formatManifest } from "../support/manifest_bytes.ts";
import {
  addChecksums,
  findContradictions,
  fingerprintBytes,
  formatMarker,
  type Manifest,
  ManifestWriter,
  parseManifest,
  parseMarker,
  runManifestKey,
  sumChecksums,
} from "../../src/manifest.ts";

function manifest(): Manifest {
  return {
    manifest_version: 1,
    run_id: "orders_20261121T053012.114_4711",
    export_name: "orders",
    mode: "batch",
    started_at: "2026-11-21T05:30:12.114Z",
    finished_at: "2026-11-21T05:30:13.000Z",
    status: "success",
    source: {
      engine: "sqlite",
      schema: null,
      table: "orders",
      extraction: { strategy: "full-scan", consistency: "snapshot" },
    },
    destination: { kind: "local", uri: "file:///out" },
    format: "parquet",
    compression: "zstd",
    schema_fingerprint: "xxh3:0000000000000000",
    columns: [],
    row_count: 3,
    part_count: 1,
    parts: [{
      part_id: 1,
      path: "a.parquet",
      rows: 3,
      size_bytes: 10,
      content_fingerprint: "xxh3:1",
      content_md5: "",
      content_crc32c: "",
      status: "committed",
      slice: "w",
      slice_index: 0,
      column_checksums: [{ name: "id", checksum: "18446744073709551615", nulls: 1 }],
    }],
    column_checksums: [],
    checksum_render: "x",
  };
}

Deno.test("a marker begins with the fingerprint of the manifest's bytes and names the run", async () => {
  const bytes = formatManifest(manifest());
  const marker = new TextDecoder().decode(formatMarker(await fingerprintBytes(bytes), "run-1"));
  assert.match(marker, /^xxh3:[0-9a-f]{16}\nrun_id: run-1\n$/);
  assert.equal(parseMarker(marker), marker.split("\n")[0]);
});

Deno.test("a marker with other text or upper case is none", () => {
  assert.equal(parseMarker("XXH3:0123456789ABCDEF"), null);
  assert.equal(parseMarker("xxh3:0123456789ABCDEF"), null);
  assert.equal(parseMarker("done"), null);
  assert.equal(parseMarker("xxh3:0123456789abcdef  \n"), "xxh3:0123456789abcdef");
});

Deno.test("a manifest reads back as it was written, unknown keys ignored", () => {
  const text = new TextDecoder().decode(formatManifest(manifest()));
  assert.deepEqual(parseManifest(text, "x"), manifest());
  assert.equal(parseManifest(text.replace("{", '{"later": 1,'), "x").run_id, manifest().run_id);
});

Deno.test("a manifest that is damaged or of another kind is refused", () => {
  const text = new TextDecoder().decode(formatManifest(manifest()));
  for (
    const bad of [
      "",
      "[]",
      "null",
      "{}",
      text.slice(0, 100),
      text.replace('"manifest_version": 1', '"manifest_version": 2'),
    ]
  ) {
    assert.throws(() => parseManifest(bad, "x"), { code: "RIVET_DEST_CONTROL_ARTIFACT_INVALID" });
  }
  assert.throws(() => parseManifest(text.replace('"mode": "batch"', '"mode": "cdc"'), "x"), {
    code: "RIVET_DEST_PREFIX_MODE_MISMATCH",
  });
});

Deno.test("contradictions between totals and parts are found", async () => {
  assert.deepEqual(await findContradictions(manifest()), []);
  assert.equal((await findContradictions({ ...manifest(), row_count: 4 })).length, 1);
  assert.equal((await findContradictions({ ...manifest(), part_count: 2 })).length, 1);
  const [part] = manifest().parts;
  const twice = { ...manifest(), parts: [part!, part!], part_count: 2, row_count: 6 };
  assert.equal((await findContradictions(twice)).length, 2);
});

Deno.test("checksums add up modulo 2^64", () => {
  assert.equal(addChecksums("18446744073709551615", "2"), "1");
  const [part] = manifest().parts;
  assert.deepEqual(sumChecksums([part!, part!]), [{ name: "id", checksum: "18446744073709551614", nulls: 2 }]);
});

Deno.test("a run manifest's name holds no character a store could stumble over", () => {
  assert.equal(runManifestKey("ä/b c_1"), "manifest---b-c_1.json");
});

Deno.test("each part is one line", () => {
  const one = manifest();
  const lines = new TextDecoder().decode(formatManifest(one)).split("\n");
  for (const part of one.parts) {
    assert.equal(lines.filter((line) => line.replace(/,$/, "") === `    ${JSON.stringify(part)}`).length, 1);
  }
  assert.deepEqual(JSON.parse(lines.join("\n")), one);
  const none = { ...one, parts: [] };
  assert.deepEqual(parseManifest(formatManifest(none), "x"), none);
});

Deno.test("a manifest that is longer than a text may be easily is read part by part", () => {
  const [part] = manifest().parts;
  // Beyond the length that is parsed at once, with few parts so that the test is quick.
  const parts = Array.from(
    { length: 300 },
    (_, i) => ({ ...part!, part_id: i + 1, path: `${i},]"ä`.padEnd(500_000, "x") }),
  );
  const long = { ...manifest(), parts };
  const bytes = formatManifest(long);
  assert.ok(bytes.length > 128 << 20);
  const read = parseManifest(bytes, "x");
  assert.deepEqual({ ...read, parts: [] }, { ...long, parts: [] });
  assert.ok(read.parts.every(({ path, part_id }, i) => path === parts[i]!.path && part_id === i + 1));
  assert.throws(() => parseManifest(bytes.subarray(0, bytes.length - 400_000), "x"), {
    code: "RIVET_DEST_CONTROL_ARTIFACT_INVALID",
  });
});

Deno.test("a manifest is the same whether its parts were known together or some at a time", async () => {
  const [part] = manifest().parts;
  const parts = Array.from({ length: 25_000 }, (_, i) => ({ ...part!, part_id: i + 1, path: `p${i}` }));
  const writer = new ManifestWriter();
  for (let i = 0; i < parts.length; i += 7_777) writer.add(parts.slice(i, i + 7_777));
  const whole = { ...manifest(), ...writer.sums(), parts };
  assert.deepEqual(await findContradictions(whole), []);
  const { pieces, size } = writer.finish({ ...whole, parts: [] });
  const bytes = new Uint8Array(await new Blob([...pieces]).arrayBuffer());
  assert.equal(bytes.length, size);
  assert.deepEqual(parseManifest(bytes, "x"), whole);
  assert.equal(await fingerprintBytes(...pieces), await fingerprintBytes(formatManifest(whole)));
});
