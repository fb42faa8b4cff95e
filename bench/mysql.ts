// How fast and how small a MySQL export is beside the plain client, which writes nothing, and connectorx, which streams into pyarrow's
// Parquet writer with zstd 3 as rivet does, all on one machine against one MariaDB, in one run.
// Usage: deno task bench mysql [--runs 5] [--only narrow,wide,text] [--json]     Needs mariadb-server, python3 with venv, and a few GB in TMPDIR.

import { type MysqlServer, openPrivateMariadb, runSql } from "../tests/support/mariadb.ts";
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

const ROWS = { narrow: 2_000_000, wide: 300_000, text: 200_000 } as const;
type TableName = keyof typeof ROWS;

const CLIENT = "mariadb client";
const PEER = "connectorx";
const PEER_ROWS = "connectorx, rows only";
const ONE_LANE = "rivet, one lane";
const ONE_LANE_SLICES = "rivet, one lane, slices";
const TWO_LANES = "rivet, two lanes, slices";

/** The promises. */
const LIMITS = {
  narrowWallOverClient: 1.25,
  wallOverPeer: 1,
  oneLaneMb: 180,
  twoLanesMb: 280,
  statementMs: 2_000,
} as const;

export async function main(args: readonly string[]): Promise<void> {
  const option = (name: string) => args.includes(name) ? args[args.indexOf(name) + 1] : undefined;
  const runs = Number(option("--runs") ?? RUNS_DEFAULT);
  const tables = (option("--only")?.split(",") ?? Object.keys(ROWS)) as TableName[];
  const home = await Deno.makeTempDir({ prefix: "rivet-bench-mysql-" });
  // The server runs as another user and writes its log of statements here.
  await Deno.chmod(home, 0o777);
  try {
    const python = await preparePython(
      "rivet-bench-connectorx",
      ["connectorx==0.4.6", "pyarrow"],
      "import connectorx, pyarrow",
    );
    const program = await buildRivet(`${home}/dist`);
    const server = await openPrivateMariadb([
      "--innodb-buffer-pool-size=3G",
      "--innodb-log-file-size=1G",
      "--innodb-doublewrite=0",
      "--max-allowed-packet=64M",
      "--long-query-time=0",
      `--slow-query-log-file=${home}/statements.log`,
    ]);
    await runSql(server.connection, "CREATE DATABASE bench CHARACTER SET utf8mb4");
    const results: Result[] = [];
    for (const table of tables) {
      console.error(`${table}: loading ${ROWS[table].toLocaleString("en")} rows`);
      await loadTable(server.connection, table);
      await writeConfigs(home, server.connection, table);
      results.push(await run(home, server, table, { python, program }, runs));
      printTable(results.at(-1)!);
      await runSql(server.connection, `DROP TABLE bench.${table}`);
    }
    if (args.includes("--json")) console.log(JSON.stringify(results, null, 2));
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** What is started: Python with connectorx, and rivet. */
interface Programs {
  readonly python: string;
  readonly program: readonly string[];
}

interface Result {
  readonly table: TableName;
  readonly rows: number;
  readonly runs: number;
  readonly medians: Readonly<Record<string, Sample>>;
  readonly longestStatementMs: Readonly<Record<string, number>>;
  readonly checks: readonly { readonly what: string; readonly value: number; readonly limit: number }[];
}

async function run(
  home: string,
  server: MysqlServer,
  table: TableName,
  programs: Programs,
  runs: number,
): Promise<Result> {
  const all = contenders(home, server.connection, table, programs);
  const statements: Record<string, number> = {};
  // The pass that is not measured warms the caches and lets the server time its statements.
  for (const contender of all) {
    await runSql(server.connection, "SET GLOBAL slow_query_log = ON");
    const from = await Deno.stat(`${home}/statements.log`).then((s) => s.size, () => 0);
    await measure(contender);
    await runSql(server.connection, "SET GLOBAL slow_query_log = OFF");
    statements[contender.name] = await longestStatementMs(`${home}/statements.log`, from);
  }
  const samples = await measureAlternating(all, runs);
  const medians = Object.fromEntries([...samples].map(([name, list]) => [name, medianOf(list)]));
  return {
    table,
    rows: ROWS[table],
    runs,
    medians,
    longestStatementMs: statements,
    checks: check(table, medians, statements),
  };
}

async function longestStatementMs(log: string, from: number): Promise<number> {
  const text = new TextDecoder().decode((await Deno.readFile(log)).subarray(from));
  let longest = 0;
  for (const match of text.matchAll(/^# Query_time: ([\d.]+)/gm)) longest = Math.max(longest, Number(match[1]) * 1000);
  return longest;
}

function check(
  table: TableName,
  medians: Record<string, Sample>,
  statements: Record<string, number>,
): Result["checks"] {
  const [client, peer, one, slices, two] = [CLIENT, PEER, ONE_LANE, ONE_LANE_SLICES, TWO_LANES].map((name) =>
    medians[name]!
  );
  return [
    ...(table === "narrow"
      ? [{ what: "one lane: wall / client's", value: one!.wallS / client!.wallS, limit: LIMITS.narrowWallOverClient }]
      : [{ what: "two lanes: wall / connectorx's", value: two!.wallS / peer!.wallS, limit: LIMITS.wallOverPeer }]),
    { what: "one lane: peak MB", value: Math.max(one!.rssMb, slices!.rssMb), limit: LIMITS.oneLaneMb },
    { what: "two lanes: peak MB", value: two!.rssMb, limit: LIMITS.twoLanesMb },
    {
      what: "slices: longest statement ms",
      value: Math.max(statements[ONE_LANE_SLICES]!, statements[TWO_LANES]!),
      limit: LIMITS.statementMs,
    },
  ];
}

type Connection = Awaited<ReturnType<typeof openPrivateMariadb>>["connection"];

const DDL: Record<TableName, string> = {
  narrow:
    `id bigint PRIMARY KEY, customer int, kind smallint, paid tinyint(1), amount decimal(12,2), made_at datetime(6), day date,
    weight double, note varchar(40)`,
  wide: `id bigint PRIMARY KEY, ${
    Array.from(
      { length: 19 },
      (_, i) =>
        [`t${i} varchar(120)`, `n${i} bigint`, `d${i} decimal(18,4)`, `at${i} datetime(6)`, `f${i} double`][i % 5],
    ).join(", ")
  }`,
  text: "id bigint PRIMARY KEY, title varchar(200), body mediumtext, meta longtext",
};

const WORDS =
  "the quick brown fox jumps over lazy dogs while seven wizards make toxic brew for evil queens and jolly kings of Ürümqi naïve café"
    .split(" ");

function* makeRow(table: TableName, i: number, next: () => number): Generator<string> {
  const words = (count: number) => Array.from({ length: count }, () => WORDS[next() % WORDS.length]).join(" ");
  const at = `2024-0${1 + next() % 9}-1${next() % 10} 1${next() % 10}:30:59.${
    String(next() % 1_000_000).padStart(6, "0")
  }`;
  yield String(i);
  switch (table) {
    case "narrow":
      yield String(next() % 100_000);
      yield String(next() % 300);
      yield String(next() % 2);
      yield `${next() % 1_000_000}.${String(next() % 100).padStart(2, "0")}`;
      yield at;
      yield at.slice(0, 10);
      yield String((next() % 1_000_000) / 977);
      yield next() % 10 === 0 ? "\\N" : `note number ${next() % 1_000_000}`;
      return;
    case "wide":
      for (let column = 0; column < 19; column++) {
        yield [
          words(12),
          String(next() * 977),
          `${next() % 1_000_000}.${1000 + next() % 9000}`,
          at,
          String(next() / 977),
        ][column % 5]!;
      }
      return;
    case "text":
      yield words(12);
      yield words(350);
      yield JSON.stringify({ tags: words(20).split(" "), note: words(40) });
  }
}

/** Written by us and loaded by the server, the same bytes every time. */
async function loadTable(connection: Connection, table: TableName): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "rivet-bench-load-" });
  await Deno.chmod(folder, 0o755);
  const path = `${folder}/rows`;
  let state = 42;
  const next = () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return (state ^ (state >>> 13)) >>> 1;
  };
  const encoder = new TextEncoder();
  {
    using file = await Deno.open(path, { write: true, create: true });
    const writer = file.writable.getWriter();
    let block: string[] = [];
    for (let i = 1; i <= ROWS[table]; i++) {
      block.push([...makeRow(table, i, next)].join("\t"));
      if (block.length < 5000 && i < ROWS[table]) continue;
      await writer.write(encoder.encode(block.join("\n") + "\n"));
      block = [];
    }
    writer.releaseLock();
  }
  await Deno.chmod(path, 0o644);
  await runSql(
    connection,
    `CREATE TABLE bench.${table} (${DDL[table]}) ENGINE=InnoDB;
    LOAD DATA INFILE '${path}' INTO TABLE bench.${table} CHARACTER SET utf8mb4; ANALYZE TABLE bench.${table};
    SELECT COUNT(*) FROM bench.${table}`,
  );
  await Deno.remove(folder, { recursive: true });
}

