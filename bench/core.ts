// The core alone: synthetic PostgreSQL rows in memory become Parquet, nothing is stored. `deno run -A bench/core.ts [narrow|wide|heavy] [runs]`

import process from "node:process";
import { compileCore, type EncoderSpec, openCore } from "../src/core/mod.ts";
import { encodeArray, PgRows } from "../tests/support/pg_rows.ts";

interface Table {
  readonly rows: number;
  readonly columns: EncoderSpec["columns"];
  write(rows: PgRows, id: number): void;
}

let seed = 42;
function random(below: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
}

const WORDS = "amber basil cedar delta ember fable grove haven ivory jolly karma lemon maple nectar opal pearl".split(
  " ",
);

function words(count: number): string {
  let text = "";
  for (let i = 0; i < count; i++) text += `${WORDS[random(WORDS.length)]}${random(1000)} `;
  return text;
}

const hex = (bytes: number) => Uint8Array.from({ length: bytes }, () => random(256));
const utf8 = new TextEncoder();

const narrow: Table = {
  rows: 2_000_000,
  columns: [
    { name: "id", type: "int64", wire: "int8" },
    { name: "customer_id", type: "int64", wire: "int8" },
    { name: "quantity", type: "int32", wire: "int4" },
    { name: "status", type: "string", wire: "text" },
    { name: "email", type: "string", wire: "text" },
    { name: "price", type: "decimal(10,2)", wire: "numeric" },
    { name: "active", type: "bool", wire: "bool" },
    { name: "created_at", type: "timestamp_us_utc", wire: "timestamptz" },
    { name: "note", type: "string", wire: "text" },
  ],
  write(rows, id) {
    rows.begin(9).int8(BigInt(id)).int8(BigInt(random(100_000))).int4(random(50)).text(WORDS[random(5)]!)
      .text(`user${random(1_000_000)}@example.com`).cents(random(10_000_000)).bool(random(2) === 1)
      .timestamp(1_700_000_000_000_000n + BigInt(id) * 1_234_567n);
    if (random(3) === 0) rows.text(`note ${random(100_000)}`);
    else rows.null();
    rows.end();
  },
};

const wide: Table = {
  rows: 300_000,
  columns: [
    { name: "id", type: "int64", wire: "int8" },
    { name: "uid", type: "uuid", wire: "uuid" },
    { name: "doc", type: "json", wire: "jsonb" },
    { name: "tags", type: "list<string>", wire: "array<text>" },
    { name: "blob", type: "binary", wire: "bytea" },
    { name: "body", type: "string", wire: "text" },
    { name: "amount", type: "decimal(12,4)", wire: "numeric" },
    { name: "day", type: "date", wire: "date" },
    ...Array.from({ length: 5 }, (_, i) => ({ name: `i${i}`, type: "int32", wire: "int4" })),
    ...Array.from({ length: 4 }, (_, i) => ({ name: `t${i}`, type: "string", wire: "text" })),
    ...Array.from({ length: 3 }, (_, i) => ({ name: `f${i}`, type: "float64", wire: "float8" })),
    { name: "at", type: "timestamp_us_utc", wire: "timestamptz" },
  ],
  write(rows, id) {
    rows.begin(21).int8(BigInt(id)).raw(hex(16))
      .raw(utf8.encode(`\x01{"kind": "${WORDS[random(8)]}", "n": ${random(100000)}, "tags": ["${words(2)}"]}`))
      .raw(encodeArray(25, [utf8.encode(WORDS[random(16)]), utf8.encode(WORDS[random(16)])]))
      .raw(hex(64)).text(words(80)).cents(random(10_000_000)).date(19_000 + random(1000));
    for (let i = 0; i < 5; i++) rows.int4(random(1_000_000));
    for (let i = 0; i < 4; i++) rows.text(words(3));
    for (let i = 0; i < 3; i++) rows.float8(random(1e9) / 1000);
    rows.timestamp(1_700_000_000_000_000n + BigInt(random(1e9)) * 1000n).end();
  },
};

const heavy: Table = {
  rows: 500_000,
  columns: [
    { name: "id", type: "int64", wire: "int8" },
    { name: "title", type: "string", wire: "text" },
    { name: "body", type: "string", wire: "text" },
    { name: "at", type: "timestamp_us_utc", wire: "timestamptz" },
  ],
  write(rows, id) {
    rows.begin(4).int8(BigInt(id)).text(words(5)).text(words(170)).timestamp(1_700_000_000_000_000n + BigInt(id)).end();
  },
};

const TABLES: Readonly<Record<string, Table>> = { narrow, wide, heavy };
const READ_BYTES = 1 << 18;

/** Some rows, made once and sent again and again: making them costs more than encoding them. */
function makeRows(table: Table): { bytes: Uint8Array; repeats: number } {
  const rows = new PgRows();
  const some = Math.min(table.rows, 40_000);
  for (let id = 0; id < some; id++) table.write(rows, id);
  return { bytes: rows.bytes(), repeats: Math.round(table.rows / some) };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export async function run(name: string, runs: number): Promise<void> {
  const table = TABLES[name];
  if (table === undefined) throw new Error(`No table '${name}'`);
  const { bytes, repeats } = makeRows(table);
  const startCpu = cpuMs();
  const start = performance.now();
  const core = await openCore(await compileCore());
  console.log(`${name}: open ${(performance.now() - start).toFixed(0)} ms, CPU ${(cpuMs() - startCpu).toFixed(0)} ms`);
  for (let i = 0; i < runs; i++) {
    const cpu = cpuMs();
    const began = performance.now();
    const encoder = core.openEncoder({
      framing: "pg_messages",
      columns: table.columns,
      format: {
        kind: "parquet",
        codec: (Deno.env.get("CODEC") ?? "zstd") as "zstd",
        rowGroupBytes: Number(Deno.env.get("ROW_GROUP") ?? 8 << 20),
      },
      createdBy: "bench",
    });
    let out = 0;
    const drain = () => {
      for (let piece = encoder.takeOutput(); piece !== null; piece = encoder.takeOutput()) out += piece.length;
    };
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (let at = 0; at < bytes.length; at += READ_BYTES) {
        const piece = bytes.subarray(at, at + READ_BYTES);
        encoder.room(piece.length).set(piece);
        encoder.wrote(piece.length);
        drain();
      }
    }
    const seen = encoder.finish(true);
    drain();
    encoder.close();
    const ms = performance.now() - began;
    const mb = bytes.length * repeats / 1e6;
    console.log(
      `${seen.rows} rows, ${mb.toFixed(0)} MB → ${(out / 1e6).toFixed(0)} MB: ${ms.toFixed(0)} ms, CPU ${
        (cpuMs() - cpu).toFixed(0)
      } ms, ${(mb / ms * 1000).toFixed(0)} MB/s, WASM ${(core.memoryBytes() / 1e6).toFixed(0)} MB, RSS ${
        (Deno.memoryUsage().rss / 1e6).toFixed(0)
      } MB`,
    );
  }
}

if (import.meta.main) {
  await run(Deno.args[0] ?? "narrow", Number(Deno.args[1] ?? 3));
}
