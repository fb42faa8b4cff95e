import assert from "node:assert/strict";
import { CHECKS_AT_ONCE, type Destination, findDamages } from "../../../src/destination/mod.ts";

function file(index: number) {
  return { fileName: `part${index}`, observations: { bytes: 1, md5: "AAAA", crc32c: "" }, digests: {} };
}

/** A store that answers only when as many as it waits for have asked. */
function patientStore(commitProtocol: "atomic" | "finalize_on_close", files: readonly { fileName: string }[]) {
  const told = { most: 0 };
  let underWay = 0;
  const isFull = Promise.withResolvers<void>();
  const wanted = commitProtocol === "atomic" ? 1 : CHECKS_AT_ONCE;
  const destination = {
    capabilities: { commitProtocol },
    async *list() {
      for (const { fileName: key } of files) yield { key, size: 1, digests: {} };
    },
    async stat(key: string) {
      told.most = Math.max(told.most, ++underWay);
      if (underWay === wanted) isFull.resolve();
      await isFull.promise;
      underWay--;
      if (key === "part3") throw new Error("gone away");
      return { key, size: 1, digests: { md5: key === "part1" ? "BBBB" : "AAAA" } };
    },
  };
  return { told, destination: destination as unknown as Destination };
}

for (const [protocol, most] of [["finalize_on_close", CHECKS_AT_ONCE], ["atomic", 1]] as const) {
  Deno.test(`files of a destination that commits by ${protocol} are checked ${most} at a time, in their order`, async () => {
    const files = Array.from({ length: 2 * CHECKS_AT_ONCE }, (_, i) => file(i)).filter((_, i) => i !== 3);
    const { told, destination } = patientStore(protocol, files.slice(0, -1));
    const found = await findDamages(destination, files);
    assert.deepEqual(found.map(({ file, reason }) => [file.fileName, reason]), [
      ["part1", "part 'part1' has other content"],
      [`part${2 * CHECKS_AT_ONCE - 1}`, `part 'part${2 * CHECKS_AT_ONCE - 1}' is missing`],
    ]);
    assert.equal(told.most, most);
  });
}

Deno.test("a check that fails is thrown when none is under way any more", async () => {
  const files = Array.from({ length: CHECKS_AT_ONCE }, (_, i) => file(i));
  const { destination } = patientStore("finalize_on_close", files);
  await assert.rejects(findDamages(destination, files), /gone away/);
});
