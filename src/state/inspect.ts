// Whether a run could use the state: it is opened as a run would open it and proved writable, but never migrated and never created.

import { dirname } from "node:path";
import { RivetError } from "../errors.ts";
import type { Db } from "./db.ts";
import { checkVersion, isNewest, readVersion } from "./migrations.ts";
import { hasContent, openDb, type OpenStateOptions, parsePlace, refuseToLeaveBehind } from "./open.ts";

export interface StateInspection {
  /** A path, or a URL without secrets. */
  readonly location: string;
  /** `absent`: the next run makes it. `older`: the next run migrates it. */
  readonly condition: "current" | "older" | "absent";
}

export async function inspectState(options: Omit<OpenStateOptions, "readOnly">): Promise<StateInspection> {
  const place = parsePlace(options.url, options.directory);
  await refuseToLeaveBehind(place, options.directory);
  if (place.kind === "sqlite" && place.path !== ":memory:" && !await hasContent(place.path)) {
    await proveFolder(place.path);
    return { location: place.path, condition: "absent" };
  }
  await using db = await openDb(place, options.now ?? Date.now);
  const version = await readVersion(db);
  if (version === null) {
    await proveTables(db);
    return { location: db.location, condition: "absent" };
  }
  checkVersion(version, db.location);
  await proveRows(db);
  return { location: db.location, condition: isNewest(version) ? "current" : "older" };
}

/** The state's file, its log and its locks come and go in this folder. */
async function proveFolder(path: string): Promise<void> {
  const probe = `${path}.doctor-${crypto.randomUUID().slice(0, 8)}`;
  try {
    await Deno.writeTextFile(probe, "", { createNew: true });
    await Deno.remove(probe);
  } catch (cause) {
    throw new RivetError("RIVET_STATE_NOT_WRITABLE", `The folder '${dirname(path)}' cannot be written`, {
      where: path,
      cause,
    });
  }
}

class Undone extends Error {}

async function proveTables(db: Db): Promise<void> {
  try {
    await db.transaction(async (sql) => {
      await sql.run("CREATE TABLE rivet_doctor_probe (x integer)");
      throw new Undone();
    });
  } catch (error) {
    if (!(error instanceof Undone)) throw error;
  }
}

/** Statements that need the rights and change nothing. */
async function proveRows(db: Db): Promise<void> {
  for (const table of ["export_state", "chunk_run", "export_metrics"]) {
    await db.run(`INSERT INTO ${table} SELECT * FROM ${table} WHERE 1 = 0`);
    await db.run(`UPDATE ${table} SET export_name = export_name WHERE 1 = 0`);
    await db.run(`DELETE FROM ${table} WHERE 1 = 0`);
  }
}
