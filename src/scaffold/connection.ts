// From a URL, a variable or a file to a connection and to the `source:` of the config. No secret ever enters the YAML.

import { dirname, isAbsolute, relative, resolve } from "node:path";
import { type Config, isLoopback, parseServerUrl, readConfigText, type ServerEngine } from "../config/mod.ts";
import { RivetError } from "../errors.ts";
import { describeFileFault } from "../file_fault.ts";
import type { Engine, SourceConnection } from "../source/mod.ts";
import type { ScaffoldRequest } from "./request.ts";
import { quoteYaml } from "./text.ts";

export interface ScaffoldSource {
  readonly engine: Engine;
  readonly connection: SourceConnection;
  /** The lines below `source:`, indented. */
  readonly lines: readonly string[];
  readonly tlsMode: string | null;
  /** What must be set before the config runs, each one line. */
  readonly hints: readonly string[];
}

const ENGINES: ReadonlyMap<string, ServerEngine> = new Map([
  ["postgres", "postgres"],
  ["postgresql", "postgres"],
  ["mysql", "mysql"],
  ["mariadb", "mysql"],
  ["sqlserver", "mssql"],
  ["mssql", "mssql"],
]);

/** The variables that each engine's own client takes the password from. */
const PASSWORD_ENV: Readonly<Record<ServerEngine, string>> = {
  postgres: "PGPASSWORD",
  mysql: "MYSQL_PWD",
  mssql: "SQLCMDPASSWORD",
};

/** Throws RIVET_CONFIG_SECRET_UNSET, RIVET_CONFIG_SOURCE_URL_INVALID and what else the config would say of the connection. */
export async function openScaffoldSource(request: ScaffoldRequest): Promise<ScaffoldSource> {
  const { url, where } = readUrl(request);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? "";
  if (scheme === "sqlite" || scheme === "file") return openSqlite(url, scheme, request);
  const engine = ENGINES.get(scheme);
  if (engine === undefined) throw unknownScheme(scheme, where);
  const server = parseServerUrl(url, engine, where);
  const lines = [`  type: ${engine}`];
  const hints: string[] = [];
  let password: { name: string; value: string } | null = null;
  const { source } = request;
  if (source.kind === "env") lines.push(`  url_env: ${quoteYaml(source.name)}`);
  else if (source.kind === "file") lines.push(`  url_file: ${quoteYaml(toConfigPath(source.path, request))}`);
  else {
    lines.push(`  host: ${quoteYaml(server.host)}`, `  port: ${server.port}`, `  user: ${quoteYaml(server.user)}`);
    if (server.password !== null) {
      password = { name: PASSWORD_ENV[engine], value: server.password };
      lines.push(`  password_env: ${password.name} # the password stays out of this file`);
      hints.push(`export ${password.name}='…' with the password of the URL before the config runs`);
    }
    lines.push(`  database: ${quoteYaml(server.database)}`);
  }
  const tlsMode = chooseTls(request, server.host, server.tlsWanted);
  if (tlsMode !== null) {
    lines.push("  tls:", `    mode: ${tlsMode}`);
    if (request.tlsCa !== null) lines.push(`    ca_file: ${quoteYaml(toConfigPath(request.tlsCa, request))}`);
  }
  const connection = await resolveAsConfig(lines, request, password, where);
  return { engine, connection, lines, tlsMode, hints };
}

/** What the flag says; else what the URL asks for; else, to another machine, everything checked. */
function chooseTls(request: ScaffoldRequest, host: string, wanted: string | null): string | null {
  if (request.tls !== null) return request.tls;
  if (request.tlsCa !== null) return wanted === "verify-ca" ? wanted : "verify-full";
  if (wanted === "disable") return null;
  return wanted ?? (isLoopback(host) ? null : "verify-full");
}

