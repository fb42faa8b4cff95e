// The program as it is distributed: bundled, started by its command, and the same in what it writes and what it may do.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { buildProgram } from "../../scripts/build.ts";
import { builtArgs, type CliResult, runCli } from "../support/cli.ts";
import { fromFileUrl, join, temporaryFolder } from "../support/files.ts";
import { readThroughManifest } from "../support/reader.ts";
import { VERSION } from "../../src/version.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const programIn = (folder: string) => join(folder, "node_modules", "rivet");

interface Built {
  readonly folder: string;
  /** Runs the bundle with these flags of `deno run`. */
  run(args: readonly string[], allowed?: readonly string[]): Promise<CliResult>;
}

/** The program built to where an installer puts it, beside a small shop. */
async function withBuilt(body: (built: Built) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  const program = programIn(folder.path);
  await buildProgram(program);
  const work = join(folder.path, "work");
  await Deno.mkdir(work);
  {
    using db = new DatabaseSync(join(work, "shop.db"));
    db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t SELECT i, 'row ' || i FROM n`);
  }
  await Deno.writeTextFile(
    join(work, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}
exports:
  - {name: t, table: t, mode: chunked, chunk_column: id, chunk_size: 100, format: parquet, destination: {type: local, path: out}}
`,
  );
  await body({
    folder: folder.path,
    async run(args, allowed) {
      const command = new Deno.Command(Deno.execPath(), {
        args: builtArgs(join(program, "rivet.js"), args, allowed),
        cwd: work,
        env: { NO_COLOR: "1" },
        stdin: "null",
      });
      const { code, stdout, stderr } = await command.output();
      return { code, stdout: decode(stdout), stderr: decode(stderr) };
    },
  });
}

Deno.test("the bundle writes the rows that the sources write, under exactly the permissions that it prints", async () => {
  await withBuilt(async ({ folder, run }) => {
    const work = join(folder, "work");
    const { flags } = JSON.parse((await run(["permissions", "-c", "rivet.yaml", "--json"])).stdout) as {
      flags: string[];
    };
    assert.ok(
      flags.some((flag) => flag.startsWith("--allow-read=") && flag.includes(programIn(folder))),
      flags.join(),
    );
    assert.ok(!flags.join().includes(ROOT), flags.join());
    const built = await run(["run", "-c", "rivet.yaml", "--validate"], flags);
    assert.equal(built.code, 0, built.stderr);
    const ofBundle = await readThroughManifest(join(work, "out"));
    const ofSources = await runCli(["run", "-c", "rivet.yaml"], { cwd: work });
    assert.equal(ofSources.code, 0, ofSources.stderr);
    assert.equal(ofBundle.length, 500);
    assert.deepEqual(ofBundle, await readThroughManifest(join(work, "out")));
  });
});

Deno.test("every driver and every store's library is in the bundle, and every text a command prints", async () => {
  await withBuilt(async ({ folder, run }) => {
    const connections = ["postgres", "mysql", "mssql"].map((type) => ({
      source: { type, host: "127.0.0.1", port: 9, user: "u", password: "p", database: "d" },
      destination: { type: "local", path: "out" },
      expected: /RIVET_SOURCE_CONNECT_FAILED/,
    }));
    const local = { type: "sqlite", path: "shop.db" };
    const key = { access_key_env: "NO_COLOR", secret_key_env: "NO_COLOR" };
    const stores = [
      { type: "s3", bucket: "b", prefix: "p", region: "eu-west-1", endpoint: "http://127.0.0.1:9", ...key },
      { type: "gcs", bucket: "b", prefix: "p", endpoint: "http://127.0.0.1:9", allow_anonymous: true },
      {
        type: "azure",
        bucket: "b",
        prefix: "p",
        endpoint: "http://127.0.0.1:9/a",
        account_name: "a",
        account_key_env: "NO_COLOR",
      },
    ].map((destination) => ({ source: local, destination, expected: /RIVET_DEST_/ }));
    for (const { source, destination, expected } of [...connections, ...stores]) {
      const tuning = { profile: "fast", max_retries: 0 };
      const config = {
        source: { ...source, tuning },
        exports: [{ name: "t", table: "t", mode: "full", format: "csv", destination }],
      };
      await Deno.writeTextFile(join(folder, "work", "far.yaml"), JSON.stringify(config));
      const { code, stdout } = await run(["doctor", "-c", "far.yaml"]);
      assert.notEqual(code, 0);
      assert.match(stdout, expected);
      assert.ok(!/INTERNAL|Cannot find|not found in|Dynamic require/.test(stdout), stdout);
    }
    for (const args of [["schema", "config"], ["schema", "errors"], ["completions", "bash"], ["init", "--help"]]) {
      const [built, plain] = await Promise.all([run(args), runCli(args)]);
      assert.equal(built.code, 0, built.stderr);
      assert.equal(built.stdout, plain.stdout, args.join(" "));
    }
  });
});

