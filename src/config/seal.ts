// A config as a plan artifact may hold it: as it was written, `${name}` not filled in, without comments and without secrets.

import { isScalar, Lexer, parseDocument } from "yaml";
import { redact } from "../redact.ts";
import type { Filled } from "./fill.ts";
import type { Path } from "./yaml.ts";

export interface SealedConfig {
  readonly text: string;
  /** Templates of the query files, by the name the config gives them. */
  readonly queryFiles: Readonly<Record<string, string>>;
  /** Keys whose secret was left out: `source.password`. Without it the plan cannot be applied. */
  readonly redacted: readonly string[];
}

const SECRETS: readonly Path[] = [
  ["source", "password"],
  ["source", "url"],
  ["notifications", "slack", "webhook_url"],
  ["notifications", "webhook", "webhook_url"],
];

const MASK = "REDACTED";
/** A shorter secret is in too many words to be told from them. */
const SECRET_LENGTH_MIN = 4;

/** The text of a config that was read without an error. */
export function sealText(original: string, filled: Filled): Pick<SealedConfig, "text" | "redacted"> {
  const text = withoutComments(filled.marked ?? original);
  const document = parseDocument(text, { prettyErrors: false });
  const places: { start: number; end: number; shown: string }[] = [];
  const redacted: string[] = [];
  const literals: string[] = [];
  for (const path of SECRETS) {
    const node = document.getIn(path, true);
    if (!isScalar(node) || typeof node.value !== "string" || !node.range) continue;
    const written = filled.restore(node.value);
    const shown = path.at(-1) === "url" ? maskUrl(written) : isPlaceholder(written) ? written : MASK;
    if (shown === written) continue;
    redacted.push(path.join("."));
    literals.push(...secretsOf(written));
    places.push({ start: node.range[0], end: node.range[1], shown: JSON.stringify(shown) });
  }
  const masked = places.sort((a, b) => b.start - a.start)
    .reduce((done, { start, end, shown }) => done.slice(0, start) + shown + done.slice(end), text);
  // The same secret may stand in a second place, behind an anchor or in a query.
  const clean = literals.reduce((done, secret) => done.replaceAll(secret, MASK), filled.restore(masked));
  return { text: clean, redacted };
}

/** The lexer tells a comment from a `#` inside a text. */
function withoutComments(text: string): string {
  let kept = "";
  let isScalarNext = false;
  for (const lexeme of new Lexer().lex(text)) {
    if (lexeme === "\x1f") isScalarNext = true;
    else {
      // Marks of the lexer's own, not of the text.
      const isMark = lexeme === "\x02" || lexeme === "\x18";
      if (!isMark && (isScalarNext || !lexeme.startsWith("#"))) kept += lexeme;
      isScalarNext = false;
    }
  }
  return kept;
}

function isPlaceholder(written: string): boolean {
  return /^\s*(\$\{[^}\n]*\}\s*)*$/.test(written);
}

/** A URL without its password; one whose password is a `${name}` stays as it is. The last `@` counts: a password may hold one. */
function maskUrl(written: string): string {
  const [, scheme, userinfo, rest] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)@(.*)$/is.exec(written) ?? [];
  if (scheme === undefined) return isPlaceholder(written) ? written : redact(written);
  const password = userinfo!.includes(":") ? userinfo!.slice(userinfo!.indexOf(":") + 1) : "";
  return `${scheme}${isPlaceholder(password) ? userinfo : MASK}@${redact(rest!)}`;
}

function secretsOf(written: string): string[] {
  const userinfo = /^[a-z][a-z0-9+.-]*:\/\/(.*)@/is.exec(written)?.[1];
  const password = userinfo?.includes(":") ? userinfo.slice(userinfo.indexOf(":") + 1) : userinfo ?? written;
  return [written, password].filter((secret) => secret.length >= SECRET_LENGTH_MIN);
}
