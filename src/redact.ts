// Secrets out of any text before a person, a log or a file sees it; and control characters out of what reaches a terminal.
// Every function takes time in proportion to the text, whatever the text is: much of it comes from servers.

const MASK = "REDACTED";

/** The text with everything that looks like a secret replaced: too much rather than too little. */
export function redact(text: string): string {
  const clean = known === null ? text : text.replace(known, MASK);
  return maskUserinfo(clean).replace(PATTERN, (found: string, ...groups: (string | undefined)[]) => {
    const kept = groups.slice(0, GROUPS).find((group) => group !== undefined) ?? "";
    return found.length === kept.length ? found : `${kept}${MASK}`;
  });
}

const SECRET_NAME =
  "(?:password|passwd|passphrase|pwd|secret|(?:access|account|api|private|secret)[_-]?key|sig|signature)";
/** Quoted to the closing quote or, when the text was cut, to its end; else to a blank or separator. */
const VALUE = String.raw`(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?:[^\s;&"'${"`"}\\<>]|\\.)+)`;

/** Each alternative has one group: what stays in front of the secret. */
const ALTERNATIVES: readonly string[] = [
  // libpq, ADO and JDBC strings, environment, query parameters. VALUE is what our own advice says.
  String.raw`(${SECRET_NAME}["']?\s{0,8}=\s{0,8})(?!VALUE\b)${VALUE}`,
  // JSON and YAML.
  String.raw`(${SECRET_NAME}["']\s{0,8}:\s{0,8})(?:"(?:[^"\\]|\\.)*"?|[^\s,}]+)`,
  String.raw`((?<=[\n{,][ \t]{0,16})(?:password|webhook_url):[ \t]{1,8})(?![$\s])${VALUE}`,
  String.raw`([?&][\w.-]{0,40}(?:token|key|credential)=)[^&\s"'#<>]+`,
  String.raw`(\bauthorization["']?\s{0,8}[:=]\s{0,8}["']?)[^\r\n"']+`,
  String.raw`(\b(?:bearer|sharedaccesssignature)\s{1,8})[\w.~+\/=:&%-]{8,}`,
  String.raw`(hooks\.slack\.com\/(?:services|workflows|triggers)\/)[^\s"'<>]+`,
  String.raw`(discord(?:app)?\.com\/api\/webhooks\/)[^\s"'<>]+`,
  String.raw`((?:webhook\.office\.com|outlook\.office\.com\/webhook)\/)[^\s"'<>]+`,
  String.raw`(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[^-]*`,
  // JSON Web Tokens and Slack's tokens say what they are.
  String.raw`(\b)eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?`,
  String.raw`(\bxox[abprs]-)[\w-]{8,}`,
];
const GROUPS = ALTERNATIVES.length;
const PATTERN = new RegExp(ALTERNATIVES.join("|"), "gi");

/**
 * Masks `user:password` of every URL. A password may hold any of `@ ? # /`, so it ends at the last `@` before a blank or quote.
 */
function maskUserinfo(text: string): string {
  let masked = "";
  let kept = 0;
  let run = { end: -1, lastAt: -1 };
  for (let mark = text.indexOf("://"); mark >= 0; mark = text.indexOf("://", Math.max(mark + 3, kept))) {
    const start = mark + 3;
    if (start > run.end) run = findRun(text, start);
    if (run.lastAt < start || !holdsPassword(text, start, run.lastAt)) continue;
    masked += text.slice(kept, start) + MASK;
    kept = run.lastAt;
  }
  return masked + text.slice(kept);
}

const RUN_END: ReadonlySet<string> = new Set([" ", "\t", "\r", "\n", '"', "'", "`", "<", ">"]);

/** Where the word that begins here ends, and the last `@` in it. */
function findRun(text: string, start: number): { end: number; lastAt: number } {
  let lastAt = -1;
  let end = start;
  for (; end < text.length && !RUN_END.has(text[end]!); end++) if (text[end] === "@") lastAt = end;
  return { end, lastAt };
}

/** A user name and a colon come first. */
function holdsPassword(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (text[i] === ":") return true;
    if ("/?#@".includes(text[i]!)) return false;
  }
  return false;
}

const KNOWN_LENGTH_MIN = 6;

/** Every form of the secrets that this process has read; what was read once stays a secret. */
const forms = new Set<string>();
let known: RegExp | null = null;

/**
 * From now on `redact` masks this value wherever it stands: as it is, as a URL or as JSON would write it. A value shorter than six
 * characters would mask ordinary words and is left to the patterns.
 */
export function rememberSecret(secret: string): void {
  if (secret.length < KNOWN_LENGTH_MIN || forms.has(secret)) return;
  for (const form of [secret, encodeURIComponent(secret.toWellFormed()), JSON.stringify(secret).slice(1, -1)]) {
    forms.add(form);
  }
  known = new RegExp([...forms].sort((a, b) => b.length - a.length).map(escapePattern).join("|"), "g");
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

/**
 * Escape sequences, control characters and marks that turn the direction of text are shown, not obeyed. Line ends and tabs stay.
 */
export function sanitizeTerminal(text: string): string {
  return text.replace(
    // deno-lint-ignore no-control-regex
    /[\x00-\x08\x0b-\x1f\x7f-\x9f]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => {
      const code = char.charCodeAt(0).toString(16);
      return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
    },
  );
}
