// A config with parameters: every command that reads it takes them.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";

Deno.test("a command that is shown to be typed next repeats the parameters by name, never by value", async () => {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
  }
  await Deno.writeTextFile(
    join(folder.path, "my rivet.yaml"),
    `source: {type: sqlite, path: shop.db}
exports: [{name: t, query: "SELECT * FROM t WHERE id < \${MOST}", format: csv, destination: {type: local, path: out}}]`,
  );
  const run = async (...args: string[]) => {
    const given = [...args, "-c", "my rivet.yaml", "-p", "MOST=98765"];
    const { stdout, stderr } = await runCli(given, { cwd: folder.path });
    const text = stdout + stderr;
    assert.ok(!text.includes("98765"), text);
    return text;
  };
  const place = "-c 'my rivet.yaml'";
  assert.ok((await run("doctor")).includes(`Next: rivet run ${place} -p MOST=… --validate\n`));
  assert.ok(
    (await run("check", "-e", "t")).includes(
      `Next: rivet doctor ${place} -e t -p MOST=…, then rivet run ${place} -e t -p MOST=… --validate\n`,
    ),
  );
  assert.ok(
    (await run("plan")).includes(
      `Next: rivet plan ${place} -p MOST=… -o plan.json, then rivet apply plan.json -p MOST=…`,
    ),
  );
  assert.ok((await run("plan", "-o", "plan.json")).includes("run it with `rivet apply plan.json -p MOST=…`"));
  assert.match(await run("reconcile", "-e", "t"), /Run the export with `rivet run -c '.*my rivet\.yaml' -p MOST=…`/);
  await run("run");
  await Deno.remove(join(folder.path, "out", "manifest.json"));
  for await (const { name } of Deno.readDir(join(folder.path, "out"))) {
    if (name.endsWith(".csv")) await Deno.remove(join(folder.path, "out", name));
  }
  assert.ok((await run("validate")).includes(`rivet repair ${place} -e t -p MOST=… --execute`));
});

Deno.test("commands that look at past runs take the parameters that the run took", async () => {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
  }
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    `source: {type: sqlite, path: shop.db}
exports: [{name: t, query: "SELECT * FROM t WHERE id <= \${MOST}", format: csv, destination: {type: local, path: out}}]`,
  );
  for (const command of [["run"], ["metrics"], ["journal"], ["state", "files"], ["state", "show"], ["state", "runs"]]) {
    const args = [...command, "-c", "rivet.yaml"];
    const given = await runCli([...args, "-p", "MOST=2"], { cwd: folder.path });
    assert.equal(given.code, 0, `${command}: ${given.stderr}`);
    const missing = await runCli(args, { cwd: folder.path });
    assert.equal(missing.code, 1, String(command));
    assert.match(missing.stderr, /RIVET_CONFIG_SECRET_UNSET.*'\$\{MOST\}' has no value/);
  }
});
