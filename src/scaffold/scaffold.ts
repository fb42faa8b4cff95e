// From a request to a scaffold: list the schema, choose tables, look at their size, advise, write. Reads catalogs and ends of indexes only.

import { readConfigText } from "../config/mod.ts";
import { RivetError } from "../errors.ts";
import {
  type ListedTable,
  type Listing,
  listTables,
  openSource,
  type Source,
  type SourceConnection,
} from "../source/mod.ts";
import { parseTarget } from "../types/mod.ts";
import { advise } from "./advice.ts";
import { openScaffoldSource, type ScaffoldSource } from "./connection.ts";
import { buildDiscovery, type Discovery } from "./discovery.ts";
import { chooseTables, type Chosen, nameExports } from "./names.ts";
import { readSizes } from "./probe.ts";
import type { ScaffoldRequest } from "./request.ts";
import { listNames } from "./text.ts";
import { buildYaml, isPlainName, type ScaffoldedExport, summarize } from "./yaml.ts";

export interface Scaffold {
  readonly yaml: string;
  readonly discovery: Discovery;
  /** `12 exports: 9 full, 3 chunked`. */
  readonly summary: string;
  /** What the user should know before the config is used, each one line. */
  readonly hints: readonly string[];
}

/** A catalog question that waits longer for a lock is asked in another way. */
const LIMITS = { statementTimeoutS: 60, lockTimeoutS: 2, connectTimeoutMs: 10_000 };

/** Throws RIVET_INIT_NO_TABLES, RIVET_INIT_TABLE_NOT_FOUND and what the connection says. */
export async function buildScaffold(request: ScaffoldRequest, version: string): Promise<Scaffold> {
  const given = await openScaffoldSource(request);
  checkSchema(request, given);
  await using source = await open(given.connection);
  const { chosen, scope } = await choose(source, request);
  const exports = await adviseAll(source, chosen.tables, request);
  const { engine, tlsMode } = given;
  // A MySQL schema is the database that the connection names already.
  const homeSchema = given.connection.engine === "mysql" ? given.connection.database : null;
  const yaml = buildYaml({
    engine,
    homeSchema,
    scope,
    sourceLines: given.lines,
    exports,
    leftOut: chosen.leftOut,
    request,
  });
  // The config's own parser has the last word on what was written.
  const { warnings } = await readConfigText(request.configPath, yaml, { params: {}, runtime: request.runtime });
  return {
    yaml,
    discovery: buildDiscovery({ version, engine, scope, tlsMode, exports, leftOut: chosen.leftOut }),
    summary: summarize(exports),
    hints: [
      ...chosen.idleGlobs.map((glob) => `no table matches '${glob}'`),
      ...leftOutHints(chosen),
      ...given.hints,
      ...(request.destination.kind === "azure" ? ["export AZURE_STORAGE_KEY='…' before the config runs"] : []),
      ...warnings,
    ],
  };
}

/** A cure that speaks of a config would not help: there is none yet. */
async function open(connection: SourceConnection): Promise<Source> {
  try {
    return await openSource(connection, LIMITS);
  } catch (error) {
    if (connection.engine !== "sqlite" || !(error instanceof RivetError)) throw error;
    const { code, message, retry, cause } = error;
    const cure = "Check the path after `sqlite:` and that the file is a SQLite database this user may read";
    throw new RivetError(code, message, { where: "--source", cure, retry, cause });
  }
}

/** On MySQL the database of the URL is the schema; a SQLite file has one. */
function checkSchema({ schema }: ScaffoldRequest, { engine, connection }: ScaffoldSource): void {
  if (schema === null || (engine !== "mysql" && engine !== "sqlite")) return;
  const own = connection.engine === "sqlite" ? "main" : connection.database;
  if (schema === own) return;
  throw new RivetError("RIVET_CLI_VALUE_INVALID", `'--schema ${schema}' is not the database of the URL, '${own}'`, {
    where: "--schema",
    cure: engine === "mysql" ? "Name the database in the URL, and leave `--schema` out" : "Leave `--schema` out",
  });
}

async function choose(source: Source, request: ScaffoldRequest): Promise<{ chosen: Chosen; scope: string }> {
  if (request.table !== null) return await chooseOne(source, request.table, request.schema);
  const listing = await listTables(source, request.schema);
  const chosen = chooseTables(listing.tables, request, source.engine);
  if (chosen.tables.length === 0) throw noTables(listing, chosen);
  return { chosen, scope: `schema ${listing.schema}` };
}

