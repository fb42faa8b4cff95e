// Secrets out of any text before a person, a log or a file sees it; and control characters out of what reaches a terminal.

const MASK = "REDACTED";

/** Userinfo of URLs with a password, `password=…` of connection strings, secret query parameters, bearer tokens, webhook paths. */
const PATTERN = new RegExp(
  [
    // scheme://user:password@ — the password may hold any of `@ ? # /`, so the last `@` before a blank or quote counts.
    String.raw`([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s"'<>@:\/]*:[^\s"'<>]*@`,
    String
      .raw`\b((?:password|passwd|pwd|secret|account_?key|shared_?access_?key)\s*=\s*)(?:"[^"]*"|'[^']*'|[^\s;&"']+)`,
    String.raw`([?&][\w.-]{0,40}(?:token|password|passwd|key|signature|secret|sig)=)[^&\s"'#]*`,
    String.raw`\b(bearer\s+)[\w.~+\/=-]+`,
    String.raw`(https:\/\/hooks\.slack\.com\/services\/)[^\s"']+`,
  ].join("|"),
  "gi",
);

/** The text with everything that looks like a secret replaced. One pass. */
export function redact(text: string): string {
  return text.replace(PATTERN, (_all, url?: string, pair?: string, query?: string, bearer?: string, hook?: string) => {
    if (url !== undefined) return `${url}${MASK}@`;
    return `${pair ?? query ?? bearer ?? hook ?? ""}${MASK}`;
  });
}

/** A redactor that also knows secret values themselves. Short values would mask ordinary words and are left out. */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const values = [...new Set(secrets)].filter((secret) => secret.length >= 4).sort((a, b) => b.length - a.length);
  return (text) => redact(values.reduce((masked, secret) => masked.replaceAll(secret, MASK), text));
}

/** Escape sequences and control characters a database could send are shown, not obeyed. Line ends and tabs stay. */
export function sanitizeTerminal(text: string): string {
  return text.replace(CONTROL, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
