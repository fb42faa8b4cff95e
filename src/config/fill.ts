// `${name}` filled in over the raw text, before anything is parsed. It remembers where everything stood, so that an error
// points into the file as it is written and what was filled in never has to be shown.

import { RivetError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";

export interface Filled {
  readonly text: string;
  /** The text with a marker for every `${name}`, null when there is none. */
  readonly marked: string | null;
  /** `file:line:column` in the file of an offset in `text`. */
  where(offset: number): string;
  /** A piece of `marked` as it is written in the file. */
  restore(marked: string): string;
  /** A text with what was filled in taken out of it again. */
  hide(text: string): string;
}

export interface FillOptions {
  readonly params: Readonly<Record<string, string>>;
  readonly runtime: Runtime;
  /** The file, as errors name it. */
  readonly file: string;
}

/** Where a filled-in value begins in the result, and how much longer than its `${name}` the text is from its end on. */
interface Shift {
  readonly start: number;
  readonly end: number;
  readonly original: number;
  readonly delta: number;
}

/** A shorter value is in too many words to be told from them. */
const HIDDEN_LENGTH_MIN = 4;
const PRIVATE_FIRST = 0xe000;
const PRIVATE_LAST = 0xf8ff;

/** A parameter first, then the environment. What is filled in is not looked at again; an unclosed `${` stays as it is. */
export function fillIn(text: string, options: FillOptions): Filled {
  const [open, close] = unusedCharacters(text);
  const shifts: Shift[] = [];
  const names: string[] = [];
  const values = new Map<string, string>();
  let filled = "";
  let marked = "";
  let last = 0;
  for (const { start, end, name } of findPlaces(text)) {
    const value = name === "" ? "" : lookUp(name, options, () => locate(text, start, options.file));
    const between = text.slice(last, start);
    filled += between;
    shifts.push({
      start: filled.length,
      end: filled.length + value.length,
      original: start,
      delta: filled.length + value.length - end,
    });
    filled += value;
    marked += `${between}${open}${names.length}${close}`;
    names.push(name);
    if (value.length >= HIDDEN_LENGTH_MIN) values.set(value, name);
    last = end;
  }
  const rest = text.slice(last);
  return {
    text: filled + rest,
    marked: names.length === 0 ? null : marked + rest,
    where: (offset) => locate(text, toOriginal(shifts, offset), options.file),
    restore: (piece) =>
      names.length === 0
        ? piece
        : piece.replace(new RegExp(`${open}(\\d+)${close}`, "g"), (_all, index: string) =>
          `\${${names[Number(index)]}}`),
    hide: (shown) =>
      [...values].sort(([a], [b]) => b.length - a.length)
        .reduce((hidden, [value, name]) => hidden.replaceAll(value, () => `\${${name}}`), shown),
  };
}

function* findPlaces(text: string): Generator<{ start: number; end: number; name: string }> {
  for (let start = text.indexOf("${"); start >= 0;) {
    const close = text.indexOf("}", start);
    if (close < 0) return;
    const name = text.slice(start + 2, close);
    // A name on several lines is an unclosed `${`.
    if (!name.includes("\n")) yield { start, end: close + 1, name };
    start = text.indexOf("${", name.includes("\n") ? start + 2 : close + 1);
  }
}

function lookUp(name: string, { params, runtime }: FillOptions, where: () => string): string {
  const value = Object.hasOwn(params, name) ? params[name] : runtime.env(name);
  if (value === undefined) {
    throw new RivetError("RIVET_CONFIG_SECRET_UNSET", `'\${${name}}' has no value`, {
      where: where(),
      cure: `Give \`--param ${name}=VALUE\`, or \`export ${name}=VALUE\``,
    });
  }
  if (value.includes("\0")) {
    throw new RivetError("RIVET_CONFIG_VALUE_OUT_OF_RANGE", `The value of '\${${name}}' holds a NUL character`, {
      where: where(),
      cure: "Give a value without NUL characters",
    });
  }
  return value;
}

function toOriginal(shifts: readonly Shift[], offset: number): number {
  let delta = 0;
  for (const shift of shifts) {
    if (offset < shift.start) break;
    if (offset < shift.end) return shift.original;
    delta = shift.delta;
  }
  return offset - delta;
}

function locate(text: string, offset: number, file: string): string {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  let line = 1;
  for (let at = before.indexOf("\n"); at >= 0; at = before.indexOf("\n", at + 1)) line++;
  return `${file}:${line}:${offset - lineStart + 1}`;
}

/** Two characters for private use that the text does not hold. */
function unusedCharacters(text: string): [string, string] {
  const found: string[] = [];
  for (let code = PRIVATE_FIRST; code <= PRIVATE_LAST && found.length < 2; code++) {
    const char = String.fromCharCode(code);
    if (!text.includes(char)) found.push(char);
  }
  return [found[0] ?? "\ue000", found[1] ?? "\ue001"];
}
