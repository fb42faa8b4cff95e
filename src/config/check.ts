// The shape check: values against the schema, and its findings as errors with a place and a cure.

import type { z } from "zod";
import { type ErrorCode, RivetError } from "../errors.ts";
import { dropNulls, open } from "./nulls.ts";
import { describePlace, quoteValue } from "./place.ts";
import { ConfigShape, type RawConfig, TuningShape } from "./shape.ts";
import { suggest } from "./suggest.ts";
import type { Parsed, Path } from "./yaml.ts";

type Issue = z.core.$ZodIssue;

/** Throws RIVET_CONFIG_YAML_INVALID or RIVET_CONFIG_VALUE_OUT_OF_RANGE for what is wrong first: unknown keys, then in the schema's order. */
export function checkShape(parsed: Parsed): RawConfig {
  const result = ConfigShape.safeParse(dropNulls(parsed.value, ConfigShape));
  if (result.success) return result.data;
  const { issues } = result.error;
  throw toError(issues.find((issue) => issue.code === "unrecognized_keys") ?? issues[0]!, parsed);
}

/** A tuning key outside of `tuning:` would otherwise be only an unknown key. */
export function checkMisplacedTuning(parsed: Parsed): void {
  const value = parsed.value as { source?: unknown; exports?: unknown } | null;
  const places: [Path, unknown][] = [[["source"], value?.source]];
  if (Array.isArray(value?.exports)) value.exports.forEach((entry, i) => places.push([["exports", i], entry]));
  for (const [path, place] of places) {
    if (typeof place !== "object" || place === null) continue;
    const key = Object.keys(place).find((name) => Object.hasOwn(TuningShape.shape, name));
    if (key === undefined) continue;
    throw new RivetError(
      "RIVET_CONFIG_YAML_INVALID",
      `${describePlace([...path, key], parsed)} stands outside of \`tuning:\``,
      {
        where: parsed.where([...path, key]),
        cure: `Write \`tuning: {${key}: …}\` ${path[0] === "source" ? "below `source:`" : "in the export"}`,
      },
    );
  }
}

function toError(issue: Issue, parsed: Parsed): RivetError {
  const { path } = issue;
  if (issue.code === "unrecognized_keys") return unknownKey(issue.keys[0]!, path, parsed);
  if (path.length === 0) {
    return invalid(path, parsed, "The config is empty or not a mapping", MISSING.get("source")!);
  }
  const label = describePlace(path, parsed);
  const key = String(path.at(-1));
  if (valueAt(parsed, path) === undefined || valueAt(parsed, path) === null) {
    return invalid(path, parsed, `${label} is missing`, missingCure(path, key));
  }
  const quoted = quoteValue(path, parsed);
  const is = quoted === null ? label : `${label} is ${quoted}, it`;
  switch (issue.code) {
    case "invalid_value":
      return invalid(path, parsed, `${is} must be ${anyOf(issue.values)}`, choose(issue, parsed));
    case "too_small":
      return outOfRange(
        issue,
        parsed,
        `${is} must ${limit(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum)}`,
      );
    case "too_big":
      return outOfRange(issue, parsed, `${is} must ${limit(issue.origin, "at most", issue.maximum)}`);
    case "invalid_type":
      return invalid(
        path,
        parsed,
        `${is} must be ${NOUNS.get(issue.expected) ?? issue.expected}`,
        typeCure(issue.expected, parsed, path),
      );
    case "invalid_union":
      return invalid(path, parsed, `${is} must be ${unionOf(issue)}`, "Correct the value");
    default:
      return invalid(
        path,
        parsed,
        `${is} cannot be used`,
        "Correct the value; `rivet schema config` prints what each key takes",
      );
  }
}

function invalid(path: Path, parsed: Parsed, message: string, cure: string): RivetError {
  return new RivetError("RIVET_CONFIG_YAML_INVALID", message, { where: parsed.where(path), cure });
}

const RANGE_CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ["chunk_count", "RIVET_CONFIG_CHUNK_COUNT_INVALID"],
  ["chunk_by_days", "RIVET_CONFIG_CHUNK_BY_DAYS_INVALID"],
]);

function outOfRange(issue: Issue, parsed: Parsed, message: string): RivetError {
  const key = String(issue.path.at(-1));
  return new RivetError(RANGE_CODES.get(key) ?? "RIVET_CONFIG_VALUE_OUT_OF_RANGE", message, {
    where: parsed.where(issue.path),
    cure: `Correct \`${key}\``,
  });
}

