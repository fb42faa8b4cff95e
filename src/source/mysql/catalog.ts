// Catalog questions: the columns of a query, and size and usable keys of a table. Nothing here reads a row of data.

import { mapMysql, type MysqlColumn, spellMysqlType } from "../../types/mod.ts";
import { buildFrom, quoteName } from "../sql.ts";
import type { Query, Shape, SourceColumn, TableFacts, TableKey } from "../source.ts";
import { RivetError } from "../../errors.ts";
import type { Field, Session } from "./connect.ts";

const FLAG_NOT_NULL = 1;
const BINARY_COLLATION = 63;

export async function describeQuery(session: Session, query: Query, mariadb: boolean): Promise<Shape> {
  const probe = `SELECT * FROM ${buildFrom("mysql", query)} LIMIT 0`;
  const { fields } = await session.ask(probe);
  const stored = await readStored(session, probe);
  const spellings = query.kind === "table" ? await readSpellings(session, query) : new Map<string, string>();
  return {
    columns: fields.map((field, i): SourceColumn => {
      const column = toColumn(field, stored[i]);
      return {
        name: field.name,
        nativeType: spellings.get(field.name) ?? spellMysqlType(column, mariadb),
        ...mapMysql(column, mariadb),
        notNull: (field.flags & FLAG_NOT_NULL) !== 0,
      };
    }),
  };
}

/** How a column's text is stored, whatever it is converted to. */
interface Stored {
  readonly charset: string | null;
  readonly characterBytes: number;
  readonly length: number;
}

function toColumn(field: Field, stored: Stored | undefined): MysqlColumn {
  const { name, type, flags, decimals, extended } = field;
  const { charset = null, characterBytes = 1, length = field.length } = stored ?? {};
  return { name, type, flags, decimals, extended, charset, characterBytes, length };
}

/** Definitions tell the stored character set only while results are not converted. */
async function readStored(session: Session, probe: string): Promise<Stored[]> {
  await session.ask("SET character_set_results = NULL");
  let fields: readonly Field[];
  try {
    fields = (await session.ask(probe)).fields;
  } finally {
    await session.ask("SET character_set_results = utf8mb4");
  }
  const charsets = await readCharsets(session, new Set(fields.map((field) => field.collation)));
  return fields.map(({ collation, length }) => ({
    length,
    ...charsets.get(collation) ?? { charset: null, characterBytes: 1 },
  }));
}

type Charset = Pick<Stored, "charset" | "characterBytes">;

async function readCharsets(session: Session, collations: ReadonlySet<number>): Promise<Map<number, Charset>> {
  const found = new Map<number, Charset>([[BINARY_COLLATION, { charset: "binary", characterBytes: 1 }]]);
  const ids = [...collations].filter((id) => id !== BINARY_COLLATION);
  if (ids.length === 0) return found;
  const { rows } = await session.ask(
    `SELECT ID, l.CHARACTER_SET_NAME, MAXLEN FROM information_schema.COLLATIONS l
     JOIN information_schema.CHARACTER_SETS s ON s.CHARACTER_SET_NAME = l.CHARACTER_SET_NAME WHERE ID IN (${
      ids.join(", ")
    })`,
  );
  for (const [id, charset, bytes] of rows) {
    found.set(Number(id), { charset: charset ?? null, characterBytes: Number(bytes) });
  }
  return found;
}

function schemaExpression(schema: string | null): string {
  return schema === null ? "DATABASE()" : quoteText(schema);
}

/** The session never runs with NO_BACKSLASH_ESCAPES. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

interface TableName {
  readonly schema: string | null;
  readonly name: string;
}

/** Types as the catalog spells them, by column name. */
async function readSpellings(session: Session, table: TableName): Promise<Map<string, string>> {
  const { rows } = await session.ask(
    `SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE ${whereTable(table)}`,
  );
  const exact = rows.filter(([name]) => name === table.name);
  return new Map((exact.length > 0 ? exact : rows).map(([, column, type]) => [column ?? "", type ?? ""]));
}

function whereTable(table: TableName): string {
  return `TABLE_SCHEMA = ${schemaExpression(table.schema)} AND TABLE_NAME = ${quoteText(table.name)}`;
}

export interface FoundTable {
  readonly facts: TableFacts;
  /** Its engine keeps a snapshot; a view's tables are not looked into. */
  readonly transactional: boolean;
}

