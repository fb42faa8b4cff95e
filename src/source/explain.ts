// How the engine would read a statement, asked with its own EXPLAIN: the statement itself is never run. Advice only.

import { RivetError } from "../errors.ts";
import type { Source } from "./source.ts";

/** The step of the server's plan that costs most among those that read a table. */
export interface Access {
  /** `Seq Scan on orders`, `range on orders using PRIMARY`, `SEARCH orders USING INDEX i (id>?)`. */
  readonly scan: string;
  /** It seeks; an index read from end to end counts as a scan. */
  readonly usesIndex: boolean;
  /** Rows of the whole statement as the planner reckons them; null where it does not say. */
  readonly rows: number | null;
  /** Bytes of such a row. */
  readonly rowBytes: number | null;
}

/** Null where the engine gives no plan, or not to this user. */
export async function explainAccess(source: Source, sql: string): Promise<Access | null> {
  switch (source.engine) {
    case "postgres":
      return readPostgresPlan((await source.rows(`EXPLAIN (FORMAT JSON) ${sql}`))[0]?.[0] ?? "");
    case "mysql":
      return readMysqlPlan((await source.rows(`EXPLAIN FORMAT=JSON ${sql}`))[0]?.[0] ?? "");
    case "sqlite":
      return readSqlitePlan(await source.rows(`EXPLAIN QUERY PLAN ${sql}`));
    case "mssql":
      return await explainMssql(source, sql);
  }
}

interface PostgresNode {
  readonly "Node Type": string;
  readonly "Total Cost": number;
  readonly "Plan Rows": number;
  readonly "Plan Width": number;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly Plans?: readonly PostgresNode[];
}

/** The answer of `EXPLAIN (FORMAT JSON)`. */
export function readPostgresPlan(json: string): Access | null {
  const top = (parseJson(json) as { Plan: PostgresNode }[] | null)?.[0]?.Plan;
  if (top === undefined) return null;
  const scans: PostgresNode[] = [];
  const visit = (node: PostgresNode) => {
    if (/ Scan$/.test(node["Node Type"])) scans.push(node);
    node.Plans?.forEach(visit);
  };
  visit(top);
  const scan = greatest(scans, (node) => node["Total Cost"]);
  const type = scan?.["Node Type"] ?? top["Node Type"];
  const on = scan?.["Relation Name"];
  const index = scan?.["Index Name"];
  return {
    scan: `${type}${index === undefined ? "" : ` using ${index}`}${on === undefined ? "" : ` on ${on}`}`,
    usesIndex: /^(Index|Index Only|Bitmap Index|Bitmap Heap|Tid Range) Scan$/.test(type),
    rows: top["Plan Rows"],
    rowBytes: top["Plan Width"] > 0 ? top["Plan Width"] : null,
  };
}

const MYSQL_SEEKS = new Set(["const", "eq_ref", "ref", "ref_or_null", "range", "index_merge", "system"]);

interface MysqlTable {
  readonly name: string;
  readonly access: string;
  readonly key: string | null;
  readonly rows: number;
}

/** The answer of `EXPLAIN FORMAT=JSON`: MySQL and MariaDB nest differently, but a table is an object with an access type in both. */
export function readMysqlPlan(json: string): Access | null {
  const tables: MysqlTable[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (typeof value !== "object" || value === null) return;
    const node = value as Record<string, unknown>;
    if (typeof node["access_type"] === "string") {
      tables.push({
        name: String(node["table_name"] ?? ""),
        access: String(node["index_access_type"] ?? node["access_type"]).replace(/^index_(range)_scan$/, "$1"),
        key: typeof node["key"] === "string" ? node["key"] : null,
        rows: Number(node["rows_examined_per_scan"] ?? node["rows"] ?? node["estimated_rows"] ?? 0),
      });
    }
    Object.values(node).forEach(visit);
  };
  visit(parseJson(json));
  // A derived table is a step of its own; the tables that it is made of follow it and are what is read.
  const named = tables.filter(({ name }) => !name.startsWith("<"));
  const table = greatest(named, ({ rows }) => rows);
  if (table === undefined) return null;
  return {
    scan: `${table.access} on ${table.name}${table.key === null ? "" : ` using ${table.key}`}`,
    usesIndex: MYSQL_SEEKS.has(table.access),
    rows: Math.round(table.rows),
    rowBytes: null,
  };
}

/** The answer of `EXPLAIN QUERY PLAN`: it has no costs, so the first table that is scanned decides. */
export function readSqlitePlan(rows: readonly (readonly (string | null)[])[]): Access | null {
  const steps = rows.map((row) => row[3] ?? "")
    .filter((detail) => /^(SCAN|SEARCH) (?!\(|SUBQUERY|CONSTANT)/.test(detail));
  const step = steps.find((detail) => detail.startsWith("SCAN ")) ?? steps[0];
  return step === undefined ? null : { scan: step, usesIndex: step.startsWith("SEARCH "), rows: null, rowBytes: null };
}

/** The plan instead of the rows, for the statements of this session until it is switched off again. */
async function explainMssql(source: Source, sql: string): Promise<Access | null> {
  try {
    await source.rows("SET SHOWPLAN_XML ON");
  } catch (error) {
    // SHOWPLAN is a right of its own, which an export does not need.
    if (error instanceof RivetError && error.code === "RIVET_SOURCE_QUERY_FAILED") return null;
    throw error;
  }
  try {
    return readMssqlPlan((await source.rows(sql))[0]?.[0] ?? "");
  } catch (error) {
    if (error instanceof RivetError && error.code === "RIVET_SOURCE_QUERY_FAILED") return null;
    throw error;
  } finally {
    await source.rows("SET SHOWPLAN_XML OFF");
  }
}

/** The XML of a SQL Server plan: the costliest operator that names an object. */
export function readMssqlPlan(xml: string): Access | null {
  const operators = xml.split("<RelOp ").slice(1).map((text) => {
    const attributes = text.slice(0, text.indexOf(">"));
    const read = (name: string) => new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1];
    return {
      kind: read("PhysicalOp") ?? "",
      cost: Number(read("EstimatedTotalSubtreeCost") ?? 0),
      rows: Number(read("EstimateRows") ?? Number.NaN),
      bytes: Number(read("AvgRowSize") ?? Number.NaN),
      index: /<Object [^>]*\bIndex="\[([^"]*)\]"/.exec(text)?.[1],
      table: /<Object [^>]*\bTable="\[([^"]*)\]"/.exec(text)?.[1],
    };
  });
  const reads = operators.filter(({ kind }) => /(Scan|Seek)$/.test(kind) && kind !== "Constant Scan");
  const scan = greatest(reads, ({ cost }) => cost);
  if (scan === undefined) return null;
  const top = operators[0]!;
  const on = `${scan.table === undefined ? "" : ` on ${scan.table}`}${
    scan.index === undefined ? "" : ` using ${scan.index}`
  }`;
  return {
    scan: `${scan.kind}${on}`,
    usesIndex: scan.kind.endsWith("Seek"),
    rows: Number.isFinite(top.rows) ? Math.round(top.rows) : null,
    rowBytes: Number.isFinite(top.bytes) && top.bytes > 0 ? Math.round(top.bytes) : null,
  };
}

function greatest<T>(items: readonly T[], measure: (item: T) => number): T | undefined {
  let best = items[0];
  for (const item of items) if (measure(item) > measure(best!)) best = item;
  return best;
}

/** Null for what is no JSON: a server that answers otherwise has no plan for us. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
