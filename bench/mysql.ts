// How fast and how small a MySQL export is beside the plain client and connectorx, all on one machine against one MariaDB, in one run.
// Usage: deno task bench mysql [--runs 5] [--only narrow,wide,text]     Needs mariadb-server, python3 with venv, and a few GB in TMPDIR.

import { openPrivateMariadb, runSql } from "../tests/support/mariadb.ts";

const RUNS_DEFAULT = 5;
const ROWS = { narrow: 2_000_000, wide: 300_000, text: 200_000 } as const;
type TableName = keyof typeof ROWS;

interface Sample {
  readonly wallS: number;
  readonly cpuS: number;
  readonly rssMb: number;
}

interface Contender {
  readonly name: string;
  readonly command: readonly string[];
}

const ROOT = new URL("../", import.meta.url).pathname;

async function main(args: readonly string[]): Promise<void> {
  const option = (name: string) => args.includes(name) ? args[args.indexOf(name) + 1] : undefined;
  const runs = Number(option("--runs") ?? RUNS_DEFAULT);
  const tables = (option("--only")?.split(",") ?? Object.keys(ROWS)) as TableName[];
  const home = await Deno.makeTempDir({ prefix: "rivet-bench-mysql-" });
  try {
    const python = await preparePython();
    const server = await openPrivateMariadb([
      "--innodb-buffer-pool-size=3G",
      "--innodb-log-file-size=1G",
      "--innodb-doublewrite=0",
      "--max-allowed-packet=64M",
    ]);
    const { connection } = server;
    await runSql(connection, "CREATE DATABASE bench CHARACTER SET utf8mb4");
    for (const table of tables) {
      console.log(`${table}: loading ${ROWS[table].toLocaleString("en")} rows`);
      await loadTable(connection, table);
      await writeConfigs(home, connection, table);
      const results: [string, Sample[]][] = [];
      for (const contender of contenders(home, connection, table, python)) {
        const samples: Sample[] = [];
        await measure(contender, home);
        // One run after the other and medians: what else the machine does hits all alike.
        for (let run = 0; run < runs; run++) samples.push(await measure(contender, home));
        results.push([contender.name, samples]);
      }
      print(table, results);
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
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

function contenders(home: string, connection: Connection, table: TableName, python: string): Contender[] {
  const { host, port, user, password } = connection;
  const rivet = (shape: string): readonly string[] => [
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    "--config",
    `${ROOT}deno.json`,
    `${ROOT}cli.ts`,
    "run",
    "-c",
    `${home}/${table}_${shape}.yaml`,
  ];
  const url = `mysql://${user}:${encodeURIComponent(password ?? "")}@${host}:${port}/bench`;
  return [
    {
      name: "mariadb --quick --batch --raw",
      command: [
        "mariadb",
        "--no-defaults",
        `-h${host}`,
        `-P${port}`,
        `-u${user}`,
        `-p${password ?? ""}`,
        "--quick",
        "--batch",
        "--raw",
        "-e",
        `SELECT * FROM bench.${table}`,
      ],
    },
    { name: "rivet, one lane", command: rivet("full") },
    { name: "rivet, one lane, slices", command: rivet("sliced") },
    { name: "rivet, two lanes", command: rivet("lanes") },
    {
      name: "connectorx stream + pyarrow",
      command: [python, "-c", CONNECTORX, url, table, `${home}/out/peer.parquet`],
    },
  ];
}

const CONNECTORX = `
import sys, connectorx as cx, pyarrow.parquet as pq
url, table, path = sys.argv[1:]
reader = cx.read_sql(url, "SELECT * FROM " + table, return_type="arrow_stream", batch_size=10000)
writer = None
for batch in reader:
    if writer is None:
        writer = pq.ParquetWriter(path, batch.schema, compression="zstd", compression_level=3)
    writer.write_batch(batch)
writer.close()
`;

/** A virtual environment that is made once and kept beside other caches. */
async function preparePython(): Promise<string> {
  const venv = `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/rivet-bench-python`;
  const python = `${venv}/bin/python`;
  const works = await succeeds(python, ["-c", "import connectorx, pyarrow"]);
  if (works) return python;
  const made = await succeeds("python3", ["-m", "venv", venv]) &&
    await succeeds(python, ["-m", "pip", "install", "-q", "connectorx==0.4.6", "pyarrow"]);
  if (!made) throw new Error(`no virtual environment in ${venv}`);
  return python;
}

async function succeeds(command: string, args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Wall time, CPU of the process and its children, and the peak of its resident memory as the kernel counted it. */
async function measure(contender: Contender, home: string): Promise<Sample> {
  await Deno.remove(`${home}/out`, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${home}/out`);
  for (const path of [`${home}/.rivet_state.db`, `${home}/.rivet_state.db-wal`, `${home}/.rivet_state.db-shm`]) {
    await Deno.remove(path).catch(() => {});
  }
  const script = `
import resource, subprocess, sys, time
started = time.monotonic()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss)
`;
  const { stdout } = await new Deno.Command("python3", {
    args: ["-c", script, ...contender.command],
    stdout: "piped",
    stderr: "inherit",
    env: { NO_COLOR: "1" },
  }).output();
  const [code, wallS, cpuS, rssKb] = new TextDecoder().decode(stdout).trim().split(" ").map(Number);
  if (code !== 0) throw new Error(`${contender.name} ended with ${code}`);
  return { wallS: wallS!, cpuS: cpuS!, rssMb: rssKb! / 1024 };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function print(table: string, results: readonly [string, readonly Sample[]][]): void {
  const base = median(results[0]![1].map((s) => s.wallS));
  console.log(`${table}: medians of ${results[0]![1].length}`);
  for (const [name, samples] of results) {
    const wall = median(samples.map((s) => s.wallS));
    const cpu = median(samples.map((s) => s.cpuS));
    const rss = Math.max(...samples.map((s) => s.rssMb));
    console.log(
      `  ${name.padEnd(30)} ${wall.toFixed(2).padStart(7)} s wall  ${(wall / base).toFixed(2).padStart(5)} ×  ` +
        `${cpu.toFixed(2).padStart(6)} s CPU  ${rss.toFixed(0).padStart(5)} MB peak`,
    );
  }
}

if (import.meta.main) await main(Deno.args);

export { main };
