// Memory over many slices: a table of 10 M narrow rows in 100 chunks and two lanes against one server of PostgreSQL.
// Usage: deno task bench pg-many [--rows 10000000] [--chunks 100] [--mode chunked|key|pages] [--runs 1]     Needs 4 GB in TMPDIR.

import { openPrivatePostgres, type PostgresServer, runSql } from "../tests/support/postgres.ts";
import { buildRivet, measure } from "./measure.ts";

const RSS_MB_MAX = 250;

const CUTS: Readonly<Record<string, (rows: number, chunks: number) => object>> = {
  chunked: (rows, chunks) => ({ mode: "chunked", chunk_column: "id", chunk_size: Math.ceil(rows / chunks) }),
  key: (rows, chunks) => ({ mode: "chunked", chunk_by_key: "id", chunk_size: Math.ceil(rows / chunks) }),
  pages: () => ({ mode: "full" }),
};

export async function main(args: readonly string[]): Promise<void> {
  const option = (name: string, otherwise: string) =>
    args.includes(name) ? args[args.indexOf(name) + 1] ?? otherwise : otherwise;
  const rows = Number(option("--rows", "10000000"));
  const chunks = Number(option("--chunks", "100"));
  const cut = CUTS[option("--mode", "chunked")];
  if (cut === undefined) throw new Error(`--mode is one of ${Object.keys(CUTS).join(", ")}`);
  const home = await Deno.makeTempDir({ prefix: "rivet-bench-pg-many-" });
  try {
    const server = await openPrivatePostgres(18, { shared_buffers: "512MB", autovacuum: "off", max_wal_size: "4GB" });
    console.error(`making ${rows.toLocaleString("en")} rows`);
    await fill(server, rows);
    await writeConfig(home, server, cut(rows, chunks));
    for (let run = 0; run < Number(option("--runs", "1")); run++) await runOnce(home, rows);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

async function fill(server: PostgresServer, rows: number): Promise<void> {
  await runSql(
    server.connection,
    `SELECT setseed(0.42);
    CREATE UNLOGGED TABLE narrow (id bigint PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, amount numeric(10,2) NOT NULL,
      paid bool NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz, note text, quantity int);
    INSERT INTO narrow SELECT g, (random() * 100000)::int, (ARRAY['new','paid','shipped','returned'])[1 + (random() * 3)::int],
      (random() * 10000)::numeric(10,2), random() < 0.7, timestamptz '2024-01-01' + g * interval '13 seconds',
      CASE WHEN random() < 0.5 THEN timestamptz '2025-01-01' + random() * interval '300 days' END,
      CASE WHEN random() < 0.6 THEN 'note ' || md5(g::text) END, CASE WHEN random() < 0.8 THEN (random() * 50)::int END
    FROM generate_series(1, ${rows}) g`,
  );
  await runSql(server.connection, "VACUUM ANALYZE narrow");
}

async function writeConfig(home: string, server: PostgresServer, cut: object): Promise<void> {
  const { host, port, user, password, database } = server.connection;
  const config = {
    source: { type: "postgres", host, port, user, password, database, tuning: { profile: "fast" } },
    exports: [{
      name: "narrow",
      table: "narrow",
      ...cut,
      parallel: 2,
      format: "parquet",
      destination: { type: "local", path: `${home}/out` },
    }],
  };
  // JSON is YAML.
  await Deno.writeTextFile(`${home}/rivet.yaml`, JSON.stringify(config));
}

async function runOnce(home: string, rows: number): Promise<void> {
  await Deno.remove(`${home}/out`, { recursive: true }).catch(() => {});
  const { wallS, cpuS, rssMb } = await measure({
    name: "rivet",
    command: [...await buildRivet(`${home}/dist`), "run", "-c", `${home}/rivet.yaml`],
  });
  const manifest = JSON.parse(await Deno.readTextFile(`${home}/out/manifest.json`)) as {
    row_count: number;
    part_count: number;
  };
  console.log(
    `${manifest.row_count.toLocaleString("en")} rows in ${manifest.part_count} files, two lanes: ${
      wallS.toFixed(1)
    } s, CPU ${cpuS.toFixed(1)} s`,
  );
  if (manifest.row_count !== rows) throw new Error(`The manifest has ${manifest.row_count} rows, expected ${rows}`);
  console.log(`  ${rssMb <= RSS_MB_MAX ? "ok  " : "MISS"} peak MB: ${rssMb.toFixed(0)} (limit ${RSS_MB_MAX})`);
}