/** One lane over the whole table, and two lanes over slices as a plan would cut them. */
async function writeConfigs(home: string, connection: Connection, table: TableName): Promise<void> {
  const source = {
    type: "mysql",
    host: connection.host,
    port: connection.port,
    user: connection.user,
    password: connection.password ?? "",
    database: "bench",
    tuning: { profile: "fast" },
  };
  const shapes: [string, Record<string, unknown>][] = [
    ["full", { mode: "full" }],
    ["sliced", { mode: "chunked", chunk_column: "id", chunk_size: Math.ceil(ROWS[table] / 16) }],
    ["lanes", { mode: "chunked", chunk_column: "id", chunk_size: Math.ceil(ROWS[table] / 16), parallel: 2 }],
  ];
  for (const [shape, settings] of shapes) {
    const config = {
      source,
      exports: [{
        name: `${table}_${shape}`,
        table,
        format: "parquet",
        destination: { type: "local", path: `${home}/out` },
        ...settings,
      }],
    };
    // JSON is YAML.
    await Deno.writeTextFile(`${home}/${table}_${shape}.yaml`, JSON.stringify(config));
  }
}

function contenders(
  home: string,
  connection: Connection,
  table: TableName,
  { python, program }: Programs,
): Contender[] {
  const { host, port, user, password } = connection;
  const rivet = (shape: string) => [...program, "run", "-c", `${home}/${table}_${shape}.yaml`];
  const account = ["--no-defaults", `-h${host}`, `-P${port}`, `-u${user}`, `-p${password ?? ""}`];
  const client = ["mariadb", ...account, "--quick", "--batch", "--raw", "-e", `SELECT * FROM bench.${table}`];
  const url = `mysql://${user}:${encodeURIComponent(password ?? "")}@${host}:${port}/bench`;
  const before = () => empty(home);
  return [
    { name: CLIENT, command: client, before },
    { name: PEER, command: [python, "-c", CONNECTORX, url, table, `${home}/out/peer.parquet`], before },
    { name: PEER_ROWS, command: [python, "-c", CONNECTORX, url, table], before },
    { name: ONE_LANE, command: rivet("full"), before },
    { name: ONE_LANE_SLICES, command: rivet("sliced"), before },
    { name: TWO_LANES, command: rivet("lanes"), before },
  ];
}

