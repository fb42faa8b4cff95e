// `rivet apply`: a sealed plan is done as it stands, once, or refused; a config runs wave by wave.

import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { openShop, type Shop, summaries } from "../support/plans.ts";
import { readCsv, readThroughAllManifests, readThroughManifest, type Row } from "../support/reader.ts";

const ORDERS = `  - name: orders
    table: orders
    mode: chunked
    chunk_column: id
    chunk_size: 100
    format: parquet
    destination: {type: local, path: "out/{export}/{date}"}
`;
const FRESH =
  "  - {name: fresh, table: orders, mode: incremental, cursor_column: at, format: parquet, destination: {type: local, path: out/fresh}}\n";
const USERS = "  - {name: users, table: users, format: csv, destination: {type: local, path: out/users}}\n";

const today = () => new Date().toISOString().slice(0, 10);

async function plan(shop: Shop, ...args: string[]): Promise<void> {
  const { code, stderr } = await shop.rivet("plan", "-c", "rivet.yaml", "-o", "plan.json", ...args);
  assert.equal(code, 0, stderr);
}

async function apply(shop: Shop, ...args: string[]) {
  const result = await shop.rivet("apply", "plan.json", "--json", "--progress", "none", ...args);
  assert.equal(result.code, 0, result.stderr);
  return { ...result, of: summaries(result.stdout) };
}

async function refused(shop: Shop, code: string, exit: number, ...args: string[]): Promise<string> {
  const before = (await shop.names()).filter((name) => name.startsWith("out"));
  for (let tries = 0; tries < 2; tries++) {
    const result = await shop.rivet("apply", "plan.json", ...args);
    assert.equal(result.code, exit, result.stderr);
    assert.match(result.stderr, new RegExp(`\\[${code}\\]`));
    assert.match(result.stderr, /cure: +\S/);
    if (tries === 1) {
      assert.deepEqual((await shop.names()).filter((name) => name.startsWith("out")), before);
      return result.stderr;
    }
  }
  throw new Error("unreachable");
}

const ids = (rows: readonly Row[]) => rows.map((row) => Number(row["id"])).sort((a, b) => a - b);
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

Deno.test("a plan is the only input of apply, is done whole, and is done once", async () => {
  await using shop = await openShop(ORDERS + USERS);
  await plan(shop);
  // The config may go: what was sealed counts.
  await Deno.remove(`${shop.path}/rivet.yaml`);
  const first = await apply(shop);
  assert.deepEqual(Object.values(first.of).map((one) => one["status"]), ["success", "success"]);
  assert.equal(first.of["orders"]!["slices"], 11);
  const folder = `${shop.path}/out/orders/${today()}`;
  assert.deepEqual(ids(await readThroughManifest(folder)), upTo(1000));
  assert.deepEqual((await readThroughManifest(`${shop.path}/out/users`)).map((row) => row["name"]), ["ada", "bob"]);
  const names = await shop.names();
  const again = await apply(shop);
  for (const [name, one] of Object.entries(again.of)) {
    assert.deepEqual([one["status"], one["answered_by_run"]], ["already_applied", first.of[name]!["run_id"]]);
  }
  const { success_count, failed_count, skipped_count } = JSON.parse(again.stdout);
  assert.deepEqual([success_count, failed_count, skipped_count], [0, 0, Object.keys(again.of).length]);
  assert.match(again.stderr, /^• orders +\w+ +already applied$/m);
  assert.deepEqual(await shop.names(), names);
  const context = (JSON.parse(again.stdout) as { apply_context: { plan_id: string } }).apply_context;
  assert.match(context.plan_id, /^[0-9a-f]{32}$/);
});

Deno.test("{date} is the day of apply unless the plan froze it", async () => {
  await using shop = await openShop(ORDERS);
  await plan(shop);
  assert.match(await shop.read("plan.json"), /out\/orders\/\{date\}/);
  await apply(shop);
  assert.equal((await readThroughManifest(`${shop.path}/out/orders/${today()}`)).length, 1000);
  await plan(shop, "--date", "2020-02-29");
  await apply(shop);
  assert.equal((await readThroughManifest(`${shop.path}/out/orders/2020-02-29`)).length, 1000);
});

