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

Deno.test("its command starts it on the Deno of the package, hands the exit code back and passes SIGTERM on", async () => {
  await withBuilt(async ({ folder }) => {
    const program = programIn(folder);
    // In place of the dependency, which a registry would bring.
    await Deno.mkdir(join(program, "..", "deno"));
    await Deno.writeTextFile(
      join(program, "..", "deno", "install_api.cjs"),
      `exports.runInstall = () => ${JSON.stringify(Deno.execPath())};`,
    );
    const { dependencies, version, bin } = JSON.parse(await Deno.readTextFile(join(program, "package.json")));
    assert.deepEqual([version, Object.keys(dependencies), bin], [VERSION, ["deno"], { rivet: "bin.cjs" }]);
    const start = (...args: string[]) =>
      new Deno.Command("node", {
        args: [join(program, "bin.cjs"), ...args],
        cwd: join(folder, "work"),
        env: { NO_COLOR: "1" },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      });
    const shown = await start("--version").output();
    assert.deepEqual([shown.code, decode(shown.stdout).includes(VERSION)], [0, true]);
    assert.equal((await start("run", "-c", "missing.yaml").output()).code, 1);
    await Deno.writeTextFile(
      join(folder, "work", "slow.yaml"),
      (await Deno.readTextFile(join(folder, "work", "rivet.yaml")))
        .replace("path: shop.db}", "path: shop.db, tuning: {batch_size: 10, throttle_ms: 200}}"),
    );
    const child = start("run", "-c", "slow.yaml", "--progress", "plain").spawn();
    const stderr = child.stderr.pipeThrough(new TextDecoderStream());
    let text = "";
    for await (const piece of stderr) {
      text += piece;
      if (text.includes("reading chunked") && !text.includes("interrupted")) {
        child.kill("SIGTERM");
        break;
      }
    }
    const { code } = await child.status;
    await child.stdout.cancel();
    assert.equal(code, 2, text);
  });
});
