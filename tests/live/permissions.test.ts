// PostgreSQL to a store, several lanes, under exactly the permissions that the program names.

import assert from "node:assert/strict";
import { writeServerConfig } from "../support/config_file.ts";
import { temporaryFolder } from "../support/files.ts";
import { askPermissions, runConfined } from "../support/permissions.ts";
import { openPostgresServer, withDatabase } from "../support/postgres.ts";
import { startS3Fake } from "../support/s3_fake.ts";
import { openMysqlServers, testMysql } from "../support/mariadb.ts";
import { toFolder } from "../support/config_file.ts";

const postgres = await openPostgresServer(18);
const mysql = await openMysqlServers();

Deno.test({
  name: "PostgreSQL to S3 runs under exactly the printed permissions, and not without one of its hosts",
  ignore: postgres === null,
  fn: () =>
    withDatabase(postgres!, async (db) => {
      await using fake = startS3Fake({ accounts: new Map([["key", { secret: "a long secret" }]]) });
      await using folder = await temporaryFolder();
      await db.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 5000)");
      const destination = {
        type: "s3",
        bucket: "bucket",
        prefix: "raw/{export}",
        region: "us-east-1",
        endpoint: fake.url,
        access_key_env: "KEY_ID",
        secret_key_env: "KEY_SECRET",
      };
      const chunks = { mode: "chunked", chunk_column: "id", chunk_count: 4, parallel: 2 };
      const server = await writeServerConfig(folder.path, "postgres", db.connection, [
        { name: "t", table: "t", ...chunks, format: "parquet", destination },
      ]);
      const env = { ...server.env, KEY_ID: "key", KEY_SECRET: "a long secret" };
      const { flags, net, lanes } = await askPermissions(folder.path, env);
      assert.deepEqual(net, [`127.0.0.1:${fake.port}`, `${db.connection.host}:${db.connection.port}`].sort());
      assert.deepEqual([lanes[0]!.env, lanes[0]!.read, lanes[0]!.write], [[], [], []]);
      assert.ok(!JSON.stringify(flags).includes("a long secret"));
      const run = (list: readonly string[]) =>
        runConfined(list, ["run", "-c", "rivet.yaml", "--validate", "--reconcile"], { cwd: folder.path, env });
      for (const host of net) {
        const { code } = await run(flags.map((flag) =>
          flag.startsWith("--allow-net=") ? `--allow-net=${net.filter((other) => other !== host).join(",")}` : flag
        ));
        assert.notEqual(code, 0, host);
      }
      const result = await run(flags);
      assert.equal(result.code, 0, result.stderr);
      const keys = [...fake.buckets.get("bucket")!.keys()];
      assert.ok(keys.includes("raw/t/_SUCCESS"), keys.join("\n"));
      const doctor = await runConfined(flags, ["doctor", "-c", "rivet.yaml"], { cwd: folder.path, env });
      assert.equal(doctor.code, 0, doctor.stdout);
    }),
});

testMysql(mysql, "a run to a folder needs no more than the printed permissions", async (db) => {
  await using folder = await temporaryFolder();
  await db.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
  const chunks = { mode: "chunked", chunk_column: "id", chunk_count: 3, parallel: 2 };
  const { env } = await writeServerConfig(folder.path, "mysql", db.connection, [
    { name: "t", table: "t", ...chunks, ...toFolder("out") },
  ]);
  const { flags } = await askPermissions(folder.path, env);
  const { code, stderr } = await runConfined(flags, ["run", "-c", "rivet.yaml"], { cwd: folder.path, env });
  assert.equal(code, 0, stderr);
});
