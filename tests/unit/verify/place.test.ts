import assert from "node:assert/strict";
import type { Export } from "../../../src/config/mod.ts";
import type { DestinationInput, ResolvedDestination } from "../../../src/destination/mod.ts";
import { findPlaces, type PlaceQuestion } from "../../../src/verify/mod.ts";
import { openMemory } from "../../support/exported.ts";

const QUESTION: PlaceQuestion = { date: "2026-04-18", runId: null, prefix: null, directory: "/conf", partitions: [] };
const ENV = { env: () => undefined };

function entry(destination: DestinationInput, isPartitioned: boolean): Export {
  const partition = isPartitioned ? { column: "day", granularity: "month" } : null;
  return { name: "orders", destination, partition } as unknown as Export;
}

function s3(prefix: string): DestinationInput {
  return {
    kind: "s3",
    bucket: "b",
    prefix,
    region: "eu-west-1",
    endpoint: null,
    accessKeyEnv: null,
    secretKeyEnv: null,
    sessionTokenEnv: null,
    profile: null,
    allowAnonymous: true,
    oneshotBudgetMb: 64,
  };
}

/** Places by name, with their prefix or path; and what was listed. */
async function find(destination: DestinationInput, keys: readonly string[], question: Partial<PlaceQuestion> = {}) {
  const listed: string[] = [];
  const pathOf = (location: ResolvedDestination) =>
    location.kind === "stdout" ? "" : location.kind === "local" ? location.path : location.prefix;
  const places = await findPlaces(
    entry(destination, JSON.stringify(destination).includes("{partition}")),
    { ...QUESTION, ...question },
    ENV,
    (location) => {
      listed.push(pathOf(location));
      return Promise.resolve(openMemory(new Map(keys.map((key) => [key, new Uint8Array()]))));
    },
  );
  return { places: places.map((p) => [p.unitName, pathOf(p.location), p.isFound]), listed };
}

Deno.test("an export without partitions lies at one place, its placeholders filled in", async () => {
  const { places, listed } = await find(s3("x/{export}/{date}/{run_id}"), [], { runId: "r1" });
  assert.deepEqual(places, [["orders", "x/orders/2026-04-18/r1/", true]]);
  assert.deepEqual(listed, []);
});

Deno.test("partitions are the folders that fit the place of the placeholder", async () => {
  const keys = [
    "day=2026-01/p/a.csv",
    "day=2026-02/p/_SUCCESS",
    "day=2026-03/other/a.csv",
    "xday=2026-04/p/a",
    "day=__HIVE_DEFAULT_PARTITION__/p/a",
  ];
  const { places, listed } = await find(s3("t+/day={partition}/p"), keys);
  assert.deepEqual(listed, ["t+/"]);
  assert.deepEqual(places, [
    ["orders__2026-01", "t+/day=2026-01/p/", true],
    ["orders__2026-02", "t+/day=2026-02/p/", true],
    ["orders__null", "t+/day=__HIVE_DEFAULT_PARTITION__/p/", true],
  ]);
});

Deno.test("a placeholder that stands twice means one partition, and one that is remembered is looked for", async () => {
  const local: DestinationInput = { kind: "local", path: "/out/{partition}/x_{partition}", written: "" };
  const { places } = await find(local, ["2026/x_2026/a", "2025/x_2024/a"], { partitions: ["2026", "2027"] });
  assert.deepEqual(places, [
    ["orders__2026", "/out/2026/x_2026", true],
    ["orders__2027", "/out/2027/x_2027", false],
  ]);
});

Deno.test("--prefix takes the place of what the config says; a relative folder starts at the config", async () => {
  const local: DestinationInput = { kind: "local", path: "/out/{partition}", written: "" };
  assert.deepEqual((await find(local, [], { prefix: "old" })).places, [["orders", "/conf/old", true]]);
  assert.deepEqual((await find(local, [], { prefix: "/abs" })).places, [["orders", "/abs", true]]);
  assert.deepEqual((await find(s3("x"), [], { prefix: "y" })).places, [["orders", "y/", true]]);
  assert.deepEqual((await find({ kind: "stdout" }, [])).places, []);
});
