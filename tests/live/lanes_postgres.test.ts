// Lanes against a real PostgreSQL: that as many work as were asked for, that one that dies is replaced, and that they are confined.

import assert from "node:assert/strict";
import { RivetError } from "../../src/errors.ts";
import { runCli } from "../support/cli.ts";
import { runEngine } from "../support/engine.ts";
import { join } from "../support/files.ts";
import { envOf, withLiveExport, writeConfig } from "../support/live_postgres.ts";
import { openPostgresServer, withClient } from "../support/postgres.ts";
import { readManifestFile, readThroughManifest } from "../support/reader.ts";

const server = await openPostgresServer(18);
const ignore = server === null;

/**
 * The first such row of each session waits until as many sessions as wanted stand at one at once; fewer are an error. None leaves before
 * all have noticed. Not volatile: bounds are asked without it.
 */
const MEETING = `CREATE FUNCTION sessions_at(place int) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = place $$;
  CREATE FUNCTION meet(wanted int) RETURNS int LANGUAGE plpgsql STABLE AS $$
  DECLARE present CONSTANT int := 4711; waiting CONSTANT int := 4712;
  BEGIN
    IF current_setting('test.met', true) = 'yes' THEN RETURN 1; END IF;
    PERFORM pg_advisory_lock_shared(waiting), pg_advisory_lock_shared(present);
    FOR tries IN 1..3000 LOOP
      IF sessions_at(present) >= wanted THEN
        PERFORM set_config('test.met', 'yes', false), pg_advisory_unlock_shared(waiting);
        WHILE sessions_at(waiting) > 0 LOOP PERFORM pg_sleep(0.02); END LOOP;
        RETURN 1;
      END IF;
      PERFORM pg_sleep(0.02);
    END LOOP;
    RAISE EXCEPTION 'fewer than % sessions', wanted;
  END $$;
  CREATE TABLE t AS SELECT g AS id, 'row ' || g AS body FROM generate_series(1, 400) g; ANALYZE t`;

function exportOf(parallel: number, wanted: number): string {
  return `  - name: t
    query: "SELECT id, body, CASE WHEN id % 50 = 1 THEN meet(${wanted}) ELSE 0 END AS met FROM t"
    mode: chunked
    chunk_column: id
    chunk_size: 50
    parallel: ${parallel}
    format: parquet
    destination: {type: local, path: out}
`;
}

Deno.test(
  { name: "parallel: 4 means four lanes, each a Worker with a session of its own, at one time", ignore },
  async () => {
    await withLiveExport(server!, async (db, folder) => {
      await db.run(MEETING);
      await writeConfig(folder, db, exportOf(4, 4));
      const result = await runCli(["run", "-c", "rivet.yaml", "--json"], { cwd: folder, env: envOf(db) });
      assert.equal(result.code, 0, result.stderr);
      const [summary] = JSON.parse(result.stdout).per_export as { lanes: number; consistency: string; rows: number }[];
      assert.deepEqual([summary?.lanes, summary?.consistency, summary?.rows], [4, "snapshot", 400]);
      assert.equal((await readThroughManifest(join(folder, "out"))).length, 400);
    });
  },
);

Deno.test(
  { name: "a lane that dies is a chunk that failed: another lane reads it, in the same picture", ignore },
  async () => {
    await withLiveExport(server!, async (db, folder) => {
      await db.run(MEETING);
      const configPath = await writeConfig(folder, db, exportOf(2, 1), { tuning: "{profile: fast, max_retries: 2}" });
      const died = new Set<number>();
      const result = await runEngine({
        configPath,
        env: envOf(db),
        wrapLane: (lane) => ({
          ...lane,
          run: async (request, signal, watcher) => {
            const outcome = await lane.run(request, signal, watcher);
            // Once a chunk: more than its attempts allow would end the run.
            if (request.index % 3 !== 0 || died.has(request.index)) return outcome;
            died.add(request.index);
            // Its file is stored already; the program never hears of it.
            throw new RivetError("RIVET_RUN_UNITS_FAILED", "A lane died: killed by a test", { retry: "reconnect" });
          },
        }),
      });
      const summary = result.per_export[0]!;
      assert.equal(summary.status, "success", JSON.stringify(summary.error));
      assert.deepEqual([died.size, summary.retries, summary.consistency], [3, 3, "snapshot"]);
      const ids = (await readThroughManifest(join(folder, "out"))).map((row) => Number(row["id"])).sort((a, b) =>
        a - b
      );
      assert.deepEqual(ids, Array.from({ length: 400 }, (_, i) => i + 1));
      assert.equal((await readManifestFile(join(folder, "out")))?.part_count, 8);
    });
  },
);

