// How the demo looks in a terminal: headings, tables, colours where they are wanted.

const colours = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
const paint = (code: number) => (text: string) => colours ? `\x1b[${code}m${text}\x1b[0m` : text;

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const cyan = paint(36);

const CELL_WIDTH_MAX = 26;

export function print(text = ""): void {
  console.log(text);
}

export function printStep(number: number, title: string, detail = ""): void {
  print(`\n${cyan(bold(` ${number} `))} ${bold(title)}${detail === "" ? "" : `  ${dim(detail)}`}\n`);
}

export interface TableOptions {
  /** Rows after the header that are part of it. @default 0 */
  readonly headRows?: number;
}

const INDENT = 4;

/** Columns that do not fit the terminal are counted, not printed. */
export function printTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { headRows = 0 }: TableOptions = {},
): void {
  const widths = header.map((name, i) =>
    Math.max(toWidth(name), ...rows.map((row) => toWidth(cut(row[i] ?? "", CELL_WIDTH_MAX))))
  );
  const room = screenWidth() - INDENT - 12;
  let shown = 0;
  for (let used = 0; shown < widths.length; shown++) {
    used += widths[shown]! + 2;
    if (used > room && shown > 0) break;
  }
  const more = header.length - shown;
  const line = (cells: readonly string[], style: (text: string) => string) =>
    " ".repeat(INDENT) +
    cells.slice(0, shown).map((cell, i) => style(fill(cut(cell, CELL_WIDTH_MAX), widths[i]!))).join("  ");
  print(line(header, dim) + (more > 0 ? dim(`  + ${more} more`) : ""));
  for (const [i, row] of rows.entries()) {
    print(line(row, (text) => i < headRows || text.trim() === "NULL" ? dim(text) : text));
  }
}

export function formatCount(value: number | bigint): string {
  return value.toLocaleString("en");
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A value as another program read it. */
export function formatValue(value: unknown, type: string): string {
  if (value === null || value === undefined) return "NULL";
  const scale = /^DECIMAL\(\d+,(\d+)\)$/.exec(type)?.[1];
  if (scale !== undefined) return Number(value).toFixed(Number(scale));
  if (type.startsWith("TIMESTAMP")) return formatTimestamp(BigInt(value as bigint));
  if (type.startsWith("TIME")) return formatTimestamp(BigInt(value as bigint)).slice(11);
  if (value instanceof Uint8Array) return `0x${value.toHex()}`;
  if (value instanceof Date) return value.toISOString().slice(0, 10);
  if (typeof value === "object") return JSON.stringify(value);
  // deno-lint-ignore no-control-regex
  return String(value).replaceAll("\0", "␀").replace(/[\x01-\x1f]/g, " ");
}

/** Microseconds since the epoch; zeros at the end of the fraction are left out. */
function formatTimestamp(us: bigint): string {
  const fraction = ((us % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((us - fraction) / 1000n)).toISOString().slice(0, 19).replace("T", " ");
  return fraction === 0n ? seconds : `${seconds}.${String(fraction).padStart(6, "0").replace(/0+$/, "")}`;
}

function screenWidth(): number {
  try {
    return Math.min(Deno.consoleSize().columns, 160);
  } catch {
    return 120;
  }
}

function cut(text: string, width: number): string {
  if (toWidth(text) <= width) return text;
  let kept = "";
  for (const char of text) {
    if (toWidth(kept + char) > width - 1) break;
    kept += char;
  }
  return `${kept}…`;
}

function fill(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - toWidth(text)));
}

/** Terminal cells: ideographs and emoji take two. */
function toWidth(text: string): number {
  let width = 0;
  for (const char of text) {
    width += /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{Emoji_Presentation}]/u.test(char) ? 2 : 1;
  }
  return width;
}
