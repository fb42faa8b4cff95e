// Connection URLs. What is wrong with one is said without showing it: it may hold a password.

import type { Engine } from "../source/mod.ts";
import { RivetError } from "../errors.ts";

export type ServerEngine = Exclude<Engine, "sqlite">;

/** A server as a URL or separate keys name it, and what the URL asks of TLS. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | null;
  readonly database: string;
  readonly tlsWanted: "disable" | "require" | "verify-ca" | "verify-full" | null;
}

export const PORTS: Readonly<Record<ServerEngine, number>> = { postgres: 5432, mysql: 3306, mssql: 1433 };

const SCHEMES: ReadonlyMap<string, ServerEngine> = new Map([
  ["postgres", "postgres"],
  ["postgresql", "postgres"],
  ["mysql", "mysql"],
  ["mariadb", "mysql"],
  ["sqlserver", "mssql"],
  ["mssql", "mssql"],
]);

const FORM: Readonly<Record<ServerEngine, string>> = {
  postgres: "postgresql://user:password@host:5432/database",
  mysql: "mysql://user:password@host:3306/database",
  mssql: "sqlserver://user:password@host:1433/database",
};

/** Throws RIVET_CONFIG_SOURCE_URL_INVALID or RIVET_CONFIG_SOURCE_URL_SCHEME_MISMATCH. */
export function parseServerUrl(text: string, engine: ServerEngine, where: string): Server {
  const invalid = (message: string, cure = `Write ${FORM[engine]}`) =>
    new RivetError("RIVET_CONFIG_SOURCE_URL_INVALID", message, { where, cure });
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) throw invalid("The connection URL has no scheme");
  if (SCHEMES.get(scheme) !== engine) {
    throw new RivetError(
      "RIVET_CONFIG_SOURCE_URL_SCHEME_MISMATCH",
      `The connection URL begins with '${scheme}://', and the type is '${engine}'`,
      { where, cure: "Correct `source.type` or the URL" },
    );
  }
  const pieces = splitUrl(text.slice(scheme.length + 3));
  const [, host = "", port] = HOST_PORT.exec(pieces.hostPort) ?? [];
  if (pieces.hostPort.includes(",")) {
    throw invalid("The connection URL names several hosts", "Name the one host that rivet is to read from");
  }
  if (host === "") throw invalid("The connection URL has no host that can be read, or its port is no number");
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) {
    throw invalid("The port is not between 1 and 65535");
  }
  if (pieces.user === "") throw invalid("The connection URL has no user");
  if (pieces.database === "") throw invalid("The connection URL has no database");
  checkQuery(pieces.query, invalid);
  return {
    host: host.replace(/^\[|\]$/g, ""),
    port: port === undefined ? PORTS[engine] : Number(port),
    user: decode(pieces.user),
    password: pieces.password === "" ? null : decode(pieces.password),
    database: decode(pieces.database),
    tlsWanted: readTls(pieces.query, invalid),
  };
}

interface Pieces {
  readonly user: string;
  readonly password: string;
  readonly hostPort: string;
  readonly database: string;
  readonly query: URLSearchParams;
}

const HOST_PORT = /^(\[[0-9a-f:.%]+\]|[\p{L}\p{N}._-]+)(?::(\d+))?$/iu;
const PLAIN_TAIL = /^([^/?#@]*)\/([^/?#@]+)(?:\?((?:[\w.-]+=[^&]*&?)*))?$/u;

/**
 * A password is often written with `@`, `/`, `?` or `#` in it. The authority ends where the standard says when what follows looks like
 * a database and a query; else the last `@` that leaves a host and a database behind it ends the user.
 */
function splitUrl(rest: string): Pieces {
  const end = rest.search(/[/?#]/);
  const standard = rest.lastIndexOf("@", end < 0 ? rest.length : end);
  const places = [standard];
  for (let at = rest.lastIndexOf("@"); at >= 0; at = at === 0 ? -1 : rest.lastIndexOf("@", at - 1)) places.push(at);
  const fits = places.find((at) => {
    const [, hostPort] = PLAIN_TAIL.exec(rest.slice(at + 1)) ?? [];
    return hostPort !== undefined && HOST_PORT.test(hostPort);
  });
  return toPieces(rest, fits ?? standard);
}

function toPieces(rest: string, at: number): Pieces {
  const userinfo = at < 0 ? "" : rest.slice(0, at);
  const [place, query = ""] = cut(rest.slice(at + 1), "?");
  const [hostPort, database = ""] = cut(place, "/");
  const [user, password = ""] = cut(userinfo, ":");
  return { user, password, hostPort, database, query: new URLSearchParams(query) };
}

function cut(text: string, by: string): [string, string?] {
  const at = text.indexOf(by);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A bare % in a password is a character, not an escape.
    return text;
  }
}

type Invalid = (message: string, cure?: string) => RivetError;

/** Parameters that would make the URL mean another server, or other tables, than it seems to. */
const REFUSED: readonly { readonly names: readonly string[]; readonly cure: string }[] = [
  {
    names: ["host", "hostaddr", "port", "user", "username", "password", "dbname", "database"],
    cure: "Put it where it belongs in the URL",
  },
  { names: ["service", "passfile", "target_session_attrs"], cure: "Name the server itself in the URL" },
  {
    names: ["options", "search_path", "currentschema"],
    cure: "Name the schema in `table: schema.table`, or in the query",
  },
  { names: ["sslrootcert", "sslcert", "sslkey", "ssl-ca", "sslca"], cure: "Use `source.tls` with `ca_file`" },
];

function checkQuery(query: URLSearchParams, invalid: Invalid): void {
  for (const name of query.keys()) {
    const refused = REFUSED.find(({ names }) => names.includes(name.toLowerCase()));
    if (refused !== undefined) throw invalid(`The connection URL sets '${name}' after the '?'`, refused.cure);
  }
}

const TLS_WORDS: ReadonlyMap<string, Server["tlsWanted"]> = new Map([
  ["disable", "disable"],
  ["disabled", "disable"],
  ["allow", null],
  ["prefer", null],
  ["preferred", null],
  ["require", "require"],
  ["required", "require"],
  ["verify-ca", "verify-ca"],
  ["verify_ca", "verify-ca"],
  ["verify-full", "verify-full"],
  ["verify_identity", "verify-full"],
]);

function readTls(query: URLSearchParams, invalid: Invalid): Server["tlsWanted"] {
  const given = new Map([...query].map(([name, value]) => [name.toLowerCase().replace(/[-_]/g, ""), value]));
  const mode = given.get("sslmode");
  if (mode !== undefined) {
    const wanted = TLS_WORDS.get(mode.toLowerCase());
    if (wanted === undefined) {
      throw invalid("The connection URL has an unknown sslmode", "Use disable, require, verify-ca or verify-full");
    }
    return wanted;
  }
  const isTrue = (name: string) =>
    ["true", "1", "yes", "strict", "mandatory"].includes(given.get(name)?.toLowerCase() ?? "");
  if (isTrue("encrypt")) return isTrue("trustservercertificate") ? "require" : "verify-full";
  return isTrue("requiressl") || isTrue("usessl") || isTrue("ssl") ? "require" : null;
}
