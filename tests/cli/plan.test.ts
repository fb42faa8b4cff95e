// `rivet plan`: what it prints, what it seals, and that it writes nothing else.

import assert from "node:assert/strict";
import { parseArtifact } from "../../src/plan/mod.ts";
import { openShop } from "../support/plans.ts";

const EXPORTS = `  # the big one
  - name: orders
    table: orders
    mode: chunked
    chunk_column: id
    chunk_size: 100
    format: parquet
    destination: {type: local, path: "out/{export}/{date}"}
  - {name: users, query: "SELECT * FROM users WHERE name <> '\${SKIP}'", format: csv, destination: {type: local, path: out/users}}
  - {name: fresh, table: orders, mode: incremental, cursor_column: at, format: parquet, destination: {type: local, path: out/fresh}}
`;
const SKIP = ["-p", "SKIP=zz-param-zz"];

Deno.test("plan shows exports in the order of their waves, and leaves the folder as it was", async () => {
  await using shop = await openShop(EXPORTS);
  const config = await shop.read("rivet.yaml");
  const { code, stdout, stderr } = await shop.rivet("plan", "-c", "rivet.yaml", ...SKIP);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /WAVE +EXPORT +STRATEGY/);
  assert.match(stdout, /orders +chunked: chunked\(id, size=100\) +11 +~?1,000 +snapshot +1/);
  assert.match(stdout, /fresh +incremental: incremental\(at\)/);
  assert.match(stdout, /orders: read \S+out\/orders\/\{date\}, \S+; write \S+out\/orders\/\{date\}/);
  assert.match(
    stdout,
    /Next: rivet plan -c rivet\.yaml -p SKIP=… -o plan\.json, then rivet apply plan\.json -p SKIP=…/,
  );
  assert.deepEqual(await shop.names(), ["rivet.yaml", "shop.db"]);
  assert.equal(await shop.read("rivet.yaml"), config);
});

Deno.test("a single export is shown in full, its chunks summed up", async () => {
  await using shop = await openShop(EXPORTS);
  const { code, stdout, stderr } = await shop.rivet(
    ...["plan", "-c", "rivet.yaml", "-e", "orders", "--sample", "50", "--date", "2026-04-18", ...SKIP],
  );
  assert.equal(code, 0, stderr);
  for (
    const line of [
      /^Plan ID: +[0-9a-f]{32}$/m,
      /^\{date\}: +2026-04-18, frozen$/m,
      /^Strategy: +chunked: chunked\(id, size=100\)$/m,
      /^Fingerprint: +[0-9a-f]{16}$/m,
      /^Chunks: +11$/m,
      /^Row est\.: +~1,000 /m,
      /^Consistency: +snapshot: all rows of one moment$/m,
      /^Lanes: +1; each may reach read .*out\/orders\/2026-04-18.*, and nothing else$/m,
      /^Verdict: +ACCEPTABLE/m,
      /^Resources: +~\d+ MB of memory, ~\d+ B a row, 50 rows sampled, ~[\d.]+ KB of files$/m,
      /^Priority: +\d+ \(medium\), wave \d, cost low, risk low$/m,
      /^ {2}start … 101\n {2}101 … 201$/m,
      /^ {2}and 6 more$/m,
    ]
  ) assert.match(stdout, line);
});

Deno.test("one file holds the plan of all exports, whichever way it is asked for", async () => {
  await using shop = await openShop(EXPORTS);
  const sealed = await shop.rivet("plan", "-c", "rivet.yaml", "--format", "json", "-o", "plan.json", ...SKIP);
  assert.deepEqual([sealed.code, sealed.stdout], [0, ""], sealed.stderr);
  const shown = await shop.rivet("plan", "-c", "rivet.yaml", "--output", "second.json", ...SKIP);
  assert.match(shown.stdout, /WAVE/);
  const printed = await shop.rivet("plan", "-c", "rivet.yaml", "--json", ...SKIP);
  for (const text of [await shop.read("plan.json"), await shop.read("second.json"), printed.stdout]) {
    const plan = parseArtifact(text, "plan.json");
    assert.deepEqual(plan.exports.map((one) => one.export_name), ["orders", "users", "fresh"]);
    assert.deepEqual(plan.exports.map((one) => one.strategy), ["chunked", "full", "incremental"]);
    assert.deepEqual(plan.parameters, ["SKIP"]);
    assert.equal(plan.exports[2]!.computed.cursor_high, "2026-01-01 16:40:00");
    assert.doesNotMatch(text, /zz-param-zz|the big one/);
  }
  assert.deepEqual(await shop.names(), ["plan.json", "rivet.yaml", "second.json", "shop.db"]);
});

