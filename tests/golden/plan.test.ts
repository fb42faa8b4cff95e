// The plan of a small shop, to the byte: the file that people keep in reviews must not change without notice.
// `UPDATE_GOLDEN=1` writes what came out; read the difference. Its JSON Schema is `docs/reference/plan.schema.json`.

import assert from "node:assert/strict";
import { formatArtifact, parseArtifact } from "../../src/plan/mod.ts";
import { VERSION } from "../../src/version.ts";
import { fromFileUrl, join } from "../support/files.ts";
import { openShop } from "../support/plans.ts";

const FOLDER = fromFileUrl(new URL("plan", import.meta.url));

const EXPORTS = `  - {name: users, query: "SELECT * FROM users WHERE name <> '\${SKIP}'", format: csv, destination: {type: local, path: out}}
  - name: orders   # chunks of a hundred
    table: orders
    mode: chunked
    chunk_column: id
    chunk_size: 100
    format: parquet
    meta_columns: {row_hash: true}
    quality: {unique_columns: [id]}
    source_group: shop
    destination: {type: s3, bucket: lake, region: eu-west-1, prefix: "{export}/{date}", access_key_env: A, secret_key_env: B}
  - {name: keyed, table: orders, mode: chunked, chunk_by_key: id, chunk_size: 400, format: parquet, destination: {type: local, path: keyed}}
  - {name: fresh, table: orders, mode: incremental, cursor_column: at, format: parquet, destination: {type: local, path: "fresh/{date}"}}
`;

Deno.test("the plan of a small shop is the one that was committed", async () => {
  await using shop = await openShop(EXPORTS);
  shop.sql("ANALYZE");
  const { code, stderr } = await shop.rivet(
    ...["plan", "-c", "rivet.yaml", "-o", "plan.json", "-p", "SKIP=zz-param-zz", "--date", "2026-04-18"],
  );
  assert.equal(code, 0, stderr);
  const plan = parseArtifact(await shop.read("plan.json"), "plan.json");
  const settled = {
    ...plan,
    rivet_version: "VERSION",
    plan_id: "PLAN_ID",
    created_at: "CREATED",
    expires_at: "EXPIRES",
    integrity: "DIGEST",
  };
  assert.equal(plan.rivet_version, VERSION);
  const text = [...formatArtifact(settled)].join("").replaceAll(shop.path, "/shop");
  const path = join(FOLDER, "artifact.json");
  if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(path, text);
  assert.equal(text, await Deno.readTextFile(path));
});
