import assert from "node:assert/strict";
import { toRivetError } from "../../../src/errors.ts";
import { fillIn } from "../../../src/config/fill.ts";
import { systemRuntime } from "../../../src/runtime.ts";

function fill(text: string, params: Record<string, string> = {}, env: Record<string, string> = {}) {
  return fillIn(text, {
    params,
    file: "c.yaml",
    runtime: { ...systemRuntime(), env: (name) => new Map(Object.entries(env)).get(name) },
  });
}

Deno.test("a parameter wins over the environment, and what is filled in is not looked at again", () => {
  assert.equal(fill("${A}-${B}", { A: "${B}" }, { A: "env", B: "b" }).text, "${B}-b");
});

Deno.test("an empty name is an empty text and an unclosed one stays", () => {
  assert.equal(fill("a${}b").text, "ab");
  assert.equal(fill("a ${b").text, "a ${b");
  assert.equal(fill("a ${b\n} c").text, "a ${b\n} c");
  assert.equal(fill("${x\n} ${A}", { A: "1" }).text, "${x\n} 1");
  assert.equal(fill("$ {A} $A {A}").text, "$ {A} $A {A}");
});

Deno.test("names of object methods are names like any other", () => {
  const error = errorOf(() => fill("${constructor}"));
  assert.equal(error.code, "RIVET_CONFIG_SECRET_UNSET");
});

Deno.test("a name without a value is refused where it stands", () => {
  const error = errorOf(() => fill("a: 1\nb: ${NOPE}"));
  assert.equal(error.code, "RIVET_CONFIG_SECRET_UNSET");
  assert.equal(error.where, "c.yaml:2:4");
  assert.match(error.cure, /--param NOPE=VALUE/);
});

Deno.test("a value with a NUL is refused, and not shown", () => {
  const error = errorOf(() => fill("${A}", { A: "sec\0ret" }));
  assert.equal(error.code, "RIVET_CONFIG_VALUE_OUT_OF_RANGE");
  assert.doesNotMatch(JSON.stringify([error.message, error.cure]), /sec/);
});

Deno.test("places behind filled-in values are those of the file", () => {
  const text = "a: ${A}, b: ${B}\nc: ${A} d";
  const filled = fill(text, { A: "long\nand longer", B: "" });
  for (const mark of [", b", "\nc", " d"]) {
    const [line, column] = filled.where(filled.text.lastIndexOf(mark)).split(":").slice(1).map(Number);
    const offset = text.split("\n").slice(0, line! - 1).join("\n").length + (line! > 1 ? 1 : 0) + column! - 1;
    assert.equal(text.slice(offset, offset + mark.length), mark);
  }
  assert.equal(filled.where(filled.text.indexOf("longer")), "c.yaml:1:4", "inside a value: where its name stands");
});

Deno.test("the marked text gives back what was written", () => {
  const filled = fill("x: ${A} and ${A}${}\ue000", { A: "1" });
  assert.equal(filled.restore(filled.marked!), "x: ${A} and ${A}${}\ue000");
  assert.equal(fill("nothing to fill").marked, null);
});

function errorOf(body: () => unknown) {
  try {
    body();
  } catch (error) {
    return toRivetError(error);
  }
  throw new Error("nothing was thrown");
}
