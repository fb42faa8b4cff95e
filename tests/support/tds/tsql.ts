// T-SQL as SQLite understands it, for the statements that a reading client and its tests send. Not a translator for anything else.

import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import { parseType } from "./types.ts";

/** Statements of a batch, split at semicolons outside of literals and names. */
export function splitBatch(sql: string): string[] {
  const { text, restore } = hideQuoted(sql);
  return text.split(";").map((part) => restore(part).trim()).filter((part) => part !== "");
}

/** Replaces literals and delimited names by marks, so that patterns cannot match inside them. */
function hideQuoted(sql: string): { text: string; restore: (text: string) => string } {
  const hidden: string[] = [];
  const text = sql.replace(/N?'(?:[^']|'')*'|\[(?:[^\]]|\]\])*\]/g, (found) => {
    hidden.push(found);
    return `\u0001${hidden.length - 1}\u0002`;
  });
  // deno-lint-ignore no-control-regex
  return { text, restore: (marked) => marked.replace(/\u0001(\d+)\u0002/g, (_, i) => hidden[Number(i)]!) };
}

/** The text of a T-SQL string literal. */
export function readLiteral(literal: string): string {
  return literal.replace(/^N?'|'$/g, "").replaceAll("''", "'");
}

// deno-lint-ignore no-control-regex
const MARK = /\u0001\d+\u0002/.source;
const TYPE = /\w+(?:\s*\(\s*(?:\d+|max)(?:\s*,\s*\d+)?\s*\))?/.source;

export function translate(sql: string): string {
  const { text, restore } = hideQuoted(sql);
  let limit = "";
  let out = text
    .replace(/\s+COLLATE\s+(?!NOCASE)\w+/gi, "")
    .replace(/\b0x([0-9a-f]*)/gi, "x'$1'")
    .replace(/@@(\w+)/g, "tsql_global('$1')")
    .replace(/\bCOUNT_BIG\b/gi, "COUNT")
    .replace(/\bISNULL\(/gi, "ifnull(")
    .replace(/\bDATEADD\(\s*(\w+)\s*,/gi, "tsql_dateadd('$1',")
    .replace(/\bSYSDATETIME(OFFSET)?\(\)/gi, "tsql_now()")
    .replace(new RegExp(`\\b(?:TRY_)?CONVERT\\(\\s*(${TYPE})\\s*,`, "gi"), "tsql_convert('$1',")
    .replace(new RegExp(`(${MARK})\\.(\\w+)\\(\\)`, "g"), "tsql_method('$2', $1)")
    .replace(/\bSELECT\s+TOP\s*\(?\s*(\d+)\s*\)?/i, (_, count) => {
      limit = ` LIMIT ${count}`;
      return "SELECT";
    })
    .replace(/\bOFFSET\s+(\d+)\s+ROWS\s+FETCH\s+NEXT\s+(\d+)\s+ROWS\s+ONLY/gi, "LIMIT $2 OFFSET $1");
  // From the inside out: an operand is a mark, a number or a call without further parentheses inside.
  const cast = new RegExp(`\\bCAST\\(\\s*(${MARK}|-?[\\d.]+|tsql_convert\\([^()]*\\))\\s+AS\\s+(${TYPE})\\s*\\)`, "i");
  const typeMark = (type: string) => type.replace("(", "<").replace(")", ">");
  while (cast.test(out)) out = out.replace(cast, (_, operand, type) => `tsql_convert('${typeMark(type)}', ${operand})`);
  return restore(out + limit)
    .replace(/N?'(?:[^']|'')*'|\[(?:[^\]]|\]\])*\]/g, (found) => {
      if (found.startsWith("[")) return `"${found.slice(1, -1).replaceAll("]]", "]").replaceAll('"', '""')}"`;
      return found.replace(/^N/, "");
    });
}

/** `yyyy-mm-dd hh:mm:ss.fffffff` of a date and time in any of the ISO forms; instants in UTC. */
export function toMoment(text: string): string {
  const match = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d+))?)?)?\s*(Z|[+-]\d{2}:\d{2})?$/.exec(
    text,
  );
  if (match === null) throw new Error(`tsql:241:Conversion failed when converting date and/or time from '${text}'`);
  const [, date, clock = "00:00", seconds = "00", fraction = "", zone] = match;
  let day = `${date} ${clock}`;
  if (zone !== undefined && zone !== "Z") {
    const sign = zone.startsWith("-") ? -1 : 1;
    const minutes = sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4)));
    day = new Date(Date.parse(`${date}T${clock}:00Z`) - minutes * 60_000).toISOString().slice(0, 16).replace("T", " ");
  }
  return `${day}:${seconds}.${fraction.padEnd(7, "0").slice(0, 7)}`;
}

