import assert from "node:assert/strict";
import type { Manifest, ManifestPart } from "../../../src/manifest.ts";
import type { StoredPart } from "../../../src/state/mod.ts";
import { supersede } from "../../../src/run/supersede.ts";

function part(part_id: number, path: string, status: ManifestPart["status"] = "committed"): ManifestPart {
  return {
    part_id,
    path,
    rows: 1,
    size_bytes: 1,
    content_fingerprint: "",
    content_md5: "",
    content_crc32c: "",
    status,
    slice: "c00000",
    slice_index: 0,
    column_checksums: [],
  };
}

function ledger(fileName: string): StoredPart {
  const observations = { rows: 1, bytes: 1, xxh3: "0", md5: "", crc32c: "", columns: [] };
  return { sliceIndex: 0, fileName, observations, digests: {}, createdAt: "" };
}

const manifestOf = (parts: ManifestPart[], more: Partial<Manifest> = {}) => ({ parts, ...more }) as Manifest;
const briefly = (manifest: Manifest) => manifest.parts.map(({ part_id, path, status }) => [part_id, path, status]);
const REPAIR = { run_id: "fix", finished_at: "now", slices: ["c00000"] };

Deno.test("parts that stay keep their ids, new ones get higher ids, replaced ones are superseded", () => {
  const before = manifestOf([part(1, "a"), part(2, "b")]);
  const after = supersede(manifestOf([part(1, "x"), part(2, "b")]), before, [ledger("a"), ledger("b")], [], REPAIR);
  assert.deepEqual(briefly(after), [[3, "x", "committed"], [2, "b", "committed"], [1, "a", "superseded"]]);
  assert.deepEqual(after.repairs, [REPAIR]);
});

Deno.test("a second repair remembers the first, and doing one again changes nothing", () => {
  const before = manifestOf([part(1, "a")]);
  const first = supersede(manifestOf([part(1, "x")]), before, [ledger("a")], [], REPAIR);
  const again = supersede(manifestOf([part(1, "x")]), first, [ledger("a")], [], REPAIR);
  assert.deepEqual([briefly(again), again.repairs], [briefly(first), first.repairs]);
  const other = { ...REPAIR, run_id: "fix2" };
  const second = supersede(manifestOf([part(1, "y")]), first, [ledger("x")], [], other);
  assert.deepEqual(briefly(second), [[3, "y", "committed"], [1, "a", "superseded"], [2, "x", "superseded"]]);
  assert.deepEqual(second.repairs?.map(({ run_id }) => run_id), ["fix", "fix2"]);
});

Deno.test("without the manifest before, what the ledger knew is superseded; what nobody recorded is not carried on", () => {
  const lost = supersede(manifestOf([part(1, "x")]), null, [ledger("a")], [], REPAIR);
  assert.deepEqual(briefly(lost), [[1, "x", "committed"], [2, "a", "superseded"]]);
  const forged = supersede(manifestOf([part(1, "x")]), manifestOf([part(1, "evil")]), [ledger("a")], [], null);
  assert.deepEqual(briefly(forged).map(([, path]) => path), ["x", "a"]);
  assert.equal(new Set(forged.parts.map(({ part_id }) => part_id)).size, 2);
});

Deno.test("parts may be more than a call takes as arguments", () => {
  const parts = Array.from({ length: 200_000 }, (_, i) => part(i + 1, `p${i}`));
  const after = supersede(manifestOf([part(1, "x")]), manifestOf(parts), [ledger("p0")], [], REPAIR);
  assert.deepEqual(briefly(after), [[200_001, "x", "committed"], [1, "p0", "superseded"]]);
});