Deno.test("an edited, cut, foreign or missing plan is refused before anything is done", async () => {
  await using shop = await openShop(ORDERS);
  await plan(shop);
  const text = await shop.read("plan.json");
  const broken = {
    "an edit": text.replace('"min": "1"', '"min": "2"'),
    "another table": text.replaceAll("table: orders", "table: users"),
    "a cut": text.slice(0, text.length >> 1),
    "an empty file": "",
    "other JSON": '{"exports": []}',
    "a config": await shop.read("rivet.yaml"),
    "a newer format": text.replace('"rivet_plan": 1', '"rivet_plan": 2'),
  };
  for (const [name, damaged] of Object.entries(broken)) {
    assert.notEqual(damaged, text, name);
    await shop.write("plan.json", damaged);
    await refused(shop, "RIVET_PLAN_ARTIFACT_INVALID", 1, "--force");
  }
  await Deno.remove(`${shop.path}/plan.json`);
  await refused(shop, "RIVET_CLI_INPUT_UNREADABLE", 1);
  const noConfig = await shop.rivet("apply", "nothing.yaml");
  assert.match(noConfig.stderr, /RIVET_CONFIG_FILE_UNREADABLE/);
  assert.deepEqual(await shop.names(), ["rivet.yaml", "shop.db"]);
});

Deno.test("a plan of yesterday is refused, and its cures work", async () => {
  await using shop = await openShop(ORDERS + FRESH);
  await plan(shop);
  const yesterday = new Date(Date.now() - 25 * 3_600_000).toISOString();
  await shop.reseal("plan.json", () => ({ created_at: yesterday }));
  const result = await shop.rivet("apply", "plan.json", "--json", "--progress", "none");
  assert.equal(result.code, 5, result.stderr);
  const of = summaries(result.stdout);
  assert.equal((of["orders"]!["error"] as { code: string }).code, "RIVET_PLAN_ARTIFACT_STALE");
  // An incremental plan is a description and does not grow old.
  assert.equal(of["fresh"]!["status"], "success");
  const forced = await apply(shop, "--force");
  assert.equal(forced.of["orders"]!["status"], "success");
  assert.deepEqual(
    (JSON.parse(forced.stdout) as { apply_context: { force_bypassed: string[] } }).apply_context.force_bypassed,
    ["staleness"],
  );
  assert.match(forced.stderr, /the plan is 1500 minutes old/);
});

Deno.test("an incremental plan runs from the cursor it was made with, then again and again", async () => {
  await using shop = await openShop(FRESH);
  await plan(shop);
  shop.sql("INSERT INTO orders VALUES (1001, '2026-02-01 00:00:00', 'after the plan')");
  const first = await apply(shop);
  // The window was sealed: what came later is for the next run.
  assert.deepEqual([first.of["fresh"]!["rows"], first.of["fresh"]!["cursor_high"]], [1000, "2026-01-01 16:40:00"]);
  const second = await apply(shop);
  assert.equal(second.of["fresh"]!["rows"], 1);
  assert.deepEqual(ids(await readThroughAllManifests(`${shop.path}/out/fresh`)), upTo(1001));
});

Deno.test("a cursor that another run moved stops the plan, also the first one; --force goes on from it", async () => {
  await using shop = await openShop(FRESH);
  await plan(shop);
  assert.equal((await shop.rivet("run", "-c", "rivet.yaml")).code, 0);
  const told = await refused(shop, "RIVET_PLAN_ARTIFACT_STALE", 5);
  assert.match(told, /the cursor was not set when planned and is '2026-01-01 16:40:00'/);
  shop.sql("INSERT INTO orders VALUES (1001, '2026-02-01 00:00:00', 'new')");
  const forced = await apply(shop, "--force");
  assert.equal(forced.of["fresh"]!["rows"], 1);
  const { apply_context: context } = JSON.parse(forced.stdout) as { apply_context: { force_bypassed: string[] } };
  assert.deepEqual(context.force_bypassed, ["cursor_drift"]);
  assert.deepEqual(ids(await readThroughAllManifests(`${shop.path}/out/fresh`)), upTo(1001));
});

Deno.test("columns that changed since the plan are judged before the first export", async () => {
  await using shop = await openShop(
    `${USERS}  - {name: strict, table: users, on_schema_drift: fail, format: csv, destination: {type: local, path: out/strict}}\n`,
  );
  await plan(shop);
  shop.sql("ALTER TABLE users ADD COLUMN mail TEXT");
  const result = await shop.rivet("apply", "plan.json", "--json", "--progress", "none");
  assert.equal(result.code, 4, result.stderr);
  const of = summaries(result.stdout);
  assert.equal((of["strict"]!["error"] as { code: string }).code, "RIVET_SCHEMA_DRIFT");
  assert.deepEqual([of["users"]!["status"], of["users"]!["schema_changed"]], ["success", true]);
  assert.match(String(of["users"]!["warnings"]), /The columns changed since they were planned: added mail/);
});

