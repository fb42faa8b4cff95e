// Opens the state that a config uses. What cannot be used is refused by name: no other place is ever taken in its stead.

import { isAbsolute, join } from "node:path";
import { RivetError } from "../errors.ts";
import { count, type Db, first } from "./db.ts";
import { isNewest, isOwn, migrate, readVersion } from "./migrations.ts";
import { openSqlite } from "./sqlite.ts";
import type { State } from "./state.ts";
import { makeState } from "./store.ts";

export interface OpenStateOptions {
  /** The value of RIVET_STATE_URL; undefined = the file beside the config. */
  readonly url: string | undefined;
  /** Absolute folder of the config. */
  readonly directory: string;
  /** Looks only: makes no file, migrates nothing. @default false */
  readonly readOnly?: boolean;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

export const STATE_FILE = ".rivet_state.db";

export type Place = { readonly kind: "sqlite"; readonly path: string } | {
  readonly kind: "postgres";
  readonly url: URL;
  readonly named: PlaceName;
};

/** What a place was named by: the thing at fault when it cannot be used. */
export type PlaceName = "RIVET_STATE_URL" | "--to";

export async function openState(options: OpenStateOptions): Promise<State> {
  const now = options.now ?? Date.now;
  const place = parsePlace(options.url, options.directory);
  await refuseToLeaveBehind(place, options.directory);
  const db = options.readOnly === true ? await openForReading(place, now) : await openDb(place, now);
  try {
    if (options.readOnly !== true) await migrate(db, now());
    return makeState(db, now);
  } catch (error) {
    await db[Symbol.asyncDispose]();
    throw error;
  }
}

/** Where a URL points; relative paths start at the config's folder. */
export function parsePlace(
  url: string | undefined,
  directory: string,
  named: PlaceName = "RIVET_STATE_URL",
): Place {
  if (url === undefined) return { kind: "sqlite", path: join(directory, STATE_FILE) };
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(url)?.[1]?.toLowerCase();
  if (scheme === "postgres" || scheme === "postgresql") return { kind: "postgres", url: parseUrl(url, named), named };
  if (scheme === "sqlite") {
    const path = url.slice("sqlite:".length).replace(/^\/\//, "");
    if (path === ":memory:") return { kind: "sqlite", path };
    if (path !== "") return { kind: "sqlite", path: isAbsolute(path) ? path : join(directory, path) };
    throw unsupported(named, "names no file after 'sqlite:'");
  }
  // An empty variable is a secret that was not set in some CI job, and a misspelt scheme is a misspelt scheme.
  throw unsupported(named, scheme === undefined ? "has no scheme" : `has the scheme '${scheme}:'`);
}

function unsupported(named: PlaceName, fault: string): RivetError {
  const forms = "Write postgres://…, postgresql://… or sqlite:<path>";
  return new RivetError("RIVET_STATE_URL_SCHEME_UNSUPPORTED", `'${named}' ${fault}`, {
    where: named,
    cure: named === "--to" ? forms : `${forms}, or unset it to use the file beside the config`,
  });
}

function parseUrl(url: string, named: PlaceName): URL {
  try {
    return new URL(url);
  } catch {
    throw unsupported(
      named,
      "is no valid URL; characters such as @ : / ? # in a password are written %40 and so on",
    );
  }
}

export async function openDb(place: Place, now: () => number, readOnly = false): Promise<Db> {
  switch (place.kind) {
    case "sqlite":
      return await openSqlite({ path: place.path, now, readOnly });
    case "postgres": {
      const { openPostgres } = await import("./postgres.ts");
      return await openPostgres({ url: place.url, named: place.named, readOnly });
    }
    default:
      return place satisfies never;
  }
}

/** A state that does not exist is shown as an empty one; one of an older version cannot be shown without migrating it. */
async function openForReading(place: Place, now: () => number): Promise<Db> {
  if (place.kind === "sqlite" && (place.path === ":memory:" || !await hasContent(place.path))) {
    return await openEmpty(now);
  }
  const db = await openDb(place, now, true);
  const version = await readVersion(db);
  if (isNewest(version)) return db;
  await db[Symbol.asyncDispose]();
  if (version === null) return await openEmpty(now);
  const writable = await openDb(place, now);
  await migrate(writable, now());
  return writable;
}

async function openEmpty(now: () => number): Promise<Db> {
  const db = await openSqlite({ path: ":memory:", now });
  await migrate(db, now());
  return db;
}

/** A new, empty file while the usual one holds progress: every export would start over. */
export async function refuseToLeaveBehind(place: Place, directory: string): Promise<void> {
  const usual = join(directory, STATE_FILE);
  if (place.kind !== "sqlite" || place.path === usual || place.path === ":memory:") return;
  if (await hasContent(place.path) || !await hasContent(usual)) return;
  const old = await openSqlite({ path: usual, readOnly: true });
  let held: number;
  try {
    if (!isOwn(await readVersion(old))) return;
    held = count(await first(old, "SELECT count(*) AS n FROM export_state WHERE last_cursor_value IS NOT NULL"), "n");
  } finally {
    await old[Symbol.asyncDispose]();
  }
  if (held === 0) return;
  throw new RivetError(
    "RIVET_STATE_URL_LEAVES_STATE_BEHIND",
    `'${place.path}' is new, but '${usual}' holds ${held} ${held === 1 ? "cursor" : "cursors"}`,
    {
      where: "RIVET_STATE_URL",
      cure: `Move '${usual}' to the new place, or remove it if every export shall start over`,
    },
  );
}

export function hasContent(path: string): Promise<boolean> {
  return Deno.stat(path).then((stat) => stat.size > 0, () => false);
}
