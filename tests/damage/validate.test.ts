// A good export is damaged in one way at a time, on every kind of destination: `validate` finds it, names it, and ends with the right code.

import assert from "node:assert/strict";
import { formatManifest } from "../support/manifest_bytes.ts";
import { createHash } from "node:crypto";
import { openCore } from "../../src/core/mod.ts";
import { type Destination, openDestination } from "../../src/destination/mod.ts";
import { crc32cOf, crcToDecimal } from "../../src/destination/digest.ts";
import {
  fingerprintBytes,
  formatMarker,
  type Manifest,
  MANIFEST_KEY,
  parseManifest,
  runManifestKey,
  SUCCESS_KEY,
} from "../../src/manifest.ts";
import { type Depth, validateExitCode, validatePrefix, type Verification } from "../../src/verify/mod.ts";
import { openBackends } from "../support/destinations.ts";
import { exportOnce, type Objects, ROWS } from "../support/exported.ts";
import { inMemory, join, temporaryFolder } from "../support/files.ts";

const { backends, absent, close } = await openBackends();
Deno.test.afterAll(close);

for (const name of absent) Deno.test({ name: `validate on ${name}`, ignore: true, fn() {} });

const signal = new AbortController().signal;
/** Each with one part and with several. */
const FORMATS = {
  "one Parquet file": "format: parquet",
  "several Parquet files": "format: parquet, mode: chunked, chunk_column: id, chunk_size: 20",
  "one CSV file": "format: csv",
  "several CSV files, zstd":
    "format: csv, compression: zstd, csv: {delimiter: ';', 'null': NULL}, mode: chunked, chunk_column: id, chunk_size: 20",
} as const;

const made = new Map<string, Promise<Objects>>();

function exported(format: string): Promise<Objects> {
  const known = made.get(format) ?? exportOnce(format);
  made.set(format, known);
  return known;
}

/** A prefix that can be damaged. */
class Scene {
  constructor(readonly destination: Destination, readonly objects: Objects) {}

  get manifest(): Manifest {
    return parseManifest(new TextDecoder().decode(this.objects.get(MANIFEST_KEY)), "");
  }

  path(index: number): string {
    return this.manifest.parts.at(index)!.path;
  }

  bytes(index: number): Uint8Array {
    return this.objects.get(this.path(index))!.slice();
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const body = async function* () {
      yield bytes.slice();
    };
    await this.destination.put(key, body(), { contentType: "application/octet-stream", signal, size: bytes.length });
  }

  /** Another manifest with its run copy, and the marker that belongs to it. */
  async publish(manifest: Manifest): Promise<void> {
    const bytes = formatManifest(manifest);
    await this.put(MANIFEST_KEY, bytes);
    await this.put(runManifestKey(manifest.run_id), bytes);
    await this.put(SUCCESS_KEY, formatMarker(await fingerprintBytes(bytes), manifest.run_id));
  }

  async editManifest(edit: (text: string) => string): Promise<void> {
    const text = new TextDecoder().decode(this.objects.get(MANIFEST_KEY));
    const edited = edit(text);
    assert.notEqual(edited, text, "the edit does nothing");
    await this.put(MANIFEST_KEY, new TextEncoder().encode(edited));
  }

  async validate(depth: Depth): Promise<Verification> {
    return await validatePrefix(this.destination, { exportName: "t", additive: false, runId: null }, {
      depth,
      requireContent: false,
      requireManifest: false,
      openCore: () => openCore(),
      signal,
    });
  }
}

interface Damage {
  readonly apply: (scene: Scene) => Promise<void>;
  /** Kinds that `sample` and `full` report; `light` reports `light`, the same unless given. */
  readonly kinds: readonly string[];
  readonly light?: readonly string[];
  readonly exit: 0 | 1 | 3;
  readonly several?: true;
}