/** Raises an error that passes, for one row, as long as somebody holds a lock; only where rows are read, not where they are planned. */
const REFUSAL = `CREATE FUNCTION judge(id int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN
    IF id = 305 AND NOT pg_try_advisory_xact_lock_shared(99) THEN
      RAISE EXCEPTION 'try later' USING ERRCODE = 'lock_not_available';
    END IF;
    RETURN id;
  END $$;
  CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 400) g; ANALYZE t`;

const JUDGED = (parallel: number) =>
  `  - name: t
    query: "SELECT id, judge(id) AS judged FROM t"
    mode: chunked
    chunk_column: id
    chunk_size: 2
    parallel: ${parallel}
    format: csv
    compression: none
    destination: {type: local, path: out}
`;

Deno.test(
  { name: "a refusal that passes costs the chunk that it struck an attempt, and those claimed with it none", ignore },
  async () => {
    await withLiveExport(server!, async (db, folder) => {
      await db.run(REFUSAL);
      const tuning = "{profile: fast, max_retries: 2}";
      const configPath = await writeConfig(folder, db, JUDGED(1), { tuning });
      await withClient(db.connection, async (client) => {
        await client.query("SELECT pg_advisory_lock(99)");
        const attempts: string[] = [];
        const failed: string[] = [];
        const result = await runEngine({
          configPath,
          env: envOf(db),
          onEvent(event) {
            if (event.kind === "slice_started" && event.attempt > 1) attempts.push(`${event.index}/${event.attempt}`);
            if (event.kind === "slice_failed") failed.push(`${event.index}: ${event.error}`);
            // Sent before the lane that reads the chunk again is opened.
            if (event.kind === "slice_failed") client.query("SELECT pg_advisory_unlock(99)").catch(() => {});
          },
        });
        const summary = result.per_export[0]!;
        assert.equal(summary.status, "success", JSON.stringify(summary.error));
        // The chunks begin at whatever end the bounds gave them: the one of row 305 is found by its message.
        assert.ok(failed.length >= 1 && failed.every((text) => text.includes("try later")), failed.join("; "));
        assert.equal(new Set(failed.map((text) => text.split(":")[0])).size, 1, failed.join("; "));
        assert.equal(attempts.length, failed.length, attempts.join());
        assert.equal(summary.retries, failed.length);
      });
      const ids = (await readThroughManifest(join(folder, "out"))).map((row) => Number(row["judged"]));
      assert.deepEqual(ids.sort((a, b) => a - b), Array.from({ length: 400 }, (_, i) => i + 1));
    });
  },
);

Deno.test(
  { name: "no lane stands idle while another holds chunks that it has not begun to read", ignore },
  async () => {
    await withLiveExport(server!, async (db, folder) => {
      await db.run(REFUSAL);
      const configPath = await writeConfig(folder, db, JUDGED(2));
      const lanes: number[][] = [];
      const result = await runEngine({
        configPath,
        env: envOf(db),
        wrapLane(lane) {
          const slow: number[] = [];
          lanes.push(slow);
          return {
            ...lane,
            async run(request, signal, watcher) {
              // Longer than a lane keeps what it claimed.
              if (request.index >= 190) {
                slow.push(request.index);
                await new Promise((resolve) => setTimeout(resolve, 300));
              }
              return await lane.run(request, signal, watcher);
            },
          };
        },
      });
      assert.equal(result.per_export[0]!.status, "success", JSON.stringify(result.per_export[0]!.error));
      assert.equal(lanes.length, 2);
      assert.ok(lanes.every((slow) => slow.length >= 2), JSON.stringify(lanes));
      assert.equal((await readThroughManifest(join(folder, "out"))).length, 400);
    });
  },
);

