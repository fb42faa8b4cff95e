// What the program needs for its state, for `--allow-…` lists. Pure.

import { parsePlace } from "./open.ts";

export interface StateNeeds {
  /** `host:port` */
  readonly net: readonly string[];
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/** Throws RIVET_STATE_URL_SCHEME_UNSUPPORTED. */
export function stateNeeds(url: string | undefined, directory: string): StateNeeds {
  const place = parsePlace(url, directory);
  if (place.kind === "sqlite") {
    const paths = place.path === ":memory:" ? [] : [place.path];
    return { net: [], read: paths, write: paths };
  }
  const { searchParams, hostname, port } = place.url;
  const host = searchParams.get("host") ?? (hostname === "" ? "localhost" : hostname);
  const certificate = searchParams.get("sslrootcert");
  return {
    net: [`${host}:${port === "" ? "5432" : port}`],
    read: certificate === null ? [] : [certificate],
    write: [],
  };
}
