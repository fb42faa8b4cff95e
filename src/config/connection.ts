// From `source:` to a connection: exactly one way to say it. Secrets are read only when a connection is made, and kept nowhere.

import { isAbsolute, join } from "node:path";
import { type ErrorCode, RivetError } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";
import type { Runtime } from "../runtime.ts";
import type { SourceConnection } from "../source/mod.ts";
import { redact, rememberSecret } from "../redact.ts";
import type { SourceConfig } from "./resolved.ts";
import type { RawSource } from "./shape.ts";
import { checkTls, resolveTls } from "./tls.ts";
import { parseServerUrl, PORTS, type Server, type ServerEngine } from "./url.ts";
import type { Parsed } from "./yaml.ts";

export interface ConnectionContext {
  readonly directory: string;
  readonly runtime: Runtime;
  readonly parsed: Parsed;
  /** Fills `${name}` in the text of a variable or a secret file. */
  readonly fill: (text: string) => string;
  readonly warnings: string[];
}

/** Checks how the connection is written; reads no secret yet. */
export function buildSource(raw: RawSource, context: ConnectionContext): SourceConfig {
  const shared = {
    engine: raw.type,
    environment: raw.environment ?? null,
    zeroDates: raw.zero_dates ?? "fail" as const,
    redacted: redactSource(raw, context),
  };
  if (raw.zero_dates !== undefined && raw.type !== "mysql") {
    throw refuse(
      "RIVET_CONFIG_SOURCE_OPTION_UNSUPPORTED",
      "zero_dates",
      `\`zero_dates\` does not belong to \`type: ${raw.type}\``,
      "Remove `zero_dates`",
      context,
    );
  }
  if (raw.type === "sqlite") {
    const path = sqlitePath(raw, context);
    return {
      ...shared,
      identity: `sqlite:${path}`,
      resolveConnection: () => Promise.resolve({ engine: "sqlite", path }),
    };
  }
  if (raw.path !== undefined) {
    throw refuse(
      "RIVET_CONFIG_SOURCE_OPTION_UNSUPPORTED",
      "path",
      `\`path\` does not belong to \`type: ${raw.type}\``,
      "Remove `path`",
      context,
    );
  }
  const engine = raw.type;
  const style = checkStyle(raw, context);
  context.warnings.push(...checkTls(raw.tls, (key) => context.parsed.where(["source", "tls", key])));
  warnOfSecrets(raw, context);
  const where = context.parsed.where(["source", style === "structured" ? "host" : style]);
  const read = () =>
    style === "structured"
      ? readKeys(raw, engine, context)
      : parseServerUrl(readUrl(raw, style, context), engine, where);
  // What stands in the config itself can be judged at once.
  let identity: string | null = style === "url" ? identify(engine, read()) : null;
  return {
    ...shared,
    // Host, port and database may stand in a secret URL, so this is read when it is asked for.
    get identity() {
      return identity ??= identify(engine, read());
    },
    resolveConnection: async (): Promise<SourceConnection> => {
      const server = read();
      rememberPassword(server, engine);
      const { tlsWanted: _tlsWanted, ...login } = server;
      return { engine, ...login, tls: await resolveTls(raw.tls, server, { directory: context.directory, where }) };
    },
  };
}

/** A password that is only another of the connection's words is no secret, and would mask that word in every message. */
function rememberPassword({ password, user, database, host }: Server, engine: ServerEngine): void {
  if (password !== null && ![user, database, host, engine].includes(password)) rememberSecret(password);
}

/** Without user and password: who reads does not change what was read. */
function identify(engine: ServerEngine, { host, port, database }: Server): string {
  return `${engine}://${host.toLowerCase()}:${port}/${database}`;
}

function refuse(
  code: ErrorCode,
  key: string | null,
  message: string,
  cure: string,
  { parsed }: ConnectionContext,
): RivetError {
  return new RivetError(code, message, { where: parsed.where(key === null ? ["source"] : ["source", key]), cure });
}

type UrlStyle = "url" | "url_env" | "url_file";

function checkStyle(raw: RawSource, context: ConnectionContext): UrlStyle | "structured" {
  const invalid = (key: string | null, message: string, cure: string) =>
    refuse("RIVET_CONFIG_SOURCE_CONNECTION_INVALID", key, message, cure, context);
  const urls = (["url", "url_env", "url_file"] as const).filter((key) => raw[key] !== undefined);
  const keys = (["host", "user", "database", "password", "password_env"] as const).filter((key) =>
    raw[key] !== undefined
  );
  const names = urls.map((key) => `\`${key}\``).join(" and ");
  if (urls.length > 1) {
    throw invalid(urls[1]!, `${urls.length} connection URLs are given: ${names}`, "Keep one of them");
  }
  if (urls.length === 1) {
    if (keys.length > 0) {
      throw invalid(
        keys[0]!,
        `${names} and \`${keys[0]}\` say the same thing twice`,
        "Use either a URL, or `host`, `user` and `database`",
      );
    }
    if (raw.port !== undefined) context.warnings.push(`\`source.port\` does nothing beside ${names}`);
    return urls[0]!;
  }
  if (keys.length === 0) {
    throw invalid(
      null,
      "No connection is given",
      "Set `url_env`, `url_file` or `url`, or `host` with `user` and `database`",
    );
  }
  const missing = (["host", "user", "database"] as const).find((key) => raw[key] === undefined);
  if (missing !== undefined) {
    throw invalid(null, `\`source.${missing}\` is missing`, `Set \`source.${missing}\`, or use a URL`);
  }
  if (raw.password !== undefined && raw.password_env !== undefined) {
    throw invalid("password_env", "`password` and `password_env` exclude each other", "Keep `password_env`");
  }
  checkHost(raw.host!, (message, cure) => invalid("host", message, cure));
  return "structured";
}