function readUrl({ source, runtime, folder }: ScaffoldRequest): { url: string; where: string } {
  switch (source.kind) {
    case "url":
      return { url: source.url.trim(), where: "--source" };
    case "env": {
      const where = `--source-env ${source.name}`;
      const url = runtime.env(source.name);
      if (url !== undefined && url.trim() !== "") return { url: url.trim(), where };
      throw new RivetError("RIVET_CONFIG_SECRET_UNSET", `The environment variable '${source.name}' is not set`, {
        where,
        cure: `Set it with \`export ${source.name}=postgresql://user:password@host:5432/database\``,
      });
    }
    case "file": {
      const path = resolve(folder, source.path);
      try {
        return { url: Deno.readTextFileSync(path).trim(), where: `--source-file ${source.path}` };
      } catch (cause) {
        throw new RivetError(
          "RIVET_CONFIG_SECRET_UNSET",
          `The file of '--source-file' cannot be read: '${path}' (${describeFileFault(cause)})`,
          {
            where: `--source-file ${source.path}`,
            cure: "Create the file with the connection URL in it, or correct the path",
            cause,
          },
        );
      }
    }
    default: {
      const never: never = source;
      return never;
    }
  }
}

const REFUSED_SCHEMES: ReadonlyMap<string, string> = new Map([
  ["oracle", "Use Oracle's own export tools, or read its tables through a PostgreSQL foreign table (oracle_fdw)"],
  ["mongodb", "Use mongoexport for whole collections, or a relational copy of them"],
  ["mongodb+srv", "Use mongoexport for whole collections, or a relational copy of them"],
]);

function unknownScheme(scheme: string, where: string): RivetError {
  const refused = REFUSED_SCHEMES.get(scheme);
  if (refused !== undefined) {
    return new RivetError("RIVET_CONFIG_SOURCE_FEATURE_MISSING", `'${scheme}' is no source of rivet`, {
      where,
      cure: refused,
    });
  }
  return new RivetError(
    "RIVET_CONFIG_SOURCE_URL_INVALID",
    scheme === "" ? "The connection URL has no scheme" : `The connection URL has the unknown scheme '${scheme}'`,
    {
      where,
      cure:
        "Begin the URL with postgresql://, mysql:// or sqlserver://; a SQLite file is `sqlite:` and its path, for example sqlite:shop.db",
    },
  );
}

/** `sqlite:shop.db`, `sqlite:///srv/shop.db`. */
function openSqlite(url: string, scheme: string, request: ScaffoldRequest): ScaffoldSource {
  const written = url.slice(scheme.length + 1).replace(/^\/\/(?=\/|[^/])/, "");
  if (written === "") throw unknownScheme("", "--source");
  if (request.tls !== null || request.tlsCa !== null) {
    throw new RivetError("RIVET_CLI_OPTION_UNSUPPORTED", "'--tls' does not go with a SQLite file", {
      cure: "Leave `--tls` and `--tls-ca` out",
    });
  }
  return {
    engine: "sqlite",
    connection: { engine: "sqlite", path: resolve(request.folder, written) },
    lines: ["  type: sqlite", `  path: ${quoteYaml(toConfigPath(written, request))}`],
    tlsMode: null,
    hints: [],
  };
}

/** A path given on the command line as the config must write it: relative to the config's folder where it was relative. */
export function toConfigPath(path: string, request: Pick<ScaffoldRequest, "configPath" | "folder">): string {
  if (isAbsolute(path)) return path;
  const below = relative(dirname(request.configPath), resolve(request.folder, path));
  return below === "" ? "." : below;
}

/** The connection exactly as the config would make it: one parser, one set of rules. */
async function resolveAsConfig(
  lines: readonly string[],
  { configPath, runtime }: ScaffoldRequest,
  password: { name: string; value: string } | null,
  where: string,
): Promise<SourceConnection> {
  const entry = "exports: [{name: probe, table: probe, format: parquet, destination: {type: stdout}}]";
  const env = (name: string) => name === password?.name ? password.value : runtime.env(name);
  try {
    const config: Config = await readConfigText(configPath, `source:\n${lines.join("\n")}\n${entry}\n`, {
      params: {},
      runtime: { ...runtime, hostname: "", env },
    });
    return await config.source.resolveConnection();
  } catch (error) {
    if (!(error instanceof RivetError)) throw error;
    throw atFlags(error, where);
  }
}

/** No file is there yet: an error points at the flag, and its cure names flags. */
function atFlags({ code, message, cure, retry, cause }: RivetError, where: string): RivetError {
  if (code !== "RIVET_SOURCE_TLS_REQUIRED") return new RivetError(code, message, { where, cure, retry, cause });
  return new RivetError(code, message.replace(/, and `source.tls` is not set$/, ", and the URL turns TLS off"), {
    where,
    cure:
      "Give `--tls verify-full`, with `--tls-ca FILE` for a private authority, or accept plaintext with `--tls disable`",
  });
}
