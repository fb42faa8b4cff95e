// The manifest: the parts of an export as recorded at the destination. Pure: builds, prints, parses and checks; does no I/O.

import { createXXHash3 } from "hash-wasm";
import { RivetError } from "./errors.ts";

export const MANIFEST_KEY = "manifest.json";
export const SUCCESS_KEY = "_SUCCESS";

export type PartStatus = "committed" | "superseded" | "quarantined";

export interface ManifestPart {
  part_id: number;
  path: string;
  rows: number;
  size_bytes: number;
  /** `xxh3:` and 16 hex digits of the file's bytes. */
  content_fingerprint: string;
  /** Base64. */
  content_md5: string;
  /** Decimal text. */
  content_crc32c: string;
  status: PartStatus;
  /** The slice it holds. */
  slice: string;
  slice_index: number;
  /** Observed while the part was written. */
  column_checksums: ColumnChecksum[];
}

export interface ColumnChecksum {
  name: string;
  /** Decimal text of a u64. */
  checksum: string;
  nulls: number;
}

export interface Manifest {
  manifest_version: 1;
  run_id: string;
  export_name: string;
  export_family?: string;
  mode: "batch";
  started_at: string;
  finished_at: string;
  status: "running" | "success" | "failed" | "interrupted";
  source: {
    engine: string;
    schema: string | null;
    table: string | null;
    extraction: {
      strategy: string;
      cursor_column?: string;
      cursor_low?: string | null;
      cursor_high?: string | null;
      source_row_count?: number | null;
      consistency: "snapshot" | "slice" | "none";
    };
  };
  destination: { kind: string; uri: string };
  format: string;
  compression: string;
  /** How CSV was written; absent for other formats. */
  csv?: { delimiter: string; header: boolean; null: string | null };
  schema_fingerprint: string;
  columns: { name: string; type: string; native_type: string }[];
  row_count: number;
  part_count: number;
  parts: ManifestPart[];
  column_checksums: ColumnChecksum[];
  checksum_render: string;
  row_hash?: { column: string; covered: string[]; render: string };
  /** What the run was asked to prove before it published; null where it was not. A repaired set has not been judged so. */
  verdicts?: { validated: boolean | null; reconciled: boolean | null; quality_passed: boolean | null };
  /** Chunks that were read again after the run; their earlier parts are `superseded`. */
  repairs?: { run_id: string; finished_at: string; slices: string[] }[];
}

/** How column checksums are made: the wrapping sum of xxh3-64 over each non-null value's canonical bytes. */
export const CHECKSUM_RENDER = "rivet-canonical-xxh3-64-sum-v1";
export const ROW_HASH_RENDER = "rivet-canonical-xxh3-128-low64-v1";

/** `manifest-<run_id>.json`, the copy that later runs do not replace. */
export function runManifestKey(runId: string): string {
  return `manifest-${runId.replace(/[^A-Za-z0-9._-]/g, "-")}.json`;
}

/** Where the parts stand in the text: one a line. A text holds half a gigabyte at the most, and a million parts come near to it. */
const PARTS_EMPTY = '\n  "parts": []';
const PARTS_BEGIN = '\n  "parts": [\n';
const PARTS_END = "\n  ]";
const PARTS_PER_PIECE = 10_000;
/** Longer ones are parsed line by line. */
const WHOLE_TEXT_BYTES_MAX = 128 << 20;

/** A manifest as it is stored, in pieces: of a million parts it is half a gigabyte, which is in memory once and not as objects. */
export interface ManifestText {
  readonly runId: string;
  /** Bytes of all pieces. */
  readonly size: number;
  readonly pieces: readonly Uint8Array<ArrayBuffer>[];
}

/** What a manifest says of all its parts together. */
export type PartSums = Pick<Manifest, "row_count" | "part_count" | "column_checksums">;