const HOST = /^(\[[0-9a-f:.%]+\]|[0-9a-f:.%]*:[0-9a-f:.%]*|[\p{L}\p{N}._-]+)$/iu;

function checkHost(host: string, invalid: (message: string, cure: string) => RivetError): void {
  if (host.startsWith("/")) throw invalid("`source.host` is a socket file", "Name the host, for example `localhost`");
  if (host.includes(",")) {
    throw invalid("`source.host` names several hosts", "Name the one host that rivet is to read from");
  }
  if (!HOST.test(host)) {
    throw invalid("`source.host` is no host name", "Write the name or address alone, and the port in `port`");
  }
}

function sqlitePath(raw: RawSource, context: ConnectionContext): string {
  const other =
    (["url", "url_env", "url_file", "host", "port", "user", "password", "password_env", "database", "tls"] as const)
      .find((key) => raw[key] !== undefined);
  if (other !== undefined) {
    throw refuse(
      "RIVET_CONFIG_SOURCE_CONNECTION_INVALID",
      other,
      `\`${other}\` does not belong to \`type: sqlite\``,
      `Remove \`${other}\` and set \`path\``,
      context,
    );
  }
  if (raw.path === undefined) {
    throw refuse(
      "RIVET_CONFIG_SOURCE_CONNECTION_INVALID",
      null,
      "`source.path` is missing",
      "Set `source.path` to the SQLite file",
      context,
    );
  }
  return isAbsolute(raw.path) ? raw.path : join(context.directory, raw.path);
}

function readKeys(raw: RawSource, engine: ServerEngine, context: ConnectionContext): Server {
  const password = raw.password_env === undefined
    ? raw.password ?? ""
    : readEnv(raw.password_env, "password_env", context);
  return {
    host: raw.host!.replace(/^\[|\]$/g, ""),
    port: raw.port ?? PORTS[engine],
    user: raw.user!,
    password: password === "" ? null : password,
    database: raw.database!,
    tlsWanted: null,
  };
}

function readUrl(raw: RawSource, style: UrlStyle, context: ConnectionContext): string {
  switch (style) {
    case "url":
      return raw.url!.trim();
    case "url_env":
      return context.fill(readEnv(raw.url_env!, "url_env", context)).trim();
    case "url_file":
      return context.fill(readSecretFile(raw.url_file!, context)).trim();
    default: {
      const never: never = style;
      return never;
    }
  }
}

function readEnv(name: string, key: string, context: ConnectionContext): string {
  const value = context.runtime.env(name);
  if (value !== undefined) return value;
  throw refuse(
    "RIVET_CONFIG_SECRET_UNSET",
    key,
    `The environment variable '${name}' is not set`,
    `Set it with \`export ${name}=VALUE\``,
    context,
  );
}

function readSecretFile(file: string, context: ConnectionContext): string {
  const path = isAbsolute(file) ? file : join(context.directory, file);
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new RivetError(
      "RIVET_CONFIG_SECRET_UNSET",
      `The file of \`url_file\` cannot be read: '${path}' (${describeFileFault(cause)})`,
      {
        where: context.parsed.where(["source", "url_file"]),
        cure: "Create the file with the connection URL in it, or correct `url_file`",
        cause,
      },
    );
  }
}

/** A secret that was filled in from a parameter or the environment is not in the file. */
function warnOfSecrets(raw: RawSource, { parsed, warnings }: ConnectionContext): void {
  const written = (key: string) => String(parsed.written(["source", key]) ?? "${}");
  if (raw.password !== undefined && raw.password !== "" && !written("password").includes("${")) {
    warnings.push("the config holds a password in `source.password`; `password_env` keeps it out of the file");
  }
  if (raw.url !== undefined && redact(written("url")) !== written("url") && !/:\/\/[^@]*\$\{/.test(written("url"))) {
    warnings.push("the config holds a password in `source.url`; `url_env` or `url_file` keeps it out of the file");
  }
}

/** How the source was written: `${name}` not filled in, and without what is secret. */
function redactSource(raw: RawSource, { parsed }: ConnectionContext): Record<string, unknown> {
  const seen = (path: readonly string[], value: unknown): unknown => {
    const key = path.at(-1)!;
    if (key === "password") return null;
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, seen([...path, name], inner)]));
    }
    const written = parsed.written(["source", ...path]);
    if (written === undefined) return "REDACTED";
    // The last `@` counts: a password may hold one.
    return key === "url" ? redact(String(written).replace(/^([a-z][a-z0-9+.-]*:\/\/).*@/is, "$1REDACTED@")) : written;
  };
  return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, seen([name], value)]));
}