/** Each run begins as the first one did: no files, no state. */
async function empty(home: string): Promise<void> {
  await Deno.remove(`${home}/out`, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${home}/out`);
  for await (const entry of Deno.readDir(home)) {
    if (entry.name.startsWith(".rivet")) await Deno.remove(`${home}/${entry.name}`, { recursive: true });
  }
}

/** Without a path it only takes the rows: what is left is the server, the wire and the decoding. */
const CONNECTORX = `
import sys, connectorx as cx, pyarrow.parquet as pq
url, table, *paths = sys.argv[1:]
reader = cx.read_sql(url, "SELECT * FROM " + table, return_type="arrow_stream", batch_size=10000)
writer = None
for batch in reader:
    if not paths:
        continue
    if writer is None:
        writer = pq.ParquetWriter(paths[0], batch.schema, compression="zstd", compression_level=3)
    writer.write_batch(batch)
if writer is not None:
    writer.close()
`;

function printTable(result: Result): void {
  const client = result.medians[CLIENT]!.wallS;
  console.log(`\n${result.table}: ${result.rows.toLocaleString("en")} rows, medians of ${result.runs}`);
  console.log("  contender                   wall s  / client   CPU s  peak MB   longest statement ms");
  for (const [name, s] of Object.entries(result.medians)) {
    const cells = [
      s.wallS.toFixed(2).padStart(7),
      (s.wallS / client).toFixed(2).padStart(9),
      s.cpuS.toFixed(2).padStart(7),
      s.rssMb.toFixed(0).padStart(8),
      result.longestStatementMs[name]!.toFixed(0).padStart(10),
    ];
    console.log(`  ${name.padEnd(26)} ${cells.join(" ")}`);
  }
  for (const { what, value, limit } of result.checks) {
    console.log(`  ${value <= limit ? "ok  " : "MISS"} ${what}: ${value.toFixed(2)} (limit ${limit})`);
  }
}

if (import.meta.main) await main(Deno.args);