/** Writes a manifest from its parts, of which only some need be known at a time. The same manifest always gives the same bytes. */
export class ManifestWriter {
  readonly #encoder = new TextEncoder();
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];
  readonly #columns = new ChecksumSum();
  #rows = 0;
  #parts = 0;

  add(parts: readonly ManifestPart[]): void {
    for (let i = 0; i < parts.length; i += PARTS_PER_PIECE) {
      const some = parts.slice(i, i + PARTS_PER_PIECE);
      const lines = some.map((part) => `    ${JSON.stringify(part)}`).join(",\n");
      this.#pieces.push(this.#encoder.encode(this.#parts === 0 ? lines : `,\n${lines}`));
      this.#parts += some.length;
    }
    for (const { rows, column_checksums } of parts) {
      this.#rows += rows;
      this.#columns.add(column_checksums);
    }
  }

  sums(): PartSums {
    return { row_count: this.#rows, part_count: this.#parts, column_checksums: this.#columns.get() };
  }

  /** `frame` is the manifest without its parts: the list of them is empty. */
  finish(frame: Manifest): ManifestText {
    const text = JSON.stringify(frame, null, 2) + "\n";
    const at = text.indexOf(PARTS_EMPTY);
    const pieces = this.#parts === 0 ? [this.#encoder.encode(text)] : [
      this.#encoder.encode(text.slice(0, at) + PARTS_BEGIN),
      ...this.#pieces,
      this.#encoder.encode(PARTS_END + text.slice(at + PARTS_EMPTY.length)),
    ];
    return { runId: frame.run_id, size: pieces.reduce((sum, piece) => sum + piece.length, 0), pieces };
  }
}

export function toManifestText(manifest: Manifest): ManifestText {
  const writer = new ManifestWriter();
  writer.add(manifest.parts);
  return writer.finish({ ...manifest, parts: [] });
}

/** `xxh3:` and 16 hex digits, of bytes in any number of pieces. */
export async function fingerprintBytes(...pieces: readonly Uint8Array[]): Promise<string> {
  const hash = await createXXHash3();
  for (const piece of pieces) hash.update(piece);
  return `xxh3:${hash.digest()}`;
}

/** The body of `_SUCCESS`: the manifest's fingerprint, then the run. */
export function formatMarker(manifestFingerprint: string, runId: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${manifestFingerprint}\nrun_id: ${runId}\n`);
}

/** The fingerprint in a marker, or null when it is not one. */
export function parseMarker(text: string): string | null {
  return /^(xxh3:[0-9a-f]{16})\s*(?:\n|$)/.exec(text)?.[1] ?? null;
}

/** Parses and checks a manifest; `where` is its URI. Unknown keys are kept; those that older programs did not write get empty values. */
export function parseManifest(text: string | Uint8Array, where: string): Manifest {
  const refuse = (message: string): never => {
    throw new RivetError("RIVET_DEST_CONTROL_ARTIFACT_INVALID", message, { where });
  };
  let value: unknown;
  try {
    value = typeof text === "string" ? JSON.parse(text) : parseBytes(text);
  } catch (cause) {
    throw new RivetError("RIVET_DEST_CONTROL_ARTIFACT_INVALID", "The manifest is not JSON", { where, cause });
  }
  if (!isObject(value)) return refuse("The manifest is not an object");
  if (value["manifest_version"] !== 1) {
    return refuse(`The manifest has version '${value["manifest_version"]}', expected '1'`);
  }
  if (value["mode"] !== "batch") {
    throw new RivetError(
      "RIVET_DEST_PREFIX_MODE_MISMATCH",
      `The manifest is of mode '${value["mode"]}', expected 'batch'`,
      { where },
    );
  }
  const wrong = findShapeFault(value);
  if (wrong !== null) return refuse(`The manifest's '${wrong}' is missing or not what it should be`);
  const manifest = { columns: [], column_checksums: [], checksum_render: "", ...value } as unknown as Manifest;
  // Few lack anything, and copies of a million would be in memory beside them.
  const isWhole = (part: ManifestPart) => Object.keys(UNRECORDED).every((key) => key in part);
  return { ...manifest, parts: manifest.parts.map((part) => isWhole(part) ? part : { ...UNRECORDED, ...part }) };
}