/** A value as a column of the type keeps it in SQLite: comparable, and exact. */
export function toStored(typeText: string, value: SQLOutputValue): SQLInputValue {
  if (value === null) return null;
  const { name, first, second } = parseType(typeText.replace("<", "(").replace(">", ")"));
  const text = value instanceof Uint8Array ? "" : String(value);
  switch (name) {
    case "bit":
      return Number(text) === 0 ? 0n : 1n;
    case "tinyint":
    case "smallint":
    case "int":
    case "bigint":
      return BigInt(text.split(".")[0]!);
    case "real":
      return Math.fround(Number(text));
    case "float":
      return Number(text);
    case "money":
    case "smallmoney":
      return toDecimal(typeof value === "number" ? value.toFixed(4) : text, 4);
    case "decimal":
    case "numeric":
      return toDecimal(typeof value === "number" ? value.toFixed(second) : text, second);
    case "date":
      return toMoment(text).slice(0, 10);
    case "time":
      return toMoment(`2000-01-01 ${text}`).slice(11);
    case "datetime2":
      return toMoment(text);
    case "datetimeoffset":
      return `${toMoment(text)} +00:00`;
    case "smalldatetime":
      return `${toMoment(text).slice(0, 16)}:00.0000000`;
    case "datetime": {
      // Three-hundredths of a second.
      const moment = toMoment(text);
      const third = Math.round(Number(moment.slice(20)) * 300 / 1e7);
      return `${moment.slice(0, 20)}${String(Math.round(third * 1e7 / 300)).padStart(7, "0")}`;
    }
    case "uniqueidentifier":
      return text.toUpperCase();
    case "char":
    case "nchar":
      return text.padEnd(first, " ");
    case "binary": {
      const bytes = new Uint8Array(first);
      bytes.set(value as Uint8Array);
      return bytes;
    }
    default:
      return value;
  }
}

/** A number where that is exact, so that it compares as one; its text otherwise. */
function toDecimal(text: string, scale: number): SQLInputValue {
  const [whole = "0", fraction = ""] = text.split(".");
  const digits = whole.replace("-", "").length + scale;
  const kept = scale === 0 ? whole : `${whole}.${fraction.padEnd(scale, "0").slice(0, scale)}`;
  return digits <= 15 ? Number(kept) : kept;
}

/** CONVERT(type, value, style). */
function convert(type: string, value: SQLOutputValue, style: SQLOutputValue = 0): SQLInputValue {
  if (value === null) return null;
  const { name } = parseType(type.replace("<", "(").replace(">", ")"));
  if (name === "varbinary") return value instanceof Uint8Array ? value : new TextEncoder().encode(String(value));
  if (name !== "varchar" && name !== "nvarchar" && name !== "char" && name !== "nchar") return toStored(type, value);
  if (value instanceof Uint8Array) {
    return [...value].map((byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase();
  }
  const text = String(value);
  const moment = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}\.\d{7})( \+00:00)?$/.exec(text);
  if (moment === null) return text;
  const shown = moment[2]!.replace(/(\.\d\d)(33333|66667)$/, (_, head, tail) => `${head}${tail === "33333" ? 3 : 7}`);
  return `${moment[1]}${Number(style) >= 126 ? "T" : " "}${shown}${moment[3] === undefined ? "" : "Z"}`;
}

function dateAdd(unit: string, count: SQLOutputValue, value: SQLOutputValue): SQLInputValue {
  if (value === null) return null;
  const moment = toMoment(String(value));
  const ms = Number(count) * (unit.toLowerCase() === "day" ? 86_400_000 : 1000);
  const moved = new Date(Date.parse(`${moment.slice(0, 19).replace(" ", "T")}Z`) + ms).toISOString();
  return `${moved.slice(0, 19).replace("T", " ")}${moment.slice(19)}`;
}

const CODE_PAGES: Readonly<Record<string, bigint>> = { latin: 1252n, utf8: 65001n, japanese: 932n };

/** The server's functions that the client calls. */
export function defineFunctions(
  db: DatabaseSync,
  globals: (name: string) => SQLInputValue,
  properties: (name: string) => SQLInputValue,
  objectId: (name: string) => SQLInputValue,
): void {
  const define = (name: string, run: (...values: SQLOutputValue[]) => SQLInputValue, isStable = false) =>
    db.function(name, { varargs: true, deterministic: isStable, useBigIntArguments: true }, run);
  define("tsql_convert", (type, value, style) => convert(String(type), value!, style), true);
  define("tsql_store", (type, value) => toStored(String(type), value!), true);
  // A geometry is kept as WKB and a hierarchyid as its text, so the methods have nothing left to do.
  define("tsql_method", (_name, value) => value!, true);
  define("tsql_dateadd", (unit, count, value) => dateAdd(String(unit), count!, value!));
  define("tsql_now", () => toMoment(new Date().toISOString()));
  define("tsql_global", (name) => globals(String(name).toUpperCase()));
  define("SERVERPROPERTY", (name) => properties(String(name)));
  define("OBJECT_ID", (name) => objectId(String(name)));
  define("SCHEMA_NAME", (id) => id === null || id === undefined ? "dbo" : String(id).replace(/^\d+:/, ""));
  // The fake keeps the names of types in the place of their numbers.
  define("TYPE_NAME", (id) => id ?? null);
  define("DB_ID", () => 5n);
  define("REPLICATE", (text, count) => String(text).repeat(Number(count)));
  define("QUOTENAME", (name) => `[${String(name).replaceAll("]", "]]")}]`);
  define("CONCAT", (...parts) => parts.map((part) => part ?? "").join(""));
  define("HAS_PERMS_BY_NAME", () => 1n);
  define("OBJECTPROPERTY", () => null);
  define("COLUMNPROPERTY", () => null);
  define("DB_NAME", () => "shop");
  define("DATABASEPROPERTYEX", () => "latin");
  define("COLLATIONPROPERTY", (name) => name === null ? null : CODE_PAGES[String(name)] ?? null);
}