Deno.test("annotating writes the waves and nothing else", async () => {
  await using shop = await openShop(EXPORTS);
  const before = await shop.read("rivet.yaml");
  const refused = await shop.rivet("plan", "-c", "rivet.yaml", "-e", "users", "--annotate-waves", ...SKIP);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /RIVET_CLI_VALUE_INVALID.*--annotate-waves/);
  const { code, stderr } = await shop.rivet("plan", "-c", "rivet.yaml", "--annotate-waves", ...SKIP);
  assert.equal(code, 0, stderr);
  const after = await shop.read("rivet.yaml");
  assert.match(after, /# the big one\n {2}- name: orders\n {4}wave: \d\n {4}parallel_safe: true\n {4}table: orders\n/);
  assert.match(after, /\{name: users, wave: \d, parallel_safe: false, query: "SELECT/);
  assert.equal(after.replace(/( {4}|, )(wave: \d|parallel_safe: (true|false))\n?/g, ""), before);
  assert.equal((await shop.rivet("check", "-c", "rivet.yaml", ...SKIP)).code, 0);
});

Deno.test("a plan that cannot be made whole is not made", async () => {
  await using shop = await openShop(
    `${EXPORTS}  - {name: gone, table: gone, format: csv, destination: {type: local, path: out/gone}}
  - {name: lost, table: lost, format: csv, destination: {type: local, path: out/lost}}
`,
  );
  const { code, stdout, stderr } = await shop.rivet("plan", "-c", "rivet.yaml", "-o", "plan.json", ...SKIP);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /RIVET_SOURCE_TABLE_NOT_FOUND[^]*'gone'/);
  assert.match(stderr, /'lost'/);
  assert.deepEqual(await shop.names(), ["rivet.yaml", "shop.db"]);
  await Deno.remove(`${shop.path}/shop.db`);
  const unreadable = await shop.rivet("plan", "-c", "rivet.yaml", "-e", "users", "-o", "plan.json", ...SKIP);
  assert.equal(unreadable.code, 1);
  assert.match(unreadable.stderr, /\[RIVET_SOURCE_/);
  assert.deepEqual(await shop.names(), ["rivet.yaml"]);
});

Deno.test("arguments that make no sense are refused by name", async () => {
  await using shop = await openShop(EXPORTS);
  for (
    const [args, message] of [
      [["--date", "2026-02-30"], /'--date 2026-02-30' is not a day/],
      [["--date", "today"], /is not a day/],
      [["--sample", "0"], /`--sample` is 0/],
      [["--sample", "many"], /'many' is not a whole number/],
      [["--format", "xml"], /pretty, json/],
      [["-e", "nobody"], /RIVET_CLI_EXPORT_UNKNOWN/],
    ] as [string[], RegExp][]
  ) {
    const { code, stderr } = await shop.rivet("plan", "-c", "rivet.yaml", ...SKIP, ...args);
    assert.equal(code, 1, stderr);
    assert.match(stderr, message);
  }
  const unwritable = await shop.rivet("plan", "-c", "rivet.yaml", ...SKIP, "-o", "shop.db/plan.json");
  assert.equal(unwritable.code, 1);
  assert.match(unwritable.stderr, /RIVET_CLI_OUTPUT_UNWRITABLE/);
  const help = await shop.rivet("plan", "--help");
  assert.match(help.stdout, /Examples:[^]*rivet apply plan\.json/);
});

Deno.test("an export to standard output is sealed alone, and its plan streams it", async () => {
  await using shop = await openShop(
    `  - {name: rows, table: users, format: csv, destination: {type: stdout}}
  - {name: users, table: users, format: csv, destination: {type: local, path: out}}
`,
  );
  assert.equal((await shop.rivet("plan", "-c", "rivet.yaml")).code, 0);
  const refused = await shop.rivet("plan", "-c", "rivet.yaml", "-o", "plan.json");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /RIVET_PLAN_REJECTED[^]*cure: +Seal it alone: `-e rows`/);
  assert.equal((await shop.rivet("plan", "-c", "rivet.yaml", "-e", "rows", "-o", "plan.json")).code, 0);
  const applied = await shop.rivet("apply", "plan.json");
  assert.equal(applied.code, 0, applied.stderr);
  assert.equal(applied.stdout.replaceAll("\r", ""), "id,name\n1,ada\n2,bob\n");
});
