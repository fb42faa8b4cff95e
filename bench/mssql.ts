// How fast the SQL Server source is, without a SQL Server: a fake in its own process sends narrow rows as fast as it is read.
// Usage: deno run -A bench/mssql.ts [rows] [narrow | large] [nothing | parquet]

import { compileCore, openCore } from "../src/core/mod.ts";
import { openMssql } from "../src/source/mssql/mod.ts";
import type { RowSink } from "../src/source/mod.ts";
import { bitmapRowToken, columnsToken, rowToken, toWireType, type WireValue } from "../tests/support/tds/types.ts";
import { openFakeTds, type Step } from "../tests/support/tds_fake.ts";

const COLUMNS = [
  ["id", "bigint not null"],
  ["customer", "int"],
  ["kind", "smallint"],
  ["paid", "bit"],
  ["amount", "decimal(12,2)"],
  ["made_at", "datetime2(6)"],
  ["token", "uniqueidentifier"],
  ["note", "nvarchar(40)"],
  ["weight", "float"],
] as const;
const TYPES = COLUMNS.map(([, type]) => toWireType(type));
const BLOCK_ROWS = 1000;
const RUNS = 5;
const LARGE_CHARACTERS = 100_000_000;

function* narrowRows(rows: number): Generator<Step> {
  const head = columnsToken(COLUMNS.map(([name], i) => ({ name, wire: TYPES[i]! })));
  yield { kind: "tokens", bytes: head, rows: 0 };
  const parts: Uint8Array[] = [];
  for (let i = 0; i < BLOCK_ROWS; i++) {
    const values: WireValue[] = [
      String(1_000_000_007 * i),
      String(i * 37),
      String(i % 300),
      String(i % 2),
      `${i * 13}.${String(i % 100).padStart(2, "0")}`,
      `2026-0${1 + i % 9}-1${i % 10} 0${i % 10}:30:59.123456`,
      `0f8fad5b-d9cb-469f-a165-7086772895${(i % 256).toString(16).padStart(2, "0")}`,
      `note number ${i}`,
      String(i * 0.37),
    ];
    if (i % 10 === 0) values[7] = null;
    parts.push((i % 10 === 0 ? bitmapRowToken : rowToken)(TYPES, values));
  }
  const block = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    block.set(part, at);
    at += part.length;
  }
  for (let sent = 0; sent < rows; sent += BLOCK_ROWS) yield { kind: "tokens", bytes: block, rows: BLOCK_ROWS };
}

/** Rows of one text of 100 million characters, in parts, so that the server holds none of them. */
function* largeRows(rows: number): Generator<Step> {
  const type = toWireType("nvarchar(max)");
  yield { kind: "tokens", bytes: columnsToken([{ name: "body", wire: type }]), rows: 0 };
  const part = new Uint8Array(4 + 64_000);
  new DataView(part.buffer).setUint32(0, 64_000, true);
  for (let i = 4; i < part.length; i += 2) part[i] = 0x78;
  const head = new Uint8Array(9);
  head[0] = 0xd1;
  const parts = Math.ceil(LARGE_CHARACTERS / 32_000);
  new DataView(head.buffer).setBigUint64(1, BigInt(parts) * 64_000n, true);
  for (let row = 0; row < rows; row++) {
    yield { kind: "tokens", bytes: head, rows: 1 };
    for (let i = 0; i < parts; i++) yield { kind: "tokens", bytes: part, rows: 0 };
    yield { kind: "tokens", bytes: new Uint8Array(4), rows: 0 };
  }
}

function* answer(sql: string): Generator<Step> {
  const [, rows, shape] = /^SELECT (\d+) (narrow|large)/.exec(sql) ?? [];
  if (shape === "narrow") yield* narrowRows(Number(rows));
  else if (shape === "large") yield* largeRows(Number(rows));
  else if (sql.includes("@@SPID")) {
    const names = sql.includes("EngineEdition")
      ? ["spid", "version", "edition", "engine", "snapshot", "rcsi"]
      : ["spid"];
    yield { kind: "columns", columns: names.map((name) => ({ name, type: "nvarchar(40)" })) };
    yield { kind: "row", values: names.map(() => "1") };
  }
}

