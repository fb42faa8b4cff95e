// The rules of the house, checked on the source text: imports go downwards, doors are used, nothing prints or exits but those who may.

import assert from "node:assert/strict";
import { dirname, fromFileUrl, join, normalize, relative, walk } from "../support/files.ts";

const ROOT = join(dirname(fromFileUrl(import.meta.url)), "../..");
const SRC = join(ROOT, "src");

/** Lower number = further down. A file may import from its own level's folder and from lower ones. */
const LEVELS: Record<string, number> = {
  commands: 5,
  run: 4,
  verify: 4,
  plan: 3,
  scaffold: 3,
  config: 2,
  source: 1,
  destination: 1,
  state: 1,
  report: 1,
  types: 1,
  core: 1,
  "": 0,
};

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

async function readImports(): Promise<Import[]> {
  const found: Import[] = [];
  for await (const file of walk(SRC)) {
    if (!file.endsWith(".ts")) continue;
    const text = await Deno.readTextFile(file);
    const pattern =
      /(import|export)\s+(type\s+)?([^;"']*?from\s+)?["'](\.[^"']+)["']|import\(\s*["'](\.[^"']+)["']\s*\)/g;
    for (const match of text.matchAll(pattern)) {
      const target = normalize(join(dirname(file), match[4] ?? match[5]!));
      found.push({ file: relative(SRC, file), target: relative(SRC, target), typeOnly: match[2] !== undefined });
    }
  }
  return found;
}

function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

Deno.test("imports go downwards only, and the stations import no values from each other", async () => {
  const wrong: string[] = [];
  for (const { file, target, typeOnly } of await readImports()) {
    const [from, to] = [roomOf(file), roomOf(target)];
    if (from === to) continue;
    const [above, below] = [LEVELS[from], LEVELS[to]];
    assert.ok(above !== undefined && below !== undefined, `unknown room: ${file} → ${target}`);
    const sameLevel = above === below;
    const allowedSame = sameLevel && above === 1 && (typeOnly || to === "types");
    if (above < below || (sameLevel && !allowedSame)) wrong.push(`${file} → ${target}`);
  }
  assert.deepEqual(wrong, []);
});

Deno.test("from outside a folder only its mod.ts is imported", async () => {
  const wrong = (await readImports())
    .filter(({ file, target }) =>
      roomOf(file) !== roomOf(target) && roomOf(target) !== "" && !/^[a-z]+\/mod\.ts$/.test(target)
    )
    .map(({ file, target }) => `${file} → ${target}`);
  assert.deepEqual(wrong, []);
});

Deno.test("only the command line exits the process and only reports and commands write to the terminal", async () => {
  const wrong: string[] = [];
  for await (const file of walk(SRC)) {
    if (!file.endsWith(".ts")) continue;
    const name = relative(SRC, file);
    const text = await Deno.readTextFile(file);
    if (/\bconsole\.(log|error|warn)\(/.test(text)) wrong.push(`${name}: console`);
    if (/Deno\.exit\(/.test(text) && name !== "commands/terminal.ts") wrong.push(`${name}: exit`);
    if (/Deno\.std(out|err)/.test(text) && !["commands/terminal.ts", "destination/stdout.ts"].includes(name)) {
      wrong.push(`${name}: stream`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("files are written by those who write them whole, and by no call that forgets a full disk", async () => {
  const wrong: string[] = [];
  for await (const file of walk(SRC)) {
    const name = relative(SRC, file);
    if (!name.endsWith(".ts") || name === "state/inspect.ts") continue;
    if (/Deno\.(writeTextFile|writeFile|create)(Sync)?\(/.test(await Deno.readTextFile(file))) wrong.push(name);
  }
  assert.deepEqual(wrong, []);
});

Deno.test("the version in deno.json is the program's", async () => {
  const { VERSION } = await import("../../src/version.ts");
  const config = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))) as { version: string };
  assert.equal(config.version, VERSION);
});

Deno.test("every error code has a meaning and a cure", async () => {
  const { CODES } = await import("../../src/errors.ts");
  const empty = Object.entries(CODES).filter(([, info]) => info.meaning.length < 10 || info.cure.length < 10).map((
    [code],
  ) => code);
  assert.deepEqual(empty, []);
});