async function chooseOne(
  source: Source,
  name: string,
  schema: string | null,
): Promise<{ chosen: Chosen; scope: string }> {
  const listing = await listTables(source, schema);
  const dot = name.indexOf(".");
  const found = findTable(listing, name) ??
    (dot > 0 && schema === null
      ? findTable(await listTables(source, name.slice(0, dot)), name.slice(dot + 1))
      : undefined);
  if (found === undefined) throw notFound(listing, name);
  if (!found.isReadable || found.columns.length === 0) {
    throw new RivetError(
      "RIVET_INIT_TABLE_NOT_FOUND",
      found.columns.length === 0
        ? `'${name}' has no columns that can be read`
        : `There is no right to SELECT from '${name}'`,
      { where: "--table", cure: "Grant SELECT on it to the user of the URL" },
    );
  }
  const scope = `table ${found.schema === null ? "" : `${found.schema}.`}${found.name}`;
  return { chosen: { tables: [found], leftOut: [], idleGlobs: [] }, scope };
}

function findTable({ tables }: Listing, name: string): ListedTable | undefined {
  return tables.find((table) => table.name === name);
}

function notFound({ tables, schema, otherSchemas }: Listing, name: string): RivetError {
  const bare = name.slice(name.indexOf(".") + 1).toLowerCase();
  const near = tables.map((table) => table.name).filter((one) => one.toLowerCase() === bare);
  return new RivetError("RIVET_INIT_TABLE_NOT_FOUND", `There is no table '${name}' in schema '${schema}'`, {
    where: "--table",
    cure: near.length > 0
      ? `Did you mean '${near[0]}'?`
      : otherSchemas.length > 0
      ? `Name its schema: \`--table SCHEMA.NAME\`; there are ${listNames(otherSchemas)}`
      : tables.length > 0
      ? `Choose one of: ${listNames(tables.map((table) => table.name))}`
      : "Check the name, and the rights of the user",
  });
}

function noTables({ schema, exists, otherSchemas, tables }: Listing, { leftOut }: Chosen): RivetError {
  const others = otherSchemas.length === 0 ? "" : `Other schemas: ${listNames(otherSchemas)}`;
  if (!exists) {
    return new RivetError("RIVET_INIT_NO_TABLES", `There is no schema '${schema}'`, {
      where: "--schema",
      cure: others === "" ? "Check its name, and the rights of the user" : others,
    });
  }
  if (tables.length === 0) {
    return new RivetError("RIVET_INIT_NO_TABLES", `Schema '${schema}' has no tables that this user can see`, {
      cure: others === "" ? "Check the database's name, and the rights of the user" : others,
    });
  }
  const first = leftOut[0];
  return new RivetError(
    "RIVET_INIT_NO_TABLES",
    first === undefined
      ? `None of the ${tables.length} tables of schema '${schema}' matches`
      : `All tables of schema '${schema}' are left out: '${first.name}' because ${first.reason}`,
    {
      cure: first === undefined
        ? "Correct `--include` and `--exclude`"
        : first.canReturn
        ? `Bring tables in by name, for example \`--include '${first.name}'\``
        : "Grant SELECT on the tables to the user of the URL",
    },
  );
}

async function adviseAll(
  source: Source,
  tables: readonly ListedTable[],
  request: ScaffoldRequest,
): Promise<ScaffoldedExport[]> {
  const sizes = await readSizes(source, tables);
  const names = nameExports(tables);
  const hasPageRanges = source.engine === "postgres" && Number.parseInt(source.serverVersion, 10) >= 14;
  return tables.map((table, i) => {
    const size = sizes.get(table)!;
    const context = {
      engine: source.engine,
      hasPageRanges,
      isPlainName: isPlainName(table),
      wanted: request.mode,
      target: request.target === null ? null : parseTarget(request.target),
    };
    return { name: names[i]!, table, size, advice: advise(table, size, context) };
  });
}

function leftOutHints({ leftOut }: Chosen): string[] {
  if (leftOut.length === 0) return [];
  const canReturn = leftOut.some((one) => one.canReturn) ? "; `--include NAME` brings a table in" : "";
  const shown = leftOut.slice(0, 5).map(({ name, reason }) => `'${name}' (${reason})`).join(", ");
  const more = leftOut.length > 5 ? ` and ${leftOut.length - 5} more` : "";
  return [`left out: ${shown}${more}${canReturn}`];
}
