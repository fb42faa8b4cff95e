// `rivet state copy` and `rivet state vacuum` through the real entry point.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { runCli } from "../support/cli.ts";
import { toFolder } from "../support/config_file.ts";
import { join, temporaryFolder } from "../support/files.ts";

const COPIED = z.strictObject({ from: z.string(), to: z.string(), rows: z.record(z.string(), z.int()) });
const VACUUMED = z.strictObject({ removed_rows: z.int(), keep_days: z.int() });

async function withRuns(body: (folder: string) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
  }
  const exports = [{ name: "t", table: "t", mode: "incremental", cursor_column: "id", ...toFolder("out") }];
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    JSON.stringify({ source: { type: "sqlite", path: "shop.db" }, exports }),
  );
  assert.equal((await runCli(["run", "-c", "rivet.yaml"], { cwd: folder.path })).code, 0);
  await body(folder.path);
}

Deno.test("a copied state is gone on with: nothing is exported twice", async () => {
  await withRuns(async (cwd) => {
    const copied = await runCli(["state", "copy", "-c", "rivet.yaml", "--to", "sqlite:moved.db", "--json"], { cwd });
    assert.equal(copied.code, 0, copied.stderr);
    assert.equal(COPIED.parse(JSON.parse(copied.stdout)).rows["export_state"], 1);
    await Deno.remove(join(cwd, ".rivet_state.db"));
    const env = { RIVET_STATE_URL: "sqlite:moved.db" };
    const again = await runCli(["run", "-c", "rivet.yaml", "--json"], { cwd, env });
    assert.equal(again.code, 0, again.stderr);
    assert.equal(JSON.parse(again.stdout).total_rows, 0);
  });
});

Deno.test("without a target the copy is refused, and says how to give one", async () => {
  await withRuns(async (cwd) => {
    const { code, stderr } = await runCli(["state", "copy", "-c", "rivet.yaml"], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /RIVET_STATE_COPY_TARGET_MISSING[\s\S]*--to/);
  });
});

Deno.test("a target that cannot be used is blamed on `--to`, not on the variable", async () => {
  await withRuns(async (cwd) => {
    const copy = (to: string) => runCli(["state", "copy", "-c", "rivet.yaml", "--to", to], { cwd });
    const code = "RIVET_STATE_URL_SCHEME_UNSUPPORTED";
    for (
      const [to, expected] of [
        ["bogus:x", `[${code}] '--to' has the scheme 'bogus:'`],
        ["nothing", `[${code}] '--to' has no scheme`],
        ["sqlite:", `[${code}] '--to' names no file after 'sqlite:'`],
        ["postgres://a:b@c@d:e/f", `[${code}] '--to' is no valid URL`],
        ["postgres://me@db.example/x", "[RIVET_STATE_URL_TLS_REQUIRED] The state at 'db.example' names no 'sslmode'"],
      ] as const
    ) {
      const { code: exit, stderr } = await copy(to);
      assert.notEqual(exit, 0, stderr);
      assert.ok(stderr.includes(expected), stderr);
      assert.match(stderr, /where: --to\n/);
      assert.ok(
        !stderr.replaceAll(code, "").replaceAll("RIVET_STATE_URL_TLS_REQUIRED", "").includes("RIVET_STATE_URL"),
      );
    }
  });
});

Deno.test("vacuum forgets what is old and over, and keeps the cursor", async () => {
  await withRuns(async (cwd) => {
    const vacuum = async (...flags: string[]) => {
      const result = await runCli(["state", "vacuum", "-c", "rivet.yaml", "--json", ...flags], { cwd });
      assert.equal(result.code, 0, result.stderr);
      return VACUUMED.parse(JSON.parse(result.stdout));
    };
    assert.deepEqual(await vacuum(), { removed_rows: 0, keep_days: 90 });
    {
      using db = new DatabaseSync(join(cwd, ".rivet_state.db"));
      db.exec(`INSERT INTO run_aggregate (run_aggregate_id, finished_at) VALUES ('old', '2020-01-01T00:00:00.000Z')`);
    }
    assert.equal((await vacuum("--keep-days", "30")).removed_rows, 1);
    const show = JSON.parse((await runCli(["state", "show", "-c", "rivet.yaml", "--json"], { cwd })).stdout);
    assert.equal(show[0].last_cursor_value, "3");
  });
});
