// The columns of a query without running it: the server describes the first result set.

import { RivetError } from "../../errors.ts";
import { mapMssql } from "../../types/mod.ts";
import { buildFrom } from "../sql.ts";
import type { Query, Shape, SourceColumn } from "../source.ts";
import { toLiteral } from "./ask.ts";
import { toServerError } from "./errors.ts";
import { isDecodedCodePage } from "./text.ts";

type Ask = (sql: string) => Promise<(string | null)[][]>;

const UNICODE = new Set(["nchar", "nvarchar", "ntext", "sysname"]);

export async function describeQuery(ask: Ask, query: Query): Promise<Shape> {
  // As it will be read, inside a subquery: what is not allowed there must be refused here.
  const from = buildFrom("mssql", query);
  const rows = await ask(
    `SELECT name, CONVERT(int, is_nullable), system_type_name, user_type_name, CONVERT(int, precision), CONVERT(int, scale),
      CONVERT(int, COLLATIONPROPERTY(collation_name, 'CodePage')), error_number, error_message,
      CASE WHEN collation_name <> CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation')) THEN collation_name END
    FROM sys.dm_exec_describe_first_result_set(${toLiteral(`SELECT * FROM ${from}`)}, NULL, 0)
    WHERE is_hidden = 0 OR is_hidden IS NULL ORDER BY column_ordinal`,
  );
  const failed = rows.find((row) => row[7] !== null);
  if (rows.length === 0 || failed !== undefined) await refuse(ask, query, from, failed);
  return { columns: rows.map(toColumn) };
}

/** The description tells less than the server does when it is asked for no rows of the same. */
async function refuse(ask: Ask, query: Query, from: string, failed: (string | null)[] | undefined): Promise<never> {
  const where = query.kind === "table" ? `table '${query.name}'` : "the export's query";
  try {
    await ask(`SELECT TOP (0) * FROM ${from}`);
  } catch (error) {
    if (!(error instanceof RivetError)) throw error;
    const { code, message, cure, retry, retryDelayMs, cause } = error;
    throw new RivetError(code, message, { where, cure, retry, retryDelayMs, cause });
  }
  const number = Number(failed?.[7] ?? 0);
  const { message, cure } = toServerError(
    { number, message: failed?.[8] ?? "The server cannot describe the result" },
    undefined,
    "RIVET_SOURCE_QUERY_FAILED",
  );
  throw new RivetError("RIVET_SOURCE_QUERY_FAILED", message, { where, cure });
}

function toColumn(row: (string | null)[]): SourceColumn {
  const [name, nullable, systemType, userType, precision, scale, codePage] = row;
  if (name === null || name === undefined || name === "") {
    throw new RivetError("RIVET_SOURCE_QUERY_FAILED", "A column of the query has no name", {
      cure: "Give every column of `query:` a name with AS",
    });
  }
  const spelled = systemType ?? userType ?? "unknown";
  const collation = row[9] ?? null;
  const type = spelled.toLowerCase().replace(/\(.*$/, "");
  const mapping = mapMssql({
    name,
    type,
    precision: Number(precision ?? 0),
    scale: Number(scale ?? 0),
    isDecoded: UNICODE.has(type) || codePage === null || codePage === undefined || isDecodedCodePage(Number(codePage)),
    isClr: systemType === null,
  });
  // Literals that are compared with the column must sort by its rules, so a collation that is not the database's is part of the type.
  const nativeType = collation === null ? spelled : `${spelled} COLLATE ${collation}`;
  return { name, nativeType, ...mapping, notNull: nullable === null ? null : nullable === "0" };
}
