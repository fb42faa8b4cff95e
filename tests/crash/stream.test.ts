// A read that fails after bytes have left: a folder gets it again, standard output does not.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { RivetError } from "../../src/errors.ts";
import type { RunEvent } from "../../src/report/mod.ts";
import { runEngine } from "../support/engine.ts";
import { Faults } from "../support/faults.ts";
import { join, temporaryFolder } from "../support/files.ts";

/** The connection is lost once, when all rows of a slice have been read. */
class LostOnce extends Faults {
  reads = 0;

  constructor() {
    super(0, "fail");
  }

  override point(name: string): void {
    if (name !== "source.read after" || ++this.reads > 1) return;
    throw new RivetError("RIVET_SOURCE_CONNECTION_LOST", "The connection broke", { retry: "reconnect" });
  }
}

async function runOnce(destination: string): Promise<{ status: string; reads: number; warnings: string[] }> {
  await using folder = await temporaryFolder();
  {
    using db = new DatabaseSync(join(folder.path, "shop.db"));
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
  }
  const configPath = join(folder.path, "rivet.yaml");
  await Deno.writeTextFile(
    configPath,
    `source: {type: sqlite, path: shop.db}
exports:
  - {name: t, table: t, mode: full, format: csv, compression: none, csv: {header: false}, destination: ${destination}}
`,
  );
  const faults = new LostOnce();
  const events: RunEvent[] = [];
  const summary = await runEngine({ configPath, faults, onEvent: (event) => events.push(event) });
  const warnings = events.flatMap((event) =>
    event.kind === "warning" && event.context === "destination" ? [event.message] : []
  );
  return { status: summary.per_export[0]!.status, reads: faults.reads, warnings };
}

Deno.test("a lost connection is read again into a folder", async () => {
  assert.deepEqual(await runOnce("{type: local, path: out}"), { status: "success", reads: 2, warnings: [] });
});

Deno.test("a lost connection is not read again into standard output, and the reason is told", async () => {
  assert.deepEqual(await runOnce("{type: stdout}"), {
    status: "failed",
    reads: 1,
    warnings: ["it cannot take back what was written: the failed read is not tried again"],
  });
});
