// Errors as machines read them: `rivet schema errors --json` and the global `--json-errors`.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { CODES } from "../../src/errors.ts";
import { ERROR_REPORT } from "../support/check_schema.ts";
import { runCli } from "../support/cli.ts";
import { join, temporaryFolder } from "../support/files.ts";

const KIND = z.enum(["usage", "environment", "busy", "integrity", "drift", "refusal", "internal"]);
const TABLE = z.record(
  z.string().regex(/^RIVET_[A-Z0-9_]+$/),
  z.strictObject({
    kind: KIND,
    meaning: z.string().min(10),
    cure: z.string().min(10),
    exit_codes: z.array(z.int().min(1).max(6)).min(1).max(2),
  }),
);
/** `exit_class` is the name that older readers of this object know. */
const PRINTED = ERROR_REPORT.extend({ exit_class: z.int(), warnings: z.array(z.string()).optional() });

const EXITS: Record<z.infer<typeof KIND>, number[]> = {
  usage: [1],
  environment: [1, 2],
  busy: [2],
  integrity: [3],
  drift: [4],
  refusal: [5],
  internal: [6],
};

Deno.test("the table of codes is complete, in JSON and in Markdown, and its exit codes follow from the kinds", async () => {
  const { code, stdout } = await runCli(["schema", "errors", "--json"]);
  assert.equal(code, 0);
  const table = TABLE.parse(JSON.parse(stdout));
  assert.deepEqual(Object.keys(table), Object.keys(CODES));
  for (const [name, { kind, exit_codes }] of Object.entries(table)) assert.deepEqual(exit_codes, EXITS[kind], name);
  const markdown = (await runCli(["schema", "errors"])).stdout.trim().split("\n");
  assert.equal(markdown.length, 2 + Object.keys(CODES).length);
});

const BAD: [string, string[]][] = [
  ["a missing config", ["run", "-c", "gone.yaml"]],
  ["an unknown option", ["check", "-c", "rivet.yaml", "--colour"]],
  ["an unknown command", ["rnu"]],
  ["a required option left out", ["doctor"]],
  ["an unknown export", ["check", "-c", "rivet.yaml", "-e", "nope"]],
  ["a failed check", ["check", "-c", "rivet.yaml"]],
  ["a failed doctor", ["doctor", "-c", "rivet.yaml"]],
  ["a failed run", ["run", "-c", "rivet.yaml"]],
  ["a failed run of several", ["run", "-c", "two.yaml"]],
  ["a failed run with a warning", ["run", "-c", "rivet.yaml", "--force", "--progress", "plain"]],
  ["a group without a command", ["state"]],
  ["an unset secret", ["permissions", "-c", "unset.yaml"]],
];

Deno.test("with --json-errors every failure is one object on stderr, before and after the command", async () => {
  await using folder = await temporaryFolder();
  const exports = [{ name: "t", table: "t", mode: "full", format: "csv", destination: { type: "local", path: "out" } }];
  const write = (name: string, source: object) =>
    Deno.writeTextFile(join(folder.path, name), JSON.stringify({ source, exports }));
  await write("rivet.yaml", { type: "sqlite", path: "gone.db" });
  const two = [...exports, { ...exports[0], name: "u" }];
  await Deno.writeTextFile(
    join(folder.path, "two.yaml"),
    JSON.stringify({ source: { type: "sqlite", path: "gone.db" }, exports: two }),
  );
  await write("unset.yaml", { type: "postgres", url_env: "RIVET_TEST_UNSET_URL" });
  for (const [name, args] of BAD) {
    const { code, stderr } = await runCli([...args, "--json-errors"], { cwd: folder.path });
    const error = PRINTED.parse(JSON.parse(stderr));
    assert.equal(error.exit_code, code, name);
    assert.equal(error.exit_class, code, name);
    assert.equal(CODES[error.code as keyof typeof CODES].kind, error.kind, name);
    assert.ok(EXITS[error.kind].includes(code), name);
    if (args.includes("--force")) assert.deepEqual(error.warnings, ["`--force` does nothing without `--resume`"]);
    if (!args.includes("check")) continue;
    const first = await runCli(["--json-errors", ...args], { cwd: folder.path });
    assert.equal(PRINTED.parse(JSON.parse(first.stderr)).code, error.code, name);
  }
});

Deno.test("with --json-errors nothing is on stderr of a run that ends well but what it warned of, and the events that were asked for", async () => {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  }
  const exports = [{ name: "t", table: "t", mode: "full", format: "csv", destination: { type: "local", path: "out" } }];
  const source = { type: "sqlite", path: "shop.db" };
  await Deno.writeTextFile(join(folder.path, "rivet.yaml"), JSON.stringify({ source, exports }));
  const run = async (...more: string[]) => {
    const { code, stderr } = await runCli(["--json-errors", "run", "-c", "rivet.yaml", ...more], { cwd: folder.path });
    assert.equal(code, 0, stderr);
    return stderr;
  };
  assert.equal(await run(), "");
  assert.equal(await run("--force"), "warning: `--force` does nothing without `--resume`\n");
  const events = (await run("--progress", "json")).trim().split("\n").map((line) => JSON.parse(line).type);
  assert.ok(events.includes("run_finished"), events.join());
});
