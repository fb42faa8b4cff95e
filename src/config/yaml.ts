// The config's YAML as plain values, with the place of each in the file and its text as written there.

import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type Node, parseDocument, visit } from "yaml";
import { RivetError } from "../errors.ts";
import type { Filled } from "./fill.ts";

export type Path = readonly PropertyKey[];

export interface Parsed {
  readonly value: unknown;
  /** `file:line:column` of a key or list entry, or of the nearest thing around it. */
  where(path: Path): string;
  /** A value as written, `${name}` not filled in. Undefined where that cannot be told. */
  written(path: Path): unknown;
}

const OPTIONS = { prettyErrors: false, merge: true } as const;
const ALIASES_MAX = 100;

/** Keys whose value may be the word itself: `csv: {null: NULL}`, `zero_dates: null`. */
const WORD_KEYS: ReadonlySet<unknown> = new Set(["null", "zero_dates"]);

function parse(text: string): Document {
  const document = parseDocument(text, OPTIONS);
  // Where `null` is a name, YAML would make nothing of it.
  visit(document, {
    Pair(_index, { key, value }) {
      if (!isScalar(key)) return;
      if (key.value === null && key.source === "null") key.value = "null";
      if (WORD_KEYS.has(key.value) && isScalar(value) && value.value === null && value.source !== "") {
        value.value = value.source ?? null;
      }
    },
  });
  return document;
}

/** Refuses every syntax error, duplicate keys, several documents and aliases without end. */
export function parseYaml(filled: Filled): Parsed {
  const document = parse(filled.text);
  const [error] = document.errors;
  if (error !== undefined) {
    throw new RivetError("RIVET_CONFIG_YAML_INVALID", `The YAML cannot be read: ${messageOf(error, filled)}`, {
      where: filled.where(error.pos[0]),
      cure: cureOf(filled.text, error.pos[0]),
    });
  }
  const value = toValue(document, filled);
  const written = filled.marked === null ? value : toWritten(filled);
  return {
    value,
    where: (path) => filled.where(findOffset(document, path)),
    written(path) {
      const piece = at(written, path);
      const filledIn = at(value, path);
      if (typeof piece !== "string" || filled.marked === null) return piece;
      // What was filled in may itself be YAML and move everything: then the two trees do not belong together.
      const text = filled.restore(piece);
      return text === piece && piece !== filledIn ? undefined : text;
    },
  };
}

function toValue(document: Document, filled: Filled): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (cause) {
    throw new RivetError(
      "RIVET_CONFIG_YAML_INVALID",
      "The YAML refers to an anchor that is not there, to itself, or to one too often",
      {
        where: filled.where(0),
        cure: "Write the values out where they are used",
        cause,
      },
    );
  }
}

function toWritten(filled: Filled): unknown {
  const document = parse(filled.marked!);
  if (document.errors.length > 0) return undefined;
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch {
    return undefined;
  }
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, key) ? Reflect.get(inner, key) : undefined,
    value,
  );
}

/** What the parser's codes mean, where its own words are meant for programmers. */
const MESSAGES: ReadonlyMap<string, string> = new Map([
  ["DUPLICATE_KEY", "a key stands twice"],
  ["MULTIPLE_DOCS", "it holds several documents"],
]);

/** The parser's own message may quote the text; it is shown only where no value was filled in. */
function messageOf({ code, message }: { code: string; message: string }, filled: Filled): string {
  const known = MESSAGES.get(code);
  if (known !== undefined) return known;
  if (filled.marked === null) return message;
  const same = parseDocument(filled.marked, OPTIONS).errors.find((error) => error.code === code);
  return same === undefined
    ? `with the values filled in, ${code.toLowerCase().replaceAll("_", " ")}`
    : filled.restore(same.message);
}

function cureOf(text: string, offset: number): string {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  const end = text.indexOf("\n", offset);
  const line = text.slice(start, end < 0 ? undefined : end);
  if (line.includes("\t")) return "Indent with blanks, YAML takes no tabs";
  if (/[:,{]\s*[^"'\s,]*\{\w+\}/.test(line)) return "Put the value with {…} into quotes";
  return "Correct the syntax at this place";
}

function findOffset(document: Document, path: Path): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? node.range?.[0] ?? 0 : 0;
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    const next = isMap(node) ? findPair(node.items, key) : isSeq(node) ? findItem(node.items, key) : null;
    if (next === null) return offset;
    [node, offset] = next;
  }
  return offset;
}

function findPair(items: readonly { key: unknown; value: unknown }[], key: PropertyKey): [unknown, number] | null {
  const pair = items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === String(key));
  return pair === undefined ? null : [pair.value, (pair.key as Node).range?.[0] ?? 0];
}

function findItem(items: readonly unknown[], key: PropertyKey): [unknown, number] | null {
  const item = items[Number(key)];
  return isNode(item) ? [item, item.range?.[0] ?? 0] : null;
}