const DAMAGES: Record<string, Damage> = {
  nothing: { apply: () => Promise.resolve(), kinds: [], exit: 0 },
  "one byte of a part flipped": {
    async apply(scene) {
      const bytes = scene.bytes(0);
      bytes[bytes.length >> 1]! ^= 1;
      await scene.put(scene.path(0), bytes);
    },
    kinds: ["part_checksum_mismatch"],
    light: [],
    exit: 3,
  },
  "a part truncated": {
    apply: (scene) => scene.put(scene.path(-1), scene.bytes(-1).subarray(0, 20)),
    kinds: ["part_size_mismatch"],
    exit: 3,
  },
  "a part deleted": {
    apply: (scene) => scene.destination.remove(scene.path(-1)),
    kinds: ["part_missing"],
    exit: 3,
  },
  "two parts swapped": {
    async apply(scene) {
      await scene.put(scene.path(0), scene.bytes(1));
      await scene.put(scene.path(1), scene.bytes(0));
    },
    kinds: ["part_size_mismatch", "part_size_mismatch"],
    exit: 3,
    several: true,
  },
  "a number in the manifest edited": {
    apply: (scene) => scene.editManifest((text) => text.replace(`"row_count": ${ROWS}`, `"row_count": ${ROWS + 1}`)),
    kinds: ["manifest_self_inconsistent", "manifest_self_inconsistent", "success_marker_stale"],
    exit: 3,
  },
  "a blank in the manifest": {
    apply: (scene) => scene.editManifest((text) => text.replace("{", "{ ")),
    kinds: ["manifest_self_inconsistent", "success_marker_stale"],
    exit: 3,
  },
  "the manifest cut short": {
    apply: (scene) => scene.editManifest((text) => text.slice(0, text.length >> 1)),
    kinds: ["manifest_self_inconsistent", "success_marker_stale"],
    exit: 3,
  },
  "the manifest of another kind of program": {
    apply: (scene) => scene.editManifest((text) => text.replace('"mode": "batch"', '"mode": "cdc"')),
    kinds: ["manifest_read_error", "success_marker_stale"],
    exit: 3,
  },
  "the manifest deleted": {
    apply: (scene) => scene.destination.remove(MANIFEST_KEY),
    kinds: ["manifest_missing"],
    exit: 3,
  },
  "manifest and marker deleted": {
    async apply(scene) {
      await scene.destination.remove(MANIFEST_KEY);
      await scene.destination.remove(SUCCESS_KEY);
    },
    kinds: ["manifest_required_but_absent"],
    exit: 3,
  },
  "_SUCCESS deleted": {
    apply: (scene) => scene.destination.remove(SUCCESS_KEY),
    kinds: ["success_marker_absent"],
    exit: 0,
  },
  "_SUCCESS of another manifest": {
    apply: (scene) => scene.put(SUCCESS_KEY, new TextEncoder().encode("xxh3:0123456789abcdef\n")),
    kinds: ["success_marker_stale"],
    exit: 3,
  },
  "_SUCCESS of another program": {
    apply: (scene) => scene.put(SUCCESS_KEY, new Uint8Array()),
    kinds: ["success_marker_malformed"],
    exit: 3,
  },
  "_SUCCESS with another run": {
    async apply(scene) {
      const text = new TextDecoder().decode(scene.objects.get(SUCCESS_KEY)).replace("run_id: t", "run_id: u");
      await scene.put(SUCCESS_KEY, new TextEncoder().encode(text));
    },
    kinds: ["success_marker_malformed"],
    exit: 3,
  },
  "a failed run's manifest": {
    apply: (scene) => scene.publish({ ...scene.manifest, status: "failed" }),
    kinds: ["run_not_successful"],
    exit: 1,
  },
  "a file that nobody wrote": {
    apply: (scene) => scene.put("notes.txt", new Uint8Array(3)),
    kinds: ["untracked_object"],
    exit: 0,
  },
  "everything but the data deleted": {
    async apply(scene) {
      for (const key of [MANIFEST_KEY, SUCCESS_KEY, runManifestKey(scene.manifest.run_id)]) {
        await scene.destination.remove(key);
      }
    },
    kinds: [],
    exit: 0,
  },
};

async function check(scene: Scene, name: string, damage: Damage): Promise<void> {
  await damage.apply(scene);
  for (const depth of ["light", "sample", "full"] as const) {
    const verification = await scene.validate(depth);
    const kinds = verification.findings.map((finding) => finding.kind).sort();
    const where = `${name} at ${depth}: ${JSON.stringify(verification.findings)}`;
    const expected = depth === "light" ? damage.light ?? damage.kinds : damage.kinds;
    assert.deepEqual(kinds, [...expected].sort(), where);
    const exit = validateExitCode({
      checked: [{ exportName: "t", entryName: "t", uri: "", verification }],
      warnings: [],
      errors: [],
    });
    assert.equal(exit, expected === damage.kinds ? damage.exit : 0, where);
    assert.equal(verification.passed, exit === 0 && verification.manifestFound, where);
    assert.equal(verification.isLegacy, name === "everything but the data deleted", where);
  }
}

/** Here every damage to every format is tried; other stores differ only in how they prove content. */
const WHOLE = ["local", "s3 fake"];
const OF_CONTENT = ["nothing", "one byte of a part flipped", "a part truncated", "a part deleted", "two parts swapped"];