/** The JSON value in the bytes; of what `ManifestWriter` wrote, at any length. */
function parseBytes(bytes: Uint8Array): unknown {
  const decoder = new TextDecoder();
  if (bytes.length <= WHOLE_TEXT_BYTES_MAX) return JSON.parse(decoder.decode(bytes));
  // What stands before and after the parts is small.
  const head = decoder.decode(bytes.subarray(0, WHOLE_TEXT_BYTES_MAX));
  const begin = head.indexOf(PARTS_BEGIN);
  if (begin < 0) throw new SyntaxError("The parts are not one a line");
  const parts: unknown[] = [];
  const newline = 0x0a;
  let at = new TextEncoder().encode(head.slice(0, begin) + PARTS_BEGIN).length;
  for (let isLast = false; !isLast;) {
    const end = bytes.indexOf(newline, at);
    if (end < 0) throw new SyntaxError("The parts do not end");
    const line = decoder.decode(bytes.subarray(at, end));
    isLast = !line.endsWith(",");
    parts.push(JSON.parse(isLast ? line : line.slice(0, -1)));
    at = end + 1;
  }
  const rest = decoder.decode(bytes.subarray(at - 1));
  if (!rest.startsWith(PARTS_END)) throw new SyntaxError("The parts do not end");
  const frame = JSON.parse(head.slice(0, begin) + PARTS_EMPTY + rest.slice(PARTS_END.length));
  return { ...frame, parts };
}

/** What a part lacks that another program, or one that had lost its observations, has written. */
const UNRECORDED = {
  content_fingerprint: "",
  content_md5: "",
  content_crc32c: "",
  slice: "",
  slice_index: 0,
  column_checksums: [],
};

type Check = (value: unknown) => boolean;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText: Check = (value) => typeof value === "string";
const isName: Check = (value) => typeof value === "string" && value !== "";
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isOneOf = (...known: string[]): Check => (value) => known.includes(value as string);
const isU64: Check = (value) => typeof value === "string" && /^\d{1,20}$/.test(value) && BigInt(value) < 1n << 64n;
const isList = (item: Check): Check => (value) => Array.isArray(value) && value.every(item);
const hasShape = (shape: Record<string, Check>): Check => (value) =>
  isObject(value) && findFault(value, shape) === null;
const orAbsent = (check: Check): Check => (value) => value === undefined || check(value);

const CHECKSUM: Record<string, Check> = { name: isName, checksum: isU64, nulls: orAbsent(isCount) };

const PART: Record<string, Check> = {
  part_id: isCount,
  path: isName,
  rows: isCount,
  size_bytes: isCount,
  status: isOneOf("committed", "superseded", "quarantined"),
  content_fingerprint: orAbsent(isText),
  content_md5: orAbsent(isText),
  content_crc32c: orAbsent(isText),
  slice: orAbsent(isText),
  slice_index: orAbsent(isCount),
  column_checksums: orAbsent(isList(hasShape(CHECKSUM))),
};

const MANIFEST: Record<string, Check> = {
  run_id: isName,
  export_name: isName,
  status: isOneOf("running", "success", "failed", "interrupted"),
  started_at: isText,
  source: (value) => isObject(value) && isText(value["engine"]),
  destination: isObject,
  format: isName,
  compression: isText,
  schema_fingerprint: isText,
  columns: orAbsent(isList(hasShape({ name: isName, type: isText }))),
  row_count: isCount,
  part_count: isCount,
  column_checksums: orAbsent(isList(hasShape(CHECKSUM))),
  checksum_render: orAbsent(isText),
};