Deno.test(
  { name: "a partitioned table and a view are read once by several lanes, whatever they are cut by", ignore },
  async () => {
    await withLiveExport(server!, async (db, folder) => {
      await db.run(
        `CREATE TABLE parent (id int NOT NULL, at date NOT NULL, pad text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
      CREATE TABLE parent_a PARTITION OF parent FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
      CREATE TABLE parent_b PARTITION OF parent FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
      CREATE TABLE parent_c PARTITION OF parent DEFAULT;
      INSERT INTO parent SELECT g, date '2026-01-01' + g % 90, repeat('x', 1500) FROM generate_series(1, 3000) g;
      CREATE VIEW seen AS SELECT a.id, a.at, b.n FROM parent a CROSS JOIN (VALUES (1), (2)) b(n); ANALYZE parent`,
      );
      const cuts: Record<string, [string, number]> = {
        whole: ["table: parent\n    mode: full", 1],
        range: ["table: parent\n    mode: chunked\n    chunk_column: id\n    chunk_size: 500", 1],
        key: ["table: parent\n    mode: chunked\n    chunk_by_key: [id, at]\n    chunk_size: 500", 1],
        days: ["table: parent\n    mode: chunked\n    chunk_column: at\n    chunk_by_days: 20", 1],
        view: ["table: seen\n    mode: full", 2],
        view_range: ["table: seen\n    mode: chunked\n    chunk_column: id\n    chunk_size: 500", 2],
      };
      const exports = Object.entries(cuts).map(([name, [cut]]) =>
        `  - name: ${name}\n    ${cut}\n    parallel: 4\n    format: parquet\n    destination: {type: local, path: "out/${name}"}\n`
      ).join("");
      const configPath = await writeConfig(folder, db, exports);
      const result = await runEngine({ configPath, env: envOf(db) });
      assert.equal(result.failed_count, 0, JSON.stringify(result.per_export.map((s) => s.error)));
      for (const [name, [, times]] of Object.entries(cuts)) {
        const rows = await readThroughManifest(join(folder, "out", name));
        assert.equal(rows.length, 3000 * times, name);
        assert.equal(new Set(rows.map((row) => `${row["id"]}/${row["n"] ?? ""}`)).size, 3000 * times, name);
      }
    });
  },
);

Deno.test({ name: "chunks by key have the size that was asked for, in the key's own order", ignore }, async () => {
  await withLiveExport(server!, async (db, folder) => {
    await db.run(`CREATE TABLE t (id int PRIMARY KEY, grp numeric NOT NULL);
      INSERT INTO t SELECT g - 50, g % 13 FROM generate_series(1, 1100) g; CREATE INDEX ON t (grp, id); ANALYZE t`);
    const cuts = ["chunk_by_key: id", "chunk_by_key: [grp, id]", "chunk_column: id\n    chunk_dense: true"];
    const exports = cuts.map((cut, i) =>
      `  - name: t${i}\n    table: t\n    mode: chunked\n    ${cut}\n    chunk_size: 100\n    format: parquet\n    destination: {type: local, path: "out/${i}"}\n`
    ).join("");
    const configPath = await writeConfig(folder, db, exports);
    const result = await runEngine({ configPath, env: envOf(db) });
    assert.equal(result.failed_count, 0, JSON.stringify(result.per_export.map((s) => s.error)));
    for (const [i, cut] of cuts.entries()) {
      const manifest = await readManifestFile(join(folder, "out", String(i)));
      assert.deepEqual(manifest?.parts.map((part) => part.rows), Array.from({ length: 11 }, () => 100), cut);
    }
  });
});

