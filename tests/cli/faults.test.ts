// Wrong inputs and damages through the real entry point: what each ends in is compared with `faults.json`, which docs/errors.md shows.
// A damage has two legal outcomes: the run ends well and the files equal the source, or it is refused again and again until the remedy
// that the refusal names is followed. `UPDATE_GOLDEN=1` writes what came out; read the difference.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runCli } from "../support/cli.ts";
import { fromFileUrl, join, temporaryFolder } from "../support/files.ts";
import { readManifestFile, readThroughManifest } from "../support/reader.ts";
import { DAMAGES, type Fault, INPUTS, YAML } from "./faults.ts";

const GOLDEN = fromFileUrl(new URL("faults.json", import.meta.url));

/** What a person sees of a fault. */
interface Outcome {
  readonly given: string;
  readonly command: string;
  readonly exit: number;
  readonly code: string | null;
  readonly message: string | null;
  readonly cure: string | null;
}

async function observe(folder: string, command: string): Promise<Omit<Outcome, "given">> {
  const args = [...command.split(" "), "--json-errors"];
  const { code: exit, stdout, stderr } = await runCli(args, { cwd: folder, env: { SHOP_TOKEN: "x" } });
  const error = lastJson(stderr) ?? firstDifference(stdout);
  const plain = (text: string | undefined) =>
    text === undefined ? null : text.replaceAll(folder, "<folder>").replace(/[a-z]_\d{8}[T_][\d._]+/g, "<run_id>")
      .replace(/[A-Za-z0-9+/]{22}==/g, "<digest>")
      .replace(/has \d+ bytes, expected \d+/, "has other bytes than expected").replace(
        /\d{4}-\d\d-\d\dT[\d:.]+Z/g,
        "<time>",
      ).replace(/\b[0-9a-f]{16,}\b/g, "<digest>");
  return {
    command: `rivet ${command}`,
    exit,
    code: error?.code ?? null,
    message: plain(error?.error),
    cure: plain(error?.cure),
  };
}

interface Reported {
  code: string;
  error?: string;
  cure?: string;
}

function lastJson(stderr: string): Reported | null {
  const line = stderr.trim().split("\n").at(-1) ?? "";
  return line.startsWith("{") ? JSON.parse(line) as Reported : null;
}

/** A difference is a result, not an error: the report tells it, and what to do. */
function firstDifference(stdout: string): Reported | null {
  const line = (name: string) => new RegExp(`^ *${name}:? +(.*)$`, "m").exec(stdout)?.[1];
  const error = line("MISMATCH");
  return error === undefined ? null : { code: "mismatch", error, cure: line("Status") ?? "" };
}

const made: Outcome[] = [];

async function prepare(folder: string, fault: Fault): Promise<void> {
  {
    using db = new DatabaseSync(join(folder, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT); CREATE TABLE u (body TEXT)");
    const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?)");
    for (let id = 1; id <= 30; id++) insert.run(id, id * 10, `row ${id}`);
  }
  await Deno.writeTextFile(join(folder, "rivet.yaml"), fault.yaml ?? YAML);
  for (const command of fault.before ?? []) {
    const { code, stderr } = await runCli(command.split(" "), { cwd: folder });
    assert.equal(code, 0, `${command}: ${stderr}`);
  }
  await fault.damage?.(folder);
}

async function assertEqualsSource(folder: string): Promise<void> {
  using db = new DatabaseSync(join(folder, "shop.db"));
  const wanted = db.prepare("SELECT * FROM t ORDER BY id").all().map((row) => ({ ...row }));
  const rows = (await readThroughManifest(join(folder, "out")))
    .map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, typeof v === "bigint" ? Number(v) : v])))
    .sort((a, b) => Number(a["id"]) - Number(b["id"]));
  assert.deepEqual(rows, wanted);
}

for (const [kind, faults] of [["input", INPUTS], ["damage", DAMAGES]] as const) {
  for (const [given, fault] of Object.entries(faults)) {
    Deno.test(`${kind}: ${given}`, async () => {
      await using folder = await temporaryFolder();
      await prepare(folder.path, fault);
      const outcome = { given, ...await observe(folder.path, fault.command) };
      made.push(outcome);
      if (outcome.exit !== 0) {
        assert.ok(outcome.code !== null, "a code");
        assert.ok((outcome.cure ?? "").length > 10, "a cure");
      }
      if (kind === "damage") await assertOutcome(folder.path, fault, outcome);
      if (Deno.env.get("UPDATE_GOLDEN") === "1") return;
      const golden = JSON.parse(await Deno.readTextFile(GOLDEN)) as Outcome[];
      assert.deepEqual(outcome, golden.find((entry) => entry.given === given));
    });
  }
}

async function assertOutcome(folder: string, fault: Fault, outcome: Outcome): Promise<void> {
  if (outcome.exit === 0) return await assertEqualsSource(folder);
  const { command: _command, ...first } = outcome;
  const { command: _again, ...second } = await observe(folder, fault.command);
  assert.deepEqual({ given: first.given, ...second }, first, "the refusal repeats");
  for (const remedy of fault.remedy ?? []) {
    const { code, stderr } = await runCli(remedy.split(" "), { cwd: folder });
    assert.equal(code, 0, `${remedy}: ${stderr}`);
  }
  if (fault.mend !== undefined) await fault.mend(folder);
  const { code, stderr } = await runCli(fault.command.split(" "), { cwd: folder });
  assert.equal(code, 0, `after the remedy: ${stderr}`);
  if (await readManifestFile(join(folder, "out")) !== null) await assertEqualsSource(folder);
}

Deno.test.afterAll(async () => {
  if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(GOLDEN, `${JSON.stringify(made, null, 2)}\n`);
});
