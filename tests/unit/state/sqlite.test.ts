import assert from "node:assert/strict";
import { openState } from "../../../src/state/mod.ts";
import { openSqlite } from "../../../src/state/sqlite.ts";
import { fromFileUrl, join, temporaryFolder } from "../../support/files.ts";
import { codeOf, completeRun, cursorOf, dump, KEY, mustTake, sqlitePlace } from "../../support/state.ts";

const FILE = ".rivet_state.db";

Deno.test("a file that is no database is refused and left as it is", async () => {
  const seed = 20_261_121;
  for (const size of [1, 15, 100, 4096, 20_000]) {
    await using folder = await temporaryFolder();
    const bytes = noise(size, seed + size);
    await Deno.writeFile(join(folder.path, FILE), bytes);
    assert.equal(
      await codeOf(openState({ url: undefined, directory: folder.path })),
      "RIVET_STATE_FILE_CORRUPT",
      `${size} bytes, seed ${seed}`,
    );
    assert.deepEqual(await Deno.readFile(join(folder.path, FILE)), bytes);
  }
});

Deno.test("a database that was cut short is refused", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, FILE);
  {
    await using state = await sqlitePlace(folder.path).open();
    await completeRun(state, "r1", await mustTake(state), { cursor: cursorOf("41") });
  }
  const whole = await Deno.readFile(path);
  for (const size of [50, 100, 512, 4096, 4097, whole.length >> 1, whole.length - 4096]) {
    await Deno.writeFile(path, whole.slice(0, size));
    assert.equal(
      await codeOf(openState({ url: undefined, directory: folder.path })),
      "RIVET_STATE_FILE_CORRUPT",
      `${size} bytes`,
    );
  }
  await Deno.writeFile(path, whole);
  await using state = await sqlitePlace(folder.path).open();
  assert.equal((await state.cursor(KEY))?.value, "41");
});

Deno.test("a folder, a missing folder and a file in the folder's place are refused", async () => {
  await using folder = await temporaryFolder();
  await Deno.mkdir(join(folder.path, "a", FILE), { recursive: true });
  await Deno.writeTextFile(join(folder.path, "file"), "");
  for (const directory of ["a", "missing", "file"]) {
    assert.equal(
      await codeOf(openState({ url: undefined, directory: join(folder.path, directory) })),
      "RIVET_STATE_NOT_WRITABLE",
      directory,
    );
  }
  assert.ok(!await Deno.stat(join(folder.path, "missing")).then(() => true, () => false));
});

/** Root may write everything: the test needs another user that can run this Deno and read this folder. */
async function canRunUnprivileged(): Promise<boolean> {
  if (Deno.uid() !== 0) return true;
  const read = `Deno.readTextFileSync(${JSON.stringify(fromFileUrl(import.meta.url))})`;
  const command = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", read],
    uid: 65534,
    gid: 65534,
    env: { DENO_DIR: "/tmp", HOME: "/tmp" },
    stdout: "null",
    stderr: "null",
  });
  try {
    return (await command.output()).success;
  } catch {
    return false;
  }
}

const unprivileged = { ignore: !await canRunUnprivileged() };

Deno.test("a file or folder that may not be written is refused before anything else", unprivileged, async () => {
  await using folder = await temporaryFolder();
  await Deno.chmod(folder.path, 0o755);
  for (const name of ["folder", "file", "sealed"]) await Deno.mkdir(join(folder.path, name));
  for (const name of ["file", "sealed"]) {
    await (await sqlitePlace(join(folder.path, name)).open())[Symbol.asyncDispose]();
  }
  await Deno.chmod(join(folder.path, "file", FILE), 0o444);
  await Deno.chmod(join(folder.path, "file"), 0o777);
  await Deno.chmod(join(folder.path, "sealed", FILE), 0o666);
  for (const name of ["folder", "sealed"]) await Deno.chmod(join(folder.path, name), 0o555);
  for (const name of ["folder", "file", "sealed"]) {
    const said = await openUnprivileged(folder.path, join(folder.path, name));
    assert.equal(said, "RIVET_STATE_NOT_WRITABLE", name);
  }
  assert.equal(
    await openUnprivileged(folder.path, join(folder.path, "sealed"), true),
    "opened",
    "looking needs no leave to write",
  );
  await Deno.chmod(join(folder.path, "folder"), 0o777);
  assert.equal(await openUnprivileged(folder.path, join(folder.path, "folder")), "opened");
  await Deno.chmod(join(folder.path, "sealed"), 0o755);
});

Deno.test("transactions of one connection wait for each other, and a failed one takes only its own with it", async () => {
  await using db = await openSqlite({ path: ":memory:" });
  await db.run("CREATE TABLE t (x INTEGER)");
  const order: string[] = [];
  const work = (name: string, fails: boolean) =>
    db.transaction(async (sql) => {
      order.push(`${name} begins`);
      await sql.run("INSERT INTO t VALUES (1)");
      await new Promise((resolve) => setTimeout(resolve, 1));
      order.push(`${name} ends`);
      if (fails) throw new Error(name);
    });
  const results = await Promise.allSettled([
    work("a", false),
    work("b", true),
    work("c", false),
    db.all("SELECT 1 AS one"),
  ]);
  assert.deepEqual(results.map((r) => r.status), ["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  assert.deepEqual(order, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  assert.deepEqual((await db.all("SELECT count(*) AS n FROM t"))[0]!["n"], 2);
});

Deno.test("a process that is killed inside a transaction leaves nothing of it", async () => {
  await using folder = await temporaryFolder();
  const place = sqlitePlace(folder.path);
  await (await place.open())[Symbol.asyncDispose]();
  const before = await dump(place);
  const script = `
    import { openSqlite } from ${JSON.stringify(import.meta.resolve("../../../src/state/sqlite.ts"))};
    const db = await openSqlite({ path: ${JSON.stringify(join(folder.path, FILE))} });
    await db.transaction(async (sql) => {
      for (let i = 0; i < 5000; i++) await sql.run("INSERT INTO run_event (run_id, recorded_at, event_json) VALUES ('r', 'x', ?)", ["y".repeat(5000)]);
      console.log("written");
      await new Promise(() => setInterval(() => {}, 1000));
    });`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", script],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /written/);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  assert.equal(await dump(place), before);
});

/** Opens the state in a process without any special rights, and says how it ended. */
async function openUnprivileged(home: string, directory: string, readOnly = false): Promise<string> {
  const script = join(home, "open.ts");
  await Deno.writeTextFile(
    script,
    `const { openState } = await import(${JSON.stringify(new URL("../../../src/state/mod.ts", import.meta.url).href)});
    const state = await openState({ url: undefined, directory: Deno.args[0], readOnly: Deno.args[1] === "true" }).catch((e) => e);
    console.log(state.code ?? (state instanceof Error ? String(state) : "opened"));
    await state[Symbol.asyncDispose]?.();`,
  );
  const cache = join(home, "cache");
  await Deno.mkdir(cache, { recursive: true });
  await Deno.chmod(cache, 0o777);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", "--no-check", "--quiet", script, directory, String(readOnly)],
    cwd: fromFileUrl(new URL(".", import.meta.url)),
    env: { DENO_DIR: cache, HOME: home },
    ...(Deno.uid() === 0 ? { uid: 65534, gid: 65534 } : {}),
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

/** Bytes from a small generator with a seed. */
function noise(size: number, seed: number): Uint8Array {
  let x = seed;
  return Uint8Array.from({ length: size }, () => (x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0) >>> 24);
}
