// What the schema says, for machines and for people: JSON Schema and the reference page.

import { z } from "zod";
import { ConfigShape } from "./shape.ts";

/** JSON Schema, draft 2020-12. */
export function buildJsonSchema(version: string): Record<string, unknown> {
  const schema = z.toJSONSchema(ConfigShape, { io: "input", target: "draft-2020-12" }) as Record<string, unknown>;
  return { ...schema, title: `Rivet config (rivet ${version})` };
}

type Node = {
  type?: string;
  enum?: unknown[];
  anyOf?: Node[];
  items?: Node;
  properties?: Record<string, Node>;
  required?: string[];
  description?: string;
};

/** The reference page: every key with its type and meaning, as Markdown. */
export function buildConfigReference(version: string): string {
  const lines = [
    "# Config reference",
    "",
    "Generated from the schema that reads the config; `rivet schema config` prints it as JSON Schema.",
    "",
  ];
  const walk = (node: Node, title: string) => {
    lines.push(`## ${title}`, "", "| key | type | meaning |", "|---|---|---|");
    const nested: [Node, string][] = [];
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      const required = node.required?.includes(key) ? " **required**" : "";
      lines.push(`| \`${key}\` | ${typeOf(child)}${required} | ${child.description ?? ""} |`);
      const inner = child.properties === undefined ? child.items : child;
      if (inner?.properties !== undefined) nested.push([inner, title === "rivet.yaml" ? key : `${title}.${key}`]);
    }
    lines.push("");
    for (const [child, name] of nested) walk(child, name);
  };
  walk(buildJsonSchema(version) as Node, "rivet.yaml");
  return lines.join("\n");
}

function typeOf(node: Node): string {
  if (node.enum !== undefined) return node.enum.map(String).join(" \\| ");
  if (node.anyOf !== undefined) return node.anyOf.map(typeOf).join(" or ");
  if (node.type === "array") return `list of ${node.items === undefined ? "values" : typeOf(node.items)}`;
  return node.type ?? "object";
}
