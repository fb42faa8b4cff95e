// From `source:` to a connection: exactly one way to say it, secrets read only when a connection is made, no plaintext to other machines.

import { isAbsolute, join } from "node:path";
import { RivetError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import type { ServerConnection, SourceConnection, TlsOptions } from "../source/mod.ts";
import type { SourceConfig } from "./resolved.ts";
import type { RawSource } from "./shape.ts";

export interface ConnectionContext {
  readonly directory: string;
  readonly runtime: Runtime;
  /** `file.yaml:3:1` of `source:`. */
  readonly where: string;
  readonly substitute: (text: string) => string;
}

const PORTS = { postgres: 5432, mysql: 3306, mssql: 1433 } as const;
const SCHEMES: Record<string, keyof typeof PORTS> = {
  postgres: "postgres",
  postgresql: "postgres",
  mysql: "mysql",
  mariadb: "mysql",
  sqlserver: "mssql",
  mssql: "mssql",
};

function invalid(context: ConnectionContext, message: string, cure?: string): RivetError {
  return new RivetError("RIVET_CONFIG_SOURCE_CONNECTION_INVALID", message, {
    where: context.where,
    ...(cure === undefined ? {} : { cure }),
  });
}

/** Checks how the connection is written; reads no secret yet. */
export function buildSource(raw: RawSource, context: ConnectionContext): SourceConfig {
  const shared = { engine: raw.type, environment: raw.environment ?? null, zeroDates: raw.zero_dates ?? "fail" };
  if (raw.type === "sqlite") {
    const path = sqlitePath(raw, context);
    return {
      ...shared,
      identity: `sqlite:${path}`,
      redacted: { type: "sqlite", path: raw.path },
      resolveConnection: () => Promise.resolve({ engine: "sqlite", path }),
    };
  }
  if (raw.path !== undefined) throw invalid(context, "`path` belongs to `type: sqlite`", "Remove `path`");
  const style = checkStyle(raw, context);
  checkTlsKnobs(raw, context);
  const read = () => readServer(raw, style, context);
  const engine = raw.type;
  // The identity needs host, port and database, which may stand in a secret URL: what is secret in it never gets in.
  const identity = lazyIdentity(raw, style, context);
  return {
    ...shared,
    get identity() {
      return identity();
    },
    redacted: redactSource(raw),
    resolveConnection: async (): Promise<SourceConnection> => {
      const { sslmode, ...server } = read();
      return { engine, ...server, tls: await resolveTls(raw, server.host, sslmode, context) };
    },
  };
}

type Style = "url" | "url_env" | "url_file" | "structured";

function checkStyle(raw: RawSource, context: ConnectionContext): Style {
  const urls = (["url", "url_env", "url_file"] as const).filter((key) => raw[key] !== undefined);
  const parts = (["host", "user", "database", "password", "password_env"] as const).filter((key) =>
    raw[key] !== undefined
  );
  if (urls.length > 1) {
    throw invalid(context, `${urls.length} connection URLs are given: ${urls.join(", ")}`, "Keep one of them");
  }
  if (urls.length === 1 && parts.length > 0) {
    throw invalid(
      context,
      `Both \`${urls[0]}\` and \`${parts[0]}\` are given`,
      "Use either a URL, or host, user, password and database",
    );
  }
  if (urls.length === 1) return urls[0]!;
  if (parts.length === 0) {
    throw invalid(
      context,
      "No connection is given",
      "Set `url_env`, `url_file`, `url`, or `host`, `user` and `database`",
    );
  }
  for (const key of ["host", "user", "database"] as const) {
    if (raw[key] === undefined) throw invalid(context, `\`${key}\` is missing`, `Set \`source.${key}\``);
  }
  if (raw.password !== undefined && raw.password_env !== undefined) {
    throw invalid(context, "Both `password` and `password_env` are given", "Keep `password_env`");
  }
  return "structured";
}

function checkTlsKnobs(raw: RawSource, context: ConnectionContext): void {
  const { tls } = raw;
  if (tls?.mode === undefined || tls.mode === "disable") return;
  const knob = (["accept_invalid_certs", "accept_invalid_hostnames"] as const).find((key) => tls[key] === true);
  if (knob === undefined) return;
  throw new RivetError(
    "RIVET_CONFIG_TLS_VERIFICATION_DOWNGRADE",
    `\`tls.${knob}\` contradicts \`tls.mode: ${tls.mode}\``,
    { where: context.where },
  );
}

function sqlitePath(raw: RawSource, context: ConnectionContext): string {
  const other =
    (["url", "url_env", "url_file", "host", "port", "user", "password", "password_env", "database", "tls"] as const)
      .find((key) => raw[key] !== undefined);
  if (other !== undefined) {
    throw invalid(context, `\`${other}\` does not belong to \`type: sqlite\``, "Give `path` alone");
  }
  if (raw.path === undefined || raw.path === "") {
    throw invalid(context, "`path` is missing", "Set `source.path` to the SQLite file");
  }
  return isAbsolute(raw.path) ? raw.path : join(context.directory, raw.path);
}

/** A server without its TLS, and what its URL says about TLS. */
type Server = Omit<ServerConnection, "tls"> & { readonly sslmode: string | null };

function readServer(raw: RawSource, style: Style, context: ConnectionContext): Server {
  if (style !== "structured") return parseServerUrl(raw, readUrl(raw, style, context), context);
  const password = raw.password_env === undefined ? raw.password ?? null : readEnv(raw.password_env, context);
  const engine = raw.type as keyof typeof PORTS;
  return {
    host: raw.host!,
    port: raw.port ?? PORTS[engine],
    user: raw.user!,
    password: password === "" ? null : password,
    database: raw.database!,
    sslmode: null,
  };
}

function readUrl(raw: RawSource, style: Style, context: ConnectionContext): string {
  switch (style) {
    case "url_env":
      return context.substitute(readEnv(raw.url_env!, context));
    case "url_file": {
      const path = isAbsolute(raw.url_file!) ? raw.url_file! : join(context.directory, raw.url_file!);
      try {
        return context.substitute(Deno.readTextFileSync(path).trim());
      } catch (cause) {
        if (cause instanceof RivetError) throw cause;
        throw new RivetError("RIVET_CONFIG_SECRET_UNSET", `The file of \`url_file\` cannot be read: '${path}'`, {
          where: context.where,
          cause,
        });
      }
    }
    default:
      return raw.url!;
  }
}

function readEnv(name: string, context: ConnectionContext): string {
  const value = context.runtime.env(name);
  if (value !== undefined) return value;
  throw new RivetError("RIVET_CONFIG_SECRET_UNSET", `The environment variable '${name}' is not set`, {
    where: context.where,
    cure: `export ${name}=…`,
  });
}

function parseServerUrl(raw: RawSource, text: string, context: ConnectionContext): Server {
  const bad = (message: string, cure: string) =>
    new RivetError("RIVET_CONFIG_SOURCE_URL_INVALID", message, { where: context.where, cure });
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    throw bad("The connection URL has no scheme", `Begin it with ${raw.type === "mssql" ? "sqlserver" : raw.type}://`);
  }
  if (SCHEMES[scheme] !== raw.type) {
    throw new RivetError(
      "RIVET_CONFIG_SOURCE_URL_SCHEME_MISMATCH",
      `The URL begins with '${scheme}://', the type is '${raw.type}'`,
      {
        where: context.where,
        cure: "Correct `source.type` or the URL",
      },
    );
  }
  const { userinfo, hostport, path, query } = splitUrl(text.slice(scheme.length + 3));
  if (hostport.includes(",")) throw bad("The URL names several hosts", "Name the one host that rivet reads from");
  const match = /^(\[[^\]]+\]|[^:]*)(?::(\d+))?$/.exec(hostport);
  if (match === null || match[1] === "") {
    throw bad("The connection URL has no host", "Write scheme://user:password@host:port/database");
  }
  const colon = userinfo?.indexOf(":") ?? -1;
  const user = userinfo === null ? null : colon < 0 ? userinfo : userinfo.slice(0, colon);
  const password = userinfo === null || colon < 0 ? null : userinfo.slice(colon + 1);
  const database = decode(path);
  if (user === null || user === "") {
    throw bad("The connection URL has no user", "Write scheme://user:password@host:port/database");
  }
  if (database === "") {
    throw bad("The connection URL has no database", "Write scheme://user:password@host:port/database");
  }
  const overridden = ["host", "hostaddr", "port", "user", "password", "dbname"].find((key) => query.has(key));
  if (overridden !== undefined) throw bad(`The URL's query sets '${overridden}'`, "Put it where it belongs in the URL");
  return {
    host: match[1]!.replace(/^\[|\]$/g, ""),
    port: match[2] === undefined ? PORTS[raw.type as keyof typeof PORTS] : Number(match[2]),
    user: decode(user),
    password: password === null || password === "" ? null : decode(password),
    database,
    sslmode: query.get("sslmode"),
  };
}

