// A local folder: links, refusals of the operating system, and what a write leaves behind.

import assert from "node:assert/strict";
import { openDestination, toRunTag } from "../../../src/destination/mod.ts";
import { toReadError, toWriteError } from "../../../src/destination/local_file.ts";
import { RivetError } from "../../../src/errors.ts";
import { temporaryFolder } from "../../support/files.ts";
import { bodyOf, bytesOf, collect, collectKeys } from "../../support/bodies.ts";

const PUT = { contentType: "text/plain", signal: new AbortController().signal };

async function withFolder(check: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "rivet-local-" });
  try {
    await check(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("nothing is written or read through a symbolic link inside the destination", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/out`);
    await Deno.mkdir(`${folder}/elsewhere`);
    await Deno.writeTextFile(`${folder}/elsewhere/secret`, "secret");
    await Deno.symlink(`${folder}/elsewhere`, `${folder}/out/day=1`);
    await Deno.symlink(`${folder}/elsewhere/secret`, `${folder}/out/file`);
    await using destination = await openDestination({ kind: "local", path: `${folder}/out` });
    const refused = { code: "RIVET_CONFIG_PATH_UNSAFE" };
    await assert.rejects(destination.put("day=1/new", bodyOf(bytesOf(5)), PUT), refused);
    await assert.rejects(destination.put("day=1/deeper/new", bodyOf(bytesOf(5)), PUT), refused);
    for (const key of ["day=1/secret", "file"]) {
      await assert.rejects(destination.get(key), refused);
      await assert.rejects(destination.stat(key), refused);
      await assert.rejects(destination.remove(key), refused);
      await assert.rejects(destination.quarantine(key, "run"), refused);
    }
    assert.deepEqual(await collectKeys(destination.list("")), []);
    assert.deepEqual([...Deno.readDirSync(`${folder}/elsewhere`)].map((entry) => entry.name), ["secret"]);

    // A link where an object is to stand is replaced, not followed.
    await destination.put("file", bodyOf(bytesOf(5)), PUT);
    assert.equal(await Deno.readTextFile(`${folder}/elsewhere/secret`), "secret");
    assert.equal((await Deno.lstat(`${folder}/out/file`)).isFile, true);
  });
});

Deno.test("the destination itself may be reached through a link", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/real`);
    await Deno.symlink(`${folder}/real`, `${folder}/out`);
    await using destination = await openDestination({ kind: "local", path: `${folder}/out/` });
    await destination.put("a/b", bodyOf(bytesOf(5)), PUT);
    assert.deepEqual(await collect(await destination.get("a/b")), bytesOf(5));
    assert.equal((await Deno.stat(`${folder}/real/a/b`)).size, 5);
  });
});

Deno.test("a failed write leaves the old object and nothing else", async () => {
  await withFolder(async (folder) => {
    await using destination = await openDestination({ kind: "local", path: folder });
    await destination.put("key", bodyOf(bytesOf(5)), PUT);
    await Deno.mkdir(`${folder}/taken`);
    await Deno.writeTextFile(`${folder}/file`, "");
    const failed = { code: "RIVET_DEST_WRITE_FAILED", retry: "never" };
    await assert.rejects(destination.put("taken", bodyOf(bytesOf(5)), PUT), failed);
    await assert.rejects(destination.put("file/below", bodyOf(bytesOf(5)), PUT), failed);
    await assert.rejects(destination.put("x".repeat(300), bodyOf(bytesOf(5)), PUT), failed);
    const names = [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
    assert.deepEqual(names, ["file", "key", "taken"]);
  });
});

Deno.test("chunks of any size make one file of the same bytes", async () => {
  await withFolder(async (folder) => {
    await using destination = await openDestination({ kind: "local", path: folder });
    const bytes = bytesOf(3 << 20);
    for (const chunkBytes of [1000, 256 << 10, (256 << 10) - 1, (256 << 10) + 1, 1 << 20]) {
      await destination.put("key", bodyOf(bytes, chunkBytes), PUT);
      assert.ok((await Deno.readFile(`${folder}/key`)).every((byte, i) => byte === bytes[i]));
    }
  });
});

Deno.test("a full disk is told as such, and the file is not there", async () => {
  await withFolder(async (folder) => {
    const isMounted = (await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
      stderr: "null",
    }).output()).success;
    if (!isMounted) return;
    try {
      await using destination = await openDestination({ kind: "local", path: `${folder}/out` });
      await assert.rejects(destination.put("key", bodyOf(bytesOf(2 << 20)), PUT), {
        code: "RIVET_DEST_DISK_FULL",
        where: `${folder}/out/key`,
      });
      assert.deepEqual([...Deno.readDirSync(`${folder}/out`)], []);
      await destination.put("key", bodyOf(bytesOf(1000)), PUT);
    } finally {
      await new Deno.Command("umount", { args: [folder] }).output();
    }
  });
});

