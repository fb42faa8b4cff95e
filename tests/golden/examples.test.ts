// Every file in examples/ is a config that this version accepts, and says how to run it.

import assert from "node:assert/strict";
import { readConfig } from "../../src/config/mod.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { fromFileUrl, join } from "../support/files.ts";

const FOLDER = fromFileUrl(new URL("../../examples", import.meta.url));

/** What the examples say must be in the environment or given with -p. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PGPASSWORD_RIVET: "secret",
  SHOP_URL: "postgresql://exporter:secret@localhost/shop",
  SHOP_MYSQL_URL: "mysql://exporter:secret@localhost/shop",
  AWS_KEY_ID: "id",
  AWS_SECRET: "secret",
};
const PARAMS = { TEAM: "analytics" };

const names = [...Deno.readDirSync(FOLDER)].map((entry) => entry.name).filter((name) => name.endsWith(".yaml")).sort();
assert.ok(names.length >= 5);

for (const name of names) {
  Deno.test(`examples/${name} is accepted as it stands`, async () => {
    const path = join(FOLDER, name);
    const runtime = { ...systemRuntime(), env: (key: string) => ENVIRONMENT[key] };
    const text = await Deno.readTextFile(path);
    assert.match(text, new RegExp(`^#   rivet run -c examples/${name}`, "m"));
    const params = text.includes("${TEAM}") ? PARAMS : {};
    const config = await readConfig(path, { params, runtime });
    assert.deepEqual(config.warnings, []);
    assert.ok(config.exports.length > 0);
    const connection = await config.source.resolveConnection();
    assert.equal(connection.engine, config.source.engine);
  });
}
