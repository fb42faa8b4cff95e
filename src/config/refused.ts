// What a config may name that rivet does not do: refused by name, with what to use instead, before anything else is looked at.

import { RivetError } from "../errors.ts";
import type { Parsed } from "./yaml.ts";

interface Refusal {
  readonly finds: (config: Loose) => readonly PropertyKey[] | null;
  readonly code:
    | "RIVET_CONFIG_SOURCE_FEATURE_MISSING"
    | "RIVET_CONFIG_SOURCE_MODE_UNSUPPORTED"
    | "RIVET_CONFIG_SOURCE_OPTION_UNSUPPORTED";
  readonly message: string;
  readonly cure: string;
}

type Loose = { readonly [key: string]: unknown };

function object(value: unknown): Loose {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Loose : {};
}

function exportsOf(config: Loose): Loose[] {
  return Array.isArray(config["exports"]) ? config["exports"].map(object) : [];
}

const sourceType = (...types: string[]) => (config: Loose) =>
  types.includes(String(object(config["source"])["type"])) ? ["source", "type"] : null;

function inExports(test: (entry: Loose) => string | null) {
  return (config: Loose) => {
    for (const [index, entry] of exportsOf(config).entries()) {
      const key = test(entry);
      if (key !== null) return ["exports", index, key];
    }
    return null;
  };
}

const REFUSALS: readonly Refusal[] = [
  {
    finds: sourceType("oracle"),
    code: "RIVET_CONFIG_SOURCE_FEATURE_MISSING",
    message: "Oracle is not a source of rivet",
    cure:
      "Use Oracle's own export tools, or read the table through a PostgreSQL foreign table (oracle_fdw) with `type: postgres`",
  },
  {
    finds: sourceType("mongo", "mongodb"),
    code: "RIVET_CONFIG_SOURCE_FEATURE_MISSING",
    message: "MongoDB is not a source of rivet",
    cure: "Use mongoexport for whole collections, or a relational copy of them with `type: postgres`",
  },
  {
    finds: inExports((entry) => entry["mode"] === "cdc" ? "mode" : (entry["cdc"] ?? null) !== null ? "cdc" : null),
    code: "RIVET_CONFIG_SOURCE_MODE_UNSUPPORTED",
    message: "Change data capture (`cdc`) is not a mode of rivet",
    cure: "Use `mode: incremental` with `cursor_column`, or a change data capture tool such as Debezium for deletes",
  },
  {
    finds: inExports((entry) => (entry["tables"] ?? null) !== null ? "tables" : null),
    code: "RIVET_CONFIG_SOURCE_OPTION_UNSUPPORTED",
    message: "`tables` belongs to change data capture, which rivet does not do",
    cure: "Write one export for each table, with `table:`",
  },
  {
    finds: (config) =>
      (config["load"] ?? null) !== null
        ? ["load"]
        : inExports((entry) => (entry["load"] ?? null) !== null ? "load" : null)(config),
    code: "RIVET_CONFIG_SOURCE_FEATURE_MISSING",
    message: "Loading into a warehouse (`load`) is not part of rivet",
    cure:
      "Remove `load:` and let the warehouse read the files that the manifest names, with its own COPY or LOAD command",
  },
  {
    finds: (config) => (object(config["source"])["mongo"] ?? null) !== null ? ["source", "mongo"] : null,
    code: "RIVET_CONFIG_SOURCE_FEATURE_MISSING",
    message: "MongoDB is not a source of rivet",
    cure: "Remove `source.mongo`",
  },
];

export function checkRefused(parsed: Parsed): void {
  const config = object(parsed.value);
  for (const { finds, code, message, cure } of REFUSALS) {
    const path = finds(config);
    if (path !== null) throw new RivetError(code, message, { where: parsed.where(path), cure });
  }
}