Deno.test("refusals are told by the operating system's code, and all have a cure", () => {
  const refused = (code: string) => Object.assign(new Error("no"), { code });
  const codes: Record<string, string> = {
    ENOSPC: "RIVET_DEST_DISK_FULL",
    EDQUOT: "RIVET_DEST_DISK_FULL",
    EACCES: "RIVET_DEST_WRITE_FAILED",
    EROFS: "RIVET_DEST_WRITE_FAILED",
    EWHATEVER: "RIVET_DEST_WRITE_FAILED",
  };
  for (const [code, expected] of Object.entries(codes)) {
    const error = toWriteError(refused(code), "/data/x") as RivetError;
    assert.ok(error instanceof RivetError);
    assert.deepEqual([error.code, error.where, error.retry], [expected, "/data/x", "never"]);
    assert.ok(code === "EWHATEVER" || error.cure.length > 0);
  }
  assert.equal((toReadError(refused("EACCES"), "/x") as RivetError).code, "RIVET_DEST_READ_FAILED");
  const bug = new TypeError("a bug");
  assert.equal(toWriteError(bug, "/x"), bug);
  if (Deno.build.os !== "linux") return;
  // What Deno has no name for.
  const tooLarge = toWriteError(new Error("File too large (os error 27)"), "/x") as RivetError;
  assert.match(tooLarge.message, /ulimit -f/);
  assert.match((toReadError(new Error("Input/output error (os error 5)"), "/x") as RivetError).message, /EIO/);
});

Deno.test("of the temporary files of a key that several runs write, a sweep takes those of its own run", async () => {
  await using folder = await temporaryFolder();
  await using destination = await openDestination({ kind: "local", path: folder.path });
  const tag = toRunTag("orders_1");
  const left = [`._SUCCESS.00000001-${tag}.tmp`, "._SUCCESS.00000002-00000000.tmp", "._SUCCESS.00000003.tmp"];
  for (const name of left) await Deno.writeTextFile(`${folder.path}/${name}`, "");
  assert.deepEqual(await collectKeys(destination.list("")), []);
  assert.equal(await destination.sweep((key) => key === "part", (other) => other === tag), 1);
  const names = (await Array.fromAsync(Deno.readDir(folder.path))).map(({ name }) => name).sort();
  assert.deepEqual(names, left.slice(1));
  await destination.put("_SUCCESS", bodyOf(bytesOf(10)), { ...PUT, runId: "orders_1" });
  assert.deepEqual(await collectKeys(destination.list("")), ["_SUCCESS"]);
});

Deno.test("standard output gets the bytes in order, and remembers nothing", async () => {
  const { openStdout } = await import("../../../src/destination/stdout.ts");
  const written: number[] = [];
  // Takes three bytes at a time, as a pipe may.
  const writer = {
    write: (bytes: Uint8Array) => {
      const taken = bytes.subarray(0, 3);
      written.push(...taken);
      return Promise.resolve(taken.length);
    },
  };
  await using destination = openStdout(writer);
  assert.deepEqual(await destination.put("key", bodyOf(bytesOf(1000), 77), PUT), {
    key: "key",
    size: 1000,
    digests: {},
  });
  assert.deepEqual(Uint8Array.from(written), bytesOf(1000));
  assert.equal(await destination.get("key"), null);
  assert.equal(await destination.stat("key"), null);
  assert.deepEqual(await collectKeys(destination.list("")), []);
  await destination.remove("key");
  await destination.quarantine("key", "run");
  assert.equal(await destination.sweep(() => true), 0);
  assert.equal(destination.capabilities.commitProtocol, "streaming");
  await using closed = openStdout({ write: () => Promise.reject(Object.assign(new Error(), { code: "EPIPE" })) });
  await assert.rejects(closed.put("key", bodyOf(bytesOf(1)), PUT), { code: "RIVET_DEST_WRITE_FAILED", retry: "never" });
});