Deno.test("another source, other parameters and secrets that were left out are refused", async () => {
  await using shop = await openShop(
    "  - {name: users, query: \"SELECT * FROM users WHERE name <> '${SKIP}'\", format: csv, destination: {type: local, path: out}}\n",
  );
  await shop.write("rivet.yaml", (await shop.read("rivet.yaml")).replace("shop.db", "${DB}"));
  const given = ["-p", "SKIP=bob", "-p", "DB=shop.db"];
  await plan(shop, ...given);
  await Deno.copyFile(`${shop.path}/shop.db`, `${shop.path}/other.db`);
  await refused(shop, "RIVET_CONFIG_SECRET_UNSET", 1, "-p", "DB=shop.db");
  await refused(shop, "RIVET_PLAN_ARTIFACT_STALE", 5, "-p", "SKIP=ada", "-p", "DB=shop.db");
  await refused(shop, "RIVET_PLAN_ARTIFACT_STALE", 5, "-p", "SKIP=eve", "-p", "DB=shop.db", "--force");
  await apply(shop, ...given);
  const [file] = (await shop.names()).filter((name) => name.endsWith(".csv"));
  assert.deepEqual((await readCsv(`${shop.path}/${file}`)).map((row) => row["name"]), ["ada"]);
  // The identity is compared as the plan may tell it: with the values that were filled in left out.
  await shop.reseal("plan.json", (was) => ({ source: { ...was.source, identity: "sqlite:/elsewhere/shop.db" } }));
  await refused(shop, "RIVET_PLAN_ARTIFACT_FOREIGN", 5, ...given);
  await shop.reseal("plan.json", (was) => ({ config: { ...was.config, redacted: ["source.password"] } }));
  await refused(shop, "RIVET_PLAN_ARTIFACT_NO_CREDENTIALS", 1, ...given);
});

Deno.test("an interrupted run of another origin has to be finished first, and then the plan is applied", async () => {
  await using shop = await openShop(ORDERS);
  // The third file cannot be written, so that two chunks are committed.
  await plan(shop);
  const slow = (await shop.read("rivet.yaml")).replace(
    "chunk_size: 100",
    "chunk_size: 100\n    tuning: {max_value_mb: 1, max_retries: 0}",
  );
  shop.sql("UPDATE orders SET note = hex(zeroblob(1000000)) WHERE id = 500");
  await shop.write("rivet.yaml", slow);
  assert.equal((await shop.rivet("run", "-c", "rivet.yaml")).code, 1);
  await refused(shop, "RIVET_STATE_CHUNK_RUN_UNFINISHED", 5);
  shop.sql("UPDATE orders SET note = 'short' WHERE id = 500");
  assert.equal((await shop.rivet("run", "-c", "rivet.yaml")).code, 0);
  assert.equal((await apply(shop)).of["orders"]!["status"], "success");
  assert.deepEqual(ids(await readThroughManifest(`${shop.path}/out/orders/${today()}`)), upTo(1000));
});

Deno.test("partitions are sealed one by one", async () => {
  await using shop = await openShop(
    '  - {name: days, table: visits, partition_by: at, format: csv, destination: {type: local, path: "out/{partition}"}}\n',
  );
  shop.sql(`CREATE TABLE visits (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL);
    INSERT INTO visits SELECT id, at FROM orders; INSERT INTO visits VALUES (1001, '2026-01-03 00:00:00')`);
  const planned = await shop.rivet("plan", "-c", "rivet.yaml", "-o", "plan.json");
  assert.equal(planned.code, 0, planned.stderr);
  // A partition that did not exist when planned is not part of the plan.
  shop.sql("INSERT INTO visits VALUES (1002, '2026-01-04 00:00:00')");
  const { of } = await apply(shop);
  assert.deepEqual(Object.entries(of).map(([name, one]) => [name, one["rows"]]), [
    ["days__2026-01-01", 1000],
    ["days__2026-01-02", 0],
    ["days__2026-01-03", 1],
  ]);
  const again = await apply(shop);
  assert.ok(Object.values(again.of).every((one) => one["status"] === "already_applied"));
});

const WAVES = ["b", "a", "c"].map((name, i) =>
  `  - {name: ${name}, table: users, wave: ${
    [2, 1, 1][i]
  }, format: csv, destination: {type: local, path: out/${name}}}\n`
).join("");

