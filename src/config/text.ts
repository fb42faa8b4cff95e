// The config's text: read, `${name}` filled in over the raw text, parsed with positions.

import { LineCounter, parseDocument } from "yaml";
import { RivetError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";

export async function readText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new RivetError("RIVET_CONFIG_FILE_UNREADABLE", "There is no such config file", {
        where: path,
        cure: "Check the path given with `-c`; README.md has an example to start from",
      });
    }
    throw new RivetError(
      "RIVET_CONFIG_FILE_UNREADABLE",
      `The config file cannot be read: ${(cause as Error).message}`,
      { where: path, cause },
    );
  }
}

/** Fills `${name}`: a parameter first, then the environment. What is filled in is not looked at again. */
export function substitute(
  text: string,
  params: Readonly<Record<string, string>>,
  runtime: Runtime,
  where: string,
): string {
  return text.replace(/\$\{([^}]*)\}/g, (_all, name: string) => {
    if (name === "") return "";
    const value = params[name] ?? runtime.env(name);
    if (value === undefined) {
      throw new RivetError("RIVET_CONFIG_SECRET_UNSET", `\`\${${name}}\` has no value`, {
        where,
        cure: `Give \`--param ${name}=…\` or \`export ${name}=…\``,
      });
    }
    if (value.includes("\0")) {
      throw new RivetError("RIVET_CONFIG_VALUE_OUT_OF_RANGE", `The value of \`\${${name}}\` holds a NUL`, { where });
    }
    return value;
  });
}

export interface Parsed {
  readonly value: unknown;
  /** `file:line:column` of a path into the value, or of its nearest parent. */
  where(path: readonly PropertyKey[]): string;
}

/** YAML with positions. Duplicate keys and every other syntax error are refused. */
export function parseYaml(text: string, file: string): Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const [error] = document.errors;
  if (error !== undefined) {
    throw new RivetError("RIVET_CONFIG_YAML_INVALID", `The YAML cannot be read: ${error.message}`, {
      where: at(error.pos[0]),
      cure: yamlCure(text, error.pos[0]),
    });
  }
  return {
    value: document.toJS(),
    where(path) {
      for (let length = path.length; length > 0; length--) {
        const node = document.getIn(path.slice(0, length), true) as
          | { range?: [number, number, number] | null }
          | undefined;
        if (node?.range) return at(node.range[0]);
      }
      return `${file}:1:1`;
    },
  };
}

function yamlCure(text: string, offset: number): string {
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const lineEnd = text.indexOf("\n", offset);
  const line = text.slice(lineStart, lineEnd < 0 ? undefined : lineEnd);
  if (/^\s*\t/.test(line) || line.includes("\t")) return "Indent with blanks, YAML takes no tabs";
  if (/:\s*\{(partition|date|export|table)\}/.test(line)) return "Put the value with {…} into quotes";
  return "Correct the syntax at this place";
}
