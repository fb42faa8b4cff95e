// Which tables become exports and what the exports are called. What is left out is always said, with the reason.

import type { Engine, ListedTable } from "../source/mod.ts";

export interface LeftOut {
  readonly name: string;
  /** Begins in lower case: `its name looks temporary`. */
  readonly reason: string;
  /** An `--include` brings it back. */
  readonly canReturn: boolean;
}

export interface Chosen {
  readonly tables: readonly ListedTable[];
  readonly leftOut: readonly LeftOut[];
  /** Globs that match no table. */
  readonly idleGlobs: readonly string[];
}

export interface Globs {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** Tables for exports of a whole schema: `exclude` wins over `include`, which wins over what names suggest. */
export function chooseTables(listed: readonly ListedTable[], globs: Globs, engine: Engine): Chosen {
  const include = globs.include.map((glob) => toPattern(glob, engine));
  const exclude = globs.exclude.map((glob) => toPattern(glob, engine));
  const tables: ListedTable[] = [];
  const leftOut: LeftOut[] = [];
  for (const table of listed) {
    const isIncluded = include.some((pattern) => matches(pattern, table));
    if (exclude.some((pattern) => matches(pattern, table)) || (include.length > 0 && !isIncluded)) continue;
    const reason = reasonToLeaveOut(table, isIncluded);
    if (reason === null) tables.push(table);
    else leftOut.push({ name: table.name, ...reason });
  }
  const idleGlobs = [...globs.include, ...globs.exclude]
    .filter((_, i) => !listed.some((table) => matches([...include, ...exclude][i]!, table)));
  return { tables, leftOut, idleGlobs };
}

/** `*` is any text and `?` any character. Names are compared as the engine compares them. */
function toPattern(glob: string, engine: Engine): RegExp {
  const text = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${text}$`, engine === "postgres" ? "su" : "siu");
}

/** By its name, or by its schema and name. */
function matches(pattern: RegExp, { schema, name }: ListedTable): boolean {
  return pattern.test(name) || (schema !== null && pattern.test(`${schema}.${name}`));
}

function reasonToLeaveOut(table: ListedTable, isIncluded: boolean): Omit<LeftOut, "name"> | null {
  if (table.columns.length === 0) {
    return { reason: table.kind === "view" ? "the view cannot be read" : "it has no columns", canReturn: false };
  }
  if (!table.isReadable) return { reason: "no right to SELECT all of its columns", canReturn: false };
  if (isIncluded) return null;
  if (table.partOf !== null) {
    const extension = table.partOf.startsWith("extension");
    return {
      reason: extension ? `it belongs to ${table.partOf}` : `its rows are read through ${table.partOf}`,
      canReturn: true,
    };
  }
  if (table.kind === "other") return { reason: "its rows are stored elsewhere", canReturn: true };
  const sort = guessSort(table.name);
  return sort === null ? null : { reason: `its name looks like a ${sort} table`, canReturn: true };
}

/** Words that stand alone at an end of a name, where a date or number may follow the last. */
const SORTS: readonly (readonly [sort: string, words: string])[] = [
  ["temporary", "tmp|temp|scratch|todelete|delete_?me|deleteme"],
  ["test", "test|tests|testing"],
  ["backup", "bak|bkp|backup|backups|old"],
];

/** `temporary`, `test` or `backup`, from the name alone. */
export function guessSort(name: string): string | null {
  const plain = name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
  for (const [sort, words] of SORTS) {
    if (new RegExp(`^_*(${words})([\\W_]|\\d+$|\\d+_|$)|[\\W_](${words})[\\W_]*[\\d_]*$`).test(plain)) return sort;
  }
  return null;
}

const NAME_BYTES_MAX = 120;

/** An export's name for each table: usable in file names, and unique where letter case does not count. */
export function nameExports(tables: readonly ListedTable[]): string[] {
  const used = new Set<string>();
  return tables.map(({ name }) => {
    const base = toFileName(name);
    let unique = base;
    for (let i = 2; used.has(unique.toLowerCase()); i++) unique = `${base}_${i}`;
    used.add(unique.toLowerCase());
    return unique;
  });
}

function toFileName(name: string): string {
  const plain = name.replace(/[^\p{L}\p{N}_.-]+/gu, "_").replace(/\.{2,}/g, "_").replace(/^[.-]+/, "_");
  let cut = plain === "" ? "_" : plain;
  while (new TextEncoder().encode(cut).length > NAME_BYTES_MAX) cut = cut.slice(0, -1);
  return cut;
}