interface Started {
  readonly folder: string;
  readonly work: string;
  /** `bin.cjs` with these arguments, in a process group of its own. */
  start(args: readonly string[], env?: Record<string, string>): Deno.Command;
}

/** The built program as its command starts it. */
async function withCommand(body: (started: Started) => Promise<void>): Promise<void> {
  await withBuilt(async ({ folder }) => {
    const program = programIn(folder);
    // In place of the dependency, which a registry would bring.
    await Deno.mkdir(join(program, "..", "deno"));
    await Deno.writeTextFile(
      join(program, "..", "deno", "install_api.cjs"),
      `exports.runInstall = () => ${JSON.stringify(Deno.execPath())};`,
    );
    const work = join(folder, "work");
    await Deno.writeTextFile(
      join(work, "slow.yaml"),
      (await Deno.readTextFile(join(work, "rivet.yaml")))
        .replace("path: shop.db}", "path: shop.db, tuning: {batch_size: 10, throttle_ms: 200}}"),
    );
    await body({
      folder,
      work,
      start: (args, env = {}) =>
        new Deno.Command("node", {
          args: [join(program, "bin.cjs"), ...args],
          cwd: work,
          env: { NO_COLOR: "1", ...env },
          detached: true,
          stdin: "null",
          stdout: "piped",
          stderr: "piped",
        }),
    });
  });
}

Deno.test("its command starts it on the Deno of the package and hands the exit code back", async () => {
  await withCommand(async ({ folder, start }) => {
    const { dependencies, version, bin } = JSON.parse(
      await Deno.readTextFile(join(programIn(folder), "package.json")),
    );
    assert.deepEqual([version, Object.keys(dependencies), bin], [VERSION, ["deno"], { rivet: "bin.cjs" }]);
    const shown = await start(["--version"]).output();
    assert.deepEqual([shown.code, decode(shown.stdout).includes(VERSION)], [0, true]);
    assert.equal((await start(["run", "-c", "missing.yaml"]).output()).code, 1);
    await Deno.remove(join(programIn(folder), "..", "deno"), { recursive: true });
    const alone = await start(["--version"]).output();
    assert.equal(alone.code, 1);
    assert.match(decode(alone.stderr), /^Error: .*'deno'.*npm install -g --install-links "[^"]+"\n$/);
  });
});

Deno.test({
  name: "a stop signal to the command alone, or to all its processes as a terminal sends it, is one wish to stop",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withCommand(async ({ work, start }) => {
      for (const [signal, toAll] of [["SIGTERM", false], ["SIGINT", false], ["SIGINT", true]] as const) {
        const child = start(["run", "-c", "slow.yaml", "--progress", "plain"]).spawn();
        const stderr = child.stderr.pipeThrough(new TextDecoderStream());
        let text = "";
        let isSent = false;
        for await (const piece of stderr) {
          text += piece;
          if (isSent || !/(reading|resuming) chunked/.test(text)) continue;
          isSent = true;
          Deno.kill(toAll ? -child.pid : child.pid, signal);
        }
        const { code } = await child.status;
        await child.stdout.cancel();
        assert.equal(code, 2, `${signal}: ${text}`);
        assert.match(text, /RIVET_RUN_INTERRUPTED/);
        assert.ok(!text.includes("Stopped at once"), text);
      }
      assert.equal((await start(["run", "-c", "rivet.yaml"]).output()).code, 0);
      assert.equal((await readThroughManifest(join(work, "out"))).length, 500);
    }),
});

Deno.test("RIVET_DENO_FLAGS takes what `rivet permissions` prints, where a folder has a blank in its name, too", async () => {
  await withCommand(async ({ work, start }) => {
    const config = (await Deno.readTextFile(join(work, "rivet.yaml"))).replace("path: out", "path: 'my out'");
    await Deno.writeTextFile(join(work, "rivet.yaml"), config);
    const printed = await start(["permissions", "-c", "rivet.yaml"]).output();
    assert.match(decode(printed.stderr), /^warning: .*RIVET_DENO_FLAGS/);
    const flags = decode(printed.stdout).trimEnd();
    assert.match(flags, /--allow-write=.*my out/);
    const run = await start(["run", "-c", "rivet.yaml"], { RIVET_DENO_FLAGS: flags }).output();
    assert.equal(run.code, 0, decode(run.stderr));
    assert.equal((await readThroughManifest(join(work, "my out"))).length, 500);
    const onOneLine = { RIVET_DENO_FLAGS: "--allow-read  --allow-env --deny-net" };
    assert.equal((await start(["--version"], onOneLine).output()).code, 0);
  });
});

Deno.test("the package holds every file that its pages link to", async () => {
  await withBuilt(async ({ folder }) => {
    const program = programIn(folder);
    for (const page of ["README.md", "CHANGELOG.md"]) {
      const text = await Deno.readTextFile(join(program, page));
      assert.ok(text.length > 0);
      for (const [, target] of text.matchAll(/\]\(([^)#]+)/g)) {
        if (!/^https?:/.test(target!)) await Deno.stat(join(program, target!));
      }
    }
  });
});
