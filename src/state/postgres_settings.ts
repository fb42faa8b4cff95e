// From a PostgreSQL URL to the driver's settings; nothing is ever sent in plaintext to another machine unless the URL says so.

import { readFile } from "node:fs/promises";
import type pg from "pg";
import { RivetError } from "../errors.ts";
import { rememberSecret } from "../redact.ts";
import type { PlaceName } from "./open.ts";

const CONNECTIONS_MAX = 4;
const CONNECT_MS = 10_000;

export type Settings = pg.PoolConfig & { host: string; port: number; database: string; user: string };

export async function parseSettings(url: URL, named: PlaceName): Promise<Settings> {
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname.replace(/^\[|\]$/g, ""));
  const user = decodeURIComponent(url.username) || "postgres";
  const settings = {
    host: host || "localhost",
    port: Number(url.port || "5432"),
    user,
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || user,
    application_name: "rivet state",
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    types: { getTypeParser: parserOf } as unknown as pg.CustomTypesConfig,
  };
  const { password, database } = settings;
  if (![user, database, host].includes(password)) rememberSecret(password);
  return { ...settings, ssl: await parseTls(url, settings.host, named) };
}

/** As libpq reads `sslmode`, but for the modes that may fall back to plaintext unseen. */
async function parseTls(url: URL, host: string, named: PlaceName): Promise<NonNullable<pg.PoolConfig["ssl"]>> {
  const mode = url.searchParams.get("sslmode");
  const rootCert = url.searchParams.get("sslrootcert");
  const ca = rootCert === null ? {} : { ca: await readRootCert(rootCert, named) };
  switch (mode) {
    case "disable":
      return false;
    case "require":
      // A root certificate that is named is checked, as libpq does.
      if (rootCert === null) return { rejectUnauthorized: false };
      return { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "verify-ca":
      return { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "verify-full":
      return { ...ca, rejectUnauthorized: true };
    default:
      if (isLocal(host)) return false;
      throw new RivetError(
        "RIVET_STATE_URL_TLS_REQUIRED",
        mode === null ? `The state at '${host}' names no 'sslmode'` : `The state at '${host}' has 'sslmode=${mode}'`,
        {
          where: named,
          cure:
            "Add `?sslmode=verify-full` (or require, verify-ca), or `?sslmode=disable` to send everything in plaintext",
        },
      );
  }
}

function isLocal(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("/") || /^127\./.test(host);
}

async function readRootCert(path: string, named: PlaceName): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new RivetError("RIVET_STATE_BACKEND_FAILED", `The file '${path}' of 'sslrootcert' cannot be read`, {
      where: named,
      cure: "Correct the path in `sslrootcert`",
      cause,
    });
  }
}

export function describe({ host, port, database }: Settings): string {
  const shown = host.includes(":") ? `[${host}]` : host;
  return host.startsWith("/") ? `postgres:${host}/${database}` : `postgres://${shown}:${port}/${database}`;
}

const INT8 = 20;
const INT4 = 23;
const BOOL = 16;

function parserOf(oid: number): (text: string) => unknown {
  if (oid === INT8 || oid === INT4) return Number;
  if (oid === BOOL) return (text) => text === "t";
  return (text) => text;
}
