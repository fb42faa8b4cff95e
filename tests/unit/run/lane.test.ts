// Lanes in real Workers whose credentials expire while they write.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { RivetError, type RivetErrorOptions } from "../../../src/errors.ts";
import type { RunSummary } from "../../../src/report/mod.ts";
import { type OpenLane, runExports, workerLanes } from "../../../src/run/mod.ts";
import { withEngine } from "../../support/engine.ts";
import { join, temporaryFolder } from "../../support/files.ts";
import { startS3Fake } from "../../support/s3_fake.ts";

/** An export whose lane finds its credentials expired, and is refused new ones with an error as often as there are any. */
async function runExpired(refusals: RivetErrorOptions[]): Promise<{ summary: RunSummary; asked: number }> {
  await using folder = await temporaryFolder();
  const account = { secret: "a long secret", isExpired: false };
  await using fake = startS3Fake({ accounts: new Map([["key", account]]) });
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
  }
  const keys = { access_key_env: "RIVET_TEST_LANE_KEY", secret_key_env: "RIVET_TEST_LANE_SECRET" };
  const destination = { type: "s3", bucket: "bucket", region: "us-east-1", endpoint: fake.url, ...keys };
  const entry = { name: "t", table: "t", format: "csv", tuning: { max_retries: 3 }, destination };
  const config = { source: { type: "sqlite", path: "shop.db" }, exports: [entry] };
  const configPath = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(configPath, JSON.stringify(config));
  let asked = 0;
  const workers = workerLanes();
  const openLane: OpenLane = async (spec, host) => {
    const lane = await workers.openLane(spec, {
      async refreshDestination() {
        asked++;
        const refusal = refusals.shift();
        if (refusal !== undefined) throw new RivetError("RIVET_CONFIG_SECRET_UNSET", "No new keys", refusal);
        account.isExpired = false;
        return await host.refreshDestination();
      },
    });
    account.isExpired = true;
    return lane;
  };
  Deno.env.set(keys.access_key_env, "key");
  Deno.env.set(keys.secret_key_env, account.secret);
  try {
    const aggregate = await withEngine(
      { configPath },
      (context) => runExports({ ...context, openLane }, context.config.exports, 1),
    );
    return { summary: aggregate.per_export[0]!, asked };
  } finally {
    for (const name of Object.values(keys)) Deno.env.delete(name);
  }
}

Deno.test("a lane that gets no new credentials fails with the reason, and the run ends with it", async () => {
  const { summary, asked } = await runExpired([{ cure: "Set them" }]);
  assert.deepEqual([summary.status, summary.error?.code, summary.error?.error], [
    "failed",
    "RIVET_CONFIG_SECRET_UNSET",
    "No new keys",
  ]);
  assert.equal(asked, 1);
});

Deno.test("a lane that got no new credentials once asks again in its next attempt", async () => {
  const { summary, asked } = await runExpired([{ retry: "destination" }]);
  assert.deepEqual([summary.status, summary.rows, summary.retries], ["success", 2, 1], JSON.stringify(summary.error));
  assert.equal(asked, 2);
});