/** A password may hold `@ / ? #` unescaped: the last `@` ends the userinfo. */
function splitUrl(rest: string): { userinfo: string | null; hostport: string; path: string; query: URLSearchParams } {
  const at = rest.lastIndexOf("@");
  const userinfo = at < 0 ? null : rest.slice(0, at);
  const after = rest.slice(at + 1);
  const [place, query = ""] = split(after, "?");
  const [hostport, path = ""] = split(place, "/");
  return { userinfo, hostport, path, query: new URLSearchParams(query) };
}

function split(text: string, by: string): [string, string?] {
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

async function resolveTls(
  raw: RawSource,
  host: string,
  sslmode: string | null,
  context: ConnectionContext,
): Promise<TlsOptions | null> {
  const { tls } = raw;
  if (tls === undefined) {
    if (isLoopback(host)) {
      return sslmode === "require" ? { mode: "require", ca: null, acceptInvalidHostnames: false } : null;
    }
    throw new RivetError("RIVET_SOURCE_TLS_REQUIRED", `'${host}' is another machine and \`source.tls\` is not set`, {
      where: context.where,
      cure:
        "Add `tls: {mode: verify-full}` with `ca_file` for a private CA, or accept plaintext with `tls: {mode: disable}`",
    });
  }
  if (tls.mode === "disable") return null;
  const mode = tls.mode ?? (tls.accept_invalid_certs ? "require" : "verify-full");
  const ca = tls.ca_file === undefined ? null : await readCa(tls.ca_file, context);
  return { mode, ca, acceptInvalidHostnames: tls.accept_invalid_hostnames === true };
}

async function readCa(file: string, context: ConnectionContext): Promise<string> {
  const path = isAbsolute(file) ? file : join(context.directory, file);
  const refuse = (message: string, cause?: unknown) =>
    new RivetError("RIVET_CONFIG_TLS_CA_INVALID", message, { where: path, cause });
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw refuse("The CA file cannot be read", cause);
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----")) throw refuse("The CA file holds no PEM certificate");
  return text;
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function lazyIdentity(raw: RawSource, style: Style, context: ConnectionContext): () => string {
  let known: string | null = null;
  return () => {
    if (known !== null) return known;
    const { host, port, database } = readServer(raw, style, context);
    return known = `${raw.type}://${host.toLowerCase()}:${port}/${database}`;
  };
}

/** How the source was written, without what is secret. */
function redactSource(raw: RawSource): Record<string, unknown> {
  const { password: _password, url, ...rest } = raw;
  return { ...rest, ...(url === undefined ? {} : { url: url.replace(/:\/\/.*@/s, "://REDACTED@") }) };
}
