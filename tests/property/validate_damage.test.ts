// Any one bit of any object at a prefix, any cut, any object lost or exchanged: validate at full depth never lets it pass unseen.

import assert from "node:assert/strict";
import { openCore } from "../../src/core/mod.ts";
import { MANIFEST_KEY, SUCCESS_KEY } from "../../src/manifest.ts";
import { severityOf, validatePrefix } from "../../src/verify/mod.ts";
import { exportOnce, type Objects, openMemory } from "../support/exported.ts";
import { openRandom, type Random } from "../support/random.ts";

const ROUNDS = 150;
const core = openCore();

async function isSeen(objects: Map<string, Uint8Array>): Promise<string[]> {
  const { findings } = await validatePrefix(openMemory(objects), { exportName: "t", additive: false, runId: null }, {
    depth: "full",
    requireContent: true,
    requireManifest: true,
    openCore: () => core,
    signal: new AbortController().signal,
  });
  return findings.filter((finding) => severityOf(finding) === "wrong").map((finding) => finding.kind);
}

type Damage = (objects: Map<string, Uint8Array>, key: string, random: Random) => string;

const DAMAGES: readonly Damage[] = [
  function flip(objects, key, random) {
    const bytes = objects.get(key)!.slice();
    const at = random.integer(0, bytes.length - 1);
    bytes[at]! ^= 1 << random.integer(0, 7);
    objects.set(key, bytes);
    return `bit flipped at byte ${at}`;
  },
  function cut(objects, key, random) {
    const length = random.integer(0, objects.get(key)!.length - 2);
    objects.set(key, objects.get(key)!.slice(0, length));
    return `cut to ${length} bytes`;
  },
  function append(objects, key, random) {
    objects.set(key, new Uint8Array([...objects.get(key)!, ...random.bytes(random.integer(1, 9)), 120]));
    return "bytes appended";
  },
  function overwrite(objects, key, random) {
    const bytes = objects.get(key)!.slice();
    const at = random.integer(0, bytes.length - 1);
    const patch = random.bytes(random.integer(1, bytes.length - at));
    // At least one byte differs.
    patch[0] = bytes[at]! ^ 0x55;
    bytes.set(patch, at);
    objects.set(key, bytes);
    return `${patch.length} bytes overwritten at ${at}`;
  },
];

/** The marker's last line end may be any blank, and says nothing. The fingerprint alone is a marker, too: it says all that is judged. */
function isHarmless(key: string, before: Objects, after: Objects): boolean {
  const text = (objects: Objects) => new TextDecoder().decode(objects.get(key)).trimEnd();
  return key === SUCCESS_KEY && [text(before), text(before).split("\n")[0]].includes(text(after));
}

for (
  const format of [
    "format: parquet, mode: chunked, chunk_column: id, chunk_size: 20",
    "format: csv, compression: gzip, mode: chunked, chunk_column: id, chunk_size: 20",
    "format: csv",
  ]
) {
  Deno.test(`no damage to any object passes unseen: ${format}`, async () => {
    const random = openRandom(`no damage to any object passes unseen: ${format}`);
    const whole = await exportOnce(format);
    assert.deepEqual(await isSeen(new Map(whole)), []);
    for (let round = 0; round < ROUNDS; round++) {
      const objects = new Map(whole);
      const key = random.pick([...whole.keys()]);
      const what = random.pick(DAMAGES)(objects, key, random);
      if (isHarmless(key, whole, objects)) continue;
      assert.notDeepEqual(await isSeen(objects), [], `${key}: ${what}`);
    }
    const parts = [...whole.keys()].filter((key) => /\.(parquet|csv|gz)$/.test(key));
    for (const key of [...parts, MANIFEST_KEY]) {
      const objects = new Map(whole);
      objects.delete(key);
      assert.notDeepEqual(await isSeen(objects), [], `${key} deleted`);
      for (const other of parts) {
        if (other === key) continue;
        const swapped = new Map(whole).set(key, whole.get(other)!).set(other, whole.get(key)!);
        assert.notDeepEqual(await isSeen(swapped), [], `${key} and ${other} exchanged`);
      }
    }
  });
}