async function serve(): Promise<void> {
  const fake = await openFakeTds({ answer });
  console.log(fake.port);
  // Ends with its parent, who holds standard input open.
  await Deno.stdin.read(new Uint8Array(1));
  await fake[Symbol.asyncDispose]();
}

/** Takes everything and looks at nothing. */
function openNullSink(): RowSink & { bytes: number } {
  const memory = new Uint8Array(4 << 20);
  return {
    bytes: 0,
    room: (bytes) => memory.subarray(0, bytes),
    wrote(bytes) {
      this.bytes += bytes;
    },
    control: () => null,
  };
}

/** The real core, to Parquet with zstd 3; its file goes nowhere. */
async function openParquetSink(): Promise<RowSink & { bytes: number }> {
  const core = await openCore(await compileCore());
  const types = ["int64", "int32", "int16", "bool", "decimal(12,2)", "timestamp_us", "uuid", "string", "float64"];
  const encoder = core.openEncoder({
    framing: "rows",
    columns: COLUMNS.map(([name], i) => ({ name, type: types[i]!, wire: types[i] === "uuid" ? "bytes" : "text" })),
    format: { kind: "parquet", codec: "zstd", level: 3, rowGroupBytes: 32 << 20 },
    createdBy: "bench",
  });
  const sink: RowSink & { bytes: number } = {
    bytes: 0,
    room: (bytes) => encoder.room(bytes),
    wrote(bytes) {
      sink.bytes += bytes;
      encoder.wrote(bytes);
      while (encoder.takeOutput() !== null || encoder.takePart() !== null);
    },
    control: () => null,
  };
  return sink;
}

async function measure(rows: number, shape: string, into: string): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL(import.meta.url).pathname, "--serve"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const first = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(first.value));
  const server = { host: "127.0.0.1", port, user: "sa", password: "x", database: "bench", tls: null };
  await using source = await openMssql(server, { statementTimeoutS: 0, lockTimeoutS: 0, connectTimeoutMs: 5000 });
  const options = { batchRows: 10_000, batchBytes: 32 << 20, throttleMs: 0, signal: new AbortController().signal };
  const rates: number[] = [];
  console.log(`connected, RSS ${(Deno.memoryUsage().rss / 1048576).toFixed(0)} MiB`);
  for (let run = 0; run < RUNS; run++) {
    const sink = into === "parquet" ? await openParquetSink() : openNullSink();
    const startedAt = performance.now();
    const report = await source.read(`SELECT ${rows} ${shape}`, sink, options);
    const seconds = (performance.now() - startedAt) / 1000;
    rates.push(report.rows / seconds);
    console.log(
      `${report.rows} rows, ${seconds.toFixed(2)} s, ${
        Math.round(report.rows / seconds).toLocaleString("en")
      } rows/s, ` +
        `${(report.bytesRead / 1048576 / seconds).toFixed(0)} MiB/s in, ${
          (sink.bytes / report.rows).toFixed(0)
        } bytes/row out, RSS ${(Deno.memoryUsage().rss / 1048576).toFixed(0)} MiB`,
    );
  }
  rates.sort((a, b) => a - b);
  console.log(`median ${Math.round(rates[RUNS >> 1]!).toLocaleString("en")} rows/s`);
  await child.stdin.close();
  await child.status;
}

export async function main(args: readonly string[]): Promise<void> {
  if (args[0] === "--serve") return await serve();
  await measure(Number(args[0] ?? 1_000_000), args[1] ?? "narrow", args[2] ?? "nothing");
}

if (import.meta.main) await main(Deno.args);
