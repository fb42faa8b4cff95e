// Names from a database as pieces of YAML. A name may hold anything: quotes, line ends, even `${…}`, which a config would fill in.

/** Words that YAML or its readers take for something other than text. */
const WORDS: ReadonlySet<string> = new Set(["null", "true", "false", "yes", "no", "on", "off", "y", "n"]);

/** A text as a YAML scalar, plain where that is safe. */
export function quoteYaml(text: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(text) && !WORDS.has(text.toLowerCase())) return text;
  // JSON is YAML but for characters that end a line in YAML alone; and `${` must not stand in a config's text.
  return JSON.stringify(text)
    .replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .replaceAll("${", "\\x24{");
}

/** A text inside a comment: on one line, and nothing in it is filled in. */
export function inComment(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]/g, "\ufffd").replaceAll("${", "$ {");
}

const WIDTH_MAX = 100;

/** Sentences as comment lines of at most 100 characters. */
export function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of inComment(text).split(" ")) {
    if (line.length + 1 + word.length > WIDTH_MAX && line !== `${indent}#`) {
      lines.push(line);
      line = `${indent}#  `;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** `one, two and three`, cut after some. */
export function listNames(names: readonly string[], max = 12): string {
  const shown = names.slice(0, max).join(", ");
  return names.length > max ? `${shown} and ${names.length - max} more` : shown;
}

/** 1234567 as 1,234,567. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}
