// The n-th effect fails, or the process dies there; then the same command again; n + 1, until nothing is left to break, in every mode.

import assert from "node:assert/strict";
import { breakAt, MODES } from "../support/crash_modes.ts";

for (const mode of MODES) {
  for (const format of ["parquet", "csv"]) {
    for (const kind of ["fail", "kill"] as const) {
      // The format touches no effect: each meets one kind of fault in every mode, and both in the two modes that differ most.
      const isBoth = mode.name === "chunked by range" || mode.name === "incremental";
      if (!isBoth && (format === "csv") !== (kind === "fail")) continue;
      Deno.test(`${mode.name} to ${format} survives a ${kind} at every effect`, async () => {
        let points = 0;
        while (await breakAt(mode, format, kind, points + 1)) points++;
        assert.ok(points >= 20, `only ${points} points were reached`);
      });
    }
  }
}
