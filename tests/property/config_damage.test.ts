// Damaged configs: whatever is written, the answer is a config or an error that says what and where, and no secret is shown.

import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, stringify } from "yaml";
import { RivetError } from "../../src/errors.ts";
import { readConfig } from "../../src/config/mod.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { fromFileUrl, join, temporaryFolder } from "../support/files.ts";

const FOLDER = fromFileUrl(new URL("../golden/config", import.meta.url));
const SEED = Number(Deno.env.get("RIVET_TEST_SEED") ?? 20261121);
const SECRET = "hunter2";

const texts = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) => /^good_.*\.yaml$/.test(name))
  .sort()
  .map((name) => Deno.readTextFileSync(join(FOLDER, name)));

async function expectAnswer(text: string, path: string): Promise<void> {
  await Deno.writeTextFile(path, text);
  const runtime = { ...systemRuntime(), env: () => SECRET };
  try {
    const config = await readConfig(path, { params: {}, runtime });
    assert.doesNotMatch(JSON.stringify(config.source.redacted), new RegExp(SECRET), text);
    await config.source.resolveConnection();
  } catch (error) {
    assert.ok(error instanceof RivetError, `${error}\n${(error as Error).stack}\n${text}`);
    assert.match(error.code, /^RIVET_(CONFIG_|SOURCE_TLS_REQUIRED)/, `${error.message}\n${text}`);
    assert.ok(error.where !== null && error.cure.length > 5, text);
    const shown = [error.message, error.where, error.cure].join("\n");
    // A text that holds the secret itself may show it: only what was filled in must not be shown.
    if (!text.includes(SECRET)) assert.ok(!shown.includes(SECRET), `${shown}\n${text}`);
  }
}

const VALUES = [null, 0, -1, 1.5, 1e300, "", "x", " ", "{date}", "../x", "${A}", "${A", true, [], {}, [null], [[]], {
  a: { b: 1 },
}];

/** Replaces, removes or adds a value somewhere in the tree. */
function damage(value: unknown, steps: readonly number[], to: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined || typeof value !== "object" || value === null) return to;
  if (Array.isArray(value)) {
    const at = value.length === 0 ? 0 : step % value.length;
    return value.length === 0 ? [to] : value.with(at, damage(value[at], rest, to));
  }
  const keys = Object.keys(value);
  const key = keys[step % (keys.length + 1)] ?? "added";
  return { ...value, [key]: damage(Reflect.get(value, key), rest, to) };
}

Deno.test(`a config with any value in any place has an answer (seed ${SEED})`, async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "rivet.yaml");
  const trees = texts.filter((text) => !text.includes("port: ${")).map((text) =>
    parse(text, { merge: true }) as unknown
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...trees),
      fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(...VALUES),
      (tree, steps, to) => expectAnswer(stringify(damage(tree, steps, to)), path),
    ),
    { seed: SEED, numRuns: 400 },
  );
});

Deno.test(`a config with any piece of its text lost, doubled or replaced has an answer (seed ${SEED})`, async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "rivet.yaml");
  const pieces = [
    "",
    "\t",
    "\n",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "&a ",
    "*a ",
    "${A}",
    "${",
    "|",
    ">",
    "'",
    '"',
    "#",
    "!!",
    "---\n",
    "\0",
    "\ue000",
    "<<: ",
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...texts),
      fc.nat(),
      fc.nat({ max: 20 }),
      fc.constantFrom(...pieces),
      (text, at, length, piece) => {
        const start = at % (text.length + 1);
        return expectAnswer(text.slice(0, start) + piece + text.slice(start + length), path);
      },
    ),
    { seed: SEED, numRuns: 800 },
  );
});
