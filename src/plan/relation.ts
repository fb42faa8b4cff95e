// The one table behind a plain query, so that its catalog can be asked too. For advice only: what is not recognised is simply unknown.

import type { Engine } from "../source/mod.ts";

const NAME = String.raw`(?:[A-Za-z_]\w*|"[^"\x60\]]+"|\x60[^"\x60\]]+\x60|\[[^"\x60\]]+\])`;
const PLAIN = new RegExp(
  String
    .raw`^\s*SELECT\s+(?:\*|${NAME}(?:\s*,\s*${NAME})*)\s+FROM\s+(?:(${NAME})\.)?(${NAME})(\s+WHERE\s[\s\S]*)?\s*;?\s*$`,
  "i",
);
/** Words that would make the first column a part of the syntax, or another relation of the condition. */
const NOT_PLAIN = /\b(DISTINCT|TOP|UNION|INTERSECT|EXCEPT|JOIN|GROUP|HAVING|LIMIT|OFFSET|FETCH|ORDER)\b/i;

export interface PlainRelation {
  readonly schema: string | null;
  readonly name: string;
  /** The query has a condition: the table has at least as many rows as the query. */
  readonly isFiltered: boolean;
}

/** `SELECT a, b FROM s.t WHERE …` is of `s.t`; a query of several tables, with functions or with renamed columns is of none. */
export function findRelation(engine: Engine, sql: string): PlainRelation | null {
  const match = NOT_PLAIN.test(sql) ? null : PLAIN.exec(sql);
  if (match === null) return null;
  const [, schema, name, condition] = match;
  return {
    schema: schema === undefined ? null : bare(engine, schema),
    name: bare(engine, name!),
    isFiltered: condition !== undefined,
  };
}

/** PostgreSQL folds names that are not quoted; the others keep them. */
function bare(engine: Engine, name: string): string {
  if (/^\w/.test(name)) return engine === "postgres" ? name.toLowerCase() : name;
  return name.slice(1, -1);
}