/** Null for a table that does not exist. */
export async function findTable(session: Session, table: TableName): Promise<FoundTable | null> {
  const { rows } = await session.ask(
    `SELECT TABLE_NAME, TABLE_SCHEMA, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH, AVG_ROW_LENGTH, CREATE_OPTIONS,
       COALESCE(ENGINE IN (SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS <> 'YES'), 0)
     FROM information_schema.TABLES WHERE ${whereTable(table)}`,
  );
  const row = await chooseTable(session, table, rows);
  if (row === null) return null;
  const [name, schema, type, tableRows, bytes, avgRowBytes, options, unsafe] = row;
  const real: TableName = { schema: schema ?? null, name: name ?? table.name };
  const facts: TableFacts = {
    schema: real.schema,
    name: real.name,
    kind: tableKind(type ?? "", options ?? ""),
    rowsEstimate: toNumber(tableRows),
    bytes: toNumber(bytes),
    avgRowBytes: toNumber(avgRowBytes),
    pages: null,
    keys: await readKeys(session, real),
  };
  return { facts, transactional: unsafe !== "1" };
}

/** The catalog compares names without case on some servers; the table itself decides. */
async function chooseTable(
  session: Session,
  table: TableName,
  rows: (string | null)[][],
): Promise<(string | null)[] | null> {
  const exact = rows.find(([name]) => name === table.name);
  if (exact !== undefined) return exact;
  if (rows[0] === undefined) return null;
  try {
    const name = quoteName("mysql", table.name);
    const from = table.schema === null ? name : `${quoteName("mysql", table.schema)}.${name}`;
    await session.ask(`SELECT 1 FROM ${from} LIMIT 0`);
    return rows[0];
  } catch (error) {
    if (error instanceof RivetError && error.code === "RIVET_SOURCE_TABLE_NOT_FOUND") return null;
    throw error;
  }
}

export function tableKind(type: string, options: string): TableFacts["kind"] {
  if (type === "VIEW" || type === "SYSTEM VIEW") return "view";
  if (type !== "BASE TABLE" && type !== "SYSTEM VERSIONED") return "other";
  return options.includes("partitioned") ? "partitioned" : "table";
}

export function toNumber(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

export type MysqlRows = (string | null)[][];

async function readKeys(session: Session, table: TableName): Promise<TableKey[]> {
  const ask = async (sql: string) => (await session.ask(sql)).rows;
  return groupKeys(await ask(await selectKeys(ask, whereTable(table), "")));
}

/** Indexes over whole columns that the optimizer may use. Names of optional catalog columns differ between the two servers. */
export async function selectKeys(
  ask: (sql: string) => Promise<MysqlRows>,
  where: string,
  before: string,
): Promise<string> {
  const rows = await ask(
    `SELECT COLUMN_NAME FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'STATISTICS' AND COLUMN_NAME IN ('IS_VISIBLE', 'IGNORED', 'EXPRESSION')`,
  );
  const present = new Set(rows.map(([name]) => (name ?? "").toUpperCase()));
  const usable = present.has("IS_VISIBLE") ? "IS_VISIBLE = 'YES'" : present.has("IGNORED") ? "IGNORED = 'NO'" : "1";
  const expression = present.has("EXPRESSION") ? "EXPRESSION" : "NULL";
  return `SELECT ${before}INDEX_NAME, COLUMN_NAME, NON_UNIQUE, NULLABLE,
       SUB_PART IS NULL AND ${expression} IS NULL AND INDEX_TYPE = 'BTREE' AND ${usable} AS USABLE
     FROM information_schema.STATISTICS WHERE ${where} ORDER BY ${before}INDEX_NAME, SEQ_IN_INDEX`;
}

interface KeyDraft {
  readonly name: string;
  readonly unique: boolean;
  readonly columns: string[];
  notNull: boolean;
  usable: boolean;
}

export function groupKeys(rows: (string | null)[][]): TableKey[] {
  const drafts = new Map<string, KeyDraft>();
  for (const [name, column, nonUnique, nullable, usable] of rows) {
    const key = name ?? "";
    const draft = drafts.get(key) ??
      { name: key, unique: nonUnique === "0", columns: [], notNull: true, usable: true };
    drafts.set(key, draft);
    draft.columns.push(column ?? "");
    if (nullable === "YES") draft.notNull = false;
    if (usable !== "1" || column === null) draft.usable = false;
  }
  return [...drafts.values()]
    .filter((draft) => draft.usable)
    .map(({ name, unique, columns, notNull }) => ({ name, columns, primary: name === "PRIMARY", unique, notNull }))
    .sort((a, b) =>
      Number(b.primary) - Number(a.primary) || Number(b.unique) - Number(a.unique) || (a.name < b.name ? -1 : 1)
    );
}