/** The first key whose value has not the shape it must have, `parts[3].rows`; null when all have. */
function findShapeFault(manifest: Record<string, unknown>): string | null {
  const fault = findFault(manifest, MANIFEST);
  if (fault !== null) return fault;
  const parts = manifest["parts"];
  if (!Array.isArray(parts)) return "parts";
  for (const [i, part] of parts.entries()) {
    const fault = isObject(part) ? findFault(part, PART) : "";
    if (fault !== null) return `parts[${i}]${fault === "" ? "" : `.${fault}`}`;
  }
  return null;
}

function findFault(value: Record<string, unknown>, shape: Record<string, Check>): string | null {
  return Object.keys(shape).find((key) => !shape[key]!(value[key])) ?? null;
}

/** What in the manifest contradicts itself; empty when nothing does. */
export async function findContradictions(manifest: Manifest): Promise<string[]> {
  const committed = manifest.parts.filter((part) => part.status === "committed");
  const found: string[] = [];
  const rows = committed.reduce((sum, part) => sum + part.rows, 0);
  if (committed.length !== manifest.part_count) {
    found.push(`part_count ${manifest.part_count}, committed parts ${committed.length}`);
  }
  if (rows !== manifest.row_count) found.push(`row_count ${manifest.row_count}, rows of committed parts ${rows}`);
  if (new Set(manifest.parts.map((part) => part.part_id)).size !== manifest.parts.length) {
    found.push("a part_id is used twice");
  }
  if (new Set(committed.map((part) => part.path)).size !== committed.length) found.push("a path is used twice");
  if (manifest.checksum_render === CHECKSUM_RENDER) found.push(...await findOwnContradictions(manifest, committed));
  return found;
}

/** What only this program writes. */
async function findOwnContradictions(manifest: Manifest, committed: readonly ManifestPart[]): Promise<string[]> {
  const found: string[] = [];
  if (await schemaFingerprint(manifest.columns) !== manifest.schema_fingerprint) {
    found.push("schema_fingerprint is not that of the columns");
  }
  const sums = new Map(sumChecksums(committed).map((column) => [column.name, column]));
  for (const { name, checksum, nulls } of manifest.column_checksums) {
    const sum = sums.get(name) ?? { checksum: "0", nulls: 0 };
    if (sum.checksum !== checksum) found.push(`column_checksums of '${name}' is not the sum over the parts`);
    if (sum.nulls !== nulls) found.push(`nulls of '${name}' ${nulls}, in the parts ${sum.nulls}`);
  }
  return found;
}

/** Same names and types in any order give the same fingerprint. */
export async function schemaFingerprint(columns: readonly { name: string; type: string }[]): Promise<string> {
  const lines = columns.map((c) => `${c.name}\t${c.type}\n`).sort();
  return await fingerprintBytes(new TextEncoder().encode(lines.join("")));
}

/** Adds two checksums of the same column: wrapping u64. */
export function addChecksums(left: string, right: string): string {
  return String(BigInt.asUintN(64, BigInt(left) + BigInt(right)));
}

/** Column checksums over several parts, in the first part's column order. */
export function sumChecksums(
  parts: readonly { readonly column_checksums: readonly ColumnChecksum[] }[],
): ColumnChecksum[] {
  const sum = new ChecksumSum();
  for (const { column_checksums } of parts) sum.add(column_checksums);
  return sum.get();
}

class ChecksumSum {
  readonly #columns = new Map<string, { checksum: bigint; nulls: number }>();

  add(columns: readonly ColumnChecksum[]): void {
    for (const { name, checksum, nulls } of columns) {
      const sum = this.#columns.get(name);
      if (sum === undefined) this.#columns.set(name, { checksum: BigInt(checksum), nulls });
      else {
        sum.checksum = BigInt.asUintN(64, sum.checksum + BigInt(checksum));
        sum.nulls += nulls;
      }
    }
  }

  get(): ColumnChecksum[] {
    return [...this.#columns].map(([name, { checksum, nulls }]) => ({ name, checksum: String(checksum), nulls }));
  }
}
