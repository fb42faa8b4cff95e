import assert from "node:assert/strict";
import { writeWholeFile } from "../../src/whole_file.ts";
import { join, temporaryFolder } from "../support/files.ts";

const namesIn = async (folder: string) => (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
const isUnix = Deno.build.os !== "windows";

function* failing(): Generator<string> {
  yield "new ".repeat(50_000);
  throw new Error("no more");
}

Deno.test("a write that ends half way leaves the old file, or none, and nothing beside it", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "a.txt");
  await assert.rejects(writeWholeFile(path, failing()), /no more/);
  assert.deepEqual(await namesIn(folder.path), []);
  await Deno.writeTextFile(path, "old");
  await assert.rejects(writeWholeFile(path, failing()), /no more/);
  assert.deepEqual(await namesIn(folder.path), ["a.txt"]);
  assert.equal(await Deno.readTextFile(path), "old");
});

Deno.test("pieces of any size make one file, in folders that were not there", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "new", "folder", "a.txt");
  const pieces = ["", "ä".repeat(100_000), "b", "", "c".repeat(70_000)];
  await writeWholeFile(path, pieces);
  assert.equal(await Deno.readTextFile(path), pieces.join(""));
  await writeWholeFile(path, []);
  assert.equal(await Deno.readTextFile(path), "");
  assert.deepEqual(await namesIn(join(path, "..")), ["a.txt"]);
});

Deno.test({
  name: "a replaced file keeps who may read it, a link keeps where it leads, and a pipe is written to",
  ignore: !isUnix,
  fn: async () => {
    await using folder = await temporaryFolder();
    const at = (name: string) => join(folder.path, name);
    await Deno.writeTextFile(at("secret.txt"), "old");
    await Deno.chmod(at("secret.txt"), 0o600);
    await Deno.symlink("secret.txt", at("link.txt"));
    await Deno.symlink("later.txt", at("dangling.txt"));
    await writeWholeFile(at("link.txt"), ["new"]);
    await writeWholeFile(at("dangling.txt"), ["made"]);
    assert.equal(await Deno.readTextFile(at("secret.txt")), "new");
    assert.equal((await Deno.stat(at("secret.txt"))).mode! & 0o777, 0o600);
    assert.equal(await Deno.readTextFile(at("later.txt")), "made");
    for (const name of ["link.txt", "dangling.txt"]) assert.ok((await Deno.lstat(at(name))).isSymlink, name);
    await writeWholeFile("/dev/null", ["gone"]);
    assert.ok((await Deno.stat("/dev/null")).isCharDevice);
  },
});

Deno.test({
  name: "a disk without room is told, not passed over",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    assert.rejects(writeWholeFile("/dev/full", ["small"]), (error: { code?: string }) => error.code === "ENOSPC"),
});

Deno.test({
  name: "what is being written is never readable by more than the old file was",
  ignore: !isUnix,
  fn: async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "a.txt");
    await Deno.writeTextFile(path, "old", { mode: 0o600 });
    const modes: (number | null)[] = [];
    function* looking(): Generator<string> {
      yield "new ".repeat(50_000);
      for (const { name } of Deno.readDirSync(folder.path)) modes.push(Deno.statSync(join(folder.path, name)).mode);
      yield "end";
    }
    await writeWholeFile(path, looking());
    assert.deepEqual(modes.map((mode) => (mode ?? 0) & 0o777), [0o600, 0o600]);
  },
});
