// A value that was filled into the config is in nothing that a refused command prints or leaves behind, though the server repeats it.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { toFolder } from "../support/config_file.ts";
import { join, temporaryFolder, walk } from "../support/files.ts";

const VALUE = "hunter2hunter2";

Deno.test("a parameter that breaks a query is shown by its name, never by its value", async () => {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
  }
  const exports = [
    { name: "a", query: "SELECT id FROM t WHERE ${COND}", mode: "full", ...toFolder("a") },
    { name: "b", query: "SELECT id FROM t WHERE id = ${COND}", mode: "chunked", chunk_column: "id", ...toFolder("b") },
  ];
  await Deno.writeTextFile(
    join(folder.path, "rivet.yaml"),
    JSON.stringify({ source: { type: "sqlite", path: "shop.db" }, exports }),
  );
  const commands = [
    ["run", "--json"],
    ["run", "--progress", "json"],
    ["check"],
    ["check", "--json"],
    ["doctor"],
    ["doctor", "--json"],
    ["plan"],
    ["plan", "--format", "json"],
  ];
  for (const command of commands) {
    const given = ["-c", "rivet.yaml", "-p", `COND=${VALUE}`, "--json-errors"];
    const { code, stdout, stderr } = await runCli([...command, ...given], { cwd: folder.path });
    assert.notEqual(code, 0, command.join(" "));
    assert.ok(!`${stdout}${stderr}`.includes(VALUE), `${command.join(" ")}: ${stdout}${stderr}`);
    assert.ok(`${stdout}${stderr}`.includes("${COND}"), `${command.join(" ")} says which parameter it was: ${stderr}`);
  }
  for await (const path of walk(folder.path)) {
    const text = new TextDecoder("latin1").decode(await Deno.readFile(path));
    assert.ok(!text.includes(VALUE), path);
  }
});
