// How fast, how small and how gentle a PostgreSQL export is beside the bare drain and DuckDB, all on one machine against one server.
// Usage: deno task bench pg [--runs 5] [--only narrow,wide,text] [--json]     Needs python3 with venv, and 3 GB in TMPDIR.

import { openPrivatePostgres, type PostgresServer, runSql } from "../tests/support/postgres.ts";
import {
  buildRivet,
  type Contender,
  measure,
  measureAlternating,
  medianOf,
  preparePython,
  type Sample,
} from "./measure.ts";

const RUNS_DEFAULT = 5;
const ROOT = new URL("../", import.meta.url).pathname;
const DUCKDB = "1.5.5";

const ROWS = { narrow: 2_000_000, wide: 300_000, text: 500_000 } as const;
type Table = keyof typeof ROWS;

/** The promises: wall time beside the drain, CPU beside DuckDB's, memory in MB, the longest statement in ms. */
const LIMITS: Record<Table, { wallOverDrain: number | null; cpuOverDuckdb: number; rssMb: number }> = {
  narrow: { wallOverDrain: 1.7, cpuOverDuckdb: 1.3, rssMb: 180 },
  wide: { wallOverDrain: null, cpuOverDuckdb: 1.15, rssMb: 180 },
  text: { wallOverDrain: null, cpuOverDuckdb: 1.25, rssMb: 180 },
};
const STATEMENT_MS_MAX = 100;
/** `parallel: 2` on two cores. */
const LANES_LIMITS: Record<Table, { wallOverDuckdb: number; rssMb: number }> = {
  narrow: { wallOverDuckdb: 1.25, rssMb: 280 },
  wide: { wallOverDuckdb: 1.1, rssMb: 280 },
  text: { wallOverDuckdb: 1.1, rssMb: 280 },
};

const DRAIN = "drain";
const DUCK = "duckdb";
const ONE_LANE = "rivet, one lane";
const TWO_LANES = "rivet, two lanes";

