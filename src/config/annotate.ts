// Writes `wave:` and `parallel_safe:` into a config's text. The syntax tree says where; every other byte stays as it is.

import { type Document, isMap, isScalar, isSeq, type Pair, parseDocument, type Scalar, type YAMLMap } from "yaml";
import { RivetError } from "../errors.ts";

export interface WaveNote {
  readonly wave: number;
  readonly parallelSafe: boolean;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The text with a note for every export named in `notes`. Throws RIVET_CONFIG_YAML_INVALID where an entry cannot take one. */
export function annotateWaves(text: string, notes: ReadonlyMap<string, WaveNote>, file: string): string {
  // `${name}` is no YAML inside `{…}`; letters of the same length keep every offset.
  const plain = text.replace(/\$\{[^}\n]*\}/g, (found) => "x".repeat(found.length));
  const document = parseDocument(plain, { prettyErrors: false, merge: true });
  const exports = document.get("exports");
  if (document.errors.length > 0 || !isSeq(exports)) {
    throw refuse("The syntax tree of the config cannot be read as it is written", file);
  }
  const edits: Edit[] = [];
  const left = new Set(notes.keys());
  for (const item of exports.items) {
    if (!isMap(item)) continue;
    const name = namedAt(item, text, notes);
    if (name === null) continue;
    left.delete(name);
    edits.push(...editsFor(item as YAMLMap<unknown, unknown>, notes.get(name)!, text));
  }
  if (left.size > 0) {
    throw refuse(
      `${[...left].map((name) => `'${name}'`).join(", ")} cannot be annotated: not written out below \`exports:\``,
      file,
    );
  }
  const annotated = edits.sort((a, b) => b.start - a.start)
    .reduce((done, { start, end, text: piece }) => done.slice(0, start) + piece + done.slice(end), text);
  check(annotated, document, file);
  return annotated;
}

/** The name as it stands in the text; one with a `${name}` in it is found when only one export can be meant. */
function namedAt(item: YAMLMap, text: string, notes: ReadonlyMap<string, WaveNote>): string | null {
  const value = item.get("name", true);
  if (!isScalar(value) || !value.range) return null;
  const written = text.slice(value.range[0], value.range[1]);
  if (!written.includes("${")) return notes.has(String(value.value)) ? String(value.value) : null;
  const bare = written.replace(/^(["'])(.*)\1$/s, "$2");
  const pattern = bare.split(/\$\{[^}\n]*\}/).map((piece) => piece.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join(".*");
  const candidates = [...notes.keys()].filter((name) => new RegExp(`^${pattern}$`, "s").test(name));
  return candidates.length === 1 ? candidates[0]! : null;
}

function editsFor(item: YAMLMap<unknown, unknown>, { wave, parallelSafe }: WaveNote, text: string): Edit[] {
  const edits: Edit[] = [];
  const added: string[] = [];
  for (const [key, value] of [["wave", wave], ["parallel_safe", parallelSafe]] as const) {
    const pair = findPair(item, key);
    if (pair === undefined) added.push(`${key}: ${value}`);
    else edits.push(replacement(pair, String(value)));
  }
  if (added.length === 0) return edits;
  const name = findPair(item, "name")!;
  const [, end] = (name.value as Scalar).range!;
  if (item.flow === true) edits.push({ start: end, end, text: added.map((pair) => `, ${pair}`).join("") });
  else {
    const keyStart = (name.key as Scalar).range![0];
    const indent = " ".repeat(keyStart - (text.lastIndexOf("\n", keyStart - 1) + 1));
    const lineEnd = text.indexOf("\n", end) < 0 ? text.length : text.indexOf("\n", end);
    const at = text[lineEnd - 1] === "\r" ? lineEnd - 1 : lineEnd;
    const newline = at < lineEnd ? "\r\n" : "\n";
    edits.push({ start: at, end: at, text: added.map((pair) => `${newline}${indent}${pair}`).join("") });
  }
  return edits;
}

function replacement(pair: Pair, text: string): Edit {
  const { value, key } = pair;
  if (isScalar(value) && value.range) {
    const [start, end] = value.range;
    // A key without a value has an empty one right behind its colon.
    return { start, end, text: start === end ? ` ${text}` : text };
  }
  const [, end] = (key as Scalar).range!;
  return { start: end, end, text: `: ${text}` };
}

function findPair(item: YAMLMap<unknown, unknown>, name: string): Pair | undefined {
  return item.items.find(({ key }) => isScalar(key) && key.value === name);
}

/** The edit must have changed the two keys of the exports and nothing else. */
function check(annotated: string, before: Document, file: string): void {
  const after = parseDocument(annotated.replace(/\$\{[^}\n]*\}/g, (found) => "x".repeat(found.length)), {
    prettyErrors: false,
    merge: true,
  });
  if (after.errors.length === 0 && JSON.stringify(withoutNotes(after)) === JSON.stringify(withoutNotes(before))) return;
  throw refuse("Writing the waves would change more than the waves", file);
}

function withoutNotes(document: Document): unknown {
  const value = document.toJS() as { exports: Record<string, unknown>[] };
  const exports = value.exports.map(({ wave: _wave, parallel_safe: _safe, ...rest }) => rest);
  return { ...value, exports };
}

function refuse(message: string, where: string): RivetError {
  return new RivetError("RIVET_CONFIG_YAML_INVALID", message, {
    where,
    cure: "Write every export as an entry of its own, each key on a line, then plan again",
  });
}
