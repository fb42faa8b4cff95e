// How errors speak of a place in the config: the key, the export it belongs to, and the value as written, never a secret.

import { type ErrorCode, RivetError } from "../errors.ts";
import type { Parsed, Path } from "./yaml.ts";

const SECRET_KEYS: ReadonlySet<string> = new Set(["password", "url", "webhook_url"]);
const QUOTED_MAX = 80;

/** `destination.path` of export 'orders'. */
export function describePlace(path: Path, parsed: Parsed): string {
  const [root, index, ...rest] = path;
  if (root !== "exports" || typeof index !== "number") return `\`${formatPath(path)}\``;
  return rest.length === 0
    ? describeExport(index, parsed)
    : `\`${formatPath(rest)}\` of ${describeExport(index, parsed)}`;
}

/** export 'orders' as written, or its number when it has no name. */
export function describeExport(index: number, parsed: Parsed): string {
  const name = parsed.written(["exports", index, "name"]);
  return typeof name === "string" && name !== "" ? `export '${cut(name)}'` : `export number ${index + 1}`;
}

export function formatPath(path: Path): string {
  return path.map((key, i) => typeof key === "number" ? `[${key}]` : i === 0 ? String(key) : `.${String(key)}`).join(
    "",
  );
}

/** The value in quotes, as written; null for a secret, for what was filled in, and for what is no single value. */
export function quoteValue(path: Path, parsed: Parsed): string | null {
  if (SECRET_KEYS.has(String(path.at(-1)))) return null;
  const value = parsed.written(path);
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return null;
  return `'${cut(String(value))}'`;
}

/** Short, and on one line. */
function cut(text: string): string {
  // deno-lint-ignore no-control-regex
  const line = text.replace(/[\x00-\x1f\x7f]/g, (char) => JSON.stringify(char).slice(1, -1));
  return line.length <= QUOTED_MAX ? line : `${line.slice(0, QUOTED_MAX)}…`;
}

/** A key of the export: `destination.path`, or its segments where one of them may hold a dot. Null is the export itself. */
type Key = string | readonly string[] | null;

/** What the rules of one export speak through. */
export interface Place {
  fail(code: ErrorCode, key: Key, message: string, cure: string): never;
  /** The value of a key in quotes, as written, or "the value". */
  quote(key: Key): string;
  warn(message: string): void;
}

export function openPlace(index: number, parsed: Parsed, warnings: string[]): Place {
  const pathOf = (key: Key): Path => [
    "exports",
    index,
    ...(key === null ? [] : typeof key === "string" ? key.split(".") : key),
  ];
  return {
    fail(code, key, message, cure) {
      throw new RivetError(code, `${message}, in ${describeExport(index, parsed)}`, {
        where: parsed.where(pathOf(key)),
        cure,
      });
    },
    quote: (key) => quoteValue(pathOf(key), parsed) ?? "the value",
    warn: (message) => void warnings.push(`${describeExport(index, parsed)}: ${message}`),
  };
}
