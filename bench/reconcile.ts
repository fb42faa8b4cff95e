// What proving by content costs: an export without compression beside `rivet reconcile --depth content` of the same rows.
// Usage: deno task bench reconcile [--runs 5] [--rows 2000000]     Needs 3 GB in TMPDIR.

import { openPrivatePostgres, runSql } from "../tests/support/postgres.ts";
import { buildRivet, type Contender, measureAlternating, medianOf } from "./measure.ts";
import { NARROW } from "./pg.ts";

const RATIO_MAX = 1.1;

export async function main(args: readonly string[]): Promise<void> {
  const option = (name: string, otherwise: number) =>
    args.includes(name) ? Number(args[args.indexOf(name) + 1]) : otherwise;
  const home = await Deno.makeTempDir({ prefix: "rivet-bench-reconcile-" });
  try {
    const server = await openPrivatePostgres(18, { shared_buffers: "1GB", autovacuum: "off", max_wal_size: "4GB" });
    console.error("making the rows");
    await runSql(server.connection, NARROW(option("--rows", 2_000_000)));
    await runSql(server.connection, "VACUUM ANALYZE narrow");
    const { host, port, user, password, database } = server.connection;
    const config = {
      source: { type: "postgres", host, port, user, password, database, tuning: { profile: "fast" } },
      exports: [{
        name: "narrow",
        table: "narrow",
        mode: "full",
        format: "parquet",
        compression: "none",
        destination: { type: "local", path: `${home}/out` },
      }],
    };
    await Deno.writeTextFile(`${home}/rivet.yaml`, JSON.stringify(config));
    const rivet = await buildRivet(`${home}/dist`);
    const contenders: Contender[] = [
      { name: "run, no compression", command: [...rivet, "run", "-c", `${home}/rivet.yaml`] },
      { name: "reconcile", command: [...rivet, "reconcile", "-c", `${home}/rivet.yaml`, "-e", "narrow"] },
    ];
    const samples = await measureAlternating(contenders, option("--runs", 5));
    const [run, reconcile] = contenders.map(({ name }) => medianOf(samples.get(name)!));
    for (const { name } of contenders) {
      const { wallS, cpuS, rssMb } = medianOf(samples.get(name)!);
      console.log(`${name.padEnd(20)} ${wallS.toFixed(2)} s wall, ${cpuS.toFixed(2)} s CPU, ${rssMb.toFixed(0)} MB`);
    }
    for (
      const [what, ratio] of [["wall", reconcile!.wallS / run!.wallS], ["CPU", reconcile!.cpuS / run!.cpuS]] as const
    ) {
      console.log(
        `${ratio <= RATIO_MAX ? "ok  " : "MISS"} ${what} beside the run: ${ratio.toFixed(2)} (limit ${RATIO_MAX})`,
      );
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
