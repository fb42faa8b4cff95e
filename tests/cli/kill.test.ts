// kill -9 and Ctrl-C on the real process, with real lanes: the same command finishes the run, and the prefix holds one complete set.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli, startCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { findUntracked, listNames, readThroughManifest } from "../support/reader.ts";

const ROWS = 60_000;

/** Half a minute, in thirty chunks: whatever is done to such a run after its first chunks finds it at work, however slow the machine is. */
const LONG = { chunkSize: 2000, tuning: "profile: fast, batch_size: 500, throttle_ms: 250" };

async function prepare(folder: string, chunkSize = 6000): Promise<void> {
  using db = new DatabaseSync(join(folder, "shop.db"));
  db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
    INSERT INTO t SELECT i, hex(i * 2654435761) || ' body of row ' || i FROM n`);
  await Deno.writeTextFile(
    join(folder, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db, tuning: {profile: fast}}
exports:
  - {name: t, table: t, mode: chunked, chunk_column: id, chunk_size: ${chunkSize}, format: parquet, destination: {type: local, path: out}}
`,
  );
}

async function assertOneCompleteSet(folder: string): Promise<void> {
  const out = join(folder, "out");
  const ids = (await readThroughManifest(out)).map((row) => Number(row["id"])).sort((a, b) => a - b);
  assert.equal(ids.length, ROWS);
  assert.ok(ids.every((id, i) => id === i + 1));
  assert.deepEqual(await findUntracked(out), []);
  const names = await listNames(out);
  assert.equal(names.filter((name) => name.startsWith("manifest-")).length, 1);
  assert.ok(names.includes("_SUCCESS"));
}

Deno.test("kill -9 at any moment, then the same command: the prefix holds exactly one complete set", async () => {
  await using folder = await temporaryFolder();
  await prepare(folder.path);
  const args = ["run", "-c", "rivet.yaml", "--progress", "none"];
  for (let round = 0; round < 12; round++) {
    const child = startCli(args, { cwd: folder.path });
    const stderr = new Response(child.stderr).text();
    // From before anything is recorded to after everything is published.
    await new Promise((resolve) => setTimeout(resolve, 120 + round * 60));
    try {
      child.kill("SIGKILL");
    } catch { /* it had ended */ }
    await child.status;
    await stderr;
    const again = await runCli(args, { cwd: folder.path });
    assert.equal(again.code, 0, again.stderr);
    await assertOneCompleteSet(folder.path);
  }
});

for (const sent of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${sent} ends the run with exit 2 and the command that finishes it`, async () => {
    await using folder = await temporaryFolder();
    await prepare(folder.path, LONG.chunkSize);
    const yaml = await Deno.readTextFile(join(folder.path, "rivet.yaml"));
    await Deno.writeTextFile(
      join(folder.path, "rivet.yaml"),
      yaml.replace("profile: fast", LONG.tuning),
    );
    const child = startCli(["run", "-c", "rivet.yaml", "-p", "DAY=hunter2", "--progress", "plain"], {
      cwd: folder.path,
    });
    const output = watch(child.stderr);
    await keptChunk(folder.path);
    child.kill(sent);
    const { code } = await child.status;
    await output.ended;
    const text = output.text();
    assert.equal(code, 2, text);
    assert.match(text, /RIVET_RUN_INTERRUPTED/);
    assert.match(text, /resume: +rivet run -c .*rivet\.yaml -e t -p DAY=…/);
    assert.ok(!text.includes("hunter2"), text);
    assert.ok(!(await listNames(join(folder.path, "out"))).includes("_SUCCESS"));
    await Deno.writeTextFile(join(folder.path, "rivet.yaml"), yaml);
    const again = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder.path });
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stderr, /resuming .*, \d+ of them done/);
    assert.match(again.stderr, /resumed: +yes, an interrupted run was finished/);
    await assertOneCompleteSet(folder.path);
  });
}

for (const [flag, name] of [["--progress=plain", "one line"], ["--json-errors", "one object"]] as const) {
  Deno.test(`a second Ctrl-C ends a program that is still busy ending, at once and with ${name}`, async () => {
    await using folder = await temporaryFolder();
    await prepare(folder.path, LONG.chunkSize);
    // Nobody answers: the end of a stopped run waits for it.
    using hook = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const path = join(folder.path, "rivet.yaml");
    const yaml = (await Deno.readTextFile(path)).replace("profile: fast", LONG.tuning);
    const url = `http://127.0.0.1:${(hook.addr as Deno.NetAddr).port}/`;
    await Deno.writeTextFile(path, `${yaml}notifications: {webhook: {webhook_url: "${url}", on: [failure]}}\n`);
    const child = startCli(["run", "-c", "rivet.yaml", flag], { cwd: folder.path });
    const output = watch(child.stderr);
    await keptChunk(folder.path);
    child.kill("SIGINT");
    using _asked = await hook.accept();
    const again = setInterval(() => {
      try {
        child.kill("SIGINT");
      } catch { /* it has ended */ }
    }, 100);
    const { code } = await child.status;
    clearInterval(again);
    await output.ended;
    assert.equal(code, 130, output.text());
    if (flag === "--json-errors") {
      const { code, error, exit_code } = JSON.parse(output.text());
      return assert.deepEqual([code, error, exit_code], ["RIVET_RUN_INTERRUPTED", "Stopped at once", 130]);
    }
    assert.equal(
      output.text().match(/Stopped at once; the same command does what is left\n/g)?.length,
      1,
      output.text(),
    );
  });
}

