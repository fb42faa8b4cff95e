// Proof by damage through the program itself, source and state on PostgreSQL: each damage is found under its name, and after
// `repair --execute` and `reconcile` the verified boundary is a newer one and DuckDB reads the source's rows through the manifest.

import assert from "node:assert/strict";
import { queryParts } from "../support/duckdb_parts.ts";
import { join } from "../support/files.ts";
import { envOf, withLiveExport, writeConfig } from "../support/live_postgres.ts";
import { openPostgresServer, type TestDatabase, withDatabase } from "../support/postgres.ts";
import { runProgram } from "../support/program.ts";
import { readManifestFile } from "../support/reader.ts";
import { urlOf } from "../support/state.ts";

const server = await openPostgresServer(18);
const COLUMNS = ["id", "name", "amount", "day"];
const TABLE = `CREATE TABLE t (id bigint PRIMARY KEY, name text, amount numeric(12,2), day date);
  INSERT INTO t SELECT g, CASE WHEN g % 7 > 0 THEN 'n"é,' || g END, g / 7.0, date '2026-01-01' + g::int
    FROM generate_series(1, 2000) g; ANALYZE t`;

interface Place {
  readonly out: string;
  readonly db: TestDatabase;
  /** Paths of the committed parts. */
  readonly parts: readonly string[];
}

interface Damage {
  readonly name: string;
  readonly make: (place: Place) => Promise<unknown>;
  /** What tells of it, and how. */
  readonly by: "validate" | "reconcile";
  readonly says: RegExp;
  /** 3 unless given: without a marker nothing is wrong, only unsaid. */
  readonly exit?: number;
}

async function edit(path: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  await Deno.writeFile(path, change(await Deno.readFile(path)));
}

const DAMAGES: readonly Damage[] = [
  {
    name: "one byte flipped",
    make: ({ parts }) => edit(parts[0]!, (bytes) => (bytes[200]! ^= 1, bytes)),
    by: "validate",
    says: /RIVET_VERIFY_PART_CHECKSUM_MISMATCH\] part 1 /,
  },
  {
    name: "a part cut short",
    make: ({ parts }) => edit(parts[1]!, (bytes) => bytes.slice(0, -40)),
    by: "validate",
    says: /RIVET_VERIFY_PART_SIZE_MISMATCH\] part \d+ .*_chunk/,
  },
  {
    name: "a part deleted",
    make: ({ parts }) => Deno.remove(parts[1]!),
    by: "validate",
    says: /RIVET_VERIFY_PART_MISSING\] part \d+ .*_chunk/,
  },
  {
    name: "two parts swapped",
    make: async ({ parts: [first, second] }) => {
      await Deno.rename(first!, `${first}.aside`);
      await Deno.rename(second!, first!);
      await Deno.rename(`${first}.aside`, second!);
    },
    by: "validate",
    says: /(RIVET_VERIFY_PART_(SIZE|CHECKSUM)_MISMATCH\] part [\s\S]*){2}/,
  },
  {
    name: "a value changed in the source",
    make: ({ db }) => db.run("UPDATE t SET amount = amount + 1 WHERE id = 700"),
    by: "reconcile",
    says: /MISMATCH +t, chunk 1[\s\S]*columns that differ: amount[\s\S]*1 with other values \(id\): 700\n/,
  },
  {
    name: "a row deleted in the source",
    make: ({ db }) => db.run("DELETE FROM t WHERE id = 701"),
    by: "reconcile",
    says: /MISMATCH +t, chunk 1 .*: source 499, exported 500[\s\S]*\(id\): 701\n/,
  },
  {
    name: "a row inserted in the source",
    make: ({ db }) => db.run("INSERT INTO t VALUES (701, 'back', 3.5, '2026-01-30')"),
    by: "reconcile",
    says: /MISMATCH +t, chunk 1 .*: source 500, exported 499[\s\S]*\(id\): 701\n/,
  },
  {
    name: "the manifest edited",
    make: async ({ out }) => {
      const path = join(out, "manifest.json");
      const text = await Deno.readTextFile(path);
      const changed = text.replace(/"row_count": ?\d+/, '"row_count": 7');
      assert.notEqual(changed, text);
      await Deno.writeTextFile(path, changed);
    },
    by: "validate",
    says: /RIVET_VERIFY_(MANIFEST|SUCCESS)_\w+\]/,
  },
  {
    name: "_SUCCESS removed",
    make: ({ out }) => Deno.remove(join(out, "_SUCCESS")),
    by: "validate",
    says: /warning: \[RIVET_VERIFY_SUCCESS_ABSENT\]/,
    exit: 0,
  },
];

Deno.test({
  name: "each damage is found and named, repaired, and verified anew with source and state on PostgreSQL",
  ignore: server === null,
}, () =>
  withDatabase(server!, (stateDb) =>
    withLiveExport(server!, async (db, folder) => {
      await db.run(TABLE);
      const entry =
        "  - {name: t, table: t, mode: chunked, chunk_column: id, chunk_size: 500, parallel: 2, format: parquet, destination: {type: local, path: out}}\n";
      const configPath = await writeConfig(folder, db, entry);
      const env = { ...envOf(db), RIVET_STATE_URL: urlOf(stateDb) };
      const rivet = async (code: number, ...args: string[]) => {
        const result = await runProgram([...args, "-c", configPath], env);
        const text = `${result.stdout}\n${result.stderr}`;
        assert.equal(result.code, code, `${args.join(" ")}: ${text}`);
        return text;
      };
      const out = join(folder, "out");
      const verifiedAt = async () => {
        const [row] = await stateDb.run("SELECT last_verified_chunk_index, last_verified_at FROM export_progression");
        assert.equal(Number(row![0]), 3);
        return row![1]!;
      };
      await rivet(0, "run");
      await rivet(0, "reconcile", "-e", "t");
      for (const { name, make, by, says, exit = 3 } of DAMAGES) {
        const before = await verifiedAt();
        const manifest = (await readManifestFile(out))!;
        const parts = manifest.parts.filter(({ status }) => status === "committed").map(({ path }) => join(out, path));
        await make({ out, db, parts });
        const found = by === "validate"
          ? await rivet(exit, "validate", "-e", "t")
          : await rivet(exit, "reconcile", "-e", "t", "--keys");
        assert.match(found, says, name);
        await rivet(0, "repair", "-e", "t", "--execute");
        assert.match(await rivet(0, "validate", "-e", "t"), /_SUCCESS +consistent/, name);
        await rivet(0, "reconcile", "-e", "t");
        assert.ok(await verifiedAt() > before, `${name}: the verified boundary stands still`);
        const source = await db.run("SELECT id::text, name, amount::text, day::text FROM t ORDER BY t.id");
        assert.deepEqual(await queryParts([out], COLUMNS), source, name);
      }
    })));
