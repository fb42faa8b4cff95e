// What a name alone decides: left out or not, what an export is called, and how a name becomes YAML.

import assert from "node:assert/strict";
import { parse } from "yaml";
import { guessSort, nameExports } from "../../../src/scaffold/names.ts";
import { comment, quoteYaml } from "../../../src/scaffold/text.ts";
import type { ListedTable } from "../../../src/source/mod.ts";

Deno.test("names that look temporary, like tests or like backups are told from names that only contain such words", () => {
  const sorts: Record<string, readonly string[]> = {
    temporary: ["tmp", "tmp_load", "load_tmp", "_tmp_x", "temp_orders", "orders_temp", "orders_tmp_12345", "scratch"],
    test: ["test", "test_orders", "orders_test", "TestOrders", "orders_test2", "tests"],
    backup: ["orders_bak", "orders_backup", "backup_orders", "orders_backup_20240101", "orders_old", "OrdersBackup"],
  };
  for (const [sort, names] of Object.entries(sorts)) {
    for (const name of names) assert.equal(guessSort(name), sort, name);
  }
  const plain = [
    "orders",
    "templates",
    "temperature",
    "contest",
    "latest",
    "attestation",
    "testimonials",
    "gold",
    "oldest",
  ];
  plain.push("events_202401", "household", "threshold", "bakery", "tempo", "2024_sales", "copyright", "prototype");
  for (const name of plain) assert.equal(guessSort(name), null, name);
});

Deno.test("export names are usable in files and differ also where letter case does not count", () => {
  const named = (...names: string[]) => nameExports(names.map((name) => ({ name }) as ListedTable));
  assert.deepEqual(named("orders", "Orders", "ORDERS"), ["orders", "Orders_2", "ORDERS_3"]);
  assert.deepEqual(named("a/b", "a\\b", "a b", "..", ".x", "", "заказы", "a#1"), [
    "a_b",
    "a_b_2",
    "a_b_3",
    "_",
    "_x",
    "__2",
    "заказы",
    "a_1",
  ]);
  const [long] = named("я".repeat(200));
  assert.ok(new TextEncoder().encode(long).length <= 120);
});

Deno.test("any name comes back from the YAML it is written in, and nothing of it is filled in", () => {
  const names = [
    "orders",
    "null",
    "True",
    "a: b",
    "a #b",
    '"',
    "'",
    "\\",
    "${HOME}",
    "a\nb",
    "\u2028",
    "\x7f",
    "-",
    "1e3",
    "",
  ];
  names.push("0x1f", "~", "{a}", "[a]", "*a", "&a", "!a", "%a", "@a", "`a`", "a,b", " a ", "😀", "\ufeff");
  for (const name of names) {
    const text = quoteYaml(name);
    assert.ok(!text.includes("${"), name);
    assert.equal((parse(`key: ${text}`) as { key: unknown }).key, name);
    assert.deepEqual(parse(`key: [${text}, ${text}]`), { key: [name, name] });
  }
});

Deno.test("comments stay comments and within 100 characters", () => {
  const lines = comment(`a name with\nkey: value and \${SECRET} ${"word ".repeat(60)}`, "    ");
  assert.ok(lines.length > 2);
  for (const line of lines) {
    assert.match(line, /^ {4}# /);
    assert.ok(line.length <= 100);
    assert.ok(!line.includes("${"));
  }
});
