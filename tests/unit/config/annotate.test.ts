import assert from "node:assert/strict";
import { annotateWaves, type WaveNote } from "../../../src/config/mod.ts";

const note = (wave: number, parallelSafe = false): WaveNote => ({ wave, parallelSafe });
const annotate = (text: string, notes: Record<string, WaveNote>) =>
  annotateWaves(text, new Map(Object.entries(notes)), "rivet.yaml");

Deno.test("waves are written below the name; comments, order and every other byte stay", () => {
  const text = `# shop
source: {type: sqlite,   path: a.db}  # odd   spacing
exports:
  # the big one
  - table: orders
    name: orders   # its name

    format: parquet
    destination:
        type: local
        path: "out/{date}"
  - {name: users, table: users, format: csv, destination: {type: local, path: '\${OUT}/x'}}  # flow
# the end
`;
  const expected = text
    .replace("name: orders   # its name\n", "name: orders   # its name\n    wave: 2\n    parallel_safe: false\n")
    .replace("{name: users,", "{name: users, wave: 1, parallel_safe: true,");
  assert.equal(annotate(text, { orders: note(2), users: note(1, true) }), expected);
});

Deno.test("waves that are there are replaced in their place, and doing it again changes nothing", () => {
  const text = `exports:
  - wave: 9  # old
    name: a
    parallel_safe: true
  - name: b
    wave:
`;
  const once = annotate(text, { a: note(1), b: note(2, true) });
  assert.equal(
    once,
    `exports:
  - wave: 1  # old
    name: a
    parallel_safe: false
  - name: b
    parallel_safe: true
    wave: 2
`,
  );
  assert.equal(annotate(once, { a: note(1), b: note(2, true) }), once);
});

Deno.test("line ends of Windows, a missing last line end and quoted or filled-in names are kept", () => {
  assert.equal(
    annotate('exports:\r\n  - name: "a"\r\n    table: t\r\n', { a: note(1) }),
    'exports:\r\n  - name: "a"\r\n    wave: 1\r\n    parallel_safe: false\r\n    table: t\r\n',
  );
  assert.equal(
    annotate("exports:\n- table: t\n  name: a", { a: note(1) }),
    "exports:\n- table: t\n  name: a\n  wave: 1\n  parallel_safe: false",
  );
  assert.equal(
    annotate("exports: [{name: '${X}_orders', table: t}]", { eu_orders: note(3) }),
    "exports: [{name: '${X}_orders', wave: 3, parallel_safe: false, table: t}]",
  );
});

Deno.test("an export that is not written out in the file is refused, and so is a file without exports", () => {
  for (
    const text of [
      "exports:\n  - &a {name: a, table: t}\n  - *a\n",
      "exports:\n  - name: ${A}\n  - name: ${B}\n",
      "exports: ${ALL}\n",
      "other: 1\n",
    ]
  ) {
    assert.throws(() => annotate(text, { a: note(1), b: note(1) }), {
      code: "RIVET_CONFIG_YAML_INVALID",
      where: "rivet.yaml",
    });
  }
});
