// The demo ends well, and DuckDB finds in its files what SQLite finds in its database.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { DuckDBInstance } from "@duckdb/node-api";
import { fromFileUrl, join, temporaryFolder } from "../support/files.ts";
import { readManifestFile } from "../support/reader.ts";

const DEMO = fromFileUrl(new URL("../../scripts/demo.ts", import.meta.url));

/** Each is asked of both in its own words; the answers are texts. */
const QUESTIONS: readonly { table: string; sqlite: string; duckdb: string }[] = [
  {
    table: "orders",
    sqlite:
      "SELECT count(*), sum(CAST(round(total * 100) AS INTEGER)), count(note), min(created_at), max(shipped_on) FROM ",
    duckdb:
      "SELECT count(*), sum(total * 100)::bigint, count(note), strftime(min(created_at), '%Y-%m-%d %H:%M:%S.%g'), max(shipped_on) FROM ",
  },
  {
    table: "order_items",
    sqlite: "SELECT count(*), sum(order_id), sum(quantity), max(weight_kg), count(DISTINCT sku) FROM ",
    duckdb: "SELECT count(*), sum(order_id), sum(quantity), max(weight_kg), count(DISTINCT sku) FROM ",
  },
  {
    table: "customers",
    sqlite: "SELECT count(*), sum(vip), min(public_id), max(name), sum(preferences ->> 'size') FROM ",
    duckdb: "SELECT count(*), sum(vip::int), min(public_id), max(name), sum((preferences ->> 'size')::int) FROM ",
  },
  {
    table: "every_type",
    sqlite: "SELECT count(*), sum(a_bigint), max(a_text), lower(hex(max(a_blob))), min(a_real) FROM ",
    duckdb: "SELECT count(*), sum(a_bigint), max(a_text), lower(hex(max(a_blob))), min(a_real) FROM ",
  },
];

Deno.test("the demo proves its files, and DuckDB agrees with the database", async () => {
  await using folder = await temporaryFolder();
  const demo = join(folder.path, "demo");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", DEMO, demo],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.equal(code, 0, new TextDecoder().decode(stderr) + text);
  assert.match(text, /The files hold what the database holds/);
  assert.doesNotMatch(text, /DIFFERENT/);
  assert.match(text, /run `npx -y deno@\d+\.\d+\.\d+ task rivet run -c demo\/rivet\.yaml` again/);

  using db = new DatabaseSync(join(demo, "shop.db"), { readOnly: true });
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    for (const { table, sqlite, duckdb } of QUESTIONS) {
      const out = join(demo, "out", table);
      const parts = (await readManifestFile(out))!.parts.map((part) => `'${join(out, part.path)}'`);
      const answer = await connection.runAndReadAll(`${duckdb} read_parquet([${parts.join(", ")}])`);
      const statement = db.prepare(sqlite + table);
      statement.setReadBigInts(true);
      const expected = Object.values(statement.get() as Record<string, unknown>).map(String);
      assert.deepEqual(answer.getRows()[0]!.map(String), expected, table);
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
});