export async function main(args: readonly string[]): Promise<void> {
  const option = (name: string) => args.includes(name) ? args[args.indexOf(name) + 1] : undefined;
  const runs = Number(option("--runs") ?? RUNS_DEFAULT);
  const tables = (option("--only")?.split(",") ?? Object.keys(ROWS)) as Table[];
  const home = await Deno.makeTempDir({ prefix: "rivet-bench-pg-" });
  try {
    const python = await preparePython(
      "rivet-bench-duckdb",
      [`duckdb==${DUCKDB}`, `duckdb-extension-postgres-scanner==${DUCKDB}`],
      `import duckdb; assert duckdb.__version__ == "${DUCKDB}"; import duckdb_extension_postgres_scanner`,
    );
    const program = await buildRivet(`${home}/dist`);
    const server = await openPrivatePostgres(18, { shared_buffers: "2GB", autovacuum: "off", max_wal_size: "8GB" });
    const results: Result[] = [];
    for (const table of tables) {
      console.error(`${table}: making ${ROWS[table].toLocaleString("en")} rows`);
      await runSql(server.connection, CREATE[table]);
      await runSql(server.connection, `VACUUM ANALYZE ${table}`);
      await runSql(server.connection, `SELECT count(*) FROM ${table}`);
      await writeConfigs(home, server, table);
      results.push(await run(home, server, table, { python, program }, runs));
      printTable(results.at(-1)!);
      await runSql(server.connection, `DROP TABLE ${table}`);
    }
    if (args.includes("--json")) console.log(JSON.stringify(results, null, 2));
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** What is started: Python with DuckDB, and rivet. */
interface Programs {
  readonly python: string;
  readonly program: readonly string[];
}

interface Result {
  readonly table: Table;
  readonly rows: number;
  readonly runs: number;
  readonly medians: Readonly<Record<string, Sample>>;
  readonly fileMb: Readonly<Record<string, number>>;
  readonly longestStatementMs: Readonly<Record<string, number>>;
  readonly checks: readonly Check[];
}

interface Check {
  readonly what: string;
  readonly value: number;
  readonly limit: number;
}

/** Words of a language, so that bodies compress as text does. The same rows every time. */
const WORDS =
  "the quick brown fox jumps over lazy dogs while seven wizards make toxic brew for evil queens and jolly kings of order shipped customer \
returned invoice paid late refund warehouse north south container delayed payment accepted declined review pending closed naïve café Ürümqi"
    .split(" ");

const CORPUS = `SELECT setseed(0.42);
  CREATE TEMP TABLE corpus AS SELECT id, string_agg(word, ' ') AS body FROM (
    SELECT g % 2000 AS id, (ARRAY[${WORDS.map((word) => `'${word}'`).join(", ")}])[1 + (random() * ${
  WORDS.length - 1
})::int]
      || CASE WHEN random() < 0.15 THEN (random() * 99999)::int::text ELSE '' END AS word
    FROM generate_series(1, 1000000) g) w GROUP BY id; ANALYZE corpus;`;

const TEXT = (bytes: number) => `substr(c.body, 1 + (random() * 1400)::int, ${bytes})`;

/** Makes the narrow table. */
export const NARROW = (rows: number): string =>
  `SELECT setseed(0.42);
    CREATE TABLE narrow (id bigint NOT NULL, customer_id int NOT NULL, status text NOT NULL, amount numeric(10,2) NOT NULL, paid bool NOT NULL,
      created_at timestamptz NOT NULL, updated_at timestamptz, note text, quantity int);
    INSERT INTO narrow SELECT g, (random() * 100000)::int, (ARRAY['new','paid','shipped','returned'])[1 + (random() * 3)::int],
      (random() * 10000)::numeric(10,2), random() < 0.7, timestamptz '2024-01-01' + g * interval '13 seconds',
      CASE WHEN random() < 0.5 THEN timestamptz '2025-01-01' + random() * interval '300 days' END,
      CASE WHEN random() < 0.6 THEN 'note ' || md5(g::text) END, CASE WHEN random() < 0.8 THEN (random() * 50)::int END
    FROM generate_series(1, ${rows}) g`;

const CREATE: Record<Table, string> = {
  narrow: NARROW(ROWS.narrow),
  wide: `${CORPUS}
    CREATE TABLE wide (id bigint NOT NULL, uid uuid NOT NULL, doc jsonb, tags text[], payload bytea, body text, price numeric(12,4), day date,
      at timestamp, at_tz timestamptz, small smallint, flag bool, ratio double precision, weight real, name varchar(80), code char(8),
      total numeric(12,4), started time, counter int, big bigint, extra text);
    INSERT INTO wide SELECT g, md5(g::text)::uuid,
      jsonb_build_object('id', g, 'kind', (ARRAY['a','b','c'])[1 + (random() * 2)::int], 'score', round(random()::numeric, 4), 'note', ${
    TEXT(60)
  }),
      ARRAY[md5(random()::text), 'tag' || (random() * 100)::int, (random() * 1000)::int::text], decode(md5(random()::text) || md5(g::text), 'hex'),
      ${
    TEXT(600)
  }, (random() * 100000)::numeric(12,4), date '2020-01-01' + (random() * 2000)::int, timestamp '2024-01-01' + random() * interval '1 year',
      timestamptz '2024-01-01' + random() * interval '1 year', (random() * 30000)::int, random() < 0.5, random() * 1000, random() * 10,
      ${
    TEXT(30)
  }, substr(md5(g::text), 1, 8), (random() * 1000)::numeric(12,4), time '00:00' + random() * interval '23 hours', (random() * 1e9)::int,
      (random() * 1e15)::bigint, CASE WHEN random() < 0.5 THEN ${TEXT(80)} END
    FROM generate_series(1, ${ROWS.wide}) g JOIN corpus c ON c.id = g % 2000`,
  text: `${CORPUS}
    CREATE TABLE text (id bigint NOT NULL, title text NOT NULL, body text NOT NULL, created_at timestamptz NOT NULL);
    INSERT INTO text SELECT g, ${TEXT(60)}, ${TEXT(1500)}, timestamptz '2024-01-01' + g * interval '1 minute'
    FROM generate_series(1, ${ROWS.text}) g JOIN corpus c ON c.id = g % 2000`,
};

function configPath(home: string, table: Table, shape: string): string {
  return `${home}/${table}_${shape}.yaml`;
}

async function writeConfigs(home: string, server: PostgresServer, table: Table): Promise<void> {
  const { host, port, user, password, database } = server.connection;
  const source = { type: "postgres", host, port, user, password, database, tuning: { profile: "fast" } };
  for (const [shape, parallel] of [["one", 1], ["two", 2]] as const) {
    const destination = { type: "local", path: `${home}/out` };
    const config = {
      source,
      exports: [{ name: table, table, mode: "full", parallel, format: "parquet", destination }],
    };
    // JSON is YAML.
    await Deno.writeTextFile(configPath(home, table, shape), JSON.stringify(config));
  }
}

function contenders(
  home: string,
  server: PostgresServer,
  table: Table,
  { python, program }: Programs,
): Contender[] {
  const { host, port, user, password, database } = server.connection;
  const deno = [Deno.execPath(), "run", "-A", "--no-check", "--config", `${ROOT}deno.json`];
  const rivet = (shape: string) => [...program, "run", "-c", configPath(home, table, shape)];
  const before = () => empty(home);
  const dsn = `host=${host} port=${port} user=${user} dbname=${database} password='${
    (password ?? "").replaceAll("\\", "\\\\").replaceAll("'", "\\'")
  }'`;
  return [
    {
      name: DRAIN,
      command: [...deno, `${ROOT}bench/pg_drain.ts`, host, String(port), user, password ?? "", database, table],
      before,
    },
    { name: DUCK, command: [python, "-c", DUCKDB_SCRIPT, dsn, table, `${home}/out/duckdb.parquet`], before },
    { name: ONE_LANE, command: rivet("one"), before },
    { name: TWO_LANES, command: rivet("two"), before },
  ];
}

const DUCKDB_SCRIPT = `
import sys, os, duckdb, duckdb_extension_postgres_scanner as scanner
dsn, table, path = sys.argv[1:]
folder = os.path.join(os.path.dirname(scanner.__file__), "extensions", "v" + duckdb.__version__)
con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
con.execute("LOAD '" + os.path.join(folder, "postgres_scanner.duckdb_extension") + "'")
con.execute("ATTACH '" + dsn.replace("'", "''") + "' AS pg (TYPE postgres, READ_ONLY)")
con.execute("COPY (SELECT * FROM pg.public." + table + ") TO '" + path + "' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)")
`;

/** Each run begins as the first one did: no files, no state. */
async function empty(home: string): Promise<void> {
  await Deno.remove(`${home}/out`, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${home}/out`);
  for await (const entry of Deno.readDir(home)) {
    if (entry.name.startsWith(".rivet")) await Deno.remove(`${home}/${entry.name}`, { recursive: true });
  }
}

async function run(
  home: string,
  server: PostgresServer,
  table: Table,
  programs: Programs,
  runs: number,
): Promise<Result> {
  const all = contenders(home, server, table, programs);
  const statements: Record<string, number> = {};
  const fileMb: Record<string, number> = {};
  // The pass that is not measured warms the caches, weighs the files and lets the server time its statements.
  await timeStatements(server, "SET log_min_duration_statement = 0");
  for (const contender of all) {
    const from = (await Deno.stat(server.log)).size;
    await measure(contender);
    statements[contender.name] = await longestStatementMs(server.log, from);
    fileMb[contender.name] = await parquetMb(`${home}/out`);
  }
  await timeStatements(server, "RESET log_min_duration_statement");
  const samples = await measureAlternating(all, runs);
  const medians = Object.fromEntries([...samples].map(([name, list]) => [name, medianOf(list)]));
  return {
    table,
    rows: ROWS[table],
    runs,
    medians,
    fileMb,
    longestStatementMs: statements,
    checks: check(table, medians, statements),
  };
}

async function timeStatements(server: PostgresServer, change: string): Promise<void> {
  await runSql(server.connection, `ALTER SYSTEM ${change}`);
  await runSql(server.connection, "SELECT pg_reload_conf()");
}

async function longestStatementMs(log: string, from: number): Promise<number> {
  const text = new TextDecoder().decode((await Deno.readFile(log)).subarray(from));
  let longest = 0;
  for (const match of text.matchAll(/duration: ([\d.]+) ms/g)) longest = Math.max(longest, Number(match[1]));
  return longest;
}

async function parquetMb(folder: string): Promise<number> {
  let bytes = 0;
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory) bytes += await parquetMb(`${folder}/${entry.name}`) * 1e6;
    else if (entry.name.endsWith(".parquet")) bytes += (await Deno.stat(`${folder}/${entry.name}`)).size;
  }
  return bytes / 1e6;
}

function check(table: Table, medians: Record<string, Sample>, statements: Record<string, number>): Check[] {
  const [drain, duck, one, two] = [DRAIN, DUCK, ONE_LANE, TWO_LANES].map((name) => medians[name]!);
  const { wallOverDrain, cpuOverDuckdb, rssMb } = LIMITS[table];
  const lanes = LANES_LIMITS[table];
  return [
    ...(wallOverDrain === null
      ? []
      : [{ what: "one lane: wall / drain", value: one!.wallS / drain!.wallS, limit: wallOverDrain }]),
    { what: "one lane: CPU / DuckDB's", value: one!.cpuS / duck!.cpuS, limit: cpuOverDuckdb },
    { what: "one lane: peak MB", value: one!.rssMb, limit: rssMb },
    { what: "one lane: longest statement ms", value: statements[ONE_LANE]!, limit: STATEMENT_MS_MAX },
    { what: "two lanes: wall / DuckDB's", value: two!.wallS / duck!.wallS, limit: lanes.wallOverDuckdb },
    { what: "two lanes: peak MB", value: two!.rssMb, limit: lanes.rssMb },
    { what: "two lanes: longest statement ms", value: statements[TWO_LANES]!, limit: STATEMENT_MS_MAX },
  ];
}

function printTable(result: Result): void {
  const drain = result.medians[DRAIN]!.wallS;
  const duck = result.medians[DUCK]!;
  console.log(`\n${result.table}: ${result.rows.toLocaleString("en")} rows, medians of ${result.runs}`);
  console.log("  contender           wall s  / drain   CPU s  / duckdb  peak MB   file MB   longest statement ms");
  for (const [name, s] of Object.entries(result.medians)) {
    const cells = [
      s.wallS.toFixed(2).padStart(7),
      (s.wallS / drain).toFixed(2).padStart(8),
      s.cpuS.toFixed(2).padStart(8),
      (s.cpuS / duck.cpuS).toFixed(2).padStart(9),
      s.rssMb.toFixed(0).padStart(8),
      result.fileMb[name]!.toFixed(1).padStart(9),
      result.longestStatementMs[name]!.toFixed(1).padStart(9),
    ];
    console.log(`  ${name.padEnd(18)} ${cells.join(" ")}`);
  }
  for (const { what, value, limit } of result.checks) {
    console.log(`  ${value <= limit ? "ok  " : "MISS"} ${what}: ${value.toFixed(2)} (limit ${limit})`);
  }
}
