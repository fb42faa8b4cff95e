// `rivet permissions`: what it prints is enough for a run, and nothing of it can be left out.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";
import { askPermissions, runConfined } from "../support/permissions.ts";

async function withShop(body: (folder: string, out: string) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  await using out = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
  }
  const destination = { type: "local", path: join(out.path, "{export}/{date}") };
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    JSON.stringify({
      source: { type: "sqlite", path: "shop.db" },
      exports: [{
        name: "t",
        query: "SELECT id FROM t WHERE id < ${MOST}",
        mode: "full",
        format: "parquet",
        destination,
      }],
    }),
  );
  await body(folder.path, out.path);
}

Deno.test("SQLite to a folder runs under exactly the printed permissions", async () => {
  await withShop(async (folder, out) => {
    const env = { MOST: "9" };
    const { flags, ...lists } = await askPermissions(folder, env);
    assert.deepEqual(lists.net, []);
    assert.deepEqual(lists.write, [join(folder, ".rivet"), join(folder, ".rivet_state.db"), join(out, "t")].sort());
    assert.ok(lists.env.includes("MOST"));
    assert.deepEqual(lists.lanes.map(({ env, sys, net }) => [env, sys, net]), [[[], [], []]]);
    for (const args of [["run", "--validate"], ["validate"], ["doctor"], ["check"], ["state", "show"], ["metrics"]]) {
      const result = await runConfined(flags, [args[0]!, ...args.slice(1), "-c", "rivet.yaml"], { cwd: folder, env });
      assert.equal(result.code, 0, `${args.join(" ")}: ${result.stderr}`);
    }
    const day = [...Deno.readDirSync(join(out, "t"))];
    assert.equal(day.length, 1);
    assert.ok([...Deno.readDirSync(join(out, "t", day[0]!.name))].some(({ name }) => name === "_SUCCESS"));
  });
});

Deno.test("without any one of the permissions the run fails", async () => {
  await withShop(async (folder) => {
    const env = { MOST: "9" };
    const { flags } = await askPermissions(folder, env);
    for (const kind of ["read", "write", "sys"]) {
      const fewer = flags.filter((flag) => !flag.startsWith(`--allow-${kind}=`));
      assert.equal(fewer.length, flags.length - 1, kind);
      const { code } = await runConfined(fewer, ["run", "-c", "rivet.yaml"], { cwd: folder, env });
      assert.notEqual(code, 0, kind);
    }
    // A variable that is not named does not exist.
    const blind = flags.map((flag) => flag.replace(/\bMOST,/, ""));
    const { code, stderr } = await runConfined(blind, ["run", "-c", "rivet.yaml"], { cwd: folder, env });
    assert.equal(code, 1);
    assert.match(stderr, /RIVET_CONFIG_SECRET_UNSET/);
  });
});

Deno.test("the text is the flags, one a line, for a shell to take", async () => {
  await withShop(async (folder) => {
    const env = { MOST: "9" };
    const { flags } = await askPermissions(folder, env);
    const { code, stdout, stderr } = await runCli(["permissions", "-c", "rivet.yaml"], { cwd: folder, env });
    assert.equal(code, 0);
    assert.deepEqual(stdout.trim().split("\n"), flags);
    assert.equal(stderr, "");
  });
});

Deno.test("what cannot be known without a secret is refused, as a run would refuse it", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    JSON.stringify({
      source: { type: "postgres", url_env: "RIVET_TEST_UNSET_URL" },
      exports: [{ name: "t", table: "t", mode: "full", format: "csv", destination: { type: "stdout" } }],
    }),
  );
  const { code, stderr } = await runCli(["permissions", "-c", "rivet.yaml"], { cwd: folder.path });
  assert.equal(code, 1);
  assert.match(stderr, /RIVET_CONFIG_SECRET_UNSET.*RIVET_TEST_UNSET_URL/);
});
