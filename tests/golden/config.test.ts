// Every `config/<case>.yaml` is read, and what comes of it is compared with `<case>.expected`: the error as all commands report it, or a
// digest of the config: what differs from the defaults, and the connection or the error that making one would end in.
// A first line `# env: A=1 B=2` or `# param: A=1` gives values to `${…}`. `UPDATE_GOLDEN=1` writes what came out; read the difference.

import assert from "node:assert/strict";
import { toErrorReport } from "../../src/errors.ts";
import { type Config, type Export, readConfig } from "../../src/config/mod.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { fromFileUrl, join } from "../support/files.ts";

const FOLDER = fromFileUrl(new URL("config", import.meta.url));
const BASELINE = "good_minimal";

const cases = [...Deno.readDirSync(FOLDER)].filter(({ name }) => name.endsWith(".yaml"))
  .map(({ name }) => name.slice(0, -".yaml".length)).sort();

async function read(name: string): Promise<Config> {
  const header = (await Deno.readTextFile(join(FOLDER, `${name}.yaml`))).split("\n");
  const values = (key: string) =>
    Object.fromEntries(
      header.filter((line) => line.startsWith(`# ${key}: `))
        .flatMap((line) =>
          line.slice(key.length + 4).split(" ").map((pair) => [...pair.split(/=(.*)/s), ""].slice(0, 2))
        ),
    ) as Record<string, string>;
  const env = values("env");
  return await readConfig(join(FOLDER, `${name}.yaml`), {
    params: values("param"),
    runtime: { ...systemRuntime(), env: (key) => env[key] },
  });
}

async function report(name: string, defaults: Export): Promise<string> {
  let config: Config;
  try {
    config = await read(name);
  } catch (error) {
    return format({ error: toErrorReport(error) });
  }
  const { source } = config;
  const connection = await source.resolveConnection().then(
    (resolved) => ({
      connection: "password" in resolved ? { ...resolved, password: resolved.password && "(set)" } : resolved,
    }),
    (error) => ({ connection_error: toErrorReport(error) }),
  );
  return format({
    source: {
      engine: source.engine,
      environment: source.environment,
      zeroDates: source.zeroDates,
      redacted: source.redacted,
      ...connection,
    },
    identity: "connection" in connection ? source.identity : null,
    exports: config.exports.map((entry) => difference(entry, defaults)),
    ...(config.parallelExports ? { parallelExports: true } : {}),
    warnings: config.warnings,
  });
}

/** What differs from a minimal export; its name and place always. */
function difference(entry: Export, defaults: Export): Record<string, unknown> {
  const always = new Set(["name", "where", "from", "destination"]);
  const differs = Object.entries(entry).filter(([key, value]) =>
    always.has(key) || JSON.stringify(value) !== JSON.stringify(defaults[key as keyof Export])
  );
  return Object.fromEntries(
    differs.map(([key, value]) => key === "tuning" ? [key, pickChanged(entry.tuning, defaults.tuning)] : [key, value]),
  );
}

function pickChanged(value: object, defaults: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key, inner]) => inner !== Reflect.get(defaults, key)));
}

function format(value: unknown): string {
  return `${JSON.stringify(value, null, 2).replaceAll(FOLDER, "<folder>")}\n`;
}

Deno.test("the folder of configs holds good ones and a hundred bad ones", () => {
  assert.ok(cases.filter((name) => name.startsWith("bad_")).length >= 100);
  assert.ok(cases.filter((name) => name.startsWith("good_")).length >= 15);
});

for (const name of cases) {
  Deno.test(`the config ${name} gives what is expected of it`, async () => {
    const found = await report(name, (await read(BASELINE)).exports[0]!);
    const path = join(FOLDER, `${name}.expected`);
    if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(path, found);
    assert.equal(found, await Deno.readTextFile(path));
    assert.equal(found.startsWith('{\n  "error"'), name.startsWith("bad_"), "a name begins with good_ or bad_");
    assert.doesNotMatch(found, /hunter2/, "no secret is shown");
  });
}
