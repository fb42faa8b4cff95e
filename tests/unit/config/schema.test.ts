import assert from "node:assert/strict";
import { buildConfigReference, buildJsonSchema } from "../../../src/config/mod.ts";
import { fromFileUrl, join, walk } from "../../support/files.ts";

interface Node {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: unknown;
  readonly items?: Node;
  readonly description?: string;
}

function* keysOf(node: Node, path: string): Generator<[string, Node]> {
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    yield [`${path}${key}`, child];
    yield* keysOf(child.items?.properties === undefined ? child : child.items, `${path}${key}.`);
  }
}

const schema = buildJsonSchema("1.2.3");
const keys = [...keysOf(schema, "")];

Deno.test("the JSON Schema says which program and which draft it belongs to", () => {
  assert.equal(schema["title"], "Rivet config (rivet 1.2.3)");
  assert.equal(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
  assert.deepEqual(schema["required"], ["source", "exports"]);
});

Deno.test("every key of the config has a meaning, and no mapping takes keys that are not there", () => {
  assert.ok(keys.length > 120);
  for (const [path, node] of keys) {
    assert.ok((node.description ?? "").length > 8, `${path} has no description`);
    if (node.properties !== undefined) assert.equal(node.additionalProperties, false, path);
  }
});

Deno.test("the reference page names every key", () => {
  const page = buildConfigReference();
  for (const [path] of keys) assert.ok(page.includes(`| \`${path.split(".").at(-1)}\` |`), path);
  assert.match(page, /\| `adaptive` \| .*Not available in this version/);
});

Deno.test("commands load the config room only when one of them needs it", async () => {
  const root = fromFileUrl(new URL("../../../src", import.meta.url));
  for await (const file of walk(join(root, "commands"))) {
    const text = await Deno.readTextFile(file);
    assert.doesNotMatch(text, /^import (?!type)[^;]*"\.\.\/config\/mod\.ts"/m, file);
  }
  for (const name of ["errors.ts", "codes.ts", "runtime.ts", "redact.ts"]) {
    const text = await Deno.readTextFile(join(root, name));
    for (const [, from] of text.matchAll(/^(?:import|export) (?!type\b).*from "([^"]+)"/gm)) {
      assert.match(from!, /^\.\//, `${name} imports ${from}`);
    }
  }
});