function limit(origin: string, relation: string, bound: unknown): string {
  switch (origin) {
    case "string":
      return relation === "at least" && Number(bound) === 1 ? "not be empty" : `have ${relation} ${bound} character(s)`;
    case "array":
      return relation === "at least" && Number(bound) === 1 ? "not be empty" : `have ${relation} ${bound} entries`;
    default:
      return `be ${relation} ${bound}`;
  }
}

const NOUNS: ReadonlyMap<string, string> = new Map([
  ["string", "text"],
  ["number", "a number"],
  ["int", "a whole number"],
  ["boolean", "true or false"],
  ["array", "a list"],
  ["object", "a mapping"],
  ["record", "a mapping"],
]);

const MISSING: ReadonlyMap<string, string> = new Map([
  ["source", "Say where the rows come from: `source: {type: postgres, url_env: DATABASE_URL}`"],
  [
    "exports",
    "List what to export: `exports: [{name: orders, table: orders, format: parquet, destination: {type: local, path: out}}]`",
  ],
  ["name", "Give the export a `name`"],
  ["format", "Set `format: parquet` or `format: csv`"],
  ["destination", "Say where the files go: `destination: {type: local, path: out}`"],
]);

function missingCure(path: Path, key: string): string {
  // `{price: decimal(10,2)}` without quotes is two entries for YAML.
  if (path.at(-2) === "columns" && key.endsWith(")")) return "Put a type with a comma into quotes: `'decimal(10,2)'`";
  return MISSING.get(key) ?? `Set \`${key}\``;
}

function typeCure(expected: string, parsed: Parsed, path: Path): string {
  const value = valueAt(parsed, path);
  if (expected === "string" && typeof value === "object") return "Put a value with {…} or […] into quotes";
  if (expected === "string") return "Put the value into quotes";
  if (expected === "array") return "Write a list: one entry a line, each after `- `";
  if (expected === "boolean") return "Write `true` or `false`, without quotes";
  if (expected === "number" && typeof value === "string") return "Write a number, without quotes";
  return "Correct the value; `rivet schema config` prints what each key takes";
}

function anyOf(values: readonly unknown[]): string {
  return values.map(String).join(", ").replace(/, ([^,]*)$/, " or $1");
}

/** Words that people use for an engine or a format, and what they are called here. */
const OTHER_WORDS: ReadonlyMap<string, string> = new Map([
  ["mariadb", "mysql"],
  ["pg", "postgres"],
  ["sqlserver", "mssql"],
  ["sql_server", "mssql"],
  ["file", "local"],
  ["filesystem", "local"],
  ["gs", "gcs"],
  ["abfs", "azure"],
  ["azblob", "azure"],
]);

function choose(issue: Issue & { code: "invalid_value" }, parsed: Parsed): string {
  const values = issue.values.map(String);
  const given = valueAt(parsed, issue.path);
  if (typeof given !== "string") return `Choose one of: ${values.join(", ")}`;
  const other = OTHER_WORDS.get(given.toLowerCase());
  const near = other !== undefined && values.includes(other) ? other : suggest(given, values);
  return near === null ? `Choose one of: ${values.join(", ")}` : `Did you mean \`${near}\`?`;
}

function unionOf(issue: Issue & { code: "invalid_union" }): string {
  const expected = issue.errors.map(([first]) =>
    first?.code === "invalid_type" ? NOUNS.get(first.expected) ?? first.expected : "a list with at least one name"
  );
  return [...new Set(expected)].join(" or ");
}

function unknownKey(key: string, path: Path, parsed: Parsed): RivetError {
  const known = knownKeys(path);
  const near = suggest(key, known);
  const inside = path.length === 0 ? "" : ` in ${describePlace(path, parsed)}`;
  return invalid(
    [...path, key],
    parsed,
    `Unknown key '${key}'${inside}`,
    near === null ? `Known here: ${known.join(", ")}` : `Did you mean \`${near}\`?`,
  );
}

function valueAt(parsed: Parsed, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined,
    parsed.value,
  );
}

/** The keys that a place in the config takes. */
function knownKeys(path: Path): string[] {
  let shape: unknown = ConfigShape;
  for (const key of path) shape = typeof key === "number" ? open(shape).element : open(shape).fields?.[String(key)];
  return Object.keys(open(shape).fields ?? {});
}
