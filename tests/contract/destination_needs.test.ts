// The rights that `destinationNeeds` names are enough for the program around the lanes.

import assert from "node:assert/strict";
import { destinationNeeds, type ResolvedDestination } from "../../src/destination/mod.ts";
import { openBackends } from "../support/destinations.ts";

const { backends, absent, close } = await openBackends();
Deno.test.afterAll(close);
for (const name of absent) Deno.test({ name: `rights for ${name}`, ignore: true, fn() {} });

/** The same place with its secrets in variables. */
function hide(location: ResolvedDestination): { location: ResolvedDestination; env: Record<string, string> } {
  if (location.kind === "s3" && location.auth.kind === "keys") {
    const env = { RIVET_KEY: location.auth.accessKeyId, RIVET_SECRET: location.auth.secretAccessKey };
    const auth = {
      kind: "env" as const,
      accessKeyEnv: "RIVET_KEY",
      secretKeyEnv: "RIVET_SECRET",
      sessionTokenEnv: null,
    };
    return { location: { ...location, auth }, env };
  }
  if (location.kind === "azure" && location.auth.kind === "key") {
    return {
      location: { ...location, auth: { kind: "key_env", name: "RIVET_KEY" } },
      env: { RIVET_KEY: location.auth.key },
    };
  }
  return { location, env: {} };
}

function flag(name: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [`--allow-${name}=${values.join(",")}`];
}

for (const backend of backends) {
  Deno.test(`${backend.name}: the program writes with exactly the rights that are named`, async () => {
    await using place = await backend.open();
    const { location, env } = hide(place.location);
    const home = Deno.env.get("HOME") ?? "/";
    const needs = destinationNeeds(location, home);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-check",
        "--no-prompt",
        "--ignore-env",
        ...flag("net", needs.net),
        ...flag("env", [...needs.env, "RIVET_TEST_LOCATION"]),
        ...flag("read", needs.read),
        ...flag("write", needs.write),
        ...flag("sys", needs.sys),
        new URL("../support/put_child.ts", import.meta.url).pathname,
      ],
      env: { ...env, RIVET_TEST_LOCATION: JSON.stringify(location), NO_COLOR: "1" },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.equal(new TextDecoder().decode(stdout), "key\n");
  });
}
