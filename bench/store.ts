// What a far-away store costs: a PostgreSQL table to a local folder, and to an S3 server each of whose answers comes 40 ms late.
// Usage: deno task bench store [--runs 7] [--latency 40] [--rows 2000000]     Needs 3 GB in TMPDIR.

import { openPrivatePostgres, runSql } from "../tests/support/postgres.ts";
import { startS3Fake } from "../tests/support/s3_fake.ts";
import { buildRivet, type Contender, measureAlternating, median, medianOf } from "./measure.ts";
import { NARROW } from "./pg.ts";

const WALL_RATIO_MAX = 1.2;
const RSS_MB_MAX = 250;

export async function main(args: readonly string[]): Promise<void> {
  const option = (name: string, otherwise: number) =>
    args.includes(name) ? Number(args[args.indexOf(name) + 1]) : otherwise;
  const home = await Deno.makeTempDir({ prefix: "rivet-bench-store-" });
  const latencyMs = option("--latency", 40);
  // Under KMS a tag is no MD5: what the store computes is taken from the processors that are measured.
  await using fake = startS3Fake({ latencyMs, kms: true });
  try {
    const server = await openPrivatePostgres(18, { shared_buffers: "1GB", autovacuum: "off", max_wal_size: "4GB" });
    console.error("making the rows");
    await runSql(server.connection, NARROW(option("--rows", 2_000_000)));
    await runSql(server.connection, "VACUUM ANALYZE narrow");
    const { host, port, user, password, database } = server.connection;
    Deno.env.set("RIVET_BENCH_KEY", "key");
    const destinations = {
      local: { type: "local", path: `${home}/out` },
      s3: {
        type: "s3",
        bucket: "bucket",
        region: "us-east-1",
        endpoint: fake.url,
        access_key_env: "RIVET_BENCH_KEY",
        secret_key_env: "RIVET_BENCH_KEY",
      },
    };
    const program = await buildRivet(`${home}/dist`);
    const contenders: Contender[] = [];
    for (const [name, destination] of Object.entries(destinations)) {
      const config = {
        source: { type: "postgres", host, port, user, password, database, tuning: { profile: "fast" } },
        exports: [{ name: "narrow", table: "narrow", mode: "full", format: "parquet", destination }],
      };
      await Deno.writeTextFile(`${home}/${name}.yaml`, JSON.stringify(config));
      contenders.push({
        name,
        command: [...program, "run", "-c", `${home}/${name}.yaml`],
        before: async () => {
          await Deno.remove(`${home}/out`, { recursive: true }).catch(() => {});
          await Deno.remove(`${home}/.rivet_state.db`).catch(() => {});
          for (const objects of fake.buckets.values()) objects.clear();
        },
      });
    }
    const samples = await measureAlternating(contenders, option("--runs", 7));
    const [local, s3] = contenders.map(({ name }) => medianOf(samples.get(name)!));
    // Of neighbours in time: what else the machine does in a minute hits both.
    const pairs = samples.get("s3")!.map(({ wallS }, i) => wallS / samples.get("local")![i]!.wallS);
    const ratio = median(pairs);
    console.log(`local ${local!.wallS.toFixed(2)} s, ${local!.cpuS.toFixed(2)} s CPU, ${local!.rssMb.toFixed(0)} MB`);
    console.log(
      `s3, ${latencyMs} ms late ${s3!.wallS.toFixed(2)} s, ${s3!.cpuS.toFixed(2)} s CPU, ${s3!.rssMb.toFixed(0)} MB`,
    );
    console.log(
      `${ratio <= WALL_RATIO_MAX ? "ok  " : "MISS"} wall beside local: ${ratio.toFixed(2)} (limit ${WALL_RATIO_MAX})`,
    );
    console.log(`${s3!.rssMb <= RSS_MB_MAX ? "ok  " : "MISS"} peak MB: ${s3!.rssMb.toFixed(0)} (limit ${RSS_MB_MAX})`);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
