// The same enumeration of effects with the state on a PostgreSQL server: the process dies at the n-th, the next one ends its run.
// All the exports of one mode share one state, so that what earlier ones left there must not disturb the later ones either.

import assert from "node:assert/strict";
import { breakAt, MODES } from "../support/crash_modes.ts";
import { openPostgresServer, withDatabase } from "../support/postgres.ts";
import { urlOf } from "../support/state.ts";

const server = await openPostgresServer(18);

/** The modes whose calls of the state differ; the others repeat one of these, or many times over, and meet each fifth effect. */
const EACH_EFFECT = [
  "full",
  "chunked by range",
  "incremental",
  "incremental in the middle of a tie",
  "full over the set of an earlier run",
];
const isWhole = Deno.env.get("RIVET_TEST_EACH_EFFECT") === "true";

for (const mode of MODES) {
  const step = isWhole || EACH_EFFECT.includes(mode.name) ? 1 : 5;
  const which = step === 1 ? "every effect" : "each fifth effect";
  const name = `${mode.name} with its state on PostgreSQL survives a kill at ${which}`;
  Deno.test({ name, ignore: server === null }, () =>
    withDatabase(server!, async (database) => {
      const url = urlOf(database);
      let at = 1;
      while (await breakAt(mode, "csv", "kill", at, url)) at += step;
      assert.ok(at >= 20, `only effects before ${at} were reached`);
    }));
}