Deno.test("a signal in a run of several exports: what never began is skipped, and one command goes on with all", async () => {
  await using folder = await temporaryFolder();
  await prepare(folder.path, LONG.chunkSize);
  const path = join(folder.path, "rivet.yaml");
  const yaml = await Deno.readTextFile(path) +
    ["u", "v"].map((name) =>
      `  - {name: ${name}, table: t, mode: full, format: csv, destination: {type: local, path: out_${name}}}\n`
    ).join("");
  await Deno.writeTextFile(path, yaml.replace("profile: fast", LONG.tuning));
  const child = startCli(["run", "-c", "rivet.yaml", "--progress", "plain", "--summary-output", "s.json"], {
    cwd: folder.path,
  });
  const output = watch(child.stderr);
  await keptChunk(folder.path);
  child.kill("SIGINT");
  const { code } = await child.status;
  await output.ended;
  const text = output.text();
  assert.equal(code, 2, text);
  assert.match(text, /^• u +full +not started\n• v +full +not started$/m);
  assert.match(text, /0 succeeded, 1 failed, 2 skipped/);
  assert.equal(text.match(/Stopped by a signal/g)?.length, 2, text);
  assert.match(text, /resume: rivet run -c .*rivet\.yaml -e t\n\n {2}resume all: rivet run -c \S*rivet\.yaml\n/);
  const summary = JSON.parse(await Deno.readTextFile(join(folder.path, "s.json")));
  assert.match(summary.resume_command, /^rivet run -c \S*rivet\.yaml$/);
  assert.deepEqual([summary.failed_count, summary.skipped_count], [1, 2]);
  assert.deepEqual(summary.per_export.map((one: { status: string }) => one.status), [
    "interrupted",
    "skipped",
    "skipped",
  ]);
});

Deno.test("two processes run one export: the second names the first, and refuses when it may not wait", async () => {
  await using folder = await temporaryFolder();
  await prepare(folder.path, LONG.chunkSize);
  const yaml = await Deno.readTextFile(join(folder.path, "rivet.yaml"));
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    yaml.replace("profile: fast", LONG.tuning),
  );
  const first = startCli(["run", "-c", "rivet.yaml", "--progress", "plain"], { cwd: folder.path });
  const output = watch(first.stderr);
  await keptChunk(folder.path);
  const second = await runCli(["run", "-c", "rivet.yaml", "--lock-wait", "0"], { cwd: folder.path });
  assert.equal(second.code, 2, second.stderr);
  assert.match(second.stderr, new RegExp(`RIVET_STATE_RUN_IN_PROGRESS\\] process ${first.pid} on `));
  first.kill("SIGKILL");
  await first.status;
  await output.ended;
  await Deno.writeTextFile(join(folder.path, "rivet.yaml"), yaml);
  const third = await runCli(["run", "-c", "rivet.yaml", "--lock-wait", "0"], { cwd: folder.path });
  assert.equal(third.code, 0, third.stderr);
  await assertOneCompleteSet(folder.path);
});

Deno.test("a process that may wait says for whom, and takes over at once when that one is killed", async () => {
  await using folder = await temporaryFolder();
  await prepare(folder.path, LONG.chunkSize);
  const yaml = await Deno.readTextFile(join(folder.path, "rivet.yaml"));
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    yaml.replace("profile: fast", LONG.tuning),
  );
  const args = (wait: string) => ["run", "-c", "rivet.yaml", "--progress", "plain", "--lock-wait", wait];
  const first = startCli(args("0"), { cwd: folder.path });
  const firstOutput = watch(first.stderr);
  // Its first committed chunk: there is something to take over.
  await keptChunk(folder.path);
  const second = startCli(args("300"), { cwd: folder.path });
  const secondOutput = watch(second.stderr);
  await secondOutput.until(new RegExp(`process ${first.pid} on `));
  await Deno.writeTextFile(join(folder.path, "rivet.yaml"), yaml);
  first.kill("SIGKILL");
  await first.status;
  await firstOutput.ended;
  const { code } = await second.status;
  await secondOutput.ended;
  assert.equal(code, 0, secondOutput.text());
  assert.match(secondOutput.text(), /resumed/);
  await assertOneCompleteSet(folder.path);
});

/** Resolves when a chunk is committed that a later run keeps: not the first, which is open at its start. Then the third one's file is there. */
async function keptChunk(folder: string): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    if ((await listNames(join(folder, "out"))).some((name) => name.includes("_chunk2"))) return;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  assert.fail("no chunk was committed in a minute");
}

/** What a process says, while it says it. */
function watch(stream: ReadableStream<Uint8Array>) {
  let text = "";
  let wake = () => {};
  let isOver = false;
  const ended = (async () => {
    for await (const piece of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
      text += piece;
      wake();
    }
    isOver = true;
    wake();
  })();
  return {
    ended,
    text: () => text,
    async until(pattern: RegExp): Promise<void> {
      while (!pattern.test(text)) {
        assert.ok(!isOver, `it ended without ${pattern}: ${text}`);
        await new Promise<void>((resolve) => wake = resolve);
      }
    },
  };
}

Deno.test("a value above the limit is refused by column and size, and nothing is published", async () => {
  await using folder = await temporaryFolder();
  await prepare(folder.path);
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("UPDATE t SET body = hex(zeroblob(1500000)) WHERE id = 7");
  }
  const yaml = await Deno.readTextFile(join(folder.path, "rivet.yaml"));
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    yaml.replace("profile: fast", "profile: fast, max_value_mb: 2"),
  );
  const result = await runCli(["run", "-c", "rivet.yaml"], { cwd: folder.path });
  assert.equal(result.code, 1, result.stderr);
  assert.match(result.stderr, /RIVET_VALUE_TOO_LARGE/);
  assert.match(result.stderr, /'body'/);
  assert.match(result.stderr, /max_value_mb/);
  assert.ok(!(await listNames(join(folder.path, "out"))).includes("manifest.json"));
});