Deno.test("a config runs wave by wave, unscheduled exports last, and a failure stops nobody else", async () => {
  await using shop = await openShop(
    `${
      WAVES.replace("table: users, wave: 1", "table: gone, wave: 1")
    }  - {name: d, table: users, format: csv, destination: {type: local, path: out/d}}\n`,
  );
  const { code, stdout, stderr } = await shop.rivet("apply", "rivet.yaml", "--summary-output", "s.json");
  assert.equal(code, 1, stderr);
  assert.equal(
    stdout,
    "── wave 1 · 2 export(s) ──\n── wave 2 · 1 export(s) ──\n── unscheduled · 1 export(s) ──\n",
  );
  const of = summaries(await shop.read("s.json"));
  assert.deepEqual(Object.entries(of).map(([name, one]) => [name, one["status"]]), [
    ["a", "failed"],
    ["c", "success"],
    ["b", "success"],
    ["d", "success"],
  ]);
});

Deno.test("where no wave is written apply works them out, and --resume leaves out what is complete", async () => {
  await using shop = await openShop(
    `${ORDERS}${USERS}  - {name: gone, table: gone, format: csv, destination: {type: local, path: out/gone}}\n`,
  );
  const config = await shop.read("rivet.yaml");
  const first = await shop.rivet("apply", "rivet.yaml", "--json", "--progress", "none", "--parallel-export-processes");
  assert.equal(first.code, 1, first.stderr);
  const of = summaries(first.stdout);
  assert.deepEqual(Object.entries(of).map(([name, one]) => [name, one["status"]]), [
    ["users", "success"],
    ["orders", "success"],
    ["gone", "failed"],
  ]);
  assert.equal(await shop.read("rivet.yaml"), config);
  shop.sql("CREATE TABLE gone (x INTEGER)");
  const second = await shop.rivet("apply", "rivet.yaml", "--json", "--progress", "none", "--resume");
  assert.equal(second.code, 0, second.stderr);
  const left = summaries(second.stdout);
  assert.deepEqual(["users", "orders", "gone"].map((name) => left[name]!["status"]), ["skipped", "skipped", "success"]);
});

Deno.test("nothing that apply leaves behind holds a parameter or a secret of the environment", async () => {
  const env = { TOKEN: "zz-env-zz" };
  await using shop = await openShop(
    "  - {name: users, query: \"SELECT * FROM users WHERE name <> '${P}' AND name <> '${TOKEN}'\", format: csv, destination: {type: local, path: out}}\n",
    { env },
  );
  await plan(shop, "-p", "P=zz-param-zz");
  const { stdout, stderr } = await apply(shop, "-p", "P=zz-param-zz");
  assert.doesNotMatch(stdout + stderr, /zz-/);
  const found = await new Deno.Command("grep", { args: ["-rlaE", "zz-(env|param)-zz", "."], cwd: shop.path }).output();
  assert.equal(new TextDecoder().decode(found.stdout), "");
});

Deno.test("the report of an applied plan lies beside the plan, that of an applied config beside the config", async () => {
  await using shop = await openShop(USERS);
  const planned = await shop.rivet("plan", "-c", "rivet.yaml", "-o", "plans/today.json");
  assert.equal(planned.code, 0, planned.stderr);
  const reports = async () => (await shop.names()).filter((name) => name.endsWith("/summary.md"));
  const applied = await shop.rivet("apply", "plans/today.json", "--progress", "none");
  assert.equal(applied.code, 0, applied.stderr);
  const [beside, ...others] = await reports();
  assert.match(beside ?? "", /^plans\/\.rivet\/runs\/users_[^/]+\/summary\.md$/);
  assert.deepEqual(others, []);
  assert.ok(applied.stderr.includes(`report: ${shop.path}/${beside}\n`), applied.stderr);
  assert.equal((await shop.rivet("apply", "rivet.yaml")).code, 0);
  const added = (await reports()).filter((name) => name !== beside);
  assert.match(added.join(), /^\.rivet\/runs\/users_[^/]+\/summary\.md$/);
});

Deno.test("two processes apply one plan: one does it, the other waits and answers with its run", async () => {
  await using shop = await openShop(ORDERS);
  await plan(shop);
  const both = await Promise.all([apply(shop), apply(shop)]);
  const [applied, answered] = both.map(({ of }) => of["orders"]!)
    .sort((a, b) => String(b["status"]).localeCompare(String(a["status"])));
  assert.deepEqual([applied!["status"], answered!["status"]], ["success", "already_applied"]);
  assert.equal(answered!["answered_by_run"], applied!["run_id"]);
  assert.deepEqual(ids(await readThroughManifest(`${shop.path}/out/orders/${today()}`)), upTo(1000));
});

Deno.test("apply explains itself", async () => {
  const { code, stdout } = await runCli(["apply", "--help"]);
  assert.equal(code, 0);
  assert.match(stdout, /Examples:[^]*rivet apply rivet\.yaml --resume/);
  const none = await runCli(["apply"]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /RIVET_CLI_VALUE_INVALID/);
});
