// What the schema says, for machines and for people: JSON Schema and the reference page.

import { z } from "zod";
import { TYPE_ALIASES } from "../types/mod.ts";
import { isAvailable } from "./features.ts";
import { ConfigShape } from "./shape.ts";

/** JSON Schema, draft 2020-12. */
export function buildJsonSchema(version: string): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(ConfigShape, { io: "input", target: "draft-2020-12" });
  return { $schema, title: `Rivet config (rivet ${version})`, ...schema };
}

interface Node {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly description?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

const INTRODUCTION = `# Config reference

Every key of \`rivet.yaml\`, from the schema that reads it. \`rivet schema config\` prints the same as JSON Schema.

\`\`\`yaml
source:
  type: postgres
  url_env: DATABASE_URL
  tls: { mode: verify-full }
exports:
  - name: orders
    table: sales.orders
    format: parquet
    destination: { type: local, path: out/orders }
\`\`\`

- \`\${NAME}\` is replaced before anything else is read: by \`-p NAME=VALUE\`, else by the environment variable, else it is an error. The same holds
  in a \`query_file\` and in the text of \`url_env\` and \`url_file\`.
- Relative paths begin at the config's folder.
- An unknown key is an error, and so is a key of a feature that this version does not have.
- Sizes are bytes, or a number with \`KB\`, \`MB\` or \`GB\` (1024 each). Durations are a whole number and \`s\`, \`m\`, \`h\` or \`d\`.
`;

/** The reference page: every key with its type and meaning, as Markdown. */
export function buildConfigReference(): string {
  const sections: string[] = [];
  collectSections(buildJsonSchema("") as Node, "", "", sections);
  return [INTRODUCTION, ...sections, typeSection()].join("\n");
}

function collectSections(node: Node, title: string, path: string, into: string[]): void {
  const entries = Object.entries(node.properties ?? {});
  const at = (key: string) => path === "" ? key : `${path}.${key}`;
  const nested = entries.map(([key, child]) => ({ key, child, node: child.items?.properties ? child.items : child }))
    .filter(({ node }) => node.properties !== undefined);
  const name = (key: string) => title === "" ? key : `${title}.${key}`;
  const rows = entries.map(([key, child]) => {
    const link = nested.some((inner) => inner.key === key)
      ? `[${typeOf(child)}](#${name(key).replaceAll(".", "")})`
      : typeOf(child);
    const required = node.required?.includes(key) ? ", required" : "";
    const missing = isAvailable(at(key)) ? "" : "**Not available in this version.** ";
    return `| \`${key}\` | ${link}${required} | ${missing}${child.description ?? ""} |`;
  });
  into.push(
    [`## ${title === "" ? "rivet.yaml" : title}`, "", "| key | type | meaning |", "|---|---|---|", ...rows, ""].join(
      "\n",
    ),
  );
  for (const { key, child, node } of nested) {
    collectSections(node, name(key), at(key) + (child.items === undefined ? "" : ".*"), into);
  }
}

const NOUNS: Readonly<Record<string, string>> = {
  string: "text",
  integer: "whole number",
  boolean: "true or false",
  object: "mapping",
};

function typeOf(node: Node): string {
  if (node.enum !== undefined) return node.enum.map((value) => `\`${value}\``).join(", ");
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(typeOf))].join(" or ");
  if (node.type === "array") return `list of ${plural(node.items ?? {})}`;
  return `${NOUNS[node.type ?? ""] ?? node.type ?? "value"}${rangeOf(node)}`;
}

function plural(node: Node): string {
  if (node.enum !== undefined) return typeOf(node);
  return node.properties === undefined ? "texts" : "mappings";
}

function rangeOf({ minimum, exclusiveMinimum, maximum }: Node): string {
  const to = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? null : maximum;
  const from = minimum === undefined || minimum <= -Number.MAX_SAFE_INTEGER ? null : minimum;
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}`;
  if (from !== null && to !== null) return ` from ${from} to ${to}`;
  return from === null ? "" : ` from ${from}`;
}

function typeSection(): string {
  return [
    "## Types in `columns`",
    "",
    "In any letter case. A list is `list<type>` or `type[]`.",
    "",
    "| type | also written |",
    "|---|---|",
    ...TYPE_ALIASES.map(([name, ...others]) => `| \`${name}\` | ${others.map((other) => `\`${other}\``).join(", ")} |`),
    "| `decimal(p,s)` | `numeric(p,s)`; p from 1 to 76, s from 0 to p |",
    "",
  ].join("\n");
}