for (const backend of backends) {
  const isWhole = WHOLE.includes(backend.name);
  for (const [format, yaml] of Object.entries(FORMATS)) {
    if (!isWhole && format !== "several Parquet files") continue;
    Deno.test(`${backend.name}: each damage to ${format} is found and named`, async () => {
      const objects = await exported(yaml);
      for (const [name, damage] of Object.entries(DAMAGES)) {
        if (damage.several && !format.startsWith("several")) continue;
        if (!isWhole && !OF_CONTENT.includes(name)) continue;
        await using place = await backend.open();
        await using destination = await openDestination(place.location);
        const scene = new Scene(destination, objects);
        for (const [key, bytes] of objects) await scene.put(key, bytes);
        await check(scene, name, damage);
      }
    });
  }
}

async function withLocal(format: string, body: (scene: Scene) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder(inMemory());
  await using destination = await openDestination({ kind: "local", path: join(folder.path, "out") });
  const scene = new Scene(destination, await exported(format));
  for (const [key, bytes] of scene.objects) await scene.put(key, bytes);
  await body(scene);
}

function pathsOf(objects: Objects): string[] {
  return parseManifest(new TextDecoder().decode(objects.get(MANIFEST_KEY)), "").parts.map((part) => part.path);
}

/** A manifest that speaks of other bytes of a part, digests and sizes as they are. */
async function withPart(manifest: Manifest, index: number, bytes: Uint8Array): Promise<Manifest> {
  const parts = manifest.parts.slice();
  parts[index] = {
    ...parts[index]!,
    size_bytes: bytes.length,
    content_md5: createHash("md5").update(bytes).digest("base64"),
    content_crc32c: crcToDecimal(await crc32cOf(bytes)),
    content_fingerprint: await fingerprintBytes(bytes),
  };
  return { ...manifest, parts };
}

for (const [format, yaml] of Object.entries(FORMATS)) {
  Deno.test(`a value that is not the one observed is found where every digest agrees: ${format}`, async () => {
    const other = await exportOnce(yaml, 30);
    await withLocal(yaml, async (scene) => {
      const index = scene.manifest.parts.length >> 1;
      const bytes = other.get(pathsOf(other)[index]!)!;
      await scene.put(scene.path(index), bytes);
      await scene.publish(await withPart(scene.manifest, index, bytes));
      assert.equal((await scene.validate("sample")).passed, true);
      const { findings, partsValuesVerified } = await scene.validate("full");
      assert.deepEqual(findings.map((f) => [f.kind, "column" in f && f.column]), [["value_checksum_mismatch", "body"]]);
      assert.equal(partsValuesVerified, scene.manifest.parts.length - 1);
    });
  });

  Deno.test(`a part that cannot be decoded is found where every digest agrees: ${format}`, async () => {
    await withLocal(yaml, async (scene) => {
      for (const bytes of [scene.bytes(0).subarray(0, scene.bytes(0).length - 3), new Uint8Array(50).fill(34)]) {
        await scene.put(scene.path(0), bytes);
        await scene.publish(await withPart(scene.manifest, 0, bytes));
        assert.equal((await scene.validate("sample")).passed, true);
        assert.deepEqual((await scene.validate("full")).findings.map((f) => f.kind), ["part_unreadable"]);
      }
    });
  });

  Deno.test(`a wrong row count is found where every digest agrees: ${format}`, async () => {
    await withLocal(yaml, async (scene) => {
      const { manifest } = scene;
      const parts = manifest.parts.map((part, i) => i === 0 ? { ...part, rows: part.rows + 1 } : part);
      await scene.publish({ ...manifest, parts, row_count: manifest.row_count + 1 });
      assert.equal((await scene.validate("sample")).passed, true);
      assert.deepEqual((await scene.validate("full")).findings.map((f) => f.kind), ["part_row_count_mismatch"]);
    });
  });
}

Deno.test("of two swapped parts of one size each is told to hold the other's content", async () => {
  await withLocal(FORMATS["several Parquet files"], async (scene) => {
    const [one, two] = [new Uint8Array(9).fill(1), new Uint8Array(9).fill(2)];
    await scene.publish(await withPart(await withPart(scene.manifest, 0, one), 1, two));
    await scene.put(scene.path(0), two);
    await scene.put(scene.path(1), one);
    const { findings } = await scene.validate("sample");
    const told = findings.map((f) => f.kind === "part_checksum_mismatch" && [f.path, f.holds]);
    assert.deepEqual(told, [[scene.path(0), scene.path(1)], [scene.path(1), scene.path(0)]]);
    assert.equal((await scene.validate("light")).passed, true);
  });
});