Deno.test(
  { name: "uniqueness over the chunks of four lanes is judged in the picture they were read in", ignore },
  async () => {
    await withLiveExport(server!, async (db, folder) => {
      await db.run(
        "CREATE TABLE t AS SELECT g AS id, md5(g::text)::uuid AS code FROM generate_series(1, 800) g; ANALYZE t",
      );
      const entry =
        "  - name: t\n    table: t\n    mode: chunked\n    chunk_column: id\n    chunk_size: 100\n    parallel: 4\n    quality: {unique_columns: [code, id]}\n    format: parquet\n    destination: {type: local, path: out}\n";
      const configPath = await writeConfig(folder, db, entry);
      let changed = false;
      const lateDuplicate = async () => {
        if (changed) return;
        changed = true;
        await db.run("INSERT INTO t SELECT 1000 + id, code FROM t WHERE id < 5");
      };
      // The values repeat from the moment when the first chunk has been read: after the picture was taken.
      const run = () =>
        runEngine({
          configPath,
          env: envOf(db),
          wrapLane: (lane) => ({
            ...lane,
            run: async (request, signal, watcher) => {
              const result = await lane.run(request, signal, watcher);
              await lateDuplicate();
              return result;
            },
          }),
        });
      const first = (await run()).per_export[0]!;
      assert.deepEqual([first.status, first.warnings, first.rows], ["success", [], 800], JSON.stringify(first.error));
      const second = (await run()).per_export[0]!;
      assert.match(second.error?.error ?? "", /'code' repeats 4 values across chunks/);
    });
  },
);

for (const flag of ["--parallel-exports", "--parallel-export-processes"]) {
  Deno.test({ name: `${flag} runs exports beside each other, each in lanes of its own`, ignore }, async () => {
    await withLiveExport(server!, async (db, folder) => {
      await db.run(MEETING);
      const entries = ["a", "b", "c"].map((name) =>
        `  - name: ${name}
    query: "SELECT id, CASE WHEN id = 7 THEN meet(3) ELSE 0 END AS met FROM t"
    format: csv
    destination: {type: local, path: out/${name}}
`
      ).join("");
      await writeConfig(folder, db, entries);
      const result = await runCli(["run", "-c", "rivet.yaml", flag, "--json"], { cwd: folder, env: envOf(db) });
      assert.equal(result.code, 0, result.stderr);
      const { parallel_mode, success_count, total_rows } = JSON.parse(result.stdout);
      assert.deepEqual([parallel_mode, success_count, total_rows], ["parallel", 3, 1200]);
    });
  });
}

Deno.test({
  name: "chunks sized by memory hold as many rows as fit, also in a table of few rows that are wide",
  ignore,
}, async () => {
  await withLiveExport(server!, async (db, folder) => {
    await db.run(`CREATE TABLE wide (id int PRIMARY KEY, pad text); ALTER TABLE wide ALTER pad SET STORAGE PLAIN;
      INSERT INTO wide SELECT g, repeat('x', 1000) FROM generate_series(1, 45000) g;
      CREATE TABLE unknown (id int PRIMARY KEY, pad text); INSERT INTO unknown SELECT g, 'x' FROM generate_series(1, 100) g; ANALYZE wide`);
    const entries = ["wide", "unknown"].map((name) =>
      `  - {name: ${name}, table: ${name}, mode: chunked, chunk_column: id, chunk_size_memory_mb: 16, format: csv, destination: {type: local, path: out/${name}}}\n`
    ).join("");
    const configPath = await writeConfig(folder, db, entries);
    const [wide, unknown] = (await runEngine({ configPath, env: envOf(db) })).per_export;
    assert.equal(wide?.status, "success", JSON.stringify(wide?.error));
    // 16 MB of some 1,100 bytes each are about 15,000 rows.
    assert.ok(wide!.slices === 3 || wide!.slices === 4, `${wide?.slices} chunks`);
    assert.deepEqual([wide?.rows, wide?.warnings], [45000, []]);
    assert.deepEqual([unknown?.slices, unknown?.rows], [1, 100]);
    assert.match(unknown?.warnings.join() ?? "", /the size of a row is not known/);
  });
});
